//! What the flows need from outside, as traits: clock, randomness, tasks, disk, trading server, providers.
//! Adapters implement them; a simulator can own them all. Nothing here knows how any of them works.

mod account_marks;
mod audit;
mod declaration;
mod fault;
mod machine;
mod notice_body;
mod posting_differences;
mod roster;
mod start;
mod trading;
mod trading_status;
mod unreadable;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cashier_core::aggregate::{Aggregate, CreateEnding};
use cashier_core::approval::Approval;
use cashier_core::books::{Books, StoredEvent};
use cashier_core::change::{Commit, OrderDetails};
use cashier_core::customer_override::CustomerOverride;
use cashier_core::digest::PostedDigest;
use cashier_core::explanation::PaymentHistory;
use cashier_core::filter::{AuditField, EventField, Filter, RowPage};
use cashier_core::ids::{
    ConfigId, CustomerId, EventId, Login, ManagerId, NoticeId, Reference, Seq, ServerName, TransactionId,
};
use cashier_core::money::Money;
use cashier_core::notice::{ProviderEvent, ReceivingConfig, StatedAmount, UnreadableNotice, Update};
use cashier_core::operation::OperationKey;
use cashier_core::printable::Printable;
use cashier_core::provider_call::ProviderCall;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::refs::ProviderRef;
use cashier_core::refund::{PaymentAbilities, RefundAnswer, RefundCall};
use cashier_core::texts::Texts;
use cashier_core::time::UnixTime;
use futures_util::future::BoxFuture;

pub use self::account_marks::{ACCOUNT_MARKS_MAX, FingerprintKey, LostKey, is_sign};
pub use self::audit::{AuditRow, NewestAudit};
pub use self::declaration::{ModuleDeclaration, ModuleSetting};
pub use self::fault::{Fault, FaultKind};
pub use self::machine::{Clock, Entropy, Spawn};
pub use self::notice_body::NoticeBody;
pub use self::posting_differences::{DifferenceKind, PostingDifference, ServerDifferences};
pub use self::roster::{RosterMistake, RosterRefusal};
pub use self::start::{LoadProgress, StartPhase, StartProgress};
pub use self::trading::{PostStep, Posting, TradingServer, Voiding};
pub use self::trading_status::{TradingStatus, date};
pub use self::unreadable::{UnreadableRow, unreadable_rows};

/// A value whose commit is durable. Calling a provider or the trading server takes one. Made by the ledger alone, from a
/// ticket.
#[derive(Debug, Clone)]
pub struct Durable<T>(T);

impl<T> Durable<T> {
    /// The caller asserts that every commit this value depends on is durable.
    pub fn assertion(value: T) -> Self {
        Self(value)
    }

    pub fn get(&self) -> &T {
        &self.0
    }

    pub fn into_inner(self) -> T {
        self.0
    }

    /// A value derived from this one is as durable.
    pub fn with<U>(&self, make: impl FnOnce(&T) -> U) -> Durable<U> {
        Durable(make(&self.0))
    }
}

/// The DB strand as the ledger uses it. `submit` never blocks and is called in the order of the commits' seq.
pub trait Recorder: Send + Sync {
    fn submit(&self, commit: Arc<Commit>);
    /// Every durable row, after an open or a failed commit. Pending submissions are dropped first.
    fn reload(&self) -> BoxFuture<'static, Result<Loaded, Fault>>;
    /// The rows of the configuration as they are stored after every submission so far.
    fn configuration(&self) -> BoxFuture<'static, Result<Configuration, Fault>> {
        Box::pin(std::future::ready(Err(Fault::new("this recorder keeps no configuration"))))
    }
    /// The newest audit record that is durable; `None` without any.
    fn newest_audit(&self) -> Option<Arc<NewestAudit>> {
        None
    }
}

/// Receives the strand's reports of what is durable. Called from the strand's thread.
pub trait DurabilityListener: Send + Sync {
    /// Every commit up to and including this one is durable, but those that were reported as refused.
    fn synced(&self, up_to: Seq);
    /// A commit could not be written; neither it nor any later one is durable.
    fn failed(&self, fault: &Fault);
    /// Some commits were refused, and every other one up to and including `up_to` is durable. The listener calls `collect`
    /// once while nothing can be submitted: it takes what rests on them out of the queue and reads what is stored of all
    /// their rows. The listener puts these rows back before anything else is decided. An error closes the strand, as
    /// after a commit that failed.
    fn refused(&self, up_to: Seq, collect: &mut Collect<'_>) -> Result<(), Fault> {
        let _ = (up_to, collect);
        Err(Fault::new("the rows of a refused commit cannot be put back here"))
    }
    /// Another program holds the database and the same batch is tried again; `None` once that ended.
    fn waiting(&self, fault: Option<&Fault>) {
        let _ = fault;
    }
}

