//! How the check talks to the server: well-formed exchanges, exchanges with one thing wrong, and postings of its own with keys that
//! no cashier uses. It judges nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cashier_core::account::{AccountFacts, AccountMode, Customer};
use cashier_core::ids::{CustomerId, ID_MAX, Login, OperationId, Reference, ServerName, TransactionId};
use cashier_core::money::Money;
use cashier_core::operation::{BalanceOperation, OperationKey};
use cashier_core::reason::ReasonCode;
use cashier_core::status::{OperationCmd, OperationReason, OperationStatus};
use cashier_core::time::UnixTime;
use futures_util::future::{self, Either};
use serde_json::{Map, Value};

use super::super::HttpServerSettings;
use super::super::answers::{AccountAnswer, StatedCustomer, read_or_none};
use super::super::calling::encoded;
use super::super::reading::{self, KeyOutcome};
use super::super::replies::judge;
use super::super::requests::{AccountRequest, CustomerRequest, FindRequest, PostRequest, VoidRequest};
use super::super::signature::SigningSecrets;
use super::super::transport::{NoReply, RawReply, SignedRequest, Transport};
use super::answered::shortened;
use crate::ports::{Clock, Entropy, Fault, Posting};

/// How long one exchange may take, as the cashier would wait.
const EXCHANGE_WAIT: Duration = Duration::from_secs(5);

/// How long a call about a key is asked again while it answers 500, and how long after each: a server whose balances are elsewhere
/// answers so while the key is pending, which is as long as its API takes.
const PENDING_WAIT: Duration = Duration::from_secs(5);
const PENDING_PAUSE: Duration = Duration::from_millis(100);

/// One promise, and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromiseLine {
    pub promise: &'static str,
    pub seen: PromiseSeen,
}

/// What was seen of a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromiseSeen {
    Kept,
    Broken(String),
    /// What is missing to check it.
    NotChecked(&'static str),
}

/// A call about a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum KeyCall {
    Post,
    Find,
    Void(ReasonCode),
}

/// A login and a customer that nobody has.
pub(super) const NOBODY: u64 = ID_MAX;

