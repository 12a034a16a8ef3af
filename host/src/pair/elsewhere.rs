//! The books beside a trading server that is elsewhere: by counts, or by what it posted lately, so that no row is read where both
//! agree. It reports and changes nothing: what is posted there is keyed, and what the books lack is imported by a person.

use std::collections::BTreeSet;

use cashier_core::aggregate::Aggregate;
use cashier_core::books::Books;
use cashier_core::digest::ServerTotal;
use cashier_core::ids::{ServerName, TransactionId};
use cashier_core::operation::{BalanceOperation, OperationKey};
use cashier_core::reconcile::FoundPosting;
use cashier_core::status::OperationStatus;

use super::{Compared, PAGE_ROWS, compared, described};
use crate::ledger::Ledger;
use crate::ports::{Fault, Loaded};
use crate::trading::remote::RemoteServer;

/// How far before the newest recorded posting a server that does not count is listed: clocks differ, and an answer may have been
/// recorded hours after the posting.
const LISTED_BEFORE_SECONDS: i64 = 24 * 60 * 60;

/// Transactions that are looked at under one hold of the ledger's lock, about a millisecond.
const LOOKED_AT_ONCE_MAX: u64 = 256;

/// What the books had of one server when they were loaded.
#[derive(Debug, Clone)]
pub struct BooksOf {
    pub server: ServerName,
    total: ServerTotal,
    /// Operations that may have been posted.
    unrecorded: u64,
}

impl BooksOf {
    pub fn of(loaded: &Loaded, server: &ServerName) -> Self {
        let unrecorded = loaded.unrecorded.iter().filter(|known| known.server == *server).count() as u64;
        let total = loaded.posted.elsewhere.get(server).cloned().unwrap_or_default();
        Self { server: server.clone(), total, unrecorded }
    }
}

/// Compares a server with the books, before anything more is posted there. `None` where they agree, else a sentence about what
/// differs.
///
/// # Errors
/// The server does not answer, or the books are closed.
pub async fn compare(ledger: &Ledger, known: &BooksOf, server: &dyn RemoteServer) -> Result<Option<String>, Fault> {
    match server.posted_count().await? {
        Some(count) if (known.total.count..=known.total.count + known.unrecorded).contains(&count) => return Ok(None),
        Some(_) => {}
        None => {
            let newest = known.total.newest.as_ref();
            let after =
                newest.map_or_else(Box::default, |(time, _)| server.cursor_at(time.plus(-LISTED_BEFORE_SECONDS)));
            let listed = list(ledger, server, after).await?;
            let has_newest = newest.is_none_or(|(_, key)| listed.posted.contains(key));
            if listed.unknown.is_none() && has_newest {
                return Ok(None);
            }
        }
    }
    let listed = list(ledger, server, Box::default()).await?;
    let lost = lost(ledger, &known.server, &listed.posted).await?;
    Ok(sentence(&listed, &lost))
}

/// What a listing found.
#[derive(Default)]
struct Listed {
    posted: BTreeSet<OperationKey>,
    unknown_count: usize,
    /// The first posting that the books do not know, or know otherwise.
    unknown: Option<FoundPosting>,
}

async fn list(ledger: &Ledger, server: &dyn RemoteServer, after: Box<str>) -> Result<Listed, Fault> {
    let (mut listed, mut after) = (Listed::default(), after);
    loop {
        let page = server.postings(after.clone(), PAGE_ROWS).await?;
        for posting in page.postings {
            if posting.is_posted() {
                listed.posted.insert(posting.key.clone());
            }
            if matches!(peek(ledger, |books| compared(books, &posting))?, Compared::Unknown) {
                listed.unknown_count += 1;
                listed.unknown.get_or_insert(posting);
            }
        }
        if page.next.is_empty() || page.next == after {
            return Ok(listed);
        }
        after = page.next;
    }
}

/// Operations that the books have as posted at the server and that were not listed.
async fn lost(
    ledger: &Ledger,
    server: &ServerName,
    posted: &BTreeSet<OperationKey>,
) -> Result<Vec<OperationKey>, Fault> {
    let is_lost =
        |known: &BalanceOperation, key: &OperationKey| known.status == OperationStatus::Posted && !posted.contains(key);
    let (mut found, mut first) = (Vec::new(), 1);
    loop {
        let last = peek(ledger, |books| {
            let until = first + LOOKED_AT_ONCE_MAX;
            let known = (first..until).filter_map(|id| books.aggregate(TransactionId(id)));
            for Aggregate { transaction, operations } in known.filter(|known| known.transaction.server == *server) {
                let keys = operations.iter().map(|known| (known, OperationKey::of(&transaction.reference, known)));
                found.extend(keys.filter(|(known, key)| is_lost(known, key)).map(|(_, key)| key));
            }
            first = until;
            books.counters().transaction
        })?;
        if first > last {
            return Ok(found);
        }
        // Between two holds, whatever else waits for this thread.
        tokio::task::yield_now().await;
    }
}

fn sentence(listed: &Listed, lost: &[OperationKey]) -> Option<String> {
    let unknown = listed.unknown.as_ref().map(|first| {
        format!("{} of its postings are not in the books (the first: {})", listed.unknown_count, described(first))
    });
    let lost =
        lost.first().map(|first| format!("it does not have {} postings of the books (the first: {first})", lost.len()));
    let differs: Vec<String> = unknown.into_iter().chain(lost).collect();
    (!differs.is_empty()).then(|| differs.join("; "))
}

fn peek<T>(ledger: &Ledger, read: impl FnOnce(&Books) -> T) -> Result<T, Fault> {
    ledger.peek(read).map_err(|refusal| Fault::new(refusal.message))
}
