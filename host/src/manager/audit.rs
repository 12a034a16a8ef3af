//! The command about audit records: who did what, or was refused. A session of one brand sees the records of sessions of that
//! brand: what such a session did or tried is about that brand's rows, or holds nothing but what it sent itself.

use cashier_core::filter::AuditField;
use cashier_core::session::Role;

use crate::flows::audit;
use crate::json_object::{Described, answer};
use crate::manager::command::{Command, CommandCall, Effect};
use crate::ports::AuditRow;
use crate::wire::answer_values::{Listing, ListingOf};
use crate::wire::envelope::{self, CommandResult};
use crate::wire::filter;
use crate::wire::values::{Id, Time};

pub const LIST: Command = Command {
    name: "MngGetCashierAuditByFilter",
    may: Role::may_manage_cashier,
    effect: Effect::Reads,
    errors: &[],
    request: filter::schema::<AuditField>,
    answer: ListingOf::<AuditEntry>::schema,
    run: |call| Box::pin(list(call)),
};

answer! {
    /// A record of what a manager did, or was refused.
    pub struct AuditEntry<'a>(row: &'a AuditRow) {
        id: Id = Id(row.id), "id of the record";
        created_time: Time = Time(row.created_time), "when";
        manager_id: Id = Id(row.manager_id.0), "whose session; 0 is the cashier itself";
        role: u16 = row.role.into(), "number of the session's type";
        brand: &'a str = &row.brand, "brand of the session; empty for every brand";
        address: &'a str = &row.address, "address that the request came from";
        command: &'a str = &row.command, "the command";
        provider_config_id: Id = Id(row.config_id.0), "config that it is about; 0 for none";
        transaction_id: Id = Id(row.transaction_id.0), "transaction that it is about; 0 for none";
        approval_id: Id = Id(row.approval_id.0), "approval that it asked for or decided; 0 for none";
        outcome: &'a str = &row.outcome, "what became of it; `refused: CODE` where it was refused";
        request_id: &'a str = &row.request_id, "id of the request";
        changes: Vec<AuditedField<'a>> = row.changes.iter().map(AuditedField::new).collect(), "what changed, or what was sent with a refused command";
        hash: &'a str = &row.hash, "SHA-256 over the record and its predecessor's hash, hex";
    }

    /// A field before and after; secrets are fingerprints.
    pub struct AuditedField<'a>(change: &'a [Box<str>; 3]) {
        field: &'a str = &change[0], "name of the field";
        before: &'a str = &change[1], "value before";
        after: &'a str = &change[2], "value after";
    }
}

async fn list(call: CommandCall) -> CommandResult {
    let filter = call.filter()?;
    let page = audit::list(&call.cashier, &call.session, filter).await?;
    envelope::success(&Listing::new(page.rows.iter().map(AuditEntry::new), page.count))
}
