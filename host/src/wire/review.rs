//! The requests by which persons decide about money that is unclear (API.md section 4).

use cashier_core::lengths::CODE_LENGTH_MAX;

use crate::json_object::request;
use crate::wire::ground::Ground;
use crate::wire::values::{Code, DecimalText, Flag, RecordId, RequiredComment};

request! {
    /// A retry of what is owed.
    pub struct RetryBody {
        id: RecordId, "id of the transaction";
        confirmed_absent: Option<Flag>, "1 to state that the posting without an answer was never made";
        ground: Option<Ground>, "what was shown of the transaction: changed since, nothing is done";
    }

    /// The end of a review.
    pub struct ResolveBody {
        id: RecordId, "id of the transaction";
        action: Code<CODE_LENGTH_MAX>, "credit or refuse";
        amount: Option<DecimalText>, "what is owed exactly, to credit";
        reason: RequiredComment, "why, for the records";
        ground: Option<Ground>, "what was shown of the transaction: changed since, nothing is done";
    }
}
