//! Settings that narrow commands to session types, and the host's owner who approves alone.

use cashier_core::ids::TransactionId;
use cashier_core::notice::Update;
use cashier_core::rights::Rights;
use cashier_core::status::ProviderStatus;

use super::*;
use crate::test_cashier::{lock, update};

const UPDATE: &str = "MngUpdateCashierProviderConfig";
const APPROVE: &str = "MngApproveCashierChange";

/// The settings narrow this command to these session types.
async fn narrowed(command: &'static str, sessions: &[&str], second_person: &[&str]) -> ManagerApi {
    let mut api = ManagerApi::with_second_person_for(second_person).await;
    narrow(&mut api, command, sessions).await;
    api
}

/// The settings do so from the next start on, which this is.
async fn narrow(api: &mut ManagerApi, command: &'static str, sessions: &[&str]) {
    let commands: Vec<_> = COMMANDS.iter().map(|command| (command.name, command.may)).collect();
    let sessions: Vec<Box<str>> = sessions.iter().map(|name| (*name).into()).collect();
    lock(&api.env.trading.rights).0 = Rights::checked([(command, &*sessions)], &commands).unwrap();
    api.env.crash().await;
    api.context.cashier = Arc::clone(&api.env.cashier);
}

#[tokio::test(start_paused = true)]
async fn a_narrowed_command_is_refused_to_the_other_session_types_and_recorded() {
    let api = narrowed(UPDATE, &["SESSION_DEALER"], &[]).await;
    let data = r#"{"id":1,"sort_index":3}"#;
    for token in ["manager", "crm"] {
        assert_eq!(api.error(token, UPDATE, data).await, (403, "PERMISSION_DENIED".into()), "{token}");
    }
    assert_eq!(api.command("dealer", UPDATE, data).await.0, 200);
    assert_eq!(api.command("crm", "MngGetCashierProviderConfigsByFilter", "{}").await.0, 200, "another command");
    let outcomes: Vec<_> = api.all_records().into_iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, ["refused: PERMISSION_DENIED", "refused: PERMISSION_DENIED", "saved"]);
}

#[tokio::test(start_paused = true)]
async fn an_approver_without_the_right_of_the_command_cannot_approve_it() {
    let api = narrowed(UPDATE, &["SESSION_DEALER"], &["credentials"]).await;
    let (number, asked) = api.command("dealer#7", UPDATE, r#"{"id":1,"webhook_secret":"CANARY"}"#).await;
    assert_eq!(number, 202);
    let by_id = format!(r#"{{"id":{}}}"#, asked["approval"]["id"]);
    assert_eq!(api.error("manager#8", APPROVE, &by_id).await, (403, "PERMISSION_DENIED".into()));
    assert_eq!(api.command("dealer#8", APPROVE, &by_id).await.1["approval"]["state"], "approved");
}

#[tokio::test(start_paused = true)]
async fn whoever_owns_the_host_approves_a_config_alone() {
    let api = ManagerApi::with_second_person().await;
    let (_, asked) = api.command("dealer#7", UPDATE, r#"{"id":1,"webhook_secret":"CANARY"}"#).await;
    let by_id = format!(r#"{{"id":{}}}"#, asked["approval"]["id"]);
    assert_eq!(api.error("dealer#7", APPROVE, &by_id).await.0, 403);
    assert_eq!(api.command("glass#7", APPROVE, &by_id).await.1["approval"]["state"], "approved");
    let last = api.all_records().pop().unwrap();
    assert_eq!(
        (last.manager_id, &*last.outcome, last.approval.0),
        (ManagerId(7), "break glass", asked["approval"]["id"].as_u64().unwrap())
    );
}

#[tokio::test(start_paused = true)]
async fn settings_lock_nobody_out_who_owns_the_host() {
    for command in [APPROVE, "MngRejectCashierChange", "MngGetCashierApprovalsByFilter"] {
        let api = narrowed(command, &[], &["credentials"]).await;
        let (_, asked) = api.command("dealer#7", UPDATE, r#"{"id":1,"webhook_secret":"CANARY"}"#).await;
        let by_id = format!(r#"{{"id":{}}}"#, asked["approval"]["id"]);
        let data = if command.ends_with("ByFilter") { "{}" } else { &by_id };
        assert_eq!(api.error("dealer#8", command, data).await.0, 403, "{command}");
        assert_eq!(api.command("glass#7", command, data).await.0, 200, "{command}");
    }
    let api = narrowed(UPDATE, &[], &[]).await;
    assert_eq!(api.error("glass#7", UPDATE, r#"{"id":1,"sort_index":3}"#).await.0, 403, "not about an approval");
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_for_is_approved_by_the_rights_of_today_and_not_by_those_when_it_was_asked() {
    let mut api = ManagerApi::with_second_person_for(&["credentials", "resolving"]).await;
    let (number, asked) = api.command("manager#7", UPDATE, r#"{"id":1,"webhook_secret":"CANARY"}"#).await;
    assert_eq!(number, 202, "{asked}");
    let by_id = format!(r#"{{"id":{}}}"#, asked["approval"]["id"]);
    narrow(&mut api, UPDATE, &["SESSION_DEALER"]).await;
    assert_eq!(api.error("manager#8", APPROVE, &by_id).await, (403, "PERMISSION_DENIED".into()), "it might yesterday");
    assert_eq!(api.error("dealer#8@other", APPROVE, &by_id).await, (404, "RET_ERR_NOTFOUND".into()));
    let (_, listed) = api.command("manager#8", "MngGetCashierApprovalsByFilter", "{}").await;
    assert_eq!(listed["rows"][0]["state"], "open", "nothing was decided: {listed}");
    assert_eq!(api.command("dealer#8", APPROVE, &by_id).await.1["approval"]["state"], "approved");
    assert_eq!(api.webhook_secret(), "CANARY");

    // The same of a decision about a transaction, and of the command that approves.
    const RESOLVE: &str = "MngResolveCashierDoubt";
    const CLOSE: &str = r#"{"id":1,"action":"refuse","reason":"r"}"#;
    api.deposit().await;
    let look = Update { raw_status: "look".into(), ..update("evt_1", ProviderStatus::ManualReview) };
    let reference = api.env.aggregate(TransactionId(1)).transaction.reference;
    api.env.notice(Some(1), vec![Update { reference: Some(reference), ..look }]).await.unwrap();
    assert_eq!(api.env.status(TransactionId(1)), 9);
    let (number, asked) = api.command("manager#7", RESOLVE, CLOSE).await;
    assert_eq!(number, 202, "{asked}");
    let by_id = format!(r#"{{"id":{}}}"#, asked["approval"]["id"]);
    narrow(&mut api, RESOLVE, &["SESSION_DEALER"]).await;
    assert_eq!(api.error("crm#8", APPROVE, &by_id).await, (403, "PERMISSION_DENIED".into()));
    narrow(&mut api, APPROVE, &["SESSION_CRM_MANAGER"]).await;
    assert_eq!(api.error("dealer#8", APPROVE, &by_id).await, (403, "PERMISSION_DENIED".into()));
    assert_eq!(api.env.status(TransactionId(1)), 9, "nothing changed");
    assert_eq!(api.command("crm#8", APPROVE, &by_id).await.1["approval"]["state"], "approved");
    assert_eq!(api.env.status(TransactionId(1)), 6);
}
