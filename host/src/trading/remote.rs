//! A trading server that is reached over a network, as its adapters implement it: what it answers is read anew each time. Which of
//! several servers is asked, and what is remembered of its answers, is decided by whoever holds them (`servers`).

use std::time::Duration;

use cashier_core::account::{AccountFacts, Customer, Group};
use cashier_core::conversion::StatedRate;
use cashier_core::ids::{CustomerId, Login};
use cashier_core::money::Currency;
use cashier_core::operation::{OperationKey, PostingOutcome};
use cashier_core::reason::ReasonCode;
use cashier_core::reconcile::FoundPosting;
use cashier_core::time::UnixTime;
use futures_util::future::BoxFuture;
use tokio::sync::broadcast;

use crate::ports::{Durable, Fault, PostStep, Posting, Voiding};

/// A remote trading server. Where it does not answer, a question is a fault and the outcome of a posting unknown; it is refused only
/// where the server says so of this very posting.
pub trait RemoteServer: Send + Sync {
    /// Everything about a login at once; `None` when there is no such account.
    fn account(&self, login: Login) -> BoxFuture<'static, Result<Option<AccountFacts>, Fault>>;
    fn groups(&self) -> BoxFuture<'static, Result<Vec<Group>, Fault>>;
    fn customer(&self, customer: CustomerId) -> BoxFuture<'static, Result<Option<Customer>, Fault>>;
    /// As [`TradingServer::post`](crate::ports::TradingServer::post).
    fn post(&self, posting: Durable<Posting>) -> BoxFuture<'static, PostStep>;
    /// As [`TradingServer::find`](crate::ports::TradingServer::find).
    fn find(&self, posting: &Posting) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>>;
    /// As [`TradingServer::void`](crate::ports::TradingServer::void).
    fn void(&self, posting: Durable<Posting>, reason: ReasonCode) -> BoxFuture<'static, Result<Voiding, Fault>>;
    /// Whether a posting may be sent again: it keys by our key, or it is asked by our key before anything is sent.
    fn keyed_by_operation(&self) -> bool;
    /// Whether its protocol has prices: else no deposit to an account of it is converted.
    fn states_rates(&self) -> bool {
        false
    }
    /// The price of one unit of `from` in `to`; `None` where it states none.
    fn rate(&self, from: Currency, to: Currency) -> BoxFuture<'static, Result<Option<StatedRate>, Fault>> {
        let _ = (from, to);
        Box::pin(std::future::ready(Ok(None)))
    }
    /// Postings of the cashier after a cursor, oldest first; an empty cursor is the beginning.
    fn postings(&self, after: Box<str>, limit: usize) -> BoxFuture<'static, Result<PostingsPage, Fault>>;
    /// How many postings of the cashier it has made in all, where it counts them: by that a start compares it with the books.
    fn posted_count(&self) -> BoxFuture<'static, Result<Option<u64>, Fault>> {
        Box::pin(std::future::ready(Ok(None)))
    }
    /// Whether it answers, found out now by what costs it little: a call that failed may have failed by its own key alone.
    fn answers(&self) -> BoxFuture<'static, Result<(), Fault>> {
        Box::pin(std::future::ready(self.reaches()))
    }
    /// How long it asked not to be called: until then a question fails without being asked.
    fn pause(&self) -> Duration {
        Duration::ZERO
    }
    /// How often it turned out to have another database of postings than before, since it was opened: by that number a comparison says
    /// which of them it is about.
    fn database(&self) -> u64 {
        0
    }
    /// That database was compared with the books. To one that another was replaced by nothing is posted or voided before.
    fn note_compared(&self, database: u64) {
        let _ = database;
    }
    /// Whether the database that it has now was, where it is not its first.
    fn is_compared(&self) -> bool {
        true
    }
    /// The cursor of [`RemoteServer::postings`] after which everything is that changed at this time or later; empty where it has no
    /// such cursor.
    fn cursor_at(&self, time: UnixTime) -> Box<str> {
        let _ = time;
        Box::default()
    }
    /// Accounts that changed, where the protocol pushes it.
    fn changes(&self) -> Option<broadcast::Receiver<AccountChange>> {
        None
    }
    /// A fault where it said itself that it takes no postings, and nothing else since: no deposit is begun then.
    fn states_ready(&self) -> Result<(), Fault> {
        Ok(())
    }
    /// Whether a posting can be sent now, whatever became of other calls.
    fn reaches(&self) -> Result<(), Fault> {
        self.health()
    }
    /// Whether nothing of it needs an operator's look, also where it takes postings: the fault is a sentence for one.
    fn health(&self) -> Result<(), Fault>;
}

/// What of the accounts of a server changed: what was remembered of it does not count any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountChange {
    Login(Login),
    Group(Box<str>),
    Customer(CustomerId),
    /// Changes may have been missed.
    Everything,
}

/// A posting that a server lists, and that is not what a posting must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadPosting {
    /// Where that much of it can be read.
    pub key: Option<OperationKey>,
    /// Whether the server counts it as posted.
    pub is_posted: bool,
    /// What is wrong with it, for an operator: short, on one line.
    pub what: Box<str>,
}

/// Postings as the server has them, refused ones included where it records them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostingsPage {
    /// One of an order that cannot be read, or whose account cannot be, has amount 0: it differs from whatever the books have.
    pub postings: Vec<FoundPosting>,
    /// Those that others made, and that name a key of ours somewhere: they may be about that posting, or about something else.
    pub named: Vec<FoundPosting>,
    /// Those of which no such posting can be made up: each differs from the books, and hides none of the others.
    pub unread: Vec<UnreadPosting>,
    /// The cursor after the last of them; empty where nothing follows.
    pub next: Box<str>,
}
