//! What the service is started with, its limits, and how secrets are held.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::ports::{Clock, Entropy, SystemClock, SystemEntropy};
use crate::switch::Switch;

/// Largest request body: a full payment with 50 metadata pairs is below 40 KiB.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Payments kept; the oldest gives way. About 20 MB, and more than a day of trying.
pub const PAYMENTS_MAX: usize = 10_000;
/// Idempotency keys kept; the oldest gives way. One for each payment and one for a refund of it.
pub const KEYS_MAX: usize = 20_000;
/// Refunds of one payment: a webhook shows them all and stays small.
pub const REFUNDS_MAX: usize = 50;
/// Delivery log entries kept; the oldest settled one gives way.
pub const DELIVERIES_MAX: usize = 2_000;
/// Deliveries waiting for an attempt at a time; beyond, they are logged as `dropped`.
pub const DELIVERY_QUEUE_MAX: usize = 500;
/// Payments in one list answer.
pub const LIST_MAX: usize = 100;
/// Connections at a time: a page, a merchant and a test run need few, and file handles stay free.
pub const CONNECTIONS_MAX: usize = 256;
/// Waiting for request headers and body: long for a slow machine, short for a stuck client.
pub const REQUEST_PATIENCE: Duration = Duration::from_secs(5);
/// Waiting for the merchant's answer to one webhook.
pub const WEBHOOK_PATIENCE: Duration = Duration::from_secs(10);
/// Attempts per delivery, the first included; longer schedules are cut.
pub const ATTEMPTS_MAX: usize = 8;

/// Text that is never shown: no `Display`, and a `Debug` that masks.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Another secret than this one, for signatures that must not verify.
    pub(crate) fn spoilt(&self) -> Self {
        Self(format!("{} spoilt", self.0))
    }

    /// An empty or blank secret protects nothing.
    pub(crate) fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Everything the service needs to know. `SandboxSettings::new` gives what a test or demo wants.
#[derive(Clone)]
pub struct SandboxSettings {
    /// Where to listen; port 0 takes a free one. Must be loopback unless `allow_remote_listen`.
    pub listen: SocketAddr,
    /// The bearer key of the merchant and control API.
    pub api_key: Secret,
    /// Signs webhooks; the key is this whole text.
    pub webhook_secret: Secret,
    /// Shown on the hosted page.
    pub merchant: String,
    /// Start of payment URLs; `None` is `http://` and the bound address.
    pub public_url: Option<String>,
    /// Off: other machines cannot reach the service.
    pub allow_remote_listen: bool,
    /// Off: webhooks go to loopback only, so the service cannot be used to reach into a network.
    pub allow_remote_notify: bool,
    /// Waits before the second, third … attempt of a delivery.
    pub retry_delays: Vec<Duration>,
    /// Switches of every payment, until `POST /_control/defaults` says otherwise and again after a reset.
    pub default_switches: Vec<Switch>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub limits: Limits,
}

/// Limits that a test may shrink; no setting raises them above the constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub payments: usize,
    pub keys: usize,
    pub deliveries: usize,
    pub delivery_queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { payments: PAYMENTS_MAX, keys: KEYS_MAX, deliveries: DELIVERIES_MAX, delivery_queue: DELIVERY_QUEUE_MAX }
    }
}

impl Limits {
    pub(crate) fn capped(self) -> Self {
        let most = Self::default();
        Self {
            payments: self.payments.min(most.payments),
            keys: self.keys.min(most.keys),
            deliveries: self.deliveries.min(most.deliveries),
            delivery_queue: self.delivery_queue.min(most.delivery_queue),
        }
    }
}

impl SandboxSettings {
    /// Loopback on a free port, the machine's clock and randomness, retries after 1, 5, 30 and 120 s.
    pub fn new(api_key: Secret, webhook_secret: Secret) -> Self {
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
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            limits: Limits::default(),
        }
    }
}
