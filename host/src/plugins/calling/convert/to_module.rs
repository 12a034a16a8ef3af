//! The core's rows and orders as SDK types. A create is a pure function of its stored order, so that repeating it sends the
//! same bytes.

use cashier_core::edit::is_host_setting;
use cashier_core::money::Money;
use cashier_core::provider_config::{ProviderConfig as ConfigRow, REPLACED_SECRETS_MAX};
use cashier_core::time::UnixTime;
use cashier_provider_sdk::serde_json::{self, Map, Value};
use cashier_provider_sdk::{
    Amount, Descriptor, PaymentMode, PaymentOrder, PaymentRef, ProviderConfig, ProviderRef, ProviderSettings,
    RefundOrder, Secret, SettingSpec, WebhookNotice,
};
use zeroize::Zeroizing;

use super::masks::is_hashed;
use crate::ports::{Order, PaymentQuery, RawNotice, RefundQuery};

/// The row as its module sees it at `now`: `config_json` overrides `settings_json` and the credential columns; replaced
/// secrets are included until they expire.
///
/// # Errors
/// Names the column that is not a JSON object, or the credential that is not a text. Never its value.
pub(in crate::plugins::calling) fn config(
    row: &ConfigRow,
    notify_url: String,
    now: UnixTime,
) -> Result<ProviderConfig, String> {
    let mut overrides = object("config_json", row.config_json.expose())?;
    let merchant_id = credential(&mut overrides, "merchant_id", &row.merchant_id)?;
    let public_key = credential(&mut overrides, "public_key", &row.public_key)?;
    let secret_key = credential(&mut overrides, "secret_key", row.secret_key.expose())?;
    let webhook_secret = credential(&mut overrides, "webhook_secret", row.webhook_secret.expose())?;
    let mut settings = object("settings_json", &row.settings_json)?;
    settings.extend(overrides);
    settings.retain(|name, _| !is_host_setting(name));
    let settings = Zeroizing::new(Value::Object(settings).to_string());
    // A row of an earlier version may keep more; the newest come first.
    let valid =
        row.replaced_webhook_secrets.iter().filter(|replaced| replaced.is_accepted(now)).take(REPLACED_SECRETS_MAX);
    Ok(ProviderConfig {
        id: i64::try_from(row.id.0).map_err(|_| "the config's id is too large".to_owned())?,
        provider: row.provider.to_string(),
        brand: row.brand.to_string(),
        method: row.method.to_string(),
        country: row.country.to_string(),
        currency: row.currency.to_string(),
        merchant_id,
        public_key,
        secret_key: Secret::new(secret_key),
        webhook_secret: Secret::new(webhook_secret),
        previous_webhook_secrets: valid.map(|replaced| Secret::new(replaced.secret.expose())).collect(),
        settings: ProviderSettings::parse(&settings).map_err(|error| error.to_string())?,
        sandbox: row.sandbox,
        notify_url,
        bag: Vec::new(),
    })
}

fn object(column: &str, text: &str) -> Result<Map<String, Value>, String> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    // The parser's message could quote a secret.
    serde_json::from_str(text).map_err(|_| format!("{column}: is not a JSON object"))
}

/// The credential `key`: removed from `config_json` if it is there, else the column.
fn credential(overrides: &mut Map<String, Value>, key: &str, column: &str) -> Result<String, String> {
    match overrides.remove(key) {
        None | Some(Value::Null) => Ok(column.to_owned()),
        Some(Value::String(text)) => Ok(text),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => Err(format!("{key}: must be a text")),
    }
}

/// The first required setting that is missing.
pub(in crate::plugins::calling) fn missing_required<'a>(
    config: &ProviderConfig,
    descriptor: &'a Descriptor,
) -> Option<&'a SettingSpec> {
    descriptor.settings.iter().filter(|spec| spec.required).find(|spec| match spec.key.as_str() {
        "merchant_id" => config.merchant_id.is_empty(),
        "public_key" => config.public_key.is_empty(),
        "secret_key" => config.secret_key.is_empty(),
        "webhook_secret" => config.webhook_secret.is_empty(),
        key => match config.settings.get(key) {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) => text.is_empty(),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => false,
        },
    })
}

