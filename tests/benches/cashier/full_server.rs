//! A cashier for one figure: the shipped program `cashier serve` on a fresh folder, with modules, a trading server with
//! accounts, and configs created through the manager listener, as an operator does.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use cashier_host::trading::embedded::Embedded;
use cashier_host::trading::import;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::syncs::SyncTrace;
use crate::token::{ADMIN, SESSION_KEY, token};
use crate::{BenchResult, http};

/// Customers 1 to this, each with one demo account in dollars. Enough that no customer reaches a rate limit.
pub(crate) const CUSTOMERS: u64 = 2_000;
/// Customer n has login this + n.
pub(crate) const LOGIN_BASE: u64 = 2_000_000;

/// The keys that seal credentials, as the host and a raw strand read them.
pub(crate) const SEAL_RING: &str = "1:0707070707070707070707070707070707070707070707070707070707070707";

/// Built before anything is measured: `cargo bench` builds no programs and libraries of other crates.
const PACKAGES: [&str; 4] =
    ["cashier-host", "cashier-provider-echo", "cashier-provider-sandbox", "cashier-provider-stripe"];

/// Builds the program and the modules in the profile of this bench.
pub(crate) fn build() -> BenchResult<()> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--quiet"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.arg("--target-dir").arg(programs()?.parent().ok_or("no target folder")?);
    for package in PACKAGES {
        cargo.arg("-p").arg(package);
    }
    let status = cargo.status()?;
    if status.success() { Ok(()) } else { Err(format!("cargo build: {status}").into()) }
}

/// `target/release`: this program runs in its `deps`.
fn programs() -> BenchResult<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().and_then(Path::parent).ok_or("this program has no folder")?;
    Ok(folder.to_owned())
}

/// A running program that ends with its owner, and what it prints.
pub(crate) struct ChildProgram {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl ChildProgram {
    pub(crate) fn start(mut command: Command) -> BenchResult<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or("no output")?;
        Ok(Self { child, output: BufReader::new(output) })
    }

    /// This same program with other arguments.
    pub(crate) fn role(arguments: &[&str]) -> BenchResult<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments);
        Self::start(command)
    }

    pub(crate) fn line(&mut self) -> BenchResult<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line)? {
            0 => Err(format!("{:?} ended early", self.child).into()),
            _ => Ok(line.trim().to_owned()),
        }
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> BenchResult<u64> {
        self.status_bytes("VmRSS:")
    }

    /// Resident memory at its peak, in bytes.
    pub(crate) fn peak_bytes(&self) -> BenchResult<u64> {
        self.status_bytes("VmHWM:")
    }

    fn status_bytes(&self, name: &str) -> BenchResult<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(|| format!("no {name}"))?;
        let kilobytes: u64 = line.split_whitespace().next().ok_or("no number")?.parse()?;
        Ok(kilobytes * 1024)
    }

    /// Asks the program to stop and waits until it has.
    fn stop(&mut self) -> BenchResult<()> {
        let asked = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status()?;
        if !asked.success() {
            return Err("the program takes no signal".into());
        }
        let ended = self.child.wait()?;
        if ended.success() { Ok(()) } else { Err(format!("the program stopped with {ended}").into()) }
    }
}

