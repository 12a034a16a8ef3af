//! A change of a config, or a decision about a transaction, that waits for a second person: who asked for what, until when, and
//! who decided. The request itself is stored, sealed, because it may hold secrets.

use std::collections::BTreeMap;

use crate::facts::{Facts, ProviderFact};
use crate::ids::{ApprovalId, ConfigId, ManagerId, OperationId, TransactionId};
use crate::money::{Currency, Money};
use crate::numbered::numbered;
use crate::provider_config::{Secret, UnreadableColumn};
use crate::refusal::{Refusal, RefusalCode};
use crate::session::ManagerSession;
use crate::time::UnixTime;

/// An approval without a decision expires after three days: a weekend and a day.
pub const APPROVAL_SECONDS: i64 = 3 * 24 * 60 * 60;

/// Approvals that may be open at once, and as many again are shown after they were decided: persons read them.
pub const APPROVALS_OPEN_MAX: usize = 128;
/// Of these for one brand, so that whoever repeats requests there keeps no other brand from asking.
pub const APPROVALS_OF_BRAND_MAX: usize = 32;
pub const APPROVALS_MAX: usize = 2 * APPROVALS_OPEN_MAX;

numbered! {
    /// The state of an approval, with its wire name.
    ApprovalState {
        Open = 0 "open",
        Approved = 1 "approved",
        Rejected = 2 "rejected",
        /// There was no decision before its expiry; derived, never stored.
        Expired = 3 "expired",
    }
}

/// A change that waits for, or was decided by, a second person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub id: ApprovalId,
    /// The command that asked.
    pub command: Box<str>,
    /// The config that it is about, or that of the transaction; `ConfigId(0)` where a config is to be created.
    pub config_id: ConfigId,
    /// `TransactionId(0)` where it is about a config.
    pub transaction_id: TransactionId,
    /// What the decision would move; `None` where it is about a config.
    pub amount: Option<Money>,
    /// The brand of the config as the change would leave it, empty serves every brand; or that of the transaction.
    pub brand: Box<str>,
    /// What it was asked for: the version of the config, 0 where it is to be created; or the [`ground`] of the transaction.
    pub ground: u64,
    /// The request's `data` as received; empty once it is decided or expired.
    pub request: Secret,
    /// Why `request` is empty although it is stored.
    pub unreadable: Option<UnreadableColumn>,
    /// Names of the fields that would change, in a fixed order, separated by spaces.
    pub fields: Box<str>,
    pub asked_by: ManagerId,
    pub asked_time: UnixTime,
    pub expires_time: UnixTime,
    /// `Open`, `Approved` or `Rejected`; see [`Self::state_at`].
    pub state: ApprovalState,
    pub decided_by: ManagerId,
    pub decided_time: UnixTime,
}

/// An approval as it is at a time: its state is derived from it.
#[derive(Debug, Clone, Copy)]
pub struct ApprovalAt<'a> {
    pub row: &'a Approval,
    pub now: UnixTime,
}

impl Approval {
    /// The state at a time: an open approval past its expiry is expired, and so is one that a clock which was far ahead
    /// stamped: it would be open for as long as the clock was ahead.
    pub fn state_at(&self, now: UnixTime) -> ApprovalState {
        let is_live = now < self.expires_time && self.expires_time <= now.plus(2 * APPROVAL_SECONDS);
        match self.state {
            ApprovalState::Open if !is_live => ApprovalState::Expired,
            state => state,
        }
    }

    /// Why its request does not open, with row and column.
    pub fn broken(&self) -> Option<String> {
        self.unreadable
            .as_ref()
            .map(|unreadable| format!("approval {}: {}: {}", self.id, unreadable.column, unreadable.why))
    }

    /// Whether there is a request, readable or not.
    pub fn holds_request(&self) -> bool {
        !self.request.is_empty() || self.unreadable.is_some()
    }

    /// Without the request, which nobody needs any more and which may hold secrets.
    pub fn without_request(&self) -> Self {
        Self { request: Secret::default(), unreadable: None, ..self.clone() }
    }

    /// Whether there is a request that can be made.
    ///
    /// # Errors
    /// 409 where it does not open: only rejecting is possible.
    pub fn check_readable(&self) -> Result<(), Refusal> {
        match self.broken() {
            None => Ok(()),
            Some(broken) => {
                let message = format!("the request cannot be read ({broken}): reject it and ask again");
                Err(Refusal::new(RefusalCode::ApprovalStale, message))
            }
        }
    }

    /// Whether what it was asked for may still be made on the ground as it is now: otherwise it is rejected and asked for again.
    pub fn is_grounded(&self, ground: u64) -> bool {
        ground == self.ground && self.unreadable.is_none()
    }

    /// Whether this session may approve it now, on the ground as it is now. Whoever owns the host may approve alone.
    ///
    /// # Errors
    /// 409 where it is not open any more, 403 for the one who asked, 409 where the ground changed since.
    pub fn check_approver(&self, session: &ManagerSession, ground: u64, now: UnixTime) -> Result<(), Refusal> {
        self.check_open(now)?;
        if session.manager_id() == self.asked_by && !session.breaks_glass() {
            let message = "the one who asked for a change cannot approve it: a second person must";
            return Err(Refusal::new(RefusalCode::PermissionDenied, message));
        }
        if ground != self.ground {
            let what = if self.transaction_id.0 == 0 { "config" } else { "transaction" };
            let message = format!("the {what} changed since the change was asked for: reject it and ask again");
            return Err(Refusal::new(RefusalCode::ApprovalStale, message));
        }
        Ok(())
    }

