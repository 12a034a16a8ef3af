//! `POST /cashier/withdrawal`: records a request that a person approves.

use cashier_core::refusal::Refusal;

use crate::flows::withdrawal;
use crate::http::customer_context::{CustomerContext, JSON_LENGTH_MAX};
use crate::http::idempotency_key;
use crate::http::reply::Reply;
use crate::http::request::Request;
use crate::wire::withdrawal::{WithdrawalAnswer, read};

pub(super) async fn answer(context: &CustomerContext, mut request: Request) -> Result<Reply, Refusal> {
    let session = context.session(&request)?;
    let body = request.read_body(JSON_LENGTH_MAX, &*context.cashier.clock).await?;
    let mut wanted = read(&body, session.customer_id())?;
    wanted.idempotency_key = idempotency_key::joined(wanted.idempotency_key, &request.headers)?;
    let (transaction, texts) = withdrawal::withdraw(&context.cashier, &session, wanted, request.context()).await?;
    Ok(Reply::success(&WithdrawalAnswer::new(&transaction, &texts)))
}
