//! A small provider: correct with fault 0, with one fault otherwise.

use std::sync::atomic::{AtomicU32, Ordering};

use cashier_provider_sdk::signature::{
    Covers, Digest, Keys, Signature, Unverified, check_timestamp, hmac, parse_timestamp, to_hex, verify_hmac,
};
use cashier_provider_sdk::{
    Acknowledgement, Capabilities, ConfigError, Descriptor, Exponents, HttpReply, HttpRequest, JsonRead, NextAction,
    NormalizedStatus, PaymentCreated, PaymentOrder, PaymentProvider, PaymentRef, ProviderConfig, ProviderFailure,
    ProviderRef, Refund, RefundOrder, RefundReach, Secret, SettingSpec, StatusUpdate, Step, WebhookNotice,
    WebhookVerdict,
};
use cashier_provider_testing::{Harness, SigningSecret, sample_order};
use serde_json::{Value, json};

pub(crate) const ACCEPTS_EVERY_WEBHOOK: u32 = 1;
pub(crate) const ACCEPTS_WITHOUT_A_SECRET: u32 = 2;
pub(crate) const IGNORES_THE_TIME: u32 = 3;
pub(crate) const VERIFIES_REPARSED_JSON: u32 = 4;
pub(crate) const LEAKS_ITS_KEY: u32 = 5;
pub(crate) const PANICS_AT_NOTICES: u32 = 6;
pub(crate) const PANICS_AT_REPLIES: u32 = 7;
pub(crate) const COUNTS_CALLS: u32 = 8;
pub(crate) const DECLINES_UNREADABLE_REPLIES: u32 = 9;
pub(crate) const DECLARES_TOO_MUCH: u32 = 10;
pub(crate) const SENDS_ELSEWHERE: u32 = 11;
pub(crate) const OMITS_THE_KEY: u32 = 12;
pub(crate) const IGNORES_PREVIOUS_SECRETS: u32 = 13;
pub(crate) const QUERIES_UNSAFELY: u32 = 14;
pub(crate) const ACCEPTS_ANY_SIGNATURE: u32 = 15;
pub(crate) const IS_UNDETERMINED_WHEN_UNSIGNED: u32 = 16;
pub(crate) const HAS_A_DEFAULT_SECRET: u32 = 17;
pub(crate) const DECLARES_TOO_LITTLE: u32 = 18;
pub(crate) const REFUSES_EVERY_CONFIG: u32 = 19;
pub(crate) const NEVER_FINISHES: u32 = 20;
pub(crate) const LEAKS_IN_THE_ACKNOWLEDGEMENT: u32 = 21;
pub(crate) const PANICS_AT_BYTES: u32 = 22;
pub(crate) const ACCEPTS_REMOVED_SECRETS: u32 = 23;
pub(crate) const PANICS_AT_PINGS: u32 = 24;
pub(crate) const MARKS_CREATION_AS_SAFE: u32 = 25;
pub(crate) const REJECTS_WHAT_IT_CANNOT_READ: u32 = 26;
pub(crate) const CLAIMS_TO_COVER_FIELDS: u32 = 27;
pub(crate) const PARSES_THE_BODY_AS_A_WHOLE: u32 = 28;
pub(crate) const MARKS_REFUNDS_AS_SAFE: u32 = 29;
pub(crate) const KEYS_REFUNDS_BY_THEIR_PAYMENT: u32 = 30;
pub(crate) const SENDS_THE_TIME_OF_A_REFUND: u32 = 31;
pub(crate) const DECLINES_UNREADABLE_REFUNDS: u32 = 32;
pub(crate) const REFUNDS_THE_WHOLE: u32 = 33;
pub(crate) const STATES_NO_REFUNDS_TO_A_QUERY: u32 = 34;

const EXPONENTS: Exponents = Exponents::new(2, &[("JPY", 0)]);

pub(crate) struct Acme<const FAULT: u32> {
    api_base: String,
    secret_key: Secret,
    webhook_secret: Secret,
    webhook_keys: Keys,
}

