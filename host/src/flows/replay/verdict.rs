//! What showing a stored event to its module again came to, and why it changes nothing, in words. It judges nothing.

use cashier_core::notice::ProviderEvent;
use cashier_core::status::ProcessingStatus;

/// What was found about one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayVerdict {
    /// The module understands it.
    Understood,
    /// It is authentic, and the module does not understand it.
    Unreadable,
    /// No config verifies it.
    Rejected,
    /// It was rejected once and recovered before.
    Recovered,
    /// Its body is not stored any more.
    BodyDeleted,
    /// Its module is not working.
    NotWorking,
    /// It was verified when it was received; no secret of today verifies it, and the request asks for that.
    SecretGone,
    /// The stored body is not the one that was received.
    BodyAltered,
}

impl ReplayVerdict {
    /// The wire name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Understood => "understood",
            Self::Unreadable => "unreadable",
            Self::Rejected => "rejected",
            Self::Recovered => "recovered before",
            Self::BodyDeleted => "body deleted",
            Self::NotWorking => "module not working",
            Self::SecretGone => "secret gone",
            Self::BodyAltered => "body altered",
        }
    }
}

/// Why a quarantined webhook of which only the beginning is stored cannot be verified.
pub(super) const CUT: &str =
    "its body was cut when it was quarantined, so that no signature fits: have the provider send it again";

/// One sentence or more; `events` are the rows as they are, `reason` the module's words.
pub(super) fn because(verdict: ReplayVerdict, reason: &str, events: &[ProviderEvent]) -> String {
    let with_reason = |words: &str| if reason.is_empty() { words.to_owned() } else { format!("{words}: {reason}") };
    match verdict {
        ReplayVerdict::Understood => {
            let rows: Vec<String> = events.iter().map(of_row).collect();
            if rows.is_empty() { "it states nothing about a payment".to_owned() } else { rows.join("; ") }
        }
        ReplayVerdict::Unreadable => {
            with_reason("the module does not understand it, and what an earlier build read stays")
        }
        ReplayVerdict::Rejected => with_reason("no secret of today verifies it"),
        ReplayVerdict::Recovered => "it was recovered before, in the event that its reason names".to_owned(),
        ReplayVerdict::BodyDeleted => "its body is not stored any more: have the provider send it again".to_owned(),
        ReplayVerdict::NotWorking => with_reason("its module cannot read it now"),
        ReplayVerdict::SecretGone => {
            "it was verified when it was received, but no secret of today verifies it, which the request asks for"
                .to_owned()
        }
        ReplayVerdict::BodyAltered => {
            "its stored body is not the one that was received: its digest is another. Have the provider send it again"
                .to_owned()
        }
    }
}

fn of_row(row: &ProviderEvent) -> String {
    let reason = &*row.failure_reason;
    match row.processing_status {
        ProcessingStatus::Processed => format!("event {} was applied before, and states nothing new", row.id),
        ProcessingStatus::Pending => format!("event {} waits for its transaction", row.id),
        ProcessingStatus::Failed => format!("event {} is not applied: {reason}", row.id),
        ProcessingStatus::Ignored => format!("event {} changes nothing: {reason}", row.id),
    }
}
