//! One call to the server, from the request's signature to the judged answer: its time, its turn, its repetitions, and what is
//! remembered of how calls end. What a reply is worth is judged by `replies`. It knows no account.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cashier_core::time::UnixTime;
use futures_util::future::{self, Either};
use serde::Serialize;
use tokio::sync::Semaphore;

use super::answers::{IdentityAnswer, read_only};
use super::instances::InstanceFile;
use super::replies::{UnansweredCall, judge};
use super::requests::IdentityRequest;
use super::signature::SigningSecrets;
use super::transport::{IN_FLIGHT_MAX, NoReply, SignedRequest, Transport};
use crate::ports::{Clock, Entropy};

/// The number of the protocol.
pub(super) const PROTOCOL: u64 = 1;

/// How long a call may take, its repetitions and its turn included: a deposit's customer waits for it.
const CALL_WAIT: Duration = Duration::from_secs(5);

/// Pauses before a question is asked again: a server that restarts behind a proxy refuses for moments.
const REPEAT_PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// Optional calls at one time, within those of all kinds: prices that hang must leave the turns to postings.
pub(super) const OPTIONAL_IN_FLIGHT_MAX: usize = 8;

/// Longest pause that a server may ask for with `retry-after`: beyond it, it is tried all the same.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// How long it is believed that the server takes no postings: it is asked no more often, and deposits wait no longer than that.
const NOT_READY_AGE_MAX: Duration = Duration::from_secs(1);

/// What a call is to the cashier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallKind {
    /// It records nothing at the server, and is repeated by itself.
    Question,
    /// A question that a server need not answer: how it ends says nothing of the others.
    Optional,
    /// It is never repeated by itself: its caller looks up what became of it first.
    Posting,
}

/// What is remembered between calls.
#[derive(Default)]
struct Remembered {
    /// Which database of postings the server has. One that forgot its keys is another server.
    instance: Option<Arc<str>>,
    /// The same, also while it is asked for again.
    latest: Option<Arc<str>>,
    /// How often it was another one than before, and which of them was compared with the books last.
    databases: u64,
    compared: u64,
    /// How the last call failed, but for optional ones.
    problem: Option<String>,
    /// The same where the server itself answered nothing: it cannot be reached, or is not the one it should be.
    unreached: Option<String>,
    /// What the server said of why it takes no postings, until it says that it does, or judges one: no other answer says so.
    not_ready: Option<String>,
    /// Monotonic time at which it said last whether it does, or was asked; the end of the first call before that.
    readiness: Option<Duration>,
    /// Monotonic time before which the server asked not to be called, and not to be asked optional questions.
    paused_until: Duration,
    optional_paused_until: Duration,
    /// Monotonic time at which a call ended last, or was begun because none had.
    ended: Option<Duration>,
    /// What was wrong with the groups that were passed over last.
    unread_groups: String,
}

impl Remembered {
    fn pause(&self, kind: CallKind, now: Duration) -> Duration {
        let until = match kind {
            CallKind::Question | CallKind::Posting => self.paused_until,
            CallKind::Optional => self.paused_until.max(self.optional_paused_until),
        };
        until.saturating_sub(now)
    }
}

/// The server as calls are made to it.
pub(super) struct Caller {
    transport: Transport,
    secrets: SigningSecrets,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// The instance that the settings name.
    fixed: Option<Box<str>>,
    /// The one that was learned, in earlier runs too.
    instance_file: Option<InstanceFile>,
    turns: Semaphore,
    optional_turns: Semaphore,
    remembered: Mutex<Remembered>,
}

impl Caller {
    pub(super) fn new(
        transport: Transport,
        secrets: SigningSecrets,
        (fixed, instance_file): (Option<Box<str>>, Option<InstanceFile>),
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
    ) -> Self {
        let remembered = Mutex::default();
        let (turns, optional_turns) = (Semaphore::new(IN_FLIGHT_MAX), Semaphore::new(OPTIONAL_IN_FLIGHT_MAX));
        Self { transport, secrets, clock, entropy, fixed, instance_file, turns, optional_turns, remembered }
    }

