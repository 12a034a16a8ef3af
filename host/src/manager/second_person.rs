//! Decisions about transactions that wait for a second person: which commands can be asked for, and the answer 202 while one
//! waits.

use cashier_core::ids::TransactionId;
use cashier_core::money::Money;
use cashier_core::provider_config::Secret;

use crate::flows::approvals::{self, WantedDecision};
use crate::manager::command::CommandCall;
use crate::wire::approval::ApprovalAnswer;
use crate::wire::envelope::{CommandAnswer, CommandResult};
use crate::wire::write;

/// Asks for a second person about a transaction: nothing changes yet. `fields` names what the command decides, `ground`
/// what it was judged on.
///
/// # Errors
/// As [`approvals::ask`].
pub(super) async fn ask(
    call: &CommandCall,
    id: TransactionId,
    fields: &str,
    (amount, ground): (Option<Money>, u64),
) -> CommandResult {
    let request = Secret::new(&String::from_utf8_lossy(call.data()));
    let wanted = WantedDecision { request, fields: fields.into(), amount, ground };
    let asked = approvals::ask(&call.cashier, &call.act(), id, wanted).await?;
    let answer = write::part(&ApprovalAnswer::new(&asked, call.cashier.clock.now()))?;
    Ok(CommandAnswer::accepted(answer))
}
