//! The decisions of persons summed up, the latest of each kind.

use std::collections::BTreeMap;

use crate::facts::{PersonFact, Recorded};
use crate::ids::Seq;
use crate::status::TransactionStatus;

/// The persons' facts, the latest of each kind.
pub(super) struct PersonSummary<'a> {
    pub(super) held: Option<Recorded<TransactionStatus>>,
    pub(super) approved: Option<Seq>,
    pub(super) rejected: Option<Seq>,
    /// It was the customer who did.
    pub(super) cancelled: bool,
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
    /// Of which payment; empty where the order has one.
    pub(super) payment: &'a str,
    pub(super) minor: i64,
    pub(super) state: RefundState<'a>,
}

pub(super) enum RefundState<'a> {
    Requested,
    Refused,
    /// Accepted by the provider as its refund of this id, which may be empty.
    Accepted(&'a str),
    Done(&'a str),
    /// The provider's total counts it.
    InTotal,
}

impl<'a> PersonSummary<'a> {
    pub(super) fn read(persons: impl Iterator<Item = &'a Recorded<PersonFact>>) -> Self {
        let mut latest: Vec<&Recorded<PersonFact>> = persons.collect();
        latest.sort_by_key(|known| known.seq);
        let mut read = Self {
            held: None,
            approved: None,
            rejected: None,
            cancelled: false,
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
                PersonFact::CancelledByCustomer => {
                    read.rejected = Some(known.seq);
                    read.cancelled = true;
                }
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
                PersonFact::RefundRequested { id, payment, minor } => {
                    let state = RefundState::Requested;
                    read.refunds.insert(id, RequestedRefund { seq: known.seq, payment, minor: *minor, state });
                }
                PersonFact::RefundRefused { id } => read.refund_is(id, RefundState::Refused),
                PersonFact::RefundDone { id, refund } => read.refund_is(id, RefundState::Done(refund)),
                PersonFact::RefundAccepted { id, refund } => read.refund_is(id, RefundState::Accepted(refund)),
                PersonFact::RefundInTotal { id } => read.refund_is(id, RefundState::InTotal),
                PersonFact::RefundReason { .. }
                | PersonFact::RefundSent { .. }
                | PersonFact::RefundCrashed { .. }
                | PersonFact::RefundRefusal { .. } => {}
                PersonFact::ReversalsWait => read.reversals_wait = true,
                PersonFact::Entered { .. }
                | PersonFact::EnteredBeside { .. }
                | PersonFact::Explained { .. }
                | PersonFact::CommentWritten { .. }
                | PersonFact::MetadataWritten { .. } => {}
            }
        }
        read
    }

    fn refund_is(&mut self, id: &str, state: RefundState<'a>) {
        if let Some(requested) = self.refunds.get_mut(id) {
            requested.state = state;
        }
    }
}
