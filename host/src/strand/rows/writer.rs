//! What writing a row needs beside the row: the connection, the seal, the quarantine's fill and buffers that are reused
//! from row to row. It opens no connection and ends no transaction.

use std::fmt::Write;

use cashier_core::status::SignatureStatus;
use rusqlite::Connection;

use crate::ports::Fault;
use crate::strand::audit::WrittenRecord;
use crate::strand::columns::{Put, sql_fault};
use crate::strand::connection::overwrite_freed;
use crate::strand::quarantine::Quarantine;
use crate::strand::seal::Seal;

/// Which tables an event and its notice belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::strand) enum Area {
    /// The signature was verified: the rows are permanent.
    Verified,
    /// Tables of their own, bounded, whose oldest rows are deleted.
    Quarantine,
}

impl Area {
    pub(in crate::strand) fn of(status: SignatureStatus) -> Self {
        match status {
            SignatureStatus::Valid => Self::Verified,
            SignatureStatus::Unknown | SignatureStatus::Invalid => Self::Quarantine,
        }
    }
}

pub(in crate::strand) struct RowWriter<'a> {
    pub(in crate::strand) connection: &'a Connection,
    pub(in crate::strand) seal: &'a Seal,
    pub(in crate::strand) quarantine: &'a mut Quarantine,
    pub(in crate::strand) scratch: &'a mut Scratch,
}

#[derive(Debug, Default)]
pub(in crate::strand) struct Scratch {
    /// Rows that the current commit touched, for the journal.
    pub(super) touched: String,
    json: Vec<u8>,
    /// Encrypted columns were overwritten: the log still holds them.
    pub(in crate::strand) has_overwritten: bool,
    /// Records of the open transaction.
    pub(in crate::strand) audited: Vec<WrittenRecord>,
}

impl RowWriter<'_> {
    /// Notes a row for the journal: `t15 o3`.
    pub(super) fn touch(&mut self, kind: char, id: u64) {
        let touched = &mut self.scratch.touched;
        if !touched.is_empty() {
            touched.push(' ');
        }
        touched.push(kind);
        // Writing to a String cannot fail.
        let _ = write!(touched, "{id}");
    }

    /// Runs a statement that may free encrypted columns, which are overwritten.
    pub(in crate::strand) fn put_over(
        &mut self,
        table: &'static str,
        sql: &str,
        bind: impl FnOnce(Put<'_>) -> Put<'_>,
    ) -> Result<(), Fault> {
        self.scratch.has_overwritten = true;
        overwrite_freed(self.connection, true).map_err(sql_fault(table))?;
        let put = self.put(table, sql, bind);
        overwrite_freed(self.connection, false).map_err(sql_fault(table))?;
        put
    }

    /// Runs a statement with the parameters that `bind` gives it.
    pub(super) fn put(
        &mut self,
        table: &'static str,
        sql: &str,
        bind: impl FnOnce(Put<'_>) -> Put<'_>,
    ) -> Result<(), Fault> {
        let put = Put::prepare(self.connection, sql, &mut self.scratch.json);
        put.and_then(|put| bind(put).run()).map_err(sql_fault(table))
    }
}
