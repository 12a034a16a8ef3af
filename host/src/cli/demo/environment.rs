//! The demo's environment: a fresh folder with keys, settings and a trading server, the sandbox payment service as a child
//! process, and the cashier in this process. Everything listens on loopback, and every secret is generated here.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use cashier_core::account::AccountFacts;
use cashier_core::ids::{CustomerId, Login};
use cashier_core::money::Money;
use cashier_core::session::Role;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::app::{CashierManager, Listeners, Machine};
use crate::cli::signals::Signals;
use crate::cli::terminal::{CliError, print_queued};
use crate::http::session::{SessionKeys, issue_token};
use crate::ports::{Clock, Entropy};
use crate::private_files;
use crate::settings::Settings;
use crate::system::{SystemClock, SystemEntropy};
use crate::trading;

/// The accounts of the demo.
const ROSTER: &str = r#"{
  "groups": [{"group": "demo-usd", "brand": "ion4", "currency": "USD", "account_mode": 0, "enable": 1}],
  "customers": [{"customer_id": 5, "country": "DE", "brand": "ion4", "status": 0, "deposit_allowed": 1, "withdrawal_allowed": 1}],
  "accounts": [{"login": 2000009, "customer_id": 5, "group": "demo-usd", "enable": 1, "balance": 0.0}]
}"#;

/// A day, in seconds: long enough to try things.
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

/// Where the demo is built, and whose accounts it has.
pub(super) struct DemoPlace {
    /// `None` is a fresh one among the temporary files.
    pub(super) folder: Option<PathBuf>,
    /// `None` is the embedded one.
    pub(super) trading_server: Option<String>,
    pub(super) trading_secret_file: PathBuf,
}

pub(super) struct DemoEnvironment {
    pub(super) listeners: Listeners,
    pub(super) service_url: String,
    pub(super) service_key: String,
    pub(super) webhook_secret: String,
    pub(super) customer_token: String,
    pub(super) manager_token: String,
    /// The balance of account 2000009 when the demo began.
    pub(super) held_before: Money,
    manager: CashierManager,
    service: Child,
}

impl DemoEnvironment {
    /// `None` where a signal came before it was whole.
    pub(super) async fn create(place: &DemoPlace, signals: &Signals) -> Result<Option<Self>, CliError> {
        let trading = place.trading_server.as_deref().map(|url| trading_settings(url, &place.trading_secret_file));
        let trading = trading.transpose()?;
        let folder = fresh_folder(place.folder.clone())?;
        print_queued(&format!("Demo folder: {}", folder.display()));
        let (service_key, webhook_secret) = (format!("sk_{}", random()), format!("whsec_{}", random()));
        write_private(&folder.join("webhook.secret"), &webhook_secret)?;
        write_private(&folder.join("service.key"), &service_key)?;
        let (mut service, service_url) = tokio::select! {
            started = start_service(&folder) => started?,
            _ = signals.next() => return Ok(None),
        };

        write_private(&folder.join("session.key"), &format!("demo:{}{}\n", random(), random()))?;
        write_private(&folder.join("seal.key"), &format!("1:{}{}\n", random(), random()))?;
        write(&folder.join("plugins.toml"), &plugins(&service_url)?)?;
        write(&folder.join("cashier.toml"), &format!("{SETTINGS}{}", trading.as_deref().unwrap_or_default()))?;
        let settings = Settings::read(&folder.join("cashier.toml"))?;
        match &place.trading_server {
            Some(url) => print_queued(&format!(
                "Trading server: {url}, which has the accounts and balances; nothing is imported."
            )),
            None => {
                let (bases, roster) = (settings.bases.clone(), folder.join("roster.json"));
                let imported = tokio::task::spawn_blocking(move || import_roster(&bases, &roster)).await;
                imported.unwrap_or_else(|_| Err(CliError("importing the roster was interrupted".into())))?;
            }
        }

        let keys = SessionKeys::parse(&settings.session_keys)?;
        let now = SystemClock::new().now();
        let token = |role, id| issue_token(&keys, role, id, None, TOKEN_SECONDS, now).map_err(CliError::from);
        let (customer_token, manager_token) = (token(Role::Customer, 5)?, token(Role::Manager, 1)?);
        let signal = async {
            signals.next().await;
        };
        let Some(manager) = CashierManager::open_unless(settings, Machine::real(), None, signal).await? else {
            end(&mut service).await;
            return Ok(None);
        };
        let listeners = manager.listeners();
        let held_before = match account(&manager).await {
            Ok(facts) => facts.account.balance,
            Err(error) => {
                let stopped = manager.stop().await;
                end(&mut service).await;
                return Err(stopped.map_or_else(CliError::from, |()| error));
            }
        };
        Ok(Some(Self {
            held_before,
            listeners,
            service_url,
            service_key,
            webhook_secret,
            customer_token,
            manager_token,
            manager,
            service,
        }))
    }

    /// The balance of account 2000009 on the trading server, and by how much it grew since the demo began.
    pub(super) async fn balance(&self) -> Result<(Money, Money), CliError> {
        let balance = account(&self.manager).await?.account.balance;
        Ok((balance, Money::new(balance.minor.saturating_sub(self.held_before.minor), balance.currency)))
    }

    pub(super) async fn stop(mut self) -> Result<(), CliError> {
        let stopped = self.manager.stop().await;
        end(&mut self.service).await;
        stopped.map_err(CliError::from)
    }

