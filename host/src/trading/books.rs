//! What a start compares with cashier.db: the identity of the books that the postings belong to, the highest operation id
//! received and a digest over what was posted; and the postings in pages, for reconcile. It moves no balance.

use cashier_core::digest::PostedDigest;
use cashier_core::ids::{CustomerId, Login, OperationId, TransactionId};
use cashier_core::money::Money;
use cashier_core::operation::{OperationKey, PostingOutcome};
use cashier_core::reconcile::FoundPosting;
use cashier_core::status::{OperationCmd, OperationReason};
use cashier_core::time::UnixTime;
use rusqlite::{Connection, Row, params};

use super::rows::{DiskFault, currency, id, signed};
use crate::ports::Posting;

/// The books that the postings belong to, and what was posted for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BooksMark {
    /// Of cashier.db; empty until both were opened together.
    pub identity: Box<str>,
    /// The highest operation id received, whatever became of it.
    pub operation: u64,
    pub posted: PostedDigest,
}

impl BooksMark {
    /// Nothing was received: the postings, of which there are none, belong to any books.
    pub fn is_blank(&self) -> bool {
        self.operation == 0 && self.posted.count == 0
    }

    pub(super) fn received(&mut self, posting: &Posting) {
        self.operation = self.operation.max(posting.operation.id.0);
    }

    pub(super) fn posted(&mut self, posting: &Posting) {
        let operation = &posting.operation;
        self.posted.add(&posting.key(), operation.login, operation.amount.minor);
    }
}

pub(super) fn load(connection: &Connection) -> Result<BooksMark, DiskFault> {
    let read = "SELECT identity, operation, postings, digest FROM books WHERE id = 1";
    let (identity, operation, count, digest) = connection.query_row(read, [], |row| {
        Ok((row.get::<_, Box<str>>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, row.get::<_, Vec<u8>>(3)?))
    })?;
    let posted = match <[u8; 16]>::try_from(digest) {
        Ok(sum) => PostedDigest { count: count.cast_unsigned(), sum: u128::from_be_bytes(sum) },
        // Once, after the schema step: a digest cannot be computed in SQL.
        Err(_) => digest_of_rows(connection)?,
    };
    Ok(BooksMark { identity, operation: operation.cast_unsigned(), posted })
}

fn digest_of_rows(connection: &Connection) -> Result<PostedDigest, DiskFault> {
    let mut digest = PostedDigest::default();
    let mut statement = connection.prepare("SELECT key, login, amount_minor FROM posting WHERE refusal = ''")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        digest.add(&key(row, 0)?, Login(id(row, 1)?), row.get(2)?);
    }
    Ok(digest)
}

pub(super) fn store(connection: &Connection, mark: &BooksMark) -> Result<(), DiskFault> {
    connection
        .prepare_cached("UPDATE books SET identity = ?1, operation = ?2, postings = ?3, digest = ?4 WHERE id = 1")?
        .execute(params![
            mark.identity,
            signed(mark.operation)?,
            signed(mark.posted.count)?,
            mark.posted.sum.to_be_bytes(),
        ])?;
    Ok(())
}

/// Up to `limit` postings, refused ones included, whose keys come after one, in the order of their keys.
pub(super) fn page(connection: &Connection, after: &str, limit: usize) -> Result<Vec<FoundPosting>, DiskFault> {
    let mut statement = connection.prepare_cached(
        "SELECT key, operation_id, transaction_id, customer_id, login, cmd, reason, amount_minor, currency, exponent,
                operation_time, trade_order, refusal
         FROM posting WHERE key > ?1 ORDER BY key LIMIT ?2",
    )?;
    let mut rows = statement.query(params![after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(posting(row)?);
    }
    Ok(found)
}

fn posting(row: &Row<'_>) -> Result<FoundPosting, DiskFault> {
    let key = key(row, 0)?;
    let number = |column: usize| -> Result<i64, DiskFault> { Ok(row.get(column)?) };
    let (cmd, reason) = (OperationCmd::from_number(number(5)?), OperationReason::from_number(number(6)?));
    let (Some(cmd), Some(reason)) = (cmd, reason) else {
        return Err(DiskFault::new(format!("the posting {key} has an unknown command or reason")));
    };
    let refusal: Box<str> = row.get(12)?;
    Ok(FoundPosting {
        key,
        operation_id: OperationId(id(row, 1)?),
        transaction_id: TransactionId(id(row, 2)?),
        customer_id: CustomerId(id(row, 3)?),
        login: Login(id(row, 4)?),
        cmd,
        reason,
        amount: Money::new(row.get(7)?, currency(row, 8, 9)?),
        created_time: UnixTime(row.get(10)?),
        outcome: match &*refusal {
            "" => PostingOutcome::posted(id(row, 11)?),
            _ => PostingOutcome::Refused { reason: refusal },
        },
    })
}

fn key(row: &Row<'_>, column: usize) -> Result<OperationKey, DiskFault> {
    let text: Box<str> = row.get(column)?;
    OperationKey::read(&text)
        .ok_or_else(|| DiskFault::new(format!("a posting has the key {text:?}, which is none of ours")))
}

/// Gives a posting another key, where its own is the id of another operation in the books.
pub(super) fn rekey(connection: &Connection, posting: &FoundPosting, key: &OperationKey) -> Result<(), DiskFault> {
    let reference = key.parts().map(|(reference, _)| reference);
    let reference = reference.as_ref().map_or("", |reference| reference.as_str());
    connection.prepare_cached("UPDATE posting SET key = ?2, reference = ?3 WHERE key = ?1")?.execute(params![
        posting.key.as_str(),
        key.as_str(),
        reference
    ])?;
    Ok(())
}
