//! What a slot names of a call, as it is written and as it is read back. It does not touch files or memory maps.

use std::fmt;

use cashier_provider_sdk::WebhookNotice;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes of a notice's path and query that a record has.
const RECORDED_TEXT_MAX: usize = 256;

/// Bytes of a notice's body that a slot has; the quarantine of notices stores no more.
pub(super) const RECORDED_BODY_MAX: usize = 16 * 1024;

/// Where the code of a module is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::plugins) enum CallEntry {
    /// Opening the library: constructors, layout check, descriptor.
    Open,
    Configure,
    CheckOrder,
    CreatePayment,
    NormalizeStatus,
    QueryStatus,
    AdvancePayment,
    CancelPayment,
    /// Its reference is our id of the refund.
    RefundPayment,
    /// Dropping an instance.
    Drop,
    /// Destructors of the module's thread-local values.
    ThreadEnd,
    /// A thread that the module started itself.
    OwnThread,
}

impl CallEntry {
    const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Configure => "configure",
            Self::CheckOrder => "check_order",
            Self::CreatePayment => "create_payment",
            Self::NormalizeStatus => "normalize_status",
            Self::QueryStatus => "query_status",
            Self::AdvancePayment => "advance_payment",
            Self::CancelPayment => "cancel_payment",
            Self::RefundPayment => "refund_payment",
            Self::Drop => "drop",
            Self::ThreadEnd => "thread_end",
            Self::OwnThread => "a thread",
        }
    }
}

/// A call as its slot names it.
#[derive(Serialize)]
pub(super) struct CallRecord<'a> {
    pub(super) build: &'a str,
    pub(super) code: &'a str,
    pub(super) config: u64,
    pub(super) entry: CallEntry,
    pub(super) transaction: u64,
    pub(super) reference: &'a str,
    pub(super) phase: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) notice: Option<NoticeRecord<'a>>,
}

#[derive(Serialize)]
pub(super) struct NoticeRecord<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    content_type: &'a str,
    received: i64,
    /// Where body or query are cut; else it is made of what the slot holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
}

impl<'a> NoticeRecord<'a> {
    pub(super) fn of(notice: &'a WebhookNotice, sha256: Option<&'a str>) -> Self {
        Self {
            method: cut(&notice.method),
            path: cut(&notice.path),
            query: cut(&notice.raw_query),
            content_type: cut(&notice.content_type),
            received: notice.received_unix,
            sha256,
        }
    }
}

fn cut(text: &str) -> &str {
    let end = (0..=RECORDED_TEXT_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// Whether a slot holds less of a notice than its digest covers.
pub(in crate::plugins) fn is_cut(query: &str, body: &[u8]) -> bool {
    body.len() > RECORDED_BODY_MAX || query.len() > RECORDED_TEXT_MAX
}

/// What distinguishes one notice from another, however often and to which of a provider's configs it is sent: body and query. Hex.
pub(in crate::plugins) fn notice_digest(query: &str, body: &[u8]) -> String {
    let mut digest = Sha256::new();
    digest.update((query.len() as u64).to_be_bytes());
    digest.update(query);
    digest.update(body);
    hex::encode(digest.finalize())
}

/// A call that ended the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::plugins) struct EndedCall {
    /// SHA-256 of the module's file, hex.
    pub(in crate::plugins) build: String,
    /// The provider code; of what began while the library was opened, the module's name in plugins.toml.
    pub(in crate::plugins) code: String,
    pub(in crate::plugins) config: u64,
    pub(in crate::plugins) entry: CallEntry,
    pub(in crate::plugins) transaction: u64,
    pub(in crate::plugins) reference: String,
    pub(in crate::plugins) phase: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::plugins) notice: Option<KeptNotice>,
    /// How it ended the process: a signal, or an exit.
    #[serde(default)]
    pub(in crate::plugins) end: String,
    /// When the start after it found it, Unix seconds.
    #[serde(default)]
    pub(in crate::plugins) found: i64,
}

/// The notice of a call that ended the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::plugins) struct KeptNotice {
    pub(in crate::plugins) method: String,
    pub(in crate::plugins) path: String,
    pub(in crate::plugins) query: String,
    pub(in crate::plugins) content_type: String,
    pub(in crate::plugins) received: i64,
    /// [`notice_digest`].
    #[serde(default)]
    pub(in crate::plugins) sha256: String,
    /// What the slot held of it; stored with the notices that were not verified, not in the quarantine of modules.
    #[serde(skip)]
    pub(in crate::plugins) body: Vec<u8>,
}

impl EndedCall {
    /// The call of a slot: its record as JSON and what the slot holds of a body.
    pub(super) fn parse(record: &[u8], body: &[u8], end: &str, found: i64) -> Option<Self> {
        let mut call: Self = serde_json::from_slice(record).ok()?;
        (call.end, call.found) = (end.to_owned(), found);
        if let Some(notice) = &mut call.notice {
            body.clone_into(&mut notice.body);
            if notice.sha256.is_empty() {
                notice.sha256 = notice_digest(&notice.query, body);
            }
        }
        Some(call)
    }

    /// Whether both are the same failure, found at two starts or in two exchanges.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        let notice = |call: &Self| call.notice.as_ref().map(|notice| notice.sha256.clone());
        (&self.build, self.entry, self.transaction, &self.reference, notice(self))
            == (&other.build, other.entry, other.transaction, &other.reference, notice(other))
    }
}

impl fmt::Display for EndedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, build, config, entry, transaction, reference, phase, notice, end, found } = self;
        let build = build.get(..12).unwrap_or(build);
        write!(f, "{} of {code} (build {build})", entry.name())?;
        if *config > 0 {
            write!(f, " under config {config}")?;
        }
        if *transaction > 0 {
            write!(f, ", transaction {transaction}")?;
        }
        if !reference.is_empty() {
            write!(f, ", reference {reference}")?;
        }
        if *phase > 0 {
            write!(f, ", after {phase} replies")?;
        }
        if let Some(notice) = notice {
            write!(f, ", notice {}", notice.sha256.get(..12).unwrap_or(&notice.sha256))?;
        }
        write!(f, ", ended the process with {end}, found {found}")
    }
}
