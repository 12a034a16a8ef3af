//! What goes back of payments that a person credited from a review: it is taken, or listed as work that the command it names ends.

use cashier_core::change::{Change, Stamp};
use cashier_core::ids::{Reference, TransactionId};
use cashier_core::notice::{Reach, RefundStatement, StatedAmount, Update};
use cashier_core::session::Actor;
use cashier_core::status::ProviderStatus;
use cashier_core::transaction::Transaction;

use super::manual_money::resolution;
use super::review::RESOLVE;
use super::*;
use crate::test_cashier::{AMOUNT, LOGINS, paid};

const WORK: &str = "MngGetCashierDutiesByFilter";

/// Of this payment another amount than the ordered one is confirmed.
fn of_another_amount(own: &Reference, payment: &str, minor: i64) -> Update {
    let amount = Some(StatedAmount::Exact(usd(minor)));
    Update { amount, payment_id: payment.into(), ..paid(&format!("paid {payment}"), own) }
}

pub(super) fn refund(own: &Reference, payment: &str, minor: i64) -> Update {
    let id = format!("re_{payment}");
    let amount = StatedAmount::Exact(usd(minor));
    Update {
        status: ProviderStatus::Refunded,
        payment_id: payment.into(),
        amount: None,
        refund: Some(RefundStatement { id: id.into(), amount, reach: Reach::Delta, requested: Box::default() }),
        ..paid(&format!("refund of {payment}"), own)
    }
}

impl ManagerApi {
    pub(super) async fn received(&self, update: Update) {
        self.env.notice(Some(1), vec![update]).await.unwrap();
        self.env.run_for(1).await;
    }

    pub(super) async fn resolves(&self, id: u64, action: &str, amount: Option<&str>) -> (u16, Value) {
        let answer = self.command("manager", RESOLVE, &resolution(id, action, amount)).await;
        self.env.run_for(10).await;
        answer
    }

    async fn resolved(&self, id: u64, amount: &str) {
        let (number, data) = self.command("manager", RESOLVE, &resolution(id, "credit", Some(amount))).await;
        assert_eq!(number, 200, "{data}");
        self.env.run_for(1).await;
    }

