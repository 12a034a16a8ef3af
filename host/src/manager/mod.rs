//! The manager API: one table of commands, whichever listener delivers a message (API.md section 4). It reads the envelope,
//! checks the session, finds the command and wraps its answer; each command is in the file of its noun. It knows no socket.

pub mod approval;
pub mod audit;
pub mod command;
pub mod config;
pub mod correction;
pub mod csv_export;
pub mod customer_override;
pub mod event_list;
pub mod explain;
pub mod manual;
pub mod module;
pub mod provider_event;
pub mod refund;
mod refused;
pub mod review;
pub mod roster;
mod second_person;
pub mod transaction;
pub mod transaction_list;
pub mod work_export;
pub mod work_list;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::refused::{RefusalTrace, trace};
use cashier_core::session::ManagerSession;
use cashier_core::time::UnixTime;

use self::command::{Command, CommandCall, Effect, ListPart};
use self::csv_export::Ask;
use crate::flows::{AuditSubject, Cashier, ManagerAct, RequestContext, refusals};
use crate::json_object::shown;
use crate::wire::csv::Columns;
use crate::wire::envelope::{self, CommandAnswer, CommandResult, Envelope};
use crate::wire::pieces::AnswerBody;
use crate::wire::values::AnyJson;

/// Bytes of one message on every manager listener (API.md section 4).
pub const MESSAGE_LENGTH_MAX: usize = 1024 * 1024;

/// Every command.
pub const COMMANDS: &[Command] = &[
    transaction::GET,
    transaction::LIST,
    correction::UPDATE,
    work_list::LIST,
    manual::DEPOSIT,
    manual::WITHDRAWAL,
    manual::PROCESS,
    manual::REJECT,
    review::RETRY,
    review::RESOLVE,
    refund::REFUND,
    refund::CANCEL,
    config::PROVIDERS,
    config::LIST,
    config::ADD,
    config::UPDATE,
    config::DELETE,
    customer_override::GET,
    customer_override::LIST,
    customer_override::UPDATE,
    module::LIST,
    provider_event::LIST,
    explain::METHODS,
    explain::TRANSACTION,
    provider_event::REPLAY,
    provider_event::DISMISS,
    approval::LIST,
    approval::APPROVE,
    approval::REJECT,
    audit::LIST,
    roster::CUSTOMER,
    roster::ACCOUNT,
    roster::GROUP,
    roster::IMPORT,
];

/// Commands whose answer is a list that is made whole, or read like one.
const LISTS: &[&str] = &[
    config::PROVIDERS.name,
    config::LIST.name,
    customer_override::LIST.name,
    module::LIST.name,
    approval::LIST.name,
    audit::LIST.name,
    explain::METHODS.name,
    explain::TRANSACTION.name,
];

/// Verifies manager tokens. The listener implements it; commands get the session that it returns.
pub trait Tokens: Send + Sync {
    /// `from` is for the log of refused sign-ins.
    fn manager(&self, token: Option<&str>, from: &RequestContext, now: UnixTime) -> Result<ManagerSession, Refusal>;
}

/// What the commands need: the cashier and the check of tokens.
pub struct ManagerContext {
    pub cashier: Arc<Cashier>,
    pub tokens: Arc<dyn Tokens>,
}

/// The form of an answer: the envelope, or of a list its rows as CSV without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerForm {
    Json,
    Csv,
}

/// What a message is answered.
pub struct ManagerAnswer {
    pub number: u16,
    pub body: AnswerBody,
    /// Refusals, and what is no list, are JSON whatever was wanted.
    pub form: AnswerForm,
}

/// Answers one message with its status and the whole envelope. `authorization` is the token of the transport, used when the
/// message carries none.
pub async fn answer(
    manager: &ManagerContext,
    message: &[u8],
    authorization: Option<&str>,
    context: RequestContext,
) -> (u16, AnswerBody) {
    let ManagerAnswer { number, body, .. } =
        answer_as(AnswerForm::Json, manager, message, authorization, context).await;
    (number, body)
}