impl<const FAULT: u32> PaymentProvider for Acme<FAULT> {
    fn descriptor() -> Descriptor {
        let mut webhook_secret = SettingSpec::required_secret("webhook_secret", "Webhook secret");
        if FAULT == HAS_A_DEFAULT_SECRET {
            webhook_secret.default = Some("changeme".into());
        }
        Descriptor {
            code: "acme".into(),
            name: "Acme Pay".into(),
            version: "1.0.0".into(),
            methods: vec!["card".into()],
            capabilities: Capabilities {
                query: FAULT != DECLARES_TOO_LITTLE,
                cancel: FAULT == DECLARES_TOO_MUCH,
                refund: true,
                partial_refund: true,
                ..Capabilities::default()
            },
            primary_ref_kind: "payment".into(),
            hosts: vec!["api.acme.example".into()],
            idempotency_window_seconds: 86_400,
            settings: vec![
                SettingSpec::required_secret("secret_key", "API key"),
                webhook_secret,
                SettingSpec::endpoint("api_base", "API address", "https://api.acme.example"),
            ],
            ..Descriptor::default()
        }
    }

    fn configure(config: &ProviderConfig) -> Result<Self, ConfigError> {
        if FAULT == REFUSES_EVERY_CONFIG {
            return Err(ConfigError::new("merchant_id", "is never right"));
        }
        let mut secrets = config.webhook_secrets();
        if FAULT == IGNORES_PREVIOUS_SECRETS {
            secrets.truncate(1);
        }
        if FAULT == ACCEPTS_REMOVED_SECRETS {
            secrets.push(Secret::new(WEBHOOK_SECRET));
        }
        Ok(Self {
            api_base: config.settings.text_or("api_base", "https://api.acme.example")?.into(),
            secret_key: config.required_secret_key()?,
            webhook_secret: config.webhook_secret.clone(),
            webhook_keys: Keys::text(&secrets),
        })
    }

    fn create_payment(&self, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated> {
        match replies {
            [] => self.send_order(order),
            [_, ..] if FAULT == NEVER_FINISHES => self.send_order(order),
            [created, ..] => self.read_created(created).into(),
        }
    }

    fn normalize_status(&self, notice: &WebhookNotice, _: &[HttpReply]) -> Step<WebhookVerdict> {
        if FAULT == PANICS_AT_BYTES {
            let text = std::str::from_utf8(&notice.body).expect("the body is text");
            assert!(text.len() < 1_000_000);
        }
        if let Err(unverified) = self.verify(notice) {
            return Step::Done(unverified.into());
        }
        match self.read_notice(notice) {
            Err(failure) if FAULT == REJECTS_WHAT_IT_CANNOT_READ => {
                Step::Done(WebhookVerdict::rejected(failure.message))
            }
            read => read.into(),
        }
    }

    fn query_status(&self, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
        let url = format!("{}/payments/{}", self.api_base, payment.reference);
        match replies {
            [] if FAULT == QUERIES_UNSAFELY => Step::send(HttpRequest::post(url)),
            [] => Step::send(HttpRequest::get(url).bearer(self.secret_key.expose())),
            [found, ..] => {
                let read = read_reply(found).and_then(|body| Ok((read_payment(&body)?, refunded(&body)?)));
                let stated = read.map(|(update, refund)| match FAULT {
                    STATES_NO_REFUNDS_TO_A_QUERY => update,
                    _ => StatusUpdate { refund, ..update },
                });
                stated.into()
            }
        }
    }

    fn refund_payment(&self, refund: &RefundOrder, replies: &[HttpReply]) -> Step<StatusUpdate> {
        match replies {
            [] => self.send_refund(refund),
            [made, ..] => match read_reply(made).and_then(|body| read_payment(&body)) {
                Err(_) if FAULT == DECLINES_UNREADABLE_REFUNDS => {
                    Step::Failed(ProviderFailure::declined("unreadable", "declined an unreadable reply"))
                }
                read => read.into(),
            },
        }
    }
}

impl<const FAULT: u32> Acme<FAULT> {
    fn send_order(&self, order: &PaymentOrder) -> Step<PaymentCreated> {
        let base = match FAULT {
            SENDS_ELSEWHERE => "https://evil.example",
            _ => &self.api_base,
        };
        let key = match FAULT {
            OMITS_THE_KEY => "",
            _ => &order.idempotency_key,
        };
        let amount = match EXPONENTS.express(&order.amount) {
            Ok(amount) => amount,
            Err(error) => {
                return Step::Failed(ProviderFailure::refused_request("amount", error.to_string()));
            }
        };
        let request = HttpRequest::post(format!("{base}/payments"))
            .bearer(self.secret_key.expose())
            .idempotency_key(key)
            .json(&json!({
                "order": order.reference,
                "amount": amount.minor,
                "currency": amount.currency,
                "nonce": call_count::<FAULT>(),
            }));
        Step::send(if FAULT == MARKS_CREATION_AS_SAFE { request.safe_to_repeat() } else { request })
    }