/// Collects what was refused; the books say which operations a transaction has.
pub type Collect<'a> = dyn FnMut(&Books) -> Result<Refused, Fault> + 'a;

/// Commits that were refused, and what is stored of every row that they changed.
#[derive(Debug, Default)]
pub struct Refused {
    pub seqs: Vec<Seq>,
    /// `None` is no row.
    pub transactions: Vec<(TransactionId, Option<Aggregate>)>,
    pub events: Vec<StoredEvent>,
    /// Commits that are still queued, in order: what is stored lacks them, and they rest on nothing refused.
    pub waiting: Vec<Arc<Commit>>,
}

/// Every durable row; the books hold transactions, operations and events.
#[derive(Default)]
pub struct Loaded {
    pub books: Books,
    pub configs: Vec<ProviderConfig>,
    pub overrides: Vec<CustomerOverride>,
    /// The newest ones, by id.
    pub approvals: Vec<Approval>,
    pub fingerprints: FingerprintKey,
    /// A sentence for each key of fingerprints that does not open and that nothing has replaced.
    pub closed_keys: Vec<String>,
    /// Made once, with the database; distinguishes these books from all others.
    pub identity: Box<str>,
    /// Over the operations that were posted at the embedded trading server; the books know those elsewhere.
    pub posted: PostedDigest,
    /// The operations without a recorded outcome.
    pub unrecorded: Vec<UnrecordedOperation>,
    /// The books were made from their image and the rows that changed since.
    pub is_from_image: bool,
}

/// An operation that was planned, and may have been posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnrecordedOperation {
    pub server: ServerName,
    pub key: OperationKey,
    pub login: Login,
    pub minor: i64,
}

/// The durable rows that the snapshot is made of.
#[derive(Default)]
pub struct Configuration {
    pub configs: Vec<ProviderConfig>,
    pub overrides: Vec<CustomerOverride>,
    pub approvals: Vec<Approval>,
    pub fingerprints: FingerprintKey,
    /// A sentence for each key of fingerprints that does not open and that nothing has replaced.
    pub closed_keys: Vec<String>,
}

impl Loaded {
    /// The books, and what the snapshot is made of.
    pub fn split(self) -> (Books, Configuration) {
        let Self { books, configs, overrides, approvals, fingerprints, closed_keys, .. } = self;
        (books, Configuration { configs, overrides, approvals, fingerprints, closed_keys })
    }
}

/// The answer to the customer when the create call ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredAnswer {
    pub redirect_url: Box<str>,
    /// A JSON object as text; empty when there are none.
    pub instructions_json: Box<str>,
}

/// A webhook as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredNotice {
    pub id: NoticeId,
    pub received_time: UnixTime,
    pub method: Box<str>,
    pub path: Box<str>,
    pub raw_query: Box<str>,
    /// A JSON array of [name, value] pairs; secrets masked.
    pub headers_json: Box<str>,
    /// SHA-256 of the body as it was received.
    pub sha256: [u8; 32],
    pub body: Bytes,
}

/// What was recorded of a config; one that was made before records were kept was not seen to be created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConfigHistory {
    pub was_created: bool,
    pub was_enabled: bool,
}

/// Transactions whose texts are read at once: at most 1.1 MB of them, in one statement.
pub const TEXTS_AT_ONCE_MAX: usize = 64;

/// What a transaction is found by in stored events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentTraces {
    pub id: TransactionId,
    pub reference: Reference,
    /// Its ids at the provider; at most [`TRACES_MAX`].
    pub names: Vec<Box<str>>,
    pub created_time: UnixTime,
    /// For a session of this brand, which sees no other one's records and events; `None` for every brand.
    pub brand: Option<Box<str>>,
}

/// Ids of one transaction by which events are searched: the newest payment has a handful.
pub const TRACES_MAX: usize = 16;

