//! Orders that their module refuses before they exist, and answers that state the transaction as it is.

use cashier_core::deposit::DepositRequest;
use cashier_core::ids::{Login, TransactionId};
use cashier_core::notice::{DisputeStatement, Reach, RefundStatement, StatedAmount, Update};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::CustomerSession;
use cashier_core::status::ProviderStatus;
use cashier_core::transaction::NextAction;
use cashier_core::withdrawal::WithdrawalRequest;

use crate::flows::{methods, withdrawal};
use crate::ports::{Order, OrderCheck};
use crate::test_cashier::{
    AMOUNT, CUSTOMER, LOGIN, OnCreate, TestCashier, context, deposit_request, lock, paid, update, usd,
};

fn refused(field: &str, message: &str) -> OrderCheck {
    OrderCheck::Refused { field: field.into(), code: "amount_not_representable".into(), message: message.into() }
}

fn transactions(env: &TestCashier) -> u64 {
    env.cashier.ledger.peek(|books| books.counters().transaction).unwrap()
}

#[tokio::test(start_paused = true)]
async fn m7_a_refused_order_names_field_and_limit_and_leaves_no_row_and_no_key() {
    let env = TestCashier::new().await;
    let table = [
        (refused("amount", "must be a multiple of 0.010 KWD"), "amount: must be a multiple of 0.010 KWD"),
        (refused("success_url", "is required"), "success_url: is required"),
        (refused("", "this order cannot be paid"), "this order cannot be paid"),
    ];
    for (answer, message) in table {
        *lock(&env.provider.check_answer) = Some(answer);
        let refusal = env.deposit("k").await.unwrap_err();
        assert_eq!((refusal.code, &*refusal.message), (RefusalCode::InvalidData, message));
    }
    assert_eq!((transactions(&env), env.provider.references().len()), (0, 0));
    *lock(&env.provider.check_answer) = None;
    let made = env.deposit("k").await.unwrap();
    assert_eq!((made.transaction.id, made.next_action()), (TransactionId(1), Ok(NextAction::Redirect)));
}

#[tokio::test(start_paused = true)]
async fn m7_an_order_that_could_not_be_checked_is_never_sent() {
    let env = TestCashier::new().await;
    *lock(&env.provider.check_answer) = Some(OrderCheck::NoAnswer("the module panicked".into()));
    let refusal = env.deposit("k").await.unwrap_err();
    assert_eq!(
        (refusal.code, &*refusal.message),
        (RefusalCode::ProviderUnavailable, "the payment provider is unavailable")
    );
    assert_eq!((transactions(&env), env.provider.references().len()), (0, 0));
    *lock(&env.provider.check_answer) = None;
    assert_eq!(env.deposit("k").await.unwrap().transaction.id, TransactionId(1), "the key was not bound");
}

#[tokio::test(start_paused = true)]
async fn m7_the_order_that_was_checked_is_the_one_that_is_stored_and_sent_and_sent_again() {
    let mut env = TestCashier::new().await;
    lock(&env.provider.next_creates).push_back(OnCreate::AnswerLost);
    let made = env.deposit("k").await.unwrap().transaction;
    env.crash().await;
    env.run_for(60).await;
    let checked = Order { transaction_id: made.id, ..lock(&env.provider.checked)[0].clone() };
    let sent = lock(&env.provider.orders).clone();
    assert!(sent.len() > 1, "the create call was repeated");
    for order in sent {
        assert_eq!(*order, checked);
    }
    assert_eq!((&made.reference, made.created_time), (&checked.reference, checked.created_time));
    assert_eq!(lock(&env.provider.checked).len(), 1, "a repeat is not checked: it exists");
    env.deposit("k").await.unwrap();
    assert_eq!(lock(&env.provider.checked).len(), 1, "nor is a repeated request");
}

#[tokio::test(start_paused = true)]
async fn m7_a_module_that_cannot_be_paid_in_the_currency_is_neither_offered_nor_used() {
    let mut env = TestCashier::new().await;
    let session = CustomerSession::assertion(CUSTOMER, None);
    let offered =
        async |env: &TestCashier, login: Login| methods::list(&env.cashier, &session, login).await.unwrap().len();
    assert_eq!(offered(&env, LOGIN).await, 1, "a module without a list takes every currency");
    for (currencies, shown) in [(vec!["EUR".into(), "BTC".into()], 0), (vec!["USD".into()], 1)] {
        *lock(&env.provider.currencies) = currencies;
        env.crash().await;
        assert_eq!(offered(&env, LOGIN).await, shown);
        let made = env.deposit("k").await.map(|made| made.transaction.id).map_err(|refusal| refusal.code);
        assert_eq!(made, if shown == 1 { Ok(TransactionId(1)) } else { Err(RefusalCode::MethodNotAvailable) });
    }
}

