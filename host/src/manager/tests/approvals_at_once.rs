//! Approvals that are asked for at one time, before any of them is durable and shown.

use std::sync::atomic::Ordering;

use cashier_core::approval::APPROVALS_OF_BRAND_MAX;
use futures_util::future::{join, join_all};

use super::refunds_approved::credited;

const REFUND: &str = "MngRefundCashierTransaction";

#[tokio::test(start_paused = true)]
async fn those_that_are_asked_for_at_once_are_no_more_than_one_after_the_other_and_one_request_is_one() {
    let api = credited().await;
    let ask = async |reason: usize| {
        let data = format!(r#"{{"id":1,"reason":"r{reason}"}}"#);
        let (number, answer) = api.command("dealer#7@ion4", REFUND, &data).await;
        (number, answer["approval"]["id"].as_u64().unwrap_or_default())
    };
    api.env.disk.held.store(true, Ordering::SeqCst);
    let released = async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        api.env.disk.held.store(false, Ordering::SeqCst);
    };
    let sent = (0..2 * APPROVALS_OF_BRAND_MAX).map(|at| ask(at / 2));
    let many = join_all(sent.chain((0..8).map(|at| ask(1_000 + at))));
    let (answers, ()) = join(many, released).await;
    let (twice, beyond) = answers.split_at(2 * APPROVALS_OF_BRAND_MAX);
    for (at, pair) in twice.chunks(2).enumerate() {
        let [first, again] = pair else { panic!("two of each") };
        assert_eq!((first.0, first), (202, again), "a double click, {at}");
    }
    assert!(beyond.iter().all(|(number, _)| *number == 429), "{beyond:?}");
    // What is shown by now is counted once.
    assert_eq!(ask(0).await, twice[0]);
    assert_eq!(ask(2_000).await.0, 429);
}
