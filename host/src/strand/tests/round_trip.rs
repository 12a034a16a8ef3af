//! Every row reads back from the disk with the values that were written.

use std::collections::BTreeMap;

use cashier_core::change::Change;
use cashier_core::session::Actor;
use cashier_core::status::SignatureStatus;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::super::json;
use super::super::sqlite::Sqlite;
use super::super::writing::Store;
use super::*;
use crate::ports::Recorder;

/// Cases that go through SQLite and a sync each.
const DISK_CASES: u32 = 48;

/// The last change of each row, by table and id.
fn last_of_each(changes: impl IntoIterator<Item = Change>) -> BTreeMap<(u8, u64), Change> {
    let key = |change: &Change| match change {
        Change::Config(row) => (0, row.id.0),
        Change::ConfigDeleted(id) => (0, id.0),
        Change::Override(row) => (1, row.id.0),
        Change::Transaction(row) => (2, row.id.0),
        Change::Operation(row) => (3, row.id.0),
        Change::Event(row) => (4, row.id.0),
        Change::Approval(row) => (5, row.id.0),
    };
    changes.into_iter().map(|change| (key(&change), change)).collect()
}

#[test]
fn every_row_reads_back_as_its_last_change() {
    let mut runner = TestRunner::new(Config { cases: DISK_CASES, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&vec(vec(values::change(), 0..6), 1..5), |commits| {
        let folder = tempfile::tempdir().unwrap();
        let seal = sealing(RING);
        let mut store = Sqlite::open(&folder.path().join("cashier.db"), seal).unwrap();
        let batch: Vec<_> =
            (1..).zip(&commits).map(|(seq, changes)| commit(seq, changes.clone(), Vec::new())).collect();
        write_all(&mut store, &batch);
        let loaded = Rows::stored(&folder.path().join("cashier.db"));
        prop_assert_eq!(loaded.counters, batch.last().unwrap().counters);

        let mut rows = last_of_each(commits.iter().flatten().cloned());
        let mut verified = BTreeMap::new();
        // A row may change from quarantined to verified, never back: its verified states count.
        for change in commits.iter().flatten() {
            if let Change::Event(event) = change
                && event.signature_status == SignatureStatus::Valid
            {
                verified.insert(event.id, event.clone());
            }
        }
        rows.retain(|_, change| !matches!(change, Change::Event(_) | Change::ConfigDeleted(_)));
        rows.extend(last_of_each(
            verified.values().filter(|event| event.waits()).map(|event| Change::Event(event.clone())),
        ));
        prop_assert_eq!(last_of_each(loaded.rows.iter().cloned()), rows);
        let transactions: Vec<_> = loaded
            .rows
            .iter()
            .filter_map(|row| match row {
                Change::Transaction(row) => Some(row.id),
                Change::Operation(_)
                | Change::Event(_)
                | Change::Config(_)
                | Change::ConfigDeleted(_)
                | Change::Override(_)
                | Change::Approval(_) => None,
            })
            .collect();
        prop_assert!(transactions.is_sorted(), "transactions come by rising id");
        // The books that the store loads agree with the rows.
        let from_store = store.load().unwrap();
        for row in &loaded.rows {
            if let Change::Transaction(row) = row {
                let known = from_store.books.aggregate(row.id).unwrap();
                prop_assert_eq!(&known.transaction, &**row);
                let own = |change: &Change| matches!(change, Change::Operation(own) if own.transaction_id == row.id);
                prop_assert_eq!(known.operations.len(), loaded.rows.iter().filter(|change| own(change)).count());
            }
        }

        let mut keys = loaded.event_keys;
        keys.sort_by_key(|(_, _, id)| *id);
        let expected: Vec<_> =
            verified.values().map(|event| (event.config_id, event.event_id.clone(), event.id)).collect();
        prop_assert_eq!(keys, expected);
        Ok(())
    });
    outcome.unwrap();
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn facts_read_back_from_their_json(facts in values::facts()) {
        let (mut provider, mut persons) = (Vec::new(), Vec::new());
        json::write_provider_facts(&facts.provider, &mut provider).unwrap();
        json::write_person_facts(&facts.persons, &mut persons).unwrap();
        if facts.provider.is_empty() {
            prop_assert!(provider.is_empty());
        } else {
            prop_assert_eq!(json::read_provider_facts(std::str::from_utf8(&provider).unwrap()).unwrap(), facts.provider);
        }
        if facts.persons.is_empty() {
            prop_assert!(persons.is_empty());
        } else {
            prop_assert_eq!(json::read_person_facts(std::str::from_utf8(&persons).unwrap()).unwrap(), facts.persons);
        }
    }

    #[test]
    fn updates_and_refs_read_back_from_their_json(update in values::update(), refs in values::refs()) {
        let (mut written, mut ids) = (Vec::new(), Vec::new());
        json::write_update(Some(&update), &mut written).unwrap();
        prop_assert_eq!(json::read_update(std::str::from_utf8(&written).unwrap()).unwrap(), Some(update));
        json::write_refs(&refs, &mut ids).unwrap();
        if !refs.is_empty() {
            prop_assert_eq!(json::read_refs(std::str::from_utf8(&ids).unwrap()).unwrap(), refs);
        }
    }
}

#[test]
fn stored_facts_are_readable_text() {
    let mut written = Vec::new();
    json::write_provider_facts(&plain::deposit(5).facts.provider, &mut written).unwrap();
    expect_test::expect![[
        r#"[[15,1779270005,"accepted"],[16,1779270005,{"confirmed":{"payment":"pi_3PqX0000000000000005","minor":25000}}]]"#
    ]]
    .assert_eq(std::str::from_utf8(&written).unwrap());
}

#[test]
fn the_journal_names_actor_rows_and_request_of_each_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let paid = vec![
        Change::Transaction(Box::new(plain::deposit(15))),
        Change::Operation(Box::new(plain::credit(3))),
        Change::Event(Box::new(plain::confirmation(9))),
    ];
    let mut by_provider = Arc::unwrap_or_clone(commit(1, paid, vec![plain::notice(9, b"{}")]));
    by_provider.actor = Actor::Provider(ConfigId(4));
    let mut by_manager = Arc::unwrap_or_clone(commit(2, Vec::new(), Vec::new()));
    by_manager.actor = Actor::Manager(cashier_core::ids::ManagerId(77));
    strand.submit(Arc::new(by_provider));
    strand.submit(Arc::new(by_manager));
    listener.wait_for_synced(2);
    let reader = connect_read_only(strand.path()).unwrap();
    let mut lines = reader.prepare("SELECT * FROM commit_journal ORDER BY seq").unwrap();
    type Line = (i64, i64, i64, i64, String, String);
    let read = |row: &rusqlite::Row<'_>| Line::try_from(row);
    let lines: Vec<Line> = lines.query_map([], read).unwrap().collect::<Result<_, _>>().unwrap();
    let at = 1_779_270_000;
    assert_eq!(
        lines,
        [(1, at, 3, 4, "req-1".into(), "t15 o3 e9 n9".into()), (2, at, 2, 77, "req-1".into(), String::new())]
    );
}

