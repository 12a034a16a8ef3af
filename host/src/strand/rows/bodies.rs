//! The tables of large, rarely read content: notice, unproven_notice, answer, stored_order, transaction_text.

use bytes::Bytes;
use cashier_core::change::{Body, OrderDetails};
use cashier_core::ids::TransactionId;
use cashier_core::texts::Texts;

use super::writer::{Area, RowWriter};
use crate::ports::{Fault, StoredAnswer, StoredNotice};
use crate::strand::columns::ColumnReader;

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
const PUT_TEXTS: &str = "REPLACE INTO transaction_text (transaction_id, comment, metadata_json) VALUES (?,?,?)";

/// At most one of the tables has it. A body that was deleted is not read as an empty one.
pub(in crate::strand) const READ_NOTICE: &str = "SELECT id, received_time, method, path, raw_query, headers_json, sha256, body FROM notice WHERE id = ?1 AND deleted_time = 0 UNION ALL \
     SELECT id, received_time, method, path, raw_query, headers_json, sha256, body FROM unproven_notice WHERE id = ?1 AND deleted_time = 0";

/// Quarantined notices since a time: what their senders could write a name into.
pub(in crate::strand) const READ_QUARANTINED: &str =
    "SELECT id, raw_query, body FROM unproven_notice WHERE received_time >= ?1 AND deleted_time = 0";
/// Whether only the beginning of a body is stored shows in its digest.
pub(in crate::strand) const READ_QUARANTINED_DIGEST: &str = "SELECT sha256, body FROM unproven_notice WHERE id = ?1";
pub(in crate::strand) const READ_ANSWER: &str =
    "SELECT transaction_id, redirect_url, instructions_json FROM answer WHERE transaction_id = ?1";
pub(in crate::strand) const READ_ORDER: &str = "SELECT transaction_id, notify_url, success_url, failure_url, locale, ip, \
                                               nonce, terms_version FROM stored_order WHERE transaction_id = ?1";

/// Of the transactions whose ids are in a JSON array: one statement for a piece of a page.
pub(in crate::strand) const READ_TEXTS: &str = "SELECT transaction_id, comment, metadata_json FROM transaction_text \
                                                WHERE transaction_id IN (SELECT value FROM json_each(?1))";

pub(super) fn put_notice(writer: &mut RowWriter<'_>, notice: &Body, area: Area) -> Result<(), Fault> {
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
    writer.put("notice", sql, |put| {
        let put = put.with(id).with(received_time).with(method).with(path).with(raw_query).with(headers_json);
        put.sql(sha256).sql(&**body)
    })
}

pub(super) fn put_answer(
    writer: &mut RowWriter<'_>,
    id: TransactionId,
    redirect_url: &str,
    instructions_json: &str,
) -> Result<(), Fault> {
    writer.touch('a', id.0);
    writer.put("answer", PUT_ANSWER, |put| put.with(&id).sql(redirect_url).sql(instructions_json))
}

pub(super) fn put_order(writer: &mut RowWriter<'_>, id: TransactionId, details: &OrderDetails) -> Result<(), Fault> {
    let OrderDetails { terms_version, notify_url, success_url, failure_url, locale, ip, nonce } = details;
    writer.touch('s', id.0);
    writer.put("stored_order", PUT_ORDER, |put| {
        let put = put.with(&id).with(notify_url).with(success_url).with(failure_url).with(locale).with(ip);
        put.sql(nonce.to_be_bytes()).with(terms_version)
    })
}

pub(super) fn put_texts(writer: &mut RowWriter<'_>, id: TransactionId, texts: &Texts) -> Result<(), Fault> {
    writer.touch('x', id.0);
    writer.put("transaction_text", PUT_TEXTS, |put| put.with(&id).with(&texts.comment).with(&texts.metadata_json))
}

pub(in crate::strand) fn read_texts(columns: &mut ColumnReader<'_, '_>) -> Result<(TransactionId, Texts), Fault> {
    Ok((columns.value()?, Texts { comment: columns.value()?, metadata_json: columns.value()? }))
}

pub(in crate::strand) fn read_notice(columns: &mut ColumnReader<'_, '_>) -> Result<StoredNotice, Fault> {
    Ok(StoredNotice {
        id: columns.value()?,
        received_time: columns.value()?,
        method: columns.value()?,
        path: columns.value()?,
        raw_query: columns.value()?,
        headers_json: columns.value()?,
        sha256: columns.bytes()?,
        body: Bytes::copy_from_slice(columns.blob()?),
    })
}

pub(in crate::strand) fn read_answer(columns: &mut ColumnReader<'_, '_>) -> Result<StoredAnswer, Fault> {
    columns.value::<TransactionId>()?;
    Ok(StoredAnswer { redirect_url: columns.value()?, instructions_json: columns.value()? })
}

pub(in crate::strand) fn read_order(columns: &mut ColumnReader<'_, '_>) -> Result<OrderDetails, Fault> {
    columns.value::<TransactionId>()?;
    Ok(OrderDetails {
        notify_url: columns.value()?,
        success_url: columns.value()?,
        failure_url: columns.value()?,
        locale: columns.value()?,
        ip: columns.value()?,
        nonce: u128::from_be_bytes(columns.bytes()?),
        terms_version: columns.value()?,
    })
}
