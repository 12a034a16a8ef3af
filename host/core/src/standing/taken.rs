//! What was taken back of a paid order, in minor units: refunds, stated or requested, and open disputes, none counted twice.

use std::collections::BTreeMap;

use super::persons::{PersonSummary, RefundState, RequestedRefund};
use super::provider::ProviderSummary;
use super::reversals::{ByPayment, Reversals};
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
    /// The larger of the sum of single refunds and the largest total.
    stated: i64,
    /// The same with the refunds requested. A total that was recorded after a request includes it.
    with_requested: i64,
}

/// A requested refund that was not refused and did not fail.
struct CountedRequest<'a> {
    /// The payment that it takes back, empty where none is known.
    payment: &'a str,
    refund: &'a RequestedRefund<'a>,
    /// The provider's refund that its answer named, or that a statement of the provider links to it.
    id: Option<&'a str>,
}

impl Taken {
    /// What was taken back in all, and what of it was recorded when the commit `until` was made. What failed or was lifted
    /// since is in neither, and payments that are known since are in both: only what went back lies between them.
    pub(super) fn around(
        provider: &ProviderSummary<'_>,
        persons: &PersonSummary<'_>,
        amount: i64,
        until: Seq,
    ) -> (Self, Self) {
        let requests = requests(provider, persons);
        let (earlier, all): (Vec<_>, Vec<_>) =
            (requests.iter().filter(|request| request.refund.seq <= until).collect(), requests.iter().collect());
        let before = provider.attribution.until(until);
        (Self::read(provider, &provider.reversals, &all, amount), Self::read(provider, &before, &earlier, amount))
    }

    /// What was taken back since.
    pub(super) fn since(self, before: Self) -> Self {
        let since = |now: i64, before: i64| now.saturating_sub(before).max(0);
        Self {
            refunded: since(self.refunded, before.refunded),
            charged_back: since(self.charged_back, before.charged_back),
            all: since(self.all, before.all),
            beyond_one: self.beyond_one,
        }
    }

