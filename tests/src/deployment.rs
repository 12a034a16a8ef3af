//! A deployment: one broker's folder with keys, modules and accounts, the sandbox service, a Stripe stub, and the cashier
//! running in this process on a clock that the test controls. Deployments share nothing, so tests run in parallel.

use std::path::Path;
use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::ids::{Login, TransactionId};
use cashier_core::session::Role;
use cashier_core::time::UnixTime;
use cashier_host::app::{CashierManager, Listeners, Machine};
use cashier_host::http::session::{SessionKeys, issue_token};
use cashier_host::ports::TradingServer;
use cashier_host::settings::Settings;
use cashier_host::trading::embedded::Embedded;
use cashier_host::trading::import;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::clock::{ClockSpeed, DeploymentClock, TestEntropy};
use crate::customer::CustomerClient;
use crate::faulty_trading::FaultyTradingServer;
use crate::http::{Http, HttpAnswer};
use crate::manager::ManagerClient;
use crate::sandbox::TestSandbox;
use crate::stripe_stub::{self, StripeStub};
use crate::waiting::eventually;
use crate::{artifacts, roster, sandbox};

/// How long a test's tokens are valid; tests that move the clock by days make new ones.
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

/// Tests send more requests than a customer may, and wait for no balancer when they stop.
pub const NO_RATE_LIMIT: &str = "deposits_per_minute = 0\nopen_deposits_max = 0\nstored_bytes_per_customer_max = 0\n\
                                 stop_delay_seconds = 0\n";

/// What a deployment is built of. [`DeploymentPlan::default`] suits most tests.
pub struct DeploymentPlan {
    pub clock_speed: ClockSpeed,
    /// Unix time at which its clock starts.
    pub start: i64,
    pub roster: Value,
    /// Use a [`FaultyTradingServer`] in place of the embedded one.
    pub faulty_trading: bool,
    /// Further lines of the settings file.
    pub settings: String,
    /// `livemode` of the Stripe stub's objects.
    pub live_stripe: bool,
    pub seed: u64,
}

impl Default for DeploymentPlan {
    fn default() -> Self {
        Self {
            clock_speed: ClockSpeed::Times(1),
            start: crate::clock::START,
            roster: roster::standard(),
            faulty_trading: false,
            settings: NO_RATE_LIMIT.into(),
            live_stripe: false,
            seed: 1,
        }
    }
}

/// A deployment whose cashier runs.
pub struct Deployment {
    pub clock: DeploymentClock,
    pub sandbox: TestSandbox,
    pub stripe: StripeStub,
    /// Set when the plan requires it.
    pub faulty_server: Option<Arc<FaultyTradingServer>>,
    pub http: Http,
    pub addresses: Listeners,
    running: Option<CashierManager>,
    /// Further lines of the settings file, read at the next start.
    pub settings: String,
    keys: SessionKeys,
    seed: u64,
    folder: TempDir,
}

impl Deployment {
    /// Starts the deployment of [`DeploymentPlan::default`].
    pub async fn new() -> Self {
        Self::of(DeploymentPlan::default()).await
    }

    pub async fn of(plan: DeploymentPlan) -> Self {
        let folder = tempfile::tempdir().expect("a fresh folder");
        let clock = DeploymentClock::starting(plan.start, plan.clock_speed);
        let sandbox = TestSandbox::start(clock.clone(), plan.seed).await;
        let stripe = StripeStub::start(plan.live_stripe).await;
        write_files(folder.path(), &[sandbox.url(), stripe.url()], plan.clock_speed);
        let faulty_server = plan.faulty_trading.then(|| FaultyTradingServer::open(&folder.path().join("elsewhere")));
        let settings = settings(folder.path(), None, &plan.settings);
        let keys = SessionKeys::parse(&settings.session_keys).expect("keys");
        import_roster(&settings.bases, &plan.roster, faulty_server.clone()).await;
        let running = open(settings, &clock, plan.seed, faulty_server.clone()).await;
        Self {
            addresses: running.listeners(),
            running: Some(running),
            clock,
            sandbox,
            stripe,
            faulty_server,
            http: Http::new(),
            keys,
            settings: plan.settings,
            seed: plan.seed,
            folder,
        }
    }

