//! The conformance checks for a provider of the other kind: the signature is inside the body and covers selected fields,
//! the key is hex, no time is signed, and the customer pays by instructions.

use cashier_provider_sdk::json::parse;
use cashier_provider_sdk::signature::{Covers, Digest, Keys, Signature, hmac, to_base64, verify_hmac};
use cashier_provider_sdk::{
    Amount, ConfigError, Descriptor, HttpReply, JsonRead, NextAction, NormalizedStatus, PaymentCreated, PaymentMode,
    PaymentOrder, PaymentProvider, ProviderConfig, ProviderFailure, Secret, SettingSpec, StatusUpdate, Step,
    WebhookNotice, WebhookVerdict,
};
use cashier_provider_testing::{Harness, SigningSecret, sample_order};
use serde_json::{Value, json};

cashier_provider_testing::conformance!(Fields, harness);

struct Fields {
    keys: Keys,
}

impl PaymentProvider for Fields {
    fn descriptor() -> Descriptor {
        Descriptor {
            code: "fields".into(),
            name: "Field Signed".into(),
            version: "1.0.0".into(),
            payment_mode: PaymentMode::Instructions,
            methods: vec!["bank".into()],
            primary_ref_kind: "transfer".into(),
            settings: vec![SettingSpec::required_secret("webhook_secret", "HMAC key, hex")],
            ..Descriptor::default()
        }
    }

    fn configure(config: &ProviderConfig) -> Result<Self, ConfigError> {
        Ok(Self { keys: Keys::hex(&config.webhook_secrets()) })
    }

    fn create_payment(&self, order: &PaymentOrder, _: &[HttpReply]) -> Step<PaymentCreated> {
        let instructions = json!({ "reference": order.reference, "amount": order.amount.decimal() });
        Step::Done(PaymentCreated {
            status: NormalizedStatus::Pending,
            next: NextAction::Instructions { json_text: instructions.to_string() },
            ..PaymentCreated::default()
        })
    }

    fn normalize_status(&self, notice: &WebhookNotice, _: &[HttpReply]) -> Step<WebhookVerdict> {
        let event: Value = parse(&notice.body).unwrap_or_default();
        let signatures: Vec<Signature> = event.note_at("/signature").and_then(Signature::base64).into_iter().collect();
        let signed = signed_text(&event);
        match verify_hmac(Digest::Sha256, &self.keys, Covers::Fields, &[signed.as_bytes()], &signatures) {
            Ok(_) => read(&event).into(),
            Err(unverified) => Step::Done(unverified.into()),
        }
    }
}

fn read(event: &Value) -> Result<WebhookVerdict, ProviderFailure> {
    let transfer = event.required_text_at("/transfer")?;
    let amount = Amount::from_json_minor(event.at("/minor"), 2, "EUR")?;
    Ok(WebhookVerdict::updates(vec![StatusUpdate {
        reference: event.text_at("/reference")?.map(str::to_owned),
        payment_id: Some(transfer.into()),
        amount: Some(amount),
        ..StatusUpdate::new(NormalizedStatus::Confirmed, "received")
    }]))
}

fn signed_text(event: &Value) -> String {
    ["/transfer", "/reference", "/minor"]
        .map(|pointer| event.scalar_at(pointer).ok().flatten().unwrap_or_default())
        .join(":")
}

fn harness() -> Harness {
    let body = json!({ "transfer": "t_1", "reference": "R1", "minor": 25_000, "note": "unsigned" });
    Harness {
        config: ProviderConfig {
            webhook_secret: Secret::new("44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C05755"),
            ..ProviderConfig::default()
        },
        order: sample_order(),
        notices: vec![WebhookNotice {
            method: "POST".into(),
            body: body.to_string().into_bytes(),
            received_unix: 1_795_160_000,
            ..WebhookNotice::default()
        }],
        sign: |notice, secret, _| {
            let Ok(mut event) = serde_json::from_slice::<Value>(&notice.body) else {
                return;
            };
            let key = hex_key(secret);
            let mac = hmac(Digest::Sha256, &key, &[signed_text(&event).as_bytes()]);
            if let Value::Object(fields) = &mut event {
                fields.insert("signature".into(), to_base64(&mac).into());
            }
            notice.body = event.to_string().into_bytes();
        },
        signing_secret: SigningSecret::Webhook,
        signs_time: false,
        covers_every_byte: false,
        create_replies: Vec::new(),
        reply_canaries: Vec::new(),
    }
}

fn hex_key(secret: &Secret) -> Vec<u8> {
    let digits: Vec<u32> = secret.expose().chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit))
        .filter_map(|byte| u8::try_from(byte).ok())
        .collect()
}
