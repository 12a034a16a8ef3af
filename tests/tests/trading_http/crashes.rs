//! The server that ends at any moment and starts again over its database: what it answered is still so, and nothing is posted twice.

use std::sync::Arc;

use cashier_core::operation::PostingOutcome;
use cashier_host::ports::{Durable, PostStep};
use cashier_host::trading::remote::RemoteServer;
use cashier_tests::cutting_proxy::Break;
use cashier_tests::reference_server::OPENING_MINOR;

use crate::{Broken, UNKNOWN, posting};

#[tokio::test]
async fn a_server_that_ends_between_its_commit_and_its_answer_has_posted_once() {
    let Some(mut broken) = Broken::start().await else { return };
    let deposit = posting(1, 10);
    broken.proxy.plan("post", Break::HeldAnswer);
    assert_eq!(broken.posted_until_the_limit(&deposit).await, UNKNOWN);
    broken.server.restart();
    assert!(broken.adapter.find(&deposit).await.expect("it answers").is_some());
    broken.is_posted_once(&deposit).await;
}

#[tokio::test]
async fn a_server_that_ends_under_load_has_posted_each_key_once_after_all() {
    const POSTINGS: u32 = 60;
    let Some(mut broken) = Broken::start().await else { return };
    let postings: Vec<_> = (1..=POSTINGS).map(|ordinal| posting(ordinal, 10)).collect();
    let flying: Vec<_> = postings
        .iter()
        .map(|posting| {
            let (adapter, posting) = (Arc::clone(&broken.adapter), Durable::assertion(posting.clone()));
            tokio::spawn(async move { adapter.post(posting).await })
        })
        .collect();
    // Some are posted, some are not, some are being posted.
    while broken.recorded().await < 10 {}
    broken.server.kill();
    let mut answered = Vec::new();
    for posting in flying {
        answered.push(posting.await.expect("it ends"));
    }
    broken.server.restart();
    for (posting, answered) in postings.iter().zip(&answered) {
        let found = broken.adapter.find(posting).await.expect("it answers");
        match answered {
            PostStep::Done(PostingOutcome::Posted { trade_order, .. }) => {
                assert_eq!(found, Some(PostingOutcome::posted(*trade_order)), "what was answered is on disk");
            }
            PostStep::NotSent => assert_eq!(found, None),
            unknown => assert_eq!(*unknown, UNKNOWN),
        }
        assert!(matches!(broken.post(posting).await, PostStep::Done(PostingOutcome::Posted { .. })));
    }
    assert_eq!(broken.balance().await, OPENING_MINOR + 10 * i64::from(POSTINGS));
    assert_eq!(broken.recorded().await, usize::try_from(POSTINGS).expect("a small number"));
}

#[tokio::test]
async fn a_server_that_has_another_database_is_posted_nothing() {
    let Some(mut broken) = Broken::start().await else { return };
    let deposit = posting(1, 10);
    assert!(matches!(broken.post(&deposit).await, PostStep::Done(PostingOutcome::Posted { .. })));
    // A database begun anew does not know the key.
    broken.server.kill();
    broken.server.forget();
    broken.server.restart();
    assert_eq!(broken.post(&deposit).await, UNKNOWN);
    let problem = broken.adapter.find(&deposit).await.expect_err("it is another server").to_string();
    assert!(problem.contains("another database of postings"), "{problem}");
    assert!(broken.adapter.health().is_err());
}
