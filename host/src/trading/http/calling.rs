//! One call to the server, from the request's signature to the judged answer: its time, its turn, its repetitions, and what is
//! remembered of how calls end. An answer that is not signed for this very request is none. It knows no account.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cashier_core::time::UnixTime;
use futures_util::future::{self, Either};
use serde::Serialize;
use tokio::sync::Semaphore;

use super::answers::{CallErrorAnswer, IdentityAnswer, read_only};
use super::instances::InstanceFile;
use super::requests::IdentityRequest;
use super::signature::{SigningSecrets, TIMESTAMP_TOLERANCE_SECONDS};
use super::transport::{IN_FLIGHT_MAX, NoReply, RawReply, SignedRequest, Transport};
use crate::json_object::shown;
use crate::ports::{Clock, Entropy, Fault};

/// The number of the protocol.
pub(super) const PROTOCOL: u64 = 1;

/// How long a call may take, its repetitions and its turn included: a deposit's customer waits for it.
const CALL_WAIT: Duration = Duration::from_secs(5);

/// Pauses before a question is asked again: a server that restarts behind a proxy refuses for moments.
const REPEAT_PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// Longest pause that a server may ask for with `retry-after`: beyond it, it is tried all the same.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Whether a call may be repeated by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It records nothing at the server.
    Question,
    /// Its caller looks up what became of it first.
    Never,
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnansweredCall {
    /// A sentence for the operator.
    pub(super) what: String,
    /// No byte of it left.
    pub(super) not_sent: bool,
    /// The same call may succeed in a moment.
    is_passing: bool,
    /// It has another instance than the call was for.
    is_other_instance: bool,
    /// How long the server asks not to be called.
    pause: Option<Duration>,
}

impl UnansweredCall {
    fn wrong(what: impl Into<String>) -> Self {
        Self { what: what.into(), not_sent: false, is_passing: false, is_other_instance: false, pause: None }
    }
}

impl From<UnansweredCall> for Fault {
    fn from(failure: UnansweredCall) -> Self {
        Self::new(failure.what)
    }
}

/// What is remembered between calls.
#[derive(Default)]
struct Remembered {
    /// Which database of postings the server has. One that forgot its keys is another server.
    instance: Option<Arc<str>>,
    /// How the last call failed.
    problem: Option<String>,
    /// Monotonic time before which the server asked not to be called.
    paused_until: Duration,
    /// Monotonic time at which a call ended last, or was begun because none had.
    ended: Option<Duration>,
}

/// The server as calls are made to it.
pub(super) struct Caller {
    transport: Transport,
    secrets: SigningSecrets,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// The instance that was learned in earlier runs too; none where the settings name it.
    instance_file: Option<InstanceFile>,
    turns: Semaphore,
    remembered: Mutex<Remembered>,
}

impl Caller {
    pub(super) fn new(
        transport: Transport,
        secrets: SigningSecrets,
        (instance, instance_file): (Option<Box<str>>, Option<InstanceFile>),
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
    ) -> Self {
        let instance_file = instance_file.filter(|_| instance.is_none());
        let remembered = Mutex::new(Remembered { instance: instance.map(Arc::from), ..Remembered::default() });
        Self { transport, secrets, clock, entropy, instance_file, turns: Semaphore::new(IN_FLIGHT_MAX), remembered }
    }

