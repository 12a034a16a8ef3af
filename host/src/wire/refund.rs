//! Refunds and cancellations on the wire, as managers request them.

use cashier_core::lengths::IDEMPOTENCY_KEY_LENGTH_MAX;
use cashier_core::refund::ManagerRefundRequest;

use crate::json_object::request;
use crate::wire::deposit::or_empty;
use crate::wire::ground::Ground;
use crate::wire::values::{Code, Comment, DecimalText, RecordId, RequiredComment};

request! {
    /// A refund of a provider's deposit.
    pub struct RefundBody {
        id: RecordId, "id of the transaction";
        amount: Option<DecimalText>, "how much, in its currency; omitted is everything that is left";
        reason: RequiredComment, "why; recorded, and sent to the provider where it takes one";
        idempotency_key: Option<Code<IDEMPOTENCY_KEY_LENGTH_MAX>>, "the refund is made once under it; empty is none";
        ground: Option<Ground>, "what was shown of the transaction: changed since, nothing is done";
    }

    /// A cancellation of a provider's unpaid deposit.
    pub struct DepositCancelBody {
        id: RecordId, "id of the transaction";
        reason: Option<Comment>, "why; recorded";
        ground: Option<Ground>, "what was shown of the transaction: changed since, nothing is done";
    }
}

impl RefundBody {
    /// The request without the transaction's id.
    pub fn request(self) -> ManagerRefundRequest {
        ManagerRefundRequest {
            amount: self.amount.map(|amount| amount.0.into()),
            reason: self.reason.0,
            idempotency_key: or_empty(self.idempotency_key),
        }
    }
}