    /// Each of several payments gives back at most what it paid, and one that is not credited nothing. What names none of them
    /// counts beside that, and a total that names none may be the total of each. Of one payment everything counts, also beyond
    /// what it paid.
    fn read(
        provider: &ProviderSummary<'_>,
        reversals: &ByPayment<'_>,
        requests: &[&CountedRequest<'_>],
        amount: i64,
    ) -> Self {
        let none = Reversals::default();
        let of = |payment: &str| reversals.get(payment).unwrap_or(&none);
        let unnamed = of("");
        let unnamed_back = unnamed.disputes.charged_back();
        let several = &provider.attribution.several;
        let newest_total =
            reversals.iter().filter(|(payment, _)| !payment.is_empty()).flat_map(|(_, of_one)| &of_one.totals);
        let newest_total = newest_total.map(|(seq, _)| *seq).max().unwrap_or_default();
        // A request of no known payment is part of any later total.
        let unnamed_requests = || {
            requests.iter().copied().filter(|request| request.payment.is_empty() && request.refund.seq > newest_total)
        };
        if several.is_empty() {
            let refunds = Refunded::of(&unnamed.refunds, &unnamed.totals, unnamed_requests());
            let all = refunds.with_requested.saturating_add(unnamed_back);
            return Self { refunded: refunds.stated, charged_back: unnamed_back, all, beyond_one: false };
        }
        // With the totals that name no payment, and without them.
        let (mut taken, mut apart) = (Self::default(), Self::default());
        let credited = several.iter().map(|payment| (payment, provider.credited_minor(payment, amount)));
        for (payment, paid) in credited.filter(|(_, paid)| *paid > 0) {
            let own = of(payment);
            let charged_back = own.disputes.charged_back();
            let requests = || requests.iter().copied().filter(|request| request.payment == *payment);
            let any_total: Vec<(Seq, i64)> = own.totals.iter().chain(&unnamed.totals).copied().collect();
            for (sum, totals) in [(&mut taken, &any_total), (&mut apart, &own.totals)] {
                let refunds = Refunded::of(&own.refunds, totals, requests());
                sum.beyond_one |= refunds.stated.saturating_add(charged_back) > paid;
                sum.refunded = sum.refunded.saturating_add(refunds.stated.min(paid));
                sum.charged_back = sum.charged_back.saturating_add(charged_back.min(paid));
                sum.all = sum.all.saturating_add(refunds.with_requested.saturating_add(charged_back).min(paid));
            }
        }
        let rest = Refunded::of(&unnamed.refunds, &[], unnamed_requests());
        Self {
            refunded: taken.refunded.max(apart.refunded.saturating_add(rest.stated)),
            charged_back: taken.charged_back.saturating_add(unnamed_back),
            all: taken.all.max(apart.all.saturating_add(rest.with_requested)).saturating_add(unnamed_back),
            beyond_one: apart.beyond_one,
        }
    }
}

/// A request that names no payment is of the only one that was confirmed when it was made, or, where none was, of the only one
/// that was known.
fn requests<'a>(provider: &ProviderSummary<'a>, persons: &'a PersonSummary<'a>) -> Vec<CountedRequest<'a>> {
    let several = &provider.attribution.several;
    let only_one = |made: Seq| {
        let mut then: Vec<&str> =
            provider.named_payments().filter(|(_, seq)| *seq <= made).map(|(payment, _)| payment).collect();
        if then.is_empty() && !provider.payments.contains_key("") {
            then = provider.known.iter().filter(|(_, seq)| **seq <= made).map(|(payment, _)| *payment).collect();
        }
        if let [only] = then[..] { Some(only) } else { None }
    };
    let mut requests = Vec::new();
    for (own_id, refund) in &persons.refunds {
        let id = match refund.state {
            RefundState::Refused | RefundState::InTotal => continue,
            RefundState::Done(id) | RefundState::Accepted(id) if !id.is_empty() => Some(id),
            RefundState::Done(_) | RefundState::Accepted(_) | RefundState::Requested => {
                provider.requested.get(own_id).copied()
            }
        };
        if id.is_some_and(|id| provider.attribution.failed.contains_key(id)) {
            continue;
        }
        // The provider's own statement of the refund decides, also where it names no payment.
        let named = match id.and_then(|id| provider.attribution.refunds.get(id)) {
            Some(payment) => Some(*payment),
            None if refund.payment.is_empty() => only_one(refund.seq),
            None => Some(refund.payment),
        };
        let payment = named.filter(|payment| several.contains(payment)).unwrap_or_default();
        requests.push(CountedRequest { payment, refund, id });
    }
    requests
}

impl Refunded {
    fn of<'r>(
        refunds: &BTreeMap<&str, i64>,
        totals: &[(Seq, i64)],
        requests: impl Iterator<Item = &'r CountedRequest<'r>> + Clone,
    ) -> Self {
        let sum = |minor: i64, more: i64| minor.saturating_add(more);
        let mut singles = refunds.values().copied().fold(0, sum);
        let mut requested = 0;
        let is_stated = |request: &CountedRequest<'_>| request.id.is_some_and(|id| refunds.contains_key(id));
        for CountedRequest { refund, .. } in requests.clone().filter(|request| !is_stated(request)) {
            match refund.state {
                RefundState::Done(_) => singles = sum(singles, refund.minor),
                RefundState::Requested | RefundState::Accepted(_) => requested = sum(requested, refund.minor),
                RefundState::Refused | RefundState::InTotal => {}
            }
        }
        let requested_after = |recorded_at: Seq| {
            let later = requests.clone().filter(move |request| request.refund.seq > recorded_at);
            later.map(|request| request.refund.minor)
        };
        let total = totals.iter().map(|(_, total)| *total).max().unwrap_or(0);
        let and_requested = totals.iter().map(|(at, total)| requested_after(*at).fold(*total, sum)).max().unwrap_or(0);
        Self { stated: singles.max(total), with_requested: sum(singles, requested).max(and_requested) }
    }
}