/// The texts that were found, each with its transaction.
pub type FoundTexts = Vec<(TransactionId, Arc<Texts>)>;

/// A page of events. Of their normalized updates they have what a list shows: [`Update::shown`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventPage {
    /// The rows and the count are of one moment.
    Found { rows: Vec<ProviderEvent>, count: u64 },
    /// The rows take so many bytes, more than they may.
    TooLarge(usize),
}

impl EventPage {
    /// Bytes that a row takes with what is shown of its update.
    pub fn row_bytes(row: &ProviderEvent) -> usize {
        let texts = [&row.provider, &row.brand, &row.event_id, &row.provider_payment_id, &row.failure_reason];
        let texts = texts.into_iter().chain([&row.module_hash]).map(|text| text.len()).sum::<usize>();
        let shown = row.update.as_ref().map_or(0, |update| match &update.amount {
            Some(StatedAmount::Unreadable(stated)) => update.raw_status.len() + stated.len(),
            Some(StatedAmount::Exact(_)) | None => update.raw_status.len(),
        });
        size_of::<ProviderEvent>() + texts + shown + size_of_val(&*row.also_verified_by)
    }
}

/// Large, rarely read rows, read outside the strand's thread.
pub trait Archive: Send + Sync {
    /// Verified and quarantined events, as they are on disk. The read ends when nobody waits for it any more.
    fn events(&self, filter: Filter<EventField>, bytes_max: usize) -> BoxFuture<'static, Result<EventPage, Fault>>;
    fn answer(&self, id: TransactionId) -> BoxFuture<'static, Result<Option<StoredAnswer>, Fault>>;
    fn event(&self, id: EventId) -> BoxFuture<'static, Result<Option<ProviderEvent>, Fault>>;
    fn notice(&self, id: NoticeId) -> BoxFuture<'static, Result<Option<StoredNotice>, Fault>>;
    /// What the audit records say of a config.
    fn config_history(&self, id: ConfigId) -> BoxFuture<'static, Result<ConfigHistory, Fault>>;
    /// The manager whom the audit records name, where they name one alone.
    fn sole_manager(&self) -> BoxFuture<'static, Result<Option<ManagerId>, Fault>>;
    /// A page of audit records; those of sessions of this brand alone, where one is given. `None` where it is too large.
    fn audit(
        &self,
        filter: Filter<AuditField>,
        brand: Option<Box<str>>,
    ) -> BoxFuture<'static, Result<Option<RowPage<AuditRow>>, Fault>>;
    /// The texts of those of these transactions that have any; at most [`TEXTS_AT_ONCE_MAX`] of them.
    fn texts(&self, ids: &[TransactionId]) -> BoxFuture<'static, Result<FoundTexts, Fault>>;
    /// The texts of this transaction are about to change: what is read of them from now on is as it is stored then.
    fn texts_change(&self, id: TransactionId) {
        let _ = id;
    }
    /// What is stored about a transaction beside its rows in the books.
    fn payment_history(&self, of: PaymentTraces) -> BoxFuture<'static, Result<PaymentHistory, Fault>>;
    /// The stored parts of the order, for a create call that must be repeated byte for byte.
    fn order(&self, id: TransactionId) -> BoxFuture<'static, Result<Option<OrderDetails>, Fault>>;
}

/// A payment order as it is sent to the provider. Stored before it is sent, and sent again byte for byte if at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Never sent.
    pub transaction_id: TransactionId,
    pub reference: Reference,
    pub amount: Money,
    pub customer_id: CustomerId,
    pub login: Login,
    pub brand: Box<str>,
    pub country: Box<str>,
    pub method: Box<str>,
    /// The key for the provider; derived from our reference.
    pub idempotency_key: Box<str>,
    pub notify_url: Box<str>,
    pub success_url: Box<str>,
    pub failure_url: Box<str>,
    pub comment: Box<str>,
    pub metadata_json: Box<str>,
    pub locale: Box<str>,
    pub ip: Box<str>,
    pub created_time: UnixTime,
    pub nonce: u128,
}

/// Whether a module can create the payment of an order, found out before its transaction exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderCheck {
    Passed,
    /// It could never be paid. Field and message name the limit, for the customer.
    Refused {
        field: Box<str>,
        code: Box<str>,
        message: Box<str>,
    },
    /// The module is not working: panicked, timed out, overloaded or gone.
    NoAnswer(Box<str>),
}

