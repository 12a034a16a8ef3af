//! Every kind of the work list, made by what makes it and shown by the command: whom it waits for, since when and how old it is,
//! when it is tried next or ends, of which config and brand, and which command ends it. A new kind fails until it has its entry.

use std::time::Duration;

use cashier_core::approval::APPROVAL_SECONDS;
use cashier_core::duty::{QUIET_SECONDS, UNKNOWN_EVENT_SECONDS, WorkItem, WorkKind};
use cashier_core::facts::PersonFact;
use cashier_core::ids::{ConfigId, Login, Reference, ServerName, TransactionId};
use cashier_core::notice::{Reach, RefundStatement, StatedAmount, Update};
use cashier_core::operation::OperationKey;
use cashier_core::provider_config::{ProviderConfig, UnreadableColumn};
use cashier_core::status::{ProviderStatus, TransactionStatus};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::manual::DEPOSIT;
use super::*;
use crate::ports::{DifferenceKind, PostingDifference, QueryAnswer, ServerDifferences};
use crate::test_cashier::{OnCreate, OnPost, OnRefund, config, lock, paid, update};

const LIST: &str = "MngGetCashierDutiesByFilter";

/// Seconds after a start at which what waits begins, so that it differs from the creation of its order.
const BEGINS: i64 = 5;
/// Seconds that it has waited when the list is read.
const AGE: i64 = 3;
/// Seconds from an order to its expiry.
const ORDER_SECONDS: i64 = 86_400;

/// A cashier with one item of a kind.
struct Waiting {
    api: ManagerApi,
    /// Seconds from the start of the cashier until it began to wait.
    since: i64,
    /// The same until it is tried or ends; `None` is never.
    due: Option<i64>,
    config: u64,
    command: &'static str,
}

/// An item that waits for a person alone.
fn for_a_person(api: ManagerApi, since: i64, config: u64, command: &'static str) -> Waiting {
    Waiting { api, since, due: None, config, command }
}

/// An item of config 1 that the cashier goes on with by itself.
fn by_itself(api: ManagerApi, since: i64, due: i64) -> Waiting {
    Waiting { api, since, due: Some(due), config: 1, command: "" }
}

/// How each kind comes about.
fn waiting(kind: WorkKind) -> LocalBoxFuture<'static, Waiting> {
    match kind {
        WorkKind::Review => review().boxed_local(),
        WorkKind::ManualApproval => manual_approval().boxed_local(),
        WorkKind::PostingRefused => posting_refused().boxed_local(),
        WorkKind::PostingStopped => posting_stopped().boxed_local(),
        WorkKind::PostingReleased => posting_released().boxed_local(),
        WorkKind::ReversalWaits => reversal_waits().boxed_local(),
        WorkKind::Posting => posting().boxed_local(),
        WorkKind::PostingUnknown => posting_unknown().boxed_local(),
        WorkKind::CreateUnanswered => create_unanswered().boxed_local(),
        WorkKind::Advance => advance().boxed_local(),
        WorkKind::Query => query().boxed_local(),
        WorkKind::Expiry => expiry().boxed_local(),
        WorkKind::PaymentOpen => payment_open().boxed_local(),
        WorkKind::UnmatchedPayment => unmatched_payment().boxed_local(),
        WorkKind::UnreadableNotice => unreadable_notice().boxed_local(),
        WorkKind::EventWaiting => event_waiting().boxed_local(),
        WorkKind::ConfigApproval => config_approval().boxed_local(),
        WorkKind::ConfigUnreadable => config_unreadable().boxed_local(),
        WorkKind::GatewayBroken => gateway_broken().boxed_local(),
        WorkKind::Refund => refund_under_way().boxed_local(),
        WorkKind::PostingDiffers => posting_differs().boxed_local(),
    }
}

fn later(api: &ManagerApi, seconds: i64) {
    api.env.clock.advance(Duration::from_secs(seconds.cast_unsigned()));
}