    /// Makes a call. `body` gets the instance of the server, `read` the verified bytes of the answer.
    pub(super) async fn call<T>(
        &self,
        name: &'static str,
        repeat: Repeat,
        body: impl Fn(&str) -> Bytes,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, UnansweredCall> {
        let pause = self.remembered().paused_until.saturating_sub(self.clock.monotonic());
        if !pause.is_zero() {
            let what = format!("it asked not to be called for another {} s", pause.as_secs() + 1);
            return Err(UnansweredCall { not_sent: true, ..UnansweredCall::wrong(what) });
        }
        let calling = std::pin::pin!(self.repeated(repeat, body, read));
        let ended = match future::select(calling, self.clock.sleep(CALL_WAIT)).await {
            Either::Left((ended, _)) => ended,
            Either::Right(_) => {
                Err(UnansweredCall::wrong(format!("timed out: no answer within {} s", CALL_WAIT.as_secs())))
            }
        };
        self.note(name, ended.as_ref().err());
        ended
    }

    async fn repeated<T>(
        &self,
        repeat: Repeat,
        body: impl Fn(&str) -> Bytes,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, UnansweredCall> {
        let _turn = self.turns.acquire().await.map_err(|_| UnansweredCall::wrong("the cashier is stopping"))?;
        let mut pauses = REPEAT_PAUSES.iter();
        loop {
            let failure = match self.once(&body, &read).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let pause = pauses.next().filter(|_| failure.is_passing && repeat == Repeat::Question);
            let Some(pause) = pause else { return Err(failure) };
            self.clock.sleep(*pause).await;
        }
    }

    async fn once<T>(
        &self,
        body: &impl Fn(&str) -> Bytes,
        read: &impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, UnansweredCall> {
        let known = self.remembered().instance.clone();
        let instance = match known {
            Some(instance) => instance,
            // Nothing of the call itself has left when this fails.
            None => self.learn_instance().await.map_err(|failure| UnansweredCall { not_sent: true, ..failure })?,
        };
        let exchanged = self.exchange(body(&instance)).await;
        if self.instance_file.is_some() && exchanged.as_ref().is_err_and(|failure| failure.is_other_instance) {
            // The next call asks who it is, and compares that with the file.
            self.remembered().instance = None;
        }
        let answer = exchanged?;
        read(&answer).map_err(UnansweredCall::wrong)
    }

    async fn learn_instance(&self) -> Result<Arc<str>, UnansweredCall> {
        let answer = self.exchange(encoded(&IdentityRequest::new())).await?;
        let identity = read_only::<IdentityAnswer>(&answer).map_err(UnansweredCall::wrong)?;
        let IdentityAnswer { name, instance, protocol, .. } = identity;
        if protocol.0 != PROTOCOL {
            return Err(UnansweredCall::wrong(format!("it speaks protocol {}, this cashier {PROTOCOL}", protocol.0)));
        }
        if instance.0.is_empty() {
            return Err(UnansweredCall::wrong("it states no instance"));
        }
        if let Some(file) = &self.instance_file {
            file.admit(&instance.0).map_err(|fault| UnansweredCall::wrong(fault.what))?;
        }
        let mut remembered = self.remembered();
        let instance = remembered.instance.get_or_insert_with(|| Arc::from(&*instance.0));
        tracing::info!(server = self.transport.authority(), name = &*name.0, %instance, "trading server identified");
        Ok(Arc::clone(instance))
    }

    /// Sends a signed request and returns the bytes of the answer that is signed for it.
    async fn exchange(&self, body: Bytes) -> Result<Bytes, UnansweredCall> {
        let id = format!("{:032x}", self.entropy.bits());
        let sent = self.clock.wall();
        let signature = self.secrets.sign(&id, sent, &body);
        let request = SignedRequest { id: id.clone(), timestamp: sent.to_string(), signature, body };
        let reply = self.transport.send(request).await.map_err(|failed| match failed {
            NoReply::NotSent(what) => {
                UnansweredCall { not_sent: true, is_passing: true, ..UnansweredCall::wrong(what) }
            }
            NoReply::Broken(what) => UnansweredCall { is_passing: true, ..UnansweredCall::wrong(what) },
        })?;
        judge(reply, &id, &self.secrets, self.clock.wall())
    }

    /// Records how a call ended; one that failed is a line in the log.
    fn note(&self, call: &'static str, failure: Option<&UnansweredCall>) {
        let now = self.clock.monotonic();
        let mut remembered = self.remembered();
        remembered.ended = Some(now);
        remembered.problem = failure.map(|failure| failure.what.clone());
        if let Some(pause) = failure.and_then(|failure| failure.pause) {
            remembered.paused_until = now.saturating_add(pause.min(RETRY_AFTER_MAX));
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

    /// Records a state that the server itself stated.
    pub(super) fn note_problem(&self, problem: String) {
        self.remembered().problem = Some(problem);
    }

    /// How the last call failed.
    pub(super) fn problem(&self) -> Option<String> {
        self.remembered().problem.clone()
    }

    /// Whether no call ended for so long, nor is one being made for that: then the caller makes one.
    pub(super) fn is_stale(&self, age_max: Duration) -> bool {
        let now = self.clock.monotonic();
        let mut remembered = self.remembered();
        let is_stale = remembered.ended.is_none_or(|ended| now.saturating_sub(ended) > age_max);
        if is_stale {
            remembered.ended = Some(now);
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

/// The bytes of an answer, once it is proven to be the server's to this very request.
pub(super) fn judge(
    reply: RawReply,
    id: &str,
    secrets: &SigningSecrets,
    now: UnixTime,
) -> Result<Bytes, UnansweredCall> {
    const JUDGED: u16 = 200;
    if reply.status != JUDGED {
        return Err(error_of_call(&reply));
    }
    let not_signed =
        |what: String| Err(UnansweredCall::wrong(format!("the answer is not signed as it must be: {what}")));
    let (Some(stated), Some(timestamp), Some(signature)) = (&reply.id, &reply.timestamp, &reply.signature) else {
        return not_signed("it needs webhook-id, webhook-timestamp and webhook-signature, once each".to_owned());
    };
    let expected = format!("{id}.answer");
    if *stated != expected {
        return not_signed("its webhook-id is not that of the request with .answer behind it".to_owned());
    }
    let Some(at) = timestamp.parse().ok().map(UnixTime).filter(|at| at.to_string() == *timestamp) else {
        return not_signed("its webhook-timestamp is no whole number".to_owned());
    };
    if !secrets.verify(signature, &expected, at, &reply.body) {
        return not_signed("its webhook-signature is by no secret of the settings".to_owned());
    }
    if at.0.abs_diff(now.0) > TIMESTAMP_TOLERANCE_SECONDS.unsigned_abs() {
        return not_signed(format!("its webhook-timestamp is {at}, the time here is {now}: compare the clocks"));
    }
    Ok(reply.body)
}

/// What any other status says, in the server's words where it has some.
fn error_of_call(reply: &RawReply) -> UnansweredCall {
    let status = reply.status;
    let error = read_only::<CallErrorAnswer>(&reply.body).ok();
    let (code, words) = error.map_or_else(Default::default, |error| {
        (error.error.0, error.message.map_or_else(Box::default, |words| words.0))
    });
    let means = match (status, &*code) {
        (_, "old_timestamp") => "it refused the timestamp: compare the clocks",
        (401 | 403, _) => "it refused the signature: compare the secrets",
        (421, _) => {
            "it is not the instance that this cashier knows: it has another database of postings, or the URL leads elsewhere"
        }
        (429, _) => "it is called too often",
        (300..=399, _) => "it redirects, which is not followed",
        (400, _) => "it did not understand the call",
        _ => "it failed",
    };
    let stated = if code.is_empty() { String::new() } else { format!(" {}", shown(&code)) };
    let words = if words.is_empty() { String::new() } else { format!(": {}", shown(&words)) };
    UnansweredCall {
        what: format!("{means} (status {status}{stated}{words})"),
        not_sent: false,
        is_other_instance: status == 421,
        is_passing: matches!(status, 500..=599) && reply.retry_after.is_none(),
        pause: reply.retry_after.filter(|_| matches!(status, 429 | 503)).map(Duration::from_secs),
    }
}
