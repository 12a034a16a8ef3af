//! Binding and reading columns one after another: a type of the core knows its columns, and `table!` lists those of a row
//! once. An unreadable value is a [`Fault`] that names table, row and column, never a panic.

use cashier_core::approval::ApprovalState;
use cashier_core::customer_override::OverrideMode;
use cashier_core::facts::Facts;
use cashier_core::ids::{
    ApprovalId, ConfigId, CustomerId, EventId, Login, ManagerId, NoticeId, OperationId, OverrideId, Reference, Seq,
    ServerName, TransactionId,
};
use cashier_core::money::{Currency, Limit, Money};
use cashier_core::notice::Update;
use cashier_core::reason::{Reason, ReasonCode};
use cashier_core::refs::Refs;
use cashier_core::status::{
    OperationCmd, OperationReason, OperationStatus, ProcessingStatus, SignatureStatus, Source, TransactionStatus,
    TransactionType,
};
use cashier_core::time::UnixTime;
use cashier_core::transaction::{FirstAnswer, KeySpace, NextAction};
use rusqlite::types::{ToSql, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, Params, Row};

use super::json;
use crate::ports::{Fault, FaultKind};

/// A value in its column or columns.
pub(super) trait Column: Sized {
    fn bind<'c>(&self, put: Put<'c>) -> Put<'c>;
    fn read(columns: &mut ColumnReader<'_, '_>) -> Result<Self, Fault>;
}

/// Names the step in which SQLite failed; SQLite's messages name tables and columns, never values.
pub(super) fn sql_fault(step: &str) -> impl Fn(rusqlite::Error) -> Fault + '_ {
    move |error| Fault::of(kind(&error), format!("{step}: {error}"))
}

/// By SQLite's code, never by its words.
fn kind(error: &rusqlite::Error) -> FaultKind {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => FaultKind::Busy,
        // Of one row as well: a value that its column cannot take.
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => FaultKind::Constraint,
        Some(ErrorCode::DiskFull) => FaultKind::Full,
        Some(ErrorCode::SystemIoFailure) => FaultKind::Io,
        Some(_) | None => FaultKind::Other,
    }
}

/// One row to store: binds the parameters in order, then runs the statement.
pub(super) struct Put<'c> {
    statement: CachedStatement<'c>,
    /// For JSON; reused from row to row.
    buffer: &'c mut Vec<u8>,
    next: usize,
    failed: Option<rusqlite::Error>,
}

impl<'c> Put<'c> {
    pub(super) fn prepare(
        connection: &'c Connection,
        sql: &str,
        buffer: &'c mut Vec<u8>,
    ) -> Result<Self, rusqlite::Error> {
        Ok(Self { statement: connection.prepare_cached(sql)?, buffer, next: 0, failed: None })
    }

    pub(super) fn with(self, value: &impl Column) -> Self {
        value.bind(self)
    }

    pub(super) fn sql(mut self, value: impl ToSql) -> Self {
        self.next += 1;
        if let Err(error) = self.statement.raw_bind_parameter(self.next, value) {
            self.failed.get_or_insert(error);
        }
        self
    }

    pub(super) fn json(mut self, write: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>) -> Self {
        self.next += 1;
        self.buffer.clear();
        let written = write(self.buffer).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()));
        let text = written.and_then(|()| {
            std::str::from_utf8(self.buffer).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
        });
        if let Err(error) = text.and_then(|text| self.statement.raw_bind_parameter(self.next, text)) {
            self.failed.get_or_insert(error);
        }
        self
    }

    pub(super) fn run(mut self) -> Result<(), rusqlite::Error> {
        match self.failed {
            Some(error) => Err(error),
            None => self.statement.raw_execute().map(|_| ()),
        }
    }
}

