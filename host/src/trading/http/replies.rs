//! What a reply to a call is worth: the bytes of an answer that is signed for this very request, or why there is none, and whether
//! the server itself said so. It sends nothing and remembers nothing.

use std::time::Duration;

use bytes::Bytes;
use cashier_core::time::UnixTime;

use super::answers::{CallErrorAnswer, read_only};
use super::signature::{SigningSecrets, TIMESTAMP_TOLERANCE_SECONDS};
use super::transport::RawReply;
use crate::json_object::shown;
use crate::ports::Fault;

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnansweredCall {
    /// A sentence for the operator.
    pub(super) what: String,
    /// No byte of it left.
    pub(super) not_sent: bool,
    /// The server that the cashier knows answered all the same: it refused the call, failed at it, or what it signed is of no use.
    pub(super) is_answer: bool,
    /// The server said that it takes nothing now.
    pub(super) is_not_ready: bool,
    /// The same call may succeed in a moment.
    pub(super) is_passing: bool,
    /// It has another instance than the call was for.
    pub(super) is_other_instance: bool,
    /// How long the server asks not to be called.
    pub(super) pause: Option<Duration>,
}

impl UnansweredCall {
    /// Nothing came from the server, as far as that is proven.
    pub(super) fn none(what: impl Into<String>) -> Self {
        let what = what.into();
        Self {
            what,
            not_sent: false,
            is_answer: false,
            is_not_ready: false,
            is_passing: false,
            is_other_instance: false,
            pause: None,
        }
    }

    /// What it signed is not an answer to this call.
    pub(super) fn unusable(what: impl Into<String>) -> Self {
        Self { is_answer: true, ..Self::none(what) }
    }
}

impl From<UnansweredCall> for Fault {
    fn from(failure: UnansweredCall) -> Self {
        Self::new(failure.what)
    }
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
        |what: String| Err(UnansweredCall::none(format!("the answer is not signed as it must be: {what}")));
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
    // A proxy answers 502 and 504 for a server that does not.
    let is_not_ready = &*code == "not_ready";
    let is_unreached = matches!(status, 401 | 403 | 421 | 502..=504) || is_not_ready;
    UnansweredCall {
        what: format!("{means} (status {status}{stated}{words})"),
        not_sent: false,
        is_answer: !is_unreached,
        is_not_ready,
        is_other_instance: status == 421,
        is_passing: matches!(status, 500..=599) && reply.retry_after.is_none(),
        pause: reply.retry_after.filter(|_| matches!(status, 429 | 503)).map(Duration::from_secs),
    }
}
