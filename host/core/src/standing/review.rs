//! What a person must look at: the first reason for a review, in a fixed order, and beside it everything else that the
//! provider stated. It decides about no money: `standing` does, the same with and without a review.

use std::fmt::Write as _;

use super::persons::PersonSummary;
use super::provider::ProviderSummary;
use crate::facts::ReviewHold;
use crate::ids::Seq;
use crate::money::Money;
use crate::reason::{Reason, ReasonCode};

/// The longest explanation of a review: two ids of a provider and several amounts fit.
const DETAIL_LENGTH_MAX: usize = 512;

impl<'a> ProviderSummary<'a> {
    /// The first reason for a review that no fact has ended and no person has resolved since, with what else was stated.
    /// `refunded_minor` is everything that was refunded, `beyond` how more was taken back than paid, `waiting` what comes back
    /// or goes back and waits for a person.
    pub(super) fn review(
        &self,
        amount: Money,
        refunded_minor: i64,
        beyond: Option<&'static str>,
        persons: &PersonSummary<'_>,
        waiting: [Option<Reason>; 2],
    ) -> Option<Reason> {
        let resolved_at = persons.resolved.map_or(Seq(0), |(seq, _)| seq);
        let mut holds = self.holds.clone();
        holds.sort_unstable();
        holds.dedup();
        let is_first = |hold: &&ReviewHold| matches!(hold, ReviewHold::AmountUnstated { .. }) || hold.stops_return();
        let (first_holds, others): (Vec<_>, Vec<_>) = holds.into_iter().partition(is_first);
        // An unstated amount comes first: the cashier itself queries the provider about it. What stops money comes next.
        let found = self.contradiction(beyond, resolved_at);
        let reason = ReviewHold::reason;
        let mut reasons = first_holds
            .into_iter()
            .map(reason)
            .chain(found)
            .chain(others.into_iter().map(reason))
            .chain(waiting.into_iter().flatten());
        let first = reasons.next()?;
        let mut stated = self.statements(amount, refunded_minor, first.code);
        stated.extend(reasons.map(|reason| reason.to_string()));
        Some(explained(first, &stated))
    }

    /// The facts contradict each other, or the order.
    fn contradiction(&self, beyond: Option<&'static str>, resolved_at: Seq) -> Option<Reason> {
        // Beside a payment that a person resolved, also one that is not credited, another is a second one.
        let newest_payment = self.named_payments().map(|(_, seq)| seq).max();
        let confirmed: Vec<&str> = self.named_payments().map(|(id, _)| id).collect();
        let resolved = self.known.iter().filter(|(id, seq)| **seq <= resolved_at && !self.payments.contains_key(*id));
        let resolved: Vec<&str> = resolved.map(|(id, _)| *id).collect();
        if confirmed.len() + resolved.len() > 1 && newest_payment > Some(resolved_at) {
            return Some(Reason::new(ReasonCode::SecondPayment, [resolved, confirmed].concat().join(" and ")));
        }
        if let Some(how) = beyond.filter(|_| self.newest_reversal > resolved_at) {
            return Some(Reason::new(ReasonCode::BeyondConfirmed, how));
        }
        if self.disputes_are_unmatched() && self.newest_dispute > resolved_at {
            return Some(Reason::new(
                ReasonCode::DisputeUnmatched,
                "a dispute is open, and it is not known which was reversed",
            ));
        }
        if self.newest_failure > resolved_at {
            let ids: Vec<&str> = self.attribution.failed.keys().copied().collect();
            return Some(Reason::new(ReasonCode::RefundFailed, ids.join(" and ")));
        }
        None
    }

