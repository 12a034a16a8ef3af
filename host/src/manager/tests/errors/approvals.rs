//! States of what waits for a second person in which a decision about it is refused.

use std::time::Duration;

use cashier_core::approval::APPROVAL_SECONDS;
use cashier_core::ids::TransactionId;
use cashier_core::notice::{DisputeStatement, Update};
use cashier_core::status::ProviderStatus;

use super::*;
use crate::manager::tests::refunds_approved;
use crate::test_cashier::{OnPost, OnRefund, lock, update};

/// A change of config 1 that waits, and the request that decides about it.
pub(super) async fn asked_change() -> Prepared {
    let api = ManagerApi::with_second_person().await;
    let (number, asked) = api.command("dealer#7", config::UPDATE.name, r#"{"id":1,"webhook_secret":"CANARY"}"#).await;
    assert_eq!(number, 202, "{asked}");
    Prepared { data: format!(r#"{{"id":{}}}"#, asked["approval"]["id"]), api }
}

pub(super) async fn rejected_change() -> Prepared {
    let made = asked_change().await;
    assert_eq!(made.api.command("manager#9", approval::REJECT.name, &made.data).await.0, 200);
    made
}

pub(super) async fn expired_change() -> Prepared {
    let made = asked_change().await;
    made.api.env.clock.advance(Duration::from_secs(APPROVAL_SECONDS.cast_unsigned()));
    made
}

/// A refund of 100 USD that waits.
async fn asked_refund() -> Prepared {
    let api = refunds_approved::credited().await;
    let data = refunds_approved::asked(&api, "dealer#7", r#"{"id":1,"reason":"r"}"#).await;
    Prepared { api, data }
}

/// One whose debit, and whose call, end so.
pub(super) async fn refund_with(on_post: OnPost, on_refund: Option<OnRefund>) -> Prepared {
    let made = asked_refund().await;
    lock(&made.api.env.trading.next_posts).push_back(on_post);
    lock(&made.api.env.provider.next_refunds).extend(on_refund);
    made
}

/// One whose payment is disputed while its debit is posted: it is not sent.
pub(super) async fn refund_disputed_before_its_call() -> Prepared {
    let made = refund_with(OnPost::Slow(3), None).await;
    let reference = made.api.env.aggregate(TransactionId(1)).transaction.reference;
    let disputed = Update {
        payment_id: format!("pay_{reference}").into(),
        reference: Some(reference),
        dispute: Some(DisputeStatement { id: "dp_1".into(), amount: None }),
        ..update("evt_d", ProviderStatus::Chargeback)
    };
    let notice = made.api.env.notice(Some(1), vec![disputed]);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        notice.await.unwrap();
    });
    made
}
