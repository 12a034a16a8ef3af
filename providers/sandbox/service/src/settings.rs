//! The settings of the service, its limits, and the type that holds secrets.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::ports::{MachineClock, MachineEntropy, SandboxClock, SandboxEntropy};
use crate::switch::Switch;

/// Largest request body: a full payment with 50 metadata pairs is below 40 KiB.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Stored payments; the oldest is dropped. About 20 MB, and more than a day of testing.
pub const PAYMENTS_MAX: usize = 10_000;
/// Stored idempotency keys; the oldest is dropped. One for each payment and one for a refund of it.
pub const KEYS_MAX: usize = 20_000;
/// Refunds of one payment: a webhook lists them all and stays small.
pub const REFUNDS_MAX: usize = 50;
/// Delivery log entries; the oldest completed one is dropped.
pub const DELIVERIES_MAX: usize = 2_000;
/// Deliveries waiting for an attempt at a time; further ones are logged as `dropped`.
pub const DELIVERY_QUEUE_MAX: usize = 500;
/// Payments in one list answer.
pub const LIST_MAX: usize = 100;
/// Connections at a time: a page, a merchant and a test run need few, and file handles stay free.
pub const CONNECTIONS_MAX: usize = 256;
/// For request headers and body: long for a slow machine, short for a stuck client.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// For the merchant's answer to one webhook.
pub const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts per delivery, the first included: the service does not start with a longer schedule.
pub const ATTEMPTS_MAX: usize = 16;

/// Text that is never shown: no `Display`, and a `Debug` that masks.
#[derive(Clone)]
pub struct ServiceSecret(String);

impl ServiceSecret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Another secret than this one, for signatures that must not verify.
    pub(crate) fn altered(&self) -> Self {
        Self(format!("{} altered", self.0))
    }

    /// An empty secret, or one of white space only, protects nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }
}

impl fmt::Debug for ServiceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceSecret(***)")
    }
}

/// The service's settings. `SandboxSettings::new` gives what a test or demo needs.
#[derive(Clone)]
pub struct SandboxSettings {
    /// Where to listen; port 0 takes a free one. Must be loopback unless `allow_remote_listen`.
    pub listen: SocketAddr,
    /// The bearer key of the merchant and control API.
    pub api_key: ServiceSecret,
    /// Signs webhooks; the key is this whole text.
    pub webhook_secret: ServiceSecret,
    /// Shown on the hosted page.
    pub merchant: String,
    /// Start of payment URLs; `None` is `http://` and the bound address.
    pub public_url: Option<String>,
    /// Off: other machines cannot reach the service.
    pub allow_remote_listen: bool,
    /// Off: webhooks go to loopback only, so the service cannot be used to send requests into a network.
    pub allow_remote_notify: bool,
    /// Waits before the second, third … attempt of a delivery.
    pub retry_delays: Vec<Duration>,
    /// Switches of every payment, until `POST /_control/defaults` replaces them and again after a reset.
    pub default_switches: Vec<Switch>,
    pub clock: Arc<dyn SandboxClock>,
    pub entropy: Arc<dyn SandboxEntropy>,
    pub limits: ServiceLimits,
}

/// Limits that a test may lower; no setting raises them above the constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceLimits {
    pub payments: usize,
    pub keys: usize,
    pub deliveries: usize,
    pub delivery_queue: usize,
}

impl Default for ServiceLimits {
    fn default() -> Self {
        Self { payments: PAYMENTS_MAX, keys: KEYS_MAX, deliveries: DELIVERIES_MAX, delivery_queue: DELIVERY_QUEUE_MAX }
    }
}

impl ServiceLimits {
    pub(crate) fn capped(self) -> Self {
        let max = Self::default();
        Self {
            payments: self.payments.min(max.payments),
            keys: self.keys.min(max.keys),
            deliveries: self.deliveries.min(max.deliveries),
            delivery_queue: self.delivery_queue.min(max.delivery_queue),
        }
    }
}

impl SandboxSettings {
    /// Loopback on a free port, the machine's clock and random source, retries after 1, 5, 30 and 120 s.
    pub fn new(api_key: ServiceSecret, webhook_secret: ServiceSecret) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            api_key,
            webhook_secret,
            merchant: "Sandbox merchant".to_owned(),
            public_url: None,
            allow_remote_listen: false,
            allow_remote_notify: false,
            retry_delays: [1, 5, 30, 120].map(Duration::from_secs).to_vec(),
            default_switches: Vec::new(),
            clock: Arc::new(MachineClock),
            entropy: Arc::new(MachineEntropy),
            limits: ServiceLimits::default(),
        }
    }
}
