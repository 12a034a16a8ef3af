//! What remains to be done is derived from state and done here: postings that are due, create calls that never ended,
//! payments nobody has heard of for long, orders past their time, and a ledger that closed. A restart and a normal run
//! take the same path.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use cashier_core::aggregate::{Aggregate, CreateEnding};
use cashier_core::change::Change;
use cashier_core::facts::{Doubt, ProviderFact};
use cashier_core::ids::TransactionId;
use cashier_core::session::Actor;
use cashier_core::status::{ProcessingStatus, TransactionStatus};
use cashier_core::time::UnixTime;
use cashier_core::transaction::FirstAnswer;

use super::deposit::{end_create, order_of};
use super::inquiry::{self, Asked, Question};
use super::{House, settle};
use crate::ledger::Ticket;
use crate::ports::{CreateAnswer, Durable};

/// How often duties are looked for.
const ROUND: Duration = Duration::from_secs(5);

/// How long after a failed commit the books are loaded again, and again after each failure.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

/// Request id of the janitor's own commits.
const HOUSE_REQUEST: &str = "janitor";

/// A pending payment is asked about first after this long; then the pause doubles, up to [`ASK_PAUSE_MAX`].
const ASK_PAUSE_MIN: i64 = 60;
/// A payment that is pending for days is still asked about four times a day.
const ASK_PAUSE_MAX: i64 = 6 * 60 * 60;
/// A duty that failed is tried again after this long at first.
const RETRY_PAUSE_MIN: i64 = 2;
/// A trading server that is down for hours is still tried every minute.
const RETRY_PAUSE_MAX: i64 = 60;
/// The part of a provider's idempotency window that is not used: its clock is not ours (API.md section 5).
const WINDOW_MARGIN_SECONDS: i64 = 60 * 60;
/// An event whose transaction has not appeared by then never will (API.md section 3, rule 3).
const UNKNOWN_EVENT_SECONDS: i64 = 24 * 60 * 60;
/// Duties begun in one round; the rest wait for the next, so that a restart does not flood providers.
const DUTIES_PER_ROUND_MAX: usize = 256;

/// What a transaction needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Duty {
    /// An operation waits for the trading server.
    Settle,
    /// The create call was begun and its end was never recorded, or its answer never heard.
    RepeatCreate,
    /// A notice asked for a money-moving follow-up.
    Advance,
    /// Nothing was heard for long, or something must be told more exactly.
    Ask,
    /// The order is past its time.
    Expire,
}

/// When each transaction's duty is due again, and how often it was tried.
#[derive(Debug, Default)]
struct Agenda(BTreeMap<TransactionId, (UnixTime, u32)>);

impl Agenda {
    fn is_due(&self, id: TransactionId, now: UnixTime) -> bool {
        self.0.get(&id).is_none_or(|(at, _)| *at <= now)
    }

    fn tried(&mut self, id: TransactionId, duty: Duty, now: UnixTime) {
        let tries = self.0.get(&id).map_or(0, |(_, tries)| *tries);
        let (least, most) = match duty {
            Duty::Settle => (RETRY_PAUSE_MIN, RETRY_PAUSE_MAX),
            Duty::RepeatCreate | Duty::Advance | Duty::Ask | Duty::Expire => (ASK_PAUSE_MIN, ASK_PAUSE_MAX),
        };
        let pause = least.saturating_mul(1_i64 << tries.min(20)).min(most);
        self.0.insert(id, (now.plus(pause), tries.saturating_add(1)));
    }

    /// Forgets transactions that have no duties left.
    fn keep_only(&mut self, open: &[TransactionId]) {
        self.0.retain(|id, _| open.binary_search(id).is_ok());
    }
}

