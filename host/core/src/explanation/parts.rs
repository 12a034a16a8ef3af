//! What an explanation is made of: its entries with their values, and what was read for it.

use crate::ids::{ManagerId, Seq};
use crate::money::Money;
use crate::notice::ProviderEvent;
use crate::numbered::numbered;
use crate::provider_call::ProviderCall;
use crate::session::Role;
use crate::time::UnixTime;

numbered! {
    /// What an entry is about, with its wire name.
    EntryKind {
        Request = 0 "request",
        ProviderCall = 1 "provider_call",
        Event = 2 "event",
        Fact = 3 "fact",
        Decision = 4 "decision",
        Operation = 5 "operation",
        Record = 6 "record",
        Approval = 7 "approval",
    }
}

/// One value of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DetailValue {
    Text(String),
    Number(i64),
    Amount(Money),
    /// Fields with their values before and after.
    Changes(Vec<[String; 3]>),
}

/// One entry. Which details each kind has is in docs/api/manager-explanations.md.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedEntry {
    pub time: UnixTime,
    pub kind: EntryKind,
    pub title: String,
    pub details: Vec<(&'static str, DetailValue)>,
}

/// A stored record of what a manager did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAct {
    /// The commit that stored it.
    pub seq: Seq,
    pub at: UnixTime,
    pub manager_id: ManagerId,
    pub role: Role,
    /// The brand of the session; empty means all.
    pub brand: Box<str>,
    pub command: Box<str>,
    pub outcome: Box<str>,
    /// Field, value before, value after; secrets as fingerprints.
    pub changes: Vec<[String; 3]>,
}

/// A quarantined webhook that names the payment: anybody may have sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedEvent {
    pub event: ProviderEvent,
    /// Only the beginning of its body is stored, so that nothing can verify it any more.
    pub is_cut: bool,
}

/// What was read about a payment, beside its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentHistory {
    pub calls: Vec<ProviderCall>,
    /// Verified events of the transaction, and others that name it; the newest.
    pub events: Vec<ProviderEvent>,
    /// Some older ones are not among them.
    pub more_events: bool,
    /// Webhooks that were not verified and name it; the newest.
    pub unverified: Vec<UnverifiedEvent>,
    /// How many of those are stored.
    pub unverified_count: u64,
    pub acts: Vec<StoredAct>,
}
