//! The ground of a decision: what came in after a transaction was shown is not decided about unseen.

use cashier_core::ids::TransactionId;
use cashier_core::notice::Update;
use cashier_core::status::ProviderStatus;

use super::manual::{DEPOSIT, PROCESS, REJECT};
use super::review::{RESOLVE, RETRY};
use super::*;
use crate::test_cashier::{AMOUNT, OnPost, lock, paid};

impl ManagerApi {
    pub(super) async fn ground(&self, id: u64) -> String {
        let (number, data) =
            self.command("manager", "MngExplainCashierTransaction", &format!(r#"{{"id":{id}}}"#)).await;
        assert_eq!(number, 200, "{data}");
        data["ground"].as_str().unwrap().to_owned()
    }

    /// A second payment under the reference of transaction 1.
    async fn paid_as(&self, payment: &str) {
        let reference = self.env.aggregate(TransactionId(1)).transaction.reference;
        let stated = Update { payment_id: payment.into(), ..paid(payment, &reference) };
        self.env.notice(Some(1), vec![stated]).await.unwrap();
        self.env.run_for(1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_decision_on_another_ground_than_was_shown_is_refused_and_changes_nothing() {
    let commands = [
        (RETRY, ""),
        (RESOLVE, r#""action":"credit","amount":100.0,"reason":"r","#),
        (RESOLVE, r#""action":"refuse","reason":"r","#),
        ("MngUpdateCashierTransaction", r#""status":6,"failure_reason":"f","#),
        ("MngRefundCashierTransaction", r#""reason":"r","#),
        ("MngCancelCashierTransaction", r#""reason":"r","#),
    ];
    for (command, fields) in commands {
        let api = ManagerApi::open().await;
        api.env.deposit("k").await.unwrap();
        api.paid_as("pay_1").await;
        let ground = api.ground(1).await;
        api.paid_as("pay_2").await;
        let before = api.env.aggregate(TransactionId(1));
        let data = format!(r#"{{"id":1,{fields}"ground":"{ground}"}}"#);
        assert_eq!(api.error("manager", command, &data).await, (409, "TRANSACTION_CHANGED".into()), "{command}");
        assert_eq!(api.env.aggregate(TransactionId(1)), before, "{command}");
        assert_ne!(api.ground(1).await, ground);
    }
    for (command, fields) in [(PROCESS, ""), (REJECT, r#""reject_reason":"r","#)] {
        let api = ManagerApi::open().await;
        let id = api.entered(DEPOSIT, "").await;
        let ground = api.ground(id).await;
        // The posting of a first approval is refused, so that it waits for a person again.
        lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
        assert_eq!(api.command("manager", PROCESS, &format!(r#"{{"id":{id}}}"#)).await.0, 409);
        let data = format!(r#"{{"id":{id},{fields}"ground":"{ground}"}}"#);
        assert_eq!(api.error("manager", command, &data).await, (409, "TRANSACTION_CHANGED".into()), "{command}");
        let data = format!(r#"{{"id":{id},{fields}"ground":"{}"}}"#, api.ground(id).await);
        assert_eq!(api.command("manager", command, &data).await.0, 200, "{command}");
    }
}

#[tokio::test(start_paused = true)]
async fn on_the_ground_that_was_shown_it_is_decided_and_what_states_nothing_new_changes_none() {
    let api = ManagerApi::open().await;
    api.env.deposit("k").await.unwrap();
    api.paid_as("pay_1").await;
    api.paid_as("pay_2").await;
    let ground = api.ground(1).await;
    // What states nothing new about money, or nothing new at all, changes no ground.
    api.paid_as("pay_2").await;
    let reference = api.env.aggregate(TransactionId(1)).transaction.reference;
    let pending = Update { status: ProviderStatus::Pending, ..paid("noise", &reference) };
    api.env.notice(Some(1), vec![pending]).await.unwrap();
    let resolve = |ground: &str| {
        format!(r#"{{"id":1,"action":"credit","amount":100.0,"reason":"one of them","ground":"{ground}"}}"#)
    };
    let (_, listed) = api.command("manager", "MngGetCashierDutiesByFilter", "{}").await;
    assert_eq!(listed["rows"][0]["ground"].as_str(), Some(&*ground), "{listed}");
    let (number, data) = api.command("manager", RESOLVE, &resolve(&ground)).await;
    assert_eq!((number, api.env.trading.balance()), (200, AMOUNT), "{data}");
    for wrong in ["", "123", "g123456789abcdef", "0123456789ABCDEF"] {
        assert_eq!(api.error("manager", RESOLVE, &resolve(wrong)).await.0, 400, "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refund_repeated_under_its_key_is_answered_whatever_ground_it_names() {
    let api = ManagerApi::open().await;
    api.env.deposit("k").await.unwrap();
    api.paid_as("pay_1").await;
    let ground = api.ground(1).await;
    let refund = format!(r#"{{"id":1,"amount":10.0,"reason":"r","idempotency_key":"k","ground":"{ground}"}}"#);
    for _ in 0..2 {
        let (number, data) = api.command("manager", "MngRefundCashierTransaction", &refund).await;
        assert_eq!((number, api.env.trading.balance()), (200, AMOUNT - 1_000), "{data}");
    }
    let another = refund.replace(r#""k""#, r#""k2""#);
    let answer = api.error("manager", "MngRefundCashierTransaction", &another).await;
    assert_eq!((answer, api.env.trading.balance()), ((409, "TRANSACTION_CHANGED".into()), AMOUNT - 1_000));
}
