//! The kinds of events that a webhook reports, with their published names. Not the event itself, which is in `wire`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// On the wire `payment.<name>`; in switches and control calls the bare name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    #[serde(rename = "payment.pending", alias = "pending")]
    Pending,
    #[serde(rename = "payment.confirmed", alias = "confirmed")]
    Confirmed,
    #[serde(rename = "payment.failed", alias = "failed")]
    Failed,
    #[serde(rename = "payment.cancelled", alias = "cancelled")]
    Cancelled,
    #[serde(rename = "payment.refunded", alias = "refunded")]
    Refunded,
    #[serde(rename = "payment.refund_failed", alias = "refund_failed")]
    RefundFailed,
    #[serde(rename = "payment.chargeback", alias = "chargeback")]
    Chargeback,
    #[serde(rename = "payment.chargeback_reversed", alias = "chargeback_reversed")]
    ChargebackReversed,
}

impl EventKind {
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Confirmed,
        Self::Failed,
        Self::Cancelled,
        Self::Refunded,
        Self::RefundFailed,
        Self::Chargeback,
        Self::ChargebackReversed,
    ];

    /// The bare name, as used in switches.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
            Self::RefundFailed => "refund_failed",
            Self::Chargeback => "chargeback",
            Self::ChargebackReversed => "chargeback_reversed",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix("payment.").unwrap_or(text);
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == bare)
            .ok_or_else(|| format!("unknown event `{}`", text.escape_default()))
    }
}
