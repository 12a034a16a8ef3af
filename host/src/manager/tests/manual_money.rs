//! The same money entered by hand and stated by a provider, in any order: it is credited once, and what a person must look at
//! is listed.

use cashier_core::ids::{Reference, TransactionId};
use cashier_core::notice::{StatedAmount, Update};
use cashier_core::reason::ReasonCode;
use cashier_core::refs::ProviderRef;
use cashier_core::status::ProviderStatus;

use super::manual::{DEPOSIT, PROCESS, REJECT, WITHDRAWAL, by_id, entry, rejection};
use super::review::{RESOLVE, RETRY};
use super::*;
use crate::test_cashier::{AMOUNT, OnPost, lock, paid, update};

/// The end of a review, with an amount where it is credited.
pub(super) fn resolution(id: u64, action: &str, amount: Option<&str>) -> String {
    let amount = amount.map(|amount| format!(r#","amount":{amount}"#)).unwrap_or_default();
    format!(r#"{{"id":{id},"action":"{action}"{amount},"reason":"as the bank says"}}"#)
}

impl ManagerApi {
    /// A deposit through the provider that is not paid yet.
    pub(super) async fn pending(&self, key: &str) -> (u64, Reference) {
        let row = self.env.deposit(key).await.unwrap().transaction;
        (row.id.0, row.reference)
    }

    pub(super) async fn confirmed(&self, event: &str, reference: &Reference, payment: &str) {
        let stated = Update { payment_id: payment.into(), ..paid(event, reference) };
        self.env.notice(Some(1), vec![stated]).await.unwrap();
        self.env.run_for(1).await;
    }

    pub(super) async fn reason(&self, id: u64) -> (u64, String) {
        let row = self.seen(id).await;
        (row["status"].as_u64().unwrap(), row["failure_reason"].as_str().unwrap().to_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_is_known_in_the_brand_is_not_entered_again() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    api.confirmed("e1", &reference, "pay_1").await;
    let refs = vec![ProviderRef::new("charge", "ch_1")];
    let noted = Update { reference: Some(reference), refs, ..update("e2", ProviderStatus::Pending) };
    api.env.notice(Some(1), vec![noted]).await.unwrap();
    let manual = api.entered(DEPOSIT, r#""provider_payment_id":"B-1""#).await;
    let known = [("pi_123", open), ("ch_1", open), ("pay_1", open), ("B-1", manual)];
    for (payment, owner) in known {
        for name in [DEPOSIT, WITHDRAWAL] {
            let data = entry(&format!(r#""provider_payment_id":"{payment}","force":1"#));
            let (number, data) = api.command("manager", name, &data).await;
            assert_eq!((number, data["error"].as_str()), (409, Some("RET_ERR_DUPLICATE")), "{payment}");
            assert!(data["message"].as_str().unwrap().ends_with(&format!("transaction {owner}")), "{data}");
        }
    }
    assert_eq!(api.command("manager", REJECT, &rejection(manual)).await.0, 200);
    assert_ne!(api.entered(DEPOSIT, r#""provider_payment_id":"B-1""#).await, manual, "a rejected entry carries none");
}

#[tokio::test(start_paused = true)]
async fn one_bank_reference_entered_by_two_managers_is_entered_once() {
    let api = ManagerApi::open().await;
    let data = entry(r#""provider_payment_id":"B-1","process_now":1"#);
    let both = tokio::join!(api.command("manager#8", DEPOSIT, &data), api.command("manager#9", DEPOSIT, &data));
    let mut numbers = [both.0.0, both.1.0];
    numbers.sort_unstable();
    assert_eq!((numbers, api.env.trading.balance()), ([200, 409], AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn an_open_deposit_of_the_same_amount_is_named_before_it_is_entered_beside_it() {
    let api = ManagerApi::open().await;
    let (open, _) = api.pending("k").await;
    let (number, data) = api.command("manager", DEPOSIT, &entry("")).await;
    assert_eq!((number, data["error"].as_str()), (409, Some("OPEN_DEPOSIT_EXISTS")));
    assert!(data["message"].as_str().unwrap().starts_with(&format!("transaction {open} ")), "{data}");
    let other = r#"{"login":2000009,"amount":100.01,"currency":"USD"}"#;
    assert_eq!(api.command("manager", DEPOSIT, other).await.0, 200, "another amount");
    assert_eq!(api.command("manager", WITHDRAWAL, &entry("")).await.0, 200, "a withdrawal is other money");
    assert_eq!(api.command("manager", DEPOSIT, &entry(r#""force":1"#)).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_manual_credit_for_a_deposit_whose_webhook_then_arrives_is_credited_once_and_listed() {
    // By the payment's id, by another id of the payment, and by the order beside which it was entered.
    for more in
        [r#""provider_payment_id":"pay_1","force":1"#, r#""provider_payment_id":"ch_1","force":1"#, r#""force":1"#]
    {
        for processed in [true, false] {
            let api = ManagerApi::open().await;
            let (open, reference) = api.pending("k").await;
            let manual = api.entered(DEPOSIT, more).await;
            if processed {
                assert_eq!(api.command("manager", PROCESS, &by_id(manual)).await.0, 200);
            }
            let refs = vec![ProviderRef::new("charge", "ch_1")];
            let stated = Update { payment_id: "pay_1".into(), refs, ..paid("e1", &reference) };
            api.env.notice(Some(1), vec![stated]).await.unwrap();
            api.env.run_for(60).await;
            let (status, reason) = api.reason(open).await;
            assert_eq!(status, 9, "{more}");
            let named = format!("PAYMENT_ID_REUSED: payment pay_1 confirmed transaction {manual} before");
            assert!(reason.starts_with(&named), "{reason}");
            assert_eq!(api.env.trading.balance(), if processed { AMOUNT } else { 0 });
            if !processed {
                assert_eq!(api.command("manager", PROCESS, &by_id(manual)).await.0, 200);
                assert_eq!((api.posted(manual), api.posted(open)), (AMOUNT, 0));
            }
            api.confirmed("e2", &reference, "pay_1").await;
            assert_eq!((api.env.trading.balance(), api.reason(open).await.0), (AMOUNT, 9), "sent again");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejected_entry_holds_no_payment_back() {
    for by_payment in [true, false] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.pending("k").await;
        let more = if by_payment { r#""provider_payment_id":"pay_1","force":1"# } else { r#""force":1"# };
        let manual = api.entered(DEPOSIT, more).await;
        api.confirmed("e1", &reference, "pay_1").await;
        assert_eq!((api.reason(open).await.0, api.env.trading.balance()), (9, 0));
        assert_eq!(api.command("manager", REJECT, &rejection(manual)).await.0, 200);
        api.confirmed("e2", &reference, "pay_1").await;
        assert_eq!((api.posted(open), api.posted(manual)), (AMOUNT, 0), "the provider's own statement credits it");
        assert_eq!(api.error("manager", PROCESS, &by_id(manual)).await.0, 409, "and it stays rejected");
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_another_brand_or_of_a_withdrawal_holds_no_payment_back() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    api.entered(WITHDRAWAL, r#""provider_payment_id":"pay_1""#).await;
    api.confirmed("e1", &reference, "pay_1").await;
    assert_eq!((api.reason(open).await.0, api.posted(open)), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn beside_an_order_that_is_paid_and_not_credited_nothing_is_entered() {
    for (on_post, status) in [(OnPost::Refuse, 4), (OnPost::NeverArrives, 2)] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.pending("k").await;
        lock(&api.env.trading.next_posts).push_back(on_post);
        let stated = Update { payment_id: "pay_1".into(), ..paid("e1", &reference) };
        api.env.notice(Some(1), vec![stated]).await.unwrap();
        let (number, data) = api.command("manager", DEPOSIT, &entry(r#""force":1,"process_now":1"#)).await;
        assert_eq!((number, data["error"].as_str()), (409, Some("OPEN_DEPOSIT_EXISTS")), "{status}");
        assert!(data["message"].as_str().unwrap().starts_with(&format!("transaction {open} ")), "{data}");
        api.env.run_for(60).await;
        if status == 4 {
            assert_eq!(api.command("manager", RETRY, &by_id(open)).await.0, 200);
        }
        assert_eq!((api.env.trading.balance(), api.reason(open).await.0), (AMOUNT, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_closed_and_may_have_been_paid_is_compared_and_holds_its_late_confirmation() {
    for closed in [ProviderStatus::Failed, ProviderStatus::Cancelled] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.pending("k").await;
        let ended = Update { reference: Some(reference.clone()), ..update("e1", closed) };
        api.env.notice(Some(1), vec![ended]).await.unwrap();
        assert!([5, 6].contains(&api.reason(open).await.0));
        let (number, data) = api.command("manager", DEPOSIT, &entry("")).await;
        assert_eq!((number, data["error"].as_str()), (409, Some("OPEN_DEPOSIT_EXISTS")));
        let manual = api.entered(DEPOSIT, r#""force":1,"process_now":1"#).await;
        api.confirmed("e2", &reference, "pay_1").await;
        let (status, reason) = api.reason(open).await;
        assert_eq!((api.env.trading.balance(), status), (AMOUNT, 9));
        assert!(reason.contains(&format!("transaction {manual} ")), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_manual_deposit_and_the_order_that_names_it_one_is_credited() {
    for more in [r#""provider_payment_id":"pay_1","force":1"#, r#""force":1"#] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.pending("k").await;
        let manual = api.entered(DEPOSIT, more).await;
        api.confirmed("e1", &reference, "pay_1").await;
        let credit = format!(r#"{{"id":{open},"action":"credit","amount":100.0,"reason":"found at the bank"}}"#);
        let (number, data) = api.command("manager", RESOLVE, &credit).await;
        assert_eq!((number, data["error"].as_str()), (409, Some("RET_ERR_DUPLICATE")), "{more}");
        assert!(data["message"].as_str().unwrap().contains(&format!("transaction {manual} ")), "{data}");
        assert_eq!(api.command("manager", REJECT, &rejection(manual)).await.0, 200);
        assert_eq!(api.command("manager", RESOLVE, &credit).await.0, 200);
        assert_eq!((api.posted(open), api.posted(manual)), (AMOUNT, 0));
    }
    // One that is approved and carries the payment stands; beside another payment a person decides.
    for (more, number) in [(r#""provider_payment_id":"pay_1","force":1"#, 409), (r#""force":1"#, 200)] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.pending("k").await;
        let manual = api.entered(DEPOSIT, more).await;
        api.confirmed("e1", &reference, "pay_1").await;
        assert_eq!(api.command("manager", PROCESS, &by_id(manual)).await.0, 200);
        let credit = format!(r#"{{"id":{open},"action":"credit","amount":100.0,"reason":"a second one"}}"#);
        assert_eq!(api.command("manager", RESOLVE, &credit).await.0, number, "{more}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_manual_deposit_whose_payment_was_credited_meanwhile_is_not_processed() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    let manual = api.entered(DEPOSIT, r#""provider_payment_id":"ch_1","force":1"#).await;
    assert_eq!(api.command("manager", REJECT, &rejection(manual)).await.0, 200);
    api.confirmed("e1", &reference, "pay_1").await;
    let other = r#"{"login":2000009,"amount":100.0,"currency":"USD","provider_payment_id":"ch_1"}"#;
    let (number, made) = api.command("manager", DEPOSIT, other).await;
    assert_eq!(number, 200, "{made}");
    let waiting = made["transaction"]["id"].as_u64().unwrap();
    let refs = vec![ProviderRef::new("charge", "ch_1")];
    let linked = Update { reference: Some(reference), refs, ..update("e2", ProviderStatus::Pending) };
    api.env.notice(Some(1), vec![linked]).await.unwrap();
    let (number, data) = api.command("manager", PROCESS, &by_id(waiting)).await;
    assert_eq!((number, data["error"].as_str()), (409, Some("RET_ERR_DUPLICATE")), "{data}");
    assert!(data["message"].as_str().unwrap().contains(&format!("transaction {open}:")), "{data}");
    assert_eq!(api.command("manager", REJECT, &rejection(waiting)).await.0, 200);
    assert_eq!(api.env.trading.balance(), AMOUNT);
}

#[tokio::test(start_paused = true)]
async fn what_goes_back_of_a_payment_that_was_credited_by_hand_is_a_review_that_names_it() {
    for status in [ProviderStatus::Chargeback, ProviderStatus::Refunded] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.pending("k").await;
        let manual = api.entered(DEPOSIT, r#""provider_payment_id":"pay_1","force":1,"process_now":1"#).await;
        api.confirmed("e1", &reference, "pay_1").await;
        let refuse = format!(r#"{{"id":{open},"action":"refuse","reason":"credited by hand"}}"#);
        assert_eq!(api.command("manager", RESOLVE, &refuse).await.0, 200);
        assert_eq!(api.reason(open).await.0, 6);
        let back = Update { payment_id: "pay_1".into(), status, ..paid("e2", &reference) };
        api.env.notice(Some(1), vec![back]).await.unwrap();
        api.env.run_for(1).await;
        let (shown, reason) = api.reason(open).await;
        assert_eq!((shown, api.env.trading.balance()), (9, AMOUNT), "{reason}");
        assert!(reason.contains(&format!("transaction {manual} ")), "{reason}");
        assert_eq!(api.command("manager", RESOLVE, &refuse).await.0, 200);
        assert_eq!(api.reason(open).await.0, 6, "a person looked at it");
    }
}

/// What persons and the provider do about one payment, in an order that a number selects.
#[tokio::test(start_paused = true)]
async fn in_any_order_of_persons_and_webhooks_the_money_comes_once_or_is_listed() {
    let steps = ["enter", "process", "reject", "paid", "paid again", "paid without an amount"];
    let (mut by_hand, mut by_order, mut not_entered) = (0, 0, 0);
    for seed in 0..240_usize {
        let api = ManagerApi::open().await;
        let (open, reference) = api.pending("k").await;
        let mut left: Vec<&str> = steps.to_vec();
        let (mut order, mut number) = (Vec::new(), seed);
        while !left.is_empty() {
            order.push(left.remove(number % left.len()));
            number = number / (left.len() + 1) + seed * 7;
        }
        let mut manual = None;
        for (at, step) in order.iter().enumerate() {
            let event = format!("e{at}");
            match (*step, manual) {
                ("enter", _) => {
                    let data = entry(r#""provider_payment_id":"pay_1","force":1"#);
                    let (number, made) = api.command("manager", DEPOSIT, &data).await;
                    assert!([200, 409].contains(&number), "{made}");
                    manual = made["transaction"]["id"].as_u64();
                    not_entered += usize::from(number == 409);
                }
                ("process", Some(id)) => drop(api.command("manager", PROCESS, &by_id(id)).await),
                ("reject", Some(id)) => drop(api.command("manager", REJECT, &rejection(id)).await),
                ("process" | "reject", None) => {}
                ("paid without an amount", _) => {
                    let stated = Update { payment_id: "pay_1".into(), amount: None, ..paid(&event, &reference) };
                    api.env.notice(Some(1), vec![stated]).await.unwrap();
                }
                (_, _) => api.confirmed(&event, &reference, "pay_1").await,
            }
        }
        api.env.run_for(30).await;
        let balance = api.env.trading.balance();
        assert!(balance <= AMOUNT, "credited twice: {order:?}");
        let status = api.reason(open).await.0;
        assert!(balance == AMOUNT || status == 9, "neither credited nor listed: {order:?}");
        for aggregate in api.env.aggregates() {
            let (owed, posted) = (aggregate.standing().owed_minor, api.posted(aggregate.transaction.id.0));
            assert_eq!(owed, posted, "{order:?}: {:?}", aggregate.transaction.id);
        }
        assert_eq!(api.env.unsettled_operations(TransactionId(open)), 0);
        by_hand += usize::from(manual.is_some_and(|id| api.posted(id) == AMOUNT));
        by_order += usize::from(api.posted(open) == AMOUNT);
    }
    assert!([by_hand, by_order, not_entered].iter().all(|count| *count > 20), "{by_hand} {by_order} {not_entered}");
}

#[tokio::test(start_paused = true)]
async fn beside_a_manual_credit_no_review_of_the_order_ends_with_a_second_credit() {
    // The provider states another amount of the payment that was entered, or asks for a person: neither review names it.
    for (more, status) in [
        (r#""provider_payment_id":"pay_1","force":1"#, ProviderStatus::Confirmed),
        (r#""force":1"#, ProviderStatus::ManualReview),
    ] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.pending("k").await;
        let manual = api.entered(DEPOSIT, more).await;
        assert_eq!(api.command("manager", PROCESS, &by_id(manual)).await.0, 200);
        let amount = (status == ProviderStatus::Confirmed).then_some(StatedAmount::Exact(usd(9_500)));
        let stated = Update { payment_id: "pay_1".into(), amount, status, ..paid("e1", &reference) };
        api.env.notice(Some(1), vec![stated]).await.unwrap();
        api.env.run_for(1).await;
        let credit = format!(r#"{{"id":{open},"action":"credit","amount":95.0,"reason":"found at the bank"}}"#);
        let (number, data) = api.command("manager", RESOLVE, &credit).await;
        assert_eq!((number, data["error"].as_str()), (409, Some("RET_ERR_DUPLICATE")), "{more}: {data}");
        assert!(data["message"].as_str().unwrap().contains(&format!("transaction {manual} ")), "{data}");
        let refuse = format!(r#"{{"id":{open},"action":"refuse","reason":"it is the manual one"}}"#);
        assert_eq!(api.command("manager", RESOLVE, &refuse).await.0, 200);
        assert_eq!((api.env.trading.balance(), api.posted(open)), (AMOUNT, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_is_credited_beside_a_refused_manual_posting_only_once_that_is_rejected() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    lock(&api.env.trading.next_posts).push_back(OnPost::RefuseFor(ReasonCode::AccountDisabled));
    let manual = api.entered(DEPOSIT, r#""force":1,"process_now":1"#).await;
    api.confirmed("e1", &reference, "pay_1").await;
    let credit =
        format!(r#"{{"id":{open},"action":"credit","amount":100.0,"reason":"the manual one credited nothing"}}"#);
    assert_eq!(api.command("manager", RESOLVE, &credit).await.0, 409, "a retry of the manual one would credit it too");
    assert_eq!(api.command("manager", REJECT, &rejection(manual)).await.0, 200);
    assert_eq!(api.command("manager", RESOLVE, &credit).await.0, 200);
    assert_eq!(api.command("manager", RETRY, &by_id(manual)).await.0, 409);
    assert_eq!((api.env.trading.balance(), api.posted(open)), (AMOUNT, AMOUNT));
}
