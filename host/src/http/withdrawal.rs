//! `POST /cashier/withdrawal`: records a request for a person to approve.

use cashier_core::refusal::Refusal;

use crate::flows::withdrawal;
use crate::http::customers::{Customers, JSON_LENGTH_MAX};
use crate::http::reply::Answer;
use crate::http::request::Request;
use crate::wire::withdrawal::{WithdrawalAnswer, read};

pub(super) async fn answer(customers: &Customers, mut asked: Request) -> Result<Answer, Refusal> {
    let session = customers.session(&asked)?;
    let body = asked.read_body(JSON_LENGTH_MAX, &*customers.cashier.clock).await?;
    let request = read(&body, session.customer_id())?;
    let transaction = withdrawal::withdraw(&customers.cashier, &session, request, asked.context()).await?;
    Ok(Answer::fine(&WithdrawalAnswer::new(&transaction)))
}
