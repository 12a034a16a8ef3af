//! The tables counters (one row, the ids handed out) and commit_journal (who changed which rows, in which order).

use cashier_core::change::{Commit, Counters};
use cashier_core::session::Actor;
use rusqlite::Connection;

use super::writer::RowWriter;
use crate::ports::Fault;
use crate::strand::columns::{ColumnReader, Put};

pub(in crate::strand) const TABLE: &str = "counters";

const PUT: &str = "UPDATE counters SET seq = ?, cashier_transaction = ?, operation = ?, event = ?, notice = ?, \
                   config = ?, customer_override = ? WHERE id = 1";

pub(in crate::strand) const READ: &str =
    "SELECT id, seq, cashier_transaction, operation, event, notice, config, customer_override FROM counters";

/// A plain INSERT: a seq written twice means that two ledgers write, and fails the commit.
const PUT_JOURNAL: &str =
    "INSERT INTO commit_journal (seq, at, actor, actor_id, request_id, touched) VALUES (?,?,?,?,?,?)";

pub(in crate::strand) fn put(connection: &Connection, counters: &Counters) -> Result<(), rusqlite::Error> {
    Put::prepare(connection, PUT)?
        .id(counters.seq)
        .id(counters.transaction)
        .id(counters.operation)
        .id(counters.event)
        .id(counters.notice)
        .id(counters.config)
        .id(counters.customer_override)
        .run()
}

pub(in crate::strand) fn read(columns: &mut ColumnReader<'_, '_>) -> Result<Counters, Fault> {
    columns.id()?;
    Ok(Counters {
        seq: columns.id()?,
        transaction: columns.id()?,
        operation: columns.id()?,
        event: columns.id()?,
        notice: columns.id()?,
        config: columns.id()?,
        customer_override: columns.id()?,
    })
}

pub(super) fn put_journal(writer: &mut RowWriter<'_>, commit: &Commit) -> Result<(), rusqlite::Error> {
    let (actor, id) = match commit.actor {
        Actor::System => (0, 0),
        Actor::Customer(id) => (1, id.0),
        Actor::Manager(id) => (2, id.0),
        Actor::Provider(id) => (3, id.0),
    };
    Put::prepare(writer.connection, PUT_JOURNAL)?
        .id(commit.seq.0)
        .time(commit.at)
        .number(actor)
        .id(id)
        .text(&commit.request_id)
        .text(&writer.scratch.touched)
        .run()
}