    /// What the provider stated, in a fixed order, without what the reason itself says.
    fn statements(&self, amount: Money, refunded_minor: i64, reason: ReasonCode) -> Vec<String> {
        let money = |minor| Money::new(minor, amount.currency);
        let named = |what: &str, id: &str| if id.is_empty() { what.to_owned() } else { format!("{what} ({id})") };
        let mut stated = Vec::new();
        if reason == ReasonCode::SecondPayment && self.payment_count() > 1 {
            stated.push(format!("confirmed {amount} each"));
        } else if !self.payments.is_empty() {
            let ids: Vec<&str> = self.named_payments().map(|(id, _)| id).collect();
            stated.push(named(&format!("confirmed {amount}"), &ids.join(" and ")));
        }
        if refunded_minor > 0 {
            stated.push(format!("refunded {}", money(refunded_minor)));
        }
        for (id, of_one) in &self.reversals {
            let is_beside = self.attribution.several.contains(id) && self.credited_minor(id, amount.minor) == 0;
            if let minor @ 1.. = of_one.refunded()
                && is_beside
            {
                stated.push(named(&format!("refunded {}", money(minor)), id));
            }
        }
        if reason != ReasonCode::RefundFailed {
            stated.extend(self.attribution.failed.keys().map(|id| named("refund failed", id)));
        }
        for (id, minor) in self.disputes().flat_map(|disputes| &disputes.opened) {
            stated.push(named(&format!("disputed {}", money(*minor)), id));
        }
        let reversed = self.disputes().flat_map(|disputes| &disputes.reversed);
        stated.extend(reversed.map(|id| named("dispute reversed", id)));
        stated.extend(self.declined.map(|reason| named("declined", reason)));
        stated.extend(self.cancelled.map(|code| named("cancelled", code.name())));
        stated
    }
}

/// The reason with the other statements behind it, cut to a length that a row may hold.
fn explained(mut reason: Reason, stated: &[String]) -> Reason {
    let mut detail = String::from(reason.detail);
    if !stated.is_empty() {
        let gap = if detail.is_empty() { "" } else { "; " };
        // Writing to a text cannot fail.
        let _ = write!(detail, "{gap}also stated: {}", stated.join(", "));
    }
    if detail.len() > DETAIL_LENGTH_MAX {
        let end = (0..=DETAIL_LENGTH_MAX - '…'.len_utf8()).rev().find(|end| detail.is_char_boundary(*end));
        detail.truncate(end.unwrap_or(0));
        detail.push('…');
    }
    reason.detail = detail.into();
    reason
}

/// Another transaction by its number; of another brand, where there is none.
fn named_order(id: &str) -> String {
    if id.is_empty() { "an order of another brand".to_owned() } else { format!("transaction {id}") }
}

impl ReviewHold {
    fn reason(&self) -> Reason {
        match self {
            Self::OutcomeUnknown => Reason::new(
                ReasonCode::OutcomeUnknown,
                "the create call was not answered and the provider cannot be queried",
            ),
            Self::AmountUnstated { payment } => {
                let named = if payment.is_empty() { "the payment".to_owned() } else { format!("payment {payment}") };
                Reason::new(ReasonCode::AmountUnstated, format!("{named} was confirmed without an amount"))
            }
            Self::Mismatch { what, expected, stated, .. } => {
                Reason::new(what.reason(), format!("expected {expected}, the provider states {stated}"))
            }
            Self::Requested { status } => Reason::new(ReasonCode::ProviderReview, status.clone()),
            Self::InReview { status } => Reason::new(ReasonCode::ProviderInReview, status.clone()),
            Self::PaymentReused { payment, owner } => {
                let named = if payment.is_empty() { "the payment".to_owned() } else { format!("payment {payment}") };
                Reason::new(ReasonCode::PaymentIdReused, format!("{named} confirmed transaction {owner} before"))
            }
            Self::Misplaced { payment, owner } => {
                let owner = named_order(owner);
                let detail = format!(
                    "money of payment {payment} went back, as was stated with this order, where it counts: the payment is stated as paid for {owner}"
                );
                Reason::new(ReasonCode::ReversalMisplaced, detail)
            }
            Self::CountedElsewhere { payment, order } => {
                let order = named_order(order);
                let detail =
                    format!("money of payment {payment} went back, as was stated with {order}: it does not count here");
                Reason::new(ReasonCode::ReversalMisplaced, detail)
            }
            Self::Beside { deposit } => {
                let detail = format!("manual transaction {deposit} was entered beside it");
                Reason::new(ReasonCode::PaymentIdReused, detail)
            }
            Self::ReturnBeside { deposit } => {
                let detail =
                    format!("more is owed again beside manual transaction {deposit}, and is not posted by itself");
                Reason::new(ReasonCode::ReturnWaits, detail)
            }
            Self::NotStored => Reason::new(ReasonCode::TooManyStatements, "a statement about money was not stored"),
        }
    }
}
