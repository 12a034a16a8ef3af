//! What to do next for a posting, from the number that was recorded for it and the finance orders that the platform has. Pure: it
//! asks nothing and moves nothing.
//!
//! An order is ours by our source and our whole key. One that is approved or executed wins over every number; two executed ones
//! are a review; only one that is pending under our own source and key is ever declined; a recorded number is never replaced.

use std::collections::{BTreeMap, BTreeSet};

use cashier_core::ids::Login;
use cashier_core::money::Money;
use cashier_core::operation::{PostingFlaw, PostingOutcome};
use cashier_core::status::OperationCmd;

use super::finance_order::{FinanceOrder, OrderKey, OrderState};

/// The reason of a refusal where somebody else declined our order.
pub(super) const DECLINED_BY_OTHERS: &str = "DECLINED_AT_TRADING_SERVER";

/// The posting as an order must have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WantedOrder {
    pub(super) of: OrderKey,
    pub(super) login: Login,
    pub(super) cmd: OperationCmd,
    pub(super) amount: Money,
    /// 0 while none is recorded.
    pub(super) recorded: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PostingStep {
    /// There is none.
    Create,
    /// One that moves nothing is there: its number is to be recorded.
    Record {
        order: u64,
    },
    /// The recorded one is pending.
    Approve {
        order: u64,
    },
    /// These are to be declined, and asked for again, before anything is said to be refused.
    Decline {
        orders: Vec<u64>,
    },
    /// This one may move the balance any time, or cannot be declined.
    Wait {
        order: u64,
        state: OrderState,
    },
    Posted {
        trade_order: u64,
        flaw: Option<PostingFlaw>,
    },
    Refused {
        reason: Box<str>,
    },
    /// Orders of the key have other values, and none of them moves the balance.
    Conflict,
    /// This one has the key and other values or another source, and moved the balance, or may any time: only a person can find out
    /// what it is.
    Contradicts {
        order: u64,
        state: OrderState,
    },
    /// A number is recorded, and the platform does not have it.
    Gone,
}

impl WantedOrder {
    fn is_same(&self, order: &FinanceOrder) -> bool {
        let minor = order.minor(self.amount.currency.exponent());
        // Of one that never moved the balance some platforms state no amount.
        let never_moved = order.state == OrderState::Declined && (order.amount.is_empty() || minor == Some(0));
        let has_amount = minor == Some(self.amount.minor) || never_moved;
        order.login == self.login && order.cmd == Some(self.cmd) && has_amount
    }

    /// One about this posting whose amount cannot be read exactly: nothing can be said of it, unless it was declined, and never moves.
    pub(super) fn unreadable(&self, orders: &[FinanceOrder]) -> Option<u64> {
        // Zero is what some platforms state of an order that has not moved the balance yet.
        let is_unreadable = |order: &FinanceOrder| match order.minor(self.amount.currency.exponent()) {
            _ if order.state == OrderState::Declined => false,
            Some(minor) => minor == 0 && self.amount.minor != 0,
            None => true,
        };
        let mut about = self.known(orders).into_iter().filter(|order| self.of.is_about(order));
        about.find(|order| is_unreadable(order)).map(|order| order.order)
    }

    /// One that is there and was not declined, by the key or by the recorded number.
    pub(super) fn open(&self, orders: &[FinanceOrder]) -> Option<u64> {
        let is_ours = |order: &&FinanceOrder| {
            let is_recorded = self.recorded != 0 && order.order == self.recorded;
            is_recorded || self.of.is_about(order) || self.of.is_foreign(order)
        };
        let open = orders.iter().filter(is_ours).find(|order| order.state != OrderState::Declined);
        open.map(|order| order.order)
    }

    /// Whether the answer of a call is the posting itself.
    pub(super) fn is_answered_by(&self, order: &FinanceOrder) -> bool {
        self.of.is_about(order) && self.is_same(order)
    }

    /// Whether the answer to a request is it, in whole: then nobody need ask for it.
    pub(super) fn is_made_as(&self, order: &FinanceOrder) -> bool {
        self.is_answered_by(order) && self.of.has_uuid(&order.uuid) && order.state == OrderState::Pending
    }

    fn may_decline(&self, order: &FinanceOrder) -> bool {
        order.state == OrderState::Pending && self.of.is_our_own(order)
    }

