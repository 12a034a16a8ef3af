//! A deposit in another currency than its account's: whatever happens to it, it stands as the same deposit without a conversion
//! does, and what is owed and posted is that one's, converted in all.

use cashier_core::aggregate::Aggregate;
use cashier_core::conversion::{Conversion, Rate};
use cashier_core::explanation::replay;
use cashier_core::facts::{PersonFact, ProviderFact};
use cashier_core::ids::ManagerId;
use cashier_core::operation::{PostingOutcome, posted};
use cashier_core::reason::ReasonCode as R;
use cashier_core::status::{Source, TransactionStatus as S};
use cashier_core::time::UnixTime;
use cashier_core::transaction::Transaction;
use proptest::prelude::*;

use crate::histories::{Step, any_step, any_transaction, unsettled};
use crate::samples::*;
use crate::standing::any_fact;

const POSTED: PostingOutcome = PostingOutcome::Posted { trade_order: 9, flaw: None };

fn at_rate(row: Transaction, rate: &str, account: &str) -> Transaction {
    let rate = Rate::parse(rate).unwrap();
    let conversion = Conversion { rate, time: NOW, source: "desk".into() };
    Transaction { account_currency: currency(account), conversion: Some(Box::new(conversion)), ..row }
}

/// 100 USD to an account in euros, to be paid.
fn order() -> Aggregate {
    aggregate(at_rate(deposit(15), "0.9231", "EUR"))
}

fn confirmed() -> ProviderFact {
    ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 }
}

fn refund(id: u32, minor: i64) -> ProviderFact {
    ProviderFact::Refund { id: format!("re_{id}").into(), payment: "pi_1".into(), minor }
}

fn posted_of(now: &Aggregate) -> i64 {
    posted(&now.transaction, &now.operations).minor
}

struct Played {
    now: Aggregate,
    seq: u64,
}

impl Played {
    fn new(now: Aggregate) -> Self {
        Self { now, seq: 1 }
    }

    fn at(&mut self) -> cashier_core::aggregate::DecisionContext {
        self.seq += 1;
        at(self.seq)
    }

    fn record(&mut self, facts: &[ProviderFact]) {
        let at = self.at();
        self.now = applied(&self.now, &self.now.record(&receiver(), facts, &[], at).0);
    }

    fn decide(&mut self, fact: PersonFact) {
        let at = self.at();
        self.now = applied(&self.now, &self.now.decide(fact, at));
    }

    fn end(&mut self, outcome: &PostingOutcome) {
        let at = self.at();
        if let Some(id) = unsettled(&self.now.operations).first() {
            self.now = applied(&self.now, &self.now.end_posting(*id, outcome, ManagerId(3), at));
        }
    }

    /// What an entry of a history does, as the histories without a conversion do it.
    fn step(&mut self, step: &Step) {
        let is_provider = self.now.transaction.source == Source::Provider;
        match step {
            Step::Record(facts) if is_provider => self.record(facts),
            Step::Record(_) => {}
            Step::Decide(PersonFact::Rejected | PersonFact::CancelledByCustomer)
                if is_provider || !self.now.operations.is_empty() => {}
            Step::Decide(fact) => self.decide(fact.clone()),
            Step::End(outcome) => self.end(outcome),
        }
    }

    fn settle(&mut self) {
        while !unsettled(&self.now.operations).is_empty() {
            self.end(&POSTED);
        }
    }

    /// Status, posted, reason.
    fn stands(&self) -> (S, i64, R) {
        (self.now.transaction.status, posted_of(&self.now), self.now.transaction.reason.code)
    }
}

#[test]
fn the_whole_amount_is_credited_and_taken_back_to_exactly_nothing() {
    let mut played = Played::new(order());
    played.record(&[confirmed()]);
    assert_eq!(played.now.operations[0].amount, cashier_core::money::Money::new(9_231, currency("EUR")));
    assert_eq!(played.stands(), (S::ProviderConfirmed, 0, R::None));
    played.settle();
    assert_eq!(played.stands(), (S::Credited, 9_231, R::None));
    assert_eq!(played.now.transaction.converted().to_string(), "92.31 EUR");
    assert_eq!(played.now.standing().owed_ordered_minor, 10_000);
    played.record(&[refund(1, 10_000)]);
    played.settle();
    assert_eq!(played.stands(), (S::Refunded, 0, R::None));
}

