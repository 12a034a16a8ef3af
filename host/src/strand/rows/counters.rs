//! The tables counters (one row, the ids handed out) and commit_journal (who changed which rows, in which order).

use cashier_core::change::{Commit, Counters};
use cashier_core::session::Actor;

use super::writer::RowWriter;
use crate::ports::{Fault, FaultKind};
use crate::strand::columns::ColumnReader;

pub(in crate::strand) const TABLE: &str = "counters";

const PUT: &str = "UPDATE counters SET seq = ?, cashier_transaction = ?, operation = ?, event = ?, notice = ?, \
                   config = ?, customer_override = ? WHERE id = 1";

pub(in crate::strand) const READ: &str =
    "SELECT id, seq, cashier_transaction, operation, event, notice, config, customer_override FROM counters";

/// A plain INSERT: a seq written twice means that two ledgers write, and fails the commit.
const PUT_JOURNAL: &str =
    "INSERT INTO commit_journal (seq, at, actor, actor_id, request_id, touched) VALUES (?,?,?,?,?,?)";

pub(in crate::strand) fn put(writer: &mut RowWriter<'_>, counters: &Counters) -> Result<(), Fault> {
    let Counters { seq, transaction, operation, event, notice, config, customer_override } = counters;
    let all = [seq, transaction, operation, event, notice, config, customer_override];
    writer.put(TABLE, PUT, |put| all.into_iter().fold(put, |put, counter| put.with(counter)))
}

pub(in crate::strand) fn read(columns: &mut ColumnReader<'_, '_>) -> Result<Counters, Fault> {
    columns.value::<u64>()?;
    Ok(Counters {
        seq: columns.value()?,
        transaction: columns.value()?,
        operation: columns.value()?,
        event: columns.value()?,
        notice: columns.value()?,
        config: columns.value()?,
        customer_override: columns.value()?,
    })
}

pub(super) fn put_journal(writer: &mut RowWriter<'_>, commit: &Commit) -> Result<(), Fault> {
    let (actor, id) = match commit.actor {
        Actor::System => (0, 0),
        Actor::Customer(id) => (1, id.0),
        Actor::Manager(id) => (2, id.0),
        Actor::Provider(id) => (3, id.0),
    };
    let touched = std::mem::take(&mut writer.scratch.touched);
    let written = writer.put("commit_journal", PUT_JOURNAL, |put| {
        put.with(&commit.seq).with(&commit.at).sql(actor).with(&id).with(&commit.request_id).sql(&touched)
    });
    writer.scratch.touched = touched;
    // Nothing that the commit holds is at fault.
    written.map_err(|fault| match fault.kind {
        FaultKind::Constraint => fault.with_kind(FaultKind::Other),
        FaultKind::Busy | FaultKind::Full | FaultKind::Io | FaultKind::Other => fault,
    })
}
