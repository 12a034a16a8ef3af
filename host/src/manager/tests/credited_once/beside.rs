//! Entries beside an order in every state that it may be in: what links them, where `force` is asked for, and what comes back to
//! the order afterwards.

use cashier_core::notice::{Reach, RefundStatement};

use super::*;

const UPDATE: &str = "MngUpdateCashierTransaction";
/// Of 95 USD, not of the order's 100.
const LESS: &str = r#"{"login":2000009,"amount":95.0,"currency":"USD","force":1,"process_now":1}"#;
const OPEN_EXISTS: (u16, &str) = (409, "OPEN_DEPOSIT_EXISTS");

/// The provider wants a person to look at it, and names no payment.
fn review(event: &str, own: &Reference) -> Update {
    Update { amount: None, payment_id: "".into(), status: ProviderStatus::ManualReview, ..paid(event, own) }
}

fn refund(event: &str, own: &Reference, status: ProviderStatus, minor: i64) -> Update {
    let amount = StatedAmount::Exact(usd(minor));
    let refund = RefundStatement { id: "re_1".into(), amount, reach: Reach::Delta, requested: "".into() };
    Update { refund: Some(refund), amount: None, status, payment_id: "pay_1".into(), ..paid(event, own) }
}

impl ManagerApi {
    pub(super) async fn number(&self, command: &str, data: &str) -> u16 {
        self.command("manager", command, data).await.0
    }

