//! Facts summed up independently of order and repetition: the provider's statements, and the latest decision of each kind
//! by persons.

use std::collections::BTreeMap;

use crate::facts::{PersonFact, ProviderFact, Recorded, ReviewHold};
use crate::ids::Seq;
use crate::reason::{Reason, ReasonCode};
use crate::status::TransactionStatus;

#[derive(Default)]
pub(super) struct ProviderSummary<'a> {
    pub(super) accepted: bool,
    pub(super) unanswered: bool,
    /// Payment id and the seq it was first recorded at.
    pub(super) payments: BTreeMap<&'a str, Seq>,
    pub(super) declined: Option<&'a str>,
    pub(super) cancelled: Option<ReasonCode>,
    pub(super) refunds: BTreeMap<&'a str, i64>,
    /// The totals that the provider stated, each with the seq it was recorded at.
    pub(super) refund_totals: Vec<(Seq, i64)>,
    pub(super) chargebacks: BTreeMap<&'a str, i64>,
    pub(super) reversals: Vec<&'a str>,
    pub(super) holds: Vec<(Seq, &'a ReviewHold)>,
    pub(super) definite: bool,
    pub(super) newest_reversal: Seq,
}

impl<'a> ProviderSummary<'a> {
    pub(super) fn read(provider: &'a [Recorded<ProviderFact>]) -> Self {
        let mut read = Self::default();
        for known in provider {
            read.definite |= known.fact.is_definite();
            match &known.fact {
                ProviderFact::Accepted | ProviderFact::AdvanceWanted { .. } => read.accepted = true,
                ProviderFact::Unanswered => read.unanswered = true,
                ProviderFact::Confirmed { payment, .. } => {
                    let first = read.payments.entry(payment).or_insert(known.seq);
                    *first = known.seq.min(*first);
                }
                ProviderFact::Declined { reason } => read.declined = read.declined.max(Some(&**reason)),
                ProviderFact::Cancelled { reason } => read.cancelled = read.cancelled.max(Some(*reason)),
                ProviderFact::Refund { id, minor } => {
                    let known_minor = read.refunds.entry(id).or_default();
                    *known_minor = (*known_minor).max(*minor);
                    read.newest_reversal = read.newest_reversal.max(known.seq);
                }
                ProviderFact::RefundedTotal { minor } => {
                    read.refund_totals.push((known.seq, *minor));
                    read.newest_reversal = read.newest_reversal.max(known.seq);
                }
                ProviderFact::Chargeback { id, minor } => {
                    let known_minor = read.chargebacks.entry(id).or_default();
                    *known_minor = (*known_minor).max(*minor);
                    read.newest_reversal = read.newest_reversal.max(known.seq);
                }
                ProviderFact::ChargebackReversed { id } => read.reversals.push(id),
                ProviderFact::ReviewHold(hold) => read.holds.push((known.seq, hold)),
                ProviderFact::LastQuery => {}
            }
        }
        read
    }

    /// What the provider states as refunded: the larger of the sum of its refunds and its totals.
    pub(super) fn refunded(&self) -> i64 {
        let single = self.refunds.values().fold(0_i64, |sum, minor| sum.saturating_add(*minor));
        self.refund_totals.iter().fold(single, |most, (_, total)| most.max(*total))
    }

    /// The sum of disputes that were not reversed.
    pub(super) fn charged_back(&self) -> i64 {
        let open = self.chargebacks.iter().filter(|(id, _)| !self.reversals.contains(*id));
        open.fold(0, |sum, (_, minor)| sum.saturating_add(*minor))
    }

    /// The first review hold, in a fixed order, that no fact has ended and no person has resolved since.
    pub(super) fn review(&self, amount: i64, persons: &PersonSummary) -> Option<Reason> {
        let resolved_at = persons.resolved.map_or(Seq(0), |(seq, _)| seq);
        let named = || self.payments.iter().filter(|(id, _)| !id.is_empty());
        let newest_payment = named().map(|(_, seq)| seq).max().filter(|_| named().count() > 1);
        if newest_payment.is_some_and(|newest| *newest > resolved_at) {
            let ids: Vec<&str> = named().map(|(id, _)| *id).collect();
            return Some(Reason::new(ReasonCode::SecondPayment, ids.join(" and ")));
        }
        if self.refunded().saturating_add(self.charged_back()) > amount && self.newest_reversal > resolved_at {
            return Some(Reason::new(ReasonCode::BeyondConfirmed, "refunds and disputes exceed the ordered amount"));
        }
        let mut open: Vec<&ReviewHold> = Vec::new();
        for (seq, hold) in &self.holds {
            let ended = match hold {
                ReviewHold::OutcomeUnknown => self.definite,
                ReviewHold::AmountUnstated { payment } => {
                    let same = |known: &str| known == &**payment || known.is_empty() || payment.is_empty();
                    self.payments.keys().any(|known| same(known))
                }
                ReviewHold::Mismatch { .. } | ReviewHold::Requested { .. } => false,
            };
            if !ended && *seq > resolved_at {
                open.push(hold);
            }
        }
        open.into_iter().min().map(ReviewHold::reason)
    }
}

