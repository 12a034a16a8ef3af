//! What the handle asks of the trading thread, each with the place for its answer. It decides and executes nothing.

use cashier_core::account::AccountFacts;
use cashier_core::ids::Login;
use cashier_core::money::Money;
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use cashier_core::roster::{ImportReport, RosterPlan};
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::books::BooksMark;
use super::roster::{Contested, Mistake, Roster};
use super::rows::DiskFault;
use crate::ports::{Fault, Posting};

/// Why a roster was not applied. Nothing of it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RosterError {
    Mistakes(Vec<Mistake>),
    /// It would change something else than what was judged.
    Stale,
    Fault(Fault),
}

/// A request to the thread. Dropping it unanswered answers `None`.
pub(super) struct QueuedRequest {
    pub(super) request: TradingRequest,
    /// Its place in the queue, released when it is finished.
    pub(super) _slot: Option<OwnedSemaphorePermit>,
}

pub(super) enum TradingRequest {
    Post {
        posting: Box<Posting>,
        answer: oneshot::Sender<PostingOutcome>,
    },
    Void {
        posting: Box<Posting>,
        reason: ReasonCode,
        answer: oneshot::Sender<PostingOutcome>,
    },
    Find {
        posting: Box<Posting>,
        answer: oneshot::Sender<Option<PostingOutcome>>,
    },
    Account {
        login: Login,
        answer: oneshot::Sender<Result<Option<AccountFacts>, Contested>>,
    },
    Inspect {
        writes: bool,
        work: Inspection,
    },
    ApplyRoster {
        roster: Box<Roster>,
        judged: Option<RosterPlan>,
        answer: oneshot::Sender<Result<ImportReport, RosterError>>,
    },
    SettleBalance {
        login: Login,
        put_back: bool,
        answer: oneshot::Sender<Option<Money>>,
    },
    Close,
}

impl TradingRequest {
    /// Whether it takes the write lock.
    pub(super) fn writes(&self) -> bool {
        match self {
            Self::Post { .. } | Self::Void { .. } | Self::ApplyRoster { .. } | Self::SettleBalance { .. } => true,
            Self::Inspect { writes, .. } => *writes,
            Self::Find { .. } | Self::Account { .. } | Self::Close => false,
        }
    }
}

/// Reads, or marks the books that the postings belong to; it moves no balance.
type Inspection = Box<dyn FnOnce(&Connection, &mut BooksMark) -> Result<PendingAnswer, DiskFault> + Send>;

/// An answer that is sent once the batch is durable.
pub(super) type PendingAnswer = Box<dyn FnOnce()>;
