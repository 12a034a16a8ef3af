//! How the check talks to the server: well-formed exchanges, exchanges with one thing wrong, and postings of its own with keys that
//! no cashier uses. It judges nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cashier_core::account::{AccountFacts, AccountMode};
use cashier_core::ids::{CustomerId, ID_MAX, Login, OperationId, Reference, ServerName, TransactionId};
use cashier_core::money::Money;
use cashier_core::operation::BalanceOperation;
use cashier_core::status::{OperationCmd, OperationReason, OperationStatus};
use cashier_core::time::UnixTime;
use futures_util::future::{self, Either};

use super::super::HttpServerSettings;
use super::super::answers::{AccountAnswer, read_or_none};
use super::super::calling::{encoded, judge};
use super::super::reading::{self, KeyOutcome};
use super::super::requests::{AccountRequest, FindRequest, PostRequest, VoidRequest};
use super::super::signature::SigningSecrets;
use super::super::transport::{NoReply, RawReply, SignedRequest, Transport};
use crate::ports::{Clock, Entropy, Fault, Posting};

/// How long one exchange may take, as the cashier would wait.
const EXCHANGE_WAIT: Duration = Duration::from_secs(5);

/// One promise, and how it was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromiseLine {
    pub promise: &'static str,
    pub problem: Option<String>,
}

/// A login and a customer that nobody has.
pub(super) const NOBODY: u64 = ID_MAX;

/// The comment of its postings, by which a later run finds them.
pub(super) const CHECK_COMMENT: &str = "cashier trading check";

/// The server that is checked.
pub(super) struct Checker {
    transport: Transport,
    secrets: SigningSecrets,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    instance: Box<str>,
    reference: Reference,
    ordinal: u32,
    /// Seconds that the server's clock is ahead.
    ahead: i64,
}

impl Checker {
    pub(super) fn open(
        settings: HttpServerSettings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Fault> {
        let HttpServerSettings { url, secrets, ca_file, plain_http_allowed, instance, .. } = settings;
        let transport = Transport::open(&url, ca_file, plain_http_allowed)?;
        let reference = Reference::from_random(entropy.bits());
        Ok(Self {
            transport,
            secrets,
            clock,
            entropy,
            instance: instance.unwrap_or_default(),
            reference,
            ordinal: 0,
            ahead: 0,
        })
    }

    /// Takes the instance over, unless the settings name another, and the difference of the clocks.
    pub(super) fn learn(&mut self, instance: Box<str>, ahead: i64) -> Result<(), String> {
        self.ahead = ahead;
        if self.instance.is_empty() {
            self.instance = instance;
        }
        Ok(())
    }

    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    pub(super) fn now(&self) -> UnixTime {
        self.clock.wall()
    }

    /// The time by the server's clock, which may differ by the whole tolerance.
    pub(super) fn now_there(&self) -> UnixTime {
        self.now().plus(self.ahead)
    }

    /// The request as the cashier would send it.
    pub(super) fn signed(&self, body: Bytes) -> SignedRequest {
        self.signed_at(body, self.now(), format!("{:032x}", self.entropy.bits()))
    }

    pub(super) fn signed_at(&self, body: Bytes, at: UnixTime, id: String) -> SignedRequest {
        let signature = self.secrets.sign(&id, at, &body);
        SignedRequest { id, timestamp: at.to_string(), signature, body }
    }

    pub(super) async fn send(&self, request: SignedRequest) -> Result<RawReply, String> {
        let sending = std::pin::pin!(self.transport.send(request));
        match future::select(sending, self.clock.sleep(EXCHANGE_WAIT)).await {
            Either::Left((Ok(reply), _)) => Ok(reply),
            Either::Left((Err(NoReply::NotSent(why) | NoReply::Broken(why)), _)) => Err(why),
            Either::Right(_) => Err(format!("no answer within {} s", EXCHANGE_WAIT.as_secs())),
        }
    }

    /// The proven answer to a call.
    pub(super) async fn ask(&self, body: Bytes) -> Result<Bytes, String> {
        let request = self.signed(body);
        let id = request.id.clone();
        let reply = self.send(request).await?;
        judge(reply, &id, &self.secrets, self.now()).map_err(|failure| failure.what)
    }

    pub(super) async fn account(&self, login: Login) -> Result<Option<AccountFacts>, String> {
        let answer = self.ask(encoded(&AccountRequest::new(&self.instance, login))).await?;
        read_or_none::<AccountAnswer>(&answer)?.map(|stated| reading::account(stated, login)).transpose()
    }

    pub(super) async fn post(&self, posting: &Posting) -> Result<KeyOutcome, String> {
        let answer = self.ask(encoded(&PostRequest::new(&self.instance, posting))).await?;
        reading::key_outcome(&answer, &posting.key())
    }

    pub(super) async fn find(&self, posting: &Posting) -> Result<KeyOutcome, String> {
        let answer = self.ask(encoded(&FindRequest::new(&self.instance, posting))).await?;
        reading::key_outcome(&answer, &posting.key())
    }

    pub(super) async fn void(&self, posting: &Posting, reason: &'static str) -> Result<KeyOutcome, String> {
        let answer = self.ask(encoded(&VoidRequest::new(&self.instance, posting, reason))).await?;
        reading::key_outcome(&answer, &posting.key())
    }

    /// A posting under a new key.
    pub(super) fn posting(
        &mut self,
        customer: CustomerId,
        login: Login,
        amount: Money,
        only_on: Option<AccountMode>,
    ) -> Posting {
        self.ordinal += 1;
        let (cmd, reason) = if amount.minor < 0 {
            (OperationCmd::BalanceOut, OperationReason::Reversal)
        } else {
            (OperationCmd::BalanceIn, OperationReason::Deposit)
        };
        Posting {
            operation: BalanceOperation {
                id: OperationId(u64::from(self.ordinal)),
                transaction_id: TransactionId(1),
                ordinal: self.ordinal,
                login,
                trade_order: 0,
                request_order: 0,
                cmd,
                amount,
                reason,
                status: OperationStatus::Planned,
                failure_reason: Box::default(),
                created_time: self.now(),
                updated_time: self.now(),
            },
            reference: self.reference.clone(),
            server: ServerName::default(),
            customer_id: customer,
            only_on,
            comment: CHECK_COMMENT.into(),
        }
    }
}

pub(super) fn line(promise: &'static str, checked: Result<(), String>) -> PromiseLine {
    PromiseLine { promise, problem: checked.err() }
}

pub(super) fn expect(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