/// How the customer pays under these settings: the first one with a value that means another way than the descriptor's.
pub(in crate::plugins::calling) fn payment_mode(config: &ProviderConfig, descriptor: &Descriptor) -> PaymentMode {
    let given = descriptor.settings.iter().find_map(|spec| {
        let set = config.settings.get(&spec.key).and_then(Value::as_str).filter(|value| !value.is_empty());
        let value = set.or(spec.default.as_deref())?;
        spec.payment_modes.iter().find(|(of, _)| of == value).map(|(_, mode)| *mode)
    });
    given.unwrap_or(descriptor.payment_mode)
}

/// The endpoint settings that are set: (key, URL).
pub(in crate::plugins::calling) fn endpoints<'a>(
    config: &'a ProviderConfig,
    descriptor: &'a Descriptor,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    descriptor.settings.iter().filter(|spec| spec.endpoint).filter_map(|spec| {
        let url = config.settings.get(&spec.key)?.as_str().filter(|url| !url.is_empty())?;
        Some((spec.key.as_str(), url))
    })
}

/// The order as its module sees it. Time and nonce are those of the order, however often it is sent.
pub(in crate::plugins::calling) fn payment_order(order: &Order) -> PaymentOrder {
    PaymentOrder {
        reference: order.reference.as_str().to_owned(),
        amount: amount(order.amount),
        customer_id: order.customer_id.to_string(),
        login: order.login.to_string(),
        brand: order.brand.to_string(),
        country: order.country.to_string(),
        locale: order.locale.to_string(),
        ip: order.ip.to_string(),
        method: order.method.to_string(),
        idempotency_key: order.idempotency_key.to_string(),
        notify_url: order.notify_url.to_string(),
        success_url: order.success_url.to_string(),
        failure_url: order.failure_url.to_string(),
        metadata_json: order.metadata_json.to_string(),
        description: order.comment.to_string(),
        now_unix: order.created_time.0,
        nonce: nonce(order.nonce),
        bag: Vec::new(),
    }
}

/// A payment that exists, under a config of `brand` whose webhooks arrive at `notify_url`.
pub(in crate::plugins::calling) fn payment(query: &PaymentQuery, brand: &str, notify_url: &str) -> PaymentRef {
    PaymentRef {
        reference: query.reference.as_str().to_owned(),
        refs: query
            .refs
            .iter()
            .filter(|id| !is_hashed(&id.value))
            .map(|id| ProviderRef::new(&*id.kind, &*id.value))
            .collect(),
        amount: amount(query.amount),
        brand: brand.to_owned(),
        method: query.method.to_string(),
        created_unix: query.created_time.0,
        idempotency_key: query.idempotency_key.to_string(),
        notify_url: notify_url.to_owned(),
        now_unix: query.now.0,
        nonce: nonce(query.nonce),
        ..PaymentRef::default()
    }
}

/// A refund of a payment that exists.
pub(in crate::plugins::calling) fn refund_order(query: &RefundQuery, brand: &str, notify_url: &str) -> RefundOrder {
    let refund = &query.refund;
    let payment_id = (!refund.payment.is_empty() && !is_hashed(&refund.payment)).then(|| refund.payment.to_string());
    RefundOrder {
        payment: PaymentRef { payment_id, ..payment(&query.payment, brand, notify_url) },
        refund_reference: refund.id.to_string(),
        amount: amount(refund.amount),
        refunded_before: amount(Money::new(refund.before_minor, refund.amount.currency)),
        completes: refund.completes,
        reason: refund.reason.to_string(),
        bag: Vec::new(),
    }
}

/// A webhook request without its body, of which there is one copy however many configs verify it.
pub(in crate::plugins::calling) fn notice(raw: &RawNotice, provider: &str, bits: u128) -> WebhookNotice {
    let pair = |(name, value): &(Box<str>, Box<str>)| (name.to_string(), value.to_string());
    WebhookNotice {
        provider: provider.to_owned(),
        path: raw.path.to_string(),
        method: raw.method.to_string(),
        headers: raw.headers.iter().map(pair).collect(),
        body: Vec::new(),
        raw_query: raw.raw_query.to_string(),
        content_type: raw.content_type.to_string(),
        received_unix: raw.received_time.0,
        nonce: nonce(bits),
        bag: Vec::new(),
    }
}

fn amount(money: Money) -> Amount {
    Amount::new(money.minor, money.currency.exponent(), money.currency.code())
}

fn nonce(bits: u128) -> String {
    format!("{bits:032x}")
}