    /// Commands to copy into a second terminal.
    pub(super) fn print_commands(&self) {
        let Listeners { customer, manager, watch } = self.listeners;
        let Self { customer_token, manager_token, .. } = self;
        print_queued(&format!(
            r#"
The cashier keeps serving. In another terminal:

  CUSTOMER='{customer_token}'
  MANAGER='{manager_token}'

  curl -s 'http://{customer}/cashier/methods?login=2000009' -H "Authorization: $CUSTOMER"
  curl -s 'http://{customer}/cashier/deposit' -H "Authorization: $CUSTOMER" -d '{{"login":2000009,"provider":"sandbox","amount":25.5,"currency":"USD"}}'
  # open the redirect_url of the response in a browser and press Pay, then:
  curl -s 'http://{customer}/cashier/transactions?limit=5' -H "Authorization: $CUSTOMER"
  curl -s 'http://{manager}/manager' -H "Authorization: $MANAGER" -d '{{"command":"MngGetCashierTransaction","extID":"1","data":{{"id":1}}}}'
  curl -s 'http://{watch}/readyz'

Stop with Ctrl-C."#
        ));
    }
}

async fn account(manager: &CashierManager) -> Result<AccountFacts, CliError> {
    let facts = manager.cashier().trading.account(Login(2_000_009)).await?;
    let facts = facts.filter(|facts| facts.customer.customer_id == CustomerId(5));
    facts.ok_or_else(|| CliError("the trading server has no account 2000009 of customer 5".into()))
}

/// The settings of a trading server elsewhere. What it states is read each time, so that every balance that is shown is of now.
fn trading_settings(url: &str, secret_file: &Path) -> Result<String, CliError> {
    let absolute = std::path::absolute(secret_file).map_err(|error| CliError(error.to_string()))?;
    if !absolute.is_file() {
        let file = absolute.display();
        return Err(CliError(format!("{file} is not there: --trading-secret-file names the server's secret")));
    }
    Ok(format!("\n[trading]\nserver = {url:?}\nsecret_file = {absolute:?}\naccount_age_seconds = 0\n"))
}

const SETTINGS: &str = r#"customer_listen = "127.0.0.1:0"
manager_listen = "127.0.0.1:0"
watch_listen = "127.0.0.1:0"
trusted_proxies = ["127.0.0.1", "::1"]
session_keys_file = "session.key"
seal_keys_file = "seal.key"
"#;

fn plugins(service_url: &str) -> Result<String, CliError> {
    let here = binary_folder()?;
    let address = service_url.trim_start_matches("http://");
    let host = address.split(':').next().unwrap_or(address);
    Ok(format!(
        "folders = [{here:?}]\n\n[[module]]\nname = \"sandbox\"\nallow_hosts = [\"{host}\"]\n\
         allow_private = [\"{address}\"]\n\n[[module]]\nname = \"stripe\"\n"
    ))
}

/// Blocks on file I/O.
fn import_roster(bases: &Path, roster: &Path) -> Result<(), CliError> {
    write(roster, ROSTER)?;
    let server = trading::embedded::Embedded::open(bases)?;
    let imported = trading::import::import(roster, &server).map_err(|error| CliError(error.to_string()))?;
    server.close();
    print_queued(&format!("Trading server:\n{}", imported.to_string().trim_end()));
    Ok(())
}

/// Starts the sandbox service, which is beside this binary and prints its address.
async fn start_service(folder: &Path) -> Result<(Child, String), CliError> {
    let program = binary_folder()?.join(format!("cashier-sandbox-service{}", std::env::consts::EXE_SUFFIX));
    let log = std::fs::File::create(folder.join("sandbox-service.log")).map_err(|error| CliError(error.to_string()))?;
    let mut command = Command::new(&program);
    // What a terminal sends to the demo (Ctrl-Z, Ctrl-C) neither stops nor ends the service alone.
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command
        .args(["--listen", "127.0.0.1:0", "--merchant", "ion4", "--end-with-input"])
        .arg("--api-key-file")
        .arg(folder.join("service.key"))
        .arg("--webhook-secret-file")
        .arg(folder.join("webhook.secret"))
        // It ends with this pipe, also where this program is killed, or replaced because a module does not open.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| CliError(format!("{}: {error} (build it first)", program.display())))?;
    let output = child.stdout.take().ok_or_else(|| CliError("the sandbox service has no output".into()))?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).await.map_err(|error| CliError(error.to_string()))?;
    let url = line.trim().strip_prefix("listening on ").map(str::to_owned);
    let url = url.ok_or_else(|| CliError(format!("the sandbox service did not start: {line}")))?;
    print_queued(&format!("Sandbox payment service: {url}"));
    Ok((child, url))
}

/// A service that has already exited is ended too.
async fn end(service: &mut Child) {
    let _ = service.kill().await;
}

fn binary_folder() -> Result<PathBuf, CliError> {
    let binary = std::env::current_exe().map_err(|error| CliError(error.to_string()))?;
    binary.parent().map(Path::to_path_buf).ok_or_else(|| CliError("this binary has no folder".into()))
}

fn fresh_folder(folder: Option<PathBuf>) -> Result<PathBuf, CliError> {
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().join(format!("cashier-demo-{}", random())));
    if folder.exists() {
        return Err(CliError(format!("{} exists already: the demo needs a fresh folder", folder.display())));
    }
    private_files::create_folder(&folder)?;
    Ok(folder)
}

fn random() -> String {
    format!("{:032x}", SystemEntropy.bits())
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    std::fs::write(path, text).map_err(|error| CliError(format!("{}: {error}", path.display())))
}

/// Writes a file that only its owner can read, from its first byte on.
fn write_private(path: &Path, text: &str) -> Result<(), CliError> {
    let mut file = private_files::open(path)?;
    file.write_all(text.as_bytes()).map_err(|error| CliError(format!("{}: {error}", path.display())))
}
