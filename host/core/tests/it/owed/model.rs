//! A simple model of the table "what is owed, also under review": what a set of provider facts comes to, read off the set
//! by searching it again for each question. It shares no code with the product.

use std::collections::BTreeSet;

use cashier_core::facts::{ProviderFact as F, ReviewHold as H};
use cashier_core::reason::ReasonCode as R;
use cashier_core::status::TransactionStatus as S;

/// What is posted, the status and the reason at rest.
pub(super) fn expected(facts: &[F], amount: i64) -> (i64, S, R) {
    let payments: BTreeSet<&str> =
        ids(facts, |fact| if let F::Confirmed { payment, .. } = fact { Some(payment) } else { None });
    let unstated: BTreeSet<&str> =
        ids(facts, |fact| if let F::ReviewHold(H::AmountUnstated { payment }) = fact { Some(payment) } else { None });
    let failed: BTreeSet<&str> = ids(facts, |fact| if let F::RefundFailed { id, .. } = fact { Some(id) } else { None });
    let has = |test: fn(&F) -> bool| facts.iter().any(test);

    let refunded = refunded(facts, &failed);
    let is_payment = |id: &str| payments.contains(id) || unstated.contains(id);
    let disputes = Disputes::read(facts, is_payment);
    let taken = refunded + disputes.open_amount();
    let named: BTreeSet<&str> = payments.iter().copied().filter(|id| !id.is_empty()).collect();
    let owed = match named.len() {
        0 if payments.is_empty() => 0,
        0 | 1 => (amount - taken).max(0),
        _ => (amount - beyond_surplus(facts, &named, is_payment, amount)).clamp(0, amount),
    };

    let reused: BTreeSet<&str> =
        ids(
            facts,
            |fact| if let F::ReviewHold(H::PaymentReused { payment, .. }) = fact { Some(payment) } else { None },
        );
    let stated: BTreeSet<&str> = payments.union(&reused).copied().collect();
    let ends = |unstated: &str| {
        !stated.is_empty() && (unstated.is_empty() || stated.contains("") || stated.contains(unstated))
    };
    let decided = has(|fact| {
        !matches!(fact, F::Accepted | F::Unanswered | F::AdvanceWanted { .. } | F::LastQuery | F::ReviewHold(_))
    });
    let answered = has(|fact| !matches!(fact, F::Unanswered | F::LastQuery | F::ReviewHold(H::OutcomeUnknown)));
    let review = [
        (unstated.iter().any(|id| !ends(id)), R::AmountUnstated),
        (payments.iter().filter(|id| !id.is_empty()).count() > 1, R::SecondPayment),
        (taken > amount, R::BeyondConfirmed),
        (disputes.unmatched(), R::DisputeUnmatched),
        (!failed.is_empty(), R::RefundFailed),
        (!answered && has(|fact| matches!(fact, F::ReviewHold(H::OutcomeUnknown))), R::OutcomeUnknown),
        (has(|fact| matches!(fact, F::ReviewHold(H::Mismatch { .. }))), R::AmountMismatch),
        (has(|fact| matches!(fact, F::ReviewHold(H::Requested { .. }))), R::ProviderReview),
        (has(|fact| matches!(fact, F::ReviewHold(H::PaymentReused { .. }))), R::PaymentIdReused),
        (!decided && has(|fact| matches!(fact, F::ReviewHold(H::InReview { .. }))), R::ProviderInReview),
    ];
    let (status, code) = if let Some((_, code)) = review.into_iter().find(|(applies, _)| *applies) {
        (S::ManualReview, code)
    } else if disputes.open_amount() > 0 {
        (S::Chargeback, R::Chargeback)
    } else if refunded >= amount {
        (S::Refunded, R::None)
    } else if !payments.is_empty() {
        (S::Credited, if taken > 0 { R::PartlyRefunded } else { R::None })
    } else if let Some(code) = cancelled(facts) {
        (S::Cancelled, code)
    } else if has(|fact| matches!(fact, F::Declined { .. })) {
        (S::Failed, R::ProviderDeclined)
    } else if has(|fact| matches!(fact, F::Accepted | F::Unanswered | F::AdvanceWanted { .. })) {
        (S::PendingPayment, R::None)
    } else {
        (S::Created, R::None)
    };
    (owed, status, code)
}