    /// Stops the cashier.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            // A test whose disk fails finds that by what is missing.
            let _ = running.stop().await;
        }
    }

    /// Starts the cashier again, in the same folder and at the same addresses.
    pub async fn start_again(&mut self) {
        assert!(self.running.is_none(), "the cashier runs already");
        self.seed += 1;
        let settings = settings(self.folder.path(), Some(self.addresses), &self.settings);
        let running = open(settings, &self.clock, self.seed, self.faulty_server.clone()).await;
        self.addresses = running.listeners();
        self.running = Some(running);
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    pub fn running(&self) -> &CashierManager {
        self.running.as_ref().expect("the cashier runs")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The rows of a transaction as the ledger has decided them, durable or not; nothing while the ledger is closed. Tests
    /// use it to know how far a flow has come.
    pub fn decided(&self, id: u64) -> Option<Aggregate> {
        self.running().cashier().ledger.peek(|books| books.aggregate(TransactionId(id))).ok().flatten()
    }

    /// A page of the watch listener, such as `readyz`.
    pub async fn watch(&self, page: &str) -> HttpAnswer {
        self.http.get(&format!("http://{}/{page}", self.addresses.watch), &[]).await
    }

    pub fn customer_url(&self) -> String {
        format!("http://{}", self.addresses.customer)
    }

    pub fn manager_url(&self) -> String {
        format!("http://{}", self.addresses.manager)
    }

    /// The first customer.
    pub fn customer(&self) -> CustomerClient {
        self.customer_of(roster::CUSTOMER)
    }

    pub fn customer_of(&self, id: u64) -> CustomerClient {
        let token = self.token(Role::Customer, id, None);
        CustomerClient { http: self.http.clone(), url: self.customer_url(), token }
    }

    /// A manager of every brand.
    pub fn manager(&self) -> ManagerClient {
        ManagerClient { http: self.http.clone(), url: self.manager_url(), token: self.token(Role::Manager, 1, None) }
    }

    /// A manager of one brand.
    pub fn manager_of(&self, brand: &str) -> ManagerClient {
        let token = self.token(Role::Manager, 2, Some(brand));
        ManagerClient { http: self.http.clone(), url: self.manager_url(), token }
    }

    pub fn token(&self, role: Role, id: u64, brand: Option<&str>) -> String {
        let now = UnixTime(self.clock.unix());
        issue_token(&self.keys, role, id, brand, TOKEN_SECONDS, now).expect("a token")
    }

    /// Sends a webhook to `/cashier/webhook/<path>`.
    pub async fn webhook(&self, path: &str, header: (&str, &str), body: &[u8]) -> HttpAnswer {
        let headers = [header, ("content-type", "application/json")];
        self.http.post(&format!("{}/cashier/webhook/{path}", self.customer_url()), &headers, body.to_vec()).await
    }

    /// Changes the roster while the cashier runs; the plan must set `faulty_trading`.
    pub async fn change_roster(&self, roster: &Value) {
        let (faulty_server, text) = (self.faulty_server.clone().expect("a faulty trading server"), roster.to_string());
        let imported = tokio::task::spawn_blocking(move || {
            import::import_text(&text, faulty_server.embedded()).map(|_| ()).map_err(|error| error.to_string())
        });
        imported.await.expect("the import ends").unwrap_or_else(|error| panic!("{error}"));
    }

    /// The faulty trading server of the plan.
    pub fn faulty_server(&self) -> &FaultyTradingServer {
        self.faulty_server.as_ref().expect("a faulty trading server")
    }

    /// The balance of a login at the trading server, such as `250.0 USD`.
    pub async fn balance(&self, login: u64) -> String {
        let login = Login(login);
        // The faults of a faulty server are for the cashier, not for the test.
        let facts = match &self.faulty_server {
            Some(faulty_server) => faulty_server.embedded().durable_account(login),
            None => self.running().cashier().trading.account(login).await,
        };
        facts.expect("the trading server answers").expect("the account is there").account.balance.to_string()
    }

    /// A sandbox config for the first customer's brand as an operator saves it; tests change fields.
    pub fn sandbox_config(&self) -> Value {
        json!({
            "provider": "sandbox", "brand": "ion4", "method": "card", "currency": "USD", "sandbox": 1, "enabled": 1,
            "min_amount": 10, "max_amount": 10000, "secret_key": sandbox::API_KEY,
            "webhook_secret": sandbox::WEBHOOK_SECRET,
            "settings_json": json!({"api_base": self.sandbox.url()}).to_string(),
        })
    }

    /// A Stripe config in test mode that creates payment intents.
    pub fn stripe_config(&self) -> Value {
        json!({
            "provider": "stripe", "brand": "ion4", "method": "card", "currency": "USD", "sandbox": 1, "enabled": 1,
            "min_amount": 10, "max_amount": 10000, "secret_key": stripe_stub::SECRET_KEY,
            "webhook_secret": stripe_stub::WEBHOOK_SECRET,
            "settings_json": json!({"api_base": self.stripe.url(), "flow": "payment_intents"}).to_string(),
        })
    }
}

/// How long one call into a module may take by the machine's clock, in milliseconds: what plugins.toml has without a word.
const CALL_MS: u32 = 2_000;

/// Writes keys and module list, and makes the folders.
pub(crate) fn write_files(folder: &Path, peers: &[&str], clock_speed: ClockSpeed) {
    write(&folder.join("session.key"), &format!("test:{}\n", "5e".repeat(32)));
    write(&folder.join("seal.key"), &format!("1:{}\n", "a7".repeat(32)));
    #[cfg(unix)]
    for key in ["session.key", "seal.key"] {
        let owner_alone = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(folder.join(key), owner_alone).expect("a file of ours");
    }
    write(&folder.join("plugins.toml"), &plugins(peers, clock_speed));
    std::fs::create_dir_all(folder.join("bases")).expect("a folder");
}

fn plugins(peers: &[&str], clock_speed: ClockSpeed) -> String {
    // Both must be built; the cashier finds them by name.
    let _ = (artifacts::module("sandbox"), artifacts::module("stripe"));
    let addresses: Vec<String> = peers.iter().map(|url| format!("{:?}", url.trim_start_matches("http://"))).collect();
    let addresses = addresses.join(", ");
    // A clock that runs faster must leave a call as long as the machine's own: otherwise a busy one is late.
    let call_ms = match clock_speed {
        ClockSpeed::Stopped | ClockSpeed::Times(0) => CALL_MS,
        ClockSpeed::Times(times) => CALL_MS * times,
    };
    let module = |name: &str| {
        format!(
            "[[module]]\nname = \"{name}\"\nallow_hosts = [\"127.0.0.1\"]\nallow_private = [{addresses}]\n\
             limits = {{ call_ms = {call_ms} }}\n"
        )
    };
    format!("folders = [{:?}]\n\n{}\n{}", artifacts::built(), module("sandbox"), module("stripe"))
}

/// The settings file; the system chooses the ports unless addresses are given.
pub(crate) fn settings_text(addresses: Option<Listeners>, further: &str) -> String {
    let address = |pick: fn(&Listeners) -> std::net::SocketAddr| {
        addresses.as_ref().map_or_else(|| "127.0.0.1:0".to_owned(), |addresses| pick(addresses).to_string())
    };
    format!(
        "customer_listen = \"{}\"\nmanager_listen = \"{}\"\nwatch_listen = \"{}\"\n\
         session_keys_file = \"session.key\"\nseal_keys_file = \"seal.key\"\n{further}",
        address(|addresses| addresses.customer),
        address(|addresses| addresses.manager),
        address(|addresses| addresses.watch),
    )
}

fn settings(folder: &Path, addresses: Option<Listeners>, further: &str) -> Settings {
    let file = folder.join("cashier.toml");
    write(&file, &settings_text(addresses, further));
    Settings::read(&file).expect("the settings are valid")
}

/// Imports the roster into the trading server, as `cashier trading import` does.
pub(crate) async fn import_roster(bases: &Path, roster: &Value, faulty_server: Option<Arc<FaultyTradingServer>>) {
    let (bases, text) = (bases.to_path_buf(), roster.to_string());
    let imported = tokio::task::spawn_blocking(move || match faulty_server {
        Some(faulty_server) => import::import_text(&text, faulty_server.embedded()).map(|_| ()),
        None => {
            let server = Embedded::open(&bases).expect("the embedded trading server opens");
            let imported = import::import_text(&text, &server).map(|_| ());
            server.close();
            imported
        }
    });
    imported.await.expect("the import ends").unwrap_or_else(|error| panic!("{error}"));
}

async fn open(
    settings: Settings,
    clock: &DeploymentClock,
    seed: u64,
    faulty_server: Option<Arc<FaultyTradingServer>>,
) -> CashierManager {
    let machine = || Machine {
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(TestEntropy::new(seed)),
        program: Some(artifacts::cashier()),
    };
    let trading = || faulty_server.clone().map(|faulty_server| faulty_server as Arc<dyn TradingServer>);
    // For a moment a connection of another test may hold the port of a stopped cashier.
    eventually("the cashier to start", async || {
        match CashierManager::open_with(settings.clone(), machine(), trading()).await {
            Ok(running) => Some(running),
            Err(fault) if fault.to_string().contains("Address already in use") => None,
            Err(fault) => panic!("{fault}"),
        }
    })
    .await
}

pub(crate) fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
