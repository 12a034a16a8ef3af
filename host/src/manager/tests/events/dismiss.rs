//! A payment of another shop on the same merchant account is taken from the work list by a person, once, and can be replayed.

use cashier_core::change::Body;
use cashier_core::notice::Update;
use cashier_core::refs::ProviderRef;
use cashier_core::status::ProviderStatus;

use super::super::*;
use crate::test_cashier::{lock, update};

const DISMISS: &str = "MngDismissCashierProviderEvent";
const DUTIES: &str = "MngGetCashierDutiesByFilter";
const REASON: &str = r#"{"id":1,"reason":"a sale of the web shop"}"#;

/// A payment that no transaction has: event 1, of the body `shop 1`.
async fn waiting() -> ManagerApi {
    let api = ManagerApi::open().await;
    let sale = Update { payment_id: "pay_shop".into(), ..update("evt_shop", ProviderStatus::Confirmed) };
    lock(&api.env.provider.understood).insert("shop 1".to_owned(), vec![sale]);
    api.env.raw_notice(Some(1), "shop 1".to_owned()).await.unwrap();
    api
}

async fn listed(api: &ManagerApi, kind: &str) -> u64 {
    let filter = format!(r#"{{"where":[["kind","=","{kind}"]]}}"#);
    api.command("manager", DUTIES, &filter).await.1["count"].as_u64().unwrap()
}

fn dismissals_recorded(api: &ManagerApi) -> Vec<String> {
    let bodies = api.env.disk.bodies();
    let changes = bodies.iter().filter_map(|body| match body {
        Body::Audit(record) if &*record.command == DISMISS && record.outcome == "dismissed" => Some(&record.changes),
        _ => None,
    });
    changes.map(|changes| format!("{changes:?}")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_payment_of_another_shop_is_dismissed_once_and_recorded() {
    let api = waiting().await;
    let early = api.error("manager", DISMISS, REASON).await;
    assert_eq!(early, (409, "WRONG_STATUS".into()), "it waits for its transaction for a day");
    api.env.clock.advance(std::time::Duration::from_secs(cashier_core::duty::UNKNOWN_EVENT_SECONDS as u64 + 10));
    api.env.run_for(10).await;
    assert_eq!((listed(&api, "unmatched_payment").await, dismissals_recorded(&api).len()), (1, 0));
    assert_eq!(api.error("crm@other", DISMISS, REASON).await, (404, "RET_ERR_NOTFOUND".into()));
    assert_eq!(api.error("manager", DISMISS, r#"{"id":1}"#).await.0, 400, "why is said");

    let (number, done) = api.command("crm@ion4", DISMISS, REASON).await;
    assert_eq!(number, 200, "{done}");
    let reason = done["event"]["failure_reason"].as_str().unwrap();
    assert!(reason.starts_with("TRANSACTION_NOT_FOUND: dismissed by manager "), "{reason}");
    let records = dismissals_recorded(&api);
    assert!(records.len() == 1 && records[0].contains("web shop") && records[0].contains("pay_shop"), "{records:?}");
    assert_eq!((listed(&api, "unmatched_payment").await, listed(&api, "event_waiting").await), (0, 0));

    let (number, again) = api.command("manager", DISMISS, REASON).await;
    assert_eq!((number, &again), (200, &done), "a repeated request is answered with the row");
    assert_eq!(dismissals_recorded(&api).len(), 1);
    assert_eq!(api.env.disk.loaded().books.unmatched().count(), 0, "nor is it listed after a start");
}

/// The receiving config is of one brand, and one of another verified the same bytes: the payment may be its own.
#[tokio::test(start_paused = true)]
async fn what_a_config_of_another_brand_verified_too_is_dismissed_by_no_session_of_one_brand() {
    let api = ManagerApi::open().await;
    reference_of_the_payment(&api).await;
    let refs = vec![ProviderRef::new("payment_intent", "pi_shop")];
    let sale = Update { payment_id: "pay_shop".into(), refs, ..update("evt_shop", ProviderStatus::Confirmed) };
    api.env.notice(Some(3), vec![sale]).await.unwrap();
    api.env.clock.advance(std::time::Duration::from_secs(cashier_core::duty::UNKNOWN_EVENT_SECONDS as u64 + 10));
    api.env.run_for(10).await;
    let seen_by = async |who: &str| api.command(who, super::LIST, "{}").await.1;
    let before = (seen_by("manager").await, listed(&api, "unmatched_payment").await);
    assert_eq!((&before.0["rows"][0]["brand"], before.1), (&json!("other"), 1), "{before:?}");
    assert_eq!(seen_by("crm@other").await["count"], json!(1), "a session of its brand sees it");
    let (number, refused) = api.command("crm@other", DISMISS, REASON).await;
    assert_eq!((number, &refused["error"]), (403, &json!("PERMISSION_DENIED")), "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("a session of every brand dismisses it"), "{refused}");
    assert_eq!(api.error("crm@ion4", DISMISS, REASON).await, (404, "RET_ERR_NOTFOUND".into()), "nor by the other's");
    api.env.run_for(2).await;
    assert_eq!((seen_by("manager").await, listed(&api, "unmatched_payment").await), before);
    assert_eq!(dismissals_recorded(&api).len(), 0);

    let (number, done) = api.command("manager", DISMISS, REASON).await;
    assert_eq!((number, dismissals_recorded(&api).len()), (200, 1), "{done}");
    assert_eq!(listed(&api, "unmatched_payment").await, 0);
    assert_eq!(api.command("crm@other", DISMISS, REASON).await, (200, done), "what is dismissed is shown as it is");
}

#[tokio::test(start_paused = true)]
async fn what_was_dismissed_by_mistake_is_applied_by_a_replay() {
    let api = waiting().await;
    api.env.clock.advance(std::time::Duration::from_secs(cashier_core::duty::UNKNOWN_EVENT_SECONDS as u64 + 10));
    api.env.run_for(10).await;
    assert_eq!(api.command("manager", DISMISS, REASON).await.0, 200);
    let reference = reference_of_the_payment(&api).await;
    let own = crate::test_cashier::paid("evt_shop", &reference);
    lock(&api.env.provider.understood).insert("shop 1".to_owned(), vec![own]);
    let (number, replayed) = api.command("manager", "MngReplayCashierProviderEvent", r#"{"id":1}"#).await;
    assert_eq!((number, &replayed["changed"]), (200, &json!(1)), "{replayed}");
    api.env.run_for(5).await;
    assert_eq!(api.env.status(cashier_core::ids::TransactionId(1)), 3);
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_webhook_is_not_dismissed() {
    let api = ManagerApi::open().await;
    api.env.raw_notice(Some(1), "unreadable 1".to_owned()).await.unwrap();
    assert_eq!(api.error("manager", DISMISS, REASON).await, (409, "WRONG_STATUS".into()));
    assert_eq!(listed(&api, "unreadable_notice").await, 1);
}

async fn reference_of_the_payment(api: &ManagerApi) -> cashier_core::ids::Reference {
    api.env.deposit("k").await.unwrap().transaction.reference
}
