//! The JSON Schemas of what customers, providers and managers send and get, by name. Those of the commands are in the
//! table of commands, those of files with their readers.

use cashier_core::filter::TransactionField;

use crate::json_object::schema::open;
use crate::json_object::{Described, Schema};
use crate::wire::answer_values::ListingOf;
use crate::wire::deposit::{DepositAnswer, DepositBody};
use crate::wire::envelope::{Envelope, EnvelopeAnswer};
use crate::wire::filter;
use crate::wire::method::MethodRecord;
use crate::wire::refusal::RefusalBody;
use crate::wire::transaction::TransactionRecord;
use crate::wire::webhook::WebhookAnswer;
use crate::wire::withdrawal::{CancelBody, WithdrawalAnswer, WithdrawalBody};

/// Every schema of this module.
pub fn all() -> Vec<(&'static str, Schema)> {
    vec![
        ("methods.answer", ListingOf::<MethodRecord>::schema()),
        ("deposit.request", DepositBody::schema()),
        ("deposit.answer", DepositAnswer::schema()),
        ("withdrawal.request", WithdrawalBody::schema()),
        ("withdrawal.answer", WithdrawalAnswer::schema()),
        ("cancel.request", CancelBody::schema()),
        ("cancel.answer", WithdrawalAnswer::schema()),
        ("transactions.filter", filter::schema_of(TransactionField::PUBLISHED)),
        ("transactions.answer", ListingOf::<TransactionRecord>::schema()),
        ("webhook.answer", WebhookAnswer::schema()),
        ("manager.request", open(&Envelope::schema())),
        ("manager.answer", EnvelopeAnswer::schema()),
        ("error", RefusalBody::schema()),
    ]
}
