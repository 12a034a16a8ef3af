//! The bodies of every refusal: `{"error","message"}`, with the transaction where the provider's answer made one.

use cashier_core::refusal::Refusal;
use cashier_core::transaction::Transaction;

use crate::json_object::answer;
use crate::wire::answer_values::Str;
use crate::wire::transaction::{Audience, TransactionRecord};

answer! {
    /// A refusal.
    pub struct RefusalBody<'a>(refusal: &'a Refusal, row: Option<&'a Transaction>) {
        error: Str<'a> = refusal.code.text(), "the published error code";
        message: Str<'a> = &*refusal.message, "what is wrong, for people";
        transaction: Option<TransactionRecord<'a>> = row.map(|row| TransactionRecord::new(row, Audience::Customer)), "the transaction of a deposit that the provider refused or never got";
    }
}
