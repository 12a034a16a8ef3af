//! Host side, host to module: borrows plain types as records, copying pointers only. Lists of records come as extra
//! arguments, because a record borrows them for the duration of the call.

use cashier_provider_abi::abi_stable::std_types::{RSlice, RStr};
use cashier_provider_abi::v1::{
    AmountRefV1, ConfigV1, NoticeV1, OrderV1, PairRefV1, PaymentV1, RefundOrderV1, ReplyV1,
};

use crate::{Amount, HttpReply, PaymentOrder, PaymentRef, ProviderConfig, ProviderRef, RefundOrder, WebhookNotice};

pub(crate) fn order<'a>(order: &'a PaymentOrder, bag: &'a [PairRefV1<'a>]) -> OrderV1<'a> {
    OrderV1 {
        reference: text(&order.reference),
        amount: amount(&order.amount),
        customer_id: text(&order.customer_id),
        login: text(&order.login),
        brand: text(&order.brand),
        country: text(&order.country),
        locale: text(&order.locale),
        ip: text(&order.ip),
        method: text(&order.method),
        idempotency_key: text(&order.idempotency_key),
        notify_url: text(&order.notify_url),
        success_url: text(&order.success_url),
        failure_url: text(&order.failure_url),
        metadata_json: text(&order.metadata_json),
        description: text(&order.description),
        now_unix: order.now_unix,
        nonce: text(&order.nonce),
        bag: list(bag),
    }
}

/// `body` stands in the place of the notice's own.
pub(crate) fn notice<'a>(
    notice: &'a WebhookNotice,
    body: &'a [u8],
    headers: &'a [PairRefV1<'a>],
    bag: &'a [PairRefV1<'a>],
) -> NoticeV1<'a> {
    NoticeV1 {
        provider: text(&notice.provider),
        path: text(&notice.path),
        method: text(&notice.method),
        headers: list(headers),
        body: list(body),
        raw_query: text(&notice.raw_query),
        content_type: text(&notice.content_type),
        received_unix: notice.received_unix,
        nonce: text(&notice.nonce),
        bag: list(bag),
    }
}

pub(crate) fn payment<'a>(
    payment: &'a PaymentRef,
    refs: &'a [PairRefV1<'a>],
    bag: &'a [PairRefV1<'a>],
) -> PaymentV1<'a> {
    PaymentV1 {
        reference: text(&payment.reference),
        refs: list(refs),
        payment_id: payment.payment_id.as_deref().map(text).into(),
        amount: amount(&payment.amount),
        customer_id: text(&payment.customer_id),
        login: text(&payment.login),
        brand: text(&payment.brand),
        country: text(&payment.country),
        method: text(&payment.method),
        created_unix: payment.created_unix,
        idempotency_key: text(&payment.idempotency_key),
        notify_url: text(&payment.notify_url),
        now_unix: payment.now_unix,
        nonce: text(&payment.nonce),
        bag: list(bag),
    }
}

pub(crate) fn refund<'a>(
    refund: &'a RefundOrder,
    payment: PaymentV1<'a>,
    bag: &'a [PairRefV1<'a>],
) -> RefundOrderV1<'a> {
    RefundOrderV1 {
        payment,
        refund_reference: text(&refund.refund_reference),
        amount: amount(&refund.amount),
        refunded_before: amount(&refund.refunded_before),
        completes: refund.completes,
        reason: text(&refund.reason),
        bag: list(bag),
    }
}

pub(crate) fn config<'a>(
    config: &'a ProviderConfig,
    previous_webhook_secrets: &'a [RStr<'a>],
    settings_json: &'a str,
    bag: &'a [PairRefV1<'a>],
) -> ConfigV1<'a> {
    ConfigV1 {
        id: config.id,
        provider: text(&config.provider),
        brand: text(&config.brand),
        method: text(&config.method),
        country: text(&config.country),
        currency: text(&config.currency),
        merchant_id: text(&config.merchant_id),
        public_key: text(&config.public_key),
        secret_key: text(config.secret_key.expose()),
        webhook_secret: text(config.webhook_secret.expose()),
        previous_webhook_secrets: list(previous_webhook_secrets),
        settings_json: text(settings_json),
        sandbox: config.sandbox,
        notify_url: text(&config.notify_url),
        bag: list(bag),
    }
}

/// The replies so far; `headers` are the headers of all of them, concatenated.
pub(crate) fn replies<'a>(replies: &'a [HttpReply], headers: &'a [PairRefV1<'a>]) -> Vec<ReplyV1<'a>> {
    let mut rest = headers;
    replies
        .iter()
        .map(|reply| {
            let (own, others) = rest.split_at_checked(reply.headers.len()).unwrap_or_default();
            rest = others;
            ReplyV1 { status: reply.status, headers: list(own), body: list(&reply.body), bag: list(&[]) }
        })
        .collect()
}

/// The headers of all replies, concatenated.
pub(crate) fn reply_headers(replies: &[HttpReply]) -> Vec<PairRefV1<'_>> {
    replies.iter().flat_map(|reply| &reply.headers).map(pair).collect()
}

pub(crate) fn pairs(pairs: &[(String, String)]) -> Vec<PairRefV1<'_>> {
    pairs.iter().map(pair).collect()
}

pub(crate) fn refs(refs: &[ProviderRef]) -> Vec<PairRefV1<'_>> {
    refs.iter().map(|id| PairRefV1 { name: text(&id.kind), value: text(&id.value) }).collect()
}

fn pair((name, value): &(String, String)) -> PairRefV1<'_> {
    PairRefV1 { name: text(name), value: text(value) }
}

pub(crate) fn text(text: &str) -> RStr<'_> {
    RStr::from_str(text)
}

fn amount(amount: &Amount) -> AmountRefV1<'_> {
    AmountRefV1 { minor: amount.minor, exponent: amount.exponent, currency: text(&amount.currency) }
}

fn list<T>(items: &[T]) -> RSlice<'_, T> {
    RSlice::from_slice(items)
}
