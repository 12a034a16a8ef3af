//! The bodies of every "no": `{"error","message"}`, with the transaction where the provider's answer made one.

use cashier_core::refusal::Refusal;
use cashier_core::transaction::Transaction;

use crate::wire::transaction::{self, View};
use crate::wire::write::{self, Object};

/// `{"error":"CODE","message":"…"}`.
pub fn write(out: &mut Vec<u8>, refusal: &Refusal) {
    write::object(out, |fields| write_fields(fields, refusal));
}

/// The same with the customer's own transaction, as 502 and 503 of a deposit carry it (API.md section 3).
pub fn write_with_transaction(out: &mut Vec<u8>, refusal: &Refusal, transaction: &Transaction) {
    write::object(out, |fields| {
        write_fields(fields, refusal);
        fields.value("transaction", |out| transaction::write(out, transaction, View::Customer));
    });
}

fn write_fields(fields: &mut Object<'_>, refusal: &Refusal) {
    fields.text("error", refusal.code.text()).text("message", &refusal.message);
}
