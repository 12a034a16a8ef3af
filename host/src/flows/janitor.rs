//! What remains to be done is derived from state and done here: postings that are due, create calls that never ended,
//! payments nobody has heard of for long, orders past their time, and a ledger that closed. A restart and a normal run
//! take the same path.

mod backoff;
mod provider_calls;

use std::sync::{Arc, Weak};
use std::time::Duration;

use cashier_core::aggregate::Aggregate;
use cashier_core::change::Change;
use cashier_core::facts::ProviderFact;
use cashier_core::ids::{ConfigId, TransactionId};
use cashier_core::session::Actor;
use cashier_core::status::ProcessingStatus;
use cashier_core::time::UnixTime;
use cashier_core::transaction::{FirstAnswer, Transaction};

use self::backoff::Backoff;
use super::{Cashier, configure, settle};

/// How often duties are looked for.
const ROUND: Duration = Duration::from_secs(5);

/// Every so many rounds, gateways that did not open are tried again: a minute is soon for a sender that repeats its
/// notices, and rare for a module that says no each time.
const REOPEN_ROUNDS: u64 = 12;

/// How long after a failed commit the books are loaded again, and again after each failure.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

/// Request id of the janitor's own commits.
const REQUEST_ID: &str = "janitor";

/// A pending payment is asked about first after this long; then the pause doubles, up to [`ASK_PAUSE_MAX`].
const ASK_PAUSE_MIN: i64 = 60;
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

/// Starts the janitor and the keeper of the ledger. They end with the cashier.
pub fn start(cashier: &Arc<Cashier>) {
    let (sweeper, keeper) = (Arc::downgrade(cashier), Arc::downgrade(cashier));
    let clock = Arc::clone(&cashier.clock);
    cashier.spawn.resident(Box::pin(async move {
        let mut backoff = Backoff::default();
        let mut rounds: u64 = 1;
        let mut epoch = 0;
        while let Some(cashier) = sweeper.upgrade() {
            // What was learnt of books that were loaded anew since may not be so.
            let present = cashier.ledger.epoch();
            if std::mem::replace(&mut epoch, present) != present {
                backoff = Backoff::default();
            }
            round(&cashier, &mut backoff).await;
            if rounds.is_multiple_of(REOPEN_ROUNDS) {
                configure::reopen_broken(&cashier);
            }
            rounds += 1;
            cashier.rate_limit.forget_quiet();
            cashier.withdrawals.forget_quiet();
            cashier.network_verifications.forget_quiet();
            drop(cashier);
            clock.sleep(ROUND).await;
        }
    }));
    cashier.spawn.resident(Box::pin(keep_open(keeper)));
}

/// Loads the books anew whenever a commit has failed, until that works.
async fn keep_open(cashier: Weak<Cashier>) {
    while let Some(cashier) = cashier.upgrade() {
        cashier.ledger.closed().await;
        cashier.clock.sleep(REOPEN_PAUSE).await;
        match cashier.ledger.reopen().await {
            Ok((configs, overrides)) => {
                tracing::warn!("the books were loaded anew after a failed commit: the ledger is open");
                configure::reloaded(&cashier, configs, overrides).await;
            }
            Err(fault) => tracing::error!(%fault, "the books could not be loaded: the ledger stays closed"),
        }
    }
}

async fn round(cashier: &Arc<Cashier>, backoff: &mut Backoff) {
    let (now, ticks) = (cashier.clock.now(), cashier.clock.monotonic());
    let Ok(open) = cashier.ledger.peek(|books| books.unsettled()) else { return };
    backoff.keep_only(&open);
    for (id, left) in cashier.requeue.take() {
        backoff.take_up(id, left);
    }
    let mut due = backoff.in_turn(&open);
    due.retain(|id| backoff.is_due(*id, ticks));
    let (mut questions, mut postings) = (0, 0);
    let mut without_room = None;
    for some in due.chunks(LOOKED_AT_ONCE) {
        let looked = cashier.ledger.peek(|books| {
            let seen = |id: &TransactionId| books.aggregate(*id).map(|known| look(&known, now));
            some.iter().map(|id| (*id, seen(id))).collect::<Vec<_>>()
        });
        let Ok(looked) = looked else { return };
        for (id, seen) in looked {
            let Some(Seen { config_id, duty, pause_max }) = seen else { continue };
            let Some(duty) = duty else {
                backoff.nothing_due(id, ticks);
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
            if duty == Duty::RepeatCreate && cashier.creating.is_flying(id) {
                continue;
            }
            match duty {
                Duty::Settle => settle::start(cashier, id),
                Duty::RepeatCreate | Duty::Advance | Duty::Ask | Duty::Expire => {
                    let Some(place) = backoff.place(config_id) else {
                        without_room.get_or_insert(id);
                        continue;
                    };
                    provider_calls::ask(cashier, id, duty, place);
                }
            }
            *begun += 1;
            backoff.tried(id, duty, ticks, pause_max);
        }
        if questions >= QUESTIONS_PER_ROUND_MAX && postings >= POSTINGS_PER_ROUND_MAX && without_room.is_some() {
            break;
        }
        tokio::task::yield_now().await;
    }
    backoff.next = without_room.unwrap_or_default();
    give_up_on_unknown_events(cashier, now).await;
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

/// Events whose transaction never appeared are closed as failed.
async fn give_up_on_unknown_events(cashier: &Cashier, now: UnixTime) {
    let long_ago = now.plus(-UNKNOWN_EVENT_SECONDS);
    let Ok(old) = cashier.ledger.peek(|books| books.pending_events_before(long_ago)) else { return };
    if old.is_empty() {
        return;
    }
    let stamp = cashier.stamp(Actor::System, REQUEST_ID);
    let closed = cashier.ledger.decide(&stamp, |draft| {
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
