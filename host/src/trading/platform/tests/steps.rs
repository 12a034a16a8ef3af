//! The table of what is done next, by the recorded number and the orders that the platform has.

use cashier_core::ids::Login;
use cashier_core::money::{Currency, Money};
use cashier_core::status::OperationCmd;
use proptest::prelude::*;

use crate::trading::platform::finance_order::{FinanceOrder, OrderKey, OrderState, signed_minor};
use crate::trading::platform::late_orders::{executed_twice, late, moves};
use crate::trading::platform::next_step::{PostingStep, WantedOrder};

const KEY: &str = "d0123456789abcdefghj:1";

fn of_key() -> OrderKey {
    OrderKey { key: KEY.into(), uuid: KEY.into(), other_uuid: "UUID-OF-KEY".into(), source: "cashier".into() }
}

fn wanted(recorded: u64) -> WantedOrder {
    WantedOrder {
        of: of_key(),
        login: Login(100),
        cmd: OperationCmd::BalanceIn,
        amount: Money::new(25_050, Currency::from_code("USD").unwrap()),
        recorded,
    }
}

/// `12:executed/amount,no-source`: an order that differs from the wanted one in what follows the slash.
fn order(text: &str) -> FinanceOrder {
    let (number, rest) = text.split_once(':').unwrap();
    let (state, differences) = rest.split_once('/').unwrap_or((rest, ""));
    let state = match state {
        "pending" => OrderState::Pending,
        "approved" => OrderState::Approved,
        "executed" => OrderState::Executed,
        "declined" => OrderState::Declined,
        number => OrderState::Unexplained(number.parse().unwrap()),
    };
    let mut order = FinanceOrder {
        order: number.parse().unwrap(),
        login: Login(100),
        cmd: Some(OperationCmd::BalanceIn),
        state,
        amount: "250.5".into(),
        source: "cashier".into(),
        uuid: KEY.into(),
        comment: format!("{KEY} cashier 7 r0").into(),
    };
    for difference in differences.split(',').filter(|difference| !difference.is_empty()) {
        match difference {
            "amount" => order.amount = "250.51".into(),
            "no-amount" => order.amount = "".into(),
            "zero" => order.amount = "0.00".into(),
            "login" => order.login = Login(101),
            "cmd" => order.cmd = Some(OperationCmd::BalanceOut),
            "source" => order.source = "desk".into(),
            "no-source" => order.source = "".into(),
            "other-uuid" => order.uuid = "uuid-of-key".into(),
            "strange-uuid" => order.uuid = "7f".into(),
            "no-uuid" => order.uuid = "".into(),
            "longer" => (order.uuid, order.comment) = (format!("{KEY}1").into(), format!("{KEY}1").into()),
            "longer-comment" => (order.uuid, order.comment) = ("".into(), format!("x{KEY} {KEY}0 {KEY}:2").into()),
            "withheld" => order.comment = format!("{KEY} refused WITHHELD").into(),
            "cut" => order.comment = format!("{KEY} refused WITHHE").into(),
            "bank" => order.comment = "bank refused WITHHELD".into(),
            "capitals" => (order.source, order.uuid) = ("Cashier".into(), KEY.to_ascii_uppercase().into()),
            "key-in-capitals" => (order.uuid, order.comment) = ("".into(), KEY.to_ascii_uppercase().into()),
            other => panic!("{other}"),
        }
    }
    order
}

fn orders(text: &str) -> Vec<FinanceOrder> {
    text.split_whitespace().map(order).collect()
}

fn short(step: &PostingStep) -> String {
    match step {
        PostingStep::Create => "create".into(),
        PostingStep::Record { order } => format!("record {order}"),
        PostingStep::Approve { order } => format!("approve {order}"),
        PostingStep::Decline { orders } => format!("decline {orders:?}"),
        PostingStep::Wait { order, .. } => format!("wait {order}"),
        PostingStep::Posted { trade_order, flaw: None } => format!("posted {trade_order}"),
        PostingStep::Posted { trade_order, flaw: Some(flaw) } => format!("posted {trade_order} {flaw:?}"),
        PostingStep::Refused { reason } => format!("refused {reason}"),
        PostingStep::Conflict => "conflict".into(),
        PostingStep::Contradicts { order, .. } => format!("contradicts {order}"),
        PostingStep::Gone => "gone".into(),
    }
}

