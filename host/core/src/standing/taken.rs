//! What was taken back of a paid order, in minor units: refunds, stated or requested, and open disputes, none counted twice.

use std::collections::BTreeSet;

use super::persons::{PersonSummary, RefundState, RequestedRefund};
use super::provider::ProviderSummary;
use super::reversals::Reversals;
use crate::ids::Seq;

/// What was taken back.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Taken {
    /// Refunded, as the provider stated in an event or in the answer to a requested refund.
    pub(super) refunded: i64,
    pub(super) charged_back: i64,
    /// Both, with the refunds that are requested and not refused.
    pub(super) all: i64,
    /// More was stated as taken back of one of several payments than it paid.
    pub(super) beyond_one: bool,
}

/// The refunds of one payment.
struct Refunded {
    /// The sum of the refunds that have ids.
    singles: i64,
    requested: i64,
    /// The largest total that the provider stated.
    total: i64,
    /// The same with the refunds requested after it: a total that was recorded after a request includes it.
    total_and_requested: i64,
}

/// A requested refund that was not refused and did not fail.
struct CountedRequest<'a> {
    /// The payment that it takes back, empty where none is known.
    payment: &'a str,
    refund: &'a RequestedRefund<'a>,
    /// The provider states the refund by its id.
    is_stated: bool,
}

impl Taken {
    /// Each of several payments gives back at most the `amount` that it paid. What names none of them counts beside that, and
    /// a total that names none may be the total of each. Of one payment everything counts, also beyond what it paid.
    pub(super) fn read(provider: &ProviderSummary<'_>, persons: &PersonSummary<'_>, amount: i64) -> Self {
        let requests = requests(provider, persons);
        let none = Reversals::default();
        let of = |payment: &str| {
            let reversals = provider.reversals.get(payment).unwrap_or(&none);
            let requests = requests.iter().filter(|request| request.payment == payment);
            (Refunded::of(reversals, requests), reversals.disputes.charged_back())
        };
        let mut taken = Self::default();
        let payments: BTreeSet<&str> =
            provider.reversals.keys().copied().chain(requests.iter().map(|request| request.payment)).collect();
        for payment in payments.into_iter().filter(|payment| !payment.is_empty()) {
            let (refunds, charged_back) = of(payment);
            let stated = refunds.singles.max(refunds.total);
            let refunded = refunds.total_and_requested.max(refunds.singles.saturating_add(refunds.requested));
            taken.beyond_one |= stated.saturating_add(charged_back) > amount;
            taken.refunded = taken.refunded.saturating_add(stated.min(amount));
            taken.charged_back = taken.charged_back.saturating_add(charged_back.min(amount));
            taken.all = taken.all.saturating_add(refunded.saturating_add(charged_back).min(amount));
        }
        let (refunds, charged_back) = of("");
        let of_each = |total: i64| total.saturating_mul(provider.payment_count().max(1) as i64);
        let singles = refunds.singles.saturating_add(refunds.requested);
        let totals = of_each(refunds.total_and_requested).saturating_add(taken.charged_back);
        taken.refunded = taken.refunded.saturating_add(refunds.singles).max(of_each(refunds.total));
        taken.all = taken.all.saturating_add(singles).max(totals).saturating_add(charged_back);
        taken.charged_back = taken.charged_back.saturating_add(charged_back);
        taken
    }

    /// What was taken back since `before`. A dispute that was reversed since gives nothing back beyond that.
    pub(super) fn since(self, before: Self) -> Self {
        let since = |now: i64, before: i64| now.saturating_sub(before).max(0);
        Self {
            refunded: since(self.refunded, before.refunded),
            charged_back: since(self.charged_back, before.charged_back),
            all: since(self.all, before.all),
            beyond_one: self.beyond_one,
        }
    }
}

/// A requested refund is the provider's refund that its answer named, or that a statement of the provider links to it.
fn requests<'a>(provider: &ProviderSummary<'a>, persons: &'a PersonSummary<'a>) -> Vec<CountedRequest<'a>> {
    let mut requests = Vec::new();
    for (own_id, refund) in &persons.refunds {
        let id = match refund.state {
            RefundState::Refused => continue,
            RefundState::Done(id) => Some(id),
            RefundState::Requested => provider.requested.get(own_id).copied(),
        };
        if id.is_some_and(|id| provider.failed_refunds().any(|failed| failed == id)) {
            continue;
        }
        let stated = provider.reversals.iter().find(|(_, of_one)| id.is_some_and(|id| of_one.refunds.contains_key(id)));
        let payment = stated.map(|(payment, _)| *payment).or_else(|| provider.one_of_several(refund.payment));
        requests.push(CountedRequest { payment: payment.unwrap_or_default(), refund, is_stated: stated.is_some() });
    }
    requests
}

impl Refunded {
    fn of<'r>(stated: &Reversals<'_>, requests: impl Iterator<Item = &'r CountedRequest<'r>> + Clone) -> Self {
        let sum = |minor: i64, more: i64| minor.saturating_add(more);
        let (mut singles, mut requested) = (stated.single_refunds(), 0);
        for CountedRequest { refund, .. } in requests.clone().filter(|request| !request.is_stated) {
            match refund.state {
                RefundState::Done(_) => singles = sum(singles, refund.minor),
                RefundState::Requested | RefundState::Refused => requested = sum(requested, refund.minor),
            }
        }
        let requested_after = |recorded_at: Seq| {
            let later = requests.clone().filter(move |request| request.refund.seq > recorded_at);
            later.map(|request| request.refund.minor)
        };
        let total = stated.totals().map(|(_, total)| total).max().unwrap_or(0);
        let and_requested = |(recorded_at, total)| requested_after(recorded_at).fold(total, sum);
        Self { singles, requested, total, total_and_requested: stated.totals().map(and_requested).max().unwrap_or(0) }
    }
}
