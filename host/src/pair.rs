//! cashier.db and trading.db as a pair. A start is refused where they do not belong together, or where one knows postings
//! that the other does not; [`differences`] lists them and [`apply`] takes them over (docs/decisions/0009). An operation
//! without a recorded outcome whose posting exists is no difference: a crash leaves one, and settlement finds it.

mod apply;
pub mod backup;
pub mod elsewhere;
pub mod offline;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cashier_core::books::Books;
use cashier_core::ids::{Login, OperationId, TransactionId};
use cashier_core::money::Money;
use cashier_core::operation::{BalanceOperation, OperationKey, PostingOutcome};
use cashier_core::reconcile::FoundPosting;
use cashier_core::status::OperationStatus;

pub use self::apply::{Applied, Reconciler};
pub use self::offline::{Reconciliation, ServerReconciliation};
use crate::ports::{Fault, Loaded};
use crate::trading::BooksMark;
use crate::trading::embedded::Embedded;

/// Postings read at once: a few hundred kilobytes.
const PAGE_ROWS: usize = 1_000;

/// What to do about every refusal of a start.
const CURE: &str = "nothing was changed; `cashier db reconcile` lists every difference";

/// Refuses a pair that does not match; the fault says which way. Compares counts and digests, so that it reads no posting
/// but those of operations without a recorded outcome.
pub async fn check(loaded: &Loaded, trading: &Embedded) -> Result<(), Fault> {
    let mark = trading.mark().await?;
    if !belongs(loaded, &mark) {
        let count = mark.posted.count;
        return Err(Fault::new(if loaded.books.transactions() == 0 {
            format!("cashier.db is missing or empty, and trading.db holds {count} postings of other books: {CURE}")
        } else {
            format!("cashier.db and trading.db do not belong together, each is of another pair: {CURE}")
        }));
    }
    if !is_equal(loaded, &mark, trading).await? {
        let found = differences(loaded, trading).await?;
        return Err(Fault::new(format!("{}: {CURE}", found.summary(&loaded.books))));
    }
    adopt(loaded, &mark, trading).await
}

/// Postings of no books yet, or none at all, belong to any.
fn belongs(loaded: &Loaded, mark: &BooksMark) -> bool {
    mark.identity == loaded.identity || mark.identity.is_empty() || mark.is_blank()
}

async fn adopt(loaded: &Loaded, mark: &BooksMark, trading: &Embedded) -> Result<(), Fault> {
    if mark.identity == loaded.identity { Ok(()) } else { trading.adopt(&loaded.identity).await }
}

async fn is_equal(loaded: &Loaded, mark: &BooksMark, trading: &Embedded) -> Result<bool, Fault> {
    let mut posted = loaded.posted;
    for operation in loaded.unrecorded.iter().filter(|known| known.server.is_embedded()) {
        let found = trading.outcome(&operation.key).await?;
        if matches!(found, Some(PostingOutcome::Posted { .. })) {
            posted.add(&operation.key, operation.login, operation.minor);
        }
    }
    Ok(posted == mark.posted && mark.operation <= loaded.books.counters().operation)
}

/// An operation that the books have as posted, without a posting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostPosting {
    pub transaction: TransactionId,
    pub operation: OperationId,
    pub key: OperationKey,
    pub login: Login,
    pub amount: Money,
}

/// Everything in which the two databases differ.
#[derive(Debug, Default)]
pub struct Differences {
    /// The identities of cashier.db and of the books that trading.db belongs to, where they differ.
    pub identities: Option<(Box<str>, Box<str>)>,
    /// Postings that the books do not know, or know otherwise.
    pub unknown: Vec<FoundPosting>,
    pub lost: Vec<LostPosting>,
    /// Postings of operations without a recorded outcome, and refused ones of transactions that are lost: no difference, but
    /// taken over with their transaction's others.
    besides: Vec<FoundPosting>,
    /// The highest ids of transactions and operations seen at the trading server.
    seen: (TransactionId, OperationId),
    /// The books have handed out fewer operation ids than the trading server has seen.
    behind: bool,
}

impl Differences {
    pub fn is_empty(&self) -> bool {
        self.identities.is_none() && self.unknown.is_empty() && self.lost.is_empty() && !self.behind
    }

    /// One sentence about what is wrong, and what it looks like.
    fn summary(&self, books: &Books) -> String {
        let first = |text: Option<String>| text.map_or(String::new(), |text| format!(" (the first: {text})"));
        let (unknown, lost) = (self.unknown.len(), self.lost.len());
        let first_unknown = first(self.unknown.first().map(described));
        let first_lost = first(self.lost.first().map(ToString::to_string));
        match (unknown, lost) {
            (0, 0) => {
                "cashier.db is older than trading.db, which has seen operations that the books do not know".into()
            }
            (_, 0) if books.transactions() == 0 => {
                format!("cashier.db is missing or empty beside {unknown} postings of trading.db{first_unknown}")
            }
            (_, 0) => {
                format!("cashier.db is older than trading.db: {unknown} postings are not in the books{first_unknown}")
            }
            (0, _) => {
                format!("trading.db is older than cashier.db: {lost} postings of the books are not there{first_lost}")
            }
            (..) => format!(
                "cashier.db and trading.db differ: {unknown} postings are not in the books{first_unknown}, {lost} postings \
                 of the books are not in trading.db{first_lost}"
            ),
        }
    }
}

