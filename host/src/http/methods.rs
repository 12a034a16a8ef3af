//! `GET /cashier/methods?login=`: the payment methods that a customer may deposit with to one of their accounts.

use cashier_core::customer_override::OverrideMode;
use cashier_core::ids::OverrideId;
use cashier_core::refusal::Refusal;

use crate::flows::methods::{self, Method};
use crate::http::customer_context::CustomerContext;
use crate::http::query;
use crate::http::reply::Reply;
use crate::http::request::Request;
use crate::wire::answer_values::Listing;
use crate::wire::method::{MethodRecord, MethodRow};
use crate::wire::read::missing;

pub(super) async fn answer(context: &CustomerContext, request: Request) -> Result<Reply, Refusal> {
    let session = context.session(&request)?;
    let mut parameters = query::parse(&request.raw_query)?;
    let login = query::login(&mut parameters)?.ok_or_else(|| missing("login"))?;
    parameters.finish()?;
    let shown = methods::list(&context.cashier, &session, login).await?;
    let records = shown.iter().map(|method| MethodRecord::new(row(method)));
    Ok(Reply::success(&Listing::new(records, shown.len() as u64)))
}

fn row(shown: &Method) -> MethodRow<'_> {
    let (min_amount, max_amount) = shown.eligible.limits();
    let (override_id, override_mode) =
        shown.eligible.matched_override().unwrap_or((OverrideId(0), OverrideMode::Allow));
    MethodRow {
        config: &shown.config,
        method: shown.eligible.method(),
        payment_mode: &shown.payment_mode,
        display_name: &shown.display_name,
        description: &shown.description,
        min_amount,
        max_amount,
        override_id,
        override_mode,
    }
}
