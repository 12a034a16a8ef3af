//! Commands about changes that wait for a second person: the list, approve, reject.

use std::sync::Arc;

use cashier_core::filter::ApprovalField;
use cashier_core::ids::ApprovalId;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::Role;

use crate::flows::configure::{self, ApprovalRequest, Decision};
use crate::json_object::Described;
use crate::manager::command::{ById, Command, CommandCall, Effect};
use crate::wire::answer_values::{Listing, ListingOf};
use crate::wire::approval::{ApprovalAnswer, ApprovalRecord};
use crate::wire::config;
use crate::wire::envelope::{self, CommandResult};
use crate::wire::filter::{self, Parameters};

pub const LIST: Command = Command {
    name: "MngGetCashierApprovalsByFilter",
    may: Role::may_manage_cashier,
    effect: Effect::Reads,
    errors: &[],
    request: filter::schema::<ApprovalField>,
    answer: ListingOf::<ApprovalRecord>::schema,
    run: |call| Box::pin(async move { list(&call) }),
};

pub const APPROVE: Command = Command {
    name: "MngApproveCashierChange",
    may: Role::may_manage_cashier,
    effect: Effect::Changes,
    errors: &[RefusalCode::NotFound, RefusalCode::Duplicate, RefusalCode::ApprovalStale, RefusalCode::ConfigInUse],
    request: ById::schema,
    answer: ApprovalAnswer::schema,
    run: |call| Box::pin(decide(call, true)),
};

pub const REJECT: Command = Command {
    name: "MngRejectCashierChange",
    may: Role::may_manage_cashier,
    effect: Effect::Changes,
    errors: &[RefusalCode::NotFound, RefusalCode::Duplicate, RefusalCode::ApprovalStale],
    request: ById::schema,
    answer: ApprovalAnswer::schema,
    run: |call| Box::pin(decide(call, false)),
};

fn list(call: &CommandCall) -> CommandResult {
    let filter = Parameters::from_json(call.data())?.into_filter()?;
    let (snapshot, now) = (call.cashier.snapshot(), call.cashier.clock.now());
    let page = filter.page(snapshot.approvals().filter(|row| call.session.sees(&row.brand)));
    envelope::success(&Listing::new(page.rows.iter().map(|row| ApprovalRecord::new(row, now)), page.count))
}

async fn decide(call: CommandCall, approves: bool) -> CommandResult {
    let id = ApprovalId(call.id()?);
    let cashier = Arc::clone(&call.cashier);
    let decision = if approves {
        let no_row = || Refusal::new(RefusalCode::NotFound, "there is no such row");
        let snapshot = cashier.snapshot();
        let asked = snapshot.approval(id).filter(|row| call.session.sees(&row.brand)).ok_or_else(no_row)?;
        // What was decided or is expired has no request any more.
        asked.check_open(cashier.clock.now())?;
        asked.check_readable()?;
        Decision::Approve(Box::new(config::read(asked.request.expose().as_bytes())?))
    } else {
        Decision::Reject
    };
    let request = ApprovalRequest { session: call.session, id, decision, context: call.context };
    let decided = configure::decide_approval(&cashier, request).await?;
    envelope::success(&ApprovalAnswer::new(&decided, cashier.clock.now()))
}
