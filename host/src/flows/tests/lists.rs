//! Lists whose readers are slow: what is held is bounded, and what takes too long ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cashier_core::books::{LIST_BYTES_MAX, Scope};
use cashier_core::filter::{Filter, FilterBuilder, TransactionField};
use cashier_core::ids::ManagerId;
use cashier_core::refusal::RefusalCode;

use crate::flows::transactions::{EXPORT_BYTES_PER_SECOND_MIN, EXPORT_TIME_MAX, LIST_TIME_MAX, TransactionPage, list};
use crate::flows::{CUSTOMER_LISTS_MAX, ListReader};
use crate::test_cashier::{CUSTOMER, TestCashier};

const READER: ListReader = ListReader::Customer(CUSTOMER);

fn filter(limit: usize) -> Filter<TransactionField> {
    let mut builder = FilterBuilder::new();
    builder.limit(&limit.to_string()).unwrap();
    builder.build()
}

async fn with_deposits(count: usize) -> TestCashier {
    let env = TestCashier::new().await;
    for n in 0..count {
        env.deposit(&format!("k{n}")).await.unwrap();
    }
    env
}

async fn page(env: &TestCashier, reader: ListReader) -> TransactionPage {
    list(&env.cashier, reader, &Scope::default(), filter(1_500)).await.map_err(|refusal| refusal.message).unwrap()
}

#[tokio::test(start_paused = true)]
async fn b2_forty_lists_of_one_customer_that_are_not_read_hold_a_named_number_of_bytes() {
    let env = with_deposits(100).await;
    let scope = Scope { customer: Some(CUSTOMER), brand: None };
    let asked = (0..40).map(|_| list(&env.cashier, READER, &scope, filter(1_500)));
    let (held, refused): (Vec<_>, Vec<_>) =
        futures_util::future::join_all(asked).await.into_iter().partition(Result::is_ok);
    let codes: Vec<RefusalCode> = refused.into_iter().filter_map(Result::err).map(|refusal| refusal.code).collect();
    assert_eq!((held.len(), codes), (CUSTOMER_LISTS_MAX, vec![RefusalCode::Frequent; 40 - CUSTOMER_LISTS_MAX]));
    let (readers, kib) = env.cashier.lists.held();
    assert!(readers == 1 && kib * 1024 <= 2 * LIST_BYTES_MAX, "{kib} KiB");
    assert!(page(&env, ListReader::Manager(ManagerId(1))).await.count() == 100, "others are served");
    drop(held);
    assert_eq!(env.cashier.lists.held(), (0, 0));
    assert_eq!(page(&env, READER).await.count(), 100);
}

#[tokio::test(start_paused = true)]
async fn b2_a_list_ends_at_its_deadline_and_an_export_when_its_reader_is_too_slow() {
    let env = with_deposits(200).await;
    let customer = async |after: Duration| {
        let mut page = page(&env, READER).await;
        let first = page.next_rows(0).await.unwrap().len();
        tokio::time::sleep(after).await;
        (first, page.next_rows(40_000).await.map_err(|fault| fault.to_string()))
    };
    let (first, next) = customer(LIST_TIME_MAX - Duration::from_secs(1)).await;
    assert_eq!((first, next.map(|rows| rows.len())), (16, Ok(16)));
    let (_, late) = customer(LIST_TIME_MAX + Duration::from_secs(1)).await;
    assert!(late.unwrap_err().contains("40000 bytes in 121 s"));
    let export = async |after: Duration, sent: u64| {
        let mut page = page(&env, ListReader::Export(ManagerId(1))).await;
        page.next_rows(0).await.unwrap();
        page.give();
        tokio::time::sleep(after).await;
        page.next_rows(sent).await.is_ok()
    };
    let minutes = Duration::from_mins(5);
    let enough = (minutes.as_secs() - 10) * EXPORT_BYTES_PER_SECOND_MIN;
    assert!(export(minutes, enough).await && !export(minutes, enough - 1).await);
    assert!(export(Duration::from_secs(10), 0).await, "the first seconds are not judged");
    assert!(!export(EXPORT_TIME_MAX + Duration::from_secs(1), u64::MAX).await);
}

#[tokio::test(start_paused = true)]
async fn b2_the_clock_of_an_export_runs_while_its_reader_takes_what_was_made_and_not_in_the_search_before() {
    let env = with_deposits(200).await;
    let slow = Duration::from_secs(100);
    // A row that the list shows waits for its commit, and the list with it.
    env.disk.held.store(true, Ordering::SeqCst);
    let later = tokio::spawn(env.deposit("later"));
    env.run_for(1).await;
    let cashier = Arc::clone(&env.cashier);
    let export = tokio::spawn(async move {
        list(&cashier, ListReader::Export(ManagerId(1)), &Scope::default(), filter(5_000)).await.ok()
    });
    tokio::time::sleep(slow).await;
    assert!(!export.is_finished());
    env.disk.held.store(false, Ordering::SeqCst);
    let mut page = export.await.unwrap().unwrap();
    later.await.unwrap().unwrap();
    assert_eq!((page.count(), page.next_rows(0).await.unwrap().len()), (201, 16), "nobody could read until now");
    // Neither is what the server takes to read texts and to write JSON the reader's.
    tokio::time::sleep(slow).await;
    page.give();
    tokio::time::sleep(Duration::from_secs(10)).await;
    page.next_rows(0).await.unwrap();
    page.give();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let late = page.next_rows(EXPORT_BYTES_PER_SECOND_MIN - 1).await.unwrap_err().to_string();
    assert!(late.contains("8191 bytes in 11 s"), "{late}");
}

#[tokio::test(start_paused = true)]
async fn b2_the_rows_of_a_list_that_is_read_slowly_are_those_of_the_moment_in_which_it_was_found() {
    let env = with_deposits(150).await;
    let mut page = page(&env, READER).await;
    let mut rows = page.next_rows(0).await.unwrap();
    for made in env.provider.references() {
        env.notice(Some(1), vec![crate::test_cashier::paid(&made.to_string(), &made)]).await.unwrap();
    }
    env.deposit("later").await.unwrap();
    while !page.is_finished() {
        rows.extend(page.next_rows(0).await.unwrap());
    }
    let ids: Vec<u64> = rows.iter().map(|row| row.id.0).collect();
    assert_eq!((page.count(), ids), (150, (1..=150).rev().collect()));
    assert!(rows.iter().all(|row| row.status.number() == 1), "none shows what happened since");
}

#[tokio::test(start_paused = true)]
async fn b2_a_list_breaks_off_where_the_books_are_read_again() {
    let env = with_deposits(150).await;
    let mut page = page(&env, READER).await;
    page.next_rows(0).await.unwrap();
    env.disk.fail_in.store(1, Ordering::SeqCst);
    let _ = env.deposit("failing").await;
    env.run_for(10).await;
    assert!(page.next_rows(0).await.unwrap_err().to_string().contains("read again"));
}
