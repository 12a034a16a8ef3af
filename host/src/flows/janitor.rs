//! The janitor finds in rounds what the core says is due: postings, create calls that never ended, queries about quiet
//! payments, expired orders, events without a transaction. `lanes` queues it by peer, and the end of each call begins the
//! next at once. It also reopens a ledger that closed. A restart and a normal run take the same path.

mod backoff;
mod lanes;
mod pace;
mod provider_calls;
mod unmatched;

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use cashier_core::duty::{self, Duty, ProviderDuty, Schedule};
use cashier_core::ids::{ConfigId, TransactionId};
use cashier_core::session::Actor;

use self::lanes::{Place, Work};
use self::pace::{PROBE_PAUSE, Peer};
use super::requeue::Unfinished;
use super::settle::{self, Settled};
use super::{Cashier, configure, refusals, replay};

/// How often the janitor looks for due work.
const ROUND: Duration = Duration::from_secs(5);

/// Every so many rounds, gateways that did not open are tried again: a minute is soon for a provider that retries its
/// webhooks, and rare for a module that fails each time.
const REOPEN_ROUNDS: u64 = 12;

/// How long after a failed commit the books are loaded again, and after each further failure.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

/// Request id of the janitor's own commits.
const REQUEST_ID: &str = "janitor";

/// Transactions examined in one hold of the ledger's lock: some 200 µs, so that deposits do not wait for the janitor.
const EXAMINED_AT_ONCE: usize = 128;