#[test]
fn three_refunds_of_a_third_never_drift_in_any_order() {
    for thirds in [[3_333, 3_333, 3_334], [3_333, 3_334, 3_333], [3_334, 3_333, 3_333]] {
        let mut played = Played::new(order());
        played.record(&[confirmed()]);
        played.settle();
        let mut left = 10_000;
        for (id, minor) in (1..).zip(thirds) {
            played.record(&[refund(id, minor)]);
            played.settle();
            left -= minor;
            // 0.9231 of what is left, without its fraction.
            assert_eq!(posted_of(&played.now), left * 9_231 / 10_000, "{thirds:?}");
        }
        assert_eq!(played.stands(), (S::Refunded, 0, R::None));
    }
}

#[test]
fn a_dispute_takes_back_at_the_rate_of_the_deposit_and_gives_back_the_same() {
    let mut played = Played::new(order());
    let dispute = ProviderFact::Chargeback { id: "dp_1".into(), payment: "pi_1".into(), minor: 6_667 };
    played.record(&[confirmed(), refund(1, 3_333)]);
    played.settle();
    assert_eq!(played.stands(), (S::Credited, 6_154, R::PartlyRefunded));
    played.record(&[dispute]);
    played.settle();
    assert_eq!(played.stands(), (S::Chargeback, 0, R::Chargeback));
    played.record(&[ProviderFact::ChargebackReversed { id: "dp_1".into(), payment: "pi_1".into() }]);
    played.settle();
    assert_eq!(played.stands(), (S::Credited, 6_154, R::PartlyRefunded));
}

#[test]
fn what_is_posted_is_named_in_the_currency_of_the_account_and_what_is_stated_in_the_orders() {
    let mut played = Played::new(order());
    played.decide(PersonFact::ReversalsWait);
    played.record(&[confirmed()]);
    played.settle();
    played.record(&[refund(1, 5_000)]);
    let detail = |played: &Played| played.now.transaction.reason.detail.to_string();
    assert_eq!(played.stands(), (S::ManualReview, 9_231, R::ReversalWaits));
    assert_eq!(
        detail(&played),
        "posted 92.31 EUR, owed 46.15 EUR; also stated: confirmed 100.0 USD (pi_1), refunded 50.0 USD"
    );
    played.decide(PersonFact::Retried);
    played.settle();
    assert_eq!(played.stands(), (S::Credited, 4_615, R::PartlyRefunded));
    played.decide(PersonFact::Held(S::Credited));
    played.record(&[ProviderFact::RefundFailed { id: "re_1".into(), payment: "pi_1".into(), minor: 5_000 }]);
    assert_eq!(played.stands(), (S::ManualReview, 4_615, R::HeldButHeard));
    assert_eq!(detail(&played), "a person set credited, 46.16 EUR that had gone back before is owed again");
    let titles: Vec<String> = replay(&played.now).iter().map(|change| format!("{:?}", change.cause)).collect();
    assert!(titles.iter().any(|title| title.contains("paid: 100.0 USD")), "{titles:?}");
    assert_eq!(replay(&played.now).last().unwrap().after.owed.to_string(), "92.31 EUR");
}

#[test]
fn a_small_reversal_waits_for_a_person_where_the_config_says_so() {
    let mut played = Played::new(order());
    played.decide(PersonFact::ReversalsWait);
    played.record(&[confirmed()]);
    played.settle();
    // 95 USD are left, of which the account's 92.31 EUR are more.
    played.record(&[refund(1, 500)]);
    assert_eq!(played.stands(), (S::ManualReview, 9_231, R::ReversalWaits));
}

