//! One payment id stated for several orders, and entries beside what is paid: whoever credits one of them is asked about the others.

use cashier_core::ids::Reference;
use cashier_core::notice::Update;
use cashier_core::status::ProviderStatus;

use super::manual::{DEPOSIT, PROCESS, REJECT, by_id, entry, rejection};
use super::manual_money::resolution;
use super::review::{RESOLVE, RETRY};
use super::*;
use crate::test_cashier::{AMOUNT, OnPost, lock, paid};

const UPDATE: &str = "MngUpdateCashierTransaction";

fn of(event: &str, own: &Reference, status: ProviderStatus) -> Update {
    Update { payment_id: "pay_1".into(), status, ..paid(event, own) }
}

impl ManagerApi {
    async fn states(&self, update: Update) {
        self.env.notice(Some(1), vec![update]).await.unwrap();
        self.env.run_for(1).await;
    }

    /// Orders 1 and 2 for which the provider confirms one payment, the first of them first.
    async fn one_payment_of_two_orders(&self) -> (Reference, Reference) {
        let (_, first) = self.pending("k1").await;
        let (_, second) = self.pending("k2").await;
        self.confirmed("e1", &first, "pay_1").await;
        self.confirmed("e2", &second, "pay_1").await;
        assert_eq!(self.reason(2).await.0, 9);
        (first, second)
    }

