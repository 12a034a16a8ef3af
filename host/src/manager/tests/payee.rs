//! The texts of a withdrawal say where its money goes: who saw others does not decide about it, and who wrote them does not
//! process it alone.

use std::sync::atomic::Ordering;

use cashier_core::change::Body;
use cashier_core::edit::AuditedValue;
use cashier_core::facts::PersonFact;
use cashier_core::ids::TransactionId;
use cashier_core::provider_config::Secret;

use super::manual::{DEPOSIT, PROCESS, REJECT, WITHDRAWAL, by_id};
use super::review::RETRY;
use super::*;
use crate::test_cashier::{OnPost, lock};

const APPROVE: &str = "MngApproveCashierChange";
const UPDATE: &str = "MngUpdateCashierTransaction";
const EXPLAIN: &str = "MngExplainCashierTransaction";
const IBAN_X: &str = r#"{"iban":"X"}"#;
const IBAN_Y: &str = r#"{"iban":"Y"}"#;

fn pays_to(id: u64, metadata: &str) -> String {
    json!({"id": id, "metadata_json": metadata}).to_string()
}

fn on(ground: &str, data: &str) -> String {
    data.replacen('{', &format!(r#"{{"ground":"{ground}","#), 1)
}

fn rejected(id: u64) -> String {
    format!(r#"{{"id":{id},"reject_reason":"not this one"}}"#)
}

impl ManagerApi {
    async fn corrects(&self, who: &str, data: &str) {
        let (number, answer) = self.command(who, UPDATE, data).await;
        assert_eq!(number, 200, "{who} {data}: {answer}");
    }

    /// The entries of an explanation that this session sees, of texts that were changed.
    async fn changed_texts(&self, who: &str, id: u64) -> Vec<Value> {
        let (_, mut explained) = self.command(who, EXPLAIN, &by_id(id)).await;
        let Value::Array(entries) = explained["entries"].take() else { panic!("{explained}") };
        entries.into_iter().filter(|entry| entry["title"].to_string().contains(" changed by")).collect()
    }

    fn text_facts(&self, id: u64) -> usize {
        let facts = self.env.aggregate(TransactionId(id)).transaction.facts;
        let is_text =
            |fact: &PersonFact| matches!(fact, PersonFact::CommentWritten { .. } | PersonFact::MetadataWritten { .. });
        facts.persons.iter().filter(|known| is_text(&known.fact)).count()
    }

    fn texts_stored(&self) -> usize {
        self.env.disk.bodies().iter().filter(|body| matches!(body, Body::Texts { .. })).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_payee_is_recorded_with_fingerprints_of_both_and_in_clear_nowhere() {
    let api = ManagerApi::open().await;
    let id = api.requested_with(IBAN_X).await;
    api.corrects("dealer#7", &pays_to(id, IBAN_Y)).await;
    api.corrects("dealer#7", &json!({"id": id, "comment": "called", "metadata_json": "{}"}).to_string()).await;
    let records = api.records();
    let hidden = |text: &str| AuditedValue::Hidden(Secret::new(text));
    let changes: Vec<Vec<(&str, &AuditedValue, &AuditedValue)>> = records
        .iter()
        .map(|record| record.changes.iter().map(|change| (&*change.field, &change.before, &change.after)).collect())
        .collect();
    let (none, called, x, y) = (hidden(""), hidden("called"), hidden(IBAN_X), hidden(IBAN_Y));
    let expected = [vec![("metadata_json", &x, &y)], vec![("comment", &none, &called), ("metadata_json", &y, &none)]];
    assert_eq!(changes, expected, "what is empty is recorded as empty");
}

#[tokio::test(start_paused = true)]
async fn the_records_of_a_payee_that_was_put_back_show_that_it_is_the_same() {
    const LIST: &str = "MngGetCashierAuditByFilter";
    let api = ManagerApi::over(TestCashier::with_bases(&[1]).await).await;
    let id = api.requested_with(IBAN_X).await;
    api.corrects("dealer#7", &pays_to(id, IBAN_Y)).await;
    api.corrects("dealer#7", &pays_to(id, IBAN_X)).await;
    let only = json!({"where": [["transaction_id", "=", id]]}).to_string();
    let (_, listed) = api.command("manager", LIST, &only).await;
    let mut rows = listed["rows"].as_array().unwrap().clone();
    rows.sort_by_key(|row| row["id"].as_u64());
    let (there, back) = (&rows[0]["changes"][0], &rows[1]["changes"][0]);
    assert_eq!([&there["field"], &back["field"]], ["metadata_json"; 2], "{listed}");
    assert!(there["before"].as_str().unwrap().starts_with("fingerprint k1:"), "{listed}");
    assert_eq!([&there["before"], &there["after"]], [&back["after"], &back["before"]]);
    assert_ne!(there["before"], there["after"]);
    assert!(!listed.to_string().contains("iban"), "{listed}");
}

#[tokio::test(start_paused = true)]
async fn who_saw_another_payee_decides_about_nothing_also_after_a_crash() {
    for (command, data) in [(PROCESS, by_id(1)), (REJECT, rejected(1)), (UPDATE, r#"{"id":1,"comment":"c"}"#.into())] {
        let mut api = ManagerApi::open().await;
        assert_eq!(api.requested_with(IBAN_X).await, 1);
        let seen = api.ground(1).await;
        api.corrects("dealer#7", &pays_to(1, IBAN_X)).await;
        assert_eq!(api.ground(1).await, seen, "the texts are the same");
        api.corrects("dealer#7", &pays_to(1, IBAN_Y)).await;
        api.env.crash().await;
        api.context.cashier = Arc::clone(&api.env.cashier);
        let unseen = on(&seen, &data);
        assert_eq!(api.error("dealer#8", command, &unseen).await, (409, "TRANSACTION_CHANGED".into()), "{command}");
        let row = api.seen(1).await;
        assert_eq!((&row["status"], api.posted(1)), (&json!(9), 0), "{command}");
        let now = on(&api.ground(1).await, &data);
        assert_eq!(api.command("dealer#8", command, &now).await.0, 200, "{command}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_whose_answer_was_lost_is_answered_again_and_changes_nothing_more() {
    let api = ManagerApi::open().await;
    let id = api.requested_with(IBAN_X).await;
    let update = on(&api.ground(id).await, &pays_to(id, IBAN_Y));
    let first = api.command("dealer#7", UPDATE, &update).await;
    let (records, stored) = (api.records().len(), api.texts_stored());
    assert_eq!((first.0, api.command("dealer#7", UPDATE, &update).await), (200, first));
    assert_eq!((api.text_facts(id), api.records().len(), api.texts_stored()), (1, records, stored));
    // Another manager wrote since: what would change that is not decided about unseen.
    api.corrects("dealer#8", &pays_to(id, IBAN_X)).await;
    assert_eq!(api.error("dealer#7", UPDATE, &update).await, (409, "TRANSACTION_CHANGED".into()));
    assert_eq!(api.seen(id).await["metadata_json"], IBAN_X);
}

#[tokio::test(start_paused = true)]
async fn the_brand_sees_who_changed_the_payee_and_when_also_where_it_was_a_manager_of_every_brand() {
    let api = ManagerApi::open().await;
    let id = api.requested_with(IBAN_X).await;
    api.env.clock.advance(std::time::Duration::from_secs(60));
    api.corrects("dealer#7", &json!({"id": id, "comment": "c", "metadata_json": IBAN_Y}).to_string()).await;
    for who in ["manager#8@ion4", "manager#8"] {
        let entries = api.changed_texts(who, id).await;
        let titles: Vec<&Value> = entries.iter().map(|entry| &entry["title"]).collect();
        assert_eq!(titles, ["comment changed by manager 7", "metadata changed by manager 7"], "{who}");
        let created = api.seen(id).await["created_time"].as_i64().unwrap();
        assert!(entries.iter().all(|entry| entry["time"].as_i64() >= Some(created + 60)), "{entries:?}");
        assert!(!format!("{entries:?}").contains("iban"), "what they say is not in it: {entries:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_second_person_who_wrote_the_payee_last_does_not_process_and_another_does() {
    let mut api = ManagerApi::with_second_person_for(&["manual"]).await;
    let id = api.requested_with(IBAN_X).await;
    api.corrects("dealer#7", &pays_to(id, IBAN_Y)).await;
    // A comment of another manager does not make the payee his.
    api.corrects("dealer#8", &json!({"id": id, "comment": "called"}).to_string()).await;
    api.env.crash().await;
    api.context.cashier = Arc::clone(&api.env.cashier);
    for who in ["dealer#7", "dealer#8"] {
        assert_eq!(api.error(who, PROCESS, &by_id(id)).await, (403, "PERMISSION_DENIED".into()), "{who}");
    }
    assert_eq!((api.seen(id).await["status"].clone(), api.posted(id)), (json!(9), 0));
    assert_eq!(api.command("dealer#9", PROCESS, &by_id(id)).await.0, 200);
    assert_eq!(api.posted(id), -10_000);

    // Who wrote an earlier one decides about the one of another; rejecting takes one person.
    let id = api.requested_with(IBAN_X).await;
    api.corrects("dealer#7", &pays_to(id, IBAN_Y)).await;
    api.corrects("dealer#8", &pays_to(id, r#"{"iban":"Z"}"#)).await;
    assert_eq!(api.error("dealer#8", PROCESS, &by_id(id)).await.0, 403);
    assert_eq!(api.command("dealer#7", PROCESS, &by_id(id)).await.0, 200);
    let id = api.entered(WITHDRAWAL, "").await;
    api.corrects("dealer#8", &pays_to(id, IBAN_Y)).await;
    for who in ["dealer#7", "dealer#8"] {
        assert_eq!(api.error(who, PROCESS, &by_id(id)).await.0, 403, "{who} entered it, or wrote the payee");
    }
    assert_eq!(api.command("dealer#8", REJECT, &rejected(id)).await.0, 200);
}

/// The refusal says the way out, and it is one.
#[tokio::test(start_paused = true)]
async fn what_neither_of_two_managers_may_process_is_rejected_and_entered_again() {
    let api = ManagerApi::with_second_person_for(&["manual"]).await;
    let id = api.entered(DEPOSIT, r#""idempotency_key":"k1","provider_payment_id":"bank-1""#).await;
    api.corrects("dealer#8", &json!({"id": id, "comment": "c"}).to_string()).await;
    for who in ["dealer#7", "dealer#8"] {
        let (number, refused) = api.command(who, PROCESS, &by_id(id)).await;
        assert_eq!((number, &refused["error"]), (403, &json!("PERMISSION_DENIED")), "{who}");
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains("reject it and enter it again for another manager to process"), "{message}");
    }
    assert_eq!(api.command("dealer#8", REJECT, &rejected(id)).await.0, 200);
    let again = api.entered(DEPOSIT, r#""idempotency_key":"k2","provider_payment_id":"bank-1","comment":"c""#).await;
    assert_eq!(api.command("dealer#8", PROCESS, &by_id(again)).await.0, 200);
    assert_eq!((api.posted(id), api.posted(again), api.env.trading.postings().len()), (0, 10_000, 1));
}

#[tokio::test(start_paused = true)]
async fn a_payee_written_after_the_approval_is_not_paid_by_a_retry_of_who_wrote_it() {
    let api = ManagerApi::with_second_person_for(&["manual"]).await;
    let id = api.requested_with(IBAN_X).await;
    lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
    assert_eq!(api.command("dealer#7", PROCESS, &by_id(id)).await.0, 409, "the posting is refused");
    api.corrects("dealer#8", &pays_to(id, IBAN_Y)).await;
    for command in [RETRY, PROCESS] {
        assert_eq!(api.error("dealer#8", command, &by_id(id)).await, (403, "PERMISSION_DENIED".into()), "{command}");
    }
    assert_eq!(api.posted(id), 0);
    assert_eq!(api.command("dealer#7", RETRY, &by_id(id)).await.0, 200, "another person");
    assert_eq!(api.posted(id), -10_000);

    // What another one approved since is what two persons saw.
    let id = api.requested_with(IBAN_X).await;
    api.corrects("dealer#8", &pays_to(id, IBAN_Y)).await;
    lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
    assert_eq!(api.command("dealer#7", PROCESS, &by_id(id)).await.0, 409);
    assert_eq!(api.command("dealer#8", RETRY, &by_id(id)).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn breaking_the_glass_counts_for_an_approval_alone_and_is_recorded() {
    let api = ManagerApi::with_second_person_for(&["manual", "resolving"]).await;
    api.env.trading.unkeyed.store(true, Ordering::SeqCst);
    *lock(&api.env.trading.closed_for) = Some(std::time::Duration::from_secs(60));
    // Who entered it, or wrote the payee, processes it by no session.
    let id = api.entered(WITHDRAWAL, "").await;
    for who in ["dealer#7", "glass#7"] {
        assert_eq!(api.error(who, PROCESS, &by_id(id)).await, (403, "PERMISSION_DENIED".into()), "{who}");
    }
    lock(&api.env.trading.next_posts).push_back(OnPost::NeverArrives);
    assert_eq!(api.command("dealer#9", PROCESS, &by_id(id)).await.0, 200);
    api.corrects("dealer#8", &pays_to(id, IBAN_Y)).await;
    let absent = json!({"id": id, "confirmed_absent": 1}).to_string();
    for who in ["dealer#8", "glass#8"] {
        assert_eq!(api.error(who, RETRY, &absent).await, (403, "PERMISSION_DENIED".into()), "{who}");
    }
    let (number, asked) = api.command("dealer#9", RETRY, &absent).await;
    assert_eq!(number, 202, "{asked}");
    let approval = json!({"id": asked["approval"]["id"]}).to_string();
    assert_eq!(api.error("dealer#8", APPROVE, &approval).await, (403, "PERMISSION_DENIED".into()));
    assert_eq!((api.posted(id), api.env.trading.postings().len()), (0, 0));
    let (number, approved) = api.command("glass#8", APPROVE, &approval).await;
    assert_eq!((number, &approved["approval"]["state"]), (200, &json!("approved")), "{approved}");
    api.env.run_for(10).await;
    assert_eq!((api.posted(id), api.env.trading.postings().len()), (-10_000, 1));
    let record = api.records().into_iter().rfind(|record| &*record.command == RETRY && record.approval.0 > 0).unwrap();
    assert_eq!((record.manager_id.0, &*record.outcome, record.transaction_id.0), (8, "break glass", id));
}

#[tokio::test(start_paused = true)]
async fn without_that_setting_one_person_corrects_and_processes_and_a_provider_deposit_remembers_no_text() {
    let api = ManagerApi::open().await;
    for id in [api.requested_with(IBAN_X).await, api.entered(DEPOSIT, "").await] {
        api.corrects("dealer#7", &pays_to(id, IBAN_Y)).await;
        assert_eq!(api.text_facts(id), 1);
        assert_eq!(api.command("dealer#7", PROCESS, &by_id(id)).await.0, 200);
    }
    let id = api.env.deposit("k").await.unwrap().transaction.id.0;
    let (ground, before) = (api.ground(id).await, api.records().len());
    api.corrects("dealer#7", &pays_to(id, IBAN_Y)).await;
    assert_eq!((api.text_facts(id), api.ground(id).await), (0, ground), "its provider states what it is");
    assert_eq!(api.records().len(), before + 1);
}
