//! The command about provider events: one that could not be read is shown to its module again.

use cashier_core::ids::EventId;
use cashier_core::notice::ProviderEvent;
use cashier_core::refusal::RefusalCode;
use cashier_core::session::Role;

use crate::flows::replay;
use crate::json_object::{Described, answer};
use crate::manager::command::{ById, Command, CommandCall, Effect};
use crate::wire::envelope::{self, CommandResult};
use crate::wire::event::EventRecord;

pub const REPLAY: Command = Command {
    name: "MngReplayCashierProviderEvent",
    may: Role::may_manage_cashier,
    effect: Effect::Changes,
    errors: &[RefusalCode::NotFound, RefusalCode::ProviderUnavailable],
    request: ById::schema,
    answer: ReplayAnswer::schema,
    run: |call| Box::pin(run(call)),
};

answer! {
    /// What showing the event to its module again came to.
    pub struct ReplayAnswer<'a>(events: &'a [ProviderEvent]) {
        events: Vec<EventRecord<'a>> = events.iter().map(|row| EventRecord::for_manager(row, b"", "")).collect(),
            "the events that the notice is now, without body and headers; one of status 2 where it is still unreadable";
    }
}

async fn run(call: CommandCall) -> CommandResult {
    let id = EventId(call.id()?);
    let events = replay::by_hand(&call.cashier, &call.session, id, &call.context.request_id).await?;
    envelope::success(&ReplayAnswer::new(&events))
}
