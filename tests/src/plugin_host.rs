//! A plugin host alone: real module files, a plugins.toml, configs and orders, without the rest of the cashier.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cashier_core::ids::{ConfigId, CustomerId, Login, Reference, TransactionId};
use cashier_core::money::{Currency, Limit, Money};
use cashier_core::provider_config::{ProviderConfig, Secret};
use cashier_core::time::UnixTime;
use cashier_host::plugins::http_client::{EgressSettings, HttpClient};
use cashier_host::plugins::plugins_toml::library_file_name;
use cashier_host::plugins::{LoadReport, PluginDependencies, PluginSettings, Plugins};
use cashier_host::ports::{CatalogLine, Clock, Entropy, Gateway, Modules, Order, PaymentQuery, RawNotice};
use cashier_host::system::SystemClock;
use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use tempfile::TempDir;

/// The test modules, by their crates.
const PACKAGES: [&str; 13] = [
    "echo",
    "panics",
    "panics-in-descriptor",
    "sleeps",
    "contract-2",
    "changed-record",
    "grown-record",
    "unchecked-layout",
    "aborts",
    "crashes",
    "reaches-out",
    "hangs-in-host",
    "ends-process",
];

/// Unix time at which the clock of these tests starts.
pub const NOW: i64 = 1_750_000_000;

/// The folder of the built test modules. Missing or outdated ones are built first: `cargo test` alone builds no cdylib.
pub fn built() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = profile_folder();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.arg("--target-dir").arg(folder.parent().unwrap_or(&folder));
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        for package in PACKAGES {
            cargo.arg("-p").arg(format!("cashier-provider-{package}"));
        }
        let status = cargo.status();
        assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "cargo build: {status:?}");
        folder
    })
}

/// `target/<profile>`: the test runs in its `deps`.
fn profile_folder() -> PathBuf {
    let deps = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.to_owned()));
    deps.and_then(|deps| Some(deps.parent()?.to_owned())).unwrap_or_default()
}

/// The file of one test module.
pub fn module_file(name: &str) -> PathBuf {
    built().join(library_file_name(name))
}

/// A plugin host with a folder of its own.
pub struct PluginHost {
    pub folder: TempDir,
    pub plugins: Plugins,
    pub clock: Arc<SteppedClock>,
    /// The reports of the first load.
    pub reports: Vec<LoadReport>,
}

impl PluginHost {
    /// Opens the host with this plugins.toml. `probe` is the program that has the module probe.
    pub fn open(probe: &str, plugins_toml: &str) -> Self {
        Self::open_in(tempfile::tempdir().unwrap_or_else(|error| unreachable!("{error}")), probe, plugins_toml)
    }

    /// The same in a folder that holds module files of the test.
    pub fn open_in(folder: TempDir, probe: &str, plugins_toml: &str) -> Self {
        let clock = Arc::new(SteppedClock { system: SystemClock::new(), now: AtomicI64::new(NOW) });
        let settings = PluginSettings {
            file: folder.path().join("plugins.toml"),
            var: folder.path().join("var"),
            module_folders: vec![built().to_owned()],
            program: probe.into(),
            public_url: "https://cashier.test".to_owned(),
        };
        let client = HttpClient::new(&EgressSettings::default()).unwrap_or_else(|error| unreachable!("{error}"));
        let dependencies =
            PluginDependencies { networks: Arc::new(client), clock: clock.clone(), entropy: Arc::new(FixedEntropy) };
        let written = std::fs::write(&settings.file, plugins_toml);
        let opened = written.map_err(|error| error.to_string()).and_then(|()| Plugins::open(settings, dependencies));
        match opened {
            Ok((plugins, reports)) => Self { folder, plugins, clock, reports },
            Err(error) => unreachable!("{error}"),
        }
    }

    /// Replaces plugins.toml and reloads it.
    pub fn reload(&self, plugins_toml: &str) -> Result<Vec<LoadReport>, String> {
        std::fs::write(self.folder.path().join("plugins.toml"), plugins_toml).map_err(|error| error.to_string())?;
        self.plugins.reload()
    }

