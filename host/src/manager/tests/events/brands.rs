//! Replay by a session of one brand: each check that keeps another brand's events, money and secrets from it fails a test of its own.

use cashier_core::ids::Reference;

use super::super::*;
use super::replay::{ION4, REPLAY, confirmed, newest, pending, rejected, replays_recorded, secret_is_right};

#[tokio::test(start_paused = true)]
async fn f4_another_brand_and_another_role_replay_nothing() {
    let api = ManagerApi::open().await;
    let reference = pending(&api).await;
    let id = rejected(&api, "lost 1").await;
    secret_is_right(&api, "lost 1", &reference);
    let event = format!(r#"{{"where":[["id","=",{id}]]}}"#);
    let stored = async || api.command("manager", super::LIST, &event).await.1["rows"][0].clone();
    let before = stored().await;
    let one = format!(r#"{{"id":{id}}}"#);
    let all = r#"{"provider_config_id":1,"since":0}"#;
    for data in [&*one, all] {
        assert_eq!(api.error("manager@other", REPLAY, data).await, (404, "RET_ERR_NOTFOUND".into()), "{data}");
        assert_eq!(api.error("customer", REPLAY, data).await, (403, "PERMISSION_DENIED".into()), "{data}");
    }
    for data in [r#"{"id":99}"#, r#"{"provider_config_id":99,"since":0}"#] {
        assert_eq!(api.error("manager", REPLAY, data).await, (404, "RET_ERR_NOTFOUND".into()), "{data}");
    }
    api.env.run_for(2).await;
    assert_eq!((stored().await, api.env.status(ION4), api.env.trading.balance()), (before.clone(), 1, 0));
    // What they were refused would have changed something.
    let (number, replayed) = api.command("manager@ion4", REPLAY, &one).await;
    api.env.run_for(2).await;
    assert_eq!((number, &replayed["changed"], api.env.status(ION4)), (200, &json!(1), 3), "{replayed}");
    assert_ne!(stored().await, before);
}

#[tokio::test(start_paused = true)]
async fn f4_money_of_another_brand_that_shares_the_merchant_account_is_neither_moved_nor_shown() {
    let api = ManagerApi::open().await;
    let reference = pending(&api).await;
    // It came to the endpoint of the other brand's config, which rejected it.
    api.env.raw_notice(Some(3), "lost 1".to_owned()).await.unwrap_err();
    api.env.run_for(1).await;
    let id = newest(&api).await;
    secret_is_right(&api, "lost 1", &reference);
    let since = r#"{"provider_config_id":3,"since":0}"#;
    for dry_run in [1, 0] {
        let one = format!(r#"{{"id":{id},"dry_run":{dry_run}}}"#);
        assert_eq!(api.error("manager@other", REPLAY, &one).await, (404, "RET_ERR_NOTFOUND".into()));
    }
    let (_, turn) = api.command("manager@other", REPLAY, since).await;
    assert_eq!((&turn["outcomes"], &turn["done"]), (&json!([]), &json!(0)), "{turn}");
    // One that was read is about the other brand, whose events of this config are not there for this session.
    let _ = api.env.notice(Some(3), vec![confirmed("evt_2", &reference)]).await;
    api.env.run_for(2).await;
    let calls = api.all_records().len();
    let (_, turn) = api.command("manager@other", REPLAY, since).await;
    assert_eq!((&turn["outcomes"], &turn["done"]), (&json!([]), &json!(0)), "{turn}");
    assert_eq!((api.all_records().len(), replays_recorded(&api)), (calls, 0), "no record names it");
    let (_, turn) = api.command("manager", REPLAY, since).await;
    assert_ne!(turn["done"], json!(0), "a session of every brand recovers them: {turn}");
}

#[tokio::test(start_paused = true)]
async fn f4_an_event_of_another_brand_that_would_change_nothing_is_not_shown_either() {
    let api = ManagerApi::open().await;
    let id = rejected(&api, "forged").await;
    let one = format!(r#"{{"id":{id}}}"#);
    assert_eq!(api.error("manager@other", REPLAY, &one).await, (404, "RET_ERR_NOTFOUND".into()));
    let (number, shown) = api.command("manager@ion4", REPLAY, &one).await;
    assert_eq!((number, &shown["outcomes"][0]["verdict"]), (200, &json!("rejected")), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn f4_events_from_before_a_config_came_to_this_brand_are_left_out_of_its_turns() {
    let api = ManagerApi::open().await;
    rejected(&api, "forged").await;
    let moved = api.command("manager", "MngUpdateCashierProviderConfig", r#"{"id":1,"brand":"other"}"#).await;
    assert_eq!((moved.0, &moved.1["provider"]["brand"]), (200, &json!("other")), "{moved:?}");
    let since = r#"{"provider_config_id":1,"since":0}"#;
    // Replayed, it changes nothing that could be refused: its brand alone leaves it out.
    let (number, turn) = api.command("manager@other", REPLAY, since).await;
    assert_eq!((number, &turn["outcomes"], &turn["done"]), (200, &json!([]), &json!(0)), "{turn}");
    let (_, turn) = api.command("manager", REPLAY, since).await;
    assert_eq!((&turn["changed"], &turn["done"]), (&json!(0), &json!(1)), "{turn}");
}

#[tokio::test(start_paused = true)]
async fn f4_a_rejected_webhook_is_verified_by_no_config_of_another_brand() {
    let api = ManagerApi::open().await;
    // Config 1 of ion4 would verify it; it came to the endpoint of the other brand's.
    let stated = vec![confirmed("evt_1", &Reference::from_random(9))];
    api.env.notice_signed_by(1, Some(3), stated).await.unwrap_err();
    api.env.run_for(1).await;
    let one = format!(r#"{{"id":{}}}"#, newest(&api).await);
    let commits = api.env.disk.commits();
    let (number, shown) = api.command("manager@other", REPLAY, &one).await;
    assert_eq!((number, &shown["outcomes"][0]["verdict"]), (200, &json!("rejected")), "{shown}");
    assert_eq!((&shown["changed"], api.env.disk.commits()), (&json!(0), commits));
    let (_, shown) = api.command("manager", REPLAY, &one).await;
    assert_eq!((&shown["outcomes"][0]["verdict"], &shown["changed"]), (&json!("understood"), &json!(1)), "{shown}");
}
