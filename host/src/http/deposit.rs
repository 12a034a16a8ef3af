//! `POST /cashier/deposit`: reads the request, runs the deposit flow, answers with the customer's next step. A provider's
//! refusal is answered with the transaction that it ended.

use cashier_core::refusal::Refusal;

use crate::flows::deposit;
use crate::http::customer_context::{CustomerContext, JSON_LENGTH_MAX};
use crate::http::idempotency_key;
use crate::http::reply::Reply;
use crate::http::request::Request;
use crate::wire::deposit::{DepositAnswer, read};

pub(super) async fn answer(context: &CustomerContext, mut request: Request) -> Result<Reply, Refusal> {
    let session = context.session(&request)?;
    let body = request.read_body(JSON_LENGTH_MAX, &*context.cashier.clock).await?;
    let mut wanted = read(&body, session.customer_id())?;
    wanted.idempotency_key = idempotency_key::joined(wanted.idempotency_key, &request.headers)?;
    let outcome = deposit::deposit(&context.cashier, &session, wanted, request.context()).await?;
    let reply = match outcome.next_action() {
        Err(refusal) => Reply::refused_with(&refusal, Some((&outcome.transaction, &outcome.texts))),
        Ok(next) => {
            let (redirect_url, instructions) = (&outcome.answer.redirect_url, &outcome.answer.instructions_json);
            Reply::success(&DepositAnswer::new(&outcome.transaction, &outcome.texts, next, redirect_url, instructions))
        }
    };
    Ok(reply.after(outcome.provider_time))
}