/// What the provider reports while the create call is under way, and the status it leads to.
fn meanwhile(reference: &cashier_core::ids::Reference) -> Vec<(u8, Vec<Update>)> {
    let about = |status| Update { reference: Some(reference.clone()), ..update("e2", status) };
    let whole = || StatedAmount::Exact(usd(AMOUNT));
    let refund = RefundStatement { id: "re_1".into(), amount: whole(), reach: Reach::Delta, requested: Box::default() };
    let dispute = DisputeStatement { id: "dp_1".into(), amount: Some(whole()) };
    vec![
        (3, vec![paid("e1", reference)]),
        (7, vec![paid("e1", reference), Update { refund: Some(refund), ..about(ProviderStatus::Refunded) }]),
        (8, vec![paid("e1", reference), Update { dispute: Some(dispute), ..about(ProviderStatus::Chargeback) }]),
        (6, vec![about(ProviderStatus::Cancelled)]),
        (9, vec![about(ProviderStatus::ManualReview)]),
    ]
}

/// One deposit whose create call ends so after these updates; the answer, and the answers to the repeated request.
async fn answered(ending: OnCreate, which: usize) -> (u8, Vec<Result<NextAction, RefusalCode>>) {
    let mut env = TestCashier::new().await;
    lock(&env.provider.next_creates).push_back(OnCreate::Late(Box::new(ending)));
    let request = tokio::spawn(env.deposit("k"));
    env.run_for(1).await;
    let reference = env.aggregate(TransactionId(1)).transaction.reference;
    let (status, updates) = meanwhile(&reference).swap_remove(which);
    env.notice(Some(1), updates).await.unwrap();
    let mut outcomes = vec![request.await.unwrap().unwrap()];
    assert_eq!(env.status(TransactionId(1)), status);
    outcomes.push(env.deposit("k").await.unwrap());
    env.crash().await;
    outcomes.push(env.deposit("k").await.unwrap());
    let answers = outcomes.into_iter().map(|outcome| {
        assert_eq!((&*outcome.answer.redirect_url, &*outcome.answer.instructions_json), ("", ""));
        assert_eq!(outcome.transaction.id, TransactionId(1), "no second order under the key");
        outcome.next_action().map_err(|refusal| refusal.code)
    });
    (status, answers.collect())
}

