//! A provider that returns everything it receives, so that a test can compare a call through the ABI with a plain call.
//! It fails and panics on request.

use cashier_provider_sdk::signature::SignatureProof;
use cashier_provider_sdk::{
    Acknowledgement, Amount, Capabilities, ConfigError, Descriptor, Dispute, FailureKind, HttpMethod, HttpReply,
    HttpRequest, NextAction, NormalizedStatus, Pairs, PaymentCreated, PaymentMode, PaymentOrder, PaymentProvider,
    PaymentRef, ProviderConfig, ProviderFailure, ProviderRef, Refund, RefundOrder, RefundReach, SettingKind,
    SettingSpec, StatusUpdate, Step, WebhookNotice, WebhookVerdict,
};

pub(crate) struct Echo {
    config: ProviderConfig,
}

/// The message of every panic here; it must not appear in any result.
pub(crate) const CANARY: &str = "sk_live_canary_in_a_panic";

impl PaymentProvider for Echo {
    fn descriptor() -> Descriptor {
        Descriptor {
            code: "echo".into(),
            name: "Echo".into(),
            description: "Returns what it received".into(),
            version: "1.2.3".into(),
            payment_mode: PaymentMode::Embedded,
            methods: vec!["card".into(), "bank".into()],
            currencies: vec!["EUR".into(), "JPY".into()],
            capabilities: Capabilities { query: true, refund: true, ..Capabilities::default() },
            primary_ref_kind: "echo_id".into(),
            hosts: vec!["echo.example".into()],
            idempotency_window_seconds: 86_400,
            expiry_seconds: 900,
            settings: vec![
                SettingSpec::required_secret("secret_key", "Key"),
                SettingSpec::endpoint("api_base", "API address", "https://echo.example"),
                SettingSpec {
                    kind: SettingKind::Choice(vec!["a".into(), "b".into()]),
                    payment_modes: vec![("b".into(), PaymentMode::Redirect), ("c".into(), PaymentMode::Instructions)],
                    ..SettingSpec::text("flavour", "Flavour")
                },
                SettingSpec { kind: SettingKind::Integer, ..SettingSpec::text("number", "Number") },
                SettingSpec { kind: SettingKind::Flag, ..SettingSpec::text("flag", "Flag") },
            ],
            webhook_events: vec!["echo.paid".into(), "echo.refunded".into()],
        }
    }

    fn configure(config: &ProviderConfig) -> Result<Self, ConfigError> {
        match config.merchant_id.as_str() {
            "panic" => panic!("{CANARY}"),
            "bad" => Err(ConfigError::new("merchant_id", "is bad")),
            _ => Ok(Self { config: config.clone() }),
        }
    }

