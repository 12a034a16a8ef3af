//! Comment and metadata are read from the disk where they are shown, and a customer's open deposits and stored bytes have
//! limits that hold across restarts, refused commits and reloads.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cashier_core::books::{STORED_PERIOD_DAYS, Scope, StoredBy};
use cashier_core::deposit::DepositRequest;
use cashier_core::filter::FilterBuilder;
use cashier_core::ids::CustomerId;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::CustomerSession;
use cashier_core::texts::Texts;
use cashier_core::withdrawal::WithdrawalRequest;

use crate::flows::{CustomerLimits, ListReader, transactions, withdrawal};
use crate::ports::Clock;
use crate::test_cashier::{CUSTOMER, LOGIN, OnCreate, TestCashier, context, deposit_request, lock, paid, usd};

fn long() -> Box<str> {
    format!(r#"{{"note":"{}"}}"#, "x".repeat(16 * 1024 - 11)).into()
}

fn with_metadata(key: &str, metadata_json: &str) -> DepositRequest {
    DepositRequest { comment: "rent".into(), metadata_json: metadata_json.into(), ..deposit_request(key) }
}

async fn listed(env: &TestCashier) -> Vec<Texts> {
    let scope = Scope { customer: Some(CUSTOMER), brand: None };
    let mut filter = FilterBuilder::new();
    filter.limit("1000").unwrap();
    let reader = ListReader::Customer(CUSTOMER);
    let mut page = transactions::list(&env.cashier, reader, &scope, filter.build()).await.unwrap();
    let mut listed = Vec::new();
    while !page.is_finished() {
        let rows = page.next_rows().await.unwrap();
        listed.extend(page.texts_of(&rows).await.unwrap().iter().map(|texts| (**texts).clone()));
    }
    listed
}

/// Open deposits, and what deposits and withdrawals stored.
fn used(env: &TestCashier) -> (u32, [u64; 2]) {
    let (taken, now) = (env.cashier.ledger.peek(|books| books.customer_use(CUSTOMER)).unwrap(), env.clock.now());
    let stored = [StoredBy::Deposits, StoredBy::Withdrawals].map(|by| taken.stored(by, now).sum());
    (taken.open_deposits, stored)
}

fn named(refused: Result<impl Sized, Refusal>) -> Option<(RefusalCode, String)> {
    let refusal = refused.err()?;
    Some((refusal.code, refusal.message.split(':').next()?.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn b1_texts_are_answered_repeated_listed_and_sent_as_they_were_written() {
    let mut env = TestCashier::new().await;
    let expected = Texts { comment: "rent".into(), metadata_json: long() };
    lock(&env.provider.next_creates).push_back(OnCreate::AnswerLost);
    let made = env.deposit_as(with_metadata("k", &long())).await.unwrap();
    assert_eq!(*made.texts, expected);
    env.crash().await;
    env.run_for(60).await;
    let orders = lock(&env.provider.orders).clone();
    assert!(orders.len() > 1, "the create call was repeated");
    for order in orders {
        assert_eq!((&order.comment, &order.metadata_json), (&expected.comment, &expected.metadata_json));
    }
    // The texts of a repeat take no part in what is the same order.
    let repeated = env.deposit_as(with_metadata("k", "{}")).await.unwrap();
    assert_eq!((repeated.transaction.id, &*repeated.texts), (made.transaction.id, &expected));
    assert_eq!(listed(&env).await, [expected]);
}

#[tokio::test(start_paused = true)]
async fn b1_a_page_reads_its_texts_in_pieces_and_rows_without_texts_read_nothing() {
    let env = TestCashier::new().await;
    for number in 0..40 {
        env.deposit(&format!("plain-{number}")).await.unwrap();
    }
    assert_eq!(listed(&env).await, vec![Texts::default(); 40]);
    assert_eq!(env.disk.text_reads.load(Ordering::SeqCst), 0);
    for number in 0..130 {
        env.deposit_as(with_metadata(&format!("k-{number}"), &format!(r#"{{"n":{number}}}"#))).await.unwrap();
    }
    env.disk.text_reads.store(0, Ordering::SeqCst);
    let texts = listed(&env).await;
    assert_eq!(env.disk.text_reads.load(Ordering::SeqCst), 9, "sixteen rows at once");
    let metadata: Vec<&str> = texts.iter().map(|texts| &*texts.metadata_json).collect();
    let newest_first: Vec<String> = (0..130).rev().map(|number| format!(r#"{{"n":{number}}}"#)).collect();
    assert_eq!(metadata, [newest_first, vec!["{}".into(); 40]].concat());
}

#[tokio::test(start_paused = true)]
async fn b1_a_row_that_is_not_written_yet_is_shown_with_its_texts_once_it_is() {
    let env = TestCashier::new().await;
    env.disk.held.store(true, Ordering::SeqCst);
    let made = tokio::spawn(env.deposit_as(with_metadata("k", &long())));
    env.run_for(1).await;
    assert!(!env.aggregates().is_empty() && env.disk.commits() == 0, "decided, and not on the disk");
    let (shown, ()) = tokio::join!(listed(&env), async {
        env.run_for(5).await;
        env.disk.held.store(false, Ordering::SeqCst);
    });
    assert_eq!(shown, [Texts { comment: "rent".into(), metadata_json: long() }]);
    assert_eq!(*made.await.unwrap().unwrap().texts, shown[0]);
}

#[tokio::test(start_paused = true)]
async fn b1_a_customer_has_so_many_open_deposits_and_a_payment_or_an_end_makes_place() {
    let mut env = TestCashier::new().await;
    env.customer_limits = CustomerLimits { open_deposits: 3, stored_bytes: 0 };
    env.crash().await;
    let mut made = Vec::new();
    for key in ["a", "b", "c"] {
        made.push(env.deposit(key).await.unwrap().transaction);
    }
    let beyond = Some((RefusalCode::Frequent, "open_deposits_max".to_owned()));
    let checked = lock(&env.provider.checked).len();
    assert_eq!(named(env.deposit("d").await), beyond);
    assert_eq!(lock(&env.provider.checked).len(), checked, "the module is not asked");
    assert_eq!(env.deposit("a").await.unwrap().transaction.id, made[0].id, "a repeat is answered as before");
    env.crash().await;
    assert_eq!(named(env.deposit("d").await), beyond, "also right after a start");
    env.notice(Some(1), vec![paid("pi_1", &made[0].reference)]).await.unwrap();
    env.deposit("d").await.unwrap();
    assert_eq!(named(env.deposit("e").await), beyond);
    let other = DepositRequest { customer_id: CustomerId(6), ..deposit_request("d") };
    assert_ne!(named(env.deposit_as(other).await), beyond, "another customer's place is another's");
    // A declined one is not open.
    env.notice(Some(1), vec![paid("pi_2", &made[1].reference)]).await.unwrap();
    lock(&env.provider.next_creates).push_back(OnCreate::Decline);
    env.deposit("e").await.unwrap();
    env.deposit("f").await.unwrap();
    assert_eq!(named(env.deposit("g").await), beyond);
}

#[tokio::test(start_paused = true)]
async fn b1_concurrent_deposits_do_not_pass_the_limit_together() {
    let mut env = TestCashier::new().await;
    env.customer_limits = CustomerLimits { open_deposits: 5, stored_bytes: 0 };
    env.crash().await;
    let all: Vec<_> = (0..40).map(|number| tokio::spawn(env.deposit(&number.to_string()))).collect();
    let mut taken = 0;
    for one in all {
        taken += u32::from(one.await.unwrap().is_ok());
    }
    assert_eq!((taken, used(&env).0), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn b1_a_customer_stores_so_many_bytes_in_all() {
    let mut env = TestCashier::new().await;
    let each = u64::from(with_metadata("k", &long()).stored_bytes());
    env.customer_limits = CustomerLimits { open_deposits: 0, stored_bytes: 2 * each + 10 };
    env.crash().await;
    for key in ["a", "b"] {
        env.deposit_as(with_metadata(key, &long())).await.unwrap();
    }
    assert_eq!(used(&env), (2, [2 * each, 0]));
    let beyond = Some((RefusalCode::Frequent, "stored_bytes_per_customer_max".to_owned()));
    let refused = env.deposit_as(with_metadata("c", &long())).await;
    let seconds = refused.as_ref().err().unwrap().retry_after_seconds;
    assert_eq!(named(refused), beyond);
    env.deposit_as(with_metadata("d", "{}")).await.unwrap();

    let withdrawal = |metadata_json: &str| WithdrawalRequest {
        customer_id: CUSTOMER,
        login: LOGIN,
        method: "bank".into(),
        amount: usd(100),
        idempotency_key: "".into(),
        comment: "".into(),
        metadata_json: metadata_json.into(),
        refused_if_new: None,
    };
    let session = CustomerSession::assertion(CUSTOMER, None);
    let withdraw = async |env: &TestCashier, metadata: &str| {
        withdrawal::withdraw(&env.cashier, &session, withdrawal(metadata), context()).await
    };
    let (_, texts) = withdraw(&env, &long()).await.expect("what deposits stored takes no place of a withdrawal");
    assert_eq!(&*texts.metadata_json, &*long());
    withdraw(&env, &long()).await.unwrap();
    assert_eq!(named(withdraw(&env, &long()).await), beyond, "its own sum has the same limit");
    env.crash().await;
    assert_eq!(named(env.deposit_as(with_metadata("e", &long())).await), beyond);

    // What was stored lately counts in the next period, and no longer after it.
    let period = 24 * 60 * 60 * STORED_PERIOD_DAYS.unsigned_abs();
    assert!((period..=2 * period).contains(&seconds), "{seconds}");
    env.clock.advance(Duration::from_secs(seconds - period));
    assert_eq!(named(env.deposit_as(with_metadata("f", &long())).await), beyond);
    env.clock.advance(Duration::from_secs(period));
    assert_eq!(used(&env).1, [0, 0]);
    env.deposit_as(with_metadata("g", &long())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn b1_a_refused_commit_gives_back_the_place_that_it_took() {
    let env = TestCashier::new().await;
    env.deposit("a").await.unwrap();
    let before = used(&env);
    env.disk.refuse_in.store(1, Ordering::SeqCst);
    assert!(env.deposit_as(with_metadata("b", &long())).await.is_err());
    env.run_for(1).await;
    assert_eq!(used(&env), before);
}
