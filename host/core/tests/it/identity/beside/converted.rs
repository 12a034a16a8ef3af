//! Orders in another currency than their account's, beside manual deposits: who may decide what, what is linked and what is credited is
//! as without a conversion, and what a person enters in the account's currency may be the same money.

use cashier_core::account::AccountFacts;
use cashier_core::conversion::{Conversion, Rate};
use cashier_core::credited_once;
use cashier_core::money::Money;
use cashier_core::refusal::RefusalCode;
use cashier_core::transaction::Transaction;

use super::steps::{Naming, request};
use super::*;

fn at_rate(rate: &str, account: &str, row: Transaction) -> Transaction {
    let rate = Rate::parse(rate).unwrap();
    let conversion = Some(Box::new(Conversion { rate, time: NOW, source: "desk".into() }));
    Transaction { account_currency: currency(account), conversion, ..row }
}

/// Orders 1, 2 … of 100 USD, each to an account in another currency.
fn converted(orders: u64, rate: &str, account: &str) -> Ledger {
    let mut ledger = Ledger::default();
    for id in 1..=orders {
        let row = at_rate(rate, account, Transaction { config_id: ConfigId(1), ..deposit(id) });
        ledger.decide(|draft| draft.add([Change::Transaction(Box::new(row))]));
    }
    ledger
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn persons_and_providers_decide_of_converted_orders_as_without_a_conversion(
        steps in prop::collection::vec(any_step(), 1..30),
        (rate, account) in prop::sample::select(vec![("1.0832", "EUR"), ("149.25", "JPY"), ("0.00001029617", "BTC")]),
    ) {
        let (mut plain, mut other) = (Ledger::with(&[1; ORDERS as usize]), converted(ORDERS, rate, account));
        for step in steps {
            plain.play(step.clone());
            other.play(step.clone());
            let (plain, other) = (plain.all(), other.all());
            prop_assert_eq!(plain.len(), other.len(), "{:?}", step);
            for (one, other) in plain.iter().zip(&other) {
                let ordered = other.transaction.ordered();
                let rest = |of: &Aggregate| {
                    let row = of.transaction.clone();
                    (row.status, row.reason.code, row.facts, row.provider_payment_id, row.version)
                };
                prop_assert_eq!(rest(other), rest(one), "{:?}", step);
                let operations = |of: &Aggregate| {
                    of.operations.iter().map(|known| (known.id, known.cmd, known.status)).collect::<Vec<_>>()
                };
                prop_assert_eq!(operations(other), operations(one), "{:?}", step);
                prop_assert_eq!(model::posted_minor(other), ordered.to_account(model::posted_minor(one)));
            }
        }
    }
}

fn in_euros() -> AccountFacts {
    let mut account = account();
    account.group.currency = currency("EUR");
    account
}

fn euros(minor: i64, force: bool) -> cashier_core::manual::ManualRequest {
    let amount = Money::new(minor, currency("EUR"));
    cashier_core::manual::ManualRequest { amount, ..request("", minor, force) }
}

#[test]
fn a_manual_deposit_near_to_what_an_open_order_becomes_is_entered_beside_it() {
    // 100 USD is 92.31 EUR.
    for (minor, is_alike) in
        [(9_231, true), (9_150, true), (7_385, true), (7_384, false), (11_077, true), (11_078, false)]
    {
        let mut ledger = converted(1, "0.9231", "EUR");
        let refused = ledger.enter(&in_euros(), &euros(minor, false), false).map_err(|refusal| refusal.code);
        assert_eq!(refused.is_err(), is_alike, "{minor}");
        if is_alike {
            assert_eq!(refused, Err(RefusalCode::OpenDepositExists), "{minor}");
            ledger.enter(&in_euros(), &euros(minor, true), true).unwrap();
            ledger.play(Step::Settled);
            ledger.play(Step::Stated { id: 1, what: "paid", event: 0, naming: Naming::OWN });
            assert_eq!(ledger.standing(1), (9, 0, ReasonCode::PaymentIdReused), "{minor}: a person looks at both");
        }
    }
    let mut plain = Ledger::with(&[1]);
    assert!(plain.enter(&in_euros(), &euros(9_231, false), false).is_ok(), "without a conversion nothing is near");
}

#[test]
fn what_a_person_credits_is_compared_in_the_orders_currency() {
    let mut ledger = converted(1, "0.9231", "EUR");
    ledger.play(Step::Stated { id: 1, what: "other amount", event: 0, naming: Naming::OWN });
    ledger.resolve(1, 9_500).unwrap();
    ledger.play(Step::Settled);
    assert_eq!(ledger.standing(1), (3, 8_769, ReasonCode::None));
    // All of what was paid is credited: nothing of it is left to be entered beside it.
    let entered = ledger.act_entry(&euros(8_769, false));
    assert_eq!(entered, Ok(0));
    let mut part = converted(1, "0.9231", "EUR");
    part.play(Step::Stated { id: 1, what: "other amount", event: 0, naming: Naming::OWN });
    part.resolve(1, 5_000).unwrap();
    part.play(Step::Settled);
    assert_eq!(part.standing(1), (3, 4_615, ReasonCode::None));
    assert_eq!(part.act_entry(&euros(4_615, false)), Ok(1), "what else was paid is linked");
}

impl Ledger {
    /// Beside how many orders it would be entered.
    fn act_entry(&mut self, request: &cashier_core::manual::ManualRequest) -> Result<usize, RefusalCode> {
        let mut draft = Draft::new(&self.books, NOW);
        let links = credited_once::check_entry(&mut draft, request, &in_euros());
        links.map(|links| links.len()).map_err(|refusal| refusal.code)
    }
}
