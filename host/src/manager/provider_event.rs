//! Commands about provider events: the list with bodies and headers, and replay.

use cashier_core::filter::{Clause, EventField, Field, FilterBuilder};
use cashier_core::ids::EventId;
use cashier_core::notice::ProviderEvent;
use cashier_core::refusal::RefusalCode;
use cashier_core::session::Role;

use crate::flows::{EXPORT_ROWS_MIN, ListReader, events, replay};
use crate::json_object::{Described, answer};
use crate::manager::command::{ById, Command, CommandCall, Effect};
use crate::manager::event_list;
use crate::wire::answer_values::ListingOf;
use crate::wire::envelope::{self, CommandAnswer, CommandResult};
use crate::wire::event::EventRecord;
use crate::wire::filter::{self, Parameters};

pub const LIST: Command = Command {
    name: "MngGetCashierProviderEventsByFilter",
    may: Role::may_manage_cashier,
    effect: Effect::Reads,
    errors: &[],
    request: filter::schema::<EventField>,
    answer: ListingOf::<EventRecord<'_>>::schema,
    run: |call| Box::pin(list(call)),
};

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

async fn list(call: CommandCall) -> CommandResult {
    let mut own = FilterBuilder::new();
    if let Some(brand) = call.session.brand() {
        // Events without a brand are for sessions without one.
        own.flat(Clause::Where, &[EventField::Brand.name(), "=", brand])?;
    }
    let filter = Parameters::from_json(call.data())?.into_filter_on(own)?;
    let manager = call.session.manager_id();
    let is_export = filter.limit() >= EXPORT_ROWS_MIN;
    let reader = if is_export { ListReader::Export(manager) } else { ListReader::Manager(manager) };
    let rows = events::list(&call.cashier, reader, filter).await?;
    Ok(CommandAnswer::of_body(event_list::listing(rows).await?))
}

async fn run(call: CommandCall) -> CommandResult {
    let id = EventId(call.id()?);
    let events = replay::by_hand(&call.cashier, &call.session, id, &call.context.request_id).await?;
    envelope::success(&ReplayAnswer::new(&events))
}