impl ReviewHold {
    pub(super) fn reason(&self) -> Reason {
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
        }
    }
}

/// The persons' facts, the latest of each kind.
pub(super) struct PersonSummary<'a> {
    pub(super) held: Option<Recorded<TransactionStatus>>,
    pub(super) approved: Option<Seq>,
    pub(super) rejected: Option<Seq>,
    pub(super) resolved: Option<(Seq, i64)>,
    /// False after a status was set by hand, until a person permits postings again.
    pub(super) money_released: bool,
    pub(super) refunds: BTreeMap<&'a str, RequestedRefund<'a>>,
}

pub(super) struct RequestedRefund<'a> {
    pub(super) seq: Seq,
    pub(super) minor: i64,
    pub(super) state: RefundState<'a>,
}

/// What was refunded, in minor units.
pub(super) struct Refunded {
    /// Stated by the provider, in an event or in the answer to a requested refund.
    pub(super) done: i64,
    /// Including the refunds that are requested and not refused.
    pub(super) with_requested: i64,
}

pub(super) enum RefundState<'a> {
    Requested,
    Refused,
    Done(&'a str),
}

impl<'a> PersonSummary<'a> {
    pub(super) fn read(persons: &'a [Recorded<PersonFact>]) -> Self {
        let mut latest: Vec<&Recorded<PersonFact>> = persons.iter().collect();
        latest.sort_by_key(|known| known.seq);
        let mut read = Self {
            held: None,
            approved: None,
            rejected: None,
            resolved: None,
            money_released: true,
            refunds: BTreeMap::new(),
        };
        for known in latest {
            match &known.fact {
                PersonFact::Held(status) => {
                    read.held = Some(Recorded { seq: known.seq, at: known.at, fact: *status });
                    read.money_released = false;
                }
                PersonFact::Released => read.held = None,
                PersonFact::Approved => {
                    read.approved = Some(known.seq);
                    read.money_released = true;
                }
                PersonFact::Rejected => read.rejected = Some(known.seq),
                PersonFact::Resolved { minor } => {
                    read.resolved = Some((known.seq, *minor));
                    read.rejected = None;
                    read.money_released = true;
                }
                PersonFact::Retried => read.money_released = true,
                PersonFact::RefundRequested { id, minor } => {
                    read.refunds
                        .insert(id, RequestedRefund { seq: known.seq, minor: *minor, state: RefundState::Requested });
                }
                PersonFact::RefundRefused { id } => {
                    if let Some(requested) = read.refunds.get_mut(&**id) {
                        requested.state = RefundState::Refused;
                    }
                }
                PersonFact::RefundDone { id, refund } => {
                    if let Some(requested) = read.refunds.get_mut(&**id) {
                        requested.state = RefundState::Done(refund);
                    }
                }
            }
        }
        read
    }

    /// Sums up refunds without counting one twice. A requested refund that is done is the provider's refund of that id; a
    /// total that was recorded after the request includes it, one recorded before does not.
    pub(super) fn refunded(&self, provider: &ProviderSummary<'_>) -> Refunded {
        let (mut done, mut requested) = (0_i64, 0_i64);
        let mut all_requested: Vec<(Seq, i64)> = Vec::new();
        for refund in self.refunds.values() {
            match refund.state {
                RefundState::Refused => continue,
                RefundState::Done(id) if provider.refunds.contains_key(id) => {}
                RefundState::Done(_) => done = done.saturating_add(refund.minor),
                RefundState::Requested => requested = requested.saturating_add(refund.minor),
            }
            all_requested.push((refund.seq, refund.minor));
        }
        let single = provider.refunds.values().fold(0_i64, |sum, minor| sum.saturating_add(*minor));
        let done = single.saturating_add(done);
        let mut with_requested = done.saturating_add(requested);
        for (recorded_at, total) in &provider.refund_totals {
            let later = all_requested.iter().filter(|(requested_at, _)| requested_at > recorded_at);
            with_requested = with_requested.max(later.fold(*total, |sum, (_, minor)| sum.saturating_add(*minor)));
        }
        Refunded { done: done.max(provider.refunded()), with_requested }
    }
}
