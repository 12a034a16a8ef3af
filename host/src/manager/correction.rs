//! The command by which a manager writes a status, a reason or texts of a transaction by hand.

use cashier_core::ids::TransactionId;
use cashier_core::refusal::RefusalCode;
use cashier_core::session::Role;

use crate::flows::correcting::{self, CorrectionRequest};
use crate::json_object::Described;
use crate::manager::command::{Command, CommandCall, Effect};
use crate::manager::transaction::{on, shown};
use crate::wire::correction::CorrectionBody;
use crate::wire::envelope::CommandResult;
use crate::wire::object_text;
use crate::wire::transaction::TransactionAnswer;

pub const UPDATE: Command = Command {
    name: "MngUpdateCashierTransaction",
    may: Role::may_manage_cashier,
    effect: Effect::Changes,
    errors: &[
        RefusalCode::NotFound,
        RefusalCode::Duplicate,
        RefusalCode::TransactionChanged,
        RefusalCode::TooManyDecisions,
    ],
    request: CorrectionBody::schema,
    answer: TransactionAnswer::schema,
    run: |call| Box::pin(update(call)),
};

async fn update(call: CommandCall) -> CommandResult {
    let CorrectionBody { id, status, failure_reason, comment, metadata_json, ground } = call.read()?;
    let written = CorrectionRequest {
        status: status.map(|status| status.0),
        failure_reason: failure_reason.map(|words| words.0),
        comment: comment.map(|comment| comment.0),
        metadata: metadata_json
            .map(|text| Box::new(move |stored: &str| object_text::keeping_reserved(&text.0, stored)) as Box<_>),
    };
    let corrected = correcting::correct(&call.cashier, &on(&call, ground), TransactionId(id.0), written).await?;
    shown(&call, &corrected.transaction).await
}
