//! `POST /cashier/webhook/{provider}` and `…/{provider_config_id}`: public, read as bytes of any type, because the
//! signature covers the bytes. The webhook flow verifies the notice and applies it.

use std::sync::Arc;

use cashier_core::ids::ConfigId;
use cashier_core::printable::check_code;
use cashier_core::refusal::{Refusal, RefusalCode};

use crate::flows::{Cashier, NoticeSender, SMALL_NOTICE_LENGTH_MAX, webhook};
use crate::http::customer_context::CustomerContext;
use crate::http::reply::Reply;
use crate::http::request::{BodyLimits, Request};
use crate::http::sender::Proof;
use crate::ports::{NoticeBody, RawNotice};
use crate::wire::webhook::WebhookAnswer;

/// What the paths of webhooks begin with.
pub(super) const PATHS: &str = "/cashier/webhook/";

/// Bytes of a notice (API.md section 3).
pub(super) const NOTICE_LENGTH_MAX: usize = 1024 * 1024;

pub(super) async fn answer(
    context: &CustomerContext,
    mut request: Request,
    provider: &str,
    config: Option<&str>,
) -> Result<Reply, Refusal> {
    // Before anything of it is stored or logged; every other provider that is not known gets the answer of a forged notice.
    check_code(provider).map_err(|problem| Refusal::invalid(format!("the provider {problem}")))?;
    let cashier = &context.cashier;
    let origin = request.context();
    // Text that is not an id matches no config and gets the same answer as an unknown id.
    let addressed = config.map(|text| ConfigId(text.parse().unwrap_or(0)));
    let sender = webhook::sender(cashier, provider, addressed, &origin);
    // Before the body is read: what a sender beyond its limit sends costs nothing, unless it is small.
    let limits = match sender.may_send_large() {
        true if sender.is_known() => NOTICE_LENGTH_MAX.into(),
        true => BodyLimits::of_anybody(NOTICE_LENGTH_MAX),
        false => BodyLimits::of_anybody(SMALL_NOTICE_LENGTH_MAX).answering(webhook::beyond_limit),
    };
    let mut arriving = Arriving { cashier, sender, is_unfinished: true };
    let read = request.read_body(limits, &*cashier.clock).await;
    let code = read.as_ref().err().map(|refusal| refusal.code);
    arriving.is_unfinished = matches!(code, Some(RefusalCode::RequestTimeout | RefusalCode::InvalidData));
    drop(arriving);
    if code == Some(RefusalCode::Frequent) {
        webhook::count_limited(cashier);
    }
    let body = read?;
    let notice = RawNotice {
        method: request.method.as_str().into(),
        path: request.path.clone(),
        raw_query: request.raw_query.clone(),
        content_type: request.content_type().into(),
        headers: headers(&request),
        body: NoticeBody::holding(body.bytes, body.share),
        received_time: cashier.clock.wall(),
    };
    let outcome = webhook::receive(cashier, provider, addressed, notice, origin).await?;
    // A statement that is known may be sent by whoever saw it, or who owns the payment; a provider is known by news.
    if outcome.is_news {
        request.origin.sender.proved(if outcome.is_sandbox { Proof::SandboxNotice } else { Proof::Notice });
    }
    let reply = match outcome.acknowledgement {
        Some(own) => Reply::acknowledgement(own.status, &own.headers, own.body),
        None => Reply::success(&WebhookAnswer::new(&outcome.events, outcome.transaction.as_ref(), outcome.duplicate)),
    };
    Ok(reply.after(outcome.provider_time))
}

/// A body that is read: where it does not arrive whole, also because its sender disconnects, that counts for its sender.
struct Arriving<'c> {
    cashier: &'c Cashier,
    sender: NoticeSender,
    is_unfinished: bool,
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        if self.is_unfinished {
            webhook::count_unfinished(self.cashier, &self.sender);
        }
    }
}

fn headers(request: &Request) -> Arc<[(Box<str>, Box<str>)]> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned().into_boxed_str();
    request.headers.iter().map(|(name, value)| (name.as_str().into(), text(value))).collect()
}