    async fn answered(&self, command: &str, data: &str) -> u64 {
        u64::from(self.command("manager", command, data).await.0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_is_not_credited_from_a_review_while_the_order_that_has_it_is_owed() {
    let api = ManagerApi::open().await;
    lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
    api.one_payment_of_two_orders().await;
    assert_eq!(api.reason(1).await.0, 4);
    let credit = resolution(2, "credit", Some("100.0"));
    assert_eq!(api.answered(RESOLVE, &credit).await, 409, "a retry of the first would credit it too");
    // Closed, it makes way; then it is not retried any more.
    assert_eq!(api.answered(RESOLVE, &resolution(1, "refuse", None)).await, 200);
    assert_eq!(api.answered(RESOLVE, &credit).await, 200);
    assert_eq!(api.answered(RETRY, &by_id(1)).await, 409);
    assert_eq!((api.posted(1), api.posted(2)), (0, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn what_goes_back_of_a_payment_is_taken_from_the_order_that_a_person_credited_for_it() {
    for named in [1, 2] {
        let api = ManagerApi::open().await;
        lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
        let (first, second) = api.one_payment_of_two_orders().await;
        assert_eq!(api.answered(RESOLVE, &resolution(1, "refuse", None)).await, 200);
        assert_eq!(api.answered(RESOLVE, &resolution(2, "credit", Some("100.0"))).await, 200);
        let reference = if named == 1 { &first } else { &second };
        api.states(of("e3", reference, ProviderStatus::Chargeback)).await;
        assert_eq!((api.reason(2).await.0, api.env.trading.balance()), (8, 0), "named {named}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_a_person_credited_from_a_review_is_credited_to_no_third_order() {
    let api = ManagerApi::open().await;
    let (_, first) = api.pending("k1").await;
    let manual = api.entered(DEPOSIT, r#""provider_payment_id":"pay_1","force":1"#).await;
    api.confirmed("e1", &first, "pay_1").await;
    assert_eq!(api.answered(REJECT, &rejection(manual)).await, 200);
    assert_eq!(api.answered(RESOLVE, &resolution(1, "credit", Some("100.0"))).await, 200);
    let (third, reference) = api.pending("k3").await;
    api.confirmed("e3", &reference, "pay_1").await;
    assert_eq!((api.reason(third).await.0, api.env.trading.balance()), (9, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_entered_beside_an_order_that_is_credited_and_under_review() {
    for fields in [r#""force":1,"process_now":1"#, r#""force":1"#] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.pending("k").await;
        api.confirmed("e1", &reference, "pay_1").await;
        api.states(Update { amount: None, ..of("e2", &reference, ProviderStatus::ManualReview) }).await;
        assert_eq!((api.reason(open).await.0, api.posted(open)), (9, AMOUNT));
        let answer = api.error("manager", DEPOSIT, &entry(fields)).await;
        assert_eq!((answer, api.env.trading.balance()), ((409, "OPEN_DEPOSIT_EXISTS".into()), AMOUNT), "{fields}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_written_status_lets_nothing_be_entered_beside_what_is_owed() {
    for status in [7, 8, 6, 5] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.pending("k").await;
        lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
        api.confirmed("e1", &reference, "pay_1").await;
        assert_eq!(api.answered(UPDATE, &format!(r#"{{"id":{open},"status":{status}}}"#)).await, 200);
        let answer = api.error("manager", DEPOSIT, &entry(r#""force":1"#)).await;
        assert_eq!(answer, (409, "OPEN_DEPOSIT_EXISTS".into()), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_manual_deposit_settles_an_order_that_is_written_as_settled_outside_and_comes_once() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
    api.confirmed("e1", &reference, "pay_1").await;
    assert_eq!(api.answered(UPDATE, &format!(r#"{{"id":{open},"status":3}}"#)).await, 200);
    let without = api.error("manager", DEPOSIT, &entry("")).await;
    assert_eq!(without, (409, "OPEN_DEPOSIT_EXISTS".into()), "the person sees beside what it is entered");
    api.entered(DEPOSIT, r#""force":1,"process_now":1"#).await;
    assert_eq!(api.answered(UPDATE, &format!(r#"{{"id":{open},"status":2}}"#)).await, 200);
    assert_eq!(api.answered(RETRY, &by_id(open)).await, 409);
    assert_eq!((api.posted(open), api.env.trading.balance()), (0, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn an_order_is_not_closed_beside_a_posting_without_an_answer() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
    api.confirmed("e1", &reference, "pay_1").await;
    lock(&api.env.trading.next_posts).push_back(OnPost::NeverArrives);
    api.command("manager", RETRY, &by_id(open)).await;
    assert_eq!(api.env.unsettled_operations(cashier_core::ids::TransactionId(open)), 1);
    assert_eq!(api.answered(RESOLVE, &resolution(open, "refuse", None)).await, 409);
    api.env.run_for(120).await;
    assert_eq!((api.posted(open), api.env.trading.balance()), (AMOUNT, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_credit_that_a_person_refused_before_it_arrived_is_not_posted() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    lock(&api.env.trading.next_posts).extend(std::iter::repeat_n(OnPost::NeverArrives, 20));
    api.states(of("e1", &reference, ProviderStatus::Confirmed)).await;
    // The provider wants a person to look at it while the posting has no answer.
    api.states(Update { amount: None, ..of("e2", &reference, ProviderStatus::ManualReview) }).await;
    assert_eq!(api.reason(open).await.0, 9);
    assert_eq!(api.env.unsettled_operations(cashier_core::ids::TransactionId(open)), 1);
    assert_eq!(api.answered(RESOLVE, &resolution(open, "refuse", None)).await, 200);
    lock(&api.env.trading.next_posts).clear();
    api.env.run_for(300).await;
    assert_eq!((api.posted(open), api.env.trading.balance(), api.reason(open).await.0), (0, 0, 6));
    let posts = api.env.trading.postings().len();
    assert_eq!(posts, 0, "nothing was posted and taken back");
}

#[tokio::test(start_paused = true)]
async fn every_manual_deposit_that_may_be_a_late_payment_is_asked_about() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    let ended =
        Update { reference: Some(reference.clone()), amount: None, ..of("e1", &reference, ProviderStatus::Failed) };
    api.states(ended).await;
    api.env.clock.advance(std::time::Duration::from_secs(cashier_core::duty::CLOSED_QUERY_SECONDS.cast_unsigned() + 1));
    let credited = api.entered(DEPOSIT, r#""process_now":1"#).await;
    let waiting = api.entered(DEPOSIT, "").await;
    api.states(of("e2", &reference, ProviderStatus::ManualReview)).await;
    api.states(Update { amount: None, ..of("e3", &reference, ProviderStatus::Confirmed) }).await;
    let reason = api.reason(open).await.1;
    assert!([credited, waiting].iter().all(|id| reason.contains(&format!("transaction {id} "))), "{reason}");
    assert_eq!(api.answered(RESOLVE, &resolution(open, "credit", Some("100.0"))).await, 409, "one is not decided");
    assert_eq!(api.answered(REJECT, &rejection(waiting)).await, 200);
    assert_eq!(api.answered(PROCESS, &by_id(waiting)).await, 409, "it stays rejected");
    assert_eq!(api.env.trading.balance(), AMOUNT);
}

#[tokio::test(start_paused = true)]
async fn an_order_of_which_another_amount_was_paid_is_compared_by_that_amount() {
    let by_hand = r#"{"login":2000009,"amount":95.0,"currency":"USD"}"#;
    let forced = r#"{"login":2000009,"amount":95.0,"currency":"USD","force":1,"process_now":1}"#;
    let less = |own: &Reference| {
        let amount = Some(cashier_core::notice::StatedAmount::Exact(usd(9_500)));
        Update { amount, ..of("e1", own, ProviderStatus::Confirmed) }
    };
    // Entered after it was stated: beside the order, whose review does not name it.
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    api.states(less(&reference)).await;
    assert_eq!(api.error("manager", DEPOSIT, by_hand).await, (409, "OPEN_DEPOSIT_EXISTS".into()));
    assert_eq!(api.answered(DEPOSIT, forced).await, 200);
    assert_eq!(api.answered(RESOLVE, &resolution(open, "credit", Some("95.0"))).await, 409);
    assert_eq!(api.env.trading.balance(), 9_500);
    // Entered before: the review names it, and a person decides.
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    let (number, data) = api.command("manager", DEPOSIT, by_hand).await;
    assert_eq!(number, 200, "another amount than the order's: {data}");
    let manual = data["transaction"]["id"].as_u64().unwrap();
    api.states(less(&reference)).await;
    let (status, reason) = api.reason(open).await;
    assert!(status == 9 && reason.contains(&format!("transaction {manual} ")), "{reason}");
    assert_eq!(api.answered(RESOLVE, &resolution(open, "credit", Some("95.0"))).await, 409, "it is not decided");
    assert_eq!(api.answered(REJECT, &rejection(manual)).await, 200);
    assert_eq!(api.answered(RESOLVE, &resolution(open, "credit", Some("95.0"))).await, 200);
    assert_eq!((api.posted(open), api.env.trading.balance()), (9_500, 9_500));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_a_person_keeps_at_its_own_payment_does_not_have_the_one_its_review_names() {
    for named in [1, 2] {
        let api = ManagerApi::open().await;
        let (_, first) = api.pending("k1").await;
        let (_, second) = api.pending("k2").await;
        api.confirmed("e1", &second, "pay_1").await;
        api.confirmed("e2", &first, "pay_own").await;
        // The other order's payment is stated for this one too, and a person leaves both as they are.
        api.confirmed("e3", &first, "pay_1").await;
        assert_eq!(api.reason(1).await.0, 9);
        assert_eq!(api.answered(RESOLVE, &resolution(1, "credit", Some("100.0"))).await, 200);
        let reference = if named == 1 { &first } else { &second };
        api.states(of("e4", reference, ProviderStatus::Chargeback)).await;
        assert_eq!((api.posted(1), api.posted(2)), (AMOUNT, 0), "it is taken from the order that has it: {named}");
    }
}

#[tokio::test(start_paused = true)]
async fn beside_what_a_person_credits_of_a_payment_its_amount_is_compared_while_it_is_owed() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    let amount = Some(cashier_core::notice::StatedAmount::Exact(usd(9_500)));
    api.states(Update { amount, ..of("e1", &reference, ProviderStatus::Confirmed) }).await;
    lock(&api.env.trading.next_posts).extend(std::iter::repeat_n(OnPost::NeverArrives, 40));
    api.command("manager", RESOLVE, &resolution(open, "credit", Some("95.0"))).await;
    assert_eq!(api.reason(open).await.0, 2);
    let by_hand = r#"{"login":2000009,"amount":95.0,"currency":"USD","force":1,"process_now":1}"#;
    assert_eq!(api.error("manager", DEPOSIT, by_hand).await, (409, "OPEN_DEPOSIT_EXISTS".into()));
    lock(&api.env.trading.next_posts).clear();
    api.env.run_for(600).await;
    assert_eq!(api.env.trading.balance(), 9_500);
}

#[tokio::test(start_paused = true)]
async fn the_amount_that_a_person_would_credit_is_compared_with_what_was_entered_since() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    let by_hand = r#"{"login":2000009,"amount":97.0,"currency":"USD","process_now":1}"#;
    assert_eq!(api.answered(DEPOSIT, by_hand).await, 200);
    let euros = cashier_core::money::Currency::from_code("EUR").unwrap();
    let amount = Some(cashier_core::notice::StatedAmount::Exact(cashier_core::money::Money::new(9_000, euros)));
    api.states(Update { amount, ..of("e1", &reference, ProviderStatus::Confirmed) }).await;
    assert_eq!(api.reason(open).await.0, 9);
    assert_eq!(api.answered(RESOLVE, &resolution(open, "credit", Some("97.0"))).await, 409);
    assert_eq!(api.env.trading.balance(), 9_700);
}

#[tokio::test(start_paused = true)]
async fn what_is_entered_after_a_person_credited_the_order_is_other_money() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    api.states(Update { amount: None, ..of("e1", &reference, ProviderStatus::Confirmed) }).await;
    assert_eq!(api.answered(RESOLVE, &resolution(open, "credit", Some("100.0"))).await, 200);
    assert_eq!(api.answered(DEPOSIT, &entry(r#""process_now":1"#)).await, 200);
    assert_eq!(api.env.trading.balance(), 2 * AMOUNT);
    // A later review of the order ends as it is.
    api.states(Update { amount: None, ..of("e2", &reference, ProviderStatus::ManualReview) }).await;
    assert_eq!(api.reason(open).await.0, 9);
    assert_eq!(api.answered(RESOLVE, &resolution(open, "credit", Some("100.0"))).await, 200);
    api.states(of("e3", &reference, ProviderStatus::Chargeback)).await;
    assert_eq!((api.reason(open).await.0, api.env.trading.balance()), (8, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_late_payment_beside_two_manual_deposits_names_both_and_a_person_decides() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    api.states(Update { amount: None, ..of("e1", &reference, ProviderStatus::Failed) }).await;
    api.env.clock.advance(std::time::Duration::from_secs(cashier_core::duty::CLOSED_QUERY_SECONDS.cast_unsigned() + 1));
    for _ in 0..2 {
        assert_eq!(api.answered(DEPOSIT, &entry(r#""process_now":1"#)).await, 200);
    }
    api.states(of("e2", &reference, ProviderStatus::Confirmed)).await;
    let (status, reason) = api.reason(open).await;
    assert!(status == 9 && reason.contains("transaction 2 ") && reason.contains("transaction 3 "), "{reason}");
    assert_eq!(api.answered(RESOLVE, &resolution(open, "credit", Some("100.0"))).await, 200, "a third payment");
}
