//! The bodies of every refusal: `{"error","message"}`, with the transaction where the provider's answer made one.

use cashier_core::refusal::Refusal;
use cashier_core::texts::Texts;
use cashier_core::transaction::Transaction;

use crate::json_object::answer;
use crate::wire::transaction::{Audience, TransactionRecord};

answer! {
    /// A refusal.
    pub struct RefusalBody<'a>(refusal: &'a Refusal, row: Option<(&'a Transaction, &'a Texts)>) {
        error: &'a str = refusal.code.text(), "the published error code";
        message: &'a str = &*refusal.message, "what is wrong, for people";
        transaction: Option<TransactionRecord<'a>> = row.map(|(row, texts)| TransactionRecord::new(row, texts, Audience::Customer)),
            "the transaction of a deposit that the provider declined or never received";
    }
}