#[tokio::test(start_paused = true)]
async fn m27_m34_the_answer_follows_what_was_reported_before_the_create_call_ended() {
    for ending in [OnCreate::Decline, OnCreate::NeverSent, OnCreate::AnswerLost, OnCreate::Redirect] {
        for which in 0..5 {
            if ending == OnCreate::NeverSent && which == 3 {
                continue; // It ended unpaid: its key is released, see below.
            }
            let (status, answers) = answered(ending.clone(), which).await;
            let expected = match (status, &ending) {
                (6, OnCreate::Decline) => Err(RefusalCode::ProviderDeclined),
                (9, _) => Ok(NextAction::Wait),
                (_, _) => Ok(NextAction::None),
            };
            assert_eq!(answers, [expected; 3], "{ending:?}, status {status}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn m27_a_key_released_by_a_never_sent_order_is_bound_again_when_its_payment_is_reported() {
    let env = TestCashier::new().await;
    lock(&env.provider.next_creates).push_back(OnCreate::NeverSent);
    let outcome = env.deposit("k").await.unwrap();
    assert_eq!(outcome.next_action().unwrap_err().code, RefusalCode::ProviderUnavailable);
    env.notice(Some(1), vec![paid("e1", &outcome.transaction.reference)]).await.unwrap();
    let again = env.deposit("k").await.unwrap();
    assert_eq!((again.transaction.id, again.next_action()), (outcome.transaction.id, Ok(NextAction::None)));
    assert_eq!((env.provider.references().len(), env.trading.balance()), (0, AMOUNT), "no second payment was ordered");
}

#[tokio::test(start_paused = true)]
async fn m34_a_page_is_shown_only_while_the_payment_is_open() {
    let mut env = TestCashier::new().await;
    let made = env.deposit("k").await.unwrap();
    let shown = |outcome: &crate::flows::deposit::DepositOutcome| {
        (outcome.next_action().unwrap(), outcome.answer.redirect_url.to_string())
    };
    let page = (NextAction::Redirect, "https://pay.example/c/1".to_owned());
    assert_eq!((shown(&made), shown(&env.deposit("k").await.unwrap())), (page.clone(), page));
    env.notice(Some(1), vec![paid("e1", &made.transaction.reference)]).await.unwrap();
    let closed = (NextAction::None, String::new());
    assert_eq!(shown(&env.deposit("k").await.unwrap()), closed);
    env.crash().await;
    assert_eq!(shown(&env.deposit("k").await.unwrap()), closed);
}

#[tokio::test(start_paused = true)]
async fn a_return_url_leads_to_a_host_of_the_accounts_brand_or_the_order_is_refused_without_a_row() {
    let mut env = TestCashier::new().await;
    lock(&env.trading.return_hosts).insert("ion4".into(), vec!["shop.example".into(), "*.shop.example".into()]);
    lock(&env.trading.return_hosts).insert("other".into(), vec!["evil.example".into()]);
    env.crash().await;
    let ordered = |key: &str, success: &str, failure: &str| {
        let (success_url, failure_url) = (success.into(), failure.into());
        env.deposit_as(DepositRequest { success_url, failure_url, ..deposit_request(key) })
    };
    let table = [
        ("https://evil.example/ok", "https://shop.example/no", "success_url leads to \"evil.example\""),
        (
            "https://shop.example/ok",
            "https://shop.example.evil.example/",
            "failure_url leads to \"shop.example.evil.example\"",
        ),
        ("", "https://evil.example/?shop.example", "failure_url leads to \"evil.example\""),
    ];
    for (success, failure, message) in table {
        let refusal = ordered("k", success, failure).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::InvalidData);
        assert!(refusal.message.starts_with(message), "{}", refusal.message);
    }
    assert_eq!((transactions(&env), env.provider.references().len()), (0, 0));
    ordered("k", "https://shop.example/ok", "https://eu.shop.example:8443/no").await.unwrap();
    ordered("l", "", "").await.unwrap();
    lock(&env.trading.return_hosts).clear();
    env.crash().await;
    let (success_url, failure_url) = ("https://evil.example/ok".into(), Box::default());
    env.deposit_as(DepositRequest { success_url, failure_url, ..deposit_request("m") }).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn k8_a_repeat_under_a_stored_key_is_answered_as_before_whatever_its_texts_hold() {
    let env = TestCashier::new().await;
    let held = Refusal::invalid("comment holds a number written like a payment card's");
    let with_card = |key: &str| DepositRequest { refused_if_new: Some(held.clone()), ..deposit_request(key) };
    assert_eq!(env.deposit_as(with_card("k")).await.unwrap_err(), held);
    assert_eq!(env.deposit_as(with_card("")).await.unwrap_err(), held);
    assert_eq!(transactions(&env), 0);
    let first = env.deposit("k").await.unwrap();
    let again = env.deposit_as(with_card("k")).await.unwrap();
    assert_eq!((again.transaction.id, again.next_action()), (first.transaction.id, first.next_action()));
    let other = env.deposit_as(DepositRequest { amount: usd(1), ..with_card("k") }).await.unwrap_err();
    assert_eq!(other.code, RefusalCode::IdempotencyConflict);

    let of = |key: &str, refused_if_new: Option<Refusal>| WithdrawalRequest {
        customer_id: CUSTOMER,
        login: LOGIN,
        method: "bank".into(),
        amount: usd(100),
        idempotency_key: key.into(),
        comment: "".into(),
        metadata_json: "{}".into(),
        refused_if_new,
    };
    let session = CustomerSession::assertion(CUSTOMER, None);
    let withdraw =
        async |request| withdrawal::withdraw(&env.cashier, &session, request, context()).await.map(|(row, _)| row.id);
    assert_eq!(withdraw(of("w", Some(held.clone()))).await, Err(held.clone()));
    let first = withdraw(of("w", None)).await.unwrap();
    assert_eq!(withdraw(of("w", Some(held.clone()))).await, Ok(first));
    assert_eq!(withdraw(of("", Some(held.clone()))).await, Err(held));
}
