//! Replay: one event or all of a config since a time, with its dry run; what was rejected and is recovered counts once.

use std::sync::atomic::Ordering;

use cashier_core::change::Body;
use cashier_core::ids::{ConfigId, NoticeId, Reference, TransactionId};

use super::super::*;
use crate::test_cashier::{lock, paid};

pub(super) const REPLAY: &str = "MngReplayCashierProviderEvent";
pub(super) const ION4: TransactionId = TransactionId(1);

/// A deposit of 250 USD for the brand ion4, under config 1.
pub(super) async fn pending(api: &ManagerApi) -> Reference {
    let request = DepositRequest { amount: usd(25_000), ..deposit_request("k") };
    api.env.deposit_as(request).await.unwrap().transaction.reference
}

/// A webhook that its config rejects, and its event.
pub(super) async fn rejected(api: &ManagerApi, body: &str) -> u64 {
    api.env.raw_notice(Some(1), body.to_owned()).await.unwrap_err();
    api.env.run_for(1).await;
    newest(api).await
}

/// From now on the config verifies this body: its secret was entered wrong before.
pub(super) fn secret_is_right(api: &ManagerApi, body: &str, reference: &Reference) {
    lock(&api.env.provider.understood).insert(body.to_owned(), vec![confirmed("evt_1", reference)]);
}

pub(super) fn confirmed(event: &str, reference: &Reference) -> cashier_core::notice::Update {
    use cashier_core::notice::{StatedAmount, Update};
    Update { amount: Some(StatedAmount::Exact(usd(25_000))), ..paid(event, reference) }
}

