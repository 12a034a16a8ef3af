//! `POST /cashier/withdrawal`: records a request for a person to approve.

use cashier_core::refusal::Refusal;

use crate::flows::withdrawal;
use crate::http::asked::Asked;
use crate::http::customers::{Customers, JSON_LENGTH_MAX};
use crate::http::reply::Answer;
use crate::wire;

pub(super) async fn answer(customers: &Customers, mut asked: Asked) -> Result<Answer, Refusal> {
    let session = customers.session(&asked)?;
    let body = asked.read_body(JSON_LENGTH_MAX, &*customers.house.clock).await?;
    let request = wire::withdrawal::read(&body, session.customer_id())?;
    let transaction = withdrawal::withdraw(&customers.house, &session, request, asked.asking()).await?;
    Ok(Answer::fine(|out| wire::withdrawal::write(out, &transaction)))
}
