//! The demo's world: a fresh folder with keys, modules and a trading server, the sandbox payment service as a process of
//! its own, and the cashier in this one. Everything is on loopback and everything secret is made on the spot.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use cashier_core::ids::Login;
use cashier_core::session::Role;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::app::{CashierManager, Listeners};
use crate::cli::{CliError, say};
use crate::http::session::{SessionKeys, issue_token, parse_keys};
use crate::ports::{Clock, Entropy};
use crate::private_files;
use crate::settings::Settings;
use crate::system::{SystemClock, SystemEntropy};
use crate::trading;

/// Who lives in the demo.
const ROSTER: &str = r#"{
  "groups": [{"group": "demo-usd", "brand": "ion4", "currency": "USD", "account_mode": 0, "enable": 1}],
  "customers": [{"customer_id": 5, "country": "DE", "brand": "ion4", "status": 0, "deposit_allowed": 1, "withdrawal_allowed": 1}],
  "accounts": [{"login": 2000009, "customer_id": 5, "group": "demo-usd", "enable": 1, "balance": 0.0}]
}"#;

/// A day, in seconds: long enough to play.
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

pub(super) struct World {
    pub(super) listeners: Listeners,
    pub(super) service_url: String,
    pub(super) service_key: String,
    pub(super) webhook_secret: String,
    pub(super) customer_token: String,
    pub(super) manager_token: String,
    manager: CashierManager,
    service: Child,
}

impl World {
    pub(super) async fn build(folder: Option<PathBuf>) -> Result<Self, CliError> {
        let folder = fresh_folder(folder)?;
        say(&format!("The world of this demo is in {}", folder.display()));
        let (service_key, webhook_secret) = (format!("sk_{}", random()), format!("whsec_{}", random()));
        write_private(&folder.join("webhook.secret"), &webhook_secret)?;
        write_private(&folder.join("service.key"), &service_key)?;
        let (service, service_url) = start_service(&folder).await?;

        write_private(&folder.join("session.key"), &format!("demo:{}{}\n", random(), random()))?;
        write_private(&folder.join("seal.key"), &format!("1:{}{}\n", random(), random()))?;
        write(&folder.join("plugins.toml"), &plugins(&service_url)?)?;
        write(&folder.join("cashier.toml"), SETTINGS)?;
        let settings = Settings::read(&folder.join("cashier.toml"))?;
        let (bases, roster) = (settings.bases.clone(), folder.join("roster.json"));
        let filled = tokio::task::spawn_blocking(move || fill_trading_server(&bases, &roster)).await;
        filled.unwrap_or_else(|_| Err(CliError("filling the trading server was interrupted".into())))?;

        let keys = parse_keys(&settings.session_keys)
            .and_then(SessionKeys::new)
            .map_err(|error| CliError(error.to_string()))?;
        let now = SystemClock::new().now();
        let token = |role, id| issue_token(&keys, role, id, None, TOKEN_SECONDS, now).map_err(CliError::from);
        let (customer_token, manager_token) = (token(Role::Customer, 5)?, token(Role::Manager, 1)?);
        let manager = CashierManager::open(settings).await?;
        let listeners = manager.listeners();
        Ok(Self {
            listeners,
            service_url,
            service_key,
            webhook_secret,
            customer_token,
            manager_token,
            manager,
            service,
        })
    }

    /// What the trading server says account 2000009 holds.
    pub(super) async fn balance(&self) -> Result<String, CliError> {
        let facts = self.manager.cashier().trading.account(Login(2_000_009)).await?;
        facts.map(|facts| facts.account.balance.to_string()).ok_or_else(|| CliError("the account is gone".into()))
    }

    pub(super) async fn stop(mut self) {
        self.manager.stop().await;
        // It holds nothing worth keeping; a service that is gone already is stopped too.
        let _ = self.service.kill().await;
    }

    /// Ready-made lines for a second terminal.
    pub(super) fn print_try_it(&mut self) -> Result<(), CliError> {
        let Listeners { customer, manager, watch } = self.listeners;
        say("\nIt keeps serving. In another terminal:\n");
        say(&format!("  CUSTOMER='{}'", self.customer_token));
        say(&format!("  MANAGER='{}'\n", self.manager_token));
        say(&format!("  curl -s 'http://{customer}/cashier/methods?login=2000009' -H \"Authorization: $CUSTOMER\""));
        say(&format!(
            "  curl -s 'http://{customer}/cashier/deposit' -H \"Authorization: $CUSTOMER\" \
             -d '{{\"login\":2000009,\"provider\":\"sandbox\",\"amount\":25.5,\"currency\":\"USD\"}}'"
        ));
        say("  # open the answer's redirect_url in a browser and press Pay, then:");
        say(&format!("  curl -s 'http://{customer}/cashier/transactions?limit=5' -H \"Authorization: $CUSTOMER\""));
        say(&format!(
            "  curl -s 'http://{manager}/manager' -H \"Authorization: $MANAGER\" \
             -d '{{\"command\":\"MngGetCashierTransaction\",\"extID\":\"1\",\"data\":{{\"id\":1}}}}'"
        ));
        say(&format!("  curl -s 'http://{watch}/readyz'"));
        say("\nStop with Ctrl-C.");
        Ok(())
    }
}

const SETTINGS: &str = r#"customer_listen = "127.0.0.1:0"
manager_listen = "127.0.0.1:0"
watch_listen = "127.0.0.1:0"
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

/// Blocks on the disk.
fn fill_trading_server(bases: &Path, roster: &Path) -> Result<(), CliError> {
    write(roster, ROSTER)?;
    let server = trading::embedded::Embedded::open(bases)?;
    let imported = trading::import::import(roster, &server).map_err(|error| CliError(error.to_string()))?;
    server.close();
    say(&format!("Trading server:\n{}", imported.to_string().trim_end()));
    Ok(())
}

/// The sandbox service, found beside this binary; it prints where it listens.
async fn start_service(folder: &Path) -> Result<(Child, String), CliError> {
    let program = binary_folder()?.join(format!("cashier-sandbox-service{}", std::env::consts::EXE_SUFFIX));
    let log = std::fs::File::create(folder.join("sandbox-service.log")).map_err(|error| CliError(error.to_string()))?;
    let mut child = Command::new(&program)
        .args(["--listen", "127.0.0.1:0", "--merchant", "ion4"])
        .arg("--api-key-file")
        .arg(folder.join("service.key"))
        .arg("--webhook-secret-file")
        .arg(folder.join("webhook.secret"))
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
    say(&format!("Sandbox payment service: {url}"));
    Ok((child, url))
}

fn binary_folder() -> Result<PathBuf, CliError> {
    let binary = std::env::current_exe().map_err(|error| CliError(error.to_string()))?;
    binary.parent().map(Path::to_path_buf).ok_or_else(|| CliError("this binary has no folder".into()))
}

fn fresh_folder(folder: Option<PathBuf>) -> Result<PathBuf, CliError> {
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().join(format!("cashier-demo-{}", random())));
    if folder.exists() {
        return Err(CliError(format!("{} is there already: the demo wants a fresh folder", folder.display())));
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

/// A file that its owner alone can read, from its first byte on.
fn write_private(path: &Path, text: &str) -> Result<(), CliError> {
    let mut file = private_files::open(path)?;
    file.write_all(text.as_bytes()).map_err(|error| CliError(format!("{}: {error}", path.display())))
}