/// The same in another form, where the answer is a list.
pub async fn answer_as(
    form: AnswerForm,
    manager: &ManagerContext,
    message: &[u8],
    authorization: Option<&str>,
    context: RequestContext,
) -> ManagerAnswer {
    let (ext_id, result) = match envelope::read(message) {
        Ok(mut envelope) => (envelope.ext_id.take(), run(form, manager, envelope, authorization, context).await),
        Err((ext_id, refusal)) => (ext_id, Err(refusal)),
    };
    let is_bare = result.as_ref().is_ok_and(CommandAnswer::is_bare);
    let (number, body) = envelope::write(ext_id, result);
    ManagerAnswer { number, body, form: if is_bare { AnswerForm::Csv } else { AnswerForm::Json } }
}

async fn run(
    form: AnswerForm,
    manager: &ManagerContext,
    envelope: Envelope,
    authorization: Option<&str>,
    context: RequestContext,
) -> CommandResult {
    let token = envelope.token.as_ref().map(|token| &*token.0).or(authorization);
    let session = manager.tokens.manager(token, &context, manager.cashier.clock.wall());
    let session = session.inspect_err(|_| manager.cashier.count_anonymous_message())?;
    let name = &*envelope.command.0;
    let Some(command) = COMMANDS.iter().find(|known| known.name == name) else {
        let act = ManagerAct { session, command: refusals::UNKNOWN_COMMAND, context, approval: None, ground: None };
        let (subject, code) = (AuditSubject::default(), RefusalCode::NotFound);
        refusals::record(&manager.cashier, &act, subject, code, refused::unknown_command(name)).await;
        return Err(Refusal::new(code, format!("there is no command {}", shown(name))));
    };
    let act = ManagerAct { session, command: command.name, context, approval: None, ground: None };
    let answered = match form {
        AnswerForm::Json => perform(&manager.cashier, command, &act, envelope.data.as_ref(), ListPart::Page).await,
        AnswerForm::Csv => perform_as_csv(&manager.cashier, command, &act, envelope.data.as_ref()).await,
    };
    if let Err(refusal) = &answered {
        match trace(command.effect == Effect::Changes, refusal.code) {
            RefusalTrace::Recorded => {
                let (named, stated) = refused::of_request(command.name, envelope.data.as_ref());
                let subject = refused::subject(&manager.cashier, &act.session, named);
                refusals::record(&manager.cashier, &act, subject, refusal.code, stated).await;
            }
            RefusalTrace::Counted => refusals::count(&manager.cashier, &act.session),
            RefusalTrace::None => {}
        }
    }
    answered
}

/// A list as CSV; any other answer as it is.
async fn perform_as_csv(
    cashier: &Arc<Cashier>,
    command: &'static Command,
    act: &ManagerAct,
    data: Option<&AnyJson>,
) -> CommandResult {
    let Some(columns) = Columns::of(&(command.answer)()) else {
        return perform(cashier, command, act, data, ListPart::Page).await;
    };
    let (cashier, act, clock) = (Arc::clone(cashier), act.clone(), Arc::clone(&cashier.clock));
    let asked = data.map(|data| Arc::new(AnyJson(data.0.clone())));
    let ask: Ask = Box::new(move |part| {
        let (cashier, act, data) = (Arc::clone(&cashier), act.clone(), asked.clone());
        Box::pin(async move { perform(&cashier, command, &act, data.as_deref(), part).await })
    });
    csv_export::answer(ask, columns, data.map_or(b"{}", |data| data.0.get().as_bytes()), clock).await
}

async fn perform(
    cashier: &Arc<Cashier>,
    command: &Command,
    act: &ManagerAct,
    data: Option<&AnyJson>,
    part: ListPart,
) -> CommandResult {
    let of_approvals = approval::OF_APPROVALS.contains(&command.name);
    if !cashier.rules.rights.may_act(&act.session, command.name, command.may, of_approvals) {
        return Err(Refusal::new(RefusalCode::PermissionDenied, "this session may not use the command"));
    }
    // A list of transactions has a permit of its own kind.
    let mut permit = match LISTS.contains(&command.name) {
        // Its number of rows is not known yet.
        true => Some(cashier.list_permit(part.reader(&act.session, 0)).await?),
        false => None,
    };
    let call = CommandCall {
        cashier: Arc::clone(cashier),
        command: command.name,
        session: act.session.clone(),
        data: data.map(|data| AnyJson(data.0.clone())),
        part,
        context: act.context.clone(),
        approval: None,
    };
    let answer = (command.run)(call).await?;
    if let Some(permit) = &mut permit {
        permit.hold(answer.length().unwrap_or_default()).await?;
    }
    Ok(answer.holding(permit))
}
