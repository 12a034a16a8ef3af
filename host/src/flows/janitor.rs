//! The janitor does in rounds what the core says is due: postings, create calls that never ended, queries about quiet
//! payments, expired orders, events without a transaction. It also reopens a ledger that closed. A restart and a normal
//! run take the same path.

mod backoff;
mod provider_calls;
mod unmatched;

use std::sync::{Arc, Weak};
use std::time::Duration;

use cashier_core::duty::{self, Duty, ProviderDuty, Schedule};
use cashier_core::ids::TransactionId;
use cashier_core::session::Actor;

use self::backoff::Backoff;
use super::requeue::Unfinished;
use super::{Cashier, configure, replay, settle};

/// How often the janitor looks for due work.
const ROUND: Duration = Duration::from_secs(5);

/// Every so many rounds, gateways that did not open are tried again: a minute is soon for a provider that retries its
/// webhooks, and rare for a module that fails each time.
const REOPEN_ROUNDS: u64 = 12;

/// How long after a failed commit the books are loaded again, and after each further failure.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

/// Request id of the janitor's own commits.
const REQUEST_ID: &str = "janitor";

/// Provider calls begun in one round, and postings sent to the trading server; the rest wait for the next round, which
/// begins where this one found no capacity, so that a restart floods no peer and no duty starves another.
const PROVIDER_CALLS_PER_ROUND_MAX: usize = 256;
const POSTINGS_PER_ROUND_MAX: usize = 256;
/// Transactions examined in one hold of the ledger's lock: some 200 µs, so that deposits do not wait for the janitor.
const EXAMINED_AT_ONCE: usize = 128;

/// Starts the janitor and the task that reopens the ledger. They end with the cashier.
pub fn start(cashier: &Arc<Cashier>) {
    let (janitor, reopener) = (Arc::downgrade(cashier), Arc::downgrade(cashier));
    let clock = Arc::clone(&cashier.clock);
    cashier.spawn.background(Box::pin(async move {
        let mut backoff = Backoff::default();
        let mut rounds: u64 = 1;
        let mut epoch = 0;
        while let Some(cashier) = janitor.upgrade() {
            // Backoffs belong to the books of one epoch: a reload may have taken their transactions back.
            let present = cashier.ledger.epoch();
            if std::mem::replace(&mut epoch, present) != present {
                backoff = Backoff::default();
            }
            round(&cashier, &mut backoff).await;
            if rounds.is_multiple_of(REOPEN_ROUNDS) {
                configure::reopen_broken(&cashier);
            }
            if rounds % REOPEN_ROUNDS == 1 {
                replay::start_due(&cashier);
            }
            rounds += 1;
            cashier.limits.forget_idle();
            drop(cashier);
            clock.sleep(ROUND).await;
        }
    }));
    cashier.spawn.background(Box::pin(keep_open(reopener)));
}

/// Loads the books again whenever a commit has failed, until that succeeds.
async fn keep_open(cashier: Weak<Cashier>) {
    while let Some(cashier) = cashier.upgrade() {
        cashier.ledger.closed().await;
        cashier.clock.sleep(REOPEN_PAUSE).await;
        match cashier.ledger.reopen().await {
            Ok(configuration) => {
                tracing::warn!("ledger reopened: the books were loaded again after a failed commit");
                configure::reloaded(&cashier, configuration).await;
            }
            Err(fault) => tracing::error!(%fault, "reloading the books failed: the ledger stays closed"),
        }
    }
}