pub(super) async fn newest(api: &ManagerApi) -> u64 {
    let (_, all) =
        api.command("manager", "MngGetCashierProviderEventsByFilter", r#"{"orderBy":[["id","desc"]]}"#).await;
    all["rows"][0]["id"].as_u64().unwrap()
}

pub(super) fn replays_recorded(api: &ManagerApi) -> usize {
    let replayed =
        |body: &Body| matches!(body, Body::Audit(record) if &*record.command == REPLAY && record.outcome == "replayed");
    api.env.disk.bodies().iter().filter(|body| replayed(body)).count()
}

#[tokio::test(start_paused = true)]
async fn f4_a_webhook_that_was_rejected_for_a_wrong_secret_is_recovered_and_counts_once() {
    let api = ManagerApi::open().await;
    let reference = pending(&api).await;
    let id = rejected(&api, "lost 1").await;
    let data = format!(r#"{{"id":{id}}}"#);
    let (_, forged) = api.command("manager", REPLAY, &data).await;
    assert_eq!((&forged["outcomes"][0]["verdict"], &forged["changed"]), (&json!("rejected"), &json!(0)));
    assert_eq!((api.env.status(ION4), replays_recorded(&api)), (1, 0), "a forged one stays rejected");

    secret_is_right(&api, "lost 1", &reference);
    let (number, found) = api.command("manager@ion4", REPLAY, &data).await;
    api.env.run_for(2).await;
    assert_eq!((number, &found["outcomes"][0]["verdict"]), (200, &json!("understood")), "{found}");
    let event = &found["events"][0];
    assert_eq!([&event["signature_status"], &event["processing_status"]], [&json!(1), &json!(1)], "{found}");
    assert_eq!((api.env.status(ION4), api.env.trading.balance(), replays_recorded(&api)), (3, 25_000, 1));

    // The provider sends it again, and the manager asks again.
    let again = api.env.raw_notice(Some(1), "lost 1".to_owned()).await.unwrap();
    assert!(again.duplicate);
    let (_, found) = api.command("manager", REPLAY, &data).await;
    assert_eq!((&found["outcomes"][0]["verdict"], &found["changed"]), (&json!("recovered before"), &json!(0)));
    api.env.run_for(2).await;
    assert_eq!((api.env.trading.balance(), replays_recorded(&api)), (25_000, 1));
}

#[tokio::test(start_paused = true)]
async fn f4_a_recovered_webhook_that_came_again_before_adds_nothing() {
    let api = ManagerApi::open().await;
    let reference = pending(&api).await;
    let id = rejected(&api, "lost 1").await;
    secret_is_right(&api, "lost 1", &reference);
    api.env.raw_notice(Some(1), "lost 1".to_owned()).await.unwrap();
    api.env.run_for(2).await;
    let (_, found) = api.command("manager", REPLAY, &format!(r#"{{"id":{id}}}"#)).await;
    api.env.run_for(2).await;
    assert_eq!(found["outcomes"][0]["transactions"], json!([]), "{found}");
    assert_eq!((api.env.status(ION4), api.env.trading.balance()), (3, 25_000));
}

#[tokio::test(start_paused = true)]
async fn f4_a_processed_event_that_is_replayed_changes_nothing_however_often() {
    let api = ManagerApi::open().await;
    let reference = pending(&api).await;
    api.env.notice(Some(1), vec![confirmed("evt_1", &reference)]).await.unwrap();
    api.env.run_for(2).await;
    let commits = api.env.disk.commits();
    for _ in 0..2 {
        let (_, found) = api.command("manager", REPLAY, r#"{"id":1}"#).await;
        let outcome = &found["outcomes"][0];
        assert_eq!((&outcome["verdict"], &outcome["changed"]), (&json!("understood"), &json!(0)), "{found}");
        assert_eq!(found["events"][0]["id"], 1);
    }
    api.env.run_for(2).await;
    assert_eq!((api.env.disk.commits(), api.env.trading.balance()), (commits, 25_000));
}

#[tokio::test(start_paused = true)]
async fn f4_a_dry_run_says_what_would_change_and_changes_nothing() {
    let api = ManagerApi::open().await;
    let reference = pending(&api).await;
    let id = rejected(&api, "lost 1").await;
    secret_is_right(&api, "lost 1", &reference);
    let commits = api.env.disk.commits();
    let (_, found) = api.command("manager", REPLAY, &format!(r#"{{"id":{id},"dry_run":1}}"#)).await;
    let expected = json!([{
        "transaction_id": 1, "facts_added": ["confirmed"], "status_before": 1, "status_after": 2,
        "owed_before": 0.0, "owed_after": 250.0
    }]);
    assert_eq!((&found["outcomes"][0]["transactions"], &found["dry_run"]), (&expected, &json!(1)), "{found}");
    assert_eq!((&found["events"][0]["id"], &found["changed"]), (&json!(0), &json!(1)), "a row that there is not yet");
    api.env.run_for(2).await;
    assert_eq!((api.env.disk.commits(), api.env.status(ION4), api.env.trading.balance()), (commits, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn f4_an_event_that_a_newer_build_reads_otherwise_is_applied_in_its_row() {
    let mut api = ManagerApi::open().await;
    let reference = pending(&api).await;
    // Today's build reads neither reference nor id in it.
    let ignored = api.env.raw_notice(Some(1), "ignored".to_owned()).await.unwrap();
    assert_eq!(ignored.events[0].processing_status.number(), 3);
    *lock(&api.env.provider.build) = "cd".to_owned();
    api.env.crash().await;
    api.context.cashier = Arc::clone(&api.env.cashier);
    lock(&api.env.provider.understood).insert("ignored".to_owned(), vec![confirmed("evt_ignored", &reference)]);
    let (_, found) = api.command("manager", REPLAY, r#"{"id":1}"#).await;
    api.env.run_for(2).await;
    let event = &found["events"][0];
    assert_eq!(
        (&event["id"], &event["processing_status"], &event["transaction_id"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!((api.env.status(ION4), api.env.trading.balance(), replays_recorded(&api)), (3, 25_000, 1));
    // Read as before again, what was applied stays.
    lock(&api.env.provider.understood).clear();
    let (_, found) = api.command("manager", REPLAY, r#"{"id":1}"#).await;
    assert_eq!((&found["changed"], &found["events"][0]["processing_status"]), (&json!(0), &json!(1)));
}

#[tokio::test(start_paused = true)]
async fn f4_two_managers_who_replay_at_once_and_a_crash_before_the_commit_credit_once() {
    let mut api = ManagerApi::open().await;
    let reference = pending(&api).await;
    let id = rejected(&api, "lost 1").await;
    secret_is_right(&api, "lost 1", &reference);
    let data = format!(r#"{{"id":{id}}}"#);
    // The commit never reaches the disk: nothing is credited.
    api.env.disk.held.store(true, Ordering::SeqCst);
    let lost = tokio::time::timeout(std::time::Duration::from_secs(1), api.command("manager", REPLAY, &data)).await;
    assert!(lost.is_err());
    api.env.crash().await;
    api.context.cashier = Arc::clone(&api.env.cashier);
    assert_eq!((api.env.status(ION4), api.env.trading.balance()), (1, 0));
    let (one, other) = tokio::join!(api.command("manager#7", REPLAY, &data), api.command("manager#8", REPLAY, &data));
    assert_eq!((one.0, other.0), (200, 200));
    api.env.run_for(5).await;
    assert_eq!((api.env.status(ION4), api.env.trading.balance()), (3, 25_000));
}

#[tokio::test(start_paused = true)]
async fn f4_all_events_of_a_config_since_a_time_are_recovered_in_turns_oldest_first() {
    let api = ManagerApi::open().await;
    let reference = pending(&api).await;
    rejected(&api, "too early").await;
    api.env.clock.advance(std::time::Duration::from_secs(100));
    let since = api.env.cashier.clock.now().0;
    for number in 0..150 {
        // Most came within one second.
        api.env.raw_notice(Some(1), format!("lost {number}")).await.unwrap_err();
        api.env.run_for(1).await;
    }
    secret_is_right(&api, "lost 149", &reference);
    secret_is_right(&api, "too early", &reference);
    let first = format!(r#"{{"provider_config_id":1,"since":{since}}}"#);
    let (number, turn) = api.command("manager", REPLAY, &first).await;
    assert_eq!((number, &turn["done"], &turn["changed"]), (200, &json!(128), &json!(0)), "{turn}");
    let (next, after) = (&turn["next_since"], &turn["next_after_id"]);
    let dry = format!(r#"{{"provider_config_id":1,"since":{next},"after_id":{after},"dry_run":1}}"#);
    let (_, would) = api.command("manager", REPLAY, &dry).await;
    assert_eq!((&would["done"], &would["changed"], api.env.status(ION4)), (&json!(22), &json!(1), 1));
    let second = format!(r#"{{"provider_config_id":1,"since":{next},"after_id":{after}}}"#);
    let (_, turn) = api.command("manager", REPLAY, &second).await;
    api.env.run_for(2).await;
    assert_eq!((&turn["done"], &turn["changed"], &turn["next_after_id"]), (&json!(22), &json!(1), &json!(0)));
    assert_eq!((api.env.status(ION4), api.env.trading.balance()), (3, 25_000));
}

#[tokio::test(start_paused = true)]
async fn f4_requests_that_name_no_event_or_two_ways_are_refused() {
    let api = ManagerApi::open().await;
    let wrong = [
        "{}",
        r#"{"id":1,"provider_config_id":1,"since":1}"#,
        r#"{"provider_config_id":1}"#,
        r#"{"since":1}"#,
        r#"{"id":1,"after_id":1}"#,
    ];
    for data in wrong {
        assert_eq!(api.error("manager", REPLAY, data).await, (400, "INVALID_DATA".into()), "{data}");
    }
}

#[tokio::test(start_paused = true)]
async fn f4_a_module_that_does_not_work_and_a_body_that_is_not_there_change_nothing() {
    let api = ManagerApi::open().await;
    let reference = pending(&api).await;
    api.env.notice(Some(1), vec![confirmed("evt_1", &reference)]).await.unwrap();
    rejected(&api, "lost 1").await;
    lock(&api.env.provider.not_working).push(ConfigId(1));
    for data in [r#"{"id":1}"#, r#"{"id":2,"dry_run":1}"#, r#"{"provider_config_id":1,"since":0}"#] {
        assert_eq!(api.error("manager", REPLAY, data).await, (503, "PROVIDER_UNAVAILABLE".into()), "{data}");
    }
    lock(&api.env.provider.not_working).clear();
    api.env.disk.without_notices.store(true, Ordering::SeqCst);
    assert_eq!(api.error("manager", REPLAY, r#"{"id":1}"#).await, (404, "RET_ERR_NOTFOUND".into()));
    let (_, all) = api.command("manager", REPLAY, r#"{"provider_config_id":1,"since":0}"#).await;
    let verdicts: Vec<&Value> = all["outcomes"].as_array().unwrap().iter().map(|one| &one["verdict"]).collect();
    assert_eq!(verdicts, [&json!("body deleted"), &json!("body deleted")], "{all}");
}

#[tokio::test(start_paused = true)]
async fn f4_a_verified_event_whose_stored_body_is_not_the_one_that_came_is_not_read() {
    let api = ManagerApi::open().await;
    let reference = pending(&api).await;
    api.env.notice(Some(1), vec![confirmed("evt_other", &Reference::from_random(9))]).await.unwrap();
    api.env.run_for(2).await;
    // Somebody edits the file: the body now states that this payment is paid.
    let forged = api.env.provider.notice_body(vec![confirmed("evt_forged", &reference)]);
    api.env.disk.alter_body(NoticeId(1), &forged);
    for data in [r#"{"id":1,"dry_run":1}"#, r#"{"id":1}"#, r#"{"provider_config_id":1,"since":0}"#] {
        let (number, found) = api.command("manager", REPLAY, data).await;
        let outcome = &found["outcomes"][0];
        assert_eq!((number, &outcome["verdict"], &outcome["proof"]), (200, &json!("body altered"), &json!("none")));
        assert!(outcome["because"].as_str().unwrap().contains("its digest is another"), "{found}");
    }
    api.env.run_for(2).await;
    assert_eq!((api.env.status(ION4), api.env.trading.balance()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn f4_a_module_that_does_not_answer_once_is_not_taken_for_one_whose_secret_is_gone() {
    let api = ManagerApi::open().await;
    let reference = pending(&api).await;
    api.env.notice(Some(1), vec![confirmed("evt_1", &reference)]).await.unwrap();
    api.env.notice(Some(1), vec![confirmed("evt_2", &reference)]).await.unwrap();
    api.env.run_for(2).await;
    let stuck = || api.env.provider.stuck_tries.store(1, Ordering::SeqCst);
    for data in [r#"{"id":1,"secret_required":1}"#, r#"{"id":1}"#, r#"{"id":1,"dry_run":1}"#] {
        stuck();
        assert_eq!(api.error("manager", REPLAY, data).await, (503, "PROVIDER_UNAVAILABLE".into()), "{data}");
    }
    stuck();
    let all = r#"{"provider_config_id":1,"since":0,"secret_required":1}"#;
    let (_, turn) = api.command("manager", REPLAY, all).await;
    let verdicts: Vec<&Value> = turn["outcomes"].as_array().unwrap().iter().map(|one| &one["verdict"]).collect();
    assert_eq!(verdicts, [&json!("module not working"), &json!("understood")], "{turn}");
}

#[tokio::test(start_paused = true)]
async fn f4_a_webhook_that_was_cut_in_quarantine_is_recovered_by_no_module_that_does_not_sign_its_body() {
    let api = ManagerApi::open().await;
    let reference = pending(&api).await;
    let body = format!("lost {}", "x".repeat(100_000));
    let id = rejected(&api, &body).await;
    // The module verifies what is stored of it, which is not what came.
    secret_is_right(&api, &body[..16 * 1024], &reference);
    for data in [format!(r#"{{"id":{id}}}"#), r#"{"provider_config_id":1,"since":0}"#.to_owned()] {
        let (_, found) = api.command("manager", REPLAY, &data).await;
        let outcome = &found["outcomes"][0];
        assert_eq!((&outcome["verdict"], &outcome["proof"]), (&json!("rejected"), &json!("none")), "{found}");
        assert!(outcome["reason"].as_str().unwrap().contains("was cut"), "{found}");
    }
    api.env.run_for(2).await;
    assert_eq!((api.env.status(ION4), api.env.trading.balance()), (1, 0));
}
