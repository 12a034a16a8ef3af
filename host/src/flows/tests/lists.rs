//! Lists whose readers are slow: what is held is bounded, and what takes too long ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cashier_core::books::{LIST_BYTES_MAX, Scope};
use cashier_core::filter::{Filter, FilterBuilder, TransactionField};
use cashier_core::ids::{CustomerId, ManagerId};
use cashier_core::refusal::RefusalCode;
use cashier_core::session::{ManagerSession, Role};

use crate::flows::list_time::LIST_TIME_MAX;
use crate::flows::transactions::{TransactionPage, list};
use crate::flows::{CUSTOMER_LISTS_MAX, ListReader, ManagerReader};
use crate::test_cashier::{CUSTOMER, TestCashier};

const READER: ListReader = ListReader::Customer(CUSTOMER);

fn manager() -> ManagerReader {
    ManagerReader::of(&ManagerSession::assertion(ManagerId(1), Role::Manager, None))
}

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
    assert!(page(&env, ListReader::Manager(manager())).await.count() == 100, "others are served");
    drop(held);
    assert_eq!(env.cashier.lists.held(), (0, 0));
    assert_eq!(page(&env, READER).await.count(), 100);
}

#[tokio::test(start_paused = true)]
async fn b2_the_time_of_a_list_begins_with_its_request_and_an_export_has_a_pace_instead() {
    let env = with_deposits(200).await;
    let slow = Duration::from_secs(100);
    // A row that the list shows waits for its commit, and the list with it.
    env.disk.held.store(true, Ordering::SeqCst);
    let later = tokio::spawn(env.deposit("later"));
    env.run_for(1).await;
    let listed = [READER, ListReader::Manager(manager()), ListReader::Export(manager())].map(|reader| {
        let cashier = Arc::clone(&env.cashier);
        tokio::spawn(async move { list(&cashier, reader, &Scope::default(), filter(5_000)).await.ok() })
    });
    tokio::time::sleep(slow).await;
    // What it will hold is counted before its rows are copied, so also while they wait for the disk.
    let (readers, kib) = env.cashier.lists.held();
    assert!(readers == 3 && kib >= 3, "{readers} {kib}");
    env.disk.held.store(false, Ordering::SeqCst);
    let mut left = Vec::new();
    for listed in listed {
        let mut page = listed.await.unwrap().unwrap();
        assert_eq!((page.count(), page.next_rows().await.unwrap().len()), (201, 16));
        left.push(page.time_left());
    }
    later.await.unwrap().unwrap();
    assert_eq!(left[0], left[1]);
    assert!(left[0].is_some_and(|left| left <= LIST_TIME_MAX - slow && left > Duration::ZERO), "{left:?}");
    assert_eq!(left[2], None);
}

#[tokio::test(start_paused = true)]
async fn b2_a_list_holds_what_was_made_of_it_and_asks_for_capacity_before_its_rows_are_copied() {
    let env = with_deposits(200).await;
    let mut permits = Vec::new();
    // Others hold all that customers may, but for a megabyte.
    for customer in 1..=12 {
        let reader = ListReader::Customer(CustomerId(1_000 + customer));
        let mut permit = env.cashier.list_permit(reader).await.unwrap();
        permit.hold((32 * 1024 - 86) * 1024).await.unwrap();
        permits.push(permit);
    }
    let before = env.cashier.list_bytes_held();
    let mut shown = page(&env, READER).await;
    shown.holds(20_000).await.unwrap();
    let rows = env.cashier.list_bytes_held() - before;
    assert!((16 * 1024..256 * 1024).contains(&rows), "two hundred rows and 20,000 bytes, not {rows}");
    while !shown.is_finished() {
        shown.next_rows().await.unwrap();
    }
    shown.holds(20_000).await.unwrap();
    assert_eq!(env.cashier.list_bytes_held() - before, 20 * 1024, "no rows are left");
    let another = list(&env.cashier, READER, &Scope::default(), filter(1_500)).await;
    let refusal = another.err().unwrap();
    assert!(refusal.code == RefusalCode::Frequent && refusal.message.contains("all sessions"), "{refusal}");
    assert_eq!(page(&env, ListReader::Manager(manager())).await.count(), 200, "managers have a part of their own");
}

#[tokio::test(start_paused = true)]
async fn b2_the_rows_of_a_list_that_is_read_slowly_are_those_of_the_moment_in_which_it_was_found() {
    let env = with_deposits(150).await;
    let mut page = page(&env, READER).await;
    let mut rows = page.next_rows().await.unwrap();
    for made in env.provider.references() {
        env.notice(Some(1), vec![crate::test_cashier::paid(&made.to_string(), &made)]).await.unwrap();
    }
    env.deposit("later").await.unwrap();
    while !page.is_finished() {
        rows.extend(page.next_rows().await.unwrap());
    }
    let ids: Vec<u64> = rows.iter().map(|row| row.id.0).collect();
    assert_eq!((page.count(), ids), (150, (1..=150).rev().collect()));
    assert!(rows.iter().all(|row| row.status.number() == 1), "none shows what happened since");
}

#[tokio::test(start_paused = true)]
async fn b2_a_list_breaks_off_where_the_books_are_read_again() {
    let env = with_deposits(150).await;
    let mut page = page(&env, READER).await;
    page.next_rows().await.unwrap();
    env.disk.fail_in.store(1, Ordering::SeqCst);
    let _ = env.deposit("failing").await;
    env.run_for(10).await;
    assert!(page.next_rows().await.unwrap_err().to_string().contains("read again"));
}
