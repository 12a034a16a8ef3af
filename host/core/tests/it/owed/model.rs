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

    // Payments that are named and not credited.
    let held: BTreeSet<&str> = facts
        .iter()
        .filter_map(|fact| if let F::ReviewHold(hold) = fact { Some(hold.payment()) } else { None })
        .filter(|id| !id.is_empty() && !payments.contains(id))
        .collect();
    let named: BTreeSet<&str> = payments.iter().copied().filter(|id| !id.is_empty()).collect();
    let disputed: BTreeSet<&str> = ids(facts, |fact| match fact {
        F::Chargeback { payment, .. } | F::ChargebackReversed { payment, .. } => Some(payment),
        _ => None,
    });
    let is_payment = |id: &str| payments.contains(id) || held.contains(id) || disputed.contains(id);
    let disputes = Disputes::read(facts, is_payment);
    // One without an id may be any payment, also one that is not credited.
    let apart = if payments.contains("") { BTreeSet::new() } else { held.clone() };
    let back = if !named.is_empty() && named.len() + apart.len() > 1 {
        Back::of_several(facts, &named, &apart, is_payment, amount)
    } else {
        let (refunded, disputed) = (refunded(facts, &failed), disputes.open_amount());
        Back { all: refunded + disputed, refunded, disputed, beyond: false, unmatched: disputes.unmatched() }
    };
    let surplus = amount * (named.len() as i64 - 1).max(0);
    let taken = (back.all - surplus).max(0);
    let beyond = back.beyond || back.refunded + back.disputed > amount + surplus;
    let owed = if payments.is_empty() { 0 } else { (amount - taken).max(0) };

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
        (beyond, R::BeyondConfirmed),
        (back.unmatched, R::DisputeUnmatched),
        (!failed.is_empty(), R::RefundFailed),
        (!answered && has(|fact| matches!(fact, F::ReviewHold(H::OutcomeUnknown))), R::OutcomeUnknown),
        (has(|fact| matches!(fact, F::ReviewHold(H::Mismatch { .. }))), R::AmountMismatch),
        (has(|fact| matches!(fact, F::ReviewHold(H::Requested { .. }))), R::ProviderReview),
        (has(|fact| matches!(fact, F::ReviewHold(H::PaymentReused { .. }))), R::PaymentIdReused),
        (!decided && has(|fact| matches!(fact, F::ReviewHold(H::InReview { .. }))), R::ProviderInReview),
    ];
    let (status, code) = if let Some((_, code)) = review.into_iter().find(|(applies, _)| *applies) {
        (S::ManualReview, code)
    } else if back.disputed > 0 && taken > 0 {
        (S::Chargeback, R::Chargeback)
    } else if back.refunded - surplus >= amount {
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

/// What went back.
struct Back {
    all: i64,
    refunded: i64,
    disputed: i64,
    /// Of one payment more than it paid.
    beyond: bool,
    /// A dispute is open, and it is not known which was reversed.
    unmatched: bool,
}

impl Back {
    /// Of several payments: each confirmed one gives back at most the amount, and a total without a payment is tried as the
    /// total of each.
    fn of_several(
        facts: &[F],
        named: &BTreeSet<&str>,
        held: &BTreeSet<&str>,
        is_payment: impl Fn(&str) -> bool,
        amount: i64,
    ) -> Self {
        let known = |payment: &str| named.contains(payment) || held.contains(payment);
        let owner_of = |stated: &dyn Fn(&F) -> Option<Box<str>>| {
            facts.iter().filter_map(stated).filter(|payment| known(payment)).max().unwrap_or_default()
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
        let disputed = |facts: &[F]| Disputes::read(facts, &is_payment).open_amount();
        // With the failures that may be part of it.
        let back = |own: &[F], totals: &[F], failures: &[F]| {
            let all: Vec<F> = own.iter().chain(totals).chain(failures).cloned().collect();
            let failed = ids(&all, |fact| if let F::RefundFailed { id, .. } = fact { Some(id) } else { None });
            refunded(&all, &failed)
        };
        let is_total = |fact: &F| matches!(fact, F::RefundedTotal { .. });
        let failures_of = |payment: &str| -> Vec<F> {
            let failed = ids(facts, |fact| if let F::RefundFailed { id, .. } = fact { Some(id) } else { None });
            let may_be = |fact: &&F| match fact {
                F::Refund { id, .. } | F::RefundFailed { id, .. } => {
                    failed.contains(&**id) && [payment, ""].contains(&&*owner(fact))
                }
                _ => false,
            };
            facts.iter().filter(may_be).cloned().collect()
        };
        let all_failures: Vec<F> = named.iter().chain(held).flat_map(|payment| failures_of(payment)).collect();
        let (unnamed_totals, unnamed): (Vec<F>, Vec<F>) = of("").into_iter().partition(is_total);
        let unnamed_total = back(&[], &unnamed_totals, &all_failures);
        let (mut with_totals, mut apart, mut open, mut both, mut both_apart, mut beyond) = (0, 0, 0, 0, 0, false);
        for payment in named {
            let own = of(payment);
            let refunds = back(&own, &[], &failures_of(payment));
            let larger = refunds.max(unnamed_total);
            with_totals += larger.min(amount);
            apart += refunds.min(amount);
            open += disputed(&own).min(amount);
            both += (larger + disputed(&own)).min(amount);
            both_apart += (refunds + disputed(&own)).min(amount);
            beyond |= refunds + disputed(&own) > amount;
        }
        let rest = back(&unnamed, &[], &[]);
        let of_all: Vec<Vec<F>> = named.iter().chain(held).copied().chain([""]).map(of).collect();
        let read = |facts| Disputes::read(facts, &is_payment);
        let is_open = of_all.iter().any(|facts| !read(facts).open().is_empty());
        let unmatched = of_all.iter().any(|facts| read(facts).unmatched()) || is_open && read(&of("")).stray();
        let disputed = disputed(&unnamed);
        Self {
            all: both.max(both_apart + rest) + disputed,
            refunded: with_totals.max(apart + rest),
            disputed: open + disputed,
            beyond,
            unmatched,
        }
    }
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
        !self.open().is_empty() && (mixed || self.stray())
    }

    fn stray(&self) -> bool {
        self.reversed.iter().any(|id| self.opened.iter().all(|(known, _)| known != id))
    }
}

fn cancelled(facts: &[F]) -> Option<R> {
    facts.iter().filter_map(|fact| if let F::Cancelled { reason } = fact { Some(*reason) } else { None }).max()
}
