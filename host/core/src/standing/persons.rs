//! The decisions of persons summed up, the latest of each kind; and requested refunds beside the provider's statements, so
//! that none counts twice.

use std::collections::BTreeMap;

use super::provider::ProviderSummary;
use crate::facts::{PersonFact, Recorded};
use crate::ids::Seq;
use crate::status::TransactionStatus;

/// The persons' facts, the latest of each kind.
pub(super) struct PersonSummary<'a> {
    pub(super) held: Option<Recorded<TransactionStatus>>,
    pub(super) approved: Option<Seq>,
    pub(super) rejected: Option<Seq>,
    pub(super) resolved: Option<(Seq, i64)>,
    /// False after a status was set by hand, until a person permits postings again.
    pub(super) money_released: bool,
    /// The OUT of a provider's reversal waits for a person.
    pub(super) reversals_wait: bool,
    /// When a person last let waiting reversals be posted.
    pub(super) reversals_permitted: Seq,
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
            reversals_wait: false,
            reversals_permitted: Seq(0),
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
                    read.reversals_permitted = known.seq;
                }
                PersonFact::Rejected => read.rejected = Some(known.seq),
                PersonFact::Resolved { minor } => {
                    read.resolved = Some((known.seq, *minor));
                    read.rejected = None;
                    read.money_released = true;
                    read.reversals_permitted = known.seq;
                }
                PersonFact::Retried => {
                    read.money_released = true;
                    read.reversals_permitted = known.seq;
                }
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
                PersonFact::ReversalsWait => read.reversals_wait = true,
            }
        }
        read
    }

    /// Sums up refunds without counting one twice. A requested refund is the provider's refund that its answer named, or
    /// that a statement of the provider links to it; one that failed counts no more. A total that was recorded after the
    /// request includes it, one recorded before does not.
    pub(super) fn refunded(&self, provider: &ProviderSummary<'_>) -> Refunded {
        let (mut done, mut requested) = (0_i64, 0_i64);
        let mut all_requested: Vec<(Seq, i64)> = Vec::new();
        for (own_id, refund) in &self.refunds {
            let named = match refund.state {
                RefundState::Refused => continue,
                RefundState::Done(id) => Some(id),
                RefundState::Requested => provider.requested.get(own_id).copied(),
            };
            if named.is_some_and(|id| provider.failed.contains_key(id)) {
                continue;
            }
            match refund.state {
                RefundState::Done(_) | RefundState::Requested
                    if named.is_some_and(|id| provider.refunds.contains_key(id)) => {}
                RefundState::Done(_) => done = done.saturating_add(refund.minor),
                RefundState::Requested | RefundState::Refused => requested = requested.saturating_add(refund.minor),
            }
            all_requested.push((refund.seq, refund.minor));
        }
        let done = provider.single_refunds().saturating_add(done);
        let mut with_requested = done.saturating_add(requested);
        for (recorded_at, total) in provider.totals() {
            let later = all_requested.iter().filter(|(requested_at, _)| *requested_at > recorded_at);
            with_requested = with_requested.max(later.fold(total, |sum, (_, minor)| sum.saturating_add(*minor)));
        }
        Refunded { done: done.max(provider.refunded()), with_requested }
    }
}