/// An order of config 1, which is brand ion4's; then time passes.
async fn ordered() -> (ManagerApi, Reference) {
    let api = ManagerApi::open().await;
    let reference = api.env.deposit("k").await.unwrap().transaction.reference;
    later(&api, BEGINS);
    (api, reference)
}

async fn notice(api: &ManagerApi, update: Update) {
    api.env.notice(Some(1), vec![update]).await.unwrap();
}

async fn review() -> Waiting {
    let (api, reference) = ordered().await;
    notice(&api, Update { amount: Some(StatedAmount::Exact(usd(1))), ..paid("e", &reference) }).await;
    for_a_person(api, BEGINS, 1, "MngResolveCashierDoubt")
}

async fn manual_approval() -> Waiting {
    let api = ManagerApi::open().await;
    later(&api, BEGINS);
    api.entered(DEPOSIT, "").await;
    for_a_person(api, BEGINS, 0, "MngProcessManualCashierTransaction")
}

async fn posting_refused() -> Waiting {
    let (api, reference) = ordered().await;
    lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
    notice(&api, paid("e", &reference)).await;
    for_a_person(api, BEGINS, 1, "MngRetryCashierCredit")
}

async fn posting_stopped() -> Waiting {
    let (api, reference) = ordered().await;
    notice(&api, paid("e", &reference)).await;
    api.env.decide(TransactionId(1), PersonFact::Held(TransactionStatus::Credited)).await;
    later(&api, BEGINS);
    notice(&api, refunded(reference)).await;
    for_a_person(api, 2 * BEGINS, 1, "MngUpdateCashierTransaction")
}

/// Nothing was ever refused: the payment came while a written status stopped it.
async fn posting_released() -> Waiting {
    let (api, reference) = ordered().await;
    api.env.decide(TransactionId(1), PersonFact::Held(TransactionStatus::CreditFailed)).await;
    notice(&api, paid("e", &reference)).await;
    later(&api, BEGINS);
    api.env.decide(TransactionId(1), PersonFact::Released).await;
    for_a_person(api, 2 * BEGINS, 1, "MngRetryCashierCredit")
}

/// A part went back at the provider.
fn refunded(reference: Reference) -> Update {
    let amount = StatedAmount::Exact(usd(3_000));
    let stated = RefundStatement { id: "re_1".into(), amount, reach: Reach::Delta, requested: "".into() };
    Update { refund: Some(stated), reference: Some(reference), ..update("r", ProviderStatus::Refunded) }
}

async fn reversal_waits() -> Waiting {
    let api = ManagerApi::open().await;
    let waits = r#"{"id":1,"settings_json":"{\"reversal\":\"review\"}"}"#;
    let (number, saved) = api.command("manager", "MngUpdateCashierProviderConfig", waits).await;
    assert_eq!(number, 200, "{saved}");
    let reference = api.env.deposit("k").await.unwrap().transaction.reference;
    notice(&api, paid("e", &reference)).await;
    later(&api, BEGINS);
    notice(&api, refunded(reference)).await;
    for_a_person(api, BEGINS, 1, "MngRetryCashierCredit")
}

async fn posting() -> Waiting {
    let (api, reference) = ordered().await;
    lock(&api.env.trading.next_posts).push_back(OnPost::Slow(1_000_000));
    notice(&api, paid("e", &reference)).await;
    by_itself(api, BEGINS, BEGINS)
}

async fn posting_unknown() -> Waiting {
    let (api, reference) = ordered().await;
    lock(&api.env.trading.next_posts).extend([OnPost::NeverArrives; 64]);
    notice(&api, paid("e", &reference)).await;
    Waiting { command: "MngRetryCashierCredit", ..by_itself(api, BEGINS, BEGINS) }
}

async fn create_unanswered() -> Waiting {
    let api = ManagerApi::open().await;
    later(&api, BEGINS);
    lock(&api.env.provider.next_creates).extend(vec![OnCreate::AnswerLost; 64]);
    api.env.deposit("k").await.unwrap();
    by_itself(api, BEGINS, BEGINS)
}

