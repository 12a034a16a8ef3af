//! Module side, host to module: copies borrowed records into the plain types that a provider receives.

use cashier_provider_abi::abi_stable::std_types::{RSlice, RStr};
use cashier_provider_abi::v1::{
    AmountRefV1, ConfigV1, NoticeV1, OrderV1, PairRefV1, PaymentV1, RefundOrderV1, ReplyV1,
};

use crate::{
    Amount, ConfigError, HttpReply, Pairs, PaymentOrder, PaymentRef, ProviderConfig, ProviderRef, ProviderSettings,
    RefundOrder, Secret, WebhookNotice,
};

pub(crate) fn config(config: &ConfigV1<'_>) -> Result<ProviderConfig, ConfigError> {
    Ok(ProviderConfig {
        id: config.id,
        provider: text(config.provider),
        brand: text(config.brand),
        method: text(config.method),
        country: text(config.country),
        currency: text(config.currency),
        merchant_id: text(config.merchant_id),
        public_key: text(config.public_key),
        secret_key: secret(config.secret_key),
        webhook_secret: secret(config.webhook_secret),
        previous_webhook_secrets: config.previous_webhook_secrets.iter().map(|text| secret(*text)).collect(),
        settings: ProviderSettings::parse(config.settings_json.as_str())?,
        sandbox: config.sandbox,
        notify_url: text(config.notify_url),
        bag: pairs(config.bag),
    })
}

pub(crate) fn order(order: &OrderV1<'_>) -> PaymentOrder {
    PaymentOrder {
        reference: text(order.reference),
        amount: amount(&order.amount),
        customer_id: text(order.customer_id),
        login: text(order.login),
        brand: text(order.brand),
        country: text(order.country),
        locale: text(order.locale),
        ip: text(order.ip),
        method: text(order.method),
        idempotency_key: text(order.idempotency_key),
        notify_url: text(order.notify_url),
        success_url: text(order.success_url),
        failure_url: text(order.failure_url),
        metadata_json: text(order.metadata_json),
        description: text(order.description),
        now_unix: order.now_unix,
        nonce: text(order.nonce),
        bag: pairs(order.bag),
    }
}

pub(crate) fn notice(notice: &NoticeV1<'_>) -> WebhookNotice {
    WebhookNotice {
        provider: text(notice.provider),
        path: text(notice.path),
        method: text(notice.method),
        headers: pairs(notice.headers),
        body: notice.body.to_vec(),
        raw_query: text(notice.raw_query),
        content_type: text(notice.content_type),
        received_unix: notice.received_unix,
        nonce: text(notice.nonce),
        bag: pairs(notice.bag),
    }
}

pub(crate) fn payment(payment: &PaymentV1<'_>) -> PaymentRef {
    PaymentRef {
        reference: text(payment.reference),
        refs: payment.refs.iter().map(|id| ProviderRef::new(id.name.as_str(), id.value.as_str())).collect(),
        payment_id: payment.payment_id.into_option().map(text),
        amount: amount(&payment.amount),
        customer_id: text(payment.customer_id),
        login: text(payment.login),
        brand: text(payment.brand),
        country: text(payment.country),
        method: text(payment.method),
        created_unix: payment.created_unix,
        idempotency_key: text(payment.idempotency_key),
        notify_url: text(payment.notify_url),
        now_unix: payment.now_unix,
        nonce: text(payment.nonce),
        bag: pairs(payment.bag),
    }
}

pub(crate) fn refund(refund: &RefundOrderV1<'_>) -> RefundOrder {
    RefundOrder {
        payment: payment(&refund.payment),
        refund_reference: text(refund.refund_reference),
        amount: amount(&refund.amount),
        refunded_before: amount(&refund.refunded_before),
        completes: refund.completes,
        reason: text(refund.reason),
        bag: pairs(refund.bag),
    }
}

pub(crate) fn replies(replies: &[ReplyV1<'_>]) -> Vec<HttpReply> {
    replies
        .iter()
        .map(|reply| HttpReply { status: reply.status, headers: pairs(reply.headers), body: reply.body.to_vec() })
        .collect()
}

fn amount(amount: &AmountRefV1<'_>) -> Amount {
    Amount::new(amount.minor, amount.exponent, amount.currency.as_str())
}

fn pairs(pairs: RSlice<'_, PairRefV1<'_>>) -> Pairs {
    pairs.iter().map(|pair| (text(pair.name), text(pair.value))).collect()
}

fn secret(text: RStr<'_>) -> Secret {
    Secret::new(text.as_str())
}

fn text(text: RStr<'_>) -> String {
    text.as_str().to_owned()
}