/// Starts the janitor and the task that reopens the ledger. They end with the cashier.
pub fn start(cashier: &Arc<Cashier>) {
    let (janitor, reopener) = (Arc::downgrade(cashier), Arc::downgrade(cashier));
    let clock = Arc::clone(&cashier.clock);
    let work = Arc::new(Work::default());
    let pauses = Arc::clone(&work);
    cashier.next_tries.answered_by(Box::new(move |id| pauses.lock().backoff.next_try(id)));
    cashier.spawn.background(Box::pin(async move {
        let (mut rounds, mut reloads, mut reopened): (u64, u64, ConfigId) = (1, 0, ConfigId(0));
        let mut next_round = Duration::ZERO;
        while let Some(cashier) = janitor.upgrade() {
            // A reload may have taken transactions back. Rows of refused commits that were put back end nobody's pause: what
            // is refused for ever would have every provider asked in each round.
            let present = cashier.ledger.reloads();
            if std::mem::replace(&mut reloads, present) != present {
                work.lock().clear();
            }
            // By the time that has passed, not by looks: a machine that slept is behind with its work.
            let ticks = clock.monotonic();
            if ticks >= next_round {
                next_round = ticks.saturating_add(ROUND);
                round(&cashier, &work).await;
                if rounds.is_multiple_of(REOPEN_ROUNDS) {
                    reopened = configure::reopen_broken(&cashier, reopened);
                }
                if rounds % REOPEN_ROUNDS == 1 {
                    replay::start_due(&cashier);
                    refusals::record_counted(&cashier).await;
                }
                rounds += 1;
                cashier.limits.forget_idle();
            } else {
                queue_unfinished(&cashier, &work);
            }
            begin_all(&cashier, &work);
            drop(cashier);
            // Where nothing is queued, what flows leave unfinished waits for the next round.
            let idle = next_round.saturating_sub(clock.monotonic()).max(PROBE_PAUSE);
            let pause = if work.lock().has_queued() { PROBE_PAUSE } else { idle };
            clock.sleep(pause).await;
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
            Ok(_) => {
                tracing::warn!("ledger reopened: the books were loaded again after a failed commit");
                configure::reloaded(&cashier).await;
            }
            Err(fault) => tracing::error!(%fault, "reloading the books failed: the ledger stays closed"),
        }
    }
}

/// Queues what is due, by peer, and does what needs none. The open transactions are walked in pieces.
async fn round(cashier: &Arc<Cashier>, work: &Arc<Work>) {
    let now = cashier.clock.now();
    work.lock().begin_round();
    requeue_unfinished(cashier, work);
    let configs = cashier.requeue.take_configs();
    let mut postponed = Vec::new();
    let mut after = TransactionId::default();
    loop {
        let Ok(open) = cashier.ledger.peek(|books| books.unsettled_after(after, EXAMINED_AT_ONCE)) else { return };
        let last = open.last().copied();
        work.lock().backoff.keep_only(after, &open, last);
        let Some(last) = last else { break };
        after = last;
        requeue_payments(cashier, &open, &configs, work);
        postponed.extend(queue_due(cashier, &open, work));
        begin_all(cashier, work);
        tokio::task::yield_now().await;
    }
    if cashier.clock.is_plausible() {
        begin_expiries(cashier, &postponed).await;
        configure::begin_windows_of_secrets(cashier);
        configure::queue_end_of_secrets(cashier);
        unmatched::give_up(cashier, now).await;
    }
}

/// Ends the pauses of what flows left unfinished; returns which transactions that were.
fn requeue_unfinished(cashier: &Cashier, work: &Work) -> Vec<TransactionId> {
    let left = cashier.requeue.take();
    let mut state = work.lock();
    left.iter().for_each(|(id, unfinished)| state.backoff.requeue(*id, *unfinished));
    left.into_keys().collect()
}

/// Queues between rounds what flows left unfinished: what became due in the last seconds of an outage is done with the rest.
fn queue_unfinished(cashier: &Cashier, work: &Work) {
    for some in requeue_unfinished(cashier, work).chunks(EXAMINED_AT_ONCE) {
        // Expiries that were postponed are found by the next round.
        queue_due(cashier, some, work);
    }
}

/// Queues which of these transactions are due; returns those whose expiry begins as soon as the clock is plausible.
fn queue_due(cashier: &Cashier, open: &[TransactionId], work: &Work) -> Vec<TransactionId> {
    let (now, ticks) = (cashier.clock.now(), cashier.clock.monotonic());
    let examined: Vec<TransactionId> = {
        let state = work.lock();
        open.iter().copied().filter(|id| state.backoff.is_due(*id, ticks) && !state.is_taken(*id)).collect()
    };
    if examined.is_empty() {
        return Vec::new();
    }
    let schedules = cashier.ledger.peek(|books| {
        let schedule = |id: TransactionId| {
            let known = books.aggregate(id)?;
            let schedule = duty::schedule(&known, now);
            Some((id, schedule.duty.and_then(|duty| Peer::of(&known.transaction, duty)), schedule))
        };
        examined.into_iter().filter_map(schedule).collect::<Vec<_>>()
    });
    let schedules = schedules.unwrap_or_default();
    let mut state = work.lock();
    let mut postponed = Vec::new();
    for (id, peer, schedule) in schedules {
        match peer {
            Some(peer) => state.queue(peer, id),
            None => state.backoff.nothing_due(id, ticks, schedule.next_look),
        }
        if schedule.expiry_postponed {
            postponed.push(id);
        }
    }
    postponed
}

/// Begins what every peer's pace allows of what is queued for it.
fn begin_all(cashier: &Arc<Cashier>, work: &Arc<Work>) {
    let peers = work.lock().waiting(cashier.clock.monotonic());
    for peer in peers {
        begin(cashier, work, &peer);
    }
}

/// Begins what this peer's pace allows; the end of each call begins the next.
fn begin(cashier: &Arc<Cashier>, work: &Arc<Work>, peer: &Peer) {
    // What is queued may have ended since: so much of that is examined now, the rest at the next look.
    for _ in 0..EXAMINED_AT_ONCE {
        let ticks = cashier.clock.monotonic();
        let Some(place) = work.begin(peer, ticks) else { return };
        let Some((duty, pause_max)) = due(cashier, &place) else { continue };
        place.tried(duty, ticks, pause_max);
        let (flow, work) = (Arc::clone(cashier), Arc::clone(work));
        cashier.spawn.spawn(Box::pin(async move {
            let answered = match duty {
                Duty::Provider(call) => provider_calls::make(&flow, place.id, call).await,
                Duty::Settle | Duty::AwaitRetry => {
                    settle::run(&flow, place.id).await.map(|settled| settled != Settled::Unanswered)
                }
            };
            let peer = place.peer.clone();
            place.ended(answered, flow.clock.monotonic());
            begin(&flow, &work, &peer);
        }));
    }
}

/// What is due now for a transaction that was queued a while ago, if its peer is still the same, and the longest pause after it.
fn due(cashier: &Cashier, place: &Place) -> Option<(Duty, i64)> {
    let (id, now) = (place.id, cashier.clock.now());
    let known = cashier.ledger.peek(|books| books.aggregate(id)).ok().flatten()?;
    let Schedule { duty, pause_max, .. } = duty::schedule(&known, now);
    let duty = match duty? {
        Duty::Provider(ProviderDuty::RepeatCreate) if cashier.creating.is_under_way(id) => return None,
        // An implausible clock ends nothing: the provider is queried all the same.
        Duty::Provider(ProviderDuty::Expire) if !cashier.clock.is_plausible() => Duty::Provider(ProviderDuty::Query),
        duty @ (Duty::Settle | Duty::AwaitRetry | Duty::Provider(_)) => duty,
    };
    (Peer::of(&known.transaction, duty).as_ref() == Some(&place.peer)).then_some((duty, pause_max))
}

/// Makes due those of these payments whose config a flow named and whose provider is still queried; the pace of each config
/// holds. It need not be stored: a start has no pauses, so it queries all of them.
fn requeue_payments(cashier: &Cashier, open: &[TransactionId], configs: &BTreeSet<ConfigId>, work: &Work) {
    if configs.is_empty() {
        return;
    }
    let named = cashier.ledger.peek(|books| {
        let is_named = |id: &&TransactionId| {
            let known = books.aggregate(**id).filter(|known| configs.contains(&known.transaction.config_id));
            known.is_some_and(|known| duty::is_queried(&known))
        };
        open.iter().filter(is_named).copied().collect::<Vec<_>>()
    });
    let mut state = work.lock();
    for id in named.unwrap_or_default() {
        state.backoff.requeue(id, Unfinished::Query);
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
