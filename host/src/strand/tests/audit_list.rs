//! The list of audit records as it is read from a real disk.

use cashier_core::change::AuditRecord;
use cashier_core::filter::{AuditField, Clause, FilterBuilder};
use rusqlite::Connection;

use super::super::sqlite::Sqlite;
use super::super::writing::Store;
use super::super::{audit_list, filter_sql};
use super::audit::record;
use super::*;

fn filtered(conditions: &[[&str; 3]], limit: &str) -> cashier_core::filter::Filter<AuditField> {
    let mut builder = FilterBuilder::new();
    conditions.iter().for_each(|condition| builder.flat(Clause::Where, condition).unwrap());
    builder.limit(limit).unwrap();
    builder.build()
}

#[test]
fn records_are_read_newest_first_with_their_count_and_by_the_brand_of_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    let mut store = Sqlite::open(&path, sealing(RING)).unwrap();
    let with = |seq: u64, brand: &str, outcome: &'static str| {
        let Body::Audit(known) = record(seq, "canary") else { unreachable!() };
        let changed = AuditRecord { brand: brand.into(), outcome: outcome.into(), ..*known };
        commit(seq, Vec::new(), vec![Body::Audit(Box::new(changed))])
    };
    let refused = "refused: INVALID_DATA";
    write_all(
        &mut store,
        &[with(1, "", "saved"), with(2, "ion4", refused), with(3, "ion4", "saved"), with(4, "other", refused)],
    );
    store.close().unwrap();
    let connection = Connection::open(&path).unwrap();
    filter_sql::prepare(&connection).unwrap();
    let ids = |conditions: &[[&str; 3]], limit: &str, brand: Option<&str>| {
        let page = audit_list::page(&connection, &filtered(conditions, limit), brand).unwrap().unwrap();
        (page.rows.iter().map(|row| row.id).collect::<Vec<_>>(), page.count)
    };
    assert_eq!(ids(&[], "100", None), (vec![4, 3, 2, 1], 4));
    assert_eq!(ids(&[], "3", None), (vec![4, 3, 2], 4), "the count is of all pages");
    assert_eq!(ids(&[["outcome", "like", "refused%"]], "9", None), (vec![4, 2], 2));
    assert_eq!(ids(&[["provider_config_id", "=", "3"]], "9", None), (vec![3], 1));
    assert_eq!(ids(&[["outcome", "like", "refused%"]], "9", Some("ion4")), (vec![2], 1));
    assert_eq!(ids(&[["brand", "=", "other"]], "9", Some("ion4")), (vec![], 0));
    // Counted row by row as well as by kind.
    assert_eq!(ids(&[["outcome", "!=", "saved"], ["id", ">", "2"]], "9", None), (vec![4], 1));
    assert_eq!(ids(&[["command", "like", "Mng%"]], "9", Some("ion4")).1, 2);
    let page = audit_list::page(&connection, &filtered(&[], "1"), None).unwrap().unwrap();
    let [field, before, after] = &page.rows[0].changes[0];
    assert_eq!((&**field, &**before, after.starts_with("fingerprint k1:")), ("webhook_secret", "", true));
    assert_eq!(page.rows[0].hash.to_string(), super::super::audit::verify(&path, None).unwrap().newest);

    let large = format!(r#"[["x","","{}"]]"#, "y".repeat(audit_list::AUDIT_PAGE_BYTES_MAX));
    connection.execute("UPDATE audit_record SET changes_json = ? WHERE id = 1", [large]).unwrap();
    assert!(audit_list::page(&connection, &filtered(&[], "9"), None).unwrap().is_none(), "too large at once");
    assert_eq!(ids(&[], "3", None).0, [4, 3, 2]);
}

#[test]
fn records_about_one_row_are_found_by_its_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    Sqlite::open(&path, sealing(RING)).unwrap().close().unwrap();
    let connection = Connection::open(&path).unwrap();
    filter_sql::prepare(&connection).unwrap();
    let plan = |sql: &str| {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
        let steps = statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get::<_, String>(3)).unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    };
    for (field, index) in [
        ("transaction_id", "audit_by_transaction (transaction_id=?"),
        ("provider_config_id", "audit_by_config (config_id=?"),
        ("approval_id", "audit_by_approval (approval_id=?"),
        ("manager_id", "audit_by_manager (manager_id=?"),
    ] {
        for sql in audit_list::statements(&filtered(&[[field, "=", "5"]], "9"), Some("ion4")).0 {
            assert!(plan(&sql).contains(index), "{sql}: {}", plan(&sql));
        }
    }
    // What many records have in common is counted beside them, and a page is read in the order of time.
    let refused: &[[&str; 3]] = &[["outcome", "like", "refused%"]];
    let of_command: &[[&str; 3]] = &[["command", "=", "MngRefundCashierTransaction"]];
    for (conditions, brand, expected) in [
        (&[][..], None, "audit_by_time"),
        (&[], Some("ion4"), "audit_by_brand (brand=?"),
        (refused, None, "audit_by_outcome (outcome>? AND outcome<?"),
        (of_command, None, "audit_by_command (command=?"),
    ] {
        let [count, page] = audit_list::statements(&filtered(conditions, "9"), brand).0.map(|sql| plan(&sql));
        assert!(count.contains("audit_record_count") && page.contains(expected), "{conditions:?}: {count}; {page}");
        assert!(conditions == refused || !page.contains("TEMP B-TREE"), "{conditions:?}: {page}");
    }
    // A page of an export is read in the order of ids, whatever it is filtered by.
    for field in ["transaction_id", "provider_config_id", "approval_id", "manager_id", "created_time"] {
        let mut builder = FilterBuilder::new();
        builder.flat(Clause::Where, &[field, "=", "5"]).unwrap();
        builder.flat(Clause::Where, &["id", "<", "900"]).unwrap();
        builder.order_by("id", "desc").unwrap();
        let [_, page] = audit_list::statements(&builder.build().uncounted(), Some("ion4")).0;
        let plan = plan(&page);
        assert!(plan.contains("audit_record USING INTEGER PRIMARY KEY (rowid<?)"), "{field}: {plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{field}: {plan}");
    }
    assert!(plan(super::super::archive::ACTS).contains("audit_by_transaction (transaction_id=?"));
    assert!(plan(super::super::audit::SAVED).contains("audit_by_config (config_id=?"));
}
