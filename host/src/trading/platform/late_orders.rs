//! What the sweep makes of the orders of one key: which pending ones nobody needs any more, and which moved the balance although they
//! should not have. Pure; the sweep itself is `sweep`.

use std::collections::BTreeSet;

use super::finance_order::{FinanceOrder, OrderKey, OrderState};

/// Our own pending orders of a key that nobody needs: another one won, or the cashier itself refused one of them, or the key is known to
/// be void. What won may be an order that a person made, where it moves the same money.
pub(super) fn late(orders: &[FinanceOrder], of: &OrderKey, is_void: bool) -> Vec<u64> {
    let wins_over = |winner: &FinanceOrder, pending: &FinanceOrder| match winner.state {
        OrderState::Approved | OrderState::Executed => {
            of.is_our_own(winner) || of.is_about(winner) && winner.is_like(pending)
        }
        OrderState::Declined => of.refused_by_us(winner).is_some(),
        OrderState::Pending | OrderState::Unexplained(_) => false,
    };
    let pending = orders.iter().filter(|order| order.state == OrderState::Pending && of.is_our_own(order));
    let late = pending.filter(|pending| is_void || orders.iter().any(|winner| wins_over(winner, pending)));
    late.map(|order| order.order).collect::<BTreeSet<u64>>().into_iter().collect()
}

/// Two orders of one key that both moved the balance, whoever made them.
pub(super) fn executed_twice(orders: &[FinanceOrder], of: &OrderKey) -> Option<(u64, u64)> {
    let mut executed = in_state(orders, of, OrderState::Executed).into_iter();
    Some((executed.next()?, executed.next()?))
}

/// An order of the key that moved the balance, or is about to.
pub(super) fn moves(orders: &[FinanceOrder], of: &OrderKey) -> Option<u64> {
    let first = |state: OrderState| in_state(orders, of, state).into_iter().next();
    first(OrderState::Executed).or_else(|| first(OrderState::Approved))
}

fn in_state(orders: &[FinanceOrder], of: &OrderKey, state: OrderState) -> BTreeSet<u64> {
    let of_key = orders.iter().filter(|order| of.is_about(order) || of.is_foreign(order));
    of_key.filter(|order| order.state == state).map(|order| order.order).collect()
}
