//! Change <-> SQL. One file per noun holds its statement, its write and its read, columns in one order throughout.
//! It opens no connection and ends no transaction; `sqlite` does.

pub(super) mod bodies;
pub(super) mod config;
pub(super) mod counters;
pub(super) mod customer_override;
pub(super) mod event;
pub(super) mod operation;
pub(super) mod transaction;

use cashier_core::change::{Body, Change, Commit};
use cashier_core::ids::NoticeId;
use cashier_core::status::SignatureStatus;
use rusqlite::Connection;

use super::columns::sql_fault;
use super::quarantine::Unproven;
use super::seal::Seal;
use crate::ports::Fault;

/// Whether a row is vouched for by a signature. Unproven rows live in tables of their own, which forget their oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Genuine,
    Unproven,
}

/// What one row's write needs beside the row; the buffers are kept from row to row.
pub(super) struct Writer<'a> {
    pub(super) connection: &'a Connection,
    pub(super) seal: &'a Seal,
    pub(super) unproven: &'a mut Unproven,
    pub(super) scratch: &'a mut Scratch,
}

#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Rows touched by the commit at hand, for the journal.
    pub(super) touched: String,
    pub(super) json: [Vec<u8>; 3],
}

impl Writer<'_> {
    /// Writes every row of a commit and its journal line. Counters are written once per batch, by the caller.
    pub(super) fn commit(&mut self, commit: &Commit) -> Result<(), Fault> {
        self.scratch.touched.clear();
        for change in &commit.changes {
            self.change(change)?;
        }
        for body in &commit.bodies {
            self.body(commit, body)?;
        }
        // The journal is kept for ever, so what an open door brings must not write into it.
        if commit_standing(commit) == Standing::Unproven {
            return Ok(());
        }
        counters::put_journal(self, commit).map_err(sql_fault("commit_journal"))
    }

    fn change(&mut self, change: &Change) -> Result<(), Fault> {
        match change {
            Change::Transaction(transaction) => transaction::put(self, transaction),
            Change::Operation(operation) => operation::put(self, operation).map_err(sql_fault("balance_operation")),
            Change::Event(event) => event::put(self, event),
            Change::Config(config) => config::put(self, config),
            Change::Override(own) => customer_override::put(self, own).map_err(sql_fault("customer_override")),
        }
    }

    fn body(&mut self, commit: &Commit, body: &Body) -> Result<(), Fault> {
        match body {
            Body::Notice { id, .. } => {
                bodies::put_notice(self, body, standing(commit, *id)).map_err(sql_fault("notice"))
            }
            Body::Answer { transaction_id, redirect_url, instructions_json } => {
                bodies::put_answer(self, *transaction_id, redirect_url, instructions_json).map_err(sql_fault("answer"))
            }
            Body::Order { transaction_id, details } => {
                bodies::put_order(self, *transaction_id, details).map_err(sql_fault("stored_order"))
            }
        }
    }

    /// Notes a row for the journal: `t15 o3`.
    pub(super) fn touch(&mut self, kind: char, id: u64) {
        use std::fmt::Write;
        let touched = &mut self.scratch.touched;
        if !touched.is_empty() {
            touched.push(' ');
        }
        touched.push(kind);
        // Writing to a String cannot fail.
        let _ = write!(touched, "{id}");
    }
}

/// A commit is unproven when it holds unproven events and no other row.
fn commit_standing(commit: &Commit) -> Standing {
    let unproven =
        |change: &Change| matches!(change, Change::Event(event) if event.signature_status != SignatureStatus::Valid);
    let all = !commit.changes.is_empty() && commit.changes.iter().all(unproven);
    if all { Standing::Unproven } else { Standing::Genuine }
}

/// A notice is unproven when events were filed from it and none of them is genuine.
fn standing(commit: &Commit, notice: NoticeId) -> Standing {
    let mut filed = Standing::Genuine;
    for change in &commit.changes {
        if let Change::Event(event) = change
            && event.notice_id == notice
        {
            match event.signature_status {
                SignatureStatus::Valid => return Standing::Genuine,
                SignatureStatus::Unknown | SignatureStatus::Invalid => filed = Standing::Unproven,
            }
        }
    }
    filed
}

/// The JSON just written to a scratch buffer, as text.
fn text(json: &[u8]) -> Result<&str, rusqlite::Error> {
    std::str::from_utf8(json).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
