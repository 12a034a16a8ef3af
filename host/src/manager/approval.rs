//! Commands about changes that wait for a second person: the list, approve, reject.

use std::sync::Arc;

use cashier_core::approval::ApprovalAt;
use cashier_core::filter::ApprovalField;
use cashier_core::ids::ApprovalId;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::Role;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::flows::approvals;
use crate::flows::configure::{self, ApprovalDecision, ApprovalRequest};
use crate::json_object::Described;
use crate::manager::command::{ById, Command, CommandCall, Effect};
use crate::manager::{config as config_commands, refund, review};
use crate::wire::answer_values::{Listing, ListingOf};
use crate::wire::approval::{ApprovalAnswer, ApprovalRecord};
use crate::wire::config;
use crate::wire::envelope::{self, CommandResult};
use crate::wire::filter;
use crate::wire::values::AnyJson;

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
    errors: &[
        RefusalCode::NotFound,
        RefusalCode::Duplicate,
        RefusalCode::ApprovalStale,
        RefusalCode::InsufficientBalance,
        RefusalCode::PostingRefused,
        RefusalCode::WrongStatus,
        RefusalCode::ProviderDeclined,
        RefusalCode::ProviderUnavailable,
    ],
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

/// The commands about approvals themselves.
pub const OF_APPROVALS: [&str; 3] = [LIST.name, APPROVE.name, REJECT.name];

/// Commands about configs that may wait for a second person.
const EDITS: &[Command] = &[config_commands::ADD, config_commands::UPDATE];

/// Commands about transactions that may.
const DECISIONS: &[Command] = &[refund::REFUND, review::RESOLVE, review::RETRY];

fn list(call: &CommandCall) -> CommandResult {
    let filter = call.filter()?;
    let (snapshot, now) = (call.cashier.snapshot(), call.cashier.clock.now());
    let visible = snapshot.approvals().filter(|row| call.session.sees(&row.brand));
    let page = filter.page(visible.map(|row| ApprovalAt { row, now }));
    envelope::success(&Listing::new(page.rows.iter().map(|known| ApprovalRecord::new(known.row, now)), page.count))
}

/// It goes on where the client disconnects: what is approved is made once, and the answer is its outcome.
async fn decide(call: CommandCall, approves: bool) -> CommandResult {
    let (sender, outcome) = oneshot::channel();
    let spawn = Arc::clone(&call.cashier.spawn);
    spawn.spawn(Box::pin(async move {
        let _ = sender.send(if approves { approve(call).await } else { reject(call).await });
    }));
    outcome.await.unwrap_or_else(|_| Err(Refusal::new(RefusalCode::Internal, "the decision was interrupted")))
}

async fn approve(call: CommandCall) -> CommandResult {
    let id = ApprovalId(call.id()?);
    let cashier = Arc::clone(&call.cashier);
    let (deciding, asked) = approvals::begin(&cashier, &call.session, id)?;
    // Who may, before anything of what was asked is judged; the ground is judged where it is made.
    asked.check_approver(&call.session, asked.ground, cashier.clock.now())?;
    // What was decided or is expired has no request any more.
    asked.check_readable()?;
    let denied =
        || Refusal::new(RefusalCode::PermissionDenied, "this session may not use the command that was asked for");
    let command = DECISIONS.iter().chain(EDITS).find(|known| *known.name == *asked.command).ok_or_else(denied)?;
    if !cashier.rules.rights.may_act(&call.session, command.name, command.may, true) {
        return Err(denied());
    }
    if asked.transaction_id.0 == 0 {
        let edit = ApprovalDecision::Approve(Box::new(config::read(asked.request.expose().as_bytes())?));
        return decide_config(call, id, edit).await;
    }
    let request = RawValue::from_string(asked.request.expose().to_owned());
    let request = request.map_err(|_| Refusal::new(RefusalCode::Internal, "the stored request is not JSON"))?;
    let made = CommandCall { command: command.name, data: Some(AnyJson(request)), approval: Some(asked), ..call };
    (command.run)(made).await?;
    drop(deciding);
    let snapshot = cashier.snapshot();
    let decided = snapshot.approval(id).ok_or_else(|| Refusal::new(RefusalCode::NotFound, "there is no such row"))?;
    envelope::success(&ApprovalAnswer::new(decided, cashier.clock.now()))
}

async fn reject(call: CommandCall) -> CommandResult {
    let id = ApprovalId(call.id()?);
    let _deciding = approvals::begin(&call.cashier, &call.session, id)?;
    decide_config(call, id, ApprovalDecision::Reject).await
}

/// By the publisher of configuration, which also rejects what is about a transaction.
async fn decide_config(call: CommandCall, id: ApprovalId, decision: ApprovalDecision) -> CommandResult {
    let cashier = Arc::clone(&call.cashier);
    let request = ApprovalRequest { session: call.session, id, decision, context: call.context };
    let decided = configure::decide_approval(&cashier, request).await?;
    envelope::success(&ApprovalAnswer::new(&decided, cashier.clock.now()))
}