/// Runs a query and reads its rows one by one.
pub(super) fn for_each_row<P: Params>(
    connection: &Connection,
    sql: &str,
    params: P,
    table: &'static str,
    mut read: impl FnMut(&mut ColumnReader<'_, '_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let fault = sql_fault(table);
    let mut currencies = Currencies::default();
    let mut statement = connection.prepare_cached(sql).map_err(&fault)?;
    let mut rows = statement.query(params).map_err(&fault)?;
    while let Some(row) = rows.next().map_err(&fault)? {
        read(&mut ColumnReader { row, table, next: 0, currencies: &mut currencies })?;
    }
    Ok(())
}

/// Currencies that were already found: a million rows name a handful of them.
#[derive(Debug, Default)]
struct Currencies(Vec<(Box<str>, Currency)>);

impl Currencies {
    fn find(&mut self, code: &str) -> Option<Currency> {
        if let Some((_, known)) = self.0.iter().find(|(known, _)| **known == *code) {
            return Some(*known);
        }
        let found = Currency::from_code(code)?;
        self.0.push((code.into(), found));
        Some(found)
    }
}

/// One stored row: reads its columns in order.
pub(super) struct ColumnReader<'r, 's> {
    row: &'r Row<'s>,
    table: &'static str,
    next: usize,
    currencies: &'r mut Currencies,
}

impl<'r> ColumnReader<'r, '_> {
    pub(super) fn value<T: Column>(&mut self) -> Result<T, Fault> {
        T::read(self)
    }

    fn next(&mut self) -> Result<ValueRef<'r>, Fault> {
        let (row, index) = (self.row, self.next);
        self.next += 1;
        row.get_ref(index).map_err(|error| self.bad(&error.to_string()))
    }

    fn int(&mut self) -> Result<i64, Fault> {
        self.next()?.as_i64().map_err(|_| self.bad("is not an integer"))
    }

    /// A published number; an unknown one is a fault.
    pub(super) fn number<T>(&mut self, named: impl FnOnce(i64) -> Option<T>) -> Result<T, Fault> {
        let value = self.int()?;
        named(value).ok_or_else(|| self.bad(&format!("holds the unknown number {value}")))
    }

    pub(super) fn str(&mut self) -> Result<&'r str, Fault> {
        self.next()?.as_str().map_err(|_| self.bad("is not text"))
    }

    pub(super) fn blob(&mut self) -> Result<&'r [u8], Fault> {
        self.next()?.as_blob().map_err(|_| self.bad("is not a blob"))
    }

    /// A blob of exactly this many bytes.
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let blob = self.blob()?;
        blob.try_into().map_err(|_| self.bad(&format!("holds {} bytes, not {N}", blob.len())))
    }

    /// JSON that `json` wrote; an empty text stands for the default.
    pub(super) fn json<T: Default>(&mut self, read: impl FnOnce(&str) -> serde_json::Result<T>) -> Result<T, Fault> {
        match self.str()? {
            "" => Ok(T::default()),
            text => read(text).map_err(|error| {
                self.bad(&format!("holds JSON that this program cannot read (column {} of the text)", error.column()))
            }),
        }
    }

    /// A fault of the column that was read last. Every table's first column is its id.
    fn bad(&self, why: &str) -> Fault {
        let id = self.row.get::<_, i64>(0).unwrap_or_default();
        let column = self.row.as_ref().column_name(self.next - 1).unwrap_or("?").to_owned();
        Fault::new(format!("{} {id}: {column} {why}", self.table))
    }
}

/// Columns by how they are bound and read.
macro_rules! columns {
    ($($type:ty: |$value:ident, $put:ident| $bind:expr, |$columns:ident| $read:expr;)*) => {$(
        impl Column for $type {
            fn bind<'c>(&self, $put: Put<'c>) -> Put<'c> {
                let $value = self;
                $bind
            }

            fn read($columns: &mut ColumnReader<'_, '_>) -> Result<Self, Fault> {
                $read
            }
        }
    )*};
}

