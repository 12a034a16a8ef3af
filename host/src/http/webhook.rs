//! `POST /cashier/webhook/{provider}` and `…/{provider_config_id}`: public, taken as bytes of any type, because the
//! signature speaks of the bytes. What is genuine and what it means is the flow's to find out.

use std::sync::Arc;

use cashier_core::ids::ConfigId;
use cashier_core::refusal::Refusal;

use crate::flows::webhook;
use crate::http::customers::Customers;
use crate::http::reply::Answer;
use crate::http::request::Request;
use crate::ports::RawNotice;
use crate::wire::webhook::WebhookAnswer;

/// Bytes of a notice (API.md section 3).
pub(super) const NOTICE_LENGTH_MAX: usize = 1024 * 1024;

pub(super) async fn answer(
    customers: &Customers,
    mut asked: Request,
    provider: &str,
    config: Option<&str>,
) -> Result<Answer, Refusal> {
    let cashier = &customers.cashier;
    let body = asked.read_body(NOTICE_LENGTH_MAX, &*cashier.clock).await?;
    // What is no id is the id of no config, and is answered like one.
    let addressed = config.map(|text| ConfigId(text.parse().unwrap_or(0)));
    let notice = RawNotice {
        method: asked.method.as_str().into(),
        path: asked.path.clone(),
        raw_query: asked.raw_query.clone(),
        content_type: asked.content_type().into(),
        headers: headers(&asked),
        body,
        received_time: cashier.clock.now(),
    };
    let outcome = webhook::receive(cashier, provider, addressed, notice, asked.context()).await?;
    let answer = match outcome.acknowledgement {
        Some(own) => Answer::acknowledgement(own.status, &own.headers, own.body),
        None => Answer::fine(&WebhookAnswer::new(&outcome.events, outcome.transaction.as_ref(), outcome.duplicate)),
    };
    Ok(answer.after(outcome.provider_time))
}

fn headers(asked: &Request) -> Arc<[(Box<str>, Box<str>)]> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned().into_boxed_str();
    asked.headers.iter().map(|(name, value)| (name.as_str().into(), text(value))).collect()
}