/// Starts the janitor and the keeper of the ledger. They end with the house.
pub fn start(house: &Arc<House>) {
    let (sweeper, keeper) = (Arc::downgrade(house), Arc::downgrade(house));
    let clock = Arc::clone(&house.clock);
    house.spawn.resident(Box::pin(async move {
        let mut agenda = Agenda::default();
        while let Some(house) = sweeper.upgrade() {
            round(&house, &mut agenda).await;
            house.pace.forget_quiet();
            house.network_verifications.forget_quiet();
            drop(house);
            clock.sleep(ROUND).await;
        }
    }));
    house.spawn.resident(Box::pin(keep_open(keeper)));
}

/// Loads the books anew whenever a commit has failed, until that works.
async fn keep_open(house: Weak<House>) {
    while let Some(house) = house.upgrade() {
        house.ledger.closed().await;
        house.clock.sleep(REOPEN_PAUSE).await;
        match house.ledger.reopen().await {
            Ok(()) => tracing::warn!("the books were loaded anew after a failed commit: the ledger is open"),
            Err(fault) => tracing::error!(%fault, "the books could not be loaded: the ledger stays closed"),
        }
    }
}

async fn round(house: &Arc<House>, agenda: &mut Agenda) {
    let now = house.clock.now();
    let Ok(open) = house.ledger.glance(|books| books.unsettled()) else { return };
    agenda.keep_only(&open);
    let mut begun = 0;
    for id in open {
        if begun >= DUTIES_PER_ROUND_MAX || !agenda.is_due(id, now) {
            continue;
        }
        let Ok(Some(aggregate)) = house.ledger.glance(|books| books.aggregate(id)) else { continue };
        let Some(duty) = duty(&aggregate, now) else { continue };
        if duty == Duty::RepeatCreate && house.creating.is_flying(id) {
            continue;
        }
        agenda.tried(id, duty, now);
        begun += 1;
        perform(house, id, duty);
    }
    give_up_on_unknown_events(house, now).await;
}

/// What is due for a transaction, from its state alone.
fn duty(aggregate: &Aggregate, now: UnixTime) -> Option<Duty> {
    let transaction = &aggregate.transaction;
    if aggregate.operations.iter().any(|operation| operation.is_unsettled()) {
        return Some(Duty::Settle);
    }
    if transaction.first_answer == FirstAnswer::Open {
        return Some(Duty::RepeatCreate);
    }
    let unpaid = matches!(transaction.status, TransactionStatus::Created | TransactionStatus::PendingPayment);
    let wants_advance = |fact: &ProviderFact| matches!(fact, ProviderFact::AdvanceWanted { .. });
    if unpaid && transaction.facts.provider.iter().any(|known| wants_advance(&known.fact)) {
        return Some(Duty::Advance);
    }
    if unpaid && transaction.expires_time.is_set() && transaction.expires_time <= now {
        return Some(Duty::Expire);
    }
    if unpaid && transaction.first_answer == FirstAnswer::Unknown && transaction.refs.is_empty() {
        return Some(Duty::RepeatCreate);
    }
    let quiet_since = transaction.updated_time.plus(ASK_PAUSE_MIN) <= now;
    let unclear = matches!(&*transaction.reason.code, "AMOUNT_UNSTATED" | "OUTCOME_UNKNOWN");
    ((unpaid && quiet_since) || unclear).then_some(Duty::Ask)
}

fn perform(house: &Arc<House>, id: TransactionId, duty: Duty) {
    let flow = Arc::clone(house);
    match duty {
        Duty::Settle => settle::start(house, id),
        Duty::RepeatCreate => house.spawn.spawn(Box::pin(async move { repeat_create(&flow, id).await })),
        Duty::Advance => house.spawn.spawn(Box::pin(async move {
            inquiry::ask(&flow, id, Question::Advance).await;
        })),
        Duty::Ask => house.spawn.spawn(Box::pin(async move {
            inquiry::ask(&flow, id, Question::Status).await;
        })),
        Duty::Expire => house.spawn.spawn(Box::pin(async move { expire(&flow, id).await })),
    }
}

