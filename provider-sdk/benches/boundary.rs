//! What a call costs through the ABI, compared with the same call on a plain trait object. Run it with
//! `cargo bench -p cashier-provider-sdk`. Numbers are medians of interleaved rounds; on a noisy machine trust their
//! ratios.
//!
//! The plain call borrows an existing order. The host's real alternative is the second column: a cloned order for each
//! call, as a module on another thread would need.
#![expect(clippy::print_stdout, clippy::expect_used, reason = "a bench prints to the terminal and may panic")]

use std::hint::black_box;
use std::time::Instant;

use cashier_provider_sdk::host::ModuleV1;
use cashier_provider_sdk::{
    Amount, ConfigError, Descriptor, HttpReply, HttpRequest, NextAction, NormalizedStatus, PaymentCreated,
    PaymentOrder, PaymentProvider, PaymentRef, ProviderConfig, ProviderRef, StatusUpdate, Step, WebhookNotice,
    WebhookVerdict,
};

/// Rounds whose median is printed; odd, so that there is a middle one.
const ROUNDS: usize = 41;
/// Calls in one round: so many that reading the clock does not matter.
const CALLS: u32 = 20_000;

/// The minimum of a real provider: a request with three headers and a body, an update with two ids.
struct Small;

impl PaymentProvider for Small {
    fn descriptor() -> Descriptor {
        Descriptor { code: "small".into(), ..Descriptor::default() }
    }