/// What is taken back of several payments, less what they paid beyond the order.
fn beyond_surplus(facts: &[F], payments: &BTreeSet<&str>, is_payment: impl Fn(&str) -> bool, amount: i64) -> i64 {
    let owner_of = |stated: &dyn Fn(&F) -> Option<Box<str>>| {
        facts.iter().filter_map(stated).filter(|payment| payments.contains(&**payment)).max().unwrap_or_default()
    };
    let owner = |fact: &F| match fact {
        F::Refund { id, .. } | F::RefundFailed { id, .. } => owner_of(&|other| match other {
            F::Refund { id: same, payment, .. } | F::RefundFailed { id: same, payment, .. } if same == id => {
                Some(payment.clone())
            }
            _ => None,
        }),
        F::RefundedTotal { payment, .. } => owner_of(&|_| Some(payment.clone())),
        F::Chargeback { id, payment, .. } | F::ChargebackReversed { id, payment }
            if id.is_empty() || is_payment(id) =>
        {
            owner_of(&|_| Some(payment.clone())).max(owner_of(&|_| Some(id.clone())))
        }
        F::Chargeback { id, .. } | F::ChargebackReversed { id, .. } => owner_of(&|other| match other {
            F::Chargeback { id: same, payment, .. } | F::ChargebackReversed { id: same, payment } if same == id => {
                Some(payment.clone())
            }
            _ => None,
        }),
        _ => "none".into(),
    };
    let of = |payment: &str| -> Vec<F> { facts.iter().filter(|fact| *owner(fact) == *payment).cloned().collect() };
    let refunded = |facts: &[F]| {
        let failed = ids(facts, |fact| if let F::RefundFailed { id, .. } = fact { Some(id) } else { None });
        refunded(facts, &failed)
    };
    let disputed = |facts: &[F]| Disputes::read(facts, &is_payment).open_amount();
    let (mut named, mut named_disputes) = (0, 0);
    for payment in payments {
        let own = of(payment);
        named += (refunded(&own) + disputed(&own)).min(amount);
        named_disputes += disputed(&own).min(amount);
    }
    let (totals, rest): (Vec<F>, Vec<F>) = of("").into_iter().partition(|fact| matches!(fact, F::RefundedTotal { .. }));
    let failures = rest.iter().filter(|fact| matches!(fact, F::Refund { .. } | F::RefundFailed { .. })).cloned();
    let failed_ids = ids(&rest, |fact| if let F::RefundFailed { id, .. } = fact { Some(id) } else { None });
    let failed = failures.filter(|fact| match fact {
        F::Refund { id, .. } | F::RefundFailed { id, .. } => failed_ids.contains(&**id),
        _ => false,
    });
    let total = refunded(&totals.iter().cloned().chain(failed).collect::<Vec<F>>());
    let count = payments.len() as i64;
    let taken = (named + refunded(&rest)).max(total * count + named_disputes) + disputed(&rest);
    taken - amount * (count - 1)
}

fn ids<'a>(facts: &'a [F], id: fn(&'a F) -> Option<&'a Box<str>>) -> BTreeSet<&'a str> {
    facts.iter().filter_map(id).map(|id| &**id).collect()
}

fn refunded(facts: &[F], failed: &BTreeSet<&str>) -> i64 {
    let of = |id: &str| {
        let amount = |fact: &F| match fact {
            F::Refund { id: known, minor, .. } if **known == *id => Some(*minor),
            _ => None,
        };
        facts.iter().filter_map(amount).max().unwrap_or(0)
    };
    let all = ids(facts, |fact| if let F::Refund { id, .. } = fact { Some(id) } else { None });
    let singles: i64 = all.difference(failed).map(|id| of(id)).sum();
    let mut out_of_totals = 0;
    for id in failed {
        let stated = |fact: &F| match fact {
            F::RefundFailed { id: known, minor, .. } if **known == **id => Some(*minor),
            _ => None,
        };
        let amount = facts.iter().filter_map(stated).max().unwrap_or(0).max(of(id));
        out_of_totals += if amount == 0 { 1_000_000_000 } else { amount };
    }
    let totals = facts
        .iter()
        .filter_map(|fact| if let F::RefundedTotal { minor, .. } = fact { Some(minor - out_of_totals) } else { None });
    totals.max().unwrap_or(0).max(singles)
}

/// Each statement with the id of its dispute; empty for the unnamed one.
struct Disputes<'a> {
    opened: Vec<(&'a str, i64)>,
    reversed: Vec<&'a str>,
}

impl<'a> Disputes<'a> {
    fn read(facts: &'a [F], is_payment: impl Fn(&str) -> bool) -> Self {
        let own = |id: &'a str| if is_payment(id) { "" } else { id };
        let opened =
            |fact: &'a F| if let F::Chargeback { id, minor, .. } = fact { Some((own(id), *minor)) } else { None };
        let reversed = |fact: &'a F| if let F::ChargebackReversed { id, .. } = fact { Some(own(id)) } else { None };
        Self {
            opened: facts.iter().filter_map(opened).collect(),
            reversed: facts.iter().filter_map(reversed).collect(),
        }
    }

    fn open(&self) -> BTreeSet<&'a str> {
        self.opened.iter().map(|(id, _)| *id).filter(|id| !self.reversed.contains(id)).collect()
    }

    fn open_amount(&self) -> i64 {
        let of =
            |id: &str| self.opened.iter().filter(|(known, _)| *known == id).map(|(_, minor)| *minor).max().unwrap_or(0);
        let named: i64 = self.open().iter().filter(|id| !id.is_empty()).map(|id| of(id)).sum();
        let unnamed = if self.open().contains("") { of("") } else { 0 };
        named.max(unnamed)
    }

    fn unmatched(&self) -> bool {
        let ids: Vec<&str> = self.opened.iter().map(|(id, _)| *id).chain(self.reversed.iter().copied()).collect();
        let mixed = ids.contains(&"") && ids.iter().any(|id| !id.is_empty());
        let stray = self.reversed.iter().any(|id| self.opened.iter().all(|(known, _)| known != id));
        !self.open().is_empty() && (mixed || stray)
    }
}

fn cancelled(facts: &[F]) -> Option<R> {
    facts.iter().filter_map(|fact| if let F::Cancelled { reason } = fact { Some(*reason) } else { None }).max()
}
