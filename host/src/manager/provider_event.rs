//! Commands about provider events: the list with bodies and headers, replay, and what a person dismisses.

use cashier_core::filter::{Clause, EventField, Field, FilterBuilder};
use cashier_core::ids::{ConfigId, EventId};
use cashier_core::notice::ProviderEvent;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::Role;
use cashier_core::status::TransactionStatus;
use cashier_core::time::UnixTime;

use crate::flows::replay::{Recovery, ReplayMode, ReplayedEvent, ReplayedTransaction};
use crate::flows::{dismissing, events, replay};
use crate::json_object::{Described, answer, request};
use crate::manager::command::{Command, CommandCall, Effect};
use crate::manager::event_list;
use crate::wire::answer_values::{ExactAmount, ListingOf};
use crate::wire::envelope::{self, CommandAnswer, CommandResult};
use crate::wire::event::EventRecord;
use crate::wire::filter;
use crate::wire::values::{Flag, Id, Numbered, RecordId, RequiredComment, Time};

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
    request: ReplayBody::schema,
    answer: ReplayAnswer::schema,
    run: |call| Box::pin(replay(call)),
};

pub const DISMISS: Command = Command {
    name: "MngDismissCashierProviderEvent",
    may: Role::may_manage_cashier,
    effect: Effect::Changes,
    errors: &[RefusalCode::NotFound, RefusalCode::WrongStatus],
    request: DismissBody::schema,
    answer: DismissAnswer::schema,
    run: |call| Box::pin(dismiss(call)),
};

request! {
    /// A payment that is no business of the cashier's.
    pub struct DismissBody {
        id: RecordId, "id of the event";
        reason: RequiredComment, "why, for the records";
    }

    /// Which events are shown to their modules again.
    pub struct ReplayBody {
        id: Option<RecordId>, "one event";
        provider_config_id: Option<RecordId>, "instead of `id`: all events of this config since a time, in turns";
        since: Option<Time>, "that time; needed with `provider_config_id`";
        after_id: Option<Id>, "go on behind this event of that time, as the answer before said";
        dry_run: Option<Flag>, "1 says what would change and changes nothing";
        secret_required: Option<Flag>, "1 replays nothing that no secret of today verifies";
    }
}

answer! {
    /// What a replay changed of a transaction, or would change.
    pub struct ReplayedTransactionRecord<'a>(row: &'a ReplayedTransaction) {
        transaction_id: Id = Id(row.id.0), "the transaction";
        facts_added: Vec<&'a str> = row.facts.clone(), "names of the facts that were added";
        status_before: Numbered<TransactionStatus> = Numbered(before(row.status)), "status before";
        status_after: Numbered<TransactionStatus> = Numbered(after(row.status)), "status after";
        owed_before: ExactAmount = ExactAmount(before(row.owed)), "what the account was owed before, in its currency";
        owed_after: ExactAmount = ExactAmount(after(row.owed)), "the same after";
    }

    /// What showing one event to its module again came to, or would come to.
    pub struct ReplayedRecord<'a>(row: &'a ReplayedEvent) {
        id: Id = Id(row.id.0), "the event";
        verdict: &'static str = row.verdict.name(), "what the module found";
        proof: &'static str = row.proof.name(), "what proves it: secret, of today; record, that it was verified when received; none";
        reason: &'a str = &row.reason, "why it was not understood";
        changed: Flag = Flag(row.changed), "1 where something was stored, or would be";
        because: &'a str = &row.because, "why nothing changed, or would; empty where something does";
        transactions: Vec<ReplayedTransactionRecord<'a>> =
            row.transactions.iter().map(ReplayedTransactionRecord::new).collect(), "the transactions that changed";
    }

    /// An event that a person dismissed.
    pub struct DismissAnswer<'a>(row: &'a ProviderEvent) {
        event: EventRecord<'a> = EventRecord::for_manager(row, b"", ""), "the event as it is then, without body and headers";
    }

    /// What a replay came to, or would come to.
    pub struct ReplayAnswer<'a>(rows: &'a [ReplayedEvent], dry_run: bool, next: Option<(UnixTime, EventId)>) {
        events: Vec<EventRecord<'a>> =
            rows.iter().flat_map(|row| &row.events).map(|row| EventRecord::for_manager(row, b"", "")).collect(),
            "the events that the notices are now, without body and headers; in a dry run, new ones have the id 0";
        dry_run: Flag = Flag(dry_run), "1 where nothing was changed";
        done: u64 = rows.len() as u64, "events that were shown to their modules";
        changed: u64 = rows.iter().filter(|row| row.changed).count() as u64, "of these, how many changed something";
        outcomes: Vec<ReplayedRecord<'a>> = rows.iter().map(ReplayedRecord::new).collect(), "what each came to";
        next_since: Time = Time(next.unwrap_or_default().0), "where to go on: `since`; 0 where none is left";
        next_after_id: Id = Id(next.unwrap_or_default().1.0), "where to go on: `after_id`; 0 where none is left";
    }
}

fn before<T: Copy>([before, _]: [T; 2]) -> T {
    before
}

fn after<T: Copy>([_, after]: [T; 2]) -> T {
    after
}

async fn list(call: CommandCall) -> CommandResult {
    let mut own = FilterBuilder::new();
    if let Some(brand) = call.session.brand() {
        // Events without a brand are for sessions without one.
        own.flat(Clause::Where, &[EventField::Brand.name(), "=", brand])?;
    }
    let filter = call.filter_on(own)?;
    let reader = call.list_reader(filter.limit());
    let rows = events::list(&call.cashier, reader, filter).await?;
    Ok(CommandAnswer::of_body(event_list::listing(rows).await?))
}

async fn dismiss(call: CommandCall) -> CommandResult {
    let DismissBody { id, reason } = call.read()?;
    let event = dismissing::dismiss(&call.cashier, &call.act(), EventId(id.0), &reason.0).await?;
    envelope::success(&DismissAnswer::new(&event))
}

async fn replay(call: CommandCall) -> CommandResult {
    let body: ReplayBody = call.read()?;
    let act = call.act();
    let is_set = |flag: Option<Flag>| flag.is_some_and(|flag| flag.0);
    let (dry_run, secret_required) = (is_set(body.dry_run), is_set(body.secret_required));
    let mode = ReplayMode { dry_run, secret_required };
    match (body.id, body.provider_config_id, body.since) {
        (Some(id), None, None) if body.after_id.is_none() => {
            let found = replay::one(&call.cashier, &act, EventId(id.0), mode).await?;
            envelope::success(&ReplayAnswer::new(&[found], dry_run, None))
        }
        (None, Some(config), Some(since)) => {
            let from = (ConfigId(config.0), since.0, EventId(body.after_id.map_or(0, |id| id.0)));
            let Recovery { replayed, next } = replay::since(&call.cashier, &act, from, mode).await?;
            envelope::success(&ReplayAnswer::new(&replayed, dry_run, next))
        }
        (Some(_) | None, Some(_) | None, Some(_) | None) => {
            Err(Refusal::invalid("give either id, or provider_config_id with since (and after_id to go on)"))
        }
    }
}
