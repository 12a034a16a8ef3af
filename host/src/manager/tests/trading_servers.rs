//! The trading servers of the catalog: what waits for each, and since when, and how many of its postings differ.

use std::time::Duration;

use cashier_core::ids::ServerName;

use super::*;
use crate::ports::ServerDifferences;
use crate::test_cashier::{OnPost, TestClock, lock, paid};

#[tokio::test(start_paused = true)]
async fn the_catalog_shows_what_waits_for_a_trading_server_and_how_much_differs() {
    let api = ManagerApi::open().await;
    let shown = async || {
        let (_, modules) = api.command("manager", "MngGetCashierPaymentModules", "{}").await;
        let of = ["name", "waiting_postings", "waiting_since", "differences"];
        of.map(|field| modules["trading_servers"][0][field].clone())
    };
    assert_eq!(shown().await, [json!("embedded"), json!(0), json!(0), json!(0)]);
    let reference = api.env.deposit("k").await.unwrap().transaction.reference;
    api.env.clock.advance(Duration::from_secs(5));
    lock(&api.env.trading.next_posts).push_back(OnPost::NeverArrives);
    api.env.notice(Some(1), vec![paid("e", &reference)]).await.unwrap();
    let found = ServerDifferences { count: 3, ..ServerDifferences::default() };
    lock(&api.env.trading.differences).push((ServerName::default(), Arc::new(found)));
    assert_eq!(shown().await, [json!("embedded"), json!(1), json!(TestClock::START.0 + 5), json!(3)]);
}
