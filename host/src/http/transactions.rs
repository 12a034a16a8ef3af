//! `GET /cashier/transactions`: a customer's own history through the published filter.

use cashier_core::books::Scope;
use cashier_core::filter::{Clause, FilterBuilder};
use cashier_core::refusal::Refusal;

use crate::flows::transactions;
use crate::http::customers::Customers;
use crate::http::query;
use crate::http::reply::Answer;
use crate::http::request::Request;
use crate::wire::answer_values::Listing;
use crate::wire::transaction::{Audience, TransactionRecord};

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
    let records = page.rows.iter().map(|row| TransactionRecord::new(row, Audience::Customer));
    Ok(Answer::fine(&Listing::new(records, page.count)))
}
