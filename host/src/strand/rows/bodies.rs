//! The tables of large, rarely read content: notice, unproven_notice, answer, stored_order.

use bytes::Bytes;
use cashier_core::change::{Body, OrderDetails};
use cashier_core::ids::{NoticeId, TransactionId};

use super::writer::{Area, RowWriter};
use crate::ports::{Fault, StoredAnswer, StoredNotice};
use crate::strand::columns::{ColumnReader, Put};

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
const PUT_QUARANTINED_NOTICE: &str = put_notice!("unproven_notice");
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

pub(super) fn put_notice(writer: &mut RowWriter<'_>, notice: &Body, area: Area) -> Result<(), rusqlite::Error> {
    let Body::Notice { id, received_time, method, path, raw_query, headers_json, sha256, body } = notice else {
        return Ok(());
    };
    writer.touch('n', id.0);
    let sql = match area {
        Area::Verified => PUT_NOTICE,
        Area::Quarantine => {
            writer.quarantine.add_notice(body.len() + headers_json.len() + path.len() + raw_query.len());
            PUT_QUARANTINED_NOTICE
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
    writer: &mut RowWriter<'_>,
    id: TransactionId,
    redirect_url: &str,
    instructions_json: &str,
) -> Result<(), rusqlite::Error> {
    writer.touch('a', id.0);
    Put::prepare(writer.connection, PUT_ANSWER)?.id(id.0).text(redirect_url).text(instructions_json).run()
}

pub(super) fn put_order(
    writer: &mut RowWriter<'_>,
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

pub(in crate::strand) fn read_notice(columns: &mut ColumnReader<'_, '_>) -> Result<StoredNotice, Fault> {
    Ok(StoredNotice {
        id: NoticeId(columns.id()?),
        received_time: columns.time()?,
        method: columns.text()?,
        path: columns.text()?,
        raw_query: columns.text()?,
        headers_json: columns.text()?,
        body: Bytes::copy_from_slice(columns.blob()?),
    })
}

pub(in crate::strand) fn read_answer(columns: &mut ColumnReader<'_, '_>) -> Result<StoredAnswer, Fault> {
    columns.id()?;
    Ok(StoredAnswer { redirect_url: columns.text()?, instructions_json: columns.text()? })
}

pub(in crate::strand) fn read_order(columns: &mut ColumnReader<'_, '_>) -> Result<OrderDetails, Fault> {
    columns.id()?;
    Ok(OrderDetails {
        notify_url: columns.text()?,
        success_url: columns.text()?,
        failure_url: columns.text()?,
        locale: columns.text()?,
        ip: columns.text()?,
        nonce: u128::from_be_bytes(columns.bytes()?),
        terms_version: columns.id()?,
    })
}
