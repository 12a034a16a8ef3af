//! Which facts of a person decide something about the payment, and which permit postings.

use super::PersonFact;

impl PersonFact {
    /// Something rests on what was known: a person decided, or a refund was judged by it. Words, settings and the steps of a refund
    /// decide nothing.
    pub(crate) fn is_decision(&self) -> bool {
        match self {
            Self::Held(_)
            | Self::Released
            | Self::Approved
            | Self::Rejected
            | Self::Resolved { .. }
            | Self::Retried
            | Self::RefundRequested { .. }
            | Self::RefundInTotal { .. }
            | Self::CancelledByCustomer
            | Self::EnteredBeside { .. } => true,
            Self::ReversalsWait
            | Self::RefundReason { .. }
            | Self::RefundSent { .. }
            | Self::RefundCrashed { .. }
            | Self::RefundAccepted { .. }
            | Self::RefundDone { .. }
            | Self::RefundRefused { .. }
            | Self::RefundRefusal { .. }
            | Self::Entered { .. }
            | Self::Explained { .. }
            | Self::CommentWritten { .. }
            | Self::MetadataWritten { .. } => false,
        }
    }

    /// A decision about postings that were refused or are under review. `by_hand`: about a manual transaction, which is
    /// rejected too.
    pub fn decides_postings(&self, by_hand: bool) -> bool {
        self.permits_retry() || (by_hand && *self == Self::Rejected)
    }

    /// Permits another attempt after a refused posting.
    fn permits_retry(&self) -> bool {
        match self {
            Self::Retried | Self::Approved | Self::Resolved { .. } | Self::RefundRequested { .. } => true,
            Self::Held(_)
            | Self::Released
            | Self::Rejected
            | Self::RefundRefused { .. }
            | Self::RefundDone { .. }
            | Self::ReversalsWait
            | Self::RefundReason { .. }
            | Self::RefundSent { .. }
            | Self::RefundCrashed { .. }
            | Self::RefundAccepted { .. }
            | Self::RefundInTotal { .. }
            | Self::RefundRefusal { .. }
            | Self::Entered { .. }
            | Self::CancelledByCustomer
            | Self::EnteredBeside { .. }
            | Self::Explained { .. }
            | Self::CommentWritten { .. }
            | Self::MetadataWritten { .. } => false,
        }
    }
}