    fn send_refund(&self, refund: &RefundOrder) -> Step<StatusUpdate> {
        let payment = &refund.payment;
        let key = match FAULT {
            KEYS_REFUNDS_BY_THEIR_PAYMENT => &payment.reference,
            _ => &refund.refund_reference,
        };
        let time = if FAULT == SENDS_THE_TIME_OF_A_REFUND { payment.now_unix } else { 0 };
        let amount = if FAULT == REFUNDS_THE_WHOLE { &payment.amount } else { &refund.amount };
        let request = HttpRequest::post(format!("{}/payments/{}/refunds", self.api_base, payment.reference))
            .bearer(self.secret_key.expose())
            .idempotency_key(key)
            .json(&json!({ "amount": amount.minor, "time": time }));
        Step::send(if FAULT == MARKS_REFUNDS_AS_SAFE { request.safe_to_repeat() } else { request })
    }

    fn read_created(&self, reply: &HttpReply) -> Result<PaymentCreated, ProviderFailure> {
        let body = match read_reply(reply) {
            Err(_) if FAULT == DECLINES_UNREADABLE_REPLIES => {
                return Err(ProviderFailure::declined("unreadable", "declined an unreadable reply"));
            }
            body => body?,
        };
        if FAULT == PANICS_AT_REPLIES {
            assert!(body.at("/id").as_str().expect("the id is a string").len() < 100);
        }
        let id = body.required_text_at("/id")?;
        let url = body.required_text_at("/url")?;
        let key = match FAULT {
            LEAKS_ITS_KEY => self.secret_key.expose(),
            _ => "",
        };
        Ok(PaymentCreated {
            status: NormalizedStatus::Pending,
            refs: vec![ProviderRef::new("payment", id)],
            next: NextAction::Redirect { url: format!("{url}{key}") },
            ..PaymentCreated::default()
        })
    }

    /// `acme-signature: <unix time>:<hex of HMAC-SHA256 over time, dot, body>`
    fn verify(&self, notice: &WebhookNotice) -> Result<(), Unverified> {
        let header = notice.header("acme-signature").unwrap_or_default();
        let (time, signature) = header.split_once(':').unwrap_or_default();
        let signatures: Vec<Signature> = Signature::hex(signature).into_iter().collect();
        let canonical;
        let signed: &[u8] = match FAULT {
            VERIFIES_REPARSED_JSON => {
                let value: Option<Value> = serde_json::from_slice(&notice.body).ok();
                canonical = value.unwrap_or_default().to_string();
                canonical.as_bytes()
            }
            _ => &notice.body,
        };
        let no_secret = self.webhook_keys.is_empty();
        match FAULT {
            ACCEPTS_EVERY_WEBHOOK => return Ok(()),
            ACCEPTS_ANY_SIGNATURE if !signatures.is_empty() => return Ok(()),
            ACCEPTS_WITHOUT_A_SECRET if no_secret => return Ok(()),
            IS_UNDETERMINED_WHEN_UNSIGNED if signatures.is_empty() => {
                return Err(Unverified::Undetermined("no signature".into()));
            }
            _ => {}
        }
        let message = [time.as_bytes(), b".", signed];
        let covers = if FAULT == CLAIMS_TO_COVER_FIELDS { Covers::Fields } else { Covers::EveryByte };
        let _ = verify_hmac(Digest::Sha256, &self.webhook_keys, covers, &message, &signatures)?;
        if FAULT == IGNORES_THE_TIME {
            return Ok(());
        }
        check_timestamp(parse_timestamp(time)?, notice.received_unix)
    }

