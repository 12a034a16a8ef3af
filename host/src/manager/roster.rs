//! Commands about customers, accounts and groups of the embedded trading server, one by one or as a whole roster. They are
//! for administrators of every brand: a group decides which brand an account belongs to.

use std::sync::Arc;

use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::roster::{ImportReport, Tally};
use cashier_core::session::Role;

use crate::flows::roster::{self, RosterRequest};
use crate::json_object::Described;
use crate::manager::command::{Command, CommandCall, Effect};
use crate::ports::RosterMistake;
use crate::wire::envelope::{self, CommandResult};
use crate::wire::roster::{AccountLine, CustomerEntry, GroupEntry, RosterAnswer, TallyAnswer, schema};

pub const CUSTOMER: Command = Command {
    name: "MngUpdateCustomer",
    may: is_admin,
    effect: Effect::Changes,
    errors: &[RefusalCode::NotFound],
    request: CustomerEntry::schema,
    answer: TallyAnswer::schema,
    run: |call| Box::pin(one(call, CUSTOMER.name, "customers", |report| report.customers)),
};

pub const ACCOUNT: Command = Command {
    name: "MngUpdateAccount",
    may: is_admin,
    effect: Effect::Changes,
    errors: &[RefusalCode::NotFound],
    request: AccountLine::schema,
    answer: TallyAnswer::schema,
    run: |call| Box::pin(one(call, ACCOUNT.name, "accounts", |report| report.accounts)),
};

pub const GROUP: Command = Command {
    name: "MngUpdateGroup",
    may: is_admin,
    effect: Effect::Changes,
    errors: &[RefusalCode::NotFound],
    request: GroupEntry::schema,
    answer: TallyAnswer::schema,
    run: |call| Box::pin(one(call, GROUP.name, "groups", |report| report.groups)),
};

pub const IMPORT: Command = Command {
    name: "MngImportCashierRoster",
    may: is_admin,
    effect: Effect::Changes,
    errors: &[RefusalCode::NotFound],
    request: schema,
    answer: RosterAnswer::schema,
    run: |call| Box::pin(whole(call)),
};

fn is_admin(role: Role) -> bool {
    role == Role::Admin
}

/// One row, as a roster of that row.
async fn one(call: CommandCall, command: &'static str, list: &str, tally: fn(ImportReport) -> Tally) -> CommandResult {
    let text = format!("{{\"{list}\":[{}]}}", String::from_utf8_lossy(call.data()));
    // There is one row, so its field alone says where the mistake is.
    let report = apply(call, command, text, |mistake| &mistake.what).await?;
    envelope::success(&TallyAnswer::new(tally(report)))
}

async fn whole(call: CommandCall) -> CommandResult {
    let text = String::from_utf8_lossy(call.data()).into_owned();
    let report = apply(call, IMPORT.name, text, |mistake| &mistake.with_row).await?;
    envelope::success(&RosterAnswer::new(report))
}

async fn apply(
    call: CommandCall,
    command: &'static str,
    text: String,
    shown: impl Fn(&RosterMistake) -> &str,
) -> Result<ImportReport, Refusal> {
    if call.session.brand().is_some() {
        return Err(Refusal::new(RefusalCode::PermissionDenied, "roster commands are for sessions of every brand"));
    }
    let cashier = Arc::clone(&call.cashier);
    let request = RosterRequest { session: call.session, command, text: text.into(), context: call.context };
    let applied = roster::apply(&cashier, request).await?;
    applied.map_err(|mistakes| {
        let shown: Vec<&str> = mistakes.iter().map(shown).collect();
        Refusal::invalid(format!("nothing was imported: {}", shown.join("; ")))
    })
}