async fn round(cashier: &Arc<Cashier>, backoff: &mut Backoff) {
    let (now, ticks) = (cashier.clock.now(), cashier.clock.monotonic());
    let Ok(open) = cashier.ledger.peek(|books| books.unsettled()) else { return };
    backoff.keep_only(&open);
    for (id, unfinished) in cashier.requeue.take() {
        backoff.requeue(id, unfinished);
    }
    requeue_payments(cashier, &open, backoff).await;
    let mut due = backoff.in_turn(&open);
    due.retain(|id| backoff.is_due(*id, ticks));
    let plausible = cashier.clock.is_plausible();
    let mut postponed = Vec::new();
    let (mut provider_calls, mut postings) = (0, 0);
    let mut without_capacity = None;
    for some in due.chunks(EXAMINED_AT_ONCE) {
        let schedules = cashier.ledger.peek(|books| {
            let schedule = |id: &TransactionId| books.aggregate(*id).map(|known| duty::schedule(&known, now));
            some.iter().map(|id| (*id, schedule(id))).collect::<Vec<_>>()
        });
        let Ok(schedules) = schedules else { return };
        for (id, schedule) in schedules {
            let Some(Schedule { config_id, duty, expiry_postponed, pause_max }) = schedule else { continue };
            if expiry_postponed && plausible {
                postponed.push(id);
            }
            let duty = match duty {
                None | Some(Duty::AwaitRetry) => {
                    backoff.nothing_due(id, ticks);
                    continue;
                }
                Some(Duty::Provider(ProviderDuty::RepeatCreate)) if cashier.creating.is_under_way(id) => continue,
                // An implausible clock ends nothing: the provider is queried all the same.
                Some(Duty::Provider(ProviderDuty::Expire)) if !plausible => Duty::Provider(ProviderDuty::Query),
                Some(duty @ (Duty::Settle | Duty::Provider(_))) => duty,
            };
            let started = match duty {
                Duty::Settle if postings < POSTINGS_PER_ROUND_MAX => {
                    postings += 1;
                    settle::start(cashier, id);
                    true
                }
                Duty::Provider(call) if provider_calls < PROVIDER_CALLS_PER_ROUND_MAX => {
                    let slot = backoff.slot(config_id);
                    provider_calls += usize::from(slot.is_some());
                    slot.map(|slot| provider_calls::start(cashier, id, call, slot)).is_some()
                }
                Duty::Settle | Duty::Provider(_) | Duty::AwaitRetry => false,
            };
            if started {
                backoff.tried(id, duty, ticks, pause_max);
            } else {
                without_capacity.get_or_insert(id);
            }
        }
        if provider_calls >= PROVIDER_CALLS_PER_ROUND_MAX
            && postings >= POSTINGS_PER_ROUND_MAX
            && without_capacity.is_some()
        {
            break;
        }
        tokio::task::yield_now().await;
    }
    backoff.next = without_capacity.unwrap_or_default();
    if plausible {
        begin_expiries(cashier, &postponed).await;
        configure::begin_windows_of_secrets(cashier);
        unmatched::give_up(cashier, now).await;
    }
}

/// Orders that were made while the clock was implausible expire their whole time after it is plausible again.
async fn begin_expiries(cashier: &Cashier, postponed: &[TransactionId]) {
    for some in postponed.chunks(EXAMINED_AT_ONCE) {
        let stamp = cashier.stamp(Actor::System, REQUEST_ID);
        let begun = cashier.ledger.decide(&stamp, |draft| {
            for id in some {
                let changes = draft.aggregate(*id).map(|known| known.begin_expiry(draft.context()));
                draft.add(changes.into_iter().flatten());
            }
        });
        match begun {
            // After a failed commit they are found again.
            Ok(ticket) => drop(ticket.durable().await),
            Err(_) => return,
        }
    }
}

/// Makes due every payment of the configs that a flow named whose provider is still queried; the round's limits set their
/// pace. It need not be stored: a start has no pauses, so it queries all of them.
async fn requeue_payments(cashier: &Cashier, open: &[TransactionId], backoff: &mut Backoff) {
    let configs = cashier.requeue.take_configs();
    if configs.is_empty() {
        return;
    }
    for some in open.chunks(EXAMINED_AT_ONCE) {
        let named = cashier.ledger.peek(|books| {
            let is_named = |id: &&TransactionId| {
                let known = books.aggregate(**id).filter(|known| configs.contains(&known.transaction.config_id));
                known.is_some_and(|known| duty::is_queried(&known))
            };
            some.iter().filter(is_named).copied().collect::<Vec<_>>()
        });
        for id in named.unwrap_or_default() {
            backoff.requeue(id, Unfinished::Query);
        }
        tokio::task::yield_now().await;
    }
}
