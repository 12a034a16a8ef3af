//! `GET /cashier/methods?login=`: through what a customer may deposit to one of their accounts.

use cashier_core::refusal::Refusal;

use crate::flows::methods::{self, Method};
use crate::http::customers::Customers;
use crate::http::query;
use crate::http::reply::Answer;
use crate::http::request::Request;
use crate::wire::answer_values::Listing;
use crate::wire::method::{MethodRecord, MethodRow};
use crate::wire::read::missing;

pub(super) async fn answer(customers: &Customers, asked: Request) -> Result<Answer, Refusal> {
    let session = customers.session(&asked)?;
    let mut parameters = query::parse(&asked.raw_query)?;
    let login = query::login(&mut parameters)?.ok_or_else(|| missing("login"))?;
    parameters.finish()?;
    let shown = methods::list(&customers.cashier, &session, login).await?;
    let records = shown.iter().map(|method| MethodRecord::new(row(method)));
    Ok(Answer::fine(&Listing::new(records, shown.len() as u64)))
}

fn row(shown: &Method) -> MethodRow<'_> {
    let (min_amount, max_amount) = shown.eligible.limits();
    MethodRow {
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
