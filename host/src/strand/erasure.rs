//! Erases the texts of one customer from a database that no process has open: what the customer wrote and was shown, and what
//! providers sent about the customer's payments. Rows, amounts, ids and facts stay: they are the account of the money. Pages
//! that held the texts are overwritten, in the log too, and the image of the books is removed. It decides nothing.

use std::path::Path;
use std::sync::Arc;

use cashier_core::change::{AuditRecord, Body, Commit, Counters};
use cashier_core::edit::{AuditedValue, FieldChange, FieldClass};
use cashier_core::ids::{ApprovalId, ConfigId, CustomerId, ManagerId, Seq, TransactionId};
use cashier_core::lookups::Lookups;
use cashier_core::session::{Actor, Role};
use cashier_core::status::TransactionStatus;
use cashier_core::time::UnixTime;
use rusqlite::{Connection, params};

use super::audit::WrittenRecord;
use super::columns::{for_each_row, sql_fault};
use super::connection::connect;
use super::image;
use super::locks;
use super::quarantine::Quarantine;
use super::retention::{self, RetentionKind};
use super::rows::{self, RowWriter, Scratch, counters};
use super::seal::{Seal, SealKeys, SealRing};
use crate::ports::{Entropy, Fault};
use crate::security_log;

/// Request id of the erasing commit.
const REQUEST_ID: &str = "erase";
const COMMAND: &str = "cashier customer erase";

/// Whose texts are erased, and who asks for it.
#[derive(Debug)]
pub struct ErasureOrder<'o> {
    /// bases/cashier.db.
    pub database: &'o Path,
    pub customer: CustomerId,
    /// Who runs the command, for the audit record.
    pub by: &'o str,
    pub now: UnixTime,
}

/// What was erased, by number of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Transactions of the customer that have ended, and so are erased.
    pub transactions: u64,
    /// Those that have not ended: their order may still be sent again, or a person decides by their texts, which stay.
    pub open: u64,
    pub texts: u64,
    pub answers: u64,
    /// Return URLs, locale and address.
    pub orders: u64,
    /// Bodies, headers and queries of webhooks.
    pub notices: u64,
    /// Webhooks that are still to be read, or are about a transaction that has not ended.
    pub waiting: u64,
    /// Comments of overrides.
    pub overrides: u64,
    /// Ids that the customer's client chose for its requests, in the journal of commits.
    pub requests: u64,
}

impl Erased {
    /// An earlier run erased it all.
    pub fn is_nothing(&self) -> bool {
        let Self { transactions: _, open: _, waiting: _, texts, answers, orders, notices, overrides, requests } = self;
        [texts, answers, orders, notices, overrides, requests].iter().all(|rows| **rows == 0)
    }
}

/// Erases what can be erased now; a second run erases what has ended since.
///
/// # Errors
/// The database is in use, or cannot be written. After an error it is safe to run it again, and needed.
pub fn erase(order: &ErasureOrder<'_>, keys: SealKeys, entropy: Arc<dyn Entropy>) -> Result<Erased, Fault> {
    let path = order.database;
    let _locks = locks(path)?;
    let mut connection = connect(path)?;
    // What is freed is overwritten.
    connection.pragma_update(None, "secure_delete", true).map_err(sql_fault("turning on secure_delete"))?;
    let erased = {
        let fault = sql_fault("erasing");
        let transaction = connection.transaction().map_err(&fault)?;
        let erased = rows_of(&transaction, order)?;
        let seal = Seal::new(Arc::new(SealRing::new(keys)), entropy);
        let recorded = record(&transaction, &seal, order, erased)?;
        transaction.commit().map_err(&fault)?;
        recorded.iter().for_each(WrittenRecord::is_durable);
        erased
    };
    security_log::customer_erased(order.customer, order.by);
    // Free space within pages, and pages that were freed before, may hold what was written long ago.
    connection.execute_batch("VACUUM").map_err(sql_fault("writing the database anew"))?;
    empty_log(&connection)?;
    image::remove(path)?;
    Ok(erased)
}

