//! Changes of configs as evidence: who changed which field, and the second person where the settings ask for one.

use cashier_core::change::{AuditRecord, Body};
use cashier_core::edit::AuditedValue;

use super::*;

const UPDATE: &str = "MngUpdateCashierProviderConfig";
const APPROVE: &str = "MngApproveCashierChange";
const REJECT: &str = "MngRejectCashierChange";
const LIST: &str = "MngGetCashierApprovalsByFilter";

/// A replacement of config 1's webhook secret.
const REPLACEMENT: &str = r#"{"id":1,"webhook_secret":"CANARY-of-the-dealer"}"#;

impl ManagerApi {
    pub(super) fn webhook_secret(&self) -> String {
        let snapshot = self.env.cashier.snapshot();
        snapshot.config(cashier_core::ids::ConfigId(1)).unwrap().config.webhook_secret.expose().to_owned()
    }

    /// The approvals that the list finds by a state.
    async fn ids_in_state(&self, state: &str) -> Vec<Value> {
        let (_, found) = self.command("manager", LIST, &format!(r#"{{"where":[["state","=","{state}"]]}}"#)).await;
        let rows = found["rows"].as_array().unwrap();
        assert!(rows.iter().all(|row| row["state"] == state), "{found}");
        rows.iter().map(|row| row["id"].clone()).collect()
    }

    /// Of what was done.
    pub(super) fn records(&self) -> Vec<AuditRecord> {
        self.all_records().into_iter().filter(|record| !record.outcome.starts_with("refused")).collect()
    }

    pub(super) fn all_records(&self) -> Vec<AuditRecord> {
        let bodies = self.env.disk.bodies();
        bodies
            .into_iter()
            .filter_map(|body| if let Body::Audit(record) = body { Some(*record) } else { None })
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn m14_each_change_of_a_config_is_recorded_with_who_when_and_which_field() {
    let api = ManagerApi::open().await;
    let before = api.webhook_secret();
    assert_eq!(api.command("dealer#7", UPDATE, REPLACEMENT).await.0, 200);
    let back = format!(r#"{{"id":1,"webhook_secret":"{before}","sort_index":9}}"#);
    assert_eq!(api.command("dealer#7", UPDATE, &back).await.0, 200);
    assert_eq!(api.command("manager#8", UPDATE, r#"{"id":1}"#).await.0, 200);
    let records = api.records();
    let fields: Vec<Vec<&str>> =
        records.iter().map(|record| record.changes.iter().map(|change| &*change.field).collect()).collect();
    // The replaced secret verifies for a week more: that there is one is a change of its own.
    let expected = [
        vec!["webhook_secret", "replaced_webhook_secrets"],
        vec!["sort_index", "webhook_secret", "replaced_webhook_secrets"],
    ];
    assert_eq!(fields, expected, "an edit that changes nothing leaves no record");
    let first = &records[0];
    let who = (first.manager_id, first.role, &*first.command, first.config_id.0, &*first.outcome);
    assert_eq!(who, (ManagerId(7), Role::Dealer, UPDATE, 1, "saved"));
    assert!(matches!(&first.changes[0].after, AuditedValue::Hidden(_)), "a secret is recorded as a fingerprint");
    assert!(!format!("{records:?}").contains("CANARY"), "no record shows a secret");
}

#[tokio::test(start_paused = true)]
async fn m14_a_second_person_approves_a_replaced_secret_where_settings_ask_for_it() {
    let api = ManagerApi::with_second_person().await;
    let before = api.webhook_secret();
    let (number, asked) = api.command("dealer#7", UPDATE, REPLACEMENT).await;
    assert_eq!((number, &asked["approval"]["state"], &asked["approval"]["asked_by"]), (202, &json!("open"), &json!(7)));
    assert_eq!(asked["approval"]["fields"], json!(["webhook_secret", "replaced_webhook_secrets"]));
    assert_eq!(api.webhook_secret(), before, "nothing changed yet");
    let by_id = format!(r#"{{"id":{}}}"#, asked["approval"]["id"]);
    assert_eq!(api.error("dealer#7", APPROVE, &by_id).await, (403, "PERMISSION_DENIED".into()), "never by who asked");
    assert_eq!(api.error("manager#8@other", APPROVE, &by_id).await, (404, "RET_ERR_NOTFOUND".into()));
    assert_eq!(api.error("manager#8", APPROVE, r#"{"id":999}"#).await, (404, "RET_ERR_NOTFOUND".into()));
    assert_eq!(api.command("manager", LIST, r#"{"where":[["asked_by","=",7]]}"#).await.1["count"], 1);
    assert_eq!(api.command("manager@other", LIST, "{}").await.1["count"], 0);
    assert_eq!(api.ids_in_state("open").await, [asked["approval"]["id"].clone()]);

    let (_, approved) = api.command("manager#8", APPROVE, &by_id).await;
    assert_eq!((&approved["approval"]["state"], &approved["approval"]["decided_by"]), (&json!("approved"), &json!(8)));
    assert_eq!(api.webhook_secret(), "CANARY-of-the-dealer", "what was asked is what was done");
    assert_eq!(api.error("manager#9", APPROVE, &by_id).await, (409, "RET_ERR_DUPLICATE".into()));
    assert_eq!(api.error("manager#9", REJECT, &by_id).await, (409, "RET_ERR_DUPLICATE".into()));
    let outcomes: Vec<_> = api.records().into_iter().map(|record| (record.manager_id.0, record.outcome)).collect();
    assert_eq!(outcomes, [(7, "approval asked".into()), (8, "saved".into())]);
}

#[tokio::test(start_paused = true)]
async fn m14_an_approval_is_rejected_or_refused_once_the_config_changed() {
    let api = ManagerApi::with_second_person().await;
    let before = api.webhook_secret();
    let ask = async || {
        let (number, asked) = api.command("dealer#7", UPDATE, REPLACEMENT).await;
        assert_eq!(number, 202);
        format!(r#"{{"id":{}}}"#, asked["approval"]["id"])
    };
    let rejected = ask().await;
    assert_eq!(api.command("dealer#7", REJECT, &rejected).await.1["approval"]["state"], "rejected");
    assert_eq!(api.error("manager#8", APPROVE, &rejected).await, (409, "RET_ERR_DUPLICATE".into()));
    assert_eq!((api.ids_in_state("open").await.len(), api.ids_in_state("rejected").await.len()), (0, 1));
    let stale = ask().await;
    assert_eq!(refunds_approved::listed(&api).await, [APPROVE]);
    assert_eq!(api.command("manager#8", UPDATE, r#"{"id":1,"sort_index":5}"#).await.0, 200, "needs one person");
    assert_eq!(refunds_approved::listed(&api).await, [REJECT], "it can only be rejected");
    assert_eq!(api.error("manager#8", APPROVE, &stale).await, (409, "APPROVAL_STALE".into()));
    let old = ask().await;
    api.env.clock.advance(std::time::Duration::from_secs(cashier_core::approval::APPROVAL_SECONDS.cast_unsigned()));
    assert_eq!(api.error("manager#8", APPROVE, &old).await, (409, "APPROVAL_STALE".into()), "it is expired");
    let by_state = |state: &'static str| api.ids_in_state(state);
    let counts = [by_state("open").await, by_state("expired").await, by_state("approved").await].map(|ids| ids.len());
    assert_eq!(counts, [0, 2, 0], "the state is that of now: nothing was written when they expired");
    assert_eq!(api.webhook_secret(), before);
}

#[tokio::test(start_paused = true)]
async fn m14_also_an_endpoint_an_enabling_and_the_other_form_of_a_secret_wait_and_disabling_does_not() {
    let api = ManagerApi::with_second_person().await;
    let waits = [
        r#"{"id":1,"secret_key":"CANARY"}"#,
        r#"{"id":1,"config_json":"{\"webhook_secret\":\"CANARY\"}"}"#,
        r#"{"id":1,"public_key":"pk_other"}"#,
        r#"{"provider":"stripe","brand":"ion4","secret_key":"CANARY","webhook_secret":"CANARY","enabled":1}"#,
    ];
    for data in waits {
        assert_eq!(api.command("dealer#7", UPDATE, data).await.0, 202, "{data}");
    }
    let draft = r#"{"provider":"stripe","brand":"ion4","secret_key":"CANARY","webhook_secret":"CANARY","enabled":0}"#;
    let (number, made) = api.command("dealer#7", UPDATE, draft).await;
    assert_eq!(number, 200, "a draft receives nothing and is made by one person");
    let enable = format!(r#"{{"id":{},"enabled":1}}"#, made["provider"]["id"]);
    let (number, asked) = api.command("dealer#7", UPDATE, &enable).await;
    let fields = json!(["enabled", "provider", "brand", "secret_key", "webhook_secret"]);
    assert_eq!((number, &asked["approval"]["fields"]), (202, &fields), "all that is put into service");
    assert_eq!(api.command("dealer#7", "MngDeleteCashierProviderConfig", r#"{"id":1}"#).await.0, 200);
    assert_eq!(api.command("dealer#7", UPDATE, r#"{"id":2,"enabled":0}"#).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_replaced_secret_of_an_enabled_config_is_revoked_and_the_config_disabled_by_one_person() {
    for classes in [&["credentials"][..], &["endpoints"], &["enabling"], &["credentials", "endpoints", "enabling"]] {
        let api = ManagerApi::with_second_person_for(classes).await;
        let (number, asked) = api.command("dealer#7", UPDATE, REPLACEMENT).await;
        if number == 202 {
            let by_id = format!(r#"{{"id":{}}}"#, asked["approval"]["id"]);
            assert_eq!(api.command("manager#8", APPROVE, &by_id).await.0, 200);
        }
        let state = || {
            let snapshot = api.env.cashier.snapshot();
            let config = &snapshot.config(cashier_core::ids::ConfigId(1)).unwrap().config;
            (config.enabled, config.replaced_webhook_secrets.len())
        };
        assert_eq!(state(), (true, 1), "{classes:?}");
        let (number, revoked) = api.command("dealer#7", UPDATE, r#"{"id":1,"revoke_previous":1}"#).await;
        assert_eq!((number, state()), (200, (true, 0)), "{classes:?}: {revoked}");
        let (number, disabled) = api.command("dealer#7", UPDATE, r#"{"id":1,"enabled":0}"#).await;
        assert_eq!((number, state()), (200, (false, 0)), "{classes:?}: {disabled}");
        // With a new secret it is a replacement, and waits as one.
        let both = r#"{"id":1,"webhook_secret":"CANARY-of-another","revoke_previous":1,"enabled":1}"#;
        assert_eq!(api.command("dealer#7", UPDATE, both).await.0, if classes == ["endpoints"] { 200 } else { 202 });
    }
}

#[tokio::test(start_paused = true)]
async fn m14_an_open_approval_survives_a_restart() {
    let mut api = ManagerApi::with_second_person().await;
    let (_, asked) = api.command("dealer#7", UPDATE, REPLACEMENT).await;
    api.env.crash().await;
    api.context.cashier = Arc::clone(&api.env.cashier);
    let by_id = format!(r#"{{"id":{}}}"#, asked["approval"]["id"]);
    assert_eq!(api.command("manager#8", APPROVE, &by_id).await.0, 200);
    assert_eq!(api.webhook_secret(), "CANARY-of-the-dealer");
}

const DRAFT: &str =
    r#"{"provider":"stripe","brand":"ion4","secret_key":"CANARY","webhook_secret":"CANARY","enabled":0}"#;
const DISABLE: &str = r#"{"id":1,"enabled":0}"#;
const ENABLE: &str = r#"{"id":1,"enabled":1}"#;

#[tokio::test(start_paused = true)]
async fn credentials_of_a_draft_that_nobody_approved_are_not_enabled_by_one_person() {
    for (names, waits) in [
        (&["credentials"][..], 202),
        (&["endpoints"], 202), // which module gets the requests
        (&["credentials", "endpoints"], 202),
        (&["enabling"], 202),
        (&[], 200),
    ] {
        let api = ManagerApi::with_second_person_for(names).await;
        let (number, made) = api.command("dealer#7", UPDATE, DRAFT).await;
        assert_eq!(number, 200, "{names:?}: a draft receives nothing");
        let enable = format!(r#"{{"id":{},"enabled":1}}"#, made["provider"]["id"]);
        assert_eq!(api.command("dealer#7", UPDATE, &enable).await.0, waits, "{names:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_swapped_while_an_unused_config_was_disabled_wait_when_it_is_enabled_and_are_shown() {
    for names in [&["credentials"][..], &["credentials", "endpoints"], &SecondPerson::NAMES] {
        let mut api = ManagerApi::with_second_person_for(names).await;
        assert_eq!(api.command("dealer#7", UPDATE, REPLACEMENT).await.0, 202);
        assert_eq!(api.command("dealer#7", UPDATE, DISABLE).await.0, 200);
        assert_eq!(api.command("dealer#7", UPDATE, REPLACEMENT).await.0, 200, "a draft again");
        api.env.crash().await;
        api.context.cashier = Arc::clone(&api.env.cashier);
        let (number, asked) = api.command("dealer#7", UPDATE, ENABLE).await;
        let fields = json!(["enabled", "webhook_secret", "replaced_webhook_secrets"]);
        assert_eq!((number, &asked["approval"]["fields"]), (202, &fields), "{names:?}, also after a restart");
        // Changed once more, it is not what was asked for.
        let swapped = r#"{"id":1,"webhook_secret":"CANARY-swapped"}"#;
        assert_eq!(api.command("dealer#7", UPDATE, swapped).await.0, 200);
        let by_id = format!(r#"{{"id":{}}}"#, asked["approval"]["id"]);
        assert_eq!(api.error("manager#8", APPROVE, &by_id).await, (409, "APPROVAL_STALE".into()));

        let (_, asked) = api.command("dealer#7", UPDATE, ENABLE).await;
        let by_id = format!(r#"{{"id":{}}}"#, asked["approval"]["id"]);
        assert_eq!(api.command("manager#8", APPROVE, &by_id).await.0, 200);
        assert_eq!(api.webhook_secret(), "CANARY-swapped");
        // Approved and not changed since: only an enabling as such waits.
        assert_eq!(api.command("dealer#7", UPDATE, DISABLE).await.0, 200);
        let expected = if names.contains(&"enabling") { 202 } else { 200 };
        assert_eq!(api.command("dealer#7", UPDATE, ENABLE).await.0, expected, "{names:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_enabled_config_is_not_given_to_another_module_mode_or_brand_by_one_person() {
    let moves = [
        (r#"{"id":1,"provider":"bank"}"#, [202, 202, 200]),
        (r#"{"id":1,"sandbox":1}"#, [202, 200, 200]),
        (r#"{"id":1,"merchant_id":"acct_other"}"#, [202, 200, 200]),
        (r#"{"id":1,"brand":"other"}"#, [200, 200, 202]),
        // Where the deposits go stays what was approved.
        (r#"{"id":1,"currency":"EUR","country":"DE","method":"card","min_amount":5}"#, [200, 200, 200]),
    ];
    for (data, expected) in moves {
        for (name, expected) in SecondPerson::NAMES.into_iter().zip(expected) {
            let api = ManagerApi::with_second_person_for(&[name]).await;
            let (number, answer) = api.command("dealer#7", UPDATE, data).await;
            assert_eq!(number, expected, "{name}: {data}: {answer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_request_again_is_the_same_approval_and_one_brand_leaves_the_others_theirs() {
    let api = ManagerApi::with_second_person().await;
    let ask = async |by: &str, data: String| {
        let (number, answer) = api.command(by, UPDATE, &data).await;
        (number, answer["approval"]["id"].clone())
    };
    let request = |at: usize| format!(r#"{{"id":1,"webhook_secret":"CANARY-{at}"}}"#);
    let first = ask("dealer#7@ion4", request(0)).await;
    assert_eq!(first.0, 202);
    assert_eq!(ask("dealer#7@ion4", request(0)).await, first, "a client that retries");
    assert_ne!(ask("dealer#8@ion4", request(0)).await.1, first.1, "another person's request is another one");
    for at in 2..cashier_core::approval::APPROVALS_OF_BRAND_MAX {
        assert_eq!(ask("dealer#7@ion4", request(at)).await.0, 202, "{at}");
    }
    assert_eq!(api.error("dealer#7@ion4", UPDATE, &request(99)).await, (429, "RET_ERR_FREQUENT".into()));
    assert_eq!(ask("dealer#7@ion4", request(0)).await, first, "what waits is found also then");
    let moved = r#"{"id":1,"brand":"other","webhook_secret":"CANARY"}"#.to_owned();
    assert_eq!(ask("dealer#7", moved).await.0, 202, "another brand's");
}