    /// Whether the same person asked for the same on the same ground with this one, which still waits.
    pub fn waits_for_the_same(&self, asked: &Self, now: UnixTime) -> bool {
        self.state_at(now) == ApprovalState::Open
            && (self.config_id, self.transaction_id, self.asked_by)
                == (asked.config_id, asked.transaction_id, asked.asked_by)
            && (&self.command, self.ground) == (&asked.command, asked.ground)
            && self.request == asked.request
    }

    /// Whether it still waits for a decision. Also the one who asked may reject it.
    ///
    /// # Errors
    /// 409 where it was decided or is expired.
    pub fn check_open(&self, now: UnixTime) -> Result<(), Refusal> {
        match self.state_at(now) {
            ApprovalState::Open => Ok(()),
            ApprovalState::Expired => Err(Refusal::new(RefusalCode::ApprovalStale, "the approval is expired")),
            ApprovalState::Approved | ApprovalState::Rejected => {
                let message = format!("the approval is {} already, by {}", self.state.name(), self.decided_by);
                Err(Refusal::new(RefusalCode::Duplicate, message))
            }
        }
    }
}

/// On what a decision about a transaction rests: in which commits its facts about money and reviews, and the decisions of persons,
/// were recorded. A count would not do: what went back of a payment is given up where that proves to be another transaction's, and
/// the next payment restores the number. A commit comes once, so that no other facts give the same; a notice that states nothing
/// new adds none. And on which posting has no answer: that it was never made is said of that one, not of the next.
pub fn ground(facts: &Facts, unanswered: Option<OperationId>) -> u64 {
    let counts = |fact: &ProviderFact| fact.is_money() || matches!(fact, ProviderFact::ReviewHold(_));
    let of_providers = facts.provider.iter().filter(|known| counts(&known.fact)).map(|known| known.seq.0);
    let of_persons = facts.persons.iter().map(|known| known.seq.0);
    let of_posting = unanswered.into_iter().flat_map(|operation| [0, operation.0]);
    let separated = of_providers.chain([0]).chain(of_persons).chain(of_posting);
    separated.fold(FNV_START, |mixed, seq| (mixed ^ seq).wrapping_mul(FNV_PRIME)) >> 1
}

/// FNV-1a, over whole numbers: what is mixed are numbers of commits and operations, which no client chooses.
const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// Amounts by currency up to which a refund needs one person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefundLimits(BTreeMap<Currency, i64>);

impl RefundLimits {
    pub fn new(limits: impl IntoIterator<Item = Money>) -> Self {
        Self(limits.into_iter().map(|limit| (limit.currency, limit.minor)).collect())
    }

    /// Whether a refund of this amount waits for a second person; in a currency without a limit every one does.
    pub fn exceeds(&self, amount: Money) -> bool {
        self.0.get(&amount.currency).is_none_or(|limit| amount.minor > *limit)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::facts::{PersonFact, ReviewHold};
    use crate::ids::Seq;

    #[test]
    fn a_refund_above_the_limit_of_its_currency_waits_and_any_in_another_currency() {
        let money = |minor, code| Money::new(minor, Currency::from_code(code).unwrap());
        let limits = RefundLimits::new([money(100_000, "USD"), money(0, "EUR")]);
        for (amount, waits) in [
            (money(99_999, "USD"), false),
            (money(100_000, "USD"), false),
            (money(100_001, "USD"), true),
            (money(1, "EUR"), true),
            (money(1, "JPY"), true),
        ] {
            assert_eq!(limits.exceeds(amount), waits, "{amount}");
        }
        assert!(RefundLimits::default().exceeds(money(1, "USD")));
    }

    #[test]
    fn only_a_new_payment_reversal_review_decision_or_posting_without_an_answer_changes_the_ground() {
        let mut facts = Facts::default();
        let mut seq = 0;
        let mut after = |facts: &mut Facts, fact: ProviderFact| {
            seq += 1;
            facts.record(Seq(seq), UnixTime(1), fact);
            ground(facts, None)
        };
        let paid = |payment: &str| ProviderFact::Confirmed { payment: payment.into(), minor: 100 };
        let refunded = ProviderFact::RefundedTotal { payment: "other".into(), minor: 5 };
        let none = ground(&facts, None);
        assert_eq!(after(&mut facts, ProviderFact::Accepted), none);
        let of_payment = after(&mut facts, paid("p"));
        assert_eq!(after(&mut facts, paid("p")), of_payment, "the same notice again");
        assert_eq!(after(&mut facts, ProviderFact::Declined { reason: "d".into() }), of_payment);
        let of_refund = after(&mut facts, refunded);
        facts.drop_reversals("other");
        let of_second = after(&mut facts, paid("q"));
        let of_hold = after(&mut facts, ProviderFact::ReviewHold(ReviewHold::NotStored));
        facts.record_person(Seq(9), UnixTime(1), PersonFact::Retried);
        let of_decision = ground(&facts, None);
        let of_postings = [1, 2].map(|id| ground(&facts, Some(OperationId(id))));
        let of_facts = [none, of_payment, of_refund, of_second, of_hold, of_decision];
        let different: BTreeSet<u64> = of_facts.into_iter().chain(of_postings).collect();
        assert_eq!(different.len(), 8, "as many facts are not the same facts: {different:?}");
        assert!(different.iter().all(|ground| i64::try_from(*ground).is_ok()), "it is stored");
    }
}