async fn advance() -> Waiting {
    let (api, reference) = ordered().await;
    *lock(&api.env.provider.advance_answer) = Some(QueryAnswer::NoAnswer("down".into()));
    let wanted = Update { reference: Some(reference), advance: true, ..update("e", ProviderStatus::Pending) };
    notice(&api, wanted).await;
    by_itself(api, BEGINS, BEGINS)
}

async fn query() -> Waiting {
    let (api, reference) = ordered().await;
    api.env.on_query(&reference, QueryAnswer::NoAnswer("down".into()));
    later(&api, QUIET_SECONDS);
    by_itself(api, 0, QUIET_SECONDS)
}

async fn expiry() -> Waiting {
    let (api, reference) = ordered().await;
    api.env.on_query(&reference, QueryAnswer::NoAnswer("down".into()));
    later(&api, ORDER_SECONDS);
    by_itself(api, ORDER_SECONDS, ORDER_SECONDS)
}

async fn payment_open() -> Waiting {
    let (api, _) = ordered().await;
    by_itself(api, 0, QUIET_SECONDS)
}

/// An event of a payment that no transaction has.
async fn unknown_payment() -> ManagerApi {
    let api = ManagerApi::open().await;
    later(&api, BEGINS);
    notice(&api, Update { payment_id: "pay_nobody".into(), ..update("e", ProviderStatus::Confirmed) }).await;
    api
}

async fn event_waiting() -> Waiting {
    by_itself(unknown_payment().await, BEGINS, BEGINS + UNKNOWN_EVENT_SECONDS)
}

async fn unmatched_payment() -> Waiting {
    let api = unknown_payment().await;
    later(&api, UNKNOWN_EVENT_SECONDS + 10);
    api.env.run_for(10).await;
    for_a_person(api, BEGINS, 1, "MngReplayCashierProviderEvent")
}

async fn unreadable_notice() -> Waiting {
    let api = ManagerApi::open().await;
    later(&api, BEGINS);
    api.env.raw_notice(Some(1), "unreadable 1".to_owned()).await.unwrap();
    for_a_person(api, BEGINS, 1, "MngReplayCashierProviderEvent")
}

async fn config_approval() -> Waiting {
    let api = ManagerApi::with_second_person().await;
    later(&api, BEGINS);
    let change = r#"{"id":1,"webhook_secret":"CANARY"}"#;
    assert_eq!(api.command("dealer#9", "MngUpdateCashierProviderConfig", change).await.0, 202);
    let due = Some(BEGINS + APPROVAL_SECONDS);
    Waiting { due, ..for_a_person(api, BEGINS, 1, "MngApproveCashierChange") }
}

async fn config_unreadable() -> Waiting {
    let lost = UnreadableColumn {
        column: "webhook_secret",
        sealed: Box::from(*b"sealed"),
        holds_text: true,
        had_key: false,
        why: "sealed with key 1, which is not in the key ring".into(),
    };
    let row = ProviderConfig { unreadable: vec![lost], brand: "ion4".into(), ..config(1) };
    let api = ManagerApi::over(TestCashier::with_rows(vec![row]).await).await;
    for_a_person(api, 0, 1, "MngUpdateCashierProviderConfig")
}

async fn gateway_broken() -> Waiting {
    let mut api = ManagerApi::open().await;
    lock(&api.env.provider.not_loaded).push(ConfigId(1));
    api.env.crash().await;
    api.context.cashier = Arc::clone(&api.env.cashier);
    later(&api, BEGINS);
    for_a_person(api, 0, 1, "MngUpdateCashierProviderConfig")
}

async fn refund_under_way() -> Waiting {
    let (api, reference) = ordered().await;
    notice(&api, paid("e", &reference)).await;
    later(&api, BEGINS);
    lock(&api.env.provider.next_refunds).push_back(OnRefund::Accepted);
    let refund = r#"{"id":1,"amount":30,"reason":"r"}"#;
    assert_eq!(api.command("manager", "MngRefundCashierTransaction", refund).await.0, 200);
    by_itself(api, 2 * BEGINS, 2 * BEGINS + QUIET_SECONDS)
}

