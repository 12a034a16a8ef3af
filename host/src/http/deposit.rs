//! `POST /cashier/deposit`: reads the order, lets the flow make it, answers with what the customer does next. A provider's
//! "no" comes with the transaction that it ended.

use cashier_core::refusal::Refusal;

use crate::flows::deposit;
use crate::http::customers::{Customers, JSON_LENGTH_MAX};
use crate::http::reply::Answer;
use crate::http::request::Request;
use crate::wire::deposit::{DepositAnswer, read};

pub(super) async fn answer(customers: &Customers, mut asked: Request) -> Result<Answer, Refusal> {
    let session = customers.session(&asked)?;
    let body = asked.read_body(JSON_LENGTH_MAX, &*customers.cashier.clock).await?;
    let request = read(&body, session.customer_id())?;
    let outcome = deposit::deposit(&customers.cashier, &session, request, asked.context()).await?;
    let answer = match outcome.refusal() {
        Some(refusal) => Answer::refused_with(&refusal, Some(&outcome.transaction)),
        None => {
            let (redirect_url, instructions) = (&outcome.answer.redirect_url, &outcome.answer.instructions_json);
            Answer::fine(&DepositAnswer::new(&outcome.transaction, outcome.next_action(), redirect_url, instructions))
        }
    };
    Ok(answer.after(outcome.provider_time))
}
