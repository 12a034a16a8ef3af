//! The tables of `trading.db`: opening, and each statement but those of loading once. It decides nothing.

use std::path::Path;
use std::time::Duration;

use cashier_core::account::{Account, Customer, Group};
use cashier_core::ids::{CustomerId, Login, TransactionId};
use cashier_core::money::{Currency, Money};
use cashier_core::operation::{OperationKey, PostingOutcome};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use crate::ports::{Fault, Posting};
use crate::private_files;

/// Every schema in order; `PRAGMA user_version` counts the applied ones.
pub(super) const SCHEMAS: &[&str] = &[
    include_str!("schema/0001_trading.sql"),
    include_str!("schema/0002_operation_keys.sql"),
    include_str!("schema/0003_defence.sql"),
    include_str!("schema/0004_currency.sql"),
    include_str!("schema/0005_rates.sql"),
];

/// The lock file excludes other cashiers, so only an operator's tool can hold the database; a quarter second is a pause,
/// not a hang.
const BUSY_WAIT: Duration = Duration::from_millis(250);

/// The log is cut to this length once it is empty: SQLite's own limit of a log that grows no further is 4 MiB.
const LOG_BYTES_KEPT: i64 = 64 * 1024 * 1024;

/// Opens the database, brings its schema up to date and makes every commit durable.
pub(super) fn open(path: &Path) -> Result<Connection, DiskFault> {
    let path = &private_files::without_links(path).map_err(|fault| DiskFault::new(fault.what))?;
    let flags = OpenFlags::default() | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // On macOS fsync alone leaves data in the drive's cache; elsewhere these change nothing.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    // What a long reader made the log grow by is given back once it has ended.
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    let applied = applied(&connection)?;
    let pending = SCHEMAS.get(applied..).ok_or_else(|| DiskFault::new(newer(path, applied)))?;
    for (offset, schema) in pending.iter().enumerate() {
        let transaction = connection.transaction()?;
        transaction.execute_batch(schema)?;
        let version = i64::try_from(applied.saturating_add(offset).saturating_add(1)).unwrap_or(i64::MAX);
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(connection)
}

/// How many schemas are applied.
fn applied(connection: &Connection) -> Result<usize, rusqlite::Error> {
    let applied: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(usize::try_from(applied).unwrap_or(usize::MAX))
}

fn newer(path: &Path, applied: usize) -> String {
    format!(
        "{}: its schema version is {applied}, and this program knows versions up to {}: start a newer program",
        path.display(),
        SCHEMAS.len()
    )
}

/// Refuses a database of a later release, and where `earlier_is_fine` does not say otherwise one of an earlier release: see
/// `strand::check_release`.
pub(super) fn check_release(path: &Path, earlier_is_fine: bool) -> Result<(), Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let real = private_files::without_links(path)?;
    let known = SCHEMAS.len();
    // What cannot be read is left to whoever opens it next, and an empty file is still to be made.
    match Connection::open_with_flags(real, flags).and_then(|connection| applied(&connection)) {
        Err(_) | Ok(0) => Ok(()),
        Ok(applied) if applied > known => Err(Fault::new(newer(path, applied))),
        Ok(applied) if applied < known && !earlier_is_fine => Err(Fault::new(format!(
            "{}: its schema version is {applied}, and this program's is {known}: start the server once, which brings it up to date",
            path.display()
        ))),
        Ok(_) => Ok(()),
    }
}

/// A posting as stored under its key.
pub(super) struct StoredPosting {
    pub(super) transaction_id: TransactionId,
    pub(super) customer_id: CustomerId,
    pub(super) login: Login,
    pub(super) cmd: i64,
    pub(super) reason: i64,
    pub(super) amount: Money,
    pub(super) outcome: PostingOutcome,
}

impl StoredPosting {
    /// Whether a posting has the same values. The comment and the times move no money and are not compared.
    pub(super) fn is_same(&self, posting: &Posting) -> bool {
        let operation = &posting.operation;
        self.transaction_id == operation.transaction_id
            && self.customer_id == posting.customer_id
            && self.login == operation.login
            && self.cmd == i64::from(operation.cmd.number())
            && self.reason == i64::from(operation.reason.number())
            && self.amount == operation.amount
    }
}

