//! `GET /cashier/transactions`: a customer's own history through the published filter.

use cashier_core::books::Scope;
use cashier_core::filter::{Clause, FilterBuilder, TransactionField};
use cashier_core::refusal::Refusal;

use crate::flows::{ListReader, transactions};
use crate::http::accept::prefers_csv;
use crate::http::customer_context::CustomerContext;
use crate::http::query;
use crate::http::reply::Reply;
use crate::http::request::Request;
use crate::json_object::Described;
use crate::manager::transaction_list;
use crate::wire::answer_values::ListingOf;
use crate::wire::csv;
use crate::wire::envelope::SUCCESS;
use crate::wire::transaction::TransactionRecord;

pub(super) async fn answer(context: &CustomerContext, request: Request) -> Result<Reply, Refusal> {
    let session = context.session(&request)?;
    let mut parameters = query::parse(&request.raw_query)?;
    let login = query::login(&mut parameters)?;
    let mut builder = FilterBuilder::of(TransactionField::PUBLISHED);
    if let Some(login) = login {
        builder.flat(Clause::Where, &["login", "=", &login.to_string()])?;
    }
    let filter = parameters.into_filter_on(builder)?;
    if let Some(login) = login {
        context.cashier.own_account(&session, login).await?;
    }
    // A token's brand narrows the customer's own rows; the customer id alone already excludes other customers' rows.
    let scope = Scope { customer: Some(session.customer_id()), brand: session.brand().map(Into::into) };
    let reader = ListReader::Customer(session.customer_id());
    let page = transactions::list(&context.cashier, reader, &scope, filter).await?;
    let listing = transaction_list::listing(page).await?;
    if prefers_csv(&request.headers) {
        let schema = ListingOf::<TransactionRecord<'_>>::schema();
        return Ok(Reply::csv(csv::of_list(listing, &schema).await?));
    }
    Ok(Reply::json(SUCCESS, listing))
}