/// Repeats a create call byte for byte where the provider promises that this is safe; else the outcome stays unknown and
/// the provider is asked.
async fn repeat_create(house: &Arc<House>, id: TransactionId) {
    let Some(_flight) = house.creating.begin(id) else { return };
    let Ok(ticket) = house.ledger.read(|books| (books.aggregate(id), books.touched(id))) else { return };
    let Ok(durable) = Ticket::durable(ticket).await else { return };
    let Some(aggregate) = durable.get().clone() else { return };
    let transaction = &aggregate.transaction;
    let gateway =
        house.picture().config(transaction.config_id).and_then(|served| served.gateway.as_ref().ok().cloned());
    let Some(gateway) = gateway else { return };
    let window = gateway.idempotency_window_seconds() - WINDOW_MARGIN_SECONDS;
    let in_window = house.clock.now() < transaction.created_time.plus(window);
    let details = match house.archive.order(id).await {
        Ok(details) => details.filter(|_| in_window),
        Err(fault) => {
            tracing::error!(%fault, transaction = %id, "a stored order could not be read");
            return;
        }
    };
    let answer = match details {
        Some(details) => {
            let order: Durable<_> = durable.with(|_| Arc::new(order_of(transaction, details)));
            gateway.create(order).await
        }
        None => unknown_answer(),
    };
    tracing::info!(transaction = %id, ending = ?answer.ending, repeated = in_window, "an unfinished create call was taken up");
    if let Err(refusal) = end_create(house, id, &*gateway, answer, HOUSE_REQUEST).await {
        tracing::warn!(%refusal, transaction = %id, "the end of a create call was not recorded");
    }
    settle::start(house, id);
    if !in_window {
        inquiry::ask(house, id, Question::Status).await;
    }
}

fn unknown_answer() -> CreateAnswer {
    CreateAnswer {
        ending: CreateEnding::Unknown,
        update: None,
        refs: Vec::new(),
        redirect_url: Box::default(),
        instructions_json: Box::default(),
        provider_time: Duration::ZERO,
    }
}

/// At expiry: ask, cancel at the provider where that is possible, then cancelled. What was never accepted and cannot be
/// asked is doubt, never cancelled (API.md section 5, unknown is never failed).
async fn expire(house: &Arc<House>, id: TransactionId) {
    let asked = inquiry::ask(house, id, Question::Status).await;
    let Ok(Some(aggregate)) = house.ledger.glance(|books| books.aggregate(id)) else { return };
    let still_unpaid =
        matches!(aggregate.transaction.status, TransactionStatus::Created | TransactionStatus::PendingPayment);
    if asked == Asked::NoAnswer || !still_unpaid {
        return;
    }
    let accepted = aggregate.transaction.facts.provider.iter().any(|known| known.fact == ProviderFact::Accepted);
    let fact = if asked == Asked::NotAskable && !accepted {
        ProviderFact::Doubt(Doubt::OutcomeUnknown)
    } else {
        if asked == Asked::Heard && inquiry::ask(house, id, Question::Cancel).await == Asked::NoAnswer {
            return;
        }
        ProviderFact::Cancelled { reason: "EXPIRED".into() }
    };
    if let Err(refusal) = inquiry::establish(house, id, fact).await {
        tracing::warn!(%refusal, transaction = %id, "an expiry was not recorded");
    }
}

/// Events whose transaction never appeared are closed as failed.
async fn give_up_on_unknown_events(house: &House, now: UnixTime) {
    let Ok(old) = house.ledger.glance(|books| books.pending_events_before(now.plus(-UNKNOWN_EVENT_SECONDS))) else {
        return;
    };
    if old.is_empty() {
        return;
    }
    let stamp = house.stamp(Actor::House, HOUSE_REQUEST);
    let closed = house.ledger.decide(&stamp, |draft| {
        let changes = old.into_iter().map(|mut event| {
            event.processing_status = ProcessingStatus::Failed;
            event.failure_reason = "TRANSACTION_NOT_FOUND".into();
            event.processed_time = now;
            Change::Event(Box::new(event))
        });
        draft.add(changes);
    });
    if let Ok(ticket) = closed {
        // A failed commit closes the ledger and these events are found again after it.
        let _ = ticket.durable().await;
    }
}
