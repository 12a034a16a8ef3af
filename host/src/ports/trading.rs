//! The trading server as the flows use it, whichever it is: accounts, postings by operation key, and what became of them.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::account::{AccountFacts, AccountMode};
use cashier_core::conversion::StatedRate;
use cashier_core::ids::{CustomerId, Login, Reference, ServerName};
use cashier_core::money::Currency;
use cashier_core::operation::{BalanceOperation, OperationKey, PostingOutcome};
use cashier_core::reason::ReasonCode;
use cashier_core::roster::{ImportReport, RosterPlan};
use cashier_core::time::UnixTime;
use futures_util::future::BoxFuture;

use super::{Durable, Fault, RosterRefusal, ServerDifferences, TradingStatus};

/// A balance operation for the trading server to post. It refuses atomically when the account is not this customer's, not
/// of this currency or not of a mode that may receive it, and refuses a known key with other values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    pub operation: BalanceOperation,
    /// The transaction's; the key is made of it.
    pub reference: Reference,
    /// The transaction's: no other server is ever asked about it.
    pub server: ServerName,
    pub customer_id: CustomerId,
    /// The only mode of account that may receive this money, whatever the account was when the order was taken.
    pub only_on: Option<AccountMode>,
    pub comment: Box<str>,
}

impl Posting {
    pub fn key(&self) -> OperationKey {
        OperationKey::of(&self.reference, &self.operation)
    }
}

/// How far a call of [`TradingServer::post`] came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostStep {
    Done(PostingOutcome),
    /// The server holds a request for the posting, which moves nothing until it is approved. Its number is recorded durably as
    /// the operation's `request_order`, then the posting is sent again with it: the server reads the account before it approves, so
    /// that nobody else need.
    Prepared {
        request_order: u64,
    },
    /// It is certain that no byte of it left: it may be sent as if for the first time.
    NotSent,
}

impl PostStep {
    /// What is known of the posting: nothing, while its request alone is there or it was not sent.
    pub fn outcome(self) -> PostingOutcome {
        match self {
            Self::Done(outcome) => outcome,
            Self::Prepared { .. } | Self::NotSent => PostingOutcome::Unknown,
        }
    }
}

impl From<PostingOutcome> for PostStep {
    fn from(outcome: PostingOutcome) -> Self {
        Self::Done(outcome)
    }
}

/// The trading server's answer to a request to void a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Voiding {
    /// Final: what became of the key before, or the refusal that voiding it left. No later posting of the key is made.
    Settled(PostingOutcome),
    /// The server can neither key nor void and knows nothing of it, so that a posting may still be in flight. `closed_for`:
    /// how long the connection that carried it has been closed; `None` while it is open.
    Undecided { closed_for: Option<Duration> },
}

/// The system of record for customers, accounts and balances (API.md section 8).
pub trait TradingServer: Send + Sync {
    /// Everything about a login at once, at most as old as the settings allow; `None` when there is no such account.
    fn account(&self, login: Login) -> BoxFuture<'static, Result<Option<AccountFacts>, Fault>>;
    /// The account of a posting, read now at the server of the posting.
    fn account_of(&self, posting: &Posting) -> BoxFuture<'static, Result<Option<AccountFacts>, Fault>> {
        self.account(posting.operation.login)
    }
    fn post(&self, posting: Durable<Posting>) -> BoxFuture<'static, PostStep>;
    /// The outcome of an operation: `None` when the server never received it. Where it keys by our key, this is answered
    /// after every posting that was sent before, so that `None` proves that none of them arrived. A key with other values is a conflict.
    fn find(&self, posting: &Posting) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>>;
    /// Makes a key dead: the server refuses every later posting of it with `reason`, unless it has posted or refused it
    /// before. Nothing is recorded as not posted without this answer.
    fn void(&self, posting: Durable<Posting>, reason: ReasonCode) -> BoxFuture<'static, Result<Voiding, Fault>>;
    /// Whether this server keys by our operation key, or asks by it before it posts, so that sending again is safe. A server that
    /// the settings do not name is not known to.
    fn keyed_by_operation(&self, server: &ServerName) -> bool;
    /// Whether what it answers as posted is on its own disk, found again by its key after a crash of this process: then
    /// nobody need wait for our record of it. A server that keys by our key alone.
    fn proves_postings(&self, server: &ServerName) -> bool {
        let _ = server;
        false
    }
    /// One account of each kind that there is or may be made: of each group, and of each brand of its customers. A fault
    /// where it cannot say at once: then no row is held to be wrong.
    fn account_kinds(&self) -> Result<Vec<AccountFacts>, Fault> {
        Err(Fault::new("the trading server does not list its groups"))
    }
    /// The brand of a customer; `None` where there is no such customer. A fault as above.
    fn customer_brand(&self, customer: CustomerId) -> Result<Option<Box<str>>, Fault> {
        Err(Fault::new(format!("the trading server does not list customer {customer}")))
    }
    /// What the JSON text of a roster of groups, customers and accounts would change; nothing is written.
    fn judge_roster(&self, text: Arc<str>) -> BoxFuture<'static, Result<RosterPlan, RosterRefusal>> {
        drop(text);
        Box::pin(std::future::ready(Err(RosterRefusal::Unsupported)))
    }
    /// Adds and updates them, all or nothing, provided that this changes what was judged and nothing else.
    fn import_roster(
        &self,
        text: Arc<str>,
        judged: RosterPlan,
    ) -> BoxFuture<'static, Result<ImportReport, RosterRefusal>> {
        drop((text, judged));
        Box::pin(std::future::ready(Err(RosterRefusal::Unsupported)))
    }
    /// Whether something can be sent to this server now. Asked before a posting to one that does not key by our key is recorded as
    /// possibly sent, since nothing but a person ends that where it was not.
    fn reaches(&self, server: &ServerName) -> Result<(), Fault> {
        let _ = server;
        Ok(())
    }
    /// Whether a deposit may be begun at this server: not where it said that it takes no postings, as money that comes in would wait.
    fn states_ready(&self, server: &ServerName) -> Result<(), Fault> {
        let _ = server;
        Ok(())
    }
    /// The price of one unit of a currency in another as this server states it; `None` where it states none.
    fn rate(
        &self,
        server: &ServerName,
        from: Currency,
        to: Currency,
    ) -> BoxFuture<'static, Result<Option<StatedRate>, Fault>> {
        let _ = (server, from, to);
        Box::pin(std::future::ready(Ok(None)))
    }
    /// Whether [`TradingServer::rate`] may state one, as far as can be said at once: a config that is for another currency than every
    /// account's serves nothing where it never does.
    fn may_convert(&self, server: &ServerName, from: Currency, to: Currency) -> bool {
        let _ = (server, from, to);
        false
    }
    /// Whether the cashier may take traffic; the fault is a sentence for the operator. A server that is elsewhere and down stops
    /// its own accounts alone, and is shown by [`TradingServer::status`].
    fn readiness(&self) -> Result<(), Fault>;
    /// Each server of the settings.
    fn status(&self) -> Vec<TradingStatus> {
        vec![TradingStatus {
            server: ServerName::default(),
            protocol: ServerName::EMBEDDED,
            problem: self.readiness().err().map(|fault| fault.to_string().into()),
            remark: None,
            failing_since: UnixTime::UNSET,
            is_cut_off: false,
            not_compared: None,
            compared_time: UnixTime::UNSET,
        }]
    }
    /// What was found to differ between the books and each server elsewhere.
    fn differences(&self) -> Vec<(ServerName, Arc<ServerDifferences>)> {
        Vec::new()
    }
}
