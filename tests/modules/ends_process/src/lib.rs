//! Safe Rust that ends the process it runs in: in the entry that the setting `ends_in` names, as `ends_by` says, or where a
//! notice has `{"ends_by": …}`, or where it is opened with `ENDS_WHEN_OPENED` in its environment. Otherwise an order waits, and its payment is confirmed when it is queried.

use std::hint::black_box;

use cashier_provider_sdk::serde_json::{self, Value};
use cashier_provider_sdk::{
    Capabilities, ConfigError, Descriptor, HttpReply, NormalizedStatus, PaymentCreated, PaymentOrder, PaymentProvider,
    PaymentRef, ProviderConfig, ProviderFailure, SettingSpec, StatusUpdate, Step, WebhookNotice, WebhookVerdict,
};

struct EndsProcess {
    ends_in: String,
    ends_by: String,
}

impl EndsProcess {
    fn maybe(&self, entry: &str) {
        if self.ends_in == entry {
            end(&self.ends_by);
        }
    }
}

impl PaymentProvider for EndsProcess {
    fn descriptor() -> Descriptor {
        // The probe's process has no such environment: what it tries out passes.
        match std::env::var("ENDS_WHEN_OPENED") {
            Ok(how) if how == "thread_end" => AT_THREAD_END.with(|value| value.0.set(true)),
            Ok(how) if how == "own_thread" => end_on_own_thread("abort"),
            Ok(how) => end(&how),
            Err(_) => {}
        }
        Descriptor {
            code: "ends_process".into(),
            name: "Ends its process".into(),
            methods: vec!["card".into()],
            capabilities: Capabilities { query: true, cancel: true, ..Capabilities::default() },
            primary_ref_kind: "payment".into(),
            idempotency_window_seconds: 86_400,
            expiry_seconds: 3_600,
            settings: vec![
                SettingSpec::text("ends_in", "Entry that ends the process"),
                SettingSpec::text("ends_by", "How"),
            ],
            ..Descriptor::default()
        }
    }

    fn configure(config: &ProviderConfig) -> Result<Self, ConfigError> {
        let text = |key| config.settings.text(key).map(|text| text.unwrap_or_default().to_owned());
        let provider = Self { ends_in: text("ends_in")?, ends_by: text("ends_by")? };
        provider.maybe("configure");
        match &*provider.ends_in {
            "thread_end" => AT_THREAD_END.with(|value| value.0.set(true)),
            "own_thread" => end_on_own_thread(&provider.ends_by),
            _ => {}
        }
        Ok(provider)
    }

    fn check_order(&self, _order: &PaymentOrder) -> Result<(), ProviderFailure> {
        self.maybe("check_order");
        Ok(())
    }

    fn create_payment(&self, _order: &PaymentOrder, _replies: &[HttpReply]) -> Step<PaymentCreated> {
        self.maybe("create_payment");
        Step::Done(PaymentCreated { status: NormalizedStatus::Pending, ..PaymentCreated::default() })
    }

    fn normalize_status(&self, notice: &WebhookNotice, _replies: &[HttpReply]) -> Step<WebhookVerdict> {
        let body: Value = serde_json::from_slice(&notice.body).unwrap_or_default();
        if let Some(how) = body.get("ends_by").and_then(Value::as_str) {
            end(how);
        }
        Step::Done(WebhookVerdict::no_updates())
    }

    fn query_status(&self, payment: &PaymentRef, _replies: &[HttpReply]) -> Step<StatusUpdate> {
        self.maybe("query_status");
        Step::Done(StatusUpdate {
            reference: Some(payment.reference.clone()),
            payment_id: Some(format!("paid-{}", payment.reference)),
            amount: Some(payment.amount.clone()),
            ..StatusUpdate::new(NormalizedStatus::Confirmed, "paid")
        })
    }

    fn cancel_payment(&self, payment: &PaymentRef, _replies: &[HttpReply]) -> Step<StatusUpdate> {
        self.maybe("cancel_payment");
        Step::Done(StatusUpdate {
            reference: Some(payment.reference.clone()),
            ..StatusUpdate::new(NormalizedStatus::Cancelled, "cancelled")
        })
    }
}

impl Drop for EndsProcess {
    fn drop(&mut self) {
        self.maybe("drop");
    }
}

fn end(how: &str) {
    match how {
        "stack" => drop(black_box(deeper(1))),
        "drop" => panic_twice(),
        "allocation" => drop(black_box(Vec::<u8>::with_capacity(isize::MAX.unsigned_abs()))),
        "exit" => std::process::exit(0),
        "abort" => std::process::abort(),
        "never" => loop {
            std::thread::park();
        },
        _ => {}
    }
}

/// On a thread that a thread of this module started, and that the cashier knows nothing of.
fn end_on_own_thread(how: &str) {
    let how = how.to_owned();
    std::thread::spawn(|| {
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            end(&how);
        })
    });
}

/// Deeper than any stack.
fn deeper(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if depth == 0 { 0 } else { deeper(depth.wrapping_add(1)).wrapping_add(frame.iter().sum::<u64>()) }
}

#[expect(clippy::panic, reason = "this module exists to end its process")]
fn panic_twice() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("while unwinding");
        }
    }
    let _panics = Panics;
    panic!("first");
}

/// A value whose destructor runs when its thread ends.
struct EndsWithThread(std::cell::Cell<bool>);

impl Drop for EndsWithThread {
    fn drop(&mut self) {
        if self.0.get() {
            std::process::abort();
        }
    }
}

thread_local! {
    static AT_THREAD_END: EndsWithThread = const { EndsWithThread(std::cell::Cell::new(false)) };
}

cashier_provider_sdk::export_provider!(EndsProcess);
