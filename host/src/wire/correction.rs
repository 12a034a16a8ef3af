//! `MngUpdateCashierTransaction` on the wire (API.md section 4): what a manager writes by hand.

use cashier_core::status::TransactionStatus;

use crate::json_object::request;
use crate::wire::ground::Ground;
use crate::wire::values::{Comment, FreeText, ManagedMetadata, Numbered, RecordId};

/// Longest reason that a manager writes.
const WRITTEN_REASON_LENGTH_MAX: usize = 256;

request! {
    /// What of a transaction is written by hand; what is not given stays.
    pub struct CorrectionBody {
        id: RecordId, "id of the transaction";
        status: Option<Numbered<TransactionStatus>>, "status that holds; 1 and 2 release one that was written";
        failure_reason: Option<FreeText<WRITTEN_REASON_LENGTH_MAX>>, "why, in the manager's words; empty takes them back";
        comment: Option<Comment>, "comment";
        metadata_json: Option<ManagedMetadata>, "metadata: a JSON object as a string; the key _cashier keeps its value";
        ground: Option<Ground>, "what was shown of the transaction: changed since, nothing is done";
    }
}