/// One line for each difference.
impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((books, postings)) = &self.identities {
            writeln!(f, "cashier.db has the identity {books}; the postings of trading.db belong to {postings}")?;
        }
        for posting in &self.unknown {
            writeln!(f, "not in cashier.db: {}", described(posting))?;
        }
        for lost in &self.lost {
            writeln!(f, "not in trading.db: {lost}")?;
        }
        if self.behind {
            writeln!(f, "cashier.db would hand out operation ids again, up to {}", self.seen.1)?;
        }
        Ok(())
    }
}

impl fmt::Display for LostPosting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { transaction, operation, key, login, amount } = self;
        write!(f, "operation {operation} of transaction {transaction}, key {key}, {amount} to login {login}")
    }
}

fn described(posting: &FoundPosting) -> String {
    let FoundPosting { key, transaction_id, login, amount, outcome, .. } = posting;
    let outcome = match outcome {
        PostingOutcome::Posted { trade_order, .. } => format!("trade order {trade_order}"),
        PostingOutcome::Refused { reason } => format!("refused, {reason}"),
        PostingOutcome::Conflict | PostingOutcome::Unknown => "no outcome".to_owned(),
    };
    format!("posting {key} of transaction {transaction_id}, {amount} to login {login}, {outcome}")
}

/// Compares every posting with the books, and every posted operation with the postings.
pub async fn differences(loaded: &Loaded, trading: &Embedded) -> Result<Differences, Fault> {
    let (books, mark) = (&loaded.books, trading.mark().await?);
    let mut found = Differences {
        identities: (!belongs(loaded, &mark)).then(|| (loaded.identity.clone(), mark.identity.clone())),
        seen: (TransactionId(0), OperationId(mark.operation)),
        behind: mark.operation > books.counters().operation,
        ..Differences::default()
    };
    let mut matched = BTreeSet::new();
    let mut after = Box::<str>::default();
    loop {
        let page = trading.postings(&after, PAGE_ROWS).await?;
        let Some(last) = page.last() else { break };
        after = last.key.as_str().into();
        for posting in page {
            found.seen.0 = found.seen.0.max(posting.transaction_id);
            found.seen.1 = found.seen.1.max(posting.operation_id);
            match compared(books, &posting) {
                Compared::Same => drop(matched.insert(posting.key)),
                Compared::Settled => {}
                Compared::Besides => found.besides.push(posting),
                Compared::Unknown => {
                    matched.insert(posting.key.clone());
                    found.unknown.push(posting);
                }
            }
        }
    }
    // What is elsewhere is compared with the server that has it.
    for aggregate in books.aggregates().filter(|known| known.transaction.server.is_embedded()) {
        let reference = &aggregate.transaction.reference;
        for operation in aggregate.operations.iter().filter(|known| known.status == OperationStatus::Posted) {
            let key = OperationKey::of(reference, operation);
            if !matched.contains(&key) {
                found.lost.push(lost(operation, key));
            }
        }
    }
    Ok(found)
}

fn lost(operation: &BalanceOperation, key: OperationKey) -> LostPosting {
    let BalanceOperation { id, transaction_id, login, amount, .. } = *operation;
    LostPosting { transaction: transaction_id, operation: id, key, login, amount }
}

/// How a posting compares with the books.
enum Compared {
    /// Posted in both.
    Same,
    /// Refused in both.
    Settled,
    /// Its operation has no recorded outcome yet; or it was refused and its transaction is lost, so that its key can recur
    /// only where the transaction is recovered.
    Besides,
    Unknown,
}

fn compared(books: &Books, posting: &FoundPosting) -> Compared {
    let id = match posting.key.parts() {
        Some((reference, _)) => books.by_reference(&reference),
        None => Some(posting.transaction_id),
    };
    let Some(aggregate) = id.and_then(|id| books.aggregate(id)) else {
        return if posting.is_posted() { Compared::Unknown } else { Compared::Besides };
    };
    let Some(operation) = aggregate.keyed(&posting.key) else { return Compared::Unknown };
    match (operation.status, posting.is_posted()) {
        // Its own posting would be refused as a conflict of keys: what was posted is another one.
        (OperationStatus::Planned | OperationStatus::Unknown, true) if !posting.is_same(operation) => Compared::Unknown,
        (OperationStatus::Planned | OperationStatus::Unknown, _) => Compared::Besides,
        (OperationStatus::Posted, true) if posting.is_same(operation) => Compared::Same,
        (OperationStatus::Posted | OperationStatus::Refused, true) => Compared::Unknown,
        // Where the books have it as posted, the operation is lost.
        (OperationStatus::Posted | OperationStatus::Refused, false) => Compared::Settled,
    }
}

/// What differs about one transaction of the books.
#[derive(Debug, Default)]
struct Differing {
    found: Vec<FoundPosting>,
    lost: Vec<OperationId>,
}

type ByTransaction = BTreeMap<TransactionId, Differing>;
