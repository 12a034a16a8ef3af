//! Commands that explain: why a payment method is shown or hidden.

use cashier_core::refusal::RefusalCode;
use cashier_core::session::Role;

use crate::flows::explain_methods;
use crate::json_object::Described;
use crate::manager::command::{Command, CommandCall, Effect};
use crate::wire::envelope::{self, CommandResult};
use crate::wire::method_explanation::{self, MethodsExplained, MethodsQuestionBody};

pub const METHODS: Command = Command {
    name: "MngExplainCashierMethods",
    may: Role::may_manage_cashier,
    effect: Effect::Reads,
    errors: &[RefusalCode::NotFound],
    request: MethodsQuestionBody::schema,
    answer: MethodsExplained::schema,
    run: |call| Box::pin(methods(call)),
};

async fn methods(call: CommandCall) -> CommandResult {
    let question = method_explanation::read(call.data())?;
    let explained = explain_methods::explain(&call.cashier, &call.session, &question).await?;
    envelope::success(&MethodsExplained::new(&explained))
}
