//! Lists of events from the disk: verified and quarantined ones together, as a filter finds them in memory, by way of indexes.

use cashier_core::change::Change;
use cashier_core::filter::{Clause, EventField, Field, Filter, FilterBuilder};
use cashier_core::ids::{ConfigId, NoticeId, TransactionId};
use cashier_core::notice::{ProviderEvent, Update};
use cashier_core::status::{ProcessingStatus, SignatureStatus};
use rusqlite::params_from_iter;

use super::super::archive::ArchiveReader;
use super::super::archive::events::Statement;
use super::super::connection::connect_read_only;
use super::*;
use crate::ports::{Archive, EventPage, Recorder};

fn filter(conditions: &[(&str, &str, &str)], order: Option<(&str, &str)>) -> Filter<EventField> {
    let mut builder = FilterBuilder::new();
    for (field, operator, value) in conditions {
        builder.flat(Clause::Where, &[field, operator, value]).unwrap();
    }
    if let Some((field, direction)) = order {
        builder.order_by(field, direction).unwrap();
    }
    builder.build()
}

/// Rows that differ in every field that can be filtered, many of one time.
fn event(id: u64) -> ProviderEvent {
    let signature_status = match id % 7 {
        0 => SignatureStatus::Invalid,
        3 => SignatureStatus::Unknown,
        _ => SignatureStatus::Valid,
    };
    let processing_status = match id % 5 {
        0 => ProcessingStatus::Pending,
        1 => ProcessingStatus::Failed,
        2 => ProcessingStatus::Ignored,
        _ => ProcessingStatus::Processed,
    };
    let plain = plain::confirmation(id);
    ProviderEvent {
        notice_id: NoticeId(id),
        config_id: ConfigId(id % 3 + 1),
        provider: ["stripe", "sandbox", "Stripe"][usize::try_from(id % 3).unwrap()].into(),
        brand: ["ion4", "other", ""][usize::try_from(id % 3).unwrap()].into(),
        transaction_id: TransactionId(id % 11),
        provider_payment_id: if id.is_multiple_of(4) { "".into() } else { format!("pi_{}", id % 13).into() },
        signature_status,
        processing_status,
        failure_reason: if id.is_multiple_of(5) { "".into() } else { format!("UNREADABLE_NOTICE: {id}").into() },
        update: plain.update.clone().filter(|_| signature_status == SignatureStatus::Valid),
        created_time: UnixTime(1_779_270_000 - i64::try_from(id / 6).unwrap()),
        processed_time: UnixTime(i64::try_from(id % 2).unwrap()),
        ..plain
    }
}

#[test]
fn f2_a_list_from_the_disk_is_the_list_in_memory_for_every_field_and_order() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let reader = ArchiveReader::open(strand.path()).unwrap();
    let rows: Vec<ProviderEvent> = (1..=200).map(event).collect();
    strand.submit(commit(1, rows.iter().map(|row| Change::Event(Box::new(row.clone()))).collect(), Vec::new()));
    listener.wait_for_synced(1);
    let shown = |row: ProviderEvent| ProviderEvent { update: row.update.map(Update::shown), ..row };
    let listed: Vec<ProviderEvent> = rows.into_iter().map(shown).collect();
    let stated = listed.iter().filter_map(|row| row.update.as_ref()).filter(|update| update.amount.is_some());
    assert!(stated.count() > 50, "what a module read in a webhook is shown");
    let values = |field: EventField| match field {
        EventField::Provider => ["stripe", "sandbox"],
        EventField::EventId => ["evt_1PqX0000000000000007", "evt_1PqX0000000000000100"],
        EventField::ProviderPaymentId => ["", "pi_7"],
        EventField::Brand => ["", "ion4"],
        EventField::FailureReason => ["", "UNREADABLE_NOTICE: 7"],
        EventField::CreatedTime => ["1779269980", "1779270000"],
        EventField::Id
        | EventField::TransactionId
        | EventField::SignatureStatus
        | EventField::ProcessingStatus
        | EventField::ProcessedTime
        | EventField::ProviderConfigId => ["1", "2"],
    };
    let mut filters = vec![Filter::default()];
    for field in EventField::ALL {
        for operator in ["=", "!=", ">", "<="] {
            for value in values(*field) {
                filters.push(filter(&[(field.name(), operator, value)], None));
            }
        }
        for direction in ["asc", "desc"] {
            filters.push(filter(&[("id", ">", "20")], Some((field.name(), direction))));
        }
    }
    filters.push(filter(&[("provider", "like", "s%"), ("failure_reason", "like", "UNREADABLE%")], None));
    for (limit, offset) in [("7", "0"), ("7", "150"), ("50000", "199"), ("10", "5000")] {
        let mut builder = FilterBuilder::new();
        builder.limit(limit).unwrap();
        builder.offset(offset).unwrap();
        filters.push(builder.build());
    }
    for filter in filters {
        let expected = filter.page(&listed);
        let found = block_on(reader.events(filter.clone(), usize::MAX)).unwrap();
        let rows = expected.rows.into_iter().cloned().collect();
        assert_eq!(found, EventPage::Found { rows, count: expected.count }, "{filter:?}");
        // Without the count it is the same page: nothing is counted.
        let found = block_on(reader.events(filter.clone().uncounted(), usize::MAX)).unwrap();
        let rows = filter.page(&listed).rows.into_iter().cloned().collect();
        assert_eq!(found, EventPage::Found { rows, count: 0 }, "{filter:?}");
    }
}