    fn configure(_: &ProviderConfig) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    fn create_payment(&self, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated> {
        match replies {
            [] => {
                let request = HttpRequest::post("https://api.small.example/v1/payments")
                    .bearer("sk_live_0123456789abcdef")
                    .idempotency_key(&order.idempotency_key)
                    .header("content-type", "application/x-www-form-urlencoded");
                let body = format!("reference={}&amount={}", order.reference, order.amount.minor);
                Step::send(HttpRequest { body: body.into_bytes(), ..request })
            }
            [reply, ..] => Step::Done(PaymentCreated {
                status: NormalizedStatus::Pending,
                refs: vec![ProviderRef::new("payment", "pay_0123456789")],
                next: NextAction::Redirect { url: String::from_utf8_lossy(&reply.body).into_owned() },
                ..PaymentCreated::default()
            }),
        }
    }

    fn normalize_status(&self, notice: &WebhookNotice, _: &[HttpReply]) -> Step<WebhookVerdict> {
        let update = StatusUpdate { event_id: notice.header("x-event").map(str::to_owned), ..update() };
        Step::Done(WebhookVerdict::updates(vec![update]))
    }

    fn query_status(&self, payment: &PaymentRef, _: &[HttpReply]) -> Step<StatusUpdate> {
        Step::Done(StatusUpdate { reference: Some(payment.reference.clone()), ..update() })
    }
}

fn update() -> StatusUpdate {
    StatusUpdate {
        payment_id: Some("pi_0123456789".into()),
        amount: Some(Amount::new(25_000, 2, "USD")),
        ..StatusUpdate::new(NormalizedStatus::Confirmed, "payment.succeeded")
    }
    .with_ref("payment_intent", "pi_0123456789")
    .with_ref("charge", "ch_0123456789")
}

/// An object-safe version of the provider trait.
trait Plain {
    fn create(&self, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated>;
    fn verify(&self, notice: &WebhookNotice) -> Step<WebhookVerdict>;
    fn query(&self, payment: &PaymentRef) -> Step<StatusUpdate>;
}

impl<P: PaymentProvider> Plain for P {
    fn create(&self, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated> {
        self.create_payment(order, replies)
    }

    fn verify(&self, notice: &WebhookNotice) -> Step<WebhookVerdict> {
        self.normalize_status(notice, &[])
    }

    fn query(&self, payment: &PaymentRef) -> Step<StatusUpdate> {
        self.query_status(payment, &[])
    }
}

fn main() {
    let config = ProviderConfig {
        secret_key: "sk_live_0123456789abcdef".into(),
        webhook_secret: "whsec_0123456789abcdef".into(),
        ..ProviderConfig::default()
    };
    let through = ModuleV1::of::<Small>().configure(&config).expect("a valid config");
    let plain: Box<dyn Plain> = Box::new(Small);
    let (order, payment, notice, replies) = (order(), payment(), notice(), replies());

    println!("{:<28}{:>10}{:>10}{:>10}{:>8}{:>8}", "ns per call", "plain", "owned", "ABI", "/plain", "/owned");
    row(
        "create, first step",
        [
            &mut || drop(black_box(plain.create(black_box(&order), &[]))),
            &mut || drop(black_box(plain.create(&black_box(&order).clone(), &[]))),
            &mut || drop(black_box(through.create_payment(black_box(&order), &[]))),
        ],
    );
    row(
        "create, after the reply",
        [
            &mut || drop(black_box(plain.create(black_box(&order), black_box(&replies)))),
            &mut || drop(black_box(plain.create(&black_box(&order).clone(), &black_box(&replies).clone()))),
            &mut || drop(black_box(through.create_payment(black_box(&order), black_box(&replies)))),
        ],
    );
    row(
        "webhook of 2 kB",
        [
            &mut || drop(black_box(plain.verify(black_box(&notice)))),
            &mut || drop(black_box(plain.verify(&black_box(&notice).clone()))),
            &mut || drop(black_box(through.normalize_status(black_box(&notice), &[]))),
        ],
    );
    row(
        "query",
        [
            &mut || drop(black_box(plain.query(black_box(&payment)))),
            &mut || drop(black_box(plain.query(&black_box(&payment).clone()))),
            &mut || drop(black_box(through.query_status(black_box(&payment), &[]))),
        ],
    );
}

fn row(name: &str, mut calls: [&mut dyn FnMut(); 3]) {
    let mut rounds = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (call, taken) in calls.iter_mut().zip(&mut rounds) {
            let started = Instant::now();
            for _ in 0..CALLS {
                call();
            }
            taken.push(started.elapsed().as_nanos() / u128::from(CALLS));
        }
    }
    let [plain, owned, abi] = rounds.map(median);
    let ratio = |of: u128| format!("{}.{:02}", abi / of.max(1), abi * 100 / of.max(1) % 100);
    println!("{name:<28}{plain:>10}{owned:>10}{abi:>10}{:>8}{:>8}", ratio(plain), ratio(owned));
}

fn median(mut taken: Vec<u128>) -> u128 {
    taken.sort_unstable();
    taken.get(ROUNDS / 2).copied().unwrap_or_default()
}

fn order() -> PaymentOrder {
    PaymentOrder {
        reference: "K7Q2M9X4T1B8".into(),
        amount: Amount::new(25_000, 2, "USD"),
        customer_id: "5".into(),
        login: "10005".into(),
        brand: "north".into(),
        country: "DE".into(),
        locale: "en".into(),
        ip: "203.0.113.7".into(),
        method: "card".into(),
        idempotency_key: "0f9bb0e7-642d-4b70-b458-62e3993c7d2d".into(),
        notify_url: "https://cashier.example/cashier/webhook/small/7".into(),
        success_url: "https://broker.example/paid".into(),
        failure_url: "https://broker.example/unpaid".into(),
        metadata_json: r#"{"campaign":"autumn"}"#.into(),
        description: "Deposit 10005".into(),
        now_unix: 1_795_160_000,
        nonce: "9b1f0e6c2d9b1f0e6c2d9b1f0e6c2d00".into(),
        bag: Vec::new(),
    }
}

fn payment() -> PaymentRef {
    let order = order();
    PaymentRef {
        reference: order.reference,
        refs: vec![ProviderRef::new("payment_intent", "pi_0123456789"), ProviderRef::new("charge", "ch_0123456789")],
        amount: order.amount,
        brand: order.brand,
        method: order.method,
        idempotency_key: order.idempotency_key,
        notify_url: order.notify_url,
        nonce: order.nonce,
        ..PaymentRef::default()
    }
}

fn notice() -> WebhookNotice {
    let header = |name: &str| (name.to_owned(), "a value of typical length".to_owned());
    WebhookNotice {
        provider: "small".into(),
        path: "/cashier/webhook/small/7".into(),
        method: "POST".into(),
        headers: ["host", "user-agent", "content-type", "content-length", "accept", "x-event", "x-signature"]
            .map(header)
            .to_vec(),
        body: vec![b'x'; 2_048],
        content_type: "application/json".into(),
        received_unix: 1_795_160_000,
        nonce: "9b1f0e6c2d9b1f0e6c2d9b1f0e6c2d00".into(),
        ..WebhookNotice::default()
    }
}

fn replies() -> Vec<HttpReply> {
    let header = |name: &str| (name.to_owned(), "a value of typical length".to_owned());
    let headers = ["content-type", "content-length", "date", "server", "request-id"].map(header).to_vec();
    vec![HttpReply { headers, ..HttpReply::new(200, "https://pay.small.example/p/0123456789") }]
}
