//! What is owed of a provider's deposit by its facts, in minor units of the order's currency, and the sums that lead there. It judges no
//! status and converts nothing.

use super::persons::PersonSummary;
use super::provider::ProviderSummary;
use super::taken::Taken;
use crate::facts::Facts;

pub(super) struct Owing<'a> {
    pub(super) provider: ProviderSummary<'a>,
    /// What was taken back in all.
    pub(super) in_all: Taken,
    /// What was taken back when a person last resolved it.
    pub(super) before: Taken,
    /// What was taken back since then, as far as it counts.
    pub(super) taken: Taken,
    /// What is owed but for what is taken back: what a person resolved, else the ordered amount.
    pub(super) basis: i64,
    /// The same; 0 where nothing was confirmed and no person resolved it.
    pub(super) confirmed: i64,
    pub(super) paid: i64,
    /// What was paid beyond what a person resolved: reversals take it first.
    pub(super) surplus: i64,
    /// What is taken back of what is owed.
    pub(super) reversed: i64,
    pub(super) owed_ordered_minor: i64,
}

impl<'a> Owing<'a> {
    /// Of an order of `amount`.
    pub(super) fn read(amount: i64, facts: &'a Facts, persons: &PersonSummary<'_>) -> Self {
        let provider = ProviderSummary::read(facts);
        let (resolved_at, resolved) = persons.resolved.unzip();
        // What a person resolved is owed whatever was taken back before it.
        let (in_all, before) = Taken::around(&provider, persons, amount, resolved_at.unwrap_or_default());
        // Where nothing says which payments a person credited, what goes back moves no money: a person looks at it again.
        let taken = if provider.credit.is_unclear { Taken::default() } else { in_all.since(before) };
        let basis = resolved.unwrap_or(amount);
        let confirmed = if resolved.is_none() && provider.payments.is_empty() { 0 } else { basis };
        let paid = provider.paid_minor(amount);
        let surplus = paid.saturating_sub(before.all).saturating_sub(basis).max(0);
        let reversed = taken.all.saturating_sub(surplus).max(0);
        let owed_ordered_minor = confirmed.saturating_sub(reversed).max(0);
        Self { provider, in_all, before, taken, basis, confirmed, paid, surplus, reversed, owed_ordered_minor }
    }
}