    /// The catalog line of the module with this name in plugins.toml.
    pub fn line(&self, module_name: &str) -> CatalogLine {
        let line = self.plugins.catalog().iter().find(|line| &*line.module_name == module_name).cloned();
        line.unwrap_or_else(|| unreachable!("no line for {module_name}: {:?}", self.plugins.catalog()))
    }

    pub async fn gateway(&self, config: &ProviderConfig) -> Arc<dyn Gateway> {
        match self.plugins.open_gateway(config).await {
            Ok(gateway) => gateway,
            Err(error) => unreachable!("{error}"),
        }
    }
}

/// An enabled sandbox config for every brand; its webhook secret is `whsec_<id>_canary`.
pub fn config(id: u64, provider: &str) -> ProviderConfig {
    ProviderConfig {
        id: ConfigId(id),
        provider: provider.into(),
        brand: "".into(),
        method: "".into(),
        country: "".into(),
        currency: "".into(),
        merchant_id: "".into(),
        public_key: "".into(),
        secret_key: Secret::new("sk_canary"),
        webhook_secret: Secret::new(&format!("whsec_{id}_canary")),
        replaced_webhook_secrets: Vec::new(),
        settings_json: "".into(),
        config_json: Secret::default(),
        min_amount: Limit::NONE,
        max_amount: Limit::NONE,
        sandbox: true,
        enabled: true,
        sort_index: 0,
        created_time: UnixTime(NOW),
        updated_time: UnixTime(NOW),
        terms_version: 1,
        version: 1,
        unapproved: Vec::new(),
        deleted_time: UnixTime::UNSET,
        account_marks: Vec::new(),
        unreadable: Vec::new(),
    }
}

/// 250.00 USD.
pub fn money() -> Money {
    match Currency::from_code("USD") {
        Some(usd) => Money::new(25_000, usd),
        None => unreachable!("USD is a currency"),
    }
}

/// The order with the reference made of `bits`.
pub fn order(bits: u128) -> Arc<Order> {
    Arc::new(Order {
        transaction_id: TransactionId(1),
        reference: Reference::from_random(bits),
        amount: money(),
        customer_id: CustomerId(7),
        login: Login(70_001),
        brand: "acme".into(),
        country: "AT".into(),
        method: "card".into(),
        idempotency_key: "key-1".into(),
        notify_url: "https://cashier.test/cashier/webhook/echo/1".into(),
        success_url: "https://broker.test/ok".into(),
        failure_url: "https://broker.test/no".into(),
        comment: "".into(),
        metadata_json: "".into(),
        locale: "en".into(),
        ip: "192.0.2.1".into(),
        created_time: UnixTime(NOW),
        nonce: 42,
    })
}

/// A status query about the payment of [`order`].
pub fn payment_query(bits: u128) -> PaymentQuery {
    PaymentQuery {
        reference: Reference::from_random(bits),
        refs: Vec::new(),
        amount: money(),
        method: "card".into(),
        idempotency_key: "key-2".into(),
        created_time: UnixTime(NOW),
        now: UnixTime(NOW + 60),
        nonce: 43,
    }
}

/// A notice of the echo module, signed with `secret`.
pub fn echo_notice(secret: &str, body: &serde_json::Value) -> RawNotice {
    let body = body.to_string();
    let mut mac = match Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC takes keys of every length"),
    };
    mac.update(body.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    RawNotice {
        method: "POST".into(),
        path: "/cashier/webhook/echo/1".into(),
        raw_query: "".into(),
        content_type: "application/json".into(),
        headers: Arc::new([("x-echo-signature".into(), signature.into())]),
        body: body.into(),
        received_time: UnixTime(NOW),
    }
}

/// A wall clock that a test advances; sleeps take real time.
pub struct SteppedClock {
    system: SystemClock,
    now: AtomicI64,
}

impl SteppedClock {
    pub fn advance_seconds(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> UnixTime {
        UnixTime(self.now.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }

    fn sleep(&self, length: Duration) -> BoxFuture<'static, ()> {
        self.system.sleep(length)
    }
}

struct FixedEntropy;

impl Entropy for FixedEntropy {
    fn bits(&self) -> u128 {
        7
    }
}
