//! A change that waits for a second person, on the wire (API.md section 4). It shows which fields would change, never a
//! value: those may be secrets.

use cashier_core::approval::Approval;
use cashier_core::time::UnixTime;

use crate::json_object::answer;
use crate::wire::answer_values::ExactAmount;
use crate::wire::values::{Id, Time};

answer! {
    /// A change that waits for a second person, or was decided by one.
    pub struct ApprovalRecord<'a>(row: &'a Approval, now: UnixTime) {
        id: Id = Id(row.id.0), "approval id";
        command: &'a str = &row.command, "the command that asked";
        provider_config_id: Id = Id(row.config_id.0), "the config, or that of the transaction; 0 where one is to be created";
        transaction_id: Id = Id(row.transaction_id.0), "the transaction; 0 where it is about a config";
        amount: Option<ExactAmount> = row.amount.map(ExactAmount), "what would move; absent where it is about a config";
        currency: Option<&'a str> = row.amount.as_ref().map(|amount| amount.currency.code()), "its currency";
        brand: &'a str = &row.brand, "brand of the config; empty for every brand";
        fields: Vec<&'a str> = row.fields.split_whitespace().collect(), "names of the fields that would take effect";
        state: &'a str = row.state_at(now).name(), "open, approved, rejected or expired";
        asked_by: Id = Id(row.asked_by.0), "manager who asked";
        asked_time: Time = Time(row.asked_time), "when it was asked";
        expires_time: Time = Time(row.expires_time), "when it expires without a decision";
        decided_by: Id = Id(row.decided_by.0), "manager who decided; 0 while open";
        decided_time: Time = Time(row.decided_time), "when it was decided; 0 while open";
    }

    /// One approval.
    pub struct ApprovalAnswer<'a>(row: &'a Approval, now: UnixTime) {
        approval: ApprovalRecord<'a> = ApprovalRecord::new(row, now), "the approval as it is now";
    }
}
