//! The archive: large, rarely read rows, read by id or by a filter over read-only connections of its own threads. A read by id is
//! one SELECT that is reset at once; a list lasts as long as somebody waits for it, and no longer. It never writes.

pub(super) mod events;
mod of_transaction;
mod quarantined;
#[cfg(test)]
pub(super) use self::of_transaction::ACTS;
mod readers;
mod text_cache;

use std::path::Path;
use std::sync::Arc;

use cashier_core::change::OrderDetails;
use cashier_core::explanation::PaymentHistory;
use cashier_core::filter::{AuditField, EventField, Filter, RowPage};
use cashier_core::ids::{ConfigId, EventId, ManagerId, NoticeId, TransactionId};
use cashier_core::notice::ProviderEvent;
use cashier_core::texts::Texts;
use futures_util::future::{BoxFuture, ready};
use rusqlite::Connection;

use self::readers::Readers;
use self::text_cache::TextCache;
use super::columns::{ColumnReader, for_each_row};
use super::rows::{bodies, event};
use super::{audit, audit_list};
use crate::ports::{Archive, AuditRow, ConfigHistory, EventPage, Fault, PaymentTraces, StoredAnswer, StoredNotice};

/// Two readers: reading one large body does not delay the next job.
const READERS: usize = 2;
/// Jobs that wait; at some 10 µs each this many wait 20 ms, and more means that the disk does not answer.
const READS_MAX: usize = 4096;
/// Lists that are read at one time: scans of a large table take a core each.
const LIST_READERS: usize = 2;
/// Lists that wait for one of those; each manager has a few at once.
const LIST_READS_MAX: usize = 256;
/// Events in one answer; the next page begins at the last id of this one.
pub const EVENTS_PAGE_MAX: usize = 1000;

/// Implements [`Archive`] over a database that a strand has opened.
pub struct ArchiveReader {
    readers: Readers,
    /// Long reads have threads of their own: what a deposit needs never waits for a list.
    lists: Readers,
    texts: Arc<TextCache>,
}

impl ArchiveReader {
    /// Opens the read-only connections. The file must exist with its schema: open the strand first.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        Ok(Self {
            readers: Readers::open(path, "archive", READERS, READS_MAX)?,
            lists: Readers::open(path, "lists", LIST_READERS, LIST_READS_MAX)?,
            texts: Arc::default(),
        })
    }

    /// Events with an id below `before`, newest first, verified and quarantined; at most [`EVENTS_PAGE_MAX`].
    pub fn events_before(
        &self,
        before: EventId,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<ProviderEvent>, Fault>> {
        let limit = i64::try_from(limit.min(EVENTS_PAGE_MAX)).unwrap_or(i64::MAX);
        self.readers.read(move |connection| {
            let mut found = Vec::new();
            for_each_row(connection, event::READ_BEFORE, [before.0.cast_signed(), limit], event::TABLE, |columns| {
                found.push(event::read(columns)?);
                Ok(())
            })?;
            Ok(found)
        })
    }
}

impl Archive for ArchiveReader {
    fn payment_history(&self, of: PaymentTraces) -> BoxFuture<'static, Result<PaymentHistory, Fault>> {
        self.lists.read_while_awaited(move |connection| of_transaction::read(connection, &of))
    }

    fn events(&self, filter: Filter<EventField>, bytes_max: usize) -> BoxFuture<'static, Result<EventPage, Fault>> {
        self.lists.read_while_awaited(move |connection| events::read(connection, &filter, bytes_max))
    }

    fn config_history(&self, id: ConfigId) -> BoxFuture<'static, Result<ConfigHistory, Fault>> {
        self.readers.read(move |connection| audit::config_history(connection, id))
    }

    fn sole_manager(&self) -> BoxFuture<'static, Result<Option<ManagerId>, Fault>> {
        self.lists.read_while_awaited(audit::sole_manager)
    }

    fn audit(
        &self,
        filter: Filter<AuditField>,
        brand: Option<Box<str>>,
    ) -> BoxFuture<'static, Result<Option<RowPage<AuditRow>>, Fault>> {
        self.lists.read_while_awaited(move |connection| audit_list::page(connection, &filter, brand.as_deref()))
    }

    fn answer(&self, id: TransactionId) -> BoxFuture<'static, Result<Option<StoredAnswer>, Fault>> {
        self.readers.read(move |connection| one(connection, bodies::READ_ANSWER, id.0, "answer", bodies::read_answer))
    }

    fn event(&self, id: EventId) -> BoxFuture<'static, Result<Option<ProviderEvent>, Fault>> {
        self.readers.read(move |connection| one(connection, event::READ_ONE, id.0, event::TABLE, event::read))
    }

    fn notice(&self, id: NoticeId) -> BoxFuture<'static, Result<Option<StoredNotice>, Fault>> {
        self.readers.read(move |connection| one(connection, bodies::READ_NOTICE, id.0, "notice", bodies::read_notice))
    }

    fn texts(&self, ids: &[TransactionId]) -> BoxFuture<'static, Result<Vec<(TransactionId, Arc<Texts>)>, Fault>> {
        let (mut found, missing) = self.texts.find(ids);
        if missing.is_empty() {
            return Box::pin(ready(Ok(found)));
        }
        let wanted = format!("[{}]", missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
        let cache = Arc::clone(&self.texts);
        let read = self.readers.read(move |connection| {
            let mut texts = Vec::new();
            for_each_row(connection, bodies::READ_TEXTS, [wanted], "transaction_text", |columns| {
                let (id, read) = bodies::read_texts(columns)?;
                texts.push((id, cache.put(id, read)));
                Ok(())
            })?;
            Ok(texts)
        });
        Box::pin(async move {
            found.extend(read.await?);
            Ok(found)
        })
    }

    fn texts_change(&self, id: TransactionId) {
        self.texts.bypass(id);
    }

    fn order(&self, id: TransactionId) -> BoxFuture<'static, Result<Option<OrderDetails>, Fault>> {
        self.readers
            .read(move |connection| one(connection, bodies::READ_ORDER, id.0, "stored_order", bodies::read_order))
    }
}

/// The row of this id, if there is one.
fn one<T>(
    connection: &Connection,
    sql: &str,
    id: u64,
    table: &'static str,
    read: impl Fn(&mut ColumnReader<'_, '_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let mut found = None;
    for_each_row(connection, sql, [id.cast_signed()], table, |columns| {
        if found.is_none() {
            found = Some(read(columns)?);
        }
        Ok(())
    })?;
    Ok(found)
}
