//! What of a provider deposit may still be refunded, and what was refunded at a time. It decides nothing.

use super::persons::PersonSummary;
use super::provider::ProviderSummary;
use super::taken::Taken;
use crate::facts::Facts;
use crate::ids::Seq;
use crate::money::Money;

/// The sums that a refund is judged by, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refundable {
    /// How many payments of the order are known, also those that are not credited.
    pub payments: usize,
    /// What may still be refunded of the order.
    pub left_minor: i64,
    /// What was refunded, stated or requested.
    pub refunded_minor: i64,
}

/// Of a provider deposit of `ordered` that is credited. Refunds take first what was paid beyond what a person resolved.
pub fn refundable(ordered: Money, facts: &Facts) -> Refundable {
    let (persons, provider) = (PersonSummary::read(facts.persons.iter()), ProviderSummary::read(facts));
    let (resolved_at, resolved) = persons.resolved.unzip();
    let (all, before) = Taken::around(&provider, &persons, ordered.minor, resolved_at.unwrap_or_default());
    let confirmed = if provider.payments.is_empty() { 0 } else { ordered.minor };
    let basis = resolved.unwrap_or(confirmed);
    let paid = confirmed.saturating_add(provider.credit.paid_minor);
    let surplus = paid.saturating_sub(before.all).saturating_sub(basis).max(0);
    let left_minor = basis.saturating_add(surplus).saturating_sub(all.since(before).all).max(0);
    Refundable { payments: provider.known.len(), left_minor, refunded_minor: all.all.saturating_sub(all.charged_back) }
}

/// What was taken back of a provider deposit of `ordered`, in minor units: refunds, stated or requested, and open disputes.
pub fn taken_minor(ordered: Money, facts: &Facts) -> i64 {
    let (persons, provider) = (PersonSummary::read(facts.persons.iter()), ProviderSummary::read(facts));
    Taken::around(&provider, &persons, ordered.minor, Seq(0)).0.all
}

/// What was refunded before this commit, stated or requested and not refused.
pub fn refunded_before(ordered: Money, facts: &Facts, seq: Seq) -> i64 {
    let (persons, provider) = (PersonSummary::read(facts.persons.iter()), ProviderSummary::read(facts));
    let until = Seq(seq.0.saturating_sub(1));
    let (_, before) = Taken::around(&provider, &persons, ordered.minor, until);
    before.all.saturating_sub(before.charged_back)
}
