//! A world: one broker's folder with keys, modules and accounts, the sandbox service beside it, and the cashier running
//! in this process on a clock of the test's. Every world is its own; tests run side by side.

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

use crate::clock::{Pace, SeededEntropy, TestClock};
use crate::customer::Customer;
use crate::http::{Http, Reply};
use crate::manager::Manager;
use crate::sandbox::Sandbox;
use crate::stripe_stub::{self, StripeStub};
use crate::trading::Troubled;
use crate::{places, roster, sandbox};

/// How long a test's tokens are valid; tests that move the clock by days make new ones.
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

/// Tests ask faster than any customer.
pub const NO_PACE: &str = "deposits_per_minute = 0\n";

/// What a world is built of. [`Plan::default`] is what most tests want.
pub struct Plan {
    pub pace: Pace,
    /// Where its clock starts.
    pub start: i64,
    pub roster: Value,
    /// Put a [`Troubled`] trading server in place of the embedded one.
    pub troubled_trading: bool,
    /// Further lines of the settings file.
    pub settings: String,
    /// What the objects of the Stripe peer say of themselves.
    pub live_stripe: bool,
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            pace: Pace::Times(1),
            start: crate::clock::START,
            roster: roster::home(),
            troubled_trading: false,
            settings: NO_PACE.into(),
            live_stripe: false,
            seed: 1,
        }
    }
}

/// A world with its house open.
pub struct World {
    pub clock: TestClock,
    pub sandbox: Sandbox,
    pub stripe: StripeStub,
    /// There when the plan asked for it.
    pub troubled: Option<Arc<Troubled>>,
    pub http: Http,
    pub doors: Listeners,
    house: Option<CashierManager>,
    /// Further lines of the settings file, as the next opening reads them.
    pub settings: String,
    keys: SessionKeys,
    seed: u64,
    folder: TempDir,
}

impl World {
    /// The world of [`Plan::default`].
    pub async fn new() -> Self {
        Self::of(Plan::default()).await
    }

    pub async fn of(plan: Plan) -> Self {
        let folder = tempfile::tempdir().expect("a fresh folder");
        let clock = TestClock::starting(plan.start, plan.pace);
        let sandbox = Sandbox::start(clock.clone(), plan.seed).await;
        let stripe = StripeStub::start(plan.live_stripe).await;
        write_stage(folder.path(), &[sandbox.url(), stripe.url()]);
        let troubled = plan.troubled_trading.then(|| Troubled::open(&folder.path().join("elsewhere")));
        let settings = settings(folder.path(), None, &plan.settings);
        let keys = SessionKeys::parse(&settings.session_keys).expect("keys");
        settle_in(&settings.bases, &plan.roster, troubled.clone()).await;
        let house = open(settings, &clock, plan.seed, troubled.clone()).await;
        Self {
            doors: house.listeners(),
            house: Some(house),
            clock,
            sandbox,
            stripe,
            troubled,
            http: Http::new(),
            keys,
            settings: plan.settings,
            seed: plan.seed,
            folder,
        }
    }

    /// Stops the house.
    pub async fn stop(&mut self) {
        if let Some(house) = self.house.take() {
            house.stop().await;
        }
    }

    /// Opens the house again, in the same folder and at the same doors.
    pub async fn reopen(&mut self) {
        assert!(self.house.is_none(), "the house is open");
        self.seed += 1;
        let settings = settings(self.folder.path(), Some(self.doors), &self.settings);
        let house = open(settings, &self.clock, self.seed, self.troubled.clone()).await;
        self.doors = house.listeners();
        self.house = Some(house);
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.reopen().await;
    }