columns! {
    i64: |value, put| put.sql(value), |columns| columns.int();
    // Ids stay below 2^53; the trading server's order ids may use all 64 bits.
    u64: |value, put| put.sql(value.cast_signed()), |columns| columns.int().map(i64::cast_unsigned);
    u32: |value, put| put.sql(value), |columns| {
        let value = columns.int()?;
        Self::try_from(value).map_err(|_| columns.bad(&format!("holds {value}, which is out of range")))
    };
    bool: |value, put| put.sql(i64::from(*value)), |columns| columns.number(|number| match number {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    });
    Box<str>: |value, put| put.sql(&**value), |columns| columns.str().map(Self::from);
    UnixTime: |value, put| put.sql(value.0), |columns| columns.int().map(Self);
    Currency: |value, put| put.sql(value.code()), |columns| {
        let code = columns.str()?;
        columns.currencies.find(code).ok_or_else(|| columns.bad("names an unknown currency"))
    };
    Money: |value, put| put.sql(value.minor).with(&value.currency),
        |columns| Ok(Self::new(columns.int()?, columns.value()?));
    Limit: |value, put| put.sql(value.to_wire()), |columns| {
        Self::parse(columns.str()?).map_err(|error| columns.bad(&error.to_string()))
    };
    Reference: |value, put| put.sql(value.as_str()), |columns| {
        Self::read(columns.str()?).ok_or_else(|| columns.bad("is no reference of ours"))
    };
    ServerName: |value, put| put.sql(value.as_str()), |columns| {
        Self::read(columns.str()?).ok_or_else(|| columns.bad("is no name of a trading server"))
    };
    Reason: |value, put| put.sql(value.code.name()).with(&value.detail), |columns| {
        let code = ReasonCode::from_name(columns.str()?).ok_or_else(|| columns.bad("holds an unknown name"))?;
        Ok(Self { code, detail: columns.value()? })
    };
    Refs: |value, put| put.json(|out| json::write_refs(value, out)), |columns| columns.json(json::read_refs);
    Facts: |value, put| put
            .json(|out| json::write_provider_facts(&value.provider, out))
            .json(|out| json::write_person_facts(&value.persons, out)),
        |columns| Ok(Self {
            provider: columns.json(json::read_provider_facts)?,
            persons: columns.json(json::read_person_facts)?,
        });
    Box<[ConfigId]>: |value, put| put.json(|out| json::write_configs(value, out)),
        |columns| columns.json(json::read_configs);
    Vec<Box<str>>: |value, put| put.json(|out| json::write_names(value, out)), |columns| columns.json(json::read_names);
    Option<Update>: |value, put| put.json(|out| json::write_update(value.as_ref(), out)),
        |columns| columns.json(json::read_update);
}

/// Ids by their number, and enums by their published number.
macro_rules! numbers {
    ($($id:ident)* ; $($numbered:ident)*) => {
        columns! {
            $($id: |value, put| put.with(&value.0), |columns| columns.value().map(Self);)*
            $($numbered: |value, put| put.sql(value.number()), |columns| columns.number(Self::from_number);)*
        }
    };
}

numbers! {
    ApprovalId ConfigId CustomerId EventId Login ManagerId NoticeId OperationId OverrideId Seq TransactionId;
    ApprovalState FirstAnswer KeySpace NextAction OperationCmd OperationReason OperationStatus OverrideMode ProcessingStatus
    SignatureStatus Source TransactionStatus TransactionType
}

/// The columns of a row: `id`, then each field with the names of its columns where they differ from its own. Declares
/// `TABLE`, the texts `columns!()` and `values!()` for statements, and the functions `bind` and `read`.
macro_rules! table {
    ($row:ident $table:literal { $($field:ident $(: $($column:literal),+)?;)* }) => {
        pub(in crate::strand) const TABLE: &str = $table;

        macro_rules! columns {
            () => { concat!("id" $(, $crate::strand::columns::table!(@names $field $($($column)+)?))*) };
        }

        macro_rules! values {
            () => { concat!("?" $(, $crate::strand::columns::table!(@marks $field $($($column)+)?))*) };
        }

        fn bind<'c>(put: $crate::strand::columns::Put<'c>, row: &$row) -> $crate::strand::columns::Put<'c> {
            put.with(&row.id)$(.with(&row.$field))*
        }

        pub(in crate::strand) fn read(
            columns: &mut $crate::strand::columns::ColumnReader<'_, '_>,
        ) -> Result<$row, $crate::ports::Fault> {
            Ok($row { id: columns.value()?, $($field: columns.value()?,)* })
        }
    };
    (@names $field:ident) => { concat!(", ", stringify!($field)) };
    (@names $field:ident $($column:literal)+) => { concat!($(", ", $column),+) };
    (@marks $field:ident) => { ",?" };
    (@marks $field:ident $($column:literal)+) => { concat!($(",?", $crate::strand::columns::table!(@none $column)),+) };
    (@none $column:literal) => { "" };
}

pub(super) use table;
