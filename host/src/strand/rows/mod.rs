//! Change <-> SQL. One file per table holds its statement, its write and its read, columns in one order throughout; this
//! one writes a whole commit.

pub(super) mod approval;
pub(super) mod bodies;
pub(super) mod calls;
pub(super) mod config;
pub(super) mod counters;
pub(super) mod customer_override;
pub(super) mod event;
pub(super) mod operation;
pub(super) mod transaction;
mod writer;

use cashier_core::change::{Body, Change, Commit};
use cashier_core::ids::NoticeId;

use self::writer::Area;
pub(super) use self::writer::{RowWriter, Scratch};
use crate::ports::Fault;
use crate::strand::audit;

/// Writes every row of a commit and its journal line. Counters are written once per batch, by the caller.
pub(super) fn write(writer: &mut RowWriter<'_>, commit: &Commit) -> Result<(), Fault> {
    writer.scratch.touched.clear();
    for change in &commit.changes {
        write_change(writer, change)?;
    }
    for body in &commit.bodies {
        write_body(writer, commit, body)?;
    }
    // The journal is permanent, so unauthenticated callers must not be able to grow it.
    if is_quarantined(commit) || is_log_alone(commit) {
        return Ok(());
    }
    counters::put_journal(writer, commit)
}

fn write_change(writer: &mut RowWriter<'_>, change: &Change) -> Result<(), Fault> {
    match change {
        Change::Transaction(row) => transaction::put(writer, row),
        Change::Operation(row) => operation::put(writer, row),
        Change::Event(row) => event::put(writer, row),
        Change::Config(row) => config::put(writer, row),
        Change::ConfigDeleted(id) => config::delete(writer, *id),
        Change::Override(row) => customer_override::put(writer, row),
        Change::Approval(row) => approval::put(writer, row),
    }
}

fn write_body(writer: &mut RowWriter<'_>, commit: &Commit, body: &Body) -> Result<(), Fault> {
    match body {
        Body::Notice { id, .. } => bodies::put_notice(writer, body, notice_area(commit, *id)),
        Body::Answer { transaction_id, redirect_url, instructions_json } => {
            bodies::put_answer(writer, *transaction_id, redirect_url, instructions_json)
        }
        Body::Order { transaction_id, details } => bodies::put_order(writer, *transaction_id, details),
        Body::Texts { transaction_id, texts } => bodies::put_texts(writer, *transaction_id, texts),
        Body::Calls { transaction_id, calls } => calls::put(writer, commit, *transaction_id, calls),
        Body::Audit(record) => {
            let written = audit::put(writer.connection, writer.seal, commit, record)?;
            writer.scratch.audited.push(written);
            Ok(())
        }
    }
}

/// The commit holds quarantined events and no other row.
fn is_quarantined(commit: &Commit) -> bool {
    let quarantined = |change: &Change| matches!(change, Change::Event(event) if Area::of(event.signature_status) == Area::Quarantine);
    !commit.changes.is_empty() && commit.changes.iter().all(quarantined)
}

/// The commit holds nothing but requests to a provider: an open payment is queried for months.
fn is_log_alone(commit: &Commit) -> bool {
    let is_log = |body: &Body| matches!(body, Body::Calls { .. });
    commit.changes.is_empty() && !commit.bodies.is_empty() && commit.bodies.iter().all(is_log)
}

/// A notice is quarantined when events were filed from it and none of them is verified.
fn notice_area(commit: &Commit, notice: NoticeId) -> Area {
    let mut area = Area::Verified;
    for change in &commit.changes {
        if let Change::Event(event) = change
            && event.notice_id == notice
        {
            area = Area::of(event.signature_status);
            if area == Area::Verified {
                break;
            }
        }
    }
    area
}