    /// Makes a call. `body` gets the instance of the server, `read` the verified bytes of the answer.
    pub(super) async fn call<T>(
        &self,
        name: &'static str,
        kind: CallKind,
        body: impl Fn(&str) -> Bytes,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, UnansweredCall> {
        let pause = self.remembered().pause(kind, self.clock.monotonic());
        if !pause.is_zero() {
            let what = format!("it asked not to be called for another {} s", pause.as_secs() + 1);
            // Nothing was learned of the server by it.
            return Err(UnansweredCall { not_sent: true, ..UnansweredCall::none(what) });
        }
        let calling = std::pin::pin!(self.repeated(kind, body, read));
        let ended = match future::select(calling, self.clock.sleep(CALL_WAIT)).await {
            Either::Left((ended, _)) => ended,
            Either::Right(_) => {
                Err(UnansweredCall::none(format!("timed out: no answer within {} s", CALL_WAIT.as_secs())))
            }
        };
        self.note(name, kind, ended.as_ref().err());
        ended
    }

    async fn repeated<T>(
        &self,
        kind: CallKind,
        body: impl Fn(&str) -> Bytes,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, UnansweredCall> {
        let stopping = |_| UnansweredCall::none("the cashier is stopping");
        let _optional_turn = match kind {
            CallKind::Optional => Some(self.optional_turns.acquire().await.map_err(stopping)?),
            CallKind::Question | CallKind::Posting => None,
        };
        let _turn = self.turns.acquire().await.map_err(stopping)?;
        let mut pauses = REPEAT_PAUSES.iter();
        loop {
            let failure = match self.once(kind, &body, &read).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let pause = pauses.next().filter(|_| failure.is_passing && kind != CallKind::Posting);
            let Some(pause) = pause else { return Err(failure) };
            self.clock.sleep(*pause).await;
        }
    }

    async fn once<T>(
        &self,
        kind: CallKind,
        body: &impl Fn(&str) -> Bytes,
        read: &impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, UnansweredCall> {
        let known = self.remembered().instance.clone();
        let instance = match known {
            Some(instance) => instance,
            // Nothing of the call itself has left when this fails.
            None => self.learn_instance().await.map_err(|failure| UnansweredCall { not_sent: true, ..failure })?,
        };
        if kind == CallKind::Posting && !self.is_compared() {
            let what = "it has another database of postings than before, which is compared with the books first";
            return Err(UnansweredCall { not_sent: true, ..UnansweredCall::unusable(what) });
        }
        let exchanged = self.exchange(body(&instance)).await;
        let is_asked_again = self.instance_file.is_some() || self.fixed.is_some();
        if is_asked_again && exchanged.as_ref().is_err_and(|failure| failure.is_other_instance) {
            // The next call asks who it is, and compares that with the settings and the file.
            self.remembered().instance = None;
        }
        let answer = exchanged?;
        read(&answer).map_err(UnansweredCall::unusable)
    }

    async fn learn_instance(&self) -> Result<Arc<str>, UnansweredCall> {
        let answer = self.exchange(encoded(&IdentityRequest::new())).await?;
        let identity = read_only::<IdentityAnswer>(&answer).map_err(UnansweredCall::none)?;
        let IdentityAnswer { name, instance, protocol, .. } = identity;
        if protocol.0 != PROTOCOL {
            return Err(UnansweredCall::none(format!("it speaks protocol {}, this cashier {PROTOCOL}", protocol.0)));
        }
        if instance.0.is_empty() {
            return Err(UnansweredCall::none("it states no instance"));
        }
        if let Some(fixed) = self.fixed.as_deref().filter(|fixed| **fixed != *instance.0) {
            let what = "it has another database of postings than the settings say";
            return Err(UnansweredCall::none(format!("{what} (instance {}, `instance` there is {fixed})", instance.0)));
        }
        if let Some(file) = &self.instance_file {
            file.admit(&instance.0).map_err(|fault| UnansweredCall::none(fault.what))?;
        }
        let mut remembered = self.remembered();
        let instance = Arc::clone(remembered.instance.get_or_insert_with(|| Arc::from(&*instance.0)));
        let before = remembered.latest.replace(Arc::clone(&instance));
        let is_other = before.is_some_and(|before| before != instance);
        remembered.databases += u64::from(is_other);
        drop(remembered);
        tracing::info!(server = self.transport.authority(), name = &*name.0, %instance, is_other, "trading server identified");
        Ok(instance)
    }

    /// How long it asked not to be called.
    pub(super) fn pause(&self) -> Duration {
        self.remembered().pause(CallKind::Question, self.clock.monotonic())
    }

    /// How often it had another database of postings than before.
    pub(super) fn databases(&self) -> u64 {
        self.remembered().databases
    }

    /// Nothing is posted to a database that another one was replaced by, until it is said to be compared.
    pub(super) fn note_compared(&self, database: u64) {
        self.remembered().compared = database;
    }

    pub(super) fn is_compared(&self) -> bool {
        let remembered = self.remembered();
        remembered.databases == remembered.compared
    }

    /// Sends a signed request and returns the bytes of the answer that is signed for it.
    async fn exchange(&self, body: Bytes) -> Result<Bytes, UnansweredCall> {
        let id = format!("{:032x}", self.entropy.bits());
        let sent = self.clock.wall();
        let signature = self.secrets.sign(&id, sent, &body);
        let request = SignedRequest { id: id.clone(), timestamp: sent.to_string(), signature, body };
        let reply = self.transport.send(request).await.map_err(|failed| match failed {
            NoReply::NotSent(what) => UnansweredCall { not_sent: true, is_passing: true, ..UnansweredCall::none(what) },
            NoReply::Unanswered(what) | NoReply::Broken(what) => {
                UnansweredCall { is_passing: true, ..UnansweredCall::none(what) }
            }
        })?;
        judge(reply, &id, &self.secrets, self.clock.wall())
    }

    /// Records how a call ended; one that failed is a line in the log.
    fn note(&self, call: &'static str, kind: CallKind, failure: Option<&UnansweredCall>) {
        let now = self.clock.monotonic();
        let pause = failure.and_then(|failure| failure.pause);
        let paused_until = pause.map(|pause| now.saturating_add(pause.min(RETRY_AFTER_MAX)));
        let mut remembered = self.remembered();
        match kind {
            CallKind::Question | CallKind::Posting => {
                remembered.ended = Some(now);
                remembered.readiness.get_or_insert(now);
                remembered.problem = failure.map(|failure| failure.what.clone());
                remembered.unreached = failure.filter(|failure| !failure.is_answer).map(|failure| failure.what.clone());
                remembered.paused_until = paused_until.unwrap_or(remembered.paused_until);
            }
            CallKind::Optional => {
                remembered.optional_paused_until = paused_until.unwrap_or(remembered.optional_paused_until);
            }
        }
        drop(remembered);
        if let Some(UnansweredCall { what, not_sent, .. }) = failure {
            tracing::warn!(
                server = self.transport.authority(),
                call,
                not_sent,
                why = &**what,
                "trading server call failed"
            );
        }
    }

    /// The time here.
    pub(super) fn now(&self) -> UnixTime {
        self.clock.wall()
    }

    /// Records what the server itself stated of postings: that it takes them, or why it does not.
    pub(super) fn note_readiness(&self, not_ready: Option<String>) {
        let mut remembered = self.remembered();
        remembered.readiness = Some(self.clock.monotonic());
        remembered.not_ready = not_ready;
    }

    /// Why it takes no postings, as it said.
    pub(super) fn not_ready(&self) -> Option<String> {
        self.remembered().not_ready.clone()
    }

    /// Warns of groups that were passed over, once for the same ones; whether it did.
    pub(super) fn note_unread_groups(&self, problems: &[String]) -> bool {
        let problems = problems.join("; ");
        let before = std::mem::replace(&mut self.remembered().unread_groups, problems.clone());
        let is_new = problems != before && !problems.is_empty();
        if is_new {
            let server = self.transport.authority();
            tracing::warn!(server, why = &*problems, "groups of the trading server were passed over");
        }
        is_new
    }

    /// Why it takes no postings, or how the last call failed, but for optional ones.
    pub(super) fn problem(&self) -> Option<String> {
        let remembered = self.remembered();
        remembered.not_ready.clone().or_else(|| remembered.problem.clone())
    }

    /// The same, where the server itself answered nothing.
    pub(super) fn unreached(&self) -> Option<String> {
        let remembered = self.remembered();
        remembered.not_ready.clone().or_else(|| remembered.unreached.clone())
    }

    /// Whether no call ended for so long, or nothing was said of whether it takes postings, which other calls do not say; nor is one
    /// being made for that: then the caller makes one. Where it takes none, it is asked sooner.
    pub(super) fn is_stale(&self, age_max: Duration) -> bool {
        let now = self.clock.monotonic();
        let mut remembered = self.remembered();
        let readiness_age_max = if remembered.not_ready.is_some() { NOT_READY_AGE_MAX } else { age_max };
        let is_stale = remembered.ended.is_none_or(|ended| now.saturating_sub(ended) > age_max)
            || remembered.readiness.is_some_and(|known| now.saturating_sub(known) > readiness_age_max);
        if is_stale {
            (remembered.ended, remembered.readiness) = (Some(now), Some(now));
        }
        is_stale
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request as it is sent.
pub(super) fn encoded(request: &impl Serialize) -> Bytes {
    // Strings and whole numbers always have a JSON text.
    serde_json::to_vec(request).unwrap_or_default().into()
}