    /// Those about this posting, and those of another source that may have moved its money, each once, by their numbers.
    fn known<'o>(&self, orders: &'o [FinanceOrder]) -> Vec<&'o FinanceOrder> {
        let may_move = |order: &FinanceOrder| self.of.is_foreign(order) && order.state != OrderState::Declined;
        let about = orders.iter().filter(|order| self.of.is_about(order) || may_move(order));
        about.map(|order| (order.order, order)).collect::<BTreeMap<u64, &FinanceOrder>>().into_values().collect()
    }

    pub(super) fn next_step(&self, orders: &[FinanceOrder]) -> PostingStep {
        let (same, other): (Vec<&FinanceOrder>, Vec<&FinanceOrder>) =
            self.known(orders).into_iter().partition(|order| self.is_answered_by(order));
        let in_state = |state: OrderState| same.iter().copied().filter(move |order| order.state == state);
        // Of several, the recorded one.
        let first = |found: &mut dyn Iterator<Item = &FinanceOrder>| {
            found.map(|order| order.order).min_by_key(|order| (*order != self.recorded, *order))
        };
        if let Some(trade_order) = first(&mut in_state(OrderState::Executed)) {
            // A reversal that names the key moved the money back: it is no second one.
            let is_second = |order: &&&FinanceOrder| {
                order.state == OrderState::Executed && (order.cmd == Some(self.cmd) || self.of.is_our_own(order))
            };
            let executed = same.iter().chain(&other).filter(is_second);
            let second = executed.map(|order| order.order).find(|order| *order != trade_order);
            return PostingStep::Posted { trade_order, flaw: second.map(|other| PostingFlaw::Twice { other }) };
        }
        if let Some(order) = first(&mut in_state(OrderState::Approved)) {
            return PostingStep::Wait { order, state: OrderState::Approved };
        }
        if let Some(order) = same.iter().find(|order| matches!(order.state, OrderState::Unexplained(_))) {
            return PostingStep::Wait { order: order.order, state: order.state };
        }
        let is_moving = |order: &&&FinanceOrder| match order.state {
            OrderState::Approved | OrderState::Executed | OrderState::Unexplained(_) => true,
            // One of our own is declined.
            OrderState::Pending => !self.may_decline(order),
            OrderState::Declined => false,
        };
        if let Some(order) = other.iter().find(is_moving) {
            return PostingStep::Contradicts { order: order.order, state: order.state };
        }
        let pending = || in_state(OrderState::Pending);
        let declined = || in_state(OrderState::Declined);
        let is_recorded = |order: &&FinanceOrder| order.order == self.recorded;
        // What ends it: nothing pending may be left behind, because a dealer could approve it.
        let ended = if other.is_empty() {
            let by = if self.recorded == 0 { declined().next() } else { declined().find(is_recorded) };
            by.map(|order| PostingStep::Refused { reason: self.reason_of(order) })
        } else {
            Some(PostingStep::Conflict)
        };
        if let Some(ended) = ended {
            let all = pending().chain(other.iter().copied().filter(|order| order.state == OrderState::Pending));
            return self.declined_before(all, ended);
        }
        // Of a request that somebody else made, nothing is recorded or approved; nor is another beside it.
        if let Some(order) = pending().find(|order| !self.may_decline(order)) {
            return PostingStep::Wait { order: order.order, state: order.state };
        }
        match (self.recorded, pending().next(), pending().find(is_recorded)) {
            (0, None, _) => PostingStep::Create,
            (0, Some(order), _) => PostingStep::Record { order: order.order },
            (_, _, Some(order)) => PostingStep::Approve { order: order.order },
            (_, _, None) => PostingStep::Gone,
        }
    }

    /// The same where nothing may be posted any more: what is pending is declined, and what is not there is refused.
    pub(super) fn void_step(&self, orders: &[FinanceOrder], reason: &str) -> PostingStep {
        let known = self.known(orders);
        let pending = || known.iter().copied().filter(|order| order.state == OrderState::Pending);
        let refused = PostingStep::Refused { reason: reason.into() };
        match self.next_step(orders) {
            PostingStep::Create => refused,
            PostingStep::Record { .. }
            | PostingStep::Approve { .. }
            | PostingStep::Wait { state: OrderState::Pending, .. } => self.declined_before(pending(), refused),
            PostingStep::Gone => self.declined_before(pending(), PostingStep::Gone),
            step @ (PostingStep::Decline { .. }
            | PostingStep::Wait { .. }
            | PostingStep::Posted { .. }
            | PostingStep::Refused { .. }
            | PostingStep::Contradicts { .. }
            | PostingStep::Conflict) => step,
        }
    }

    /// Why it was declined: the reason that we wrote beside the key, or that others did it.
    fn reason_of(&self, order: &FinanceOrder) -> Box<str> {
        self.of.refused_by_us(order).unwrap_or(DECLINED_BY_OTHERS).into()
    }

    fn declined_before<'o>(&self, pending: impl Iterator<Item = &'o FinanceOrder>, ended: PostingStep) -> PostingStep {
        let (ours, others): (Vec<&FinanceOrder>, Vec<&FinanceOrder>) =
            pending.partition(|order| self.may_decline(order));
        if !ours.is_empty() {
            let numbers: BTreeSet<u64> = ours.into_iter().map(|order| order.order).collect();
            return PostingStep::Decline { orders: numbers.into_iter().collect() };
        }
        match others.first() {
            Some(order) => PostingStep::Wait { order: order.order, state: order.state },
            None => ended,
        }
    }
}

impl PostingStep {
    /// What is known of the posting by this step; `None` where something is still to be done.
    pub(super) fn outcome(&self) -> Option<PostingOutcome> {
        match self {
            Self::Posted { trade_order, flaw } => {
                Some(PostingOutcome::Posted { trade_order: *trade_order, flaw: *flaw })
            }
            Self::Refused { reason } => Some(PostingOutcome::Refused { reason: reason.clone() }),
            Self::Conflict => Some(PostingOutcome::Conflict),
            // It may be posted any time, or may have been.
            Self::Wait { .. } | Self::Contradicts { .. } | Self::Gone => Some(PostingOutcome::Unknown),
            Self::Create | Self::Record { .. } | Self::Approve { .. } | Self::Decline { .. } => None,
        }
    }
}
