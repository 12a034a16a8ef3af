//! What a server elsewhere says of one posting that the books have as posted.

use cashier_core::operation::{BalanceOperation, OperationKey, PostingFlaw, PostingOutcome};

/// What a server says of an operation that the books have as posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordedAtServer {
    Same,
    Lost,
    /// It answers that the outcome is unknown, as of a request with a recorded number, of which it cannot say that it was not made; or
    /// that something else is under the key.
    Unsaid,
    /// It answers, and nothing about this key: pending, or a look-up that hangs. Or it was not asked for it.
    NoAnswer,
    /// Under this number, which is another one, or beside the recorded one.
    OtherOrder {
        number: u64,
    },
}

impl RecordedAtServer {
    /// In what the posting differs, as far as the server says.
    pub(super) fn differs(self, key: &OperationKey) -> Option<String> {
        let differs = match self {
            Self::Same | Self::NoAnswer => return None,
            Self::Lost => "it does not have the posting",
            Self::Unsaid => "it does not say whether it has made the posting",
            Self::OtherOrder { .. } => "it has as another order, or twice, the posting",
        };
        Some(format!("{differs} {key} of the books"))
    }
}

/// The number under which a server has made a posting, where it is another one than the books recorded, or the second; 0 is a number
/// that is not known.
pub(super) fn other_order(found: Option<&PostingOutcome>, recorded: &BalanceOperation) -> Option<u64> {
    let Some(PostingOutcome::Posted { trade_order, flaw }) = found else { return None };
    let is_known = *trade_order != 0 && recorded.trade_order != 0;
    match flaw {
        _ if is_known && *trade_order != recorded.trade_order => Some(*trade_order),
        Some(PostingFlaw::Twice { other }) => Some(*other),
        Some(PostingFlaw::AccountChanged) | None => None,
    }
}
