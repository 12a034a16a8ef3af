//! What a server elsewhere says of one posting that the books have as posted.

use cashier_core::operation::{BalanceOperation, OperationKey, PostingFlaw, PostingOutcome};

/// What a server says of an operation that the books have as posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordedAtServer {
    Same,
    Lost,
    /// It answers that the outcome is unknown: of a request with a recorded number it cannot say that it was not made.
    Unsaid,
    /// It answers, and nothing about this key: pending, or a look-up that hangs.
    NoAnswer,
    /// Under another number, or twice.
    OtherOrder,
}

impl RecordedAtServer {
    /// In what the posting differs, as far as the server says.
    pub(super) fn differs(self, key: &OperationKey) -> Option<String> {
        let differs = match self {
            Self::Same | Self::NoAnswer => return None,
            Self::Lost => "it does not have the posting",
            Self::Unsaid => "it does not say whether it has made the posting",
            Self::OtherOrder => "it has as another order, or twice, the posting",
        };
        Some(format!("{differs} {key} of the books"))
    }
}

/// Whether a server has made a posting under another number than the books recorded, or more than once; 0 is a number that is not
/// known.
pub(super) fn is_other_order(found: Option<&PostingOutcome>, recorded: &BalanceOperation) -> bool {
    let Some(PostingOutcome::Posted { trade_order, flaw }) = found else { return false };
    let is_known = *trade_order != 0 && recorded.trade_order != 0;
    matches!(flaw, Some(PostingFlaw::Twice { .. })) || (is_known && *trade_order != recorded.trade_order)
}