/// How a create call ended, with everything that the provider's answer states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateAnswer {
    pub ending: CreateEnding,
    /// What the answer states about the payment beyond having been accepted; verified like any update.
    pub update: Option<Update>,
    pub refs: Vec<ProviderRef>,
    pub redirect_url: Box<str>,
    pub instructions_json: Box<str>,
    /// The module's words where the provider answered and the answer could not be read: the payment may exist, and a repeated
    /// call would bring the same answer. Else empty.
    pub unreadable: Box<str>,
    /// Time spent waiting for the provider's network.
    pub provider_time: Duration,
}

/// A webhook request as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawNotice {
    pub method: Box<str>,
    pub path: Box<str>,
    pub raw_query: Box<str>,
    pub content_type: Box<str>,
    /// Lower-case names, in the order received.
    pub headers: Arc<[(Box<str>, Box<str>)]>,
    pub body: NoticeBody,
    pub received_time: UnixTime,
}

/// The answer that the sender of a webhook expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    pub status: u16,
    pub headers: Vec<(Box<str>, Box<str>)>,
    pub body: Bytes,
}

/// A module's verdict on a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Verified {
        updates: Vec<Update>,
        /// The provider's id of the notice itself; empty where the module names none.
        event_id: Box<str>,
        /// Why nothing is to be done; empty where the module gives no reason.
        ignored: Box<str>,
        acknowledgement: Option<Acknowledgement>,
    },
    /// Every byte is proven to be the provider's, and the module could not read what matters.
    Unreadable {
        notice: UnreadableNotice,
        acknowledgement: Option<Acknowledgement>,
    },
    Rejected(String),
    /// There is no secret to verify with.
    Undetermined(String),
    /// The module verifies with its provider, which this call forbids.
    NeedsNetwork,
    /// Nothing is known about it, so the provider must send it again: the module failed, panicked, timed out, is overloaded
    /// or gone.
    NotWorking(String),
}

/// Which payment a query is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentQuery {
    pub reference: Reference,
    pub refs: Vec<ProviderRef>,
    pub amount: Money,
    pub method: Box<str>,
    pub idempotency_key: Box<str>,
    pub created_time: UnixTime,
    pub now: UnixTime,
    pub nonce: u128,
}

/// A refund of a payment that exists, as the provider is sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundQuery {
    /// Never sent.
    pub transaction_id: TransactionId,
    /// Its key is the refund's own.
    pub payment: PaymentQuery,
    pub refund: RefundCall,
}

/// The provider's answer to a query about a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryAnswer {
    Stated(Box<Update>),
    /// The module cannot make this query.
    Unsupported,
    /// The provider does not know the payment.
    NotFound,
    /// No usable answer; to be retried later.
    NoAnswer(String),
}

/// An answer with the requests that the module made the host send for it, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called<T> {
    pub answer: T,
    pub calls: Vec<ProviderCall>,
}

impl<T> From<T> for Called<T> {
    /// An answer for which nothing was sent.
    fn from(answer: T) -> Self {
        Self { answer, calls: Vec::new() }
    }
}

/// An instance of a module under one config.
pub trait Gateway: Send + Sync {
    fn receiver(&self) -> &ReceivingConfig;
    /// Seconds after which an unpaid order expires; 0 never.
    fn expiry_seconds(&self) -> i64;
    /// How the customer pays under this config's settings; `None` as the module's catalog line says.
    fn payment_mode(&self) -> Option<&'static str> {
        None
    }
    /// Seconds within which an identical create may be repeated; 0 never.
    fn idempotency_window_seconds(&self) -> i64;
    /// Sends nothing; the order's `transaction_id` is not known yet.
    fn check_order(&self, order: &Order) -> BoxFuture<'static, OrderCheck>;
    fn create(&self, order: Durable<Arc<Order>>) -> BoxFuture<'static, Called<CreateAnswer>>;
    /// `offline` forbids network verification: then nothing is sent.
    fn verify(&self, notice: &RawNotice, offline: bool) -> BoxFuture<'static, Called<Verdict>>;
    /// Reads a stored notice that was proven when it was received; its secret may be gone since.
    /// `offline` forbids any request.
    fn read_proven(&self, notice: &RawNotice, _offline: bool) -> BoxFuture<'static, Called<Verdict>> {
        self.verify(notice, true)
    }
    fn query(&self, payment: PaymentQuery) -> BoxFuture<'static, Called<QueryAnswer>>;
    /// The call that moves money which a notice requires (a capture); keyed by `payment.idempotency_key`.
    fn advance(&self, payment: Durable<PaymentQuery>) -> BoxFuture<'static, Called<QueryAnswer>>;
    fn cancel(&self, payment: Durable<PaymentQuery>) -> BoxFuture<'static, Called<QueryAnswer>>;
    /// What the module can do about payments that exist.
    fn abilities(&self) -> PaymentAbilities;
    /// Refunds a part or the whole of a payment, keyed by the refund's own id.
    fn refund(&self, refund: Durable<RefundQuery>) -> BoxFuture<'static, Called<RefundAnswer>>;
}