    pub fn house(&self) -> &CashierManager {
        self.house.as_ref().expect("the house is open")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the house has decided about a transaction, on disk or not yet; nothing while its ledger is closed. Tests learn
    /// from it at which wait a flow stands.
    pub fn decided(&self, id: u64) -> Option<Aggregate> {
        self.house().cashier().ledger.peek(|books| books.aggregate(TransactionId(id))).ok().flatten()
    }

    /// A page of the watching door, such as `readyz`.
    pub async fn watch(&self, page: &str) -> Reply {
        self.http.get(&format!("http://{}/{page}", self.doors.watch), &[]).await
    }

    pub fn customer_door(&self) -> String {
        format!("http://{}", self.doors.customer)
    }

    pub fn manager_door(&self) -> String {
        format!("http://{}", self.doors.manager)
    }

    /// The first customer.
    pub fn customer(&self) -> Customer {
        self.customer_of(roster::CUSTOMER)
    }

    pub fn customer_of(&self, id: u64) -> Customer {
        let token = self.token(Role::Customer, id, None);
        Customer { http: self.http.clone(), door: self.customer_door(), token }
    }

    /// A manager of every brand.
    pub fn manager(&self) -> Manager {
        Manager { http: self.http.clone(), door: self.manager_door(), token: self.token(Role::Manager, 1, None) }
    }

    /// A manager of one brand.
    pub fn manager_of(&self, brand: &str) -> Manager {
        let token = self.token(Role::Manager, 2, Some(brand));
        Manager { http: self.http.clone(), door: self.manager_door(), token }
    }

    pub fn token(&self, role: Role, id: u64, brand: Option<&str>) -> String {
        let now = UnixTime(self.clock.unix());
        issue_token(&self.keys, role, id, brand, TOKEN_SECONDS, now).expect("a token")
    }

    /// Sends a webhook; `path` is what stands behind `/cashier/webhook/`.
    pub async fn webhook(&self, path: &str, header: (&str, &str), body: &[u8]) -> Reply {
        let headers = [header, ("content-type", "application/json")];
        self.http.post(&format!("{}/cashier/webhook/{path}", self.customer_door()), &headers, body.to_vec()).await
    }

    /// Changes the roster while the house runs; the plan must have asked for a troubled trading server.
    pub async fn change_roster(&self, roster: &Value) {
        let (troubled, text) = (self.troubled.clone().expect("a troubled trading server"), roster.to_string());
        let imported = tokio::task::spawn_blocking(move || {
            import::import_text(&text, troubled.embedded()).map(|_| ()).map_err(|error| error.to_string())
        });
        imported.await.expect("the import ends").unwrap_or_else(|error| panic!("{error}"));
    }

    /// The trading server that the plan asked for.
    pub fn troubled(&self) -> &Troubled {
        self.troubled.as_ref().expect("a troubled trading server")
    }

    /// What the trading server says a login holds, such as `250.0 USD`.
    pub async fn balance(&self, login: u64) -> String {
        let login = Login(login);
        // A troubled server is looked into from behind: its mood is for the house.
        let facts = match &self.troubled {
            Some(troubled) => troubled.embedded().account_shown(login),
            None => self.house().cashier().trading.account(login).await,
        };
        facts.expect("the trading server answers").expect("the account is there").account.balance.to_string()
    }

    /// A sandbox config for the first customer's brand, as ops would save it; tests change fields.
    pub fn sandbox_config(&self) -> Value {
        json!({
            "provider": "sandbox", "brand": "ion4", "method": "card", "currency": "USD", "sandbox": 1, "enabled": 1,
            "min_amount": 10, "max_amount": 10000, "secret_key": sandbox::API_KEY,
            "webhook_secret": sandbox::WEBHOOK_SECRET,
            "settings_json": json!({"api_base": self.sandbox.url()}).to_string(),
        })
    }

    /// A Stripe config in test mode that begins payment intents.
    pub fn stripe_config(&self) -> Value {
        json!({
            "provider": "stripe", "brand": "ion4", "method": "card", "currency": "USD", "sandbox": 1, "enabled": 1,
            "min_amount": 10, "max_amount": 10000, "secret_key": stripe_stub::SECRET_KEY,
            "webhook_secret": stripe_stub::WEBHOOK_SECRET,
            "settings_json": json!({"api_base": self.stripe.url(), "flow": "payment_intents"}).to_string(),
        })
    }
}

/// Keys, module list and the folders that ops would make.
pub(crate) fn write_stage(folder: &Path, peers: &[&str]) {
    write(&folder.join("session.key"), &format!("test:{}\n", "5e".repeat(32)));
    write(&folder.join("seal.key"), &format!("1:{}\n", "a7".repeat(32)));
    write(&folder.join("plugins.toml"), &plugins(peers));
    std::fs::create_dir_all(folder.join("bases")).expect("a folder");
}

fn plugins(peers: &[&str]) -> String {
    // Both must be there; the house finds them by name.
    let _ = (places::module("sandbox"), places::module("stripe"));
    let addresses: Vec<String> = peers.iter().map(|url| format!("{:?}", url.trim_start_matches("http://"))).collect();
    let addresses = addresses.join(", ");
    let module = |name: &str| {
        format!("[[module]]\nname = \"{name}\"\nallow_hosts = [\"127.0.0.1\"]\nallow_private = [{addresses}]\n")
    };
    format!("folders = [{:?}]\n\n{}\n{}", places::built(), module("sandbox"), module("stripe"))
}

/// The settings file; ports are the system's to choose unless doors are given.
pub(crate) fn settings_text(doors: Option<Listeners>, further: &str) -> String {
    let address = |pick: fn(&Listeners) -> std::net::SocketAddr| {
        doors.as_ref().map_or_else(|| "127.0.0.1:0".to_owned(), |doors| pick(doors).to_string())
    };
    format!(
        "customer_listen = \"{}\"\nmanager_listen = \"{}\"\nwatch_listen = \"{}\"\n\
         session_keys_file = \"session.key\"\nseal_keys_file = \"seal.key\"\n{further}",
        address(|doors| doors.customer),
        address(|doors| doors.manager),
        address(|doors| doors.watch),
    )
}

fn settings(folder: &Path, doors: Option<Listeners>, further: &str) -> Settings {
    let file = folder.join("cashier.toml");
    write(&file, &settings_text(doors, further));
    Settings::read(&file).expect("the settings mean something")
}

/// Fills the trading server from the roster, as `cashier trading import` does.
pub(crate) async fn settle_in(bases: &Path, roster: &Value, troubled: Option<Arc<Troubled>>) {
    let (bases, text) = (bases.to_path_buf(), roster.to_string());
    let imported = tokio::task::spawn_blocking(move || match troubled {
        Some(troubled) => import::import_text(&text, troubled.embedded()).map(|_| ()),
        None => {
            let server = Embedded::open(&bases).expect("the embedded trading server opens");
            let imported = import::import_text(&text, &server).map(|_| ());
            server.close();
            imported
        }
    });
    imported.await.expect("the import ends").unwrap_or_else(|error| panic!("{error}"));
}

async fn open(settings: Settings, clock: &TestClock, seed: u64, troubled: Option<Arc<Troubled>>) -> CashierManager {
    let machine = Machine {
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(SeededEntropy::new(seed)),
        program: Some(places::cashier()),
    };
    let trading = troubled.map(|troubled| troubled as Arc<dyn TradingServer>);
    CashierManager::open_with(settings, machine, trading).await.unwrap_or_else(|fault| panic!("{fault}"))
}

pub(crate) fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