#[test]
fn f2_a_list_that_takes_more_bytes_than_it_may_says_how_many() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let reader = ArchiveReader::open(strand.path()).unwrap();
    let changes = (1..=20).map(|id| Change::Event(Box::new(event(id)))).collect();
    strand.submit(commit(1, changes, Vec::new()));
    listener.wait_for_synced(1);
    let read = |bytes| block_on(reader.events(Filter::default(), bytes)).unwrap();
    let EventPage::TooLarge(bytes) = read(1000) else { panic!("twenty rows take more") };
    let EventPage::TooLarge(as_many) = read(bytes - 1) else { panic!("it takes one more") };
    assert_eq!(bytes, as_many);
    let EventPage::Found { rows, count } = read(bytes) else { panic!("it takes as much") };
    assert_eq!((rows.len(), count), (20, 20));
    assert_eq!(rows.iter().map(EventPage::row_bytes).sum::<usize>(), bytes);
}

/// How SQLite carries out a statement, step by step.
fn plan(connection: &rusqlite::Connection, statement: &Statement) -> String {
    let mut prepared = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", statement.sql)).unwrap();
    let steps = prepared.query_map(params_from_iter(&statement.parameters), |row| row.get::<_, String>(3)).unwrap();
    steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
}

/// How it finds the page of a filter, and counts.
fn plans(connection: &rusqlite::Connection, filter: &Filter<EventField>) -> [String; 2] {
    [Statement::of_page(filter, false), Statement::that_counts(filter)].map(|statement| plan(connection, &statement))
}

