//! How a decision leaves this crate: the new state of each row it changed, and the commit that holds them.

use std::borrow::Cow;
use std::sync::Arc;

use crate::approval::Approval;
use crate::customer_override::CustomerOverride;
use crate::edit::FieldChange;
use crate::ids::{ApprovalId, ConfigId, ManagerId, NoticeId, Seq, TransactionId};
use crate::lookups::Lookups;
use crate::notice::ProviderEvent;
use crate::operation::BalanceOperation;
use crate::provider_call::ProviderCall;
use crate::provider_config::ProviderConfig;
use crate::session::{Actor, Role};
use crate::texts::Texts;
use crate::time::UnixTime;
use crate::transaction::Transaction;

/// The whole new state of one row; applying it twice is the same as once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Transaction(Box<Transaction>),
    Operation(Box<BalanceOperation>),
    Event(Box<ProviderEvent>),
    Config(Box<ProviderConfig>),
    /// The row is gone. Its id is never given to another.
    ConfigDeleted(ConfigId),
    Override(Box<CustomerOverride>),
    Approval(Box<Approval>),
}

/// Actor, request and time of a decision.
#[derive(Debug, Clone)]
pub struct Stamp {
    pub actor: Actor,
    pub request_id: Box<str>,
    pub now: UnixTime,
}

/// The highest id handed out of each kind. Persisted with every commit, so that an id is never used twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    pub seq: u64,
    pub transaction: u64,
    pub operation: u64,
    pub event: u64,
    pub notice: u64,
    pub config: u64,
    pub customer_override: u64,
}

/// Large, rarely read content that is stored and not held in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A webhook as received; one per request, shared by its events.
    Notice {
        id: NoticeId,
        received_time: UnixTime,
        method: Box<str>,
        path: Box<str>,
        raw_query: Box<str>,
        /// As a JSON array of [name, value] pairs; secrets masked.
        headers_json: Box<str>,
        sha256: [u8; 32],
        body: Arc<[u8]>,
    },
    /// The answer to the customer when the create call ended.
    Answer { transaction_id: TransactionId, redirect_url: Box<str>, instructions_json: Box<str> },
    /// The parts of an order that are not in the transaction, so that a create call can be repeated byte for byte.
    Order { transaction_id: TransactionId, details: OrderDetails },
    /// Comment and metadata of a transaction, in the commit that opens it.
    Texts { transaction_id: TransactionId, texts: Texts },
    /// Requests that were sent to a provider, or tried, on behalf of a transaction; at most one per commit.
    Calls { transaction_id: TransactionId, calls: Vec<ProviderCall> },
    /// The record of what a manager changed; at most one per commit.
    Audit(Box<AuditRecord>),
}

impl Body {
    /// Of a webhook: its id and the length of its body.
    pub fn notice(&self) -> Option<(NoticeId, u64)> {
        match self {
            Self::Notice { id, body, .. } => Some((*id, body.len() as u64)),
            Self::Answer { .. } | Self::Order { .. } | Self::Texts { .. } | Self::Calls { .. } | Self::Audit(_) => None,
        }
    }
}

/// The parts of an order that are stored nowhere else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderDetails {
    /// The config's [`terms_version`](crate::provider_config::ProviderConfig::terms_version) it was made under.
    pub terms_version: u64,
    pub notify_url: Box<str>,
    pub success_url: Box<str>,
    pub failure_url: Box<str>,
    pub locale: Box<str>,
    pub ip: Box<str>,
    pub nonce: u128,
}

/// Who changed what: the evidence that remains when a config looks as before. The strand chains the records by hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    pub manager_id: ManagerId,
    pub role: Role,
    /// The brand of the session; empty means all.
    pub brand: Box<str>,
    /// The manager's address as the listener knows it; may be empty.
    pub address: Box<str>,
    pub command: Box<str>,
    /// 0 where it is about none.
    pub config_id: ConfigId,
    /// 0 where it is about none.
    pub transaction_id: TransactionId,
    /// The approval that this asks for or decides; 0 without one.
    pub approval: ApprovalId,
    /// What became of it, such as `saved`, `approval asked` or `refused: PERMISSION_DENIED`.
    pub outcome: Cow<'static, str>,
    pub changes: Vec<FieldChange>,
}

/// One recorded decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    pub seq: Seq,
    pub at: UnixTime,
    pub actor: Actor,
    pub request_id: Box<str>,
    pub changes: Vec<Change>,
    pub bodies: Vec<Body>,
    pub counters: Counters,
    /// Not stored: which later commits rest on this one is settled before they are durable.
    pub lookups: Lookups,
}
