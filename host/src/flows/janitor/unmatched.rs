//! Events whose transaction never appeared are given up after a day. What states money stays listed: it came or went
//! back, and no transaction accounts for it.

use cashier_core::duty::UNKNOWN_EVENT_SECONDS;
use cashier_core::inbox;
use cashier_core::reason::ReasonCode;
use cashier_core::session::Actor;
use cashier_core::status::ProviderStatus;
use cashier_core::time::UnixTime;

use crate::flows::Cashier;

/// Request id of the commits that give up on events.
const REQUEST_ID: &str = "janitor";

/// Events closed in one round; more are closed in the next.
const EVENTS_PER_ROUND_MAX: usize = 1024;

/// Closes the events that waited long enough.
pub(super) async fn give_up(cashier: &Cashier, now: UnixTime) {
    let long_ago = now.plus(-UNKNOWN_EVENT_SECONDS);
    // What a wrong clock stamped is given its whole time after the clock was mended.
    if long_ago < cashier.clock.plausible_since() {
        return;
    }
    let ids = cashier.ledger.peek(|books| {
        books.pending_events_before(long_ago).take(EVENTS_PER_ROUND_MAX).map(|event| event.id).collect::<Vec<_>>()
    });
    let Ok(some) = ids else { return };
    if some.is_empty() {
        return;
    }
    let stamp = cashier.stamp(Actor::System, REQUEST_ID);
    let Ok(ticket) = cashier.ledger.decide(&stamp, |draft| inbox::give_up(draft, some)) else { return };
    // A failed commit closes the ledger and these events are found again after it.
    let Ok(durable) = ticket.durable().await else { return };
    let reason = ReasonCode::TransactionNotFound.name();
    let given_up = durable.get();
    for event in &given_up.listed {
        let (id, config, payment) = (event.id, event.config_id, &*event.provider_payment_id);
        let confirmed = event.update.as_ref().is_some_and(|update| update.status == ProviderStatus::Confirmed);
        let what = if confirmed { "confirmed payment" } else { "refund or dispute" };
        tracing::warn!(event = %id, %config, payment, reason, "{what} has no transaction: it was listed");
    }
    if given_up.dropped > 0 {
        let dropped = given_up.dropped;
        tracing::warn!(dropped, reason, "the list of payments without a transaction is full: the oldest were dropped");
    }
}
