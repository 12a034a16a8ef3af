//! The provider's statements summed up, independently of order and repetition. What went back of a payment is in
//! `reversals`, what is left for a review in `review`.

use std::collections::{BTreeMap, BTreeSet};

use super::reversals::{Attribution, ByPayment, Disputes};
use crate::facts::{Facts, ProviderFact, ResolvedCredit, ReviewHold};
use crate::ids::Seq;
use crate::reason::ReasonCode;

#[derive(Default)]
pub(super) struct ProviderSummary<'a> {
    pub(super) accepted: bool,
    pub(super) unanswered: bool,
    /// Payment id and the seq it was first recorded at.
    pub(super) payments: BTreeMap<&'a str, Seq>,
    pub(super) declined: Option<&'a str>,
    pub(super) cancelled: Option<ReasonCode>,
    /// Every payment that is named, also those that are not credited, and the seq it was first recorded at.
    pub(super) known: BTreeMap<&'a str, Seq>,
    /// What the newest resolution credits of those.
    pub(super) credit: ResolvedCredit<'a>,
    pub(super) attribution: Attribution<'a>,
    pub(super) reversals: ByPayment<'a>,
    /// Our id of a requested refund, and the provider's id of it.
    pub(super) requested: BTreeMap<&'a str, &'a str>,
    /// The review holds that nothing has ended.
    pub(super) holds: Vec<&'a ReviewHold>,
    /// When money last went back.
    pub(super) newest_reversal: Seq,
    /// When a refund last failed.
    pub(super) newest_failure: Seq,
    /// When a dispute was last opened or reversed.
    pub(super) newest_dispute: Seq,
}

impl<'a> ProviderSummary<'a> {
    pub(super) fn read(facts: &'a Facts) -> Self {
        let mut read = Self { holds: facts.open_holds().collect(), credit: facts.resolved_credit(), ..Self::default() };
        let mut reversing = Vec::new();
        for known in &facts.provider {
            match &known.fact {
                ProviderFact::Accepted | ProviderFact::AdvanceWanted { .. } => read.accepted = true,
                ProviderFact::Unanswered => read.unanswered = true,
                ProviderFact::Confirmed { payment, .. } => {
                    keep_first(&mut read.payments, payment, known.seq);
                    keep_first(&mut read.known, payment, known.seq);
                }
                ProviderFact::Declined { reason } => read.declined = read.declined.max(Some(&**reason)),
                ProviderFact::Cancelled { reason } => read.cancelled = read.cancelled.max(Some(*reason)),
                ProviderFact::Refund { .. } | ProviderFact::RefundedTotal { .. } => {
                    reversing.push(known);
                    read.newest_reversal = read.newest_reversal.max(known.seq);
                }
                ProviderFact::RefundFailed { .. } => {
                    reversing.push(known);
                    read.newest_failure = read.newest_failure.max(known.seq);
                }
                ProviderFact::Chargeback { .. } => {
                    reversing.push(known);
                    read.newest_reversal = read.newest_reversal.max(known.seq);
                    read.newest_dispute = read.newest_dispute.max(known.seq);
                }
                ProviderFact::ChargebackReversed { .. } => {
                    reversing.push(known);
                    read.newest_dispute = read.newest_dispute.max(known.seq);
                }
                ProviderFact::RefundOfRequest { id, requested } => {
                    let linked = read.requested.entry(requested).or_insert(id);
                    *linked = (*linked).max(id);
                }
                ProviderFact::LastQuery => {}
                ProviderFact::ReviewHold(hold) => keep_first(&mut read.known, hold.payment(), known.seq),
            }
        }
        read.known.remove("");
        // Once every payment is known. A confirmation without an id may be of one that is not credited: then none of those is
        // kept apart.
        let ids: BTreeSet<&str> = read.known.keys().copied().collect();
        let confirmed: BTreeSet<&str> = read.named_payments().map(|(id, _)| id).collect();
        let apart = if read.payments.contains_key("") { confirmed.clone() } else { ids.clone() };
        let is_split = (!confirmed.is_empty() || !read.credit.held.is_empty()) && apart.len() > 1;
        let several = if is_split { apart } else { BTreeSet::new() };
        read.attribution = Attribution::new(reversing, several, ids);
        read.reversals = read.attribution.until(Seq(u64::MAX));
        read
    }

    /// The ids of the payments that are named.
    pub(super) fn named_payments(&self) -> impl Iterator<Item = (&'a str, Seq)> + Clone {
        self.payments.iter().filter(|(id, _)| !id.is_empty()).map(|(id, seq)| (*id, *seq))
    }

    /// What may go back of a payment at most: what was paid of one that is credited, `amount` of a confirmed one, and nothing of
    /// one that is not credited.
    pub(super) fn credited_minor(&self, payment: &str, amount: i64) -> i64 {
        if self.payments.contains_key(payment) {
            return amount;
        }
        self.credit.held.get(payment).copied().unwrap_or_default()
    }

    /// What was paid of an order of `amount`, also where a person credited it.
    pub(super) fn paid_minor(&self, amount: i64) -> i64 {
        self.confirmed_minor(amount).saturating_add(self.credit.paid_minor)
    }

    pub(super) fn confirmed_minor(&self, amount: i64) -> i64 {
        amount.saturating_mul(self.payment_count() as i64)
    }

    /// How many payments of the ordered amount were confirmed. One without an id may be any of the named.
    pub(super) fn payment_count(&self) -> usize {
        self.payment_count_until(Seq(u64::MAX))
    }

    /// The same of those that were recorded until then.
    pub(super) fn payment_count_until(&self, until: Seq) -> usize {
        let unnamed = self.payments.values().any(|seq| *seq <= until);
        self.named_payments().filter(|(_, seq)| *seq <= until).count().max(usize::from(unnamed))
    }

    /// The disputes of every payment.
    pub(super) fn disputes(&self) -> impl Iterator<Item = &Disputes<'a>> {
        self.reversals.values().map(|of_one| &of_one.disputes)
    }

    /// A dispute is open and it is not known which was reversed. A reversal that names no payment may be of any.
    pub(super) fn disputes_are_unmatched(&self) -> bool {
        let is_open = || self.disputes().any(|disputes| disputes.open().next().is_some());
        let unnamed = self.reversals.get("").is_some_and(|unnamed| unnamed.disputes.has_stray_reversal());
        self.disputes().any(Disputes::are_unmatched) || unnamed && is_open()
    }
}

fn keep_first<'a>(seqs: &mut BTreeMap<&'a str, Seq>, id: &'a str, seq: Seq) {
    let first = seqs.entry(id).or_insert(seq);
    *first = seq.min(*first);
}
