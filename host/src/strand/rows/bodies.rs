//! The tables of large, rarely read content: notice, unproven_notice, answer, stored_order.

use bytes::Bytes;
use cashier_core::change::{Body, OrderDetails};
use cashier_core::ids::{NoticeId, TransactionId};

use super::{Standing, Writer};
use crate::ports::{Fault, StoredAnswer, StoredNotice};
use crate::strand::columns::{Cells, Put};

macro_rules! put_notice {
    ($table:literal) => {
        concat!(
            "REPLACE INTO ",
            $table,
            " (id, received_time, method, path, raw_query, headers_json, sha256, body) VALUES (?,?,?,?,?,?,?,?)"
        )
    };
}

const PUT_NOTICE: &str = put_notice!("notice");
const PUT_UNPROVEN_NOTICE: &str = put_notice!("unproven_notice");
const PUT_ANSWER: &str = "REPLACE INTO answer (transaction_id, redirect_url, instructions_json) VALUES (?,?,?)";
const PUT_ORDER: &str = "REPLACE INTO stored_order (transaction_id, notify_url, success_url, failure_url, locale, ip, \
                         nonce, terms_version) VALUES (?,?,?,?,?,?,?,?)";

/// At most one of the tables has it.
pub(in crate::strand) const READ_NOTICE: &str = "SELECT id, received_time, method, path, raw_query, headers_json, body FROM notice WHERE id = ?1 UNION ALL \
     SELECT id, received_time, method, path, raw_query, headers_json, body FROM unproven_notice WHERE id = ?1";
pub(in crate::strand) const READ_ANSWER: &str =
    "SELECT transaction_id, redirect_url, instructions_json FROM answer WHERE transaction_id = ?1";
pub(in crate::strand) const READ_ORDER: &str = "SELECT transaction_id, notify_url, success_url, failure_url, locale, ip, \
                                               nonce, terms_version FROM stored_order WHERE transaction_id = ?1";

pub(super) fn put_notice(writer: &mut Writer<'_>, notice: &Body, standing: Standing) -> Result<(), rusqlite::Error> {
    let Body::Notice { id, received_time, method, path, raw_query, headers_json, sha256, body } = notice else {
        return Ok(());
    };
    writer.touch('n', id.0);
    let sql = match standing {
        Standing::Genuine => PUT_NOTICE,
        Standing::Unproven => {
            writer.unproven.filed_notice(body.len() + headers_json.len() + path.len() + raw_query.len());
            PUT_UNPROVEN_NOTICE
        }
    };
    Put::prepare(writer.connection, sql)?
        .id(id.0)
        .time(*received_time)
        .text(method)
        .text(path)
        .text(raw_query)
        .text(headers_json)
        .blob(sha256)
        .blob(body)
        .run()
}

pub(super) fn put_answer(
    writer: &mut Writer<'_>,
    id: TransactionId,
    redirect_url: &str,
    instructions_json: &str,
) -> Result<(), rusqlite::Error> {
    writer.touch('a', id.0);
    Put::prepare(writer.connection, PUT_ANSWER)?.id(id.0).text(redirect_url).text(instructions_json).run()
}

pub(super) fn put_order(
    writer: &mut Writer<'_>,
    id: TransactionId,
    details: &OrderDetails,
) -> Result<(), rusqlite::Error> {
    writer.touch('s', id.0);
    Put::prepare(writer.connection, PUT_ORDER)?
        .id(id.0)
        .text(&details.notify_url)
        .text(&details.success_url)
        .text(&details.failure_url)
        .text(&details.locale)
        .text(&details.ip)
        .blob(&details.nonce.to_be_bytes())
        .id(details.terms_version)
        .run()
}

pub(in crate::strand) fn read_notice(cells: &mut Cells<'_, '_>) -> Result<StoredNotice, Fault> {
    Ok(StoredNotice {
        id: NoticeId(cells.id()?),
        received_time: cells.time()?,
        method: cells.text()?,
        path: cells.text()?,
        raw_query: cells.text()?,
        headers_json: cells.text()?,
        body: Bytes::copy_from_slice(cells.blob()?),
    })
}

pub(in crate::strand) fn read_answer(cells: &mut Cells<'_, '_>) -> Result<StoredAnswer, Fault> {
    cells.id()?;
    Ok(StoredAnswer { redirect_url: cells.text()?, instructions_json: cells.text()? })
}

pub(in crate::strand) fn read_order(cells: &mut Cells<'_, '_>) -> Result<OrderDetails, Fault> {
    cells.id()?;
    Ok(OrderDetails {
        notify_url: cells.text()?,
        success_url: cells.text()?,
        failure_url: cells.text()?,
        locale: cells.text()?,
        ip: cells.text()?,
        nonce: u128::from_be_bytes(cells.bytes()?),
        terms_version: cells.id()?,
    })
}
