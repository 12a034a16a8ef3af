//! One call of a module with owned order and answer: through the boundary of a real library with its guard, against the same
//! code behind a plain trait object.

use std::hint::black_box;
use std::time::Instant;

use cashier_provider_sdk::host::{Instance, ModuleV1};
use cashier_provider_sdk::{
    Amount, ConfigError, Descriptor, HttpReply, NextAction, NormalizedStatus, PaymentCreated, PaymentOrder,
    PaymentProvider, ProviderConfig, ProviderRef, Step, WebhookNotice, WebhookVerdict,
};

use crate::table::{FigureRow, alternate};
use crate::{BenchResult, Effort};

const AIM: f64 = 2.0;
/// Calls per round; a round then takes tens of milliseconds.
const CALLS: u32 = 200_000;
/// Rounds are short, so there are more of them.
const ROUNDS_FACTOR: usize = 5;

pub(crate) fn measure(effort: Effort) -> BenchResult<Vec<FigureRow>> {
    let config = ProviderConfig { provider: "plain".into(), sandbox: true, ..ProviderConfig::default() };
    let instance = ModuleV1::of::<PlainProvider>().configure(&config).map_err(|error| error.to_string())?;
    let plain: Box<dyn Creates> = Box::new(PlainProvider);
    let order = order();
    if instance.create_payment(&order, &[]) != plain.create(&order, &[]) {
        return Err("the boundary changes the answer".into());
    }
    let pair = alternate(
        effort.rounds * ROUNDS_FACTOR,
        || Ok(through_boundary(&instance, &order)),
        || Ok(on_trait_object(&*plain, &order)),
    )?;
    Ok(vec![FigureRow {
        figure: "one module call through the ABI",
        measured: format!("{:.0} ns", pair.ours),
        limit: format!("the same on a plain trait object: {:.0} ns", pair.limit),
        ratio: Some(pair.ratio),
        aim: "≤ 2",
        met: Some(pair.ratio <= AIM),
    }])
}

/// Nanoseconds per call.
fn through_boundary(instance: &Instance, order: &PaymentOrder) -> f64 {
    let begun = Instant::now();
    for _ in 0..CALLS {
        drop(black_box(instance.create_payment(black_box(order), black_box(&[]))));
    }
    begun.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

fn on_trait_object(plain: &dyn Creates, order: &PaymentOrder) -> f64 {
    let begun = Instant::now();
    for _ in 0..CALLS {
        drop(black_box(black_box(plain).create(black_box(order), black_box(&[]))));
    }
    begun.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

/// The call without a boundary: an order the module owns, an answer the host owns.
trait Creates {
    fn create(&self, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated>;
}

struct PlainProvider;

impl Creates for PlainProvider {
    fn create(&self, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated> {
        // The boundary gives the module an order of its own; so does this.
        let owned = order.clone();
        self.create_payment(&owned, replies)
    }
}

impl PaymentProvider for PlainProvider {
    fn descriptor() -> Descriptor {
        Descriptor { code: "plain".into(), name: "PlainProvider".into(), ..Descriptor::default() }
    }

    fn configure(_config: &ProviderConfig) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    fn create_payment(&self, order: &PaymentOrder, _replies: &[HttpReply]) -> Step<PaymentCreated> {
        Step::Done(PaymentCreated {
            status: NormalizedStatus::Pending,
            refs: vec![ProviderRef::new("plain_payment", format!("plain-{}", order.reference))],
            next: NextAction::Redirect {
                url: format!("https://plain.invalid/pay/{}?n={}", order.reference, order.nonce),
            },
            ..PaymentCreated::default()
        })
    }

    fn normalize_status(&self, _notice: &WebhookNotice, _replies: &[HttpReply]) -> Step<WebhookVerdict> {
        Step::Unsupported
    }
}

/// All fields filled, as a real order has them.
fn order() -> PaymentOrder {
    PaymentOrder {
        reference: "d0123456789abcdefghj".into(),
        amount: Amount::new(25_000, 2, "USD"),
        customer_id: "5".into(),
        login: "2000009".into(),
        brand: "ion4".into(),
        country: "DE".into(),
        locale: "de-DE".into(),
        ip: "192.0.2.77".into(),
        method: "card".into(),
        idempotency_key: "d0123456789abcdefghj".into(),
        notify_url: "https://pay.ion4.example/cashier/webhook/plain/1".into(),
        success_url: "https://ion4.example/deposit/done".into(),
        failure_url: "https://ion4.example/deposit/failed".into(),
        metadata_json: "{}".into(),
        description: "Deposit to 2000009".into(),
        now_unix: 1_779_270_000,
        nonce: "0198c0f35f0e7d4b9b0f1f2e3d4c5b6a".into(),
        bag: Vec::new(),
    }
}