/// How well a gateway, or a module with all its gateways, works; from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ModuleHealth {
    Ok,
    Degraded,
    #[default]
    Unavailable,
}

impl ModuleHealth {
    /// The wire name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Unavailable => "unavailable",
        }
    }
}

/// One entry of the module catalog: the module, and why it is available or not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CatalogLine {
    pub code: Box<str>,
    pub name: Box<str>,
    pub description: Box<str>,
    pub payment_mode: Box<str>,
    pub methods: Vec<Box<str>>,
    /// Currencies that it can be paid in; empty means every one.
    pub currencies: Vec<Box<str>>,
    pub module_name: Box<str>,
    pub path: Box<str>,
    /// The contract version of the file; 0 when it could not be read.
    pub api_version: u32,
    pub available: bool,
    /// plugins.toml enables it, and nothing of it serves: a mistake of the file, of the entry or of the module.
    pub refused: bool,
    /// One clear sentence; empty when available.
    pub failure_reason: Box<str>,
    pub generation: u32,
    pub isolation: Box<str>,
    /// Worse than `call_health` while a provider refuses the credentials of a config.
    pub health: ModuleHealth,
    /// How the module's calls end, whatever providers answer.
    pub call_health: ModuleHealth,
    /// What of its gateways does not work, a sentence each, with the config.
    pub problems: Vec<Box<str>>,
    /// SHA-256 of the file, hex.
    pub sha256: Box<str>,
    /// Brands it may serve; `None` means all.
    pub brands: Option<Vec<Box<str>>>,
    /// Keys of every setting that it declares.
    pub settings: Vec<Box<str>>,
    /// Keys of `settings_json`/`config_json` whose change redirects money or secrets.
    pub endpoint_settings: Vec<Box<str>>,
    /// Keys of settings that hold secrets.
    pub secret_settings: Vec<Box<str>>,
    pub declared: ModuleDeclaration,
}

impl CatalogLine {
    /// A text of a module's, its file's or plugins.toml's, as an operator may see it.
    pub fn text(text: &str) -> Box<str> {
        Printable(text).to_string().into()
    }
}

/// The calls into modules that ended the process, as a start finds them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndedCalls {
    /// Transactions whose create call did, in this run or in one before, with their references: in other books the id is
    /// another transaction's.
    pub creates: Vec<(TransactionId, Box<str>)>,
    /// Transactions of which a refund's call did, with our ids of those refunds.
    pub refunds: Vec<(TransactionId, Box<str>)>,
    /// Notices whose reading ended the run before this one.
    pub notices: Vec<EndedNotice>,
}

/// A notice whose reading ended the process: what is left of it, and why it is barred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedNotice {
    pub provider: Box<str>,
    pub config_id: ConfigId,
    pub reason: String,
    pub notice: RawNotice,
}

/// The plugin host as the flows use it.
pub trait Modules: Send + Sync {
    fn catalog(&self) -> Arc<[CatalogLine]>;
    fn ended_calls(&self) -> EndedCalls {
        EndedCalls::default()
    }
    /// A sentence for each build that is refused and each notice that is barred because it ended the process.
    fn quarantine(&self) -> Vec<String> {
        Vec::new()
    }
    /// The loaded module validates this config; the error is the module's own message.
    fn validate(&self, config: &ProviderConfig) -> BoxFuture<'static, Result<(), String>>;
    fn open_gateway(&self, config: &ProviderConfig) -> BoxFuture<'static, Result<Arc<dyn Gateway>, String>>;
}
