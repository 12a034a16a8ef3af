//! `GET /cashier/transactions`: a customer's own history through the published filter.

use cashier_core::books::Scope;
use cashier_core::filter::{Clause, FilterBuilder};
use cashier_core::refusal::Refusal;

use crate::flows::transactions;
use crate::http::customers::Customers;
use crate::http::query;
use crate::http::reply::Answer;
use crate::http::request::Request;
use crate::wire::transaction::{self, View};
use crate::wire::write;

pub(super) async fn answer(customers: &Customers, asked: Request) -> Result<Answer, Refusal> {
    let session = customers.session(&asked)?;
    let mut parameters = query::parse(&asked.raw_query)?;
    let login = query::login(&mut parameters)?;
    let mut builder = FilterBuilder::new();
    if let Some(login) = login {
        builder.flat(Clause::Where, &["login", "=", &login.to_string()])?;
    }
    let filter = parameters.into_filter_on(builder)?;
    if let Some(login) = login {
        customers.cashier.own_account(&session, login).await?;
    }
    // A token's brand narrows the customer's own rows; the customer id alone already keeps others' out.
    let scope = Scope { customer: Some(session.customer_id()), brand: session.brand().map(Into::into) };
    let page = transactions::list(&customers.cashier, &scope, &filter).await?;
    Ok(Answer::fine(|out| {
        write::object(out, |fields| {
            fields.array("rows", &page.rows, |out, row| transaction::write(out, row, View::Customer));
            fields.number("count", page.count);
        });
    }))
}
