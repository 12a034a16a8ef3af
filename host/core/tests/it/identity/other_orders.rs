//! What went back of a payment and came first under the reference of an order of another amount or currency.

use cashier_core::money::Money;

use super::*;

/// Transaction 1 of 100.00 USD and 2 of another amount, under config 1.
fn orders_of(second: Money) -> Ledger {
    let mut ledger = Ledger::with(&[1, 1]);
    let row = cashier_core::transaction::Transaction {
        amount: second,
        account_currency: second.currency,
        config_id: ConfigId(1),
        ..deposit(2)
    };
    ledger.decide(|draft| draft.add([Change::Transaction(Box::new(row))]));
    ledger
}

/// What transaction 1 owes when its payment is confirmed before the reversal, and after it; and whether its provider is
/// queried in the second order.
fn both_orders(second: Money, reversal: Update) -> [(i64, bool); 2] {
    reviewed_in_both_orders(second, reversal).map(|(owed, queried, _)| (owed, queried))
}

/// The same with the reason that is shown.
fn reviewed_in_both_orders(second: Money, reversal: Update) -> [(i64, bool, ReasonCode); 2] {
    [false, true].map(|early| {
        let mut ledger = orders_of(second);
        let confirmed = with_ref(paid("e1", 1, "pi_1"), "pi_1");
        let reversal = Update { reference: Some(reference(2)), payment_id: "pi_1".into(), ..reversal.clone() };
        let mut steps = vec![confirmed, with_ref(reversal, "pi_1")];
        if early {
            steps.reverse();
        }
        for step in steps {
            ledger.file(1, vec![step]);
        }
        assert_eq!(ledger.aggregate(2).standing().owed_minor, 0);
        let queried = ledger.aggregate(1).transaction.query_wanted > Seq(0);
        let standing = ledger.aggregate(1).standing();
        (standing.owed_minor, queried, standing.reason.code)
    })
}

fn in_euro(minor: i64) -> Update {
    let mut stated = refunded("re_1", minor);
    if let Some(refund) = &mut stated.refund {
        refund.amount = StatedAmount::Exact(Money::new(minor, currency("EUR")));
    }
    stated
}

#[test]
fn a_reversal_under_the_reference_of_another_order_never_loses_the_confirmation_of_its_payment() {
    let euro = Money::new(10_000, currency("EUR"));
    let orders = [usd(5_000), usd(10_000), euro];
    let reversals = [refunded("re_1", 4_000), in_euro(4_000), refunded("re_1", -4_000)];
    for second in orders {
        for reversal in &reversals {
            let [late, early] = both_orders(second, reversal.clone());
            assert!(late.0 >= 6_000 && early.0 >= late.0, "{second}: {late:?} {early:?} {reversal:?}");
        }
    }
}

#[test]
fn an_amount_in_another_currency_is_never_taken_as_one_of_the_order() {
    let euro = Money::new(10_000, currency("EUR"));
    let review = ReasonCode::CurrencyMismatch;
    let both = reviewed_in_both_orders(euro, in_euro(4_000));
    assert_eq!(both, [(10_000, false, review), (10_000, true, review)]);
    assert_eq!(both_orders(usd(10_000), in_euro(4_000)).map(|(owed, _)| owed), [10_000; 2]);
}

#[test]
fn what_goes_back_of_a_whole_payment_is_asked_about_where_it_was_compared_with_another_order() {
    for status in [S::Refunded, S::Chargeback] {
        let whole = Update { amount: None, ..named("r", 2, status) };
        let [late, early] = both_orders(usd(5_000), whole.clone());
        assert_eq!((late, early.1), ((0, false), true), "{status:?}");
        assert_eq!(both_orders(usd(10_000), whole), [(0, false); 2], "{status:?}");
    }
}

#[test]
fn a_confirmation_that_is_stated_again_wants_no_other_query() {
    let mut ledger = orders_of(usd(5_000));
    let held = Update { reference: Some(reference(2)), payment_id: "pi_1".into(), ..in_euro(4_000) };
    ledger.file(1, vec![with_ref(held, "pi_1")]);
    let mut wanted = Vec::new();
    for event in ["e1", "e2", "e3"] {
        ledger.file(1, vec![with_ref(paid(event, 1, "pi_1"), "pi_1")]);
        wanted.push(ledger.aggregate(1).transaction.query_wanted);
    }
    assert!(wanted[0] > Seq(0), "of another amount: the provider is asked once");
    assert_eq!(wanted, [wanted[0]; 3], "the answer ends it");
}
