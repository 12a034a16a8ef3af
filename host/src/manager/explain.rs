//! Commands that explain: what happened to a payment, and why a method is shown or hidden.

use cashier_core::refusal::RefusalCode;
use cashier_core::session::Role;

use crate::flows::explain::ExplainedPayment;
use crate::flows::{explain, explain_methods, transactions};
use crate::json_object::Described;
use crate::json_object::schema::either;
use crate::manager::command::{Command, CommandCall, Effect};
use crate::wire::envelope::{self, CommandResult};
use crate::wire::explanation::{self, PaymentExplained, PaymentNameBody, PaymentsNamed};
use crate::wire::method_explanation::{self, MethodsExplained, MethodsQuestionBody};

pub const TRANSACTION: Command = Command {
    name: "MngExplainCashierTransaction",
    may: Role::may_manage_cashier,
    effect: Effect::Reads,
    errors: &[RefusalCode::NotFound],
    request: PaymentNameBody::schema,
    answer: || either(&PaymentExplained::schema(), &PaymentsNamed::schema()),
    run: |call| Box::pin(transaction(call)),
};

pub const METHODS: Command = Command {
    name: "MngExplainCashierMethods",
    may: Role::may_manage_cashier,
    effect: Effect::Reads,
    errors: &[RefusalCode::NotFound],
    request: MethodsQuestionBody::schema,
    answer: MethodsExplained::schema,
    run: |call| Box::pin(methods(call)),
};

async fn transaction(call: CommandCall) -> CommandResult {
    let name = explanation::read(call.data())?;
    match explain::explain(&call.cashier, &call.session, &name).await? {
        ExplainedPayment::One(found) => {
            let texts = transactions::texts(&call.cashier, &found.aggregate.transaction).await?;
            envelope::success(&PaymentExplained::new(&found, &texts))
        }
        ExplainedPayment::Several(ids) => envelope::success(&PaymentsNamed::new(&ids)),
    }
}

async fn methods(call: CommandCall) -> CommandResult {
    let question = method_explanation::read(call.data())?;
    let explained = explain_methods::explain(&call.cashier, &call.session, &question).await?;
    envelope::success(&MethodsExplained::new(&explained))
}
