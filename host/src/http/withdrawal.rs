//! `POST /cashier/withdrawal`: records a request that a person approves, and `…/{id}/cancel`: takes it back.

use cashier_core::ids::TransactionId;
use cashier_core::refusal::{Refusal, RefusalCode};

use crate::flows::{manual, transactions, withdrawal};
use crate::http::customer_context::{CustomerContext, JSON_LENGTH_MAX};
use crate::http::idempotency_key;
use crate::http::reply::Reply;
use crate::http::request::Request;
use crate::wire::withdrawal::{WithdrawalAnswer, read, read_cancel};

pub(super) async fn answer(context: &CustomerContext, mut request: Request) -> Result<Reply, Refusal> {
    let session = context.session(&request)?;
    let body = request.read_body(JSON_LENGTH_MAX, &*context.cashier.clock).await?;
    let mut wanted = read(&body, session.customer_id())?;
    wanted.idempotency_key = idempotency_key::joined(wanted.idempotency_key, &request.headers)?;
    let (transaction, texts) = withdrawal::withdraw(&context.cashier, &session, wanted, request.context()).await?;
    Ok(Reply::success(&WithdrawalAnswer::new(&transaction, &texts)))
}

pub(super) async fn cancel(context: &CustomerContext, mut request: Request, id: &str) -> Result<Reply, Refusal> {
    let session = context.session(&request)?;
    let body = request.read_body(JSON_LENGTH_MAX, &*context.cashier.clock).await?;
    read_cancel(&body)?;
    let id = id.parse().ok().map(TransactionId);
    let id = id.ok_or_else(|| Refusal::new(RefusalCode::NotFound, "there is no such withdrawal"))?;
    let transaction = manual::cancel(&context.cashier, &session, id, &request.context()).await?;
    let texts = transactions::texts(&context.cashier, &transaction).await?;
    Ok(Reply::success(&WithdrawalAnswer::new(&transaction, &texts)))
}