    async fn writes(&self, id: u64, status: u8) {
        assert_eq!(self.number(UPDATE, &format!(r#"{{"id":{id},"status":{status}}}"#)).await, 200, "{status}");
    }

    async fn open_exists(&self, data: &str) {
        let (number, error) = self.error("manager", DEPOSIT, data).await;
        assert_eq!((number, &*error), OPEN_EXISTS, "{data}");
    }

    /// The manual deposit is named by the review of this order.
    pub(super) async fn names(&self, open: u64, manual: u64) {
        let (status, reason) = self.reason(open).await;
        assert!(status == 9 && reason.contains(&format!("transaction {manual} ")), "{status} {reason}");
    }

    /// An order that is credited and of which everything went back, as a dispute or a refund.
    async fn gone_back(&self, status: ProviderStatus) -> (u64, Reference) {
        let (open, reference) = self.pending("k").await;
        self.confirmed("e1", &reference, "pay_1").await;
        match status {
            ProviderStatus::Refunded => self.receives(refund("e2", &reference, status, AMOUNT)).await,
            _ => self.receives(Update { status, ..stated("e2", &reference, "pay_1", AMOUNT) }).await,
        }
        assert_eq!(self.env.trading.balance(), 0);
        (open, reference)
    }

    async fn comes_back(&self, reference: &Reference, gone: ProviderStatus) {
        match gone {
            ProviderStatus::Refunded => {
                self.receives(refund("e3", reference, ProviderStatus::RefundFailed, AMOUNT)).await;
            }
            _ => {
                let status = ProviderStatus::ChargebackReversed;
                self.receives(Update { status, amount: None, ..stated("e3", reference, "pay_1", AMOUNT) }).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_of_another_amount_is_compared_by_it_whatever_status_a_person_wrote() {
    for status in [0, 3, 5, 6, 7, 8] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.pending("k").await;
        api.receives(stated("e1", &reference, "pay_1", 9_500)).await;
        lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
        assert_eq!(api.number(RESOLVE, &resolution(open, "credit", Some("95.0"))).await, 409);
        assert_eq!(api.reason(open).await.0, 4);
        api.writes(open, status).await;
        if status == 3 {
            // It settles the order, and comes once.
            assert_eq!(api.number(DEPOSIT, LESS).await, 200);
        } else {
            api.open_exists(LESS).await;
        }
        api.writes(open, 2).await;
        assert_eq!(api.number(RETRY, &by_id(open)).await, if status == 3 { 409 } else { 200 });
        assert_eq!(api.env.trading.balance(), 9_500, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_entered_once_a_person_refused_the_order_is_asked_about_by_every_later_review() {
    for more in [r#""process_now":1"#, ""] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.pending("k").await;
        lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
        api.confirmed("e1", &reference, "pay_1").await;
        assert_eq!(api.number(RESOLVE, &resolution(open, "refuse", None)).await, 200);
        let manual = api.entered(DEPOSIT, more).await;
        api.receives(review("e2", &reference)).await;
        api.duplicates(RESOLVE, &resolution(open, "credit", Some("100.0")), manual).await;
        // Ended as it was, the manual deposit is processed.
        assert_eq!(api.number(RESOLVE, &resolution(open, "refuse", None)).await, 200);
        api.number(PROCESS, &by_id(manual)).await;
        assert_eq!((api.posted(open), api.posted(manual)), (0, AMOUNT), "{more}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_credit_that_a_person_took_back_makes_nothing_other_money() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    api.receives(Update { amount: None, ..stated("e1", &reference, "pay_1", AMOUNT) }).await;
    assert_eq!(api.number(RESOLVE, &resolution(open, "credit", Some("100.0"))).await, 200);
    api.receives(review("e2", &reference)).await;
    assert_eq!(api.number(RESOLVE, &resolution(open, "refuse", None)).await, 200);
    assert_eq!(api.env.trading.balance(), 0);
    let manual = api.entered(DEPOSIT, r#""process_now":1"#).await;
    api.confirmed("e3", &reference, "pay_1").await;
    api.names(open, manual).await;
    assert_eq!((api.posted(open), api.env.trading.balance()), (0, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_posting_has_no_answer_is_not_settled_outside() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    lock(&api.env.trading.next_posts).push_back(OnPost::AnswerLost);
    api.confirmed("e1", &reference, "pay_1").await;
    assert_eq!(api.env.unsettled_operations(TransactionId(open)), 1);
    api.writes(open, 3).await;
    api.open_exists(&entry(r#""force":1,"process_now":1"#)).await;
    api.env.run_for(600).await;
    assert_eq!((api.posted(open), api.env.trading.balance()), (AMOUNT, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn money_that_comes_back_to_an_order_waits_where_a_manual_deposit_was_entered_beside_it() {
    for gone in [ProviderStatus::Refunded, ProviderStatus::Chargeback] {
        for (action, amount, balance) in [("credit", Some("100.0"), 2 * AMOUNT), ("refuse", None, AMOUNT)] {
            let api = ManagerApi::open().await;
            let (open, reference) = api.gone_back(gone).await;
            api.open_exists(&entry("")).await;
            let manual = api.entered(DEPOSIT, r#""force":1,"process_now":1"#).await;
            api.comes_back(&reference, gone).await;
            api.env.run_for(600).await;
            api.names(open, manual).await;
            assert_eq!((api.posted(open), api.env.trading.balance()), (0, AMOUNT), "{gone:?}");
            assert_eq!(api.number(RETRY, &by_id(open)).await, 409, "the review is ended first");
            assert_eq!(api.number(RESOLVE, &resolution(open, action, amount)).await, 200);
            api.comes_back(&reference, gone).await;
            assert_eq!(api.env.trading.balance(), balance, "{gone:?} {action}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn money_that_comes_back_to_an_order_is_posted_where_nothing_stands_beside_it() {
    for gone in [ProviderStatus::Refunded, ProviderStatus::Chargeback] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.gone_back(gone).await;
        let rejected = api.entered(DEPOSIT, r#""force":1"#).await;
        assert_eq!(api.number(REJECT, &rejection(rejected)).await, 200);
        api.comes_back(&reference, gone).await;
        assert_eq!((api.posted(open), api.env.trading.balance()), (AMOUNT, AMOUNT), "{gone:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_was_refunded_is_compared_by_its_own_amount() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    api.confirmed("e1", &reference, "pay_1").await;
    api.receives(refund("e2", &reference, ProviderStatus::Refunded, 3_000)).await;
    let part = |more: &str| format!(r#"{{"login":2000009,"amount":30.0,"currency":"USD"{more}}}"#);
    api.open_exists(&part("")).await;
    assert_eq!(api.number(DEPOSIT, &part(r#","force":1,"process_now":1"#)).await, 200);
    api.receives(refund("e3", &reference, ProviderStatus::RefundFailed, 3_000)).await;
    assert_eq!((api.posted(open), api.env.trading.balance()), (AMOUNT - 3_000, AMOUNT));
    // Nothing more is posted by keeping what is: that asks about no other transaction.
    assert_eq!(api.number(RESOLVE, &resolution(open, "credit", Some("70.0"))).await, 200);
    assert_eq!(api.env.trading.balance(), AMOUNT);
}

#[tokio::test(start_paused = true)]
async fn a_manual_deposit_beside_an_order_whose_money_went_back_before_is_processed() {
    for gone in [ProviderStatus::Refunded, ProviderStatus::Chargeback] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.gone_back(gone).await;
        let manual = api.entered(DEPOSIT, r#""force":1"#).await;
        api.comes_back(&reference, gone).await;
        api.duplicates(RESOLVE, &resolution(open, "credit", Some("100.0")), manual).await;
        assert_eq!(api.number(PROCESS, &by_id(manual)).await, 200, "{gone:?}");
        assert_eq!(api.number(RESOLVE, &resolution(open, "refuse", None)).await, 200);
        assert_eq!((api.reason(open).await.0, api.env.trading.balance()), (6, AMOUNT));
    }
}

#[tokio::test(start_paused = true)]
async fn what_settles_an_order_that_is_written_as_settled_outside_may_wait_for_a_second_person() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
    api.confirmed("e1", &reference, "pay_1").await;
    api.writes(open, 3).await;
    let manual = api.entered(DEPOSIT, r#""force":1"#).await;
    lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
    assert_eq!(api.number(PROCESS, &by_id(manual)).await, 409, "the trading server refused it");
    assert_eq!(api.number(RETRY, &by_id(manual)).await, 200);
    assert_eq!((api.posted(open), api.env.trading.balance()), (0, AMOUNT));
    api.writes(open, 1).await;
    api.duplicates(RETRY, &by_id(open), manual).await;
    assert_eq!(api.number(RESOLVE, &resolution(open, "refuse", None)).await, 200, "it is closed");
    assert_eq!(api.env.trading.balance(), AMOUNT);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_was_never_paid_and_is_written_as_settled_outside_remembers_what_settled_it() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    api.receives(stated("e1", &reference, "pay_1", 9_500)).await;
    api.writes(open, 3).await;
    assert_eq!(api.number(DEPOSIT, &LESS.replace(r#","force":1"#, "")).await, 409);
    assert_eq!(api.number(DEPOSIT, LESS).await, 200);
    api.writes(open, 2).await;
    assert_eq!(api.reason(open).await.0, 9);
    assert_eq!(api.number(RESOLVE, &resolution(open, "credit", Some("95.0"))).await, 409);
    assert_eq!(api.env.trading.balance(), 9_500);
}

#[tokio::test(start_paused = true)]
async fn what_a_person_credited_before_its_ids_showed_a_manual_deposit_is_reviewed_when_they_do() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    let by_hand = LESS.replace(r#""force":1"#, r#""provider_payment_id":"ch_1""#);
    let (number, made) = api.command("manager", DEPOSIT, &by_hand).await;
    assert_eq!(number, 200, "{made}");
    let manual = made["transaction"]["id"].as_u64().unwrap();
    api.receives(review("e1", &reference)).await;
    assert_eq!(api.number(RESOLVE, &resolution(open, "credit", Some("50.0"))).await, 200);
    let refs = vec![cashier_core::refs::ProviderRef::new("charge", "ch_1")];
    api.receives(Update { reference: Some(reference), refs, ..update("e2", ProviderStatus::Pending) }).await;
    api.names(open, manual).await;
    assert_eq!((api.posted(open), api.posted(manual)), (5_000, 9_500), "what is posted stays until a person decides");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_entered_beside_a_credit_that_is_under_way_and_not_owed_any_more() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    // A trading server that can neither find a posting nor say that it was never made.
    api.env.trading.unkeyed.store(true, Ordering::SeqCst);
    lock(&api.env.trading.next_posts).push_back(OnPost::NeverArrives);
    api.confirmed("e1", &reference, "pay_1").await;
    api.receives(Update { status: ProviderStatus::Chargeback, ..stated("e2", &reference, "pay_1", AMOUNT) }).await;
    assert_eq!(api.env.unsettled_operations(TransactionId(open)), 1);
    api.open_exists(&entry(r#""force":1,"process_now":1"#)).await;
    *lock(&api.env.trading.closed_for) = Some(std::time::Duration::from_secs(60));
    assert_eq!(api.number(RETRY, &format!(r#"{{"id":{open},"confirmed_absent":1}}"#)).await, 200);
    api.entered(DEPOSIT, r#""force":1,"process_now":1"#).await;
    assert_eq!((api.posted(open), api.env.trading.balance()), (0, AMOUNT));
}
