//! What the database has about one transaction beside its rows in the books: requests to its provider, its events and those that
//! name it, and the records of what managers did about it. Each search is bounded.

use std::collections::BTreeSet;

use cashier_core::explanation::{PaymentHistory, StoredAct};
use cashier_core::ids::EventId;
use cashier_core::notice::{ProviderEvent, Update};
use cashier_core::session::Role;
use rusqlite::{Connection, Params};

use super::quarantined;
use crate::ports::{Fault, PaymentTraces};
use crate::strand::columns::{ColumnReader, for_each_row};
use crate::strand::rows::{calls, event};

/// Events of one transaction that are shown, the newest: a payment has a handful.
const EVENTS_MAX: usize = 256;
/// Other events that name it, of each search.
const NAMING_MAX: usize = 32;
/// Records about one transaction, the newest: of what was done, and as many of what was refused, which anybody can repeat.
const ACTS_MAX: usize = 256;

/// Of what was refused or of all else; of sessions of one brand, where it is given. The index is of records about a transaction
/// alone, and serves a statement that says so.
pub(in crate::strand) const ACTS: &str = "SELECT id, at, manager_id, role, brand, command, outcome, changes_json \
    FROM audit_record WHERE transaction_id <> 0 AND transaction_id = ?1 AND (?3 IS NULL OR brand = ?3) \
    AND (outcome LIKE 'refused:%') = ?4 ORDER BY id DESC LIMIT ?2";

/// Reads everything about a transaction.
///
/// # Errors
/// The database cannot be read.
pub(super) fn read(connection: &Connection, of: &PaymentTraces) -> Result<PaymentHistory, Fault> {
    let id = of.id.0.cast_signed();
    let brand = of.brand.as_deref();
    let mut events = Vec::new();
    let most = |most: usize| i64::try_from(most).unwrap_or(i64::MAX);
    add(connection, event::READ_OF_TRANSACTION, (id, most(EVENTS_MAX + 1)), &mut events)?;
    let more_events = events.len() > EVENTS_MAX;
    events.truncate(EVENTS_MAX);

    let mut naming = Vec::new();
    for name in &of.names {
        add(connection, event::READ_OF_PAYMENT, (&**name, id, most(NAMING_MAX), brand), &mut naming)?;
    }
    // Those that wait are few; of their updates each is read.
    let mut waiting = Vec::new();
    add(connection, event::READ_WAITING_ELSEWHERE, (id, most(usize::MAX), brand), &mut waiting)?;
    naming.extend(waiting.into_iter().filter(|known| names_it(known, of)).take(NAMING_MAX));
    let (unverified, unverified_count) = quarantined::naming(connection, of, NAMING_MAX)?;

    let mut known: BTreeSet<EventId> = events.iter().map(|known| known.id).collect();
    events.extend(naming.into_iter().filter(|event| known.insert(event.id)));
    events.sort_by_key(|known| known.id);

    let mut acts = Vec::new();
    for is_refused in [false, true] {
        for_each_row(connection, ACTS, (id, most(ACTS_MAX), brand, is_refused), "audit_record", |columns| {
            acts.push(act(columns)?);
            Ok(())
        })?;
    }
    acts.sort_by_key(|act| act.seq);
    let calls = calls::read(connection, of.id)?;
    Ok(PaymentHistory { calls, events, more_events, unverified, unverified_count, acts })
}

fn add(connection: &Connection, sql: &str, params: impl Params, found: &mut Vec<ProviderEvent>) -> Result<(), Fault> {
    for_each_row(connection, sql, params, event::TABLE, |columns| {
        found.push(event::read(columns)?);
        Ok(())
    })
}

fn names_it(known: &ProviderEvent, of: &PaymentTraces) -> bool {
    let by_update = |update: &Update| {
        update.reference.as_ref() == Some(&of.reference) || update.ids().any(|id| of.names.contains(&id.value))
    };
    known.update.as_ref().is_some_and(by_update)
}

fn act(columns: &mut ColumnReader<'_, '_>) -> Result<StoredAct, Fault> {
    Ok(StoredAct {
        seq: columns.value()?,
        at: columns.value()?,
        manager_id: columns.value()?,
        role: columns.number(Role::from_number)?,
        brand: columns.value()?,
        command: columns.value()?,
        outcome: columns.value()?,
        changes: columns.json(|text| serde_json::from_str(text))?,
    })
}