pub(super) fn posting(connection: &Connection, key: &OperationKey) -> Result<Option<StoredPosting>, DiskFault> {
    let mut statement = connection.prepare_cached(
        "SELECT transaction_id, customer_id, login, cmd, reason, amount_minor, currency, exponent, trade_order, refusal
         FROM posting WHERE key = ?1",
    )?;
    let mut rows = statement.query([key.as_str()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (trade_order, reason): (u64, Box<str>) = (id(row, 8)?, row.get(9)?);
    let outcome =
        if reason.is_empty() { PostingOutcome::posted(trade_order) } else { PostingOutcome::Refused { reason } };
    Ok(Some(StoredPosting {
        transaction_id: TransactionId(id(row, 0)?),
        customer_id: CustomerId(id(row, 1)?),
        login: Login(id(row, 2)?),
        cmd: row.get(3)?,
        reason: row.get(4)?,
        amount: Money::new(row.get(5)?, currency(row, 6, 7)?),
        outcome,
    }))
}

/// Stores a posting; `refusal` is empty and `trade_order` is not 0 where it was posted.
pub(super) fn insert_posting(
    connection: &Connection,
    posting: &Posting,
    trade_order: u64,
    refusal: &str,
) -> Result<(), DiskFault> {
    let operation = &posting.operation;
    connection
        .prepare_cached(
            "INSERT INTO posting VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(params![
            posting.key().as_str(),
            posting.reference.as_str(),
            signed(operation.id.0)?,
            signed(operation.transaction_id.0)?,
            signed(posting.customer_id.0)?,
            signed(operation.login.0)?,
            i64::from(operation.cmd.number()),
            i64::from(operation.reason.number()),
            operation.amount.minor,
            operation.amount.currency.code(),
            operation.amount.currency.exponent(),
            posting.comment,
            operation.created_time.0,
            signed(trade_order)?,
            refusal,
        ])?;
    Ok(())
}

/// Moves a balance, provided that it is still what it was.
pub(super) fn move_balance(connection: &Connection, login: Login, from: Money, to: Money) -> Result<(), DiskFault> {
    let changed = connection
        .prepare_cached(
            "UPDATE account SET balance_minor = ?3, recorded_minor = ?3, currency = ?4, exponent = ?5
             WHERE login = ?1 AND balance_minor = ?2 AND recorded_minor = ?2",
        )?
        .execute(params![signed(login.0)?, from.minor, to.minor, to.currency.code(), to.currency.exponent()])?;
    if changed == 1 {
        Ok(())
    } else {
        Err(DiskFault::new(format!("account {login} no longer has a balance of {from}")))
    }
}

/// Ends the contest over an edited balance: what is given is the balance and what is recorded.
pub(super) fn settle_balance(connection: &Connection, login: Login, balance: Money) -> Result<(), DiskFault> {
    connection
        .prepare_cached(
            "UPDATE account SET balance_minor = ?2, recorded_minor = ?2, currency = ?3, exponent = ?4 WHERE login = ?1",
        )?
        .execute(params![signed(login.0)?, balance.minor, balance.currency.code(), balance.currency.exponent()])?;
    Ok(())
}

pub(super) fn put_customer(connection: &Connection, customer: &Customer) -> Result<(), DiskFault> {
    connection.prepare_cached("INSERT OR REPLACE INTO customer VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
        signed(customer.customer_id.0)?,
        customer.country,
        customer.brand,
        customer.status,
        customer.deposit_allowed,
        customer.withdrawal_allowed,
    ])?;
    Ok(())
}

pub(super) fn put_group(connection: &Connection, group: &Group) -> Result<(), DiskFault> {
    connection.prepare_cached("INSERT OR REPLACE INTO account_group VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(
        params![
            group.group,
            group.brand,
            group.currency.code(),
            group.currency.exponent(),
            group.account_mode.number(),
            group.enabled,
        ],
    )?;
    Ok(())
}