#[test]
fn f2_typical_lists_are_found_and_counted_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, _listener) = opened(folder.path());
    let connection = connect_read_only(strand.path()).unwrap();
    super::super::filter_sql::prepare(&connection).unwrap();
    let by_time = "provider_event USING COVERING INDEX provider_event_by_time";
    let of_time = "SEARCH provider_event USING COVERING INDEX provider_event_by_time (created_time>?";
    let counts = "provider_event_count";
    let today = [("created_time", ">=", "1779235200"), ("created_time", "<", "1779321600")];
    let by_transaction = "SEARCH provider_event USING INDEX provider_event_by_transaction (transaction_id=?)";
    let by_payment = "SEARCH provider_event USING INDEX provider_event_by_payment (provider_payment_id=?)";
    let by_config = "SEARCH provider_event USING INDEX provider_event_by_config (config_id=?";
    let of_brand_and_time =
        "SEARCH provider_event USING COVERING INDEX provider_event_by_brand (brand=? AND created_time>?";
    let by_brand = "SEARCH provider_event USING INDEX provider_event_by_brand (brand=?";
    let by_key = "SEARCH provider_event USING INDEX provider_event_key (config_id=? AND event_id=?)";
    let unprocessed = "SEARCH provider_event USING INDEX provider_event_unprocessed (processing_status=?";
    let by_reason = "SEARCH provider_event USING INDEX provider_event_by_reason (failure_reason>?";
    let one = "SEARCH provider_event USING INTEGER PRIMARY KEY (rowid=?)";
    let (brand, status) = (("brand", "=", "ion4"), ("processing_status", "=", "1"));
    type Typical<'t> = (Vec<(&'t str, &'t str, &'t str)>, [&'t str; 2]);
    let table: [Typical<'_>; 21] = [
        (vec![], [by_time, counts]),
        (vec![brand], [by_brand, counts]),
        (vec![brand, ("provider", "=", "stripe")], [by_brand, counts]),
        (vec![("provider", "=", "stripe")], [by_time, counts]),
        (vec![status], [by_time, counts]),
        (vec![("provider_config_id", "=", "3")], [by_config, counts]),
        (vec![("provider_config_id", "=", "3"), status], [by_config, counts]),
        (today.to_vec(), [of_time, of_time]),
        ([&today[..], &[("provider", "=", "stripe"), brand]].concat(), [of_brand_and_time; 2]),
        ([&today[..], &[("provider", "=", "stripe")]].concat(), [of_time; 2]),
        (vec![("transaction_id", "=", "15")], [by_transaction; 2]),
        (vec![("transaction_id", "=", "15"), brand, status], [by_transaction; 2]),
        (vec![("transaction_id", "=", "15"), ("provider_config_id", "=", "3")], [by_transaction; 2]),
        (vec![("provider_payment_id", "=", "pi_1")], [by_payment; 2]),
        (vec![("provider_payment_id", "=", "pi_1"), ("provider_config_id", "=", "3"), status], [by_payment; 2]),
        (vec![("event_id", "=", "evt_1")], [by_key; 2]),
        (vec![("event_id", "=", "evt_1"), brand], [by_key; 2]),
        (vec![("processing_status", "=", "0")], [unprocessed, counts]),
        (vec![("processing_status", "=", "2"), today[0]], [unprocessed; 2]),
        (vec![("failure_reason", "like", "UNREADABLE%")], [by_reason; 2]),
        (vec![("id", "=", "9")], [one; 2]),
    ];
    for (conditions, expected) in table {
        for (plan, expected) in plans(&connection, &filter(&conditions, None)).into_iter().zip(expected) {
            let covering = expected.replace("USING INDEX", "USING COVERING INDEX");
            assert!(plan.contains(expected) || plan.contains(&covering), "{conditions:?}: {plan}");
        }
    }
    // The newest page is read in the order of the index: of the large table nothing is sorted. A config's likewise.
    for conditions in [&[][..], &[brand], &[("provider_config_id", "=", "3")]] {
        let [page, _] = plans(&connection, &filter(conditions, None));
        let (verified, quarantined) = page.split_once("unproven_event").unwrap();
        assert!(!verified.contains("TEMP B-TREE"), "{page}");
        assert!(quarantined.contains("TEMP B-TREE"), "{page}");
    }
    // What a brand of few events has is read by way of its configs.
    let page = plan(&connection, &Statement::of_page(&filter(&[brand], None), true));
    assert!(page.contains(by_config), "{page}");
    assert!(Statement::that_counts_configs(&filter(&[brand], None)).is_some());
    for elsewhere in [("transaction_id", "=", "15"), ("provider_config_id", "=", "3"), ("event_id", "=", "evt_1")] {
        assert!(Statement::that_counts_configs(&filter(&[brand, elsewhere], None)).is_none(), "{elsewhere:?}");
    }
}

#[test]
fn i10_events_are_counted_by_their_kind_whatever_becomes_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let reader = ArchiveReader::open(strand.path()).unwrap();
    let submit = |seq: u64, rows: &[ProviderEvent]| {
        strand.submit(commit(seq, rows.iter().map(|row| Change::Event(Box::new(row.clone()))).collect(), Vec::new()));
        listener.wait_for_synced(seq);
    };
    let mut rows: Vec<ProviderEvent> = (1..=60).map(event).collect();
    submit(1, &rows);
    // Filed again as it is, processed, and of another config.
    for (place, row) in rows.iter_mut().enumerate().filter(|(_, row)| row.signature_status == SignatureStatus::Valid) {
        match place % 3 {
            0 => row.processing_status = ProcessingStatus::Processed,
            1 => row.config_id = ConfigId(9),
            _ => {}
        }
    }
    submit(2, &rows);
    let fields = [EventField::ProviderConfigId, EventField::ProcessingStatus];
    for (field, value) in fields.into_iter().flat_map(|field| (0..=9).map(move |value| (field, value))) {
        let filter = filter(&[(field.name(), "=", &format!("{value}"))], None);
        let EventPage::Found { rows: found, count } = block_on(reader.events(filter.clone(), usize::MAX)).unwrap()
        else {
            panic!("they are few")
        };
        let expected = filter.page(&rows);
        assert_eq!((found.len(), count), (expected.rows.len(), expected.count), "{field:?} = {value}");
    }
    let writing = rusqlite::Connection::open(strand.path()).unwrap();
    let counted = || {
        let sql = "SELECT sum(rows), (SELECT count(*) FROM provider_event) FROM provider_event_count";
        writing.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).unwrap()
    };
    let (before, _) = counted();
    writing.execute("DELETE FROM provider_event WHERE processing_status = 1", []).unwrap();
    let (after, stored) = counted();
    assert!(after < before && after == stored, "{before} {after} {stored}");
}

