//! The table cashier_transaction. Facts and refs are columns of it: a row is always read and written whole.

use cashier_core::transaction::Transaction;

use super::writer::RowWriter;
use crate::ports::Fault;
use crate::strand::columns::table;

table! {
    Transaction "cashier_transaction" {
        customer_id; login; kind: "type"; source; provider; method; requested_method: "asked_method"; provider_payment_id;
        amount: "amount_minor", "currency"; account_currency; conversion; status; reason: "reason_code", "reason_detail";
        idempotency_key; approved_by; approved_time; processed_by; processed_time; reject_reason;
        created_time; updated_time; config_id; brand; country; sandbox; reference; key_space; expires_time; refs;
        facts: "provider_facts", "person_facts"; first_answer; next_action; refused_seq; version; query_wanted; has_texts; stored_bytes;
        server;
    }
}

/// The texts are in a table of their own ([`bodies`](super::bodies)): a row is read and written again at each change, and at
/// every start.
const PUT: &str = concat!(
    "REPLACE INTO cashier_transaction (",
    columns!(),
    ", comment, metadata_json) VALUES (",
    values!(),
    ", '', '{}')"
);

/// The first id that is not below a number.
pub(in crate::strand) const FIRST_FROM: &str = "SELECT id FROM cashier_transaction WHERE id >= ? ORDER BY id LIMIT 1";

/// Rows of an id range, both ends included, in the order of their ids.
pub(in crate::strand) const READ_RANGE: &str =
    concat!("SELECT ", columns!(), " FROM cashier_transaction WHERE id BETWEEN ? AND ? ORDER BY id");

/// Rows that were noted as changed under a generation or a later one.
pub(in crate::strand) const READ_CHANGED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM cashier_transaction WHERE id IN (SELECT id FROM changed_transaction WHERE generation >= ?) ORDER BY id"
);

pub(super) fn put(writer: &mut RowWriter<'_>, row: &Transaction) -> Result<(), Fault> {
    writer.touch('t', row.id.0);
    writer.put(TABLE, PUT, |put| bind(put, row))
}