    fn read_notice(&self, notice: &WebhookNotice) -> Result<WebhookVerdict, ProviderFailure> {
        if FAULT == PARSES_THE_BODY_AS_A_WHOLE && serde_json::from_slice::<Value>(&notice.body).is_err() {
            return Err(ProviderFailure::unreadable("the notice is not JSON"));
        }
        let event: Value = cashier_provider_sdk::json::parse(&notice.body)?;
        if FAULT == PANICS_AT_NOTICES {
            assert!(event.at("/id").as_str().expect("the id is a string").len() < 100);
        }
        if event.at("/payment").is_null() {
            assert!(FAULT != PANICS_AT_PINGS);
            return Ok(WebhookVerdict::no_updates());
        }
        Ok(WebhookVerdict::Verified {
            updates: vec![StatusUpdate {
                event_id: event.text_at("/id")?.map(str::to_owned),
                ..read_payment(event.at("/payment"))?
            }],
            event_id: None,
            ignored: None,
            acknowledgement: (FAULT == LEAKS_IN_THE_ACKNOWLEDGEMENT).then(|| Acknowledgement {
                status: 200,
                headers: Vec::new(),
                body: self.webhook_secret.expose().into(),
            }),
        })
    }
}

fn read_payment(payment: &Value) -> Result<StatusUpdate, ProviderFailure> {
    let raw_status = payment.text_at("/status")?.unwrap_or_default();
    let status = match raw_status {
        "open" => NormalizedStatus::Pending,
        "paid" => NormalizedStatus::Confirmed,
        "declined" => NormalizedStatus::Failed,
        "expired" => NormalizedStatus::Cancelled,
        "refunded" => NormalizedStatus::Refunded,
        "disputed" => NormalizedStatus::Chargeback,
        "dispute_won" => NormalizedStatus::ChargebackReversed,
        "ask_us" => NormalizedStatus::ManualReview,
        "checking" => NormalizedStatus::InReview,
        _ => NormalizedStatus::Unknown,
    };
    let id = payment.required_text_at("/id")?;
    let currency = payment.text_at("/currency")?.unwrap_or_default();
    Ok(StatusUpdate {
        reference: payment.text_at("/order")?.map(str::to_owned),
        payment_id: Some(id.into()),
        amount: Some(EXPONENTS.read_minor(payment.at("/amount"), currency)?),
        reason: payment.note_at("/why").map(str::to_owned),
        ..StatusUpdate::new(status, raw_status).with_ref("payment", id)
    })
}

/// What was refunded so far, where the payment says it.
fn refunded(payment: &Value) -> Result<Option<Refund>, ProviderFailure> {
    let currency = payment.text_at("/currency")?.unwrap_or_default();
    Ok(match payment.at("/refunded") {
        Value::Null => None,
        minor => Some(Refund {
            id: None,
            amount: EXPONENTS.read_minor(minor, currency)?,
            reach: RefundReach::TotalSoFar,
            requested: None,
        }),
    })
}

fn read_reply(reply: &HttpReply) -> Result<Value, ProviderFailure> {
    let body = reply.json();
    if reply.is_success() {
        return body;
    }
    let message = body
        .ok()
        .and_then(|body| body.note_at("/message").map(str::to_owned))
        .unwrap_or_else(|| format!("Acme answered {}", reply.status));
    Err(reply.failure("acme", message))
}

fn call_count<const FAULT: u32>() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    match FAULT {
        COUNTS_CALLS => COUNT.fetch_add(1, Ordering::Relaxed),
        _ => 0,
    }
}

const WEBHOOK_SECRET: &str = "whsec_canary_5d1f0c2b7a";

pub(crate) fn harness() -> Harness {
    let notice = |body: Value| WebhookNotice {
        provider: "acme".into(),
        path: "/cashier/webhook/acme/7".into(),
        method: "POST".into(),
        body: body.to_string().into_bytes(),
        content_type: "application/json".into(),
        received_unix: 1_795_160_000,
        nonce: "n".into(),
        ..WebhookNotice::default()
    };
    Harness {
        config: ProviderConfig {
            id: 7,
            provider: "acme".into(),
            secret_key: Secret::new("sk_canary_9c41e77d02"),
            webhook_secret: Secret::new(WEBHOOK_SECRET),
            ..ProviderConfig::default()
        },
        order: sample_order(),
        notices: vec![
            notice(json!({
                "id": "evt_1",
                "payment": {
                    "id": "p_1", "order": "K7Q2M9X4T1B8", "status": "paid",
                    "amount": 25_000, "currency": "usd",
                },
            })),
            notice(json!({ "id": "evt_2", "ping": true })),
        ],
        sign: |notice, secret, signed_unix| {
            let time = signed_unix.to_string();
            let key = secret.expose().as_bytes();
            let mac = hmac(Digest::Sha256, key, &[time.as_bytes(), b".", &notice.body]);
            let value = format!("{time}:{}", to_hex(&mac));
            notice.headers.retain(|(name, _)| name != "acme-signature");
            notice.headers.push(("acme-signature".into(), value));
        },
        signing_secret: SigningSecret::Webhook,
        signs_time: true,
        covers_every_byte: true,
        create_replies: vec![HttpReply::new(201, r#"{"id":"p_1","url":"https://pay.acme.example/p_1"}"#)],
        reply_canaries: Vec::new(),
    }
}