impl Drop for ChildProgram {
    fn drop(&mut self) {
        // Both fail only when the child has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The running cashier.
pub(crate) struct BenchServer {
    pub program: ChildProgram,
    pub customer: SocketAddr,
    pub manager: SocketAddr,
    pub watch: SocketAddr,
    /// From the start of the program until it was ready.
    pub opened_in: Duration,
    /// Removed last.
    folder: TempDir,
}

impl BenchServer {
    /// Starts a cashier with these modules; `provider` is an address on this machine that they may reach.
    pub(crate) fn open(modules: &[&str], provider: Option<SocketAddr>) -> BenchResult<Self> {
        Self::open_in(tempfile::tempdir()?, modules, provider)
    }

    /// The same on a folder whose `bases/cashier.db` may have rows in it.
    pub(crate) fn open_in(folder: TempDir, modules: &[&str], provider: Option<SocketAddr>) -> BenchResult<Self> {
        write_files(folder.path(), modules, provider)?;
        Self::start(folder, None)
    }

    /// Starts it on a folder that has its files.
    pub(crate) fn start(folder: TempDir, syncs: Option<&SyncTrace>) -> BenchResult<Self> {
        let (root, program) = (folder.path(), programs()?.join("cashier"));
        let mut command = syncs.map_or_else(|| Command::new(&program), |trace| trace.command(&program));
        command.arg("serve").arg("--settings").arg(root.join("cashier.toml"));
        command.stderr(std::fs::File::create(root.join("log"))?);
        let begun = Instant::now();
        let mut program = ChildProgram::start(command)?;
        let addresses =
            (listener(&mut program, "customers"), listener(&mut program, "manager"), listener(&mut program, "health"));
        let opened_in = begun.elapsed();
        let (Ok(customer), Ok(manager), Ok(watch)) = addresses else {
            return Err(std::fs::read_to_string(root.join("log"))?.into());
        };
        Ok(Self { program, customer, manager, watch, opened_in, folder })
    }

    /// Stops it in order and keeps its folder.
    pub(crate) fn stop(mut self) -> BenchResult<TempDir> {
        self.program.stop()?;
        Ok(self.folder)
    }

    /// The folder of both databases.
    pub(crate) fn bases(&self) -> PathBuf {
        self.folder.path().join("bases")
    }

    /// Makes an enabled sandbox config; returns its id.
    pub(crate) fn configure(&self, provider: &str, more: &Value) -> BenchResult<u64> {
        let mut data = json!({
            "provider": provider, "brand": "ion4", "webhook_secret": "whsec_bench", "sandbox": 1, "enabled": 1,
        });
        if let (Some(data), Some(more)) = (data.as_object_mut(), more.as_object()) {
            data.extend(more.clone());
        }
        let answer = self.command("MngUpdateCashierProviderConfig", &data)?;
        answer.pointer("/data/provider/id").and_then(Value::as_u64).ok_or_else(|| format!("{answer}").into())
    }

    /// Sends one manager command and returns the whole answer.
    pub(crate) fn command(&self, command: &str, data: &Value) -> BenchResult<Value> {
        let body = json!({"command": command, "extID": "1", "data": data, "__token": token(ADMIN, 1)}).to_string();
        let (status, answer) = http::send_once(self.manager, &http::post("/manager", &[], &body))?;
        if status == 200 { Ok(serde_json::from_str(&answer)?) } else { Err(format!("{command}: {answer}").into()) }
    }
}

/// Reads `customers  http://127.0.0.1:1234…` from the program's output.
fn listener(program: &mut ChildProgram, name: &str) -> BenchResult<SocketAddr> {
    let line = program.line()?;
    let url = line.strip_prefix(name).map(str::trim).and_then(|url| url.strip_prefix("http://"));
    let address = url.and_then(|url| url.split('/').next()).ok_or_else(|| format!("no {name} url: {line}"))?;
    Ok(address.parse()?)
}

/// Keys, settings, modules and accounts.
pub(crate) fn write_files(root: &Path, modules: &[&str], provider: Option<SocketAddr>) -> BenchResult<()> {
    std::fs::write(root.join("session.key"), format!("bench:{}\n", hex::encode(SESSION_KEY)))?;
    std::fs::write(root.join("seal.key"), format!("{SEAL_RING}\n"))?;
    std::fs::write(
        root.join("cashier.toml"),
        "customer_listen = \"127.0.0.1:0\"\nmanager_listen = \"127.0.0.1:0\"\nwatch_listen = \"127.0.0.1:0\"\n\
         deposits_per_minute = 0\nopen_deposits_max = 0\nsession_lifetime_max = 4294967295\nstop_delay_seconds = 0\nsession_keys_file = \"session.key\"\n\
         seal_keys_file = \"seal.key\"\n",
    )?;
    let mut plugins = format!("folders = [{:?}]\n", programs()?);
    for module in modules {
        plugins.push_str(&format!("\n[[module]]\nname = \"{module}\"\n"));
        if let Some(address) = provider {
            plugins.push_str(&format!("allow_hosts = [\"{}\"]\nallow_private = [\"{address}\"]\n", address.ip()));
        }
    }
    std::fs::write(root.join("plugins.toml"), plugins)?;
    let bases = root.join("bases");
    std::fs::create_dir_all(&bases)?;
    let trading = Embedded::open(&bases)?;
    let imported = import::import_text(&roster(), &trading).map_err(|error| error.to_string());
    trading.close();
    imported?;
    Ok(())
}

fn roster() -> String {
    let people = 1..=CUSTOMERS;
    let customers: Vec<Value> = people
        .clone()
        .map(|id| {
            json!({"customer_id": id, "country": "DE", "brand": "ion4", "status": 0, "deposit_allowed": 1,
                   "withdrawal_allowed": 1})
        })
        .collect();
    let accounts: Vec<Value> = people
        .map(|id| {
            let login = LOGIN_BASE + id;
            json!({"login": login, "customer_id": id, "group": "demo-usd", "enable": 1, "balance": 0.0})
        })
        .collect();
    let groups = json!([{"group": "demo-usd", "brand": "ion4", "currency": "USD", "account_mode": 0, "enable": 1}]);
    json!({"groups": groups, "customers": customers, "accounts": accounts}).to_string()
}