#[test]
fn the_next_step_follows_from_the_recorded_number_and_the_orders() {
    // recorded, orders, what a posting does, what voiding does
    let table = [
        (0, "", "create", "refused VOID"),
        (5, "", "gone", "gone"),
        // One order.
        (0, "5:pending", "record 5", "decline [5]"),
        (5, "5:pending", "approve 5", "decline [5]"),
        (0, "5:approved", "wait 5", "wait 5"),
        (5, "5:approved", "wait 5", "wait 5"),
        (0, "5:executed", "posted 5", "posted 5"),
        (5, "5:executed", "posted 5", "posted 5"),
        (0, "5:declined", "refused DECLINED_AT_TRADING_SERVER", "refused DECLINED_AT_TRADING_SERVER"),
        (5, "5:declined", "refused DECLINED_AT_TRADING_SERVER", "refused DECLINED_AT_TRADING_SERVER"),
        (5, "5:declined/withheld", "refused WITHHELD", "refused WITHHELD"),
        (5, "5:declined/cut", "refused WITHHELD", "refused WITHHELD"),
        (5, "5:declined/bank", "refused DECLINED_AT_TRADING_SERVER", "refused DECLINED_AT_TRADING_SERVER"),
        (0, "5:declined/withheld,no-uuid", "refused DECLINED_AT_TRADING_SERVER", "refused DECLINED_AT_TRADING_SERVER"),
        (5, "5:99", "wait 5", "wait 5"),
        // The recorded number is never replaced by a pending one.
        (5, "4:pending", "gone", "decline [4]"),
        (5, "4:pending 5:pending", "approve 5", "decline [4, 5]"),
        (0, "5:pending 4:pending", "record 4", "decline [4, 5]"),
        (5, "4:declined", "gone", "gone"),
        // Nor is one approved that has the number and neither our source and key, nor the values.
        (5, "4:pending 5:pending/source,strange-uuid", "wait 5", "decline [4]"),
        (5, "4:pending 5:pending/longer", "gone", "decline [4]"),
        (5, "4:pending 5:pending/no-source", "wait 5", "decline [4]"),
        (5, "5:pending/login", "decline [5]", "decline [5]"),
        (5, "4:declined 5:pending", "approve 5", "decline [5]"),
        // What is approved or executed wins over every number, also over the recorded one.
        (5, "4:approved 5:pending", "wait 4", "wait 4"),
        (5, "4:executed 5:pending", "posted 4", "posted 4"),
        (5, "4:executed 5:declined", "posted 4", "posted 4"),
        (5, "4:executed", "posted 4", "posted 4"),
        (5, "4:executed 5:approved", "posted 4", "posted 4"),
        (5, "4:99 5:pending", "wait 4", "wait 4"),
        (5, "4:approved 5:approved", "wait 5", "wait 5"),
        // Two executed are a review.
        (0, "4:executed 5:executed", "posted 4 Twice { other: 5 }", "posted 4 Twice { other: 5 }"),
        (5, "4:executed 5:executed", "posted 5 Twice { other: 4 }", "posted 5 Twice { other: 4 }"),
        (5, "4:executed/amount 5:executed", "posted 5 Twice { other: 4 }", "posted 5 Twice { other: 4 }"),
        // What is said to be refused leaves nothing pending behind.
        (5, "4:pending 5:declined", "decline [4]", "decline [4]"),
        (0, "4:pending 5:declined", "decline [4]", "decline [4]"),
        (5, "4:pending/amount 5:pending", "decline [4, 5]", "decline [4, 5]"),
        // The same key with other values: final only where none of it moves any more.
        (0, "5:pending/amount", "decline [5]", "decline [5]"),
        (0, "5:pending/amount,no-source", "contradicts 5", "contradicts 5"),
        (5, "4:pending/amount,no-source 5:pending", "contradicts 4", "contradicts 4"),
        (5, "5:executed/amount", "contradicts 5", "contradicts 5"),
        (0, "5:declined/login", "conflict", "conflict"),
        (0, "5:declined/amount", "conflict", "conflict"),
        // Of one that never moved no amount is compared where none is stated.
        (5, "5:declined/zero", "refused DECLINED_AT_TRADING_SERVER", "refused DECLINED_AT_TRADING_SERVER"),
        (5, "5:declined/no-amount,withheld", "refused WITHHELD", "refused WITHHELD"),
        (0, "5:declined/zero,login", "conflict", "conflict"),
        (0, "5:approved/cmd", "contradicts 5", "contradicts 5"),
        (0, "5:99/amount", "contradicts 5", "contradicts 5"),
        (5, "4:executed/login 5:pending", "contradicts 4", "contradicts 4"),
        (5, "4:executed/login 5:approved", "wait 5", "wait 5"),
        // What is ours by the comment alone is found, and never declined.
        (0, "5:executed/no-uuid", "posted 5", "posted 5"),
        (0, "5:executed/no-uuid,no-source", "posted 5", "posted 5"),
        (0, "5:executed/strange-uuid", "posted 5", "posted 5"),
        // A person's request with our key is neither recorded nor approved.
        (0, "5:pending/no-uuid", "wait 5", "wait 5"),
        (0, "5:pending/no-source", "wait 5", "wait 5"),
        (5, "5:pending/no-uuid", "wait 5", "wait 5"),
        (0, "4:pending/no-uuid 5:pending", "wait 4", "decline [5]"),
        // Its key in the other form, from before a setting was changed.
        (0, "5:executed/other-uuid", "posted 5", "posted 5"),
        (5, "5:pending/other-uuid", "approve 5", "decline [5]"),
        // Letters do not matter.
        (0, "5:pending/capitals", "record 5", "decline [5]"),
        (0, "5:executed/key-in-capitals", "posted 5", "posted 5"),
        // Another source with our whole key is nobody's mistake to guess at.
        (0, "5:executed/source", "contradicts 5", "contradicts 5"),
        (0, "5:pending/source", "contradicts 5", "contradicts 5"),
        (5, "5:executed/source", "contradicts 5", "contradicts 5"),
        (5, "4:99/source,other-uuid 5:pending", "contradicts 4", "contradicts 4"),
        (0, "5:declined/source", "create", "refused VOID"),
        (5, "4:pending/source 5:executed", "posted 5", "posted 5"),
        (5, "4:executed/source 5:executed", "posted 5 Twice { other: 4 }", "posted 5 Twice { other: 4 }"),
        // By hand, with a source of its own: as without one.
        (0, "5:executed/source,no-uuid", "posted 5", "posted 5"),
        (5, "5:executed/source,no-uuid", "posted 5", "posted 5"),
        (0, "5:executed/source,strange-uuid", "posted 5", "posted 5"),
        (5, "4:executed/source,no-uuid 5:pending", "posted 4", "posted 4"),
        (5, "4:executed/source,no-uuid 5:executed", "posted 5 Twice { other: 4 }", "posted 5 Twice { other: 4 }"),
        (5, "4:executed/source,no-uuid,amount 5:pending", "contradicts 4", "contradicts 4"),
        (0, "5:executed/source,no-uuid,login", "contradicts 5", "contradicts 5"),
        (0, "5:pending/source,strange-uuid", "wait 5", "wait 5"),
        (5, "4:pending/source,no-uuid 5:pending", "wait 4", "decline [5]"),
        (5, "4:pending/source,no-uuid,amount 5:pending", "contradicts 4", "contradicts 4"),
        (5, "4:approved/source,no-uuid 5:pending", "wait 4", "wait 4"),
        (5, "4:99/source,no-uuid 5:pending", "wait 4", "wait 4"),
        (0, "5:declined/source,no-uuid", "create", "refused VOID"),
        (5, "4:declined/source,no-uuid,amount 5:pending", "approve 5", "decline [5]"),
        // What is not ours.
        (0, "5:executed/source,longer", "create", "refused VOID"),
        (0, "5:pending/source,longer-comment", "create", "refused VOID"),
        (0, "5:executed/longer", "create", "refused VOID"),
        (0, "5:executed/longer-comment", "create", "refused VOID"),
        (5, "5:pending/longer", "gone", "gone"),
    ];
    let mut wrong = Vec::new();
    for (recorded, known, posting, voiding) in table {
        let (orders, wanted) = (orders(known), wanted(recorded));
        let found = (short(&wanted.next_step(&orders)), short(&wanted.void_step(&orders, "VOID")));
        if found != (posting.to_owned(), voiding.to_owned()) {
            wrong.push(format!("{recorded} [{known}]: {found:?}, expected {posting:?}, {voiding:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn late_orders_are_those_of_a_key_that_was_won_or_is_void() {
    let table = [
        ("", false, vec![]),
        ("5:pending", false, vec![]),
        ("5:pending", true, vec![5]),
        ("4:pending 5:pending", false, vec![]),
        ("4:approved 5:pending", false, vec![5]),
        ("4:executed 5:pending 6:pending", false, vec![5, 6]),
        ("4:declined 5:pending", false, vec![]),
        ("4:declined/withheld 5:pending", false, vec![5]),
        ("4:99 5:pending", false, vec![]),
        ("4:executed 5:pending/source", false, vec![]),
        ("4:executed 5:pending/no-source", false, vec![]),
        ("4:executed 5:pending/no-uuid", false, vec![]),
        ("4:executed 5:pending/longer", true, vec![]),
        // Another source: a person finds out what it is.
        ("4:executed/source 5:pending", false, vec![]),
        // By hand, of the same money or of other.
        ("4:executed/no-uuid,no-source 5:pending", false, vec![5]),
        ("4:approved/no-uuid,no-source 5:pending", false, vec![5]),
        ("4:executed/no-uuid,source 5:pending", false, vec![5]),
        ("4:executed/no-uuid,source,amount 5:pending", false, vec![]),
        ("4:declined/no-uuid,source 5:pending", false, vec![]),
        ("4:executed/no-uuid,no-source,amount 5:pending", false, vec![]),
        ("4:executed/no-uuid,no-source,login 5:pending", false, vec![]),
        ("4:executed/amount 5:pending", false, vec![5]),
        ("4:declined/withheld,no-uuid 5:pending", false, vec![]),
        ("4:declined/bank 5:pending", false, vec![]),
        ("4:executed/capitals 5:pending/capitals", false, vec![5]),
    ];
    for (known, is_void, expected) in table {
        assert_eq!(late(&orders(known), &of_key(), is_void), expected, "{known} {is_void}");
    }
}

#[test]
fn what_moved_the_balance_under_a_key_is_found_whoever_made_it() {
    // orders, two that moved the balance, one that did or is about to
    let table = [
        ("3:pending 4:executed 5:executed", Some((4, 5)), Some(4)),
        ("5:executed 4:executed 4:executed", Some((4, 5)), Some(4)),
        ("4:executed 5:executed/source", Some((4, 5)), Some(4)),
        ("4:executed 5:executed/source,no-uuid", Some((4, 5)), Some(4)),
        ("4:executed 5:executed/source,longer", None, Some(4)),
        ("4:executed/no-uuid,no-source 5:executed", Some((4, 5)), Some(4)),
        ("4:approved 5:executed", None, Some(5)),
        ("4:approved 5:declined", None, Some(4)),
        ("4:pending 5:99 6:declined", None, None),
        ("4:executed/longer", None, None),
    ];
    for (known, twice, moved) in table {
        let (orders, of) = (orders(known), of_key());
        assert_eq!((executed_twice(&orders, &of), moves(&orders, &of)), (twice, moved), "{known}");
    }
}

#[test]
fn amounts_are_equal_by_value_and_exact() {
    let table =
        [("250.5", Some(25_050)), ("250.50", Some(25_050)), ("-0.01", Some(-1)), ("250.505", None), ("x", None)];
    for (text, expected) in table {
        assert_eq!(signed_minor(text, 2), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn whatever_orders_there_are_nothing_is_made_beside_one_that_may_move_money(
        recorded in 0_u64..4,
        states in prop::collection::vec((1_u64..6, 0_usize..5, any::<bool>()), 0..5),
    ) {
        let names = ["pending", "approved", "executed", "declined", "99"];
        let text: Vec<String> = states
            .iter()
            .map(|(number, state, differs)| format!("{number}:{}{}", names[*state], if *differs { "/amount" } else { "" }))
            .collect();
        let orders = orders(&text.join(" "));
        let wanted = wanted(recorded);
        // The last of a number counts, as in a page that is read again.
        let last = |number: u64| orders.iter().rfind(|order| order.order == number);
        let same = |state: OrderState| orders.iter().any(|order| last(order.order) == Some(order) && order.state == state && &*order.amount == "250.5");
        let may_move = same(OrderState::Approved) || same(OrderState::Executed);
        for step in [wanted.next_step(&orders), wanted.void_step(&orders, "VOID")] {
            match step {
                PostingStep::Create => prop_assert!(orders.is_empty() && recorded == 0),
                PostingStep::Record { order } => prop_assert!(recorded == 0 && last(order).unwrap().state == OrderState::Pending),
                PostingStep::Approve { order } => prop_assert!(order == recorded && last(order).unwrap().state == OrderState::Pending && !may_move),
                PostingStep::Decline { orders } => {
                    prop_assert!(!may_move);
                    for order in orders {
                        prop_assert_eq!(last(order).unwrap().state, OrderState::Pending);
                    }
                }
                PostingStep::Refused { .. } | PostingStep::Conflict | PostingStep::Gone => prop_assert!(!may_move && !same(OrderState::Pending) || step == PostingStep::Gone),
                PostingStep::Posted { .. } => prop_assert!(same(OrderState::Executed)),
                PostingStep::Wait { .. } => prop_assert!(!same(OrderState::Executed)),
                PostingStep::Contradicts { order, .. } => prop_assert!(!may_move && &*last(order).unwrap().amount == "250.51"),
            }
        }
    }
}