    /// The kinds of work about a transaction, each with the command that it names.
    async fn work(&self, id: u64) -> Vec<String> {
        let (number, data) = self.command("manager", WORK, "{}").await;
        assert_eq!(number, 200, "{data}");
        let rows = data["rows"].as_array().unwrap().iter().filter(|row| row["transaction_id"] == id);
        rows.map(|row| format!("{} {}", row["kind"].as_str().unwrap(), row["command"].as_str().unwrap())).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn what_goes_back_of_a_second_payment_of_another_amount_that_a_person_credited_is_taken() {
    for status in [ProviderStatus::Refunded, ProviderStatus::Chargeback] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.pending("k").await;
        api.confirmed("e1", &reference, "pay_1").await;
        api.received(of_another_amount(&reference, "pay_2", 9_500)).await;
        api.resolved(open, "195.0").await;
        assert_eq!(api.env.trading.balance(), AMOUNT + 9_500);
        let back = Update { status, ..refund(&reference, "pay_2", 9_500) };
        let amount = Some(StatedAmount::Exact(usd(9_500)));
        let back = if status == ProviderStatus::Chargeback { Update { refund: None, amount, ..back } } else { back };
        api.received(back).await;
        assert_eq!((api.posted(open), api.env.trading.balance()), (AMOUNT, AMOUNT), "{status:?}");
        assert_eq!(api.work(open).await, [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_goes_back_where_nothing_says_of_which_payment_the_credit_was_is_listed_and_a_person_ends_it() {
    for (payment, minor) in [("pay_2", 5_000), ("pay_1", 9_500)] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.pending("k").await;
        api.received(of_another_amount(&reference, "pay_1", 9_500)).await;
        api.received(of_another_amount(&reference, "pay_2", 5_000)).await;
        api.resolved(open, "95.0").await;
        assert_eq!((api.env.trading.balance(), api.work(open).await), (9_500, Vec::new()));
        api.received(refund(&reference, payment, minor)).await;
        let (status, reason) = api.reason(open).await;
        assert!(status == 9 && reason.contains(&format!("refunded {minor}", minor = minor / 100)), "{reason}");
        let work = api.work(open).await;
        assert!(work.contains(&format!("review {RESOLVE}")), "{work:?}");
        assert_eq!(api.env.trading.balance(), 9_500);
        let left = if payment == "pay_2" { "95.0" } else { "50.0" };
        api.resolved(open, left).await;
        assert_eq!((api.reason(open).await.0, api.work(open).await), (3, Vec::new()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_went_back_under_another_reference_is_shown_before_a_person_credits_the_payment() {
    for (is_first, status) in [(true, ProviderStatus::Refunded), (false, ProviderStatus::Chargeback)] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.pending("k1").await;
        let (other, of_other) = api.pending("k2").await;
        api.confirmed("e1", &of_other, "pay_1").await;
        let amount = Some(StatedAmount::Exact(usd(9_500)));
        let back = Update { status, ..refund(&of_other, "pay_2", 9_500) };
        let back = if is_first { back } else { Update { refund: None, amount, ..back } };
        let held = of_another_amount(&reference, "pay_2", 9_500);
        for update in if is_first { [back, held] } else { [held, back] } {
            api.received(update).await;
        }
        let (status, reason) = api.reason(open).await;
        assert!(status == 9 && (reason.contains("refunded 95") || reason.contains("disputed 95")), "{reason}");
        let is_listed = async |id: u64| api.work(id).await.contains(&format!("review {RESOLVE}"));
        assert!(is_listed(open).await);
        // Stated before the payment it counted with the order that it named, where a person looks at it.
        let left = if is_first { AMOUNT - 9_500 } else { AMOUNT };
        assert_eq!((api.posted(other), is_listed(other).await), (left, is_first));
        assert_eq!(api.resolves(open, "refuse", None).await.0, 200);
        assert_eq!((api.posted(open), api.posted(other)), (0, left));
        if is_first {
            let (status, reason) = api.reason(other).await;
            assert!(status == 9 && reason.contains("the payment is stated as paid for transaction 1"), "{reason}");
            assert_eq!(api.resolves(other, "credit", Some("100.0")).await.0, 200);
        }
        assert_eq!((api.posted(open), api.env.trading.balance()), (0, AMOUNT));
        assert!(!is_listed(open).await && !is_listed(other).await);
    }
}

#[tokio::test(start_paused = true)]
async fn what_went_back_of_an_order_whose_payment_has_no_id_stays_its_own() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k1").await;
    let (other, of_other) = api.pending("k2").await;
    api.confirmed("e1", &of_other, "").await;
    api.received(refund(&of_other, "pay_2", 9_500)).await;
    api.received(of_another_amount(&reference, "pay_2", 9_500)).await;
    api.resolved(open, "95.0").await;
    assert_eq!((api.posted(open), api.posted(other)), (9_500, AMOUNT - 9_500));
    assert!(api.work(other).await.contains(&format!("review {RESOLVE}")));
}

#[tokio::test(start_paused = true)]
async fn what_went_back_of_an_order_that_a_person_credited_without_an_id_stays_its_own() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k1").await;
    let (other, of_other) = api.pending("k2").await;
    api.received(of_another_amount(&of_other, "", 9_500)).await;
    api.resolved(other, "95.0").await;
    api.received(refund(&of_other, "pay_2", 9_500)).await;
    api.received(of_another_amount(&reference, "pay_2", 9_500)).await;
    api.resolved(open, "95.0").await;
    assert_eq!((api.posted(open), api.posted(other)), (9_500, 0), "it does not come back to the one it was taken from");
}

/// Of the payment `pay_2`, which ion4's order 1 is under review for, 95 went back under the reference of order 2, which is another
/// brand's.
async fn gone_back_under_another_brand() -> (ManagerApi, Reference) {
    let env = TestCashier::new().await;
    let context = ManagerContext { cashier: Arc::clone(&env.cashier), tokens: Arc::new(PlainTokens) };
    let api = ManagerApi { env, context };
    let (open, reference) = api.pending("k1").await;
    let request = DepositRequest { login: LOGINS[1], amount: usd(12_345), ..deposit_request("of the other") };
    let row = api.env.deposit_as(request).await.unwrap().transaction;
    let (other, of_other) = (row.id, row.reference);
    let stamp = Stamp { actor: Actor::System, request_id: "test".into(), now: api.env.cashier.clock.now() };
    let decided = api.env.cashier.ledger.decide(&stamp, |draft| {
        let row = draft.aggregate(other).unwrap().transaction;
        draft.add([Change::Transaction(Box::new(Transaction { brand: "other".into(), ..row }))]);
    });
    decided.unwrap().durable().await.unwrap();
    assert_eq!((open, other), (1, TransactionId(2)));
    api.received(of_another_amount(&of_other, "pay_1", 12_345)).await;
    api.received(refund(&of_other, "pay_2", 9_500)).await;
    assert_eq!((api.posted(1), api.posted(2)), (0, 12_345 - 9_500), "the reference leads until then");
    api.received(of_another_amount(&reference, "pay_2", 9_500)).await;
    assert_eq!((api.posted(1), api.posted(2)), (0, 12_345 - 9_500));
    (api, of_other)
}

#[tokio::test(start_paused = true)]
async fn what_went_back_under_another_brands_reference_is_shown_and_that_order_is_named_to_nobody_of_this_brand() {
    let (api, of_other) = gone_back_under_another_brand().await;
    let shown = [api.reason(1).await, api.reason(2).await];
    assert!(shown.iter().all(|(status, _)| *status == 9), "{shown:?}");
    let (_, explained) = api.command("manager@ion4", "MngExplainCashierTransaction", r#"{"id":1}"#).await;
    assert!(shown[0].1.contains("refunded 95"), "{shown:?}");
    assert!(shown[1].1.contains("is stated as paid for an order of another brand"), "{shown:?}");
    // Its id, reference, account, payment and amount.
    let name = of_other.to_string();
    let text = [shown[0].1.clone(), explained.to_string()].concat();
    for of_other in ["transaction 2", "\"2\"", &name, "2000012", "pay_1", "123.45", "12345"] {
        assert!(!text.contains(of_other), "{of_other} in {text}");
    }
    // Nor is this order named to the other brand.
    let (number, explained) = api.command("manager@other", "MngExplainCashierTransaction", r#"{"id":2}"#).await;
    let own = api.env.aggregate(TransactionId(1)).transaction.reference.to_string();
    let text = [shown[1].1.clone(), explained.to_string()].concat();
    assert!(number == 200 && !text.contains("transaction 1") && !text.contains(&own), "{text}");
    for id in [1, 2] {
        assert_eq!(api.command("manager", RESOLVE, &resolution(id, "refuse", None)).await.0, 200);
    }
    api.env.run_for(10).await;
    assert_eq!(api.env.trading.balance(), 0);
}