/// The names under which facts are stored never change: rows written by an earlier version must read back.
#[test]
fn every_stored_fact_keeps_its_stored_name() {
    let text = r#"[[1,1,"accepted"],[1,1,"unanswered"],[1,1,{"advance_wanted":{"event":"e"}}],[1,1,{"confirmed":{"payment":"p","minor":5}}],[1,1,{"declined":{"reason":"r"}}],[1,1,{"cancelled":{"reason":"EXPIRED"}}],[1,1,{"refund":{"id":"i","minor":5}}],[1,1,{"refunded_total":{"minor":5}}],[1,1,{"chargeback":{"id":"i","minor":5}}],[1,1,{"chargeback_reversed":{"id":"i"}}],[1,1,{"doubt":"outcome_unknown"}],[1,1,{"doubt":{"amount_unstated":{"payment":"p"}}}],[1,1,{"doubt":{"mismatch":{"what":"amount","expected":"1.0 USD","stated":"2.0 USD","stated_minor":200}}}],[1,1,{"doubt":{"mismatch":{"what":"mode","expected":"live","stated":"sandbox","stated_minor":null}}}],[1,1,{"doubt":{"look":{"word":"w"}}}],[1,1,{"doubt":{"payment_reused":{"payment":"p","owner":"1"}}}],[1,1,{"doubt":"not_stored"}],[1,1,{"doubt":{"misplaced":{"payment":"p","owner":"1"}}}],[1,1,{"doubt":{"counted_elsewhere":{"payment":"p","order":"1"}}}],[1,1,{"doubt":{"return_beside":{"deposit":"1"}}}],[1,1,{"doubt":{"beside":{"deposit":"1"}}}],[1,1,{"doubt":{"in_review":{"status":"s"}}}],[1,1,"last_query"],[1,1,{"refund_failed":{"id":"i","minor":5}}],[1,1,{"refund_of_request":{"id":"i","requested":"own"}}],[1,1,{"refund":{"id":"i","payment":"p","minor":5}}],[1,1,{"refunded_total":{"payment":"p","minor":5}}],[1,1,{"chargeback":{"id":"i","payment":"p","minor":5}}],[1,1,{"chargeback_reversed":{"id":"i","payment":"p"}}],[1,1,{"refund_failed":{"id":"i","payment":"p","minor":5}}],[1,1,{"doubt":{"mismatch":{"what":"amount","expected":"1.0 USD","stated":"2.0 USD","stated_minor":200,"payment":"p"}}}]]"#;
    let facts = json::read_provider_facts(text).unwrap();
    let mut written = Vec::new();
    json::write_provider_facts(&facts, &mut written).unwrap();
    assert_eq!(std::str::from_utf8(&written).unwrap(), text);

    let text = r#"[[1,1,{"held":3}],[1,1,"released"],[1,1,"approved"],[1,1,"rejected"],[1,1,{"resolved":{"minor":0}}],[1,1,"retried"],[1,1,{"refund_asked":{"id":"i","minor":5}}],[1,1,{"refund_refused":{"id":"i"}}],[1,1,{"refund_done":{"id":"i","refund":"re_1"}}],[1,1,{"refund_asked":{"id":"i","payment":"p","minor":5}}],[1,1,"reversals_wait"],[1,1,{"refund_reason":{"id":"i","key":"k","reason":"r"}}],[1,1,{"refund_sent":{"id":"i","terms":3,"before":5}}],[1,1,{"refund_crashed":{"id":"i"}}],[1,1,{"refund_accepted":{"id":"i","refund":"re_1"}}],[1,1,{"refund_in_total":{"id":"i"}}],[1,1,{"refund_refusal":{"id":"i","by":"trading","reason":"r"}}]]"#;
    let facts = json::read_person_facts(text).unwrap();
    let mut written = Vec::new();
    json::write_person_facts(&facts, &mut written).unwrap();
    assert_eq!(std::str::from_utf8(&written).unwrap(), text);
}