fn rows_of(connection: &Connection, order: &ErasureOrder<'_>) -> Result<Erased, Fault> {
    let customer = order.customer.0.cast_signed();
    let needed = retention::needed_on(connection)?;
    let ended = final_statuses();
    let erase = || {
        let count = |sql: &str| connection.query_row(sql, [customer], |row| row.get::<_, i64>(0));
        connection.execute_batch("CREATE TEMP TABLE ended (id INTEGER PRIMARY KEY)")?;
        connection.execute(
            &format!(
                "INSERT INTO ended SELECT id FROM cashier_transaction WHERE customer_id = ?1 AND status IN ({ended})"
            ),
            [customer],
        )?;
        let mut erased = Erased {
            transactions: count("SELECT count(*) FROM ended WHERE ?1 = ?1")?.cast_unsigned(),
            open: count(&format!(
                "SELECT count(*) FROM cashier_transaction WHERE customer_id = ?1 AND status NOT IN ({ended})"
            ))?
            .cast_unsigned(),
            ..Erased::default()
        };
        let run = |sql: &str| connection.execute(sql, []).map(|rows| rows as u64);
        erased.texts = run("DELETE FROM transaction_text WHERE transaction_id IN (SELECT id FROM ended)")?;
        run("UPDATE cashier_transaction SET has_texts = 0, stored_bytes = 0 \
             WHERE id IN (SELECT id FROM ended) AND (has_texts <> 0 OR stored_bytes <> 0)")?;
        erased.orders = run("UPDATE stored_order SET success_url = '', failure_url = '', locale = '', ip = '' \
             WHERE transaction_id IN (SELECT id FROM ended) \
               AND (success_url <> '' OR failure_url <> '' OR locale <> '' OR ip <> '')")?;
        for id in ids(
            connection,
            "SELECT transaction_id FROM answer WHERE transaction_id IN (SELECT id FROM ended) AND deleted_time = 0",
        )? {
            retention::delete(connection, RetentionKind::Answers, id, order.now)?;
            erased.answers += 1;
        }
        // One webhook may be about several transactions, also of other customers.
        let undecided = ids(
            connection,
            &format!(
                "SELECT DISTINCT notice_id FROM provider_event WHERE transaction_id IN \
                 (SELECT id FROM cashier_transaction WHERE status NOT IN ({ended})) AND notice_id IN \
                 (SELECT notice_id FROM provider_event WHERE transaction_id IN (SELECT id FROM ended))"
            ),
        )?;
        for id in ids(
            connection,
            "SELECT id FROM notice WHERE deleted_time = 0 AND id IN \
             (SELECT notice_id FROM provider_event WHERE transaction_id IN (SELECT id FROM ended))",
        )? {
            if needed.contains(&id.cast_unsigned()) || undecided.contains(&id) {
                erased.waiting += 1;
            } else {
                retention::delete(connection, RetentionKind::Events, id, order.now)?;
                erased.notices += 1;
            }
        }
        erased.overrides = connection
            .execute("UPDATE customer_override SET comment = '' WHERE customer_id = ?1 AND comment <> ''", [customer])?
            as u64;
        erased.requests = connection.execute(
            "UPDATE commit_journal SET request_id = '' WHERE actor = 1 AND actor_id = ?1 AND request_id <> ''",
            [customer],
        )? as u64;
        connection.execute_batch("DROP TABLE ended")?;
        Ok(erased)
    };
    erase().map_err(sql_fault("erasing"))
}

/// The numbers of the statuses in which a transaction has ended, with commas between. What a person or the provider still has
/// to decide about needs what was written: where a withdrawal is to be paid to stands in nothing else.
fn final_statuses() -> String {
    let ended = TransactionStatus::ALL.iter().filter(|status| status.is_final());
    ended.map(|status| status.number().to_string()).collect::<Vec<_>>().join(", ")
}

fn ids(connection: &Connection, sql: &str) -> Result<Vec<i64>, rusqlite::Error> {
    connection.prepare(sql)?.query_map(params![], |row| row.get(0))?.collect()
}

/// Adds the record of what was erased to the chain, as a commit of its own number.
fn record(
    connection: &Connection,
    seal: &Seal,
    order: &ErasureOrder<'_>,
    erased: Erased,
) -> Result<Vec<WrittenRecord>, Fault> {
    let mut known = Counters::default();
    for_each_row(connection, counters::READ, [], counters::TABLE, |columns| {
        known = counters::read(columns)?;
        Ok(())
    })?;
    let counters = Counters { seq: known.seq + 1, ..known };
    let count = |field: &str, number: u64| FieldChange {
        field: field.into(),
        class: FieldClass::Other,
        before: AuditedValue::Clear(number.to_string().into()),
        after: AuditedValue::Clear("0".into()),
    };
    let customer = FieldChange {
        field: "customer_id".into(),
        class: FieldClass::Other,
        before: AuditedValue::Clear(order.customer.to_string().into()),
        after: AuditedValue::Clear(order.customer.to_string().into()),
    };
    let audit = AuditRecord {
        manager_id: ManagerId(0),
        role: Role::System,
        brand: Box::default(),
        address: order.by.into(),
        command: COMMAND.into(),
        config_id: ConfigId(0),
        transaction_id: TransactionId(0),
        approval: ApprovalId(0),
        outcome: "erased".into(),
        changes: vec![
            customer,
            count("texts", erased.texts),
            count("answers", erased.answers),
            count("orders", erased.orders),
            count("webhook_bodies", erased.notices),
            count("override_comments", erased.overrides),
            count("request_ids", erased.requests),
        ],
    };
    let commit = Commit {
        seq: Seq(counters.seq),
        at: order.now,
        actor: Actor::System,
        request_id: REQUEST_ID.into(),
        changes: Vec::new(),
        bodies: vec![Body::Audit(Box::new(audit))],
        counters,
        lookups: Lookups::default(),
    };
    let (mut quarantine, mut scratch) = (Quarantine::default(), Scratch::default());
    let mut writer = RowWriter { connection, seal, quarantine: &mut quarantine, scratch: &mut scratch };
    rows::write(&mut writer, &commit)?;
    counters::put(&mut writer, &counters)?;
    Ok(scratch.audited)
}

/// Moves the log into the database and cuts it to nothing.
fn empty_log(connection: &Connection) -> Result<(), Fault> {
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    match busy.map_err(sql_fault("moving the log into the database"))? {
        0 => Ok(()),
        _ => Err(Fault::new(
            "the texts are erased, but another program reads an old state of cashier.db, so that its log still holds them: \
             end that program and run this again",
        )),
    }
}
