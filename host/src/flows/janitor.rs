//! What remains to be done is derived from state and done here: postings that are due, create calls that never ended,
//! payments nobody has heard of for long, orders past their time, and a ledger that closed. A restart and a normal run
//! take the same path.

mod agenda;

use std::sync::{Arc, Weak};
use std::time::Duration;

use cashier_core::aggregate::{Aggregate, CreateEnding};
use cashier_core::change::Change;
use cashier_core::facts::{Doubt, ProviderFact};
use cashier_core::ids::{ConfigId, TransactionId};
use cashier_core::session::Actor;
use cashier_core::status::ProcessingStatus;
use cashier_core::time::UnixTime;
use cashier_core::transaction::{FirstAnswer, Transaction};

use self::agenda::Agenda;
use super::deposit::{end_create, order_of};
use super::inquiry::{self, Asked, Question};
use super::{House, configure, settle};
use crate::ledger::Ticket;
use crate::ports::{CreateAnswer, Durable};

/// How often duties are looked for.
const ROUND: Duration = Duration::from_secs(5);

/// Every so many rounds, gateways that did not open are tried again: a minute is soon for a sender that repeats its
/// notices, and rare for a module that says no each time.
const REOPEN_ROUNDS: u64 = 12;

/// How long after a failed commit the books are loaded again, and again after each failure.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

/// Request id of the janitor's own commits.
const HOUSE_REQUEST: &str = "janitor";

/// A pending payment is asked about first after this long; then the pause doubles, up to [`ASK_PAUSE_MAX`].
const ASK_PAUSE_MIN: i64 = 60;
/// The part of a provider's idempotency window that is not used: its clock is not ours (API.md section 5).
const WINDOW_MARGIN_SECONDS: i64 = 60 * 60;
/// An event whose transaction has not appeared by then never will (API.md section 3, rule 3).
const UNKNOWN_EVENT_SECONDS: i64 = 24 * 60 * 60;
/// Questions to providers begun in one round, and postings sent to the trading server; the rest wait for the next round,
/// which begins where this one found no room, so that a restart floods nobody and no duty starves another.
const QUESTIONS_PER_ROUND_MAX: usize = 256;
const POSTINGS_PER_ROUND_MAX: usize = 256;
/// Transactions looked at in one hold of the ledger's lock: some 200 µs, so that deposits do not wait for the janitor.
const LOOKED_AT_ONCE: usize = 128;
/// Events given up in one round; more are given up in the next.
const EVENTS_PER_ROUND_MAX: usize = 1024;

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