/// The comment of its postings, for whoever looks at them.
const CHECK_COMMENT: &str = "cashier trading check";

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

    /// A body that is the call's of a posting, but for what is changed in the posting.
    pub(super) fn body_with(
        &self,
        call: KeyCall,
        posting: &Posting,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> Bytes {
        let mut body = serde_json::from_slice::<Value>(&self.body(call, posting)).unwrap_or_default();
        if let Some(members) = body.get_mut("posting").and_then(Value::as_object_mut) {
            change(members);
        }
        encoded(&body)
    }

    /// Sends a request that must not be sent twice.
    pub(super) async fn send(&self, request: SignedRequest) -> Result<RawReply, String> {
        self.exchanged(request).await.map_err(|failed| match failed {
            NoReply::NotSent(why) | NoReply::Broken(why) => why,
            NoReply::Unanswered(why) => format!(
                "the connection was closed and no answer came, which does not say what became of the call ({why}); a server \
                 that closes a connection after an answer says `connection: close` in that answer"
            ),
        })
    }

    /// Sends a request that changes nothing, and once more where the connection was closed before an answer: it may have been
    /// closing already.
    pub(super) async fn send_question(&self, request: SignedRequest) -> Result<RawReply, String> {
        match self.exchanged(request.clone()).await {
            Err(NoReply::Unanswered(_)) => self.send(request).await,
            Err(NoReply::NotSent(why) | NoReply::Broken(why)) => Err(why),
            Ok(reply) => Ok(reply),
        }
    }

    async fn exchanged(&self, request: SignedRequest) -> Result<RawReply, NoReply> {
        let sending = std::pin::pin!(self.transport.send(request));
        match future::select(sending, self.clock.sleep(EXCHANGE_WAIT)).await {
            Either::Left((reply, _)) => reply,
            Either::Right(_) => Err(NoReply::Broken(format!("no answer within {} s", EXCHANGE_WAIT.as_secs()))),
        }
    }

    /// The proven answer to a question.
    pub(super) async fn ask(&self, body: Bytes) -> Result<Bytes, String> {
        self.proven(self.signed(body)).await
    }

    /// The proven answer to a question that is signed in its own way.
    pub(super) async fn proven(&self, request: SignedRequest) -> Result<Bytes, String> {
        let id = request.id.clone();
        let reply = self.send_question(request).await?;
        judge(reply, &id, &self.secrets, self.now()).map_err(|failure| failure.what)
    }

    /// The outcome of a call about a key that other calls are about at the same time: while it answers 500, it is asked again.
    pub(super) async fn settled(&self, call: KeyCall, posting: &Posting) -> Result<KeyOutcome, String> {
        let begun = self.clock.monotonic();
        loop {
            let request = self.signed(self.body(call, posting));
            let id = request.id.clone();
            let reply = self.sent(call, request).await?;
            if reply.status == 500 && self.clock.monotonic().saturating_sub(begun) < PENDING_WAIT {
                self.clock.sleep(PENDING_PAUSE).await;
                continue;
            }
            let answer = judge(reply, &id, &self.secrets, self.now()).map_err(|failure| failure.what)?;
            return reading::key_outcome(&answer, &posting.key());
        }
    }

    fn body(&self, call: KeyCall, posting: &Posting) -> Bytes {
        let instance = &self.instance;
        match call {
            KeyCall::Post => encoded(&PostRequest::new(instance, posting)),
            KeyCall::Find => encoded(&FindRequest::new(instance, posting)),
            KeyCall::Void(reason) => encoded(&VoidRequest::new(instance, posting, reason.name())),
        }
    }

    async fn about(&self, call: KeyCall, posting: &Posting) -> Result<KeyOutcome, String> {
        self.answered(call, self.body(call, posting), &posting.key()).await
    }

    /// The same under another key than the posting's own.
    pub(super) async fn about_key(
        &self,
        call: KeyCall,
        key: &OperationKey,
        posting: &Posting,
    ) -> Result<KeyOutcome, String> {
        let change = |members: &mut Map<String, Value>| drop(members.insert("key".to_owned(), key.as_str().into()));
        self.answered(call, self.body_with(call, posting, change), key).await
    }

    /// The outcome that a call with this body is answered.
    pub(super) async fn answered(&self, call: KeyCall, body: Bytes, key: &OperationKey) -> Result<KeyOutcome, String> {
        let request = self.signed(body);
        let id = request.id.clone();
        let reply = self.sent(call, request).await?;
        let answer = judge(reply, &id, &self.secrets, self.now()).map_err(|failure| failure.what)?;
        reading::key_outcome(&answer, key)
    }

    async fn sent(&self, call: KeyCall, request: SignedRequest) -> Result<RawReply, String> {
        match call {
            KeyCall::Find => self.send_question(request).await,
            KeyCall::Post | KeyCall::Void(_) => self.send(request).await,
        }
    }

    pub(super) async fn customer(&self, customer: CustomerId) -> Result<Option<Customer>, String> {
        let answer = self.ask(encoded(&CustomerRequest::new(&self.instance, customer))).await?;
        let stated = read_or_none::<StatedCustomer>(&answer)?;
        stated.map(|stated| reading::customer(stated.customer.0, customer)).transpose()
    }

    pub(super) async fn account(&self, login: Login) -> Result<Option<AccountFacts>, String> {
        let answer = self.ask(encoded(&AccountRequest::new(&self.instance, login))).await?;
        read_or_none::<AccountAnswer>(&answer)?.map(|stated| reading::account(stated, login)).transpose()
    }

    pub(super) async fn post(&self, posting: &Posting) -> Result<KeyOutcome, String> {
        self.about(KeyCall::Post, posting).await
    }

    pub(super) async fn find(&self, posting: &Posting) -> Result<KeyOutcome, String> {
        self.about(KeyCall::Find, posting).await
    }

    pub(super) async fn void(&self, posting: &Posting, reason: ReasonCode) -> Result<KeyOutcome, String> {
        self.about(KeyCall::Void(reason), posting).await
    }

    pub(super) fn random(&self) -> u128 {
        self.entropy.bits()
    }

    /// The first of so many ordinals that are left for keys.
    pub(super) fn reserve(&mut self, ordinals: u32) -> (Reference, u32) {
        let first = self.ordinal + 1;
        self.ordinal += ordinals;
        (self.reference.clone(), first)
    }

    /// A posting under a new key.
    pub(super) fn posting(
        &mut self,
        customer: CustomerId,
        login: Login,
        amount: Money,
        only_on: Option<AccountMode>,
    ) -> Posting {
        let under = self.reserve(1);
        self.posting_under(under, (customer, login), amount, only_on)
    }

    /// A posting under a key of this run or of an earlier one.
    pub(super) fn posting_under(
        &self,
        (reference, ordinal): (Reference, u32),
        (customer, login): (CustomerId, Login),
        amount: Money,
        only_on: Option<AccountMode>,
    ) -> Posting {
        let (cmd, reason) = if amount.minor < 0 {
            (OperationCmd::BalanceOut, OperationReason::Reversal)
        } else {
            (OperationCmd::BalanceIn, OperationReason::Deposit)
        };
        Posting {
            operation: BalanceOperation {
                id: OperationId(u64::from(ordinal)),
                transaction_id: TransactionId(1),
                ordinal,
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
            reference,
            server: ServerName::default(),
            customer_id: customer,
            only_on,
            comment: CHECK_COMMENT.into(),
        }
    }
}

pub(super) fn line(promise: &'static str, checked: Result<(), String>) -> PromiseLine {
    let broken = |problem| PromiseSeen::Broken(shortened(problem));
    PromiseLine { promise, seen: checked.map_or_else(broken, |()| PromiseSeen::Kept) }
}

pub(super) fn expect(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
