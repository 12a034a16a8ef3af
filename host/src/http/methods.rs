//! `GET /cashier/methods?login=`: the payment methods that a customer may deposit with to one of their accounts.

use cashier_core::refusal::Refusal;

use crate::flows::methods::{self, Method};
use crate::http::customer_context::CustomerContext;
use crate::http::query;
use crate::http::reply::Reply;
use crate::http::request::Request;
use crate::wire::method::{self, Row};
use crate::wire::read::missing;
use crate::wire::write;

pub(super) async fn answer(context: &CustomerContext, request: Request) -> Result<Reply, Refusal> {
    let session = context.session(&request)?;
    let mut parameters = query::parse(&request.raw_query)?;
    let login = query::login(&mut parameters)?.ok_or_else(|| missing("login"))?;
    parameters.finish()?;
    let shown = methods::list(&context.cashier, &session, login).await?;
    Ok(Reply::success(|out| {
        write::object(out, |fields| {
            fields.array("rows", &shown, |out, shown| method::write(out, row(shown)));
            fields.number("count", shown.len() as u64);
        });
    }))
}

fn row(shown: &Method) -> Row<'_> {
    let (min_amount, max_amount) = shown.eligible.limits();
    Row {
        config: &shown.config,
        method: shown.eligible.method(),
        payment_mode: &shown.payment_mode,
        display_name: &shown.display_name,
        description: &shown.description,
        min_amount,
        max_amount,
        matched_override: shown.eligible.matched_override(),
    }
}
