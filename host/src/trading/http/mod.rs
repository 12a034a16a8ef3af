//! A broker's own trading server over HTTP and JSON (docs/trading-server.md): one URL, signed both ways, every call a described
//! type, every posting under our key. Without a proven answer the outcome of a posting is unknown. It knows no transaction.

pub mod answers;
mod calling;
mod conformance;
mod instances;
pub mod openapi;
mod reading;
mod replies;
pub mod requests;
pub mod rows;
mod signature;
#[cfg(test)]
mod tests;
mod transport;
pub mod values;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cashier_core::account::{AccountFacts, Customer, Group};
use cashier_core::conversion::StatedRate;
use cashier_core::ids::{CustomerId, Login};
use cashier_core::money::Currency;
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use futures_util::future::BoxFuture;

use self::answers::{
    AccountAnswer, GroupsAnswer, PostedCountAnswer, PostingsAnswer, RateAnswer, StatedCustomer, read_health, read_only,
    read_or_none,
};
use self::calling::{CallKind, Caller, encoded};
pub use self::conformance::{CheckReport, CheckedAccount, PromiseLine, PromiseSeen, check};
pub use self::instances::InstanceFile;
use self::reading::KeyOutcome;
use self::replies::UnansweredCall;
use self::requests::{
    AccountRequest, CustomerRequest, FindRequest, GroupsRequest, HealthRequest, PAGE_POSTINGS_MAX, PostRequest,
    PostingsRequest, RateRequest, VoidRequest,
};
pub use self::signature::SigningSecrets;
use self::transport::Transport;
use crate::ports::{Clock, Durable, Entropy, Fault, PostStep, Posting, Voiding};
use crate::trading::remote::{PostingsPage, RemoteServer};

/// How long a state is believed without a call: whoever asks for it then has the server asked.
const STATE_SECONDS: Duration = Duration::from_secs(10);

/// Where a server is, and how both sides know each other.
#[derive(Clone)]
pub struct HttpServerSettings {
    pub url: Box<str>,
    pub secrets: SigningSecrets,
    /// The certificates that are trusted instead of the public roots.
    pub ca_file: Option<PathBuf>,
    /// Plain HTTP to another machine.
    pub plain_http_allowed: bool,
    /// Which database of postings it must have; where it is not given, the one that it states at the first call.
    pub instance: Option<Box<str>>,
    /// Where the one that it stated is kept. Without it, it is forgotten with the adapter.
    pub instance_file: Option<InstanceFile>,
}

/// The adapter of one server.
pub struct HttpTradingServer(Arc<Caller>);

impl HttpTradingServer {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// The URL or the file of certificates is not usable.
    pub fn open(settings: HttpServerSettings, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, Fault> {
        let HttpServerSettings { url, secrets, ca_file, plain_http_allowed, instance, instance_file } = settings;
        if instance.as_deref().is_some_and(|instance| !instances::is_instance(instance)) {
            return Err(Fault::new("the instance of the trading server has 1 to 64 of A-Z a-z 0-9 - _"));
        }
        let transport = Transport::open(&url, ca_file, plain_http_allowed)?;
        Ok(Self(Arc::new(Caller::new(transport, secrets, (instance, instance_file), (clock, entropy)))))
    }

    /// What is recorded under a key after a call about it.
    fn of_key(
        &self,
        name: &'static str,
        kind: CallKind,
        posting: Posting,
        body: impl Fn(&str, &Posting) -> bytes::Bytes + Send + Sync + 'static,
    ) -> BoxFuture<'static, Result<KeyOutcome, UnansweredCall>> {
        let caller = Arc::clone(&self.0);
        Box::pin(async move {
            let (key, posting) = (posting.key(), &posting);
            let read = |answer: &[u8]| reading::key_outcome(answer, &key);
            caller.call(name, kind, |instance| body(instance, posting), read).await
        })
    }
}