/// Adds an account with its opening balance, or updates all but the balance.
pub(super) fn put_account(connection: &Connection, account: &Account) -> Result<(), DiskFault> {
    connection
        .prepare_cached(
            "INSERT INTO account VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7) ON CONFLICT (login) DO UPDATE
             SET customer_id = excluded.customer_id, group_name = excluded.group_name, enabled = excluded.enabled",
        )?
        .execute(params![
            signed(account.login.0)?,
            signed(account.customer_id.0)?,
            account.group,
            account.enabled,
            account.balance.minor,
            account.balance.currency.code(),
            account.balance.currency.exponent(),
        ])?;
    Ok(())
}

/// The rows that every write transaction continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WriteCounters {
    /// The highest trade order handed out.
    pub(super) trade_order: u64,
    /// Raised by one in every write transaction.
    pub(super) sequence: u64,
}

pub(super) fn counters(connection: &Connection) -> Result<WriteCounters, DiskFault> {
    let counter = |name: &str| -> Result<u64, DiskFault> {
        let value: Option<i64> = connection
            .prepare_cached("SELECT value FROM counter WHERE name = ?1")?
            .query_row([name], |row| row.get(0))
            .optional()?;
        let missing = || DiskFault::new(format!("the counter {name} is missing"));
        value.and_then(|value| u64::try_from(value).ok()).ok_or_else(missing)
    };
    Ok(WriteCounters { trade_order: counter("trade_order")?, sequence: counter("sequence")? })
}

/// Continues the counters, provided that they are still what they were.
pub(super) fn raise_counters(connection: &Connection, from: WriteCounters, to: WriteCounters) -> Result<(), DiskFault> {
    let mut raise = connection.prepare_cached("UPDATE counter SET value = ?3 WHERE name = ?1 AND value = ?2")?;
    for (name, from, to) in
        [("trade_order", from.trade_order, to.trade_order), ("sequence", from.sequence, to.sequence)]
    {
        if raise.execute(params![name, signed(from)?, signed(to)?])? != 1 {
            return Err(DiskFault::new(format!("the counter {name} is no longer {from}")));
        }
    }
    Ok(())
}

/// Changes whenever another connection commits; this connection's own commits leave it.
pub(super) fn data_version(connection: &Connection) -> Result<i64, DiskFault> {
    Ok(connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}

/// A failure of the database. A type of this module, so that `?` converts SQLite's errors here and nowhere else.
#[derive(Debug)]
pub(super) struct DiskFault {
    pub(super) what: String,
    of_row: bool,
}

impl DiskFault {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), of_row: false }
    }

    pub(super) fn of_row(what: impl Into<String>) -> Self {
        Self { what: what.into(), of_row: true }
    }

    /// One row cannot be read or written; the database works.
    pub(super) fn is_of_row(&self) -> bool {
        self.of_row
    }
}

impl From<rusqlite::Error> for DiskFault {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        let of_row = match &error {
            E::FromSqlConversionFailure(..)
            | E::IntegralValueOutOfRange(..)
            | E::InvalidColumnType(..)
            | E::Utf8Error(..) => true,
            E::SqliteFailure(failure, _) => {
                matches!(failure.code, rusqlite::ErrorCode::ConstraintViolation | rusqlite::ErrorCode::TypeMismatch)
            }
            _ => false,
        };
        Self { what: error.to_string(), of_row }
    }
}

impl From<DiskFault> for Fault {
    fn from(fault: DiskFault) -> Self {
        Self::new(format!("trading.db: {}", fault.what))
    }
}

/// SQLite counts in signed 64-bit integers.
pub(super) fn signed(value: u64) -> Result<i64, DiskFault> {
    i64::try_from(value).map_err(|_| DiskFault::of_row(format!("{value} is larger than the database's integers")))
}

pub(super) fn id(row: &Row<'_>, column: usize) -> Result<u64, DiskFault> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| DiskFault::of_row(format!("a stored id is {value}")))
}

/// The currency of a row, provided that it has the number of decimals it had when the row was written.
pub(super) fn currency(row: &Row<'_>, code: usize, exponent: usize) -> Result<Currency, DiskFault> {
    let (code, exponent): (Box<str>, i64) = (row.get(code)?, row.get(exponent)?);
    Currency::from_code(&code).filter(|known| i64::from(known.exponent()) == exponent).ok_or_else(|| {
        DiskFault::of_row(format!("stored amounts are in {code} with {exponent} decimals, which is unknown"))
    })
}
