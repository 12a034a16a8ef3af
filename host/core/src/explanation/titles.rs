//! The title of every fact: one plain line with its values. A new fact does not compile without one.

use crate::facts::{MismatchKind, PersonFact, ProviderFact, RefusedBy, ReviewHold};
use crate::money::{Currency, Money};
use crate::printable::Printable;

/// Characters of a text of others that a title shows; the details have all of it.
const TITLE_TEXT_LENGTH_MAX: usize = 120;

/// Of a provider's fact; amounts are in this currency.
pub fn of_provider(fact: &ProviderFact, currency: Currency) -> String {
    let money = |minor: i64| Money::new(minor, currency);
    match fact {
        ProviderFact::Accepted => "order accepted by the provider: the customer may pay".into(),
        ProviderFact::Unanswered => "call that creates the order: no answer".into(),
        ProviderFact::AdvanceWanted { .. } => "payment waits for our call that takes the money".into(),
        ProviderFact::Confirmed { payment, minor } => format!("paid: {}{}", money(*minor), ids("", "", payment)),
        ProviderFact::Declined { reason } => format!("declined by the provider{}", because(reason)),
        ProviderFact::Cancelled { reason } => format!("closed without payment: {reason}"),
        ProviderFact::Refund { id, payment, minor } => {
            format!("refunded: {}{}", money(*minor), ids("refund", id, payment))
        }
        ProviderFact::RefundedTotal { payment, minor } => {
            format!("refunded in all: {}{}", money(*minor), ids("", "", payment))
        }
        ProviderFact::Chargeback { id, payment, minor } => {
            format!("disputed: {}{}", money(*minor), ids("dispute", id, payment))
        }
        ProviderFact::ChargebackReversed { id, payment } => {
            format!("dispute ended for us{}", ids("dispute", id, payment))
        }
        ProviderFact::ReviewHold(hold) => of_hold(hold),
        ProviderFact::LastQuery => "queried for the last time at its expiry".into(),
        ProviderFact::RefundFailed { id, payment, minor: 0 } => {
            format!("refund did not reach the customer{}", ids("refund", id, payment))
        }
        ProviderFact::RefundFailed { id, payment, minor } => {
            format!("refund of {} did not reach the customer{}", money(*minor), ids("refund", id, payment))
        }
        ProviderFact::RefundOfRequest { id, requested } => {
            format!("refund {} of the provider is our requested {}", line(id), line(requested))
        }
    }
}

/// Why a review is due.
fn of_hold(hold: &ReviewHold) -> String {
    let why = match hold {
        ReviewHold::OutcomeUnknown => "it is not known whether the provider has the order".into(),
        ReviewHold::AmountUnstated { payment } => format!("paid without a stated amount{}", ids("", "", payment)),
        ReviewHold::Mismatch { what, expected, stated, stated_minor: _, payment } => {
            let what = match what {
                MismatchKind::Amount => "another amount",
                MismatchKind::Brand => "another brand",
                MismatchKind::Currency => "another currency",
                MismatchKind::Mode => "another mode",
            };
            let (expected, stated) = (line(expected), line(stated));
            format!("{what}: {stated} stated, {expected} expected{}", ids("", "", payment))
        }
        ReviewHold::Requested { status } => format!("the provider asks that a person decides{}", because(status)),
        ReviewHold::PaymentReused { payment, owner } => {
            format!("payment {} belongs to another transaction: {}", line(payment), line(owner))
        }
        ReviewHold::NotStored => "more was stated than one payment may have, and is missing".into(),
        ReviewHold::InReview { status } => format!("the provider has not decided yet{}", because(status)),
    };
    format!("review: {why}")
}

/// Of a person's fact; amounts are in this currency.
pub fn of_person(fact: &PersonFact, currency: Currency) -> String {
    let money = |minor: i64| Money::new(minor, currency);
    match fact {
        PersonFact::Held(status) => format!("status set by hand: {}", status.name()),
        PersonFact::Released => "status released: it follows the facts again".into(),
        PersonFact::Approved => "approved".into(),
        PersonFact::Rejected => "rejected".into(),
        PersonFact::Resolved { minor: 0 } => "review resolved: nothing is credited".into(),
        PersonFact::Resolved { minor } => format!("review resolved: {} credited in all", money(*minor)),
        PersonFact::Retried => "another attempt to post permitted".into(),
        PersonFact::RefundRequested { payment, minor, .. } => {
            format!("refund of {} requested{}", money(*minor), ids("", "", payment))
        }
        PersonFact::RefundRefused { .. } => "requested refund refused".into(),
        PersonFact::RefundDone { refund, .. } => format!("requested refund made{}", ids("refund", refund, "")),
        PersonFact::ReversalsWait => "each reversal waits for a person, as the config says".into(),
        PersonFact::Entered { by } => format!("entered by manager {by}"),
        PersonFact::CancelledByCustomer => "cancelled by the customer".into(),
        PersonFact::EnteredBeside { deposit } => format!("manual deposit {deposit} entered while this order was open"),
        PersonFact::Explained { words } if words.is_empty() => "written reason taken back".into(),
        PersonFact::Explained { words } => format!("reason written by hand: {}", line(words)),
        PersonFact::RefundReason { reason, .. } => format!("reason of the requested refund{}", because(reason)),
        PersonFact::RefundSent { .. } => "refund call sent to the provider".into(),
        PersonFact::RefundCrashed { .. } => "refund call ended the process: it is not repeated".into(),
        PersonFact::RefundAccepted { refund, .. } => {
            format!("requested refund accepted by the provider{}", ids("refund", refund, ""))
        }
        PersonFact::RefundInTotal { .. } => "requested refund is part of the provider's total".into(),
        PersonFact::RefundRefusal { by, reason, .. } => {
            format!("requested refund {}{}", RefusedBy::from_name(by).words(), because(reason))
        }
    }
}

/// The title of a fact and of another that only says more about it, recorded by the same commit: they are one entry.
pub(super) fn of_pair(extra: &PersonFact, fact: &PersonFact, currency: Currency) -> Option<String> {
    match (extra, fact) {
        (PersonFact::RefundReason { id: of, reason, .. }, PersonFact::RefundRequested { id, .. }) if of == id => {
            Some(format!("{}{}", of_person(fact, currency), because(reason)))
        }
        (PersonFact::RefundRefusal { id: of, .. }, PersonFact::RefundRefused { id }) if of == id => {
            Some(of_person(extra, currency))
        }
        _ => None,
    }
}

/// A text of others on one line, and cut.
pub(super) fn line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let cut: String = words.join(" ").chars().take(TITLE_TEXT_LENGTH_MAX).collect();
    Printable(&cut).to_string()
}

fn because(text: &str) -> String {
    let text = line(text);
    if text.is_empty() { text } else { format!(": {text}") }
}

/// The ids that are known, in brackets.
fn ids(what: &str, id: &str, payment: &str) -> String {
    let known = [(what, id), ("payment", payment)].into_iter().filter(|(_, id)| !id.is_empty());
    let known: Vec<String> = known.map(|(what, id)| format!("{what} {}", line(id))).collect();
    if known.is_empty() { String::new() } else { format!(" ({})", known.join(", ")) }
}