async fn posting_differs() -> Waiting {
    let (api, reference) = ordered().await;
    notice(&api, paid("e", &reference)).await;
    let known = PostingDifference {
        kind: DifferenceKind::Lost,
        key: OperationKey::read(&format!("{reference}:1")).unwrap(),
        transaction_id: TransactionId(1),
        login: Login(2_000_009),
        amount: usd(10_000),
        trade_order: 1,
        since: api.env.cashier.clock.now(),
    };
    let found = ServerDifferences { kept: vec![known], count: 1, ..ServerDifferences::default() };
    lock(&api.env.trading.differences).push((ServerName::read("far").unwrap(), Arc::new(found)));
    for_a_person(api, BEGINS, 1, "")
}

#[tokio::test(start_paused = true)]
async fn i6_what_is_not_kept_of_a_server_that_differs_is_one_item_without_a_transaction_or_brand() {
    let api = ManagerApi::open().await;
    let listing = "S; its postings are being listed, to find out which they are";
    for (count, is_unlisted, text) in [(40, false, "S"), (0, true, listing)] {
        let since = crate::test_cashier::TestClock::START;
        let found = ServerDifferences { sentence: "S".into(), count, is_unlisted, since, ..Default::default() };
        *lock(&api.env.trading.differences) = vec![(ServerName::read("far").unwrap(), Arc::new(found))];
        let (_, found) = api.command("manager", LIST, "{}").await;
        let row = ["kind", "trading_server", "failure_reason", "transaction_id", "brand"]
            .map(|f| found["rows"][0][f].clone());
        assert_eq!(json!([row, found["count"]]), json!([["posting_differs", "far", text, 0, ""], 1]));
        assert_eq!(api.command("manager@ion4", LIST, "{}").await.1["count"], 0, "no brand is known of it");
    }
}

#[tokio::test(start_paused = true)]
async fn i6_every_kind_is_listed_with_its_age_config_and_brand() {
    let mut wrong = Vec::new();
    for &kind in WorkKind::ALL {
        let Waiting { api, since, due, config, command } = waiting(kind).await;
        let at = |seconds: i64| crate::test_cashier::TestClock::START.0 + seconds;
        later(&api, AGE);
        let now = api.env.cashier.clock.now().0;
        let filter = json!({"where": [["kind", "=", kind.name()]]}).to_string();
        let (number, found) = api.command("manager", LIST, &filter).await;
        if (number, &found["count"]) != (200, &json!(1)) {
            wrong.push(format!("{}: {found}", kind.name()));
            continue;
        }
        let fields =
            ["kind", "waits_for", "since", "age_seconds", "due_time", "provider_config_id", "brand", "command"];
        let row = fields.map(|field| found["rows"][0][field].clone());
        let since = at(since);
        let item = WorkItem::new(kind, UnixTime(since));
        let expected = json!([
            kind.name(),
            kind.waits_for().name(),
            since,
            now - since,
            due.map_or(0, at),
            config,
            "ion4",
            command
        ]);
        if json!(row) != expected {
            wrong.push(format!("{}: {} instead of {expected}", kind.name(), json!(row)));
        }
        // A review's sentence and command are its reason's.
        if kind != WorkKind::Review && found["rows"][0]["sentence"] != item.sentence() {
            wrong.push(format!("{}: {}", kind.name(), found["rows"][0]["sentence"]));
        }
        for (token, condition, count) in [
            ("manager@ion4", json!(["provider_config_id", "=", config]), 1),
            ("manager", json!(["provider_config_id", "=", 99]), 0),
            ("manager", json!(["brand", "=", "ion4"]), 1),
            ("manager", json!(["since", ">", since]), 0),
            ("manager", json!(["since", "<=", since]), 1),
            ("manager@other", json!(["since", ">", 0]), 0),
        ] {
            let filter = json!({"where": [["kind", "=", kind.name()], condition]}).to_string();
            let (_, found) = api.command(token, LIST, &filter).await;
            if found["count"] != count {
                wrong.push(format!("{} as {token} {condition}: {found}", kind.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