#[test]
fn a_refund_of_less_than_the_account_can_hold_moves_nothing_until_it_adds_up() {
    // 100 yen in cents: one yen is less than a cent.
    let row = Transaction { amount: cashier_core::money::Money::new(100, currency("JPY")), ..deposit(15) };
    let mut played = Played::new(aggregate(at_rate(row, "0.0067", "USD")));
    played.record(&[ProviderFact::Confirmed { payment: "pi_1".into(), minor: 100 }]);
    played.settle();
    let mut seen = vec![posted_of(&played.now)];
    for id in 1..=4 {
        played.record(&[refund(id, 1)]);
        played.settle();
        seen.push(posted_of(&played.now));
    }
    // 66.33, 65.66, 64.99 and 64.32 cents.
    assert_eq!(seen, [67, 66, 65, 64, 64]);
    assert_eq!(played.stands(), (S::Credited, 64, R::PartlyRefunded));
    played.record(&[refund(5, 96)]);
    played.settle();
    assert_eq!(played.stands(), (S::Refunded, 0, R::None));
}

/// Rates at which a minor unit more of the order is at least one more of the account: what differs before it is converted differs
/// afterwards.
fn any_fine_rate() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(vec![
        ("1", "EUR"),
        ("1.0832", "EUR"),
        ("149.251", "JPY"),
        ("0.00001029617", "BTC"),
        ("0.308", "KWD"),
    ])
}

/// Rates at which several minor units of the order are one of the account.
fn any_coarse_rate() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(vec![("0.9231", "EUR"), ("0.0001", "EUR"), ("1.7", "JPY"), ("0.07", "KWD")])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_history_stands_as_the_same_without_a_conversion(
        first in any_transaction(),
        (rate, account) in any_fine_rate(),
        steps in prop::collection::vec(any_step(), 1..25),
    ) {
        let ordered = at_rate(first.clone(), rate, account).ordered();
        let mut plain = Played::new(aggregate(first.clone()));
        let mut played = Played::new(aggregate(at_rate(first, rate, account)));
        for step in &steps {
            plain.step(step);
            played.step(step);
            let (one, other) = (plain.now.standing(), played.now.standing());
            prop_assert_eq!(other.owed_minor, ordered.to_account(one.owed_minor));
            prop_assert_eq!(other.owed_ordered_minor, one.owed_minor);
            let rest = |of: &cashier_core::standing::Standing| {
                (of.status, of.reason.code, of.may_post, of.reversal_waits, of.hides_review)
            };
            prop_assert_eq!(rest(&other), rest(&one));
            prop_assert_eq!(posted_of(&played.now), ordered.to_account(posted_of(&plain.now)));
            let due = |of: &Aggregate| cashier_core::duty::due(&of.transaction, &of.operations, UnixTime(i64::MAX));
            prop_assert_eq!(due(&played.now), due(&plain.now));
            let statuses = |of: &Aggregate| of.operations.iter().map(|known| (known.id, known.status, known.cmd)).collect::<Vec<_>>();
            prop_assert_eq!(statuses(&played.now), statuses(&plain.now));
            for operation in &played.now.operations {
                prop_assert_eq!(operation.amount.currency, currency(account));
            }
        }
    }

    #[test]
    fn any_history_that_is_settled_has_posted_exactly_what_is_owed(
        (rate, account) in any_coarse_rate(),
        facts in prop::collection::vec(any_fact(), 1..12),
        answers in any::<u32>(),
    ) {
        let mut plain = Played::new(aggregate(deposit(15)));
        let mut played = Played::new(aggregate(at_rate(deposit(15), rate, account)));
        for (place, fact) in facts.iter().enumerate() {
            for of in [&mut plain, &mut played] {
                of.record(std::slice::from_ref(fact));
                if answers >> (place % 32) & 1 == 1 {
                    of.end(&POSTED);
                }
            }
        }
        plain.settle();
        played.settle();
        let ordered = played.now.transaction.ordered();
        let standing = played.now.standing();
        prop_assert_eq!(standing.owed_minor, posted_of(&played.now));
        prop_assert_eq!(posted_of(&played.now), ordered.to_account(posted_of(&plain.now)));
        prop_assert_eq!(
            (played.now.transaction.status, played.now.transaction.reason.code),
            (plain.now.transaction.status, plain.now.transaction.reason.code)
        );
    }
}

#[test]
fn an_order_in_another_currency_without_a_rate_credits_nothing() {
    let row = Transaction { account_currency: currency("EUR"), ..deposit(15) };
    let mut played = Played::new(aggregate(row));
    played.record(&[confirmed()]);
    assert_eq!((played.now.operations.len(), played.now.standing().owed_minor), (0, 0));
}
