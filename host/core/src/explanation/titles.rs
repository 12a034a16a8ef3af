//! The title of every fact: one plain line with its values. A new fact does not compile without one.

use crate::facts::{Facts, MismatchKind, PersonFact, ProviderFact, RefusedBy, ReviewHold};
use crate::money::{Currency, Money};
use crate::printable::Printable;

/// Characters of a text of others that a title shows; the details have all of it.
const TITLE_TEXT_LENGTH_MAX: usize = 120;

/// Of a provider's fact; amounts are in this currency. One that states no amount is of a refund or dispute that `facts` know.
pub fn of_provider(fact: &ProviderFact, facts: &Facts, currency: Currency) -> String {
    let money = |minor: i64| Money::new(minor, currency);
    let amount = |minor: Option<i64>| minor.map_or_else(String::new, |minor| format!(" of {}", money(minor)));
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
            format!("dispute{} ended for us{}", amount(disputed(facts, id)), ids("dispute", id, payment))
        }
        ProviderFact::ReviewHold(hold) => of_hold(hold),
        ProviderFact::LastQuery => "queried for the last time at its expiry".into(),
        ProviderFact::RefundFailed { id, payment, minor } => {
            let minor = Some(*minor).filter(|minor| *minor != 0).or_else(|| refunded(facts, id));
            format!("refund{} did not reach the customer{}", amount(minor), ids("refund", id, payment))
        }
        ProviderFact::RefundOfRequest { id, requested: own } => {
            let minor = requested(facts, own);
            format!("refund {} of the provider is our requested refund{} ({})", line(id), amount(minor), line(own))
        }
    }
}

/// Minor units of the refund that a manager requested under this id of ours.
fn requested(facts: &Facts, own: &str) -> Option<i64> {
    facts.persons.iter().find_map(|known| match &known.fact {
        PersonFact::RefundRequested { id, minor, .. } if **id == *own => Some(*minor),
        _ => None,
    })
}

/// Minor units of a provider's refund: as it was stated, or as it was requested.
fn refunded(facts: &Facts, refund: &str) -> Option<i64> {
    if refund.is_empty() {
        return None;
    }
    let stated = facts.provider.iter().find_map(|known| match &known.fact {
        ProviderFact::Refund { id, minor, .. } if **id == *refund => Some(*minor),
        _ => None,
    });
    let linked = || {
        facts.provider.iter().find_map(|known| match &known.fact {
            ProviderFact::RefundOfRequest { id, requested: own } if **id == *refund => requested(facts, own),
            _ => None,
        })
    };
    let accepted = || {
        facts.persons.iter().find_map(|known| match &known.fact {
            PersonFact::RefundAccepted { id, refund: of } | PersonFact::RefundDone { id, refund: of }
                if **of == *refund =>
            {
                requested(facts, id)
            }
            _ => None,
        })
    };
    stated.or_else(linked).or_else(accepted)
}

/// Minor units of a dispute.
fn disputed(facts: &Facts, dispute: &str) -> Option<i64> {
    facts.provider.iter().find_map(|known| match &known.fact {
        ProviderFact::Chargeback { id, minor, .. } if !id.is_empty() && **id == *dispute => Some(*minor),
        _ => None,
    })
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
        ReviewHold::Misplaced { payment, owner } => {
            let owner =
                if owner.is_empty() { "another brand's order".into() } else { format!("transaction {}", line(owner)) };
            format!("money of payment {} went back, and it is stated as paid for {owner}", line(payment))
        }
        ReviewHold::CountedElsewhere { payment, order } => {
            let order =
                if order.is_empty() { "another brand's order".into() } else { format!("transaction {}", line(order)) };
            format!("money of payment {} went back, as was stated with {order}", line(payment))
        }
        ReviewHold::Beside { deposit } => format!("manual transaction {} was entered beside it", line(deposit)),
        ReviewHold::ReturnBeside { deposit } => {
            format!("more is owed again beside manual transaction {}", line(deposit))
        }
        ReviewHold::NotStored => "more was stated than one payment may have, and is missing".into(),
        ReviewHold::InReview { status } => format!("the provider has not decided yet{}", because(status)),
    };
    format!("review: {why}")
}

/// Of a person's fact; amounts are in this currency. A step of a refund is of the amount with which `facts` know its request.
pub fn of_person(fact: &PersonFact, facts: &Facts, currency: Currency) -> String {
    let money = |minor: i64| Money::new(minor, currency);
    let of = |id: &str| requested(facts, id).map_or_else(String::new, |minor| format!(" of {}", money(minor)));
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
        PersonFact::RefundRefused { id } => format!("requested refund{} refused", of(id)),
        PersonFact::RefundDone { id, refund } => {
            format!("requested refund{} made{}", of(id), ids("refund", refund, ""))
        }
        PersonFact::ReversalsWait => "each reversal waits for a person, as the config says".into(),
        PersonFact::Entered { by } => format!("entered by manager {by}"),
        PersonFact::CancelledByCustomer => "cancelled by the customer".into(),
        PersonFact::EnteredBeside { deposit } => format!("manual deposit {deposit} entered beside this order"),
        PersonFact::Explained { words } if words.is_empty() => "written reason taken back".into(),
        PersonFact::Explained { words } => format!("reason written by hand: {}", line(words)),
        PersonFact::CommentWritten { by } => format!("comment changed by manager {by}"),
        PersonFact::MetadataWritten { by } => format!("metadata changed by manager {by}"),
        PersonFact::RefundReason { id, reason, .. } => {
            format!("reason of the requested refund{}{}", of(id), because(reason))
        }
        PersonFact::RefundSent { id, .. } => format!("call for a refund{} sent to the provider", of(id)),
        PersonFact::RefundCrashed { id } => {
            format!("call for a refund{} ended the process: it is not repeated", of(id))
        }
        PersonFact::RefundAccepted { id, refund } => {
            format!("requested refund{} accepted by the provider{}", of(id), ids("refund", refund, ""))
        }
        PersonFact::RefundInTotal { id } => format!("requested refund{} is part of the provider's total", of(id)),
        PersonFact::RefundRefusal { id, by, reason } => {
            format!("requested refund{} {}{}", of(id), RefusedBy::from_name(by).words(), because(reason))
        }
    }
}

/// The title of a fact and of another that only says more about it, recorded by the same commit: they are one entry.
pub(super) fn of_pair(extra: &PersonFact, fact: &PersonFact, facts: &Facts, currency: Currency) -> Option<String> {
    match (extra, fact) {
        (PersonFact::RefundReason { id: of, reason, .. }, PersonFact::RefundRequested { id, .. }) if of == id => {
            Some(format!("{}{}", of_person(fact, facts, currency), because(reason)))
        }
        (PersonFact::RefundRefusal { id: of, .. }, PersonFact::RefundRefused { id }) if of == id => {
            Some(of_person(extra, facts, currency))
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