/// A small brand shares a config with a large one, which has a small config of its own beside it; both come first.
#[test]
fn i10_the_events_of_a_small_brand_or_provider_are_found_without_a_look_at_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let of_brand = |id: u64| {
        let (brand, provider, config) = match id {
            1..=5 => ("small", "stripe", 1),
            6..=12 => ("large", "rare", 2),
            _ => ("large", "stripe", 1),
        };
        ProviderEvent {
            brand: brand.into(),
            provider: provider.into(),
            config_id: ConfigId(config),
            ..plain::confirmation(id)
        }
    };
    let rows = (1..=12_000).map(|id| Change::Event(Box::new(of_brand(id)))).collect();
    strand.submit(commit(1, rows, Vec::new()));
    listener.wait_for_synced(1);
    let mut connection = connect_read_only(strand.path()).unwrap();
    super::super::filter_sql::prepare(&connection).unwrap();
    let steps = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = Arc::clone(&steps);
    let count = move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        false
    };
    connection.progress_handler(100, Some(count)).unwrap();
    let read = |conditions: &[(&str, &str, &str)]| {
        let before = steps.load(std::sync::atomic::Ordering::Relaxed);
        let page = super::super::archive::events::read(&connection, &filter(conditions, None), usize::MAX).unwrap();
        let EventPage::Found { rows, count } = page else { panic!("they are few") };
        (rows.len(), count, steps.load(std::sync::atomic::Ordering::Relaxed) - before)
    };
    let (small, rare) = (("brand", "=", "small"), ("provider", "=", "rare"));
    for (conditions, expected) in [
        (&[small][..], 5),
        (&[small, ("provider", "=", "stripe")], 5),
        (&[rare], 7),
        (&[("brand", "=", "large"), rare], 7),
    ] {
        let (rows, count, took) = read(conditions);
        assert_eq!((rows, count), (expected, expected as u64), "{conditions:?}");
        // 12,000 rows take a step for each condition and more: more than 120 hundreds.
        assert!(took < 20, "{conditions:?}: {took}");
    }
    let (rows, count, took) = read(&[("brand", "=", "large")]);
    assert_eq!((rows, count), (100, 11_995));
    assert!(took < 120, "a page is read as far as it goes: {took}");
}

#[test]
fn i10_a_page_of_an_export_is_read_in_the_order_of_ids_whatever_it_is_filtered_by() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, _listener) = opened(folder.path());
    let connection = connect_read_only(strand.path()).unwrap();
    super::super::filter_sql::prepare(&connection).unwrap();
    let filters: [&[(&str, &str, &str)]; 5] = [
        &[],
        &[("processing_status", "=", "0")],
        &[("provider_config_id", "=", "1"), ("brand", "=", "ion4")],
        &[("created_time", ">=", "1779235200")],
        &[("transaction_id", "=", "15"), ("provider_payment_id", "like", "pi_%")],
    ];
    for (direction, operator) in [("desc", "<"), ("asc", ">")] {
        let beyond = [("id", operator, "900")];
        for conditions in filters {
            let export = filter(&[conditions, &beyond].concat(), Some(("id", direction))).uncounted();
            let [page, _] = plans(&connection, &export);
            let (verified, _) = page.split_once("unproven_event").unwrap();
            let by_id = format!("provider_event USING INTEGER PRIMARY KEY (rowid{operator}?)");
            assert!(verified.contains(&by_id) && !verified.contains("TEMP B-TREE"), "{conditions:?}: {page}");
        }
    }
}

#[test]
fn f2_a_list_of_invalid_signatures_visits_no_verified_event() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let changes = (1..=2_000).map(|id| Change::Event(Box::new(event(id)))).collect();
    strand.submit(commit(1, changes, Vec::new()));
    listener.wait_for_synced(1);
    let mut connection = connect_read_only(strand.path()).unwrap();
    // Steps of the virtual machine, in hundreds.
    let steps = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = Arc::clone(&steps);
    let count = move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        false
    };
    connection.progress_handler(100, Some(count)).unwrap();
    let cost = |status: &str| {
        let query =
            Statement::that_counts(&filter(&[("signature_status", "=", status), ("processed_time", ">", "-1")], None));
        let before = steps.load(std::sync::atomic::Ordering::Relaxed);
        connection.query_row(&query.sql, params_from_iter(&query.parameters), |row| row.get::<_, i64>(0)).unwrap();
        steps.load(std::sync::atomic::Ordering::Relaxed) - before
    };
    let [invalid, valid] = [cost("2"), cost("1")];
    assert!(invalid * 2 < valid, "{invalid} {valid}");
}