    fn create_payment(&self, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated> {
        let received = self.received(format!("{order:?}"), replies);
        let next = match order.method.as_str() {
            "redirect" => NextAction::Redirect { url: "https://echo.example/pay".into() },
            "instructions" => NextAction::Instructions { json_text: r#"{"iban":"DE00"}"#.into() },
            "wait" => NextAction::Wait,
            "none" => NextAction::None,
            other => return step(other, received, PaymentCreated::default()),
        };
        Step::Done(PaymentCreated {
            status: NormalizedStatus::Confirmed,
            refs: vec![ProviderRef::new("echo_id", "é1")],
            next,
            update: Some(full_update(NormalizedStatus::Confirmed)),
            expires_unix: Some(1_800_000_000),
            bag: received,
        })
    }

    fn normalize_status(&self, notice: &WebhookNotice, replies: &[HttpReply]) -> Step<WebhookVerdict> {
        let arguments = format!(
            "{notice:?} {:?} {:?} {:?} {:?} {:?}",
            notice.headers, notice.body, notice.raw_query, notice.nonce, notice.bag
        );
        let received = self.received(arguments, replies);
        match notice.path.as_str() {
            "/verified" => Step::Done(WebhookVerdict::Verified {
                updates: NormalizedStatus::ALL
                    .into_iter()
                    .map(|status| StatusUpdate { bag: received.clone(), ..full_update(status) })
                    .collect(),
                event_id: Some("evt_é".into()),
                ignored: None,
                acknowledgement: Some(Acknowledgement {
                    status: 202,
                    headers: vec![("x-echo".into(), "1".into())],
                    body: vec![0, 159, 146, 150],
                }),
            }),
            "/no_updates" => Step::Done(WebhookVerdict::no_updates()),
            "/ignored" => Step::Done(WebhookVerdict::ignored(Some("evt_1".into()), "a test event")),
            "/unreadable" => Step::Done(
                WebhookVerdict::unreadable(&SignatureProof::stated_by_provider(), "no amount")
                    .with_event_id(Some("evt_2".into()))
                    .about(Some("REF".into()), vec![ProviderRef::new("echo_id", "é1")])
                    .acknowledged_with(Acknowledgement { status: 202, headers: Vec::new(), body: b"ok".to_vec() }),
            ),
            "/rejected" => Step::Done(WebhookVerdict::rejected("wrong signature")),
            "/undetermined" => Step::Done(WebhookVerdict::undetermined("no secret")),
            other => step(other, received, WebhookVerdict::no_updates()),
        }
    }

    fn advance_payment(&self, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
        let received = self.received(format!("advance {payment:?}"), replies);
        step(&payment.method, received, StatusUpdate::default())
    }

    fn query_status(&self, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
        let received = self.received(format!("query {payment:?}"), replies);
        step(&payment.method, received, StatusUpdate::default())
    }

    fn cancel_payment(&self, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
        let received = self.received(format!("cancel {payment:?}"), replies);
        step(&payment.method, received, StatusUpdate::default())
    }

    fn refund_payment(&self, refund: &RefundOrder, replies: &[HttpReply]) -> Step<StatusUpdate> {
        let received = self.received(format!("refund {refund:?}"), replies);
        step(&refund.payment.method, received, StatusUpdate::default())
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        if self.config.merchant_id == "panics when dropped" {
            panic!("{CANARY}");
        }
    }
}

impl Echo {
    /// Everything received, secrets included.
    fn received(&self, arguments: String, replies: &[HttpReply]) -> Pairs {
        let config = &self.config;
        let mut received = vec![
            ("arguments".to_owned(), arguments),
            ("config".to_owned(), format!("{config:?}")),
            ("secret".to_owned(), config.secret_key.expose().to_owned()),
            ("settings".to_owned(), config.settings.to_json_text()),
            ("unmasked".to_owned(), format!("{} {} {:?}", config.public_key, config.notify_url, config.bag)),
        ];
        for secret in config.webhook_secrets() {
            received.push(("webhook".to_owned(), secret.expose().to_owned()));
        }
        for reply in replies {
            received.push(("reply".to_owned(), format!("{} {:?} {:?}", reply.status, reply.headers, reply.body)));
        }
        received
    }
}

/// The step that a text of the input names.
fn step<T>(name: &str, received: Pairs, done: T) -> Step<T> {
    // It contains every secret and is short enough that the guard does not cut it.
    let quoted: Vec<&str> = received
        .iter()
        .filter(|(name, _)| name == "secret" || name == "webhook")
        .map(|(_, text)| text.as_str())
        .collect();
    let failure = |kind| {
        Step::Failed(ProviderFailure {
            field: "amount".into(),
            retry_after_seconds: Some(7),
            ..ProviderFailure::new(kind, "a_code", format!("{quoted:?}"))
        })
    };
    let send = |method| HttpRequest {
        method,
        url: "https://echo.example/?q=1".into(),
        headers: received.clone(),
        body: vec![1, 2, 255],
        safe_to_repeat: true,
    };
    match name {
        "get" => Step::send(send(HttpMethod::Get)),
        "post" => Step::send(send(HttpMethod::Post)),
        "put" => Step::send(send(HttpMethod::Put)),
        "patch" => Step::send(send(HttpMethod::Patch)),
        "delete" => Step::send_cached(send(HttpMethod::Delete), "token", 60),
        "declined" => failure(FailureKind::Declined),
        "refused" => failure(FailureKind::RefusedRequest),
        "not found" => failure(FailureKind::NotFound),
        "unreadable" => failure(FailureKind::UnreadableAnswer),
        "temporary" => failure(FailureKind::Temporary),
        "stale" => failure(FailureKind::StaleReply),
        "panic" => panic!("{CANARY}"),
        "unsupported" => Step::Unsupported,
        _ => Step::Done(done),
    }
}

fn full_update(status: NormalizedStatus) -> StatusUpdate {
    StatusUpdate {
        event_id: Some("evt".into()),
        reference: Some("ref".into()),
        refs: vec![ProviderRef::new("tid", "7")],
        status,
        payment_id: Some("pay".into()),
        amount: Some(Amount::new(i64::MIN, 18, "BTC")),
        refund: Some(Refund {
            id: Some("re".into()),
            amount: Amount::new(1, 0, "JPY"),
            reach: match status {
                NormalizedStatus::Refunded => RefundReach::TotalSoFar,
                _ => RefundReach::Delta,
            },
            requested: Some("refund-1".into()),
        }),
        dispute: Some(Dispute { id: "dp".into(), amount: Some(Amount::new(2, 2, "USD")) }),
        raw_status: "paid".into(),
        reason: Some("reason".into()),
        sandbox: Some(true),
        mode_conflict: true,
        advance: true,
        bag: Vec::new(),
    }
}
