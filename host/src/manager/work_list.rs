//! The command about the work list: everything that waits for a person, for somebody's answer or for time.

use cashier_core::filter::{FilterBuilder, WorkField};
use cashier_core::session::Role;

use crate::flows::work_list;
use crate::json_object::Described;
use crate::manager::command::{Command, CommandCall, Effect, ListPart};
use crate::manager::work_export;
use crate::wire::envelope::{self, CommandAnswer, CommandResult};
use crate::wire::filter;
use crate::wire::work_item::WorkAnswer;

pub const LIST: Command = Command {
    name: "MngGetCashierDutiesByFilter",
    may: Role::may_manage_cashier,
    effect: Effect::Reads,
    errors: &[],
    request: filter::schema::<WorkField>,
    answer: WorkAnswer::schema,
    run: |call| Box::pin(list(call)),
};

async fn list(call: CommandCall) -> CommandResult {
    let filter = call.filter_on(FilterBuilder::new().oldest_first())?;
    if let ListPart::Rows(most) = call.part {
        let export = work_list::export(&call.cashier, &call.session, filter, most).await?;
        return Ok(CommandAnswer::of_body(work_export::listing(export).await?));
    }
    let page = work_list::list(&call.cashier, &call.session, &filter).await?;
    let answer = envelope::success(&WorkAnswer::new(&page.items, page.count, &page.kinds, page.now))?;
    let mut permit = page.permit;
    permit.hold(answer.length().unwrap_or_default()).await?;
    Ok(answer.holding(permit))
}