impl RemoteServer for HttpTradingServer {
    fn account(&self, login: Login) -> BoxFuture<'static, Result<Option<AccountFacts>, Fault>> {
        let caller = Arc::clone(&self.0);
        Box::pin(async move {
            let read = |answer: &[u8]| {
                let stated = read_or_none::<AccountAnswer>(answer)?;
                stated.map(|stated| reading::account(stated, login)).transpose()
            };
            let body = |instance: &str| encoded(&AccountRequest::new(instance, login));
            Ok(caller.call("account", CallKind::Question, body, read).await?)
        })
    }

    fn groups(&self) -> BoxFuture<'static, Result<Vec<Group>, Fault>> {
        let caller = Arc::clone(&self.0);
        Box::pin(async move {
            let read = |answer: &[u8]| reading::groups(read_only::<GroupsAnswer>(answer)?);
            let body = |instance: &str| encoded(&GroupsRequest::new(instance));
            let (groups, unread) = caller.call("groups", CallKind::Question, body, read).await?;
            caller.note_unread_groups(&unread);
            Ok(groups)
        })
    }

    fn customer(&self, customer: CustomerId) -> BoxFuture<'static, Result<Option<Customer>, Fault>> {
        let caller = Arc::clone(&self.0);
        Box::pin(async move {
            let read = |answer: &[u8]| {
                let stated = read_or_none::<StatedCustomer>(answer)?;
                stated.map(|stated| reading::customer(stated.customer.0, customer)).transpose()
            };
            let body = |instance: &str| encoded(&CustomerRequest::new(instance, customer));
            Ok(caller.call("customer", CallKind::Question, body, read).await?)
        })
    }

    fn post(&self, posting: Durable<Posting>) -> BoxFuture<'static, PostStep> {
        let body = |instance: &str, posting: &Posting| encoded(&PostRequest::new(instance, posting));
        let posted = self.of_key("post", CallKind::Posting, posting.into_inner(), body);
        let caller = Arc::clone(&self.0);
        Box::pin(async move {
            match posted.await {
                Ok(KeyOutcome::Known(outcome)) => {
                    caller.note_readiness(None);
                    PostStep::Done(reading::of_a_post(outcome))
                }
                // `none` is no answer to a posting.
                Ok(KeyOutcome::Unknown) => PostStep::Done(PostingOutcome::Unknown),
                Err(failure) if failure.not_sent => PostStep::NotSent,
                Err(failure) => {
                    if failure.is_not_ready {
                        caller.note_readiness(Some(failure.what));
                    }
                    PostStep::Done(PostingOutcome::Unknown)
                }
            }
        })
    }

    fn find(&self, posting: &Posting) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>> {
        let body = |instance: &str, posting: &Posting| encoded(&FindRequest::new(instance, posting));
        let found = self.of_key("find", CallKind::Question, posting.clone(), body);
        Box::pin(async move { Ok(found.await?.known()) })
    }

    fn void(&self, posting: Durable<Posting>, reason: ReasonCode) -> BoxFuture<'static, Result<Voiding, Fault>> {
        let body =
            move |instance: &str, posting: &Posting| encoded(&VoidRequest::new(instance, posting, reason.name()));
        let voided = self.of_key("void", CallKind::Posting, posting.into_inner(), body);
        Box::pin(async move {
            let outcome = voided.await?.known();
            outcome.map(Voiding::Settled).ok_or_else(|| Fault::new("it answered none to a request to void a key"))
        })
    }

    fn keyed_by_operation(&self) -> bool {
        true
    }

    fn states_rates(&self) -> bool {
        true
    }

    fn rate(&self, from: Currency, to: Currency) -> BoxFuture<'static, Result<Option<StatedRate>, Fault>> {
        let caller = Arc::clone(&self.0);
        Box::pin(async move {
            let now = caller.now();
            let read = |answer: &[u8]| {
                let stated = read_or_none::<RateAnswer>(answer)?;
                stated.map(|stated| reading::rate(stated, (from, to), now)).transpose()
            };
            let body = |instance: &str| encoded(&RateRequest::new(instance, from.code(), to.code()));
            Ok(caller.call("rate", CallKind::Optional, body, read).await?)
        })
    }

    fn postings(&self, after: Box<str>, limit: usize) -> BoxFuture<'static, Result<PostingsPage, Fault>> {
        let caller = Arc::clone(&self.0);
        let limit = u32::try_from(limit.clamp(1, PAGE_POSTINGS_MAX)).unwrap_or(1);
        Box::pin(async move {
            let read = |answer: &[u8]| reading::postings(read_only::<PostingsAnswer>(answer)?, &after);
            let body = |instance: &str| encoded(&PostingsRequest::new(instance, &after, limit));
            Ok(caller.call("postings", CallKind::Question, body, read).await?)
        })
    }

    fn posted_count(&self) -> BoxFuture<'static, Result<Option<u64>, Fault>> {
        let caller = Arc::clone(&self.0);
        Box::pin(async move {
            let read = |answer: &[u8]| Ok(read_only::<PostedCountAnswer>(answer)?.posted_count.0);
            let body = |instance: &str| encoded(&PostingsRequest::new(instance, "", 1));
            Ok(Some(caller.call("postings", CallKind::Question, body, read).await?))
        })
    }

    fn answers(&self) -> BoxFuture<'static, Result<(), Fault>> {
        let caller = Arc::clone(&self.0);
        Box::pin(async move { ask_health(&caller).await })
    }

    fn pause(&self) -> Duration {
        self.0.pause()
    }

    fn database(&self) -> u64 {
        self.0.databases()
    }

    fn note_compared(&self, database: u64) {
        self.0.note_compared(database);
    }

    fn is_compared(&self) -> bool {
        self.0.is_compared()
    }

    fn states_ready(&self) -> Result<(), Fault> {
        self.ask_where_nothing_is_known();
        self.0.not_ready().map_or(Ok(()), |problem| Err(Fault::new(problem)))
    }

    /// Whether the server itself answered the last call, whatever it answered: a call that it refused, or one account that it cannot
    /// state, is no reason to send it nothing more. Nor where it said that it takes no postings.
    fn reaches(&self) -> Result<(), Fault> {
        self.ask_where_nothing_is_known();
        self.0.unreached().map_or(Ok(()), |problem| Err(Fault::new(problem)))
    }

    /// How the last call ended.
    fn health(&self) -> Result<(), Fault> {
        self.ask_where_nothing_is_known();
        self.0.problem().map_or(Ok(()), |problem| Err(Fault::new(problem)))
    }
}

impl HttpTradingServer {
    /// Where no call ended for a while, the server is asked, and who asks next knows.
    fn ask_where_nothing_is_known(&self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && self.0.is_stale(STATE_SECONDS)
        {
            let caller = Arc::clone(&self.0);
            runtime.spawn(async move { drop(ask_health(&caller).await) });
        }
    }
}

/// Asks whether postings can be made now.
async fn ask_health(caller: &Caller) -> Result<(), Fault> {
    let body = |instance: &str| encoded(&HealthRequest::new(instance));
    let stated = caller.call("health", CallKind::Question, body, read_health).await?;
    let not_ready = stated.err().map(|words| format!("it takes no postings now: {words}"));
    caller.note_readiness(not_ready.clone());
    not_ready.map_or(Ok(()), |problem| Err(Fault::new(problem)))
}