/// Starts the janitor and the keeper of the ledger. They end with the house.
pub fn start(house: &Arc<House>) {
    let (sweeper, keeper) = (Arc::downgrade(house), Arc::downgrade(house));
    let clock = Arc::clone(&house.clock);
    house.spawn.resident(Box::pin(async move {
        let mut agenda = Agenda::default();
        let mut rounds: u64 = 1;
        let mut epoch = 0;
        while let Some(house) = sweeper.upgrade() {
            // What was learnt of books that were loaded anew since may not be so.
            if std::mem::replace(&mut epoch, house.ledger.epoch()) != house.ledger.epoch() {
                agenda = Agenda::default();
            }
            round(&house, &mut agenda).await;
            if rounds.is_multiple_of(REOPEN_ROUNDS) {
                configure::reopen_broken(&house);
            }
            rounds += 1;
            house.pace.forget_quiet();
            house.withdrawals.forget_quiet();
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
            Ok((configs, overrides)) => {
                tracing::warn!("the books were loaded anew after a failed commit: the ledger is open");
                configure::reloaded(&house, configs, overrides).await;
            }
            Err(fault) => tracing::error!(%fault, "the books could not be loaded: the ledger stays closed"),
        }
    }
}

async fn round(house: &Arc<House>, agenda: &mut Agenda) {
    let (now, ticks) = (house.clock.now(), house.clock.monotonic());
    let Ok(open) = house.ledger.glance(|books| books.unsettled()) else { return };
    agenda.keep_only(&open);
    for (id, left) in house.undone.take() {
        agenda.take_up(id, left);
    }
    let mut due = agenda.in_turn(&open);
    due.retain(|id| agenda.is_due(*id, ticks));
    let (mut questions, mut postings) = (0, 0);
    let mut without_room = None;
    for some in due.chunks(LOOKED_AT_ONCE) {
        let looked = house.ledger.glance(|books| {
            let seen = |id: &TransactionId| books.aggregate(*id).map(|known| look(&known, now));
            some.iter().map(|id| (*id, seen(id))).collect::<Vec<_>>()
        });
        let Ok(looked) = looked else { return };
        for (id, seen) in looked {
            let Some(Seen { config_id, duty, pause_max }) = seen else { continue };
            let Some(duty) = duty else {
                agenda.nothing_due(id, ticks);
                continue;
            };
            let (begun, most) = match duty {
                Duty::Settle => (&mut postings, POSTINGS_PER_ROUND_MAX),
                Duty::RepeatCreate | Duty::Advance | Duty::Ask | Duty::Expire => {
                    (&mut questions, QUESTIONS_PER_ROUND_MAX)
                }
            };
            if *begun >= most {
                without_room.get_or_insert(id);
                continue;
            }
            if duty == Duty::RepeatCreate && house.creating.is_flying(id) {
                continue;
            }
            match duty {
                Duty::Settle => settle::start(house, id),
                Duty::RepeatCreate | Duty::Advance | Duty::Ask | Duty::Expire => {
                    let Some(place) = agenda.place(config_id) else {
                        without_room.get_or_insert(id);
                        continue;
                    };
                    ask(house, id, duty, place);
                }
            }
            *begun += 1;
            agenda.tried(id, duty, ticks, pause_max);
        }
        if questions >= QUESTIONS_PER_ROUND_MAX && postings >= POSTINGS_PER_ROUND_MAX && without_room.is_some() {
            break;
        }
        tokio::task::yield_now().await;
    }
    agenda.next = without_room.unwrap_or_default();
    give_up_on_unknown_events(house, now).await;
}

/// What the janitor sees of a transaction.
struct Seen {
    config_id: ConfigId,
    duty: Option<Duty>,
    /// Seconds until a moment at which something else is due.
    pause_max: i64,
}

fn look(aggregate: &Aggregate, now: UnixTime) -> Seen {
    let expires = aggregate.transaction.expires_time;
    let left = expires.0.saturating_sub(now.0);
    let pause_max = if expires.is_set() && left > 0 { left } else { i64::MAX };
    Seen { config_id: aggregate.transaction.config_id, duty: duty(aggregate, now), pause_max }
}

/// What is due for a transaction, from its state alone.
fn duty(aggregate: &Aggregate, now: UnixTime) -> Option<Duty> {
    let transaction = &aggregate.transaction;
    if aggregate.operations.iter().any(|operation| operation.is_unsettled()) {
        return Some(Duty::Settle);
    }
    // A notice may have told what the create call would: then it is not made again.
    let unpaid = transaction.is_unpaid();
    if unpaid && transaction.first_answer == FirstAnswer::Open {
        return Some(Duty::RepeatCreate);
    }
    let wants_advance = |fact: &ProviderFact| matches!(fact, ProviderFact::AdvanceWanted { .. });
    if unpaid && is_past_its_time(transaction, now) {
        return Some(Duty::Expire);
    }
    if unpaid && transaction.facts.provider.iter().any(|known| wants_advance(&known.fact)) {
        return Some(Duty::Advance);
    }
    if unpaid && transaction.first_answer == FirstAnswer::Unknown && transaction.refs.is_empty() {
        return Some(Duty::RepeatCreate);
    }
    let quiet_since = transaction.updated_time.plus(ASK_PAUSE_MIN) <= now;
    let unclear = matches!(&*transaction.reason.code, "AMOUNT_UNSTATED" | "OUTCOME_UNKNOWN");
    ((unpaid && quiet_since) || unclear).then_some(Duty::Ask)
}

fn is_past_its_time(transaction: &Transaction, now: UnixTime) -> bool {
    transaction.expires_time.is_set() && transaction.expires_time <= now
}

/// Starts what a duty asks of the provider; the place is free again when that has ended.
fn ask(house: &Arc<House>, id: TransactionId, duty: Duty, place: Arc<()>) {
    let flow = Arc::clone(house);
    house.spawn.spawn(Box::pin(async move {
        match duty {
            Duty::RepeatCreate => repeat_create(&flow, id).await,
            Duty::Advance => advance(&flow, id).await,
            Duty::Ask => drop(inquiry::ask(&flow, id, Question::Status).await),
            Duty::Expire => expire(&flow, id).await,
            // The trading server's, not a provider's.
            Duty::Settle => {}
        }
        drop(place);
    }));
}

/// Makes the call that the payment waits for. Where that brings no answer it may have been made before: the provider is
/// asked.
async fn advance(house: &Arc<House>, id: TransactionId) {
    if inquiry::ask(house, id, Question::Advance).await != Asked::Heard {
        inquiry::ask(house, id, Question::Status).await;
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
    // The call that was under way when the round looked may have ended since.
    let ended = !matches!(transaction.first_answer, FirstAnswer::Open | FirstAnswer::Unknown);
    if ended || !transaction.is_unpaid() {
        return;
    }
    let Some(gateway) = house.gateway(transaction.config_id) else {
        if is_past_its_time(transaction, house.clock.now()) {
            expire(house, id).await;
        }
        return;
    };
    let window = gateway.idempotency_window_seconds() - WINDOW_MARGIN_SECONDS;
    let in_window = house.clock.now() < transaction.created_time.plus(window);
    let terms = house.picture().config(transaction.config_id).map(|served| served.config.terms_version);
    let details = match house.archive.order(id).await {
        // Under other credentials or settings it would be another order.
        Ok(details) => details.filter(|details| in_window && terms == Some(details.terms_version)),
        Err(fault) => {
            tracing::error!(%fault, transaction = %id, "a stored order could not be read");
            return;
        }
    };
    let repeated = details.is_some();
    let mut answer = match details {
        Some(details) => {
            let order: Durable<_> = durable.with(|_| Arc::new(order_of(transaction, details)));
            gateway.create(order).await
        }
        None => unknown_answer(),
    };
    // The first call may have arrived before it was cut, so one that did not leave tells nothing.
    if matches!(answer.ending, CreateEnding::NeverSent { .. }) {
        answer = unknown_answer();
    }
    tracing::info!(transaction = %id, ending = ?answer.ending, repeated, "an unfinished create call was taken up");
    if let Err(refusal) = end_create(house, id, &*gateway, answer, HOUSE_REQUEST).await {
        tracing::warn!(%refusal, transaction = %id, "the end of a create call was not recorded");
    }
    settle::start(house, id);
    if !repeated {
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
    if !aggregate.transaction.is_unpaid() {
        return;
    }
    let known = |fact: &ProviderFact| matches!(fact, ProviderFact::Accepted | ProviderFact::AdvanceWanted { .. });
    let accepted = aggregate.transaction.facts.provider.iter().any(|heard| known(&heard.fact));
    let fact = match asked {
        Asked::NoAnswer => return,
        // Nobody could hear of it: what the provider accepted stays pending until its module is back.
        Asked::NoGateway if accepted => return,
        Asked::NoGateway | Asked::NotAskable if !accepted => ProviderFact::Doubt(Doubt::OutcomeUnknown),
        Asked::Heard | Asked::NotAskable | Asked::NoGateway => {
            if inquiry::ask(house, id, Question::Cancel).await == Asked::NoAnswer {
                return;
            }
            ProviderFact::Cancelled { reason: "EXPIRED".into() }
        }
        Asked::NotFound => ProviderFact::Cancelled { reason: "EXPIRED".into() },
    };
    if let Err(refusal) = inquiry::establish(house, id, fact).await {
        tracing::warn!(%refusal, transaction = %id, "an expiry was not recorded");
    }
}

/// Events whose transaction never appeared are closed as failed.
async fn give_up_on_unknown_events(house: &House, now: UnixTime) {
    let long_ago = now.plus(-UNKNOWN_EVENT_SECONDS);
    let Ok(old) = house.ledger.glance(|books| books.pending_events_before(long_ago)) else { return };
    if old.is_empty() {
        return;
    }
    let stamp = house.stamp(Actor::House, HOUSE_REQUEST);
    let closed = house.ledger.decide(&stamp, |draft| {
        // One that found its transaction since is left alone.
        let waiting = old.iter().take(EVENTS_PER_ROUND_MAX).filter_map(|event| draft.books().pending_event(event.id));
        let closed: Vec<Change> = waiting
            .cloned()
            .map(|mut event| {
                event.processing_status = ProcessingStatus::Failed;
                event.failure_reason = "TRANSACTION_NOT_FOUND".into();
                event.processed_time = now;
                Change::Event(Box::new(event))
            })
            .collect();
        draft.add(closed);
    });
    if let Ok(ticket) = closed {
        // A failed commit closes the ledger and these events are found again after it.
        let _ = ticket.durable().await;
    }
}
