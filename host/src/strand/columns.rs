//! Binds and reads columns one after another, so that a table's write and read list them in the same order.
//! An unreadable value is a [`Fault`] that names table, row and column, never a panic.

use cashier_core::ids::Reference;
use cashier_core::money::{Currency, Limit, Money};
use cashier_core::time::UnixTime;
use rusqlite::types::ToSql;
use rusqlite::{CachedStatement, Connection, Row};

use crate::ports::Fault;

/// Names the step in which SQLite failed; SQLite's messages name tables and columns, never values.
pub(super) fn sql_fault(step: &str) -> impl Fn(rusqlite::Error) -> Fault + '_ {
    move |error| Fault::new(format!("{step}: {error}"))
}

/// One row to store: binds the parameters in order, then runs the statement.
pub(super) struct Put<'c> {
    statement: CachedStatement<'c>,
    next: usize,
    failed: Option<rusqlite::Error>,
}

impl<'c> Put<'c> {
    pub(super) fn prepare(connection: &'c Connection, sql: &str) -> Result<Self, rusqlite::Error> {
        Ok(Self { statement: connection.prepare_cached(sql)?, next: 0, failed: None })
    }

    fn bind(mut self, value: impl ToSql) -> Self {
        self.next += 1;
        if let Err(error) = self.statement.raw_bind_parameter(self.next, value) {
            self.failed.get_or_insert(error);
        }
        self
    }

    pub(super) fn int(self, value: i64) -> Self {
        self.bind(value)
    }

    /// Ids stay below 2^53; the trading server's own order ids may use all 64 bits and keep them.
    pub(super) fn id(self, value: u64) -> Self {
        self.bind(value.cast_signed())
    }

    pub(super) fn flag(self, value: bool) -> Self {
        self.bind(i64::from(value))
    }

    pub(super) fn number(self, value: u8) -> Self {
        self.bind(i64::from(value))
    }

    pub(super) fn text(self, value: &str) -> Self {
        self.bind(value)
    }

    pub(super) fn blob(self, value: &[u8]) -> Self {
        self.bind(value)
    }

    pub(super) fn time(self, value: UnixTime) -> Self {
        self.bind(value.0)
    }

    pub(super) fn currency(self, value: Currency) -> Self {
        self.bind(value.code())
    }

    pub(super) fn money(self, value: Money) -> Self {
        self.int(value.minor).currency(value.currency)
    }

    pub(super) fn limit(self, value: Limit) -> Self {
        self.bind(value.to_wire())
    }

    pub(super) fn run(mut self) -> Result<(), rusqlite::Error> {
        match self.failed {
            Some(error) => Err(error),
            None => self.statement.raw_execute().map(|_| ()),
        }
    }
}

/// Currencies that were already found: a million rows name a handful of them.
#[derive(Debug, Default)]
pub(super) struct Currencies(Vec<(Box<str>, Currency)>);

impl Currencies {
    pub(super) fn find(&mut self, code: &str) -> Option<Currency> {
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

impl<'r, 's> ColumnReader<'r, 's> {
    pub(super) fn new(row: &'r Row<'s>, table: &'static str, currencies: &'r mut Currencies) -> Self {
        Self { row, table, next: 0, currencies }
    }

    pub(super) fn int(&mut self) -> Result<i64, Fault> {
        let index = self.step();
        let value = self.row.get_ref(index).map_err(|error| self.bad(index, &error.to_string()))?;
        value.as_i64().map_err(|_| self.bad(index, "is not an integer"))
    }

    pub(super) fn id(&mut self) -> Result<u64, Fault> {
        self.int().map(i64::cast_unsigned)
    }

    pub(super) fn count<N: TryFrom<i64>>(&mut self) -> Result<N, Fault> {
        let value = self.int()?;
        N::try_from(value).map_err(|_| self.bad(self.next - 1, &format!("holds {value}, which is out of range")))
    }

    pub(super) fn flag(&mut self) -> Result<bool, Fault> {
        self.number(|number| match number {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        })
    }

    /// A published number; one that names nothing is a fault.
    pub(super) fn number<T>(&mut self, named: impl FnOnce(i64) -> Option<T>) -> Result<T, Fault> {
        let value = self.int()?;
        named(value).ok_or_else(|| self.bad(self.next - 1, &format!("holds the unknown number {value}")))
    }

    pub(super) fn str(&mut self) -> Result<&'r str, Fault> {
        let index = self.step();
        let row: &'r Row<'s> = self.row;
        let value = row.get_ref(index).map_err(|error| self.bad(index, &error.to_string()))?;
        value.as_str().map_err(|_| self.bad(index, "is not text"))
    }

    /// A stored name; one that names nothing is a fault.
    pub(super) fn name<T>(&mut self, named: impl FnOnce(&str) -> Option<T>) -> Result<T, Fault> {
        let name = self.str()?;
        named(name).ok_or_else(|| self.bad(self.next - 1, "holds an unknown name"))
    }

    pub(super) fn text(&mut self) -> Result<Box<str>, Fault> {
        self.str().map(Box::from)
    }

    pub(super) fn blob(&mut self) -> Result<&'r [u8], Fault> {
        let index = self.step();
        let row: &'r Row<'s> = self.row;
        let value = row.get_ref(index).map_err(|error| self.bad(index, &error.to_string()))?;
        value.as_blob().map_err(|_| self.bad(index, "is not a blob"))
    }

    /// A blob of exactly this many bytes.
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let blob = self.blob()?;
        blob.try_into().map_err(|_| self.bad(self.next - 1, &format!("holds {} bytes, not {N}", blob.len())))
    }

    pub(super) fn time(&mut self) -> Result<UnixTime, Fault> {
        self.int().map(UnixTime)
    }

    pub(super) fn currency(&mut self) -> Result<Currency, Fault> {
        let code = self.str()?;
        match self.currencies.find(code) {
            Some(currency) => Ok(currency),
            None => Err(self.bad(self.next - 1, "names an unknown currency")),
        }
    }

    pub(super) fn money(&mut self) -> Result<Money, Fault> {
        Ok(Money::new(self.int()?, self.currency()?))
    }

    pub(super) fn limit(&mut self) -> Result<Limit, Fault> {
        let text = self.str()?;
        Limit::parse(text).map_err(|error| self.bad(self.next - 1, &error.to_string()))
    }

    pub(super) fn reference(&mut self) -> Result<Reference, Fault> {
        let text = self.str()?;
        Reference::read(text).ok_or_else(|| self.bad(self.next - 1, "is no reference of ours"))
    }

    /// JSON that `json` wrote; an empty text stands for the default.
    pub(super) fn json<T: Default>(&mut self, read: impl FnOnce(&str) -> serde_json::Result<T>) -> Result<T, Fault> {
        match self.str()? {
            "" => Ok(T::default()),
            text => read(text).map_err(|error| {
                let why = format!("holds JSON that this program cannot read (column {} of the text)", error.column());
                self.bad(self.next - 1, &why)
            }),
        }
    }

    fn step(&mut self) -> usize {
        let index = self.next;
        self.next += 1;
        index
    }

    /// Every table's first column is its id.
    fn bad(&self, index: usize, why: &str) -> Fault {
        let id = self.row.get::<_, i64>(0).unwrap_or_default();
        let column = self.row.as_ref().column_name(index).unwrap_or("?").to_owned();
        Fault::new(format!("{} {id}: {column} {why}", self.table))
    }
}
