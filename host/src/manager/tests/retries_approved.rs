//! Retries that end what is unclear wait for a second person where the settings ask for one: a review, and the word that a posting without
//! an answer was never made.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cashier_core::decisions;
use cashier_core::facts::PersonFact;
use cashier_core::ids::TransactionId;
use cashier_core::reason::ReasonCode;

use super::gone_back::refund;
use super::manual::{PROCESS, WITHDRAWAL, by_id};
use super::next_commands::lost;
use super::review::RETRY;
use super::*;
use crate::test_cashier::{AMOUNT, OnPost, lock, paid};

const APPROVE: &str = "MngApproveCashierChange";
const REJECT: &str = "MngRejectCashierChange";
const ABSENT: &str = r#"{"id":1,"confirmed_absent":1}"#;

fn approval(answer: &Value) -> String {
    format!(r#"{{"id":{}}}"#, answer["approval"]["id"])
}

/// A paid deposit whose posting is another's by its key, or is gone from the trading server.
async fn under_review(code: ReasonCode) -> ManagerApi {
    let mut api = ManagerApi::where_two_end_reviews().await;
    if code == ReasonCode::OperationKeyConflict {
        lock(&api.env.trading.next_posts).push_back(OnPost::RefuseFor(ReasonCode::OperationKeyReused));
    }
    api.with_statements(|own| vec![paid("e", own)]).await;
    if code == ReasonCode::PostingLost {
        lost(&mut api, 1).await;
    }
    let row = api.env.aggregate(TransactionId(1)).transaction;
    assert_eq!((row.status.number(), row.reason.code), (9, code));
    api
}

impl ManagerApi {
    /// The end of a review, or of a missing answer, needs two persons, and the clock runs.
    async fn where_two_end_reviews() -> Self {
        let mut env = TestCashier::new().await;
        env.ask_for_second_person(SecondPerson::from_names(["resolving"]).unwrap()).await;
        Self::over(env).await
    }

    async fn restarted(&mut self) {
        self.env.crash().await;
        self.context.cashier = Arc::clone(&self.env.cashier);
    }

    /// A posting that the trading server neither answers nor can void, while its connection has been closed for so long.
    async fn without_an_answer(closed: Option<u64>) -> Self {
        let api = Self::where_two_end_reviews().await;
        api.env.trading.unkeyed.store(true, Ordering::SeqCst);
        *lock(&api.env.trading.closed_for) = closed.map(Duration::from_secs);
        lock(&api.env.trading.next_posts).push_back(OnPost::NeverArrives);
        api.with_statements(|own| vec![paid("e", own)]).await;
        api
    }

    fn outcomes(&self) -> Vec<(u64, String)> {
        self.records().into_iter().map(|record| (record.manager_id.0, record.outcome.into_owned())).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_review_that_a_retry_ends_waits_for_a_second_person_and_is_posted_once() {
    for code in [ReasonCode::OperationKeyConflict, ReasonCode::PostingLost] {
        let mut api = under_review(code).await;
        let before = (api.env.aggregate(TransactionId(1)), api.posted(1));
        let (number, asked) = api.command("dealer#7", RETRY, &by_id(1)).await;
        let shown = json!(["command", "amount", "fields", "state"].map(|name| &asked["approval"][name]));
        assert_eq!((number, shown), (202, json!([RETRY, 100.0, ["retry"], "open"])), "{code}");
        assert_eq!(api.command("dealer#7", RETRY, &by_id(1)).await, (202, asked.clone()), "{code}: asked again");
        api.env.run_for(600).await;
        assert_eq!((api.env.aggregate(TransactionId(1)), api.posted(1)), before, "{code}: nothing changed");
        api.restarted().await;
        assert_eq!(api.command("dealer#7", RETRY, &by_id(1)).await, (202, asked.clone()), "{code}: after a crash");
        let wanted = approval(&asked);
        assert_eq!(api.error("dealer#7", APPROVE, &wanted).await, (403, "PERMISSION_DENIED".into()), "{code}");
        assert_eq!(api.error("dealer#8@other", APPROVE, &wanted).await.0, 404, "{code}");
        let (number, approved) = api.command("dealer#8", APPROVE, &wanted).await;
        assert_eq!((number, &approved["approval"]["state"]), (200, &json!("approved")), "{code}: {approved}");
        assert_eq!((api.env.status(TransactionId(1)), api.posted(1)), (3, AMOUNT), "{code}");
        assert_eq!(api.error("dealer#9", APPROVE, &wanted).await, (409, "RET_ERR_DUPLICATE".into()), "{code}");
        assert_eq!(api.error("dealer#7", RETRY, &by_id(1)).await, (409, "RET_ERR_DUPLICATE".into()), "{code}");
        assert_eq!(api.posted(1), AMOUNT, "{code}");
        assert_eq!(api.outcomes(), [(7, "approval asked".into()), (8, "done".into())], "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_person_decides_in_between_makes_it_stale_and_rejected_it_changes_nothing() {
    let api = under_review(ReasonCode::OperationKeyConflict).await;
    let (_, asked) = api.command("dealer#7", RETRY, &by_id(1)).await;
    api.env.decide(TransactionId(1), PersonFact::Explained { words: "the bank was asked".into() }).await;
    assert_eq!(api.error("dealer#8", APPROVE, &approval(&asked)).await, (409, "APPROVAL_STALE".into()));
    let on_ground = format!(r#"{{"id":1,"ground":"{}"}}"#, api.ground(1).await);
    let (number, again) = api.command("dealer#7", RETRY, &on_ground).await;
    assert_eq!((number, approval(&again) == approval(&asked)), (202, false), "on another ground it is another");
    api.env.decide(TransactionId(1), PersonFact::Explained { words: "and again".into() }).await;
    let stale = api.error("dealer#8", APPROVE, &approval(&again)).await;
    assert_eq!(stale, (409, "APPROVAL_STALE".into()), "also where the request names the ground that was shown");
    let (_, last) = api.command("dealer#7", RETRY, &by_id(1)).await;
    assert_eq!(api.command("dealer#8", REJECT, &approval(&last)).await.1["approval"]["state"], "rejected");
    api.env.run_for(600).await;
    assert_eq!((api.env.status(TransactionId(1)), api.posted(1)), (9, 0));
}

#[tokio::test(start_paused = true)]
async fn that_a_posting_was_never_made_takes_the_word_of_two_persons() {
    let mut api = ManagerApi::without_an_answer(Some(59)).await;
    // Who only asks has nothing voided: the trading server is not called.
    api.env.trading.voids_fail.store(true, Ordering::SeqCst);
    let (number, asked) = api.command("dealer#7", RETRY, ABSENT).await;
    let shown = json!(["amount", "fields"].map(|name| &asked["approval"][name]));
    assert_eq!((number, shown), (202, json!([100.0, ["confirmed_absent"]])), "{asked}");
    assert_eq!(api.command("dealer#7", RETRY, ABSENT).await, (202, asked.clone()));
    api.env.trading.voids_fail.store(false, Ordering::SeqCst);
    api.env.run_for(600).await;
    assert_eq!(api.posted(1), 0);
    api.restarted().await;
    // Judged when it is made: the connection that carried it is not closed for long enough, and it waits on.
    let wanted = approval(&asked);
    assert_eq!(api.error("dealer#8", APPROVE, &wanted).await, (409, "RET_ERR_DUPLICATE".into()));
    *lock(&api.env.trading.closed_for) = Some(Duration::from_secs(60));
    assert_eq!(api.error("dealer#7", APPROVE, &wanted).await.0, 403);
    assert_eq!(api.command("dealer#8", APPROVE, &wanted).await.1["approval"]["state"], "approved");
    api.env.run_for(60).await;
    assert_eq!((api.env.status(TransactionId(1)), api.posted(1)), (3, AMOUNT));
    assert_eq!(api.error("dealer#9", APPROVE, &wanted).await, (409, "RET_ERR_DUPLICATE".into()));
    assert_eq!(api.env.trading.postings().len(), 1, "once");
}

#[tokio::test(start_paused = true)]
async fn a_stale_word_voids_no_key() {
    let api = ManagerApi::where_two_end_reviews().await;
    lock(&api.env.trading.next_posts).extend([OnPost::NeverArrives, OnPost::NeverArrives, OnPost::NeverArrives]);
    api.with_statements(|own| vec![paid("e", own)]).await;
    api.env.run_for(2).await;
    let (number, asked) = api.command("dealer#7", RETRY, ABSENT).await;
    assert_eq!(number, 202, "{asked}");
    api.env.decide(TransactionId(1), PersonFact::Explained { words: "it may arrive yet".into() }).await;
    api.env.trading.voids_fail.store(true, Ordering::SeqCst);
    assert_eq!(api.error("dealer#8", APPROVE, &approval(&asked)).await, (409, "APPROVAL_STALE".into()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_came_meanwhile_counts_and_is_not_posted_twice() {
    let api = ManagerApi::where_two_end_reviews().await;
    lock(&api.env.trading.next_posts).extend([OnPost::NeverArrives, OnPost::NeverArrives]);
    api.with_statements(|own| vec![paid("e", own)]).await;
    let (number, asked) = api.command("dealer#7", RETRY, ABSENT).await;
    assert_eq!(number, 202, "{asked}");
    api.env.run_for(600).await;
    assert_eq!((api.env.status(TransactionId(1)), api.posted(1)), (3, AMOUNT));
    assert_eq!(api.error("dealer#8", APPROVE, &approval(&asked)).await, (409, "APPROVAL_STALE".into()));
    assert_eq!(api.posted(1), AMOUNT);
}

/// The command that the work list names for an approval.
async fn next_of(api: &ManagerApi, asked: &Value) -> Value {
    let (number, listed) = api.command("dealer#8", "MngGetCashierDutiesByFilter", "{}").await;
    assert_eq!(number, 200, "{listed}");
    let mut items = listed["rows"].as_array().unwrap().iter();
    items.find(|item| item["approval_id"] == asked["approval"]["id"]).unwrap()["command"].clone()
}

#[tokio::test(start_paused = true)]
async fn that_a_posting_was_never_made_is_not_approved_once_it_was_refused() {
    let api = ManagerApi::where_two_end_reviews().await;
    lock(&api.env.trading.next_posts).extend([OnPost::NeverArrives, OnPost::Refuse]);
    api.with_statements(|own| vec![paid("e", own)]).await;
    let shown = format!(r#"{{"id":1,"confirmed_absent":1,"ground":"{}"}}"#, api.ground(1).await);
    let (number, asked) = api.command("dealer#7", RETRY, &shown).await;
    assert_eq!((number, next_of(&api, &asked).await), (202, json!(APPROVE)), "{asked}");
    api.env.run_for(600).await;
    assert_eq!(api.env.status(TransactionId(1)), 4);
    assert_eq!(next_of(&api, &asked).await, REJECT);
    assert_eq!(api.error("dealer#8", APPROVE, &approval(&asked)).await, (409, "APPROVAL_STALE".into()));
    // So is the word of one who was shown the posting without its answer, also where one person is enough.
    assert_eq!(api.error("glass#9", RETRY, &shown).await, (409, "TRANSACTION_CHANGED".into()));
    assert_eq!(api.env.aggregate(TransactionId(1)).operations.len(), 1, "nothing is posted again");
    assert_eq!(api.command("dealer#7", RETRY, &by_id(1)).await.0, 200, "what was refused is retried by one person");
    assert_eq!((api.posted(1), api.env.trading.postings().len()), (AMOUNT, 1));
}

/// What went back was stated with the wrong order: its posting is withheld, and planned again once it is moved. Payments, reversals
/// and decisions are the same as before.
#[tokio::test(start_paused = true)]
async fn that_a_posting_was_never_made_is_not_approved_about_the_next_posting() {
    let api = ManagerApi::where_two_end_reviews().await;
    lock(&api.env.trading.next_posts).extend([OnPost::NeverArrives; 64]);
    let (id, of_order) = api.pending("k1").await;
    let (other, of_other) = api.pending("k2").await;
    api.confirmed("e1", &of_order, "pay_1").await;
    let (number, asked) = api.command("dealer#7", RETRY, ABSENT).await;
    assert_eq!((number, &asked["approval"]["amount"]), (202, &json!(100.0)), "{asked}");
    api.received(refund(&of_order, "pay_2", AMOUNT)).await;
    api.env.run_for(600).await;
    let known = api.env.aggregate(TransactionId(id));
    assert!(known.operations.len() == 1 && known.operations[0].is_withheld(), "{:?}", known.operations);
    api.confirmed("e2", &of_other, "pay_2").await;
    api.env.run_for(600).await;
    assert_eq!((api.reason(other).await.0, api.posted(other)), (7, 0), "it went back with what was stated before");
    let known = api.env.aggregate(TransactionId(id));
    let unanswered = decisions::unanswered(&known).unwrap();
    assert_eq!((known.operations.len(), unanswered), (2, Some(known.operations[1].id)), "{:?}", known.operations);
    assert_eq!(api.error("dealer#8", APPROVE, &approval(&asked)).await, (409, "APPROVAL_STALE".into()));
    assert_eq!(api.env.aggregate(TransactionId(id)), known, "no key is voided");
    let (number, again) = api.command("dealer#7", RETRY, ABSENT).await;
    assert_eq!((number, approval(&again) == approval(&asked)), (202, false), "about this posting it is another");
    lock(&api.env.trading.next_posts).clear();
    assert_eq!(api.command("dealer#8", APPROVE, &approval(&again)).await.0, 200);
    assert_eq!((api.posted(id), api.env.trading.postings().len()), (AMOUNT, 1));
}

#[tokio::test(start_paused = true)]
async fn a_withdrawal_without_an_answer_waits_too_and_a_refused_posting_is_retried_by_one_person() {
    let api = ManagerApi::where_two_end_reviews().await;
    api.env.trading.unkeyed.store(true, Ordering::SeqCst);
    *lock(&api.env.trading.closed_for) = Some(Duration::from_secs(60));
    let id = api.entered(WITHDRAWAL, "").await;
    lock(&api.env.trading.next_posts).push_back(OnPost::NeverArrives);
    assert_eq!(api.command("dealer#7", PROCESS, &by_id(id)).await.0, 200);
    api.env.run_for(60).await;
    let (number, asked) = api.command("dealer#7", RETRY, ABSENT).await;
    assert_eq!((number, &asked["approval"]["amount"], api.posted(id)), (202, &json!(-100.0), 0), "{asked}");
    assert_eq!(api.command("dealer#8", APPROVE, &approval(&asked)).await.0, 200);
    api.env.run_for(60).await;
    assert_eq!(api.posted(id), -AMOUNT);

    let api = ManagerApi::where_two_end_reviews().await;
    lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
    api.with_statements(|own| vec![paid("e", own)]).await;
    assert_eq!(api.env.status(TransactionId(1)), 4, "it is clear: nothing was posted");
    assert_eq!(api.command("dealer#7", RETRY, ABSENT).await.0, 200);
    assert_eq!(api.posted(1), AMOUNT);
    assert_eq!(api.error("dealer#7", RETRY, &by_id(1)).await, (409, "RET_ERR_DUPLICATE".into()), "judged when asked");
}
