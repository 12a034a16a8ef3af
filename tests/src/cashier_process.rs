//! The cashier as a separate process: started from its settings file, killed, started again.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use cashier_core::session::Role;
use cashier_core::time::UnixTime;
use cashier_host::app::Listeners;
use cashier_host::http::session::{SessionKeys, issue_token};
use cashier_host::settings::Settings;
use http::Method;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::artifacts;
use crate::clock::ClockSpeed;
use crate::customer::CustomerClient;
use crate::deployment::{NO_RATE_LIMIT, import_roster, settings_text, write, write_files};
use crate::http::Http;
use crate::manager::ManagerClient;
use crate::roster::CUSTOMER;
use crate::waiting::{WAIT_MAX, eventually};

/// What the system says of a port that another socket holds.
const IN_USE: &str = "Address already in use";

/// Serves from the settings of a folder, whose watch listener is at the port `watch`, once it is ready; `None` where another
/// socket holds one of its ports.
pub async fn serve(folder: &Path, watch: u16) -> Option<Child> {
    let log_file = folder.join("cashier.log");
    let log = std::fs::File::create(&log_file).expect("a log file");
    let mut program = Command::new(artifacts::cashier());
    program.args(["serve", "--settings", "cashier.toml"]).current_dir(folder).stdout(Stdio::null()).stderr(log);
    let mut child = program.kill_on_drop(true).spawn().expect("the cashier starts");
    let (http, url) = (Http::new(), format!("http://127.0.0.1:{watch}/readyz"));
    let logged = || std::fs::read_to_string(&log_file).unwrap_or_default();
    eventually("the server to start", async || {
        if child.try_wait().expect("a child can be waited for").is_some() {
            assert!(logged().contains(IN_USE), "the server did not start: {}", logged());
            return Some(false);
        }
        // Another test's server may be at that port.
        let is_own = logged().contains("listeners opened");
        let is_ready =
            is_own && http.try_send(Method::GET, &url, &[], "").await.is_ok_and(|answer| answer.status == 200);
        is_ready.then_some(true)
    })
    .await
    .then_some(child)
}

/// Output and exit code of a command that ends by itself.
#[derive(Debug)]
pub struct CommandOutput {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs the program in a folder until it ends, with none of its settings in the environment.
pub async fn run(folder: &Path, arguments: &[&str]) -> CommandOutput {
    run_within(WAIT_MAX, folder, arguments).await
}

/// The same for a command that takes long by itself.
pub async fn run_within(longest: Duration, folder: &Path, arguments: &[&str]) -> CommandOutput {
    let mut program = Command::new(artifacts::cashier());
    program.args(arguments).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    for variable in ["CASHIER_SETTINGS", "CASHIER_SESSION_KEYS", "CASHIER_SEAL_KEYS", "CASHIER_LOG"] {
        program.env_remove(variable);
    }
    let ended = tokio::time::timeout(longest, program.output()).await.expect("the program ends by itself");
    let Output { status, stdout, stderr } = ended.expect("the cashier starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes text");
    CommandOutput { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// A folder with everything `cashier serve` needs, and the process when it runs.
pub struct CashierProcess {
    folder: PathBuf,
    addresses: Option<Listeners>,
    child: Option<Child>,
    /// What it logs from its next start on.
    pub log_level: &'static str,
    /// Further environment from its next start on.
    pub environment: Vec<(&'static str, &'static str)>,
    /// Open files it may have from its next start on, if they are limited.
    pub open_files: Option<u32>,
    /// Further lines of its settings file, read at its next start.
    pub settings: String,
}

impl CashierProcess {
    /// Writes the files into `folder` and imports the roster; `peers` are the addresses that modules may reach.
    pub async fn prepare(folder: &Path, peers: &[&str], roster: &Value) -> Self {
        let process = Self::without_roster(folder, peers);
        import_roster(&folder.join("bases"), roster, None).await;
        process
    }

    /// The same without a roster: the settings file exists and there are no accounts.
    pub fn without_roster(folder: &Path, peers: &[&str]) -> Self {
        write_files(folder, peers, ClockSpeed::Times(1));
        write(&folder.join("cashier.toml"), &settings_text(None, NO_RATE_LIMIT));
        Self {
            folder: folder.to_path_buf(),
            addresses: None,
            child: None,
            log_level: "info",
            environment: Vec::new(),
            open_files: None,
            settings: NO_RATE_LIMIT.into(),
        }
    }

    /// Starts the process and waits until it is ready; the same addresses every time. For a moment a connection of another test
    /// may hold one of them.
    pub async fn start(&mut self) -> Listeners {
        eventually("the addresses to be free", async || self.try_start().await).await
    }

    /// The same, once; `None` where an address is in use.
    async fn try_start(&mut self) -> Option<Listeners> {
        let logged = self.log().len();
        let mut lines = self.spawn();
        let opening = async {
            let mut found = Vec::new();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some((_, address)) = line.split_once("://") {
                    let address = address.split('/').next().unwrap_or_default();
                    found.push(address.parse().expect("an address"));
                }
                if let [customer, manager, watch] = found[..] {
                    return Some(Listeners { customer, manager, watch });
                }
            }
            let log = self.log();
            let is_in_use = log.get(logged..).is_some_and(|log| log.contains(IN_USE));
            assert!(is_in_use, "the cashier did not start: {log}");
            None
        };
        let addresses = tokio::time::timeout(WAIT_MAX, opening).await.expect("the cashier starts in time")?;
        // The rest of its output is read and dropped, so that it never blocks on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.addresses = Some(addresses);
        Some(addresses)
    }

    /// Starts the process at the addresses of its last start, and waits for nothing.
    pub fn begin(&mut self) -> Listeners {
        drop(self.spawn());
        self.addresses.expect("it was started before")
    }

    /// Its standard output, line by line.
    fn spawn(&mut self) -> Lines<BufReader<ChildStdout>> {
        let settings = self.folder.join("cashier.toml");
        write(&settings, &settings_text(self.addresses, &self.settings));
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("cashier.log"));
        let mut program = match self.open_files {
            None => Command::new(artifacts::cashier()),
            Some(most) => {
                let mut limited = Command::new("prlimit");
                limited.arg(format!("--nofile={most}:{most}")).arg(artifacts::cashier());
                limited
            }
        };
        let mut child = program
            .args(["serve", "--settings"])
            .arg(&settings)
            .env("CASHIER_LOG", self.log_level)
            .envs(self.environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log.expect("a log file"))
            .kill_on_drop(true)
            .spawn()
            .expect("the cashier starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        self.child = Some(child);
        lines
    }

    /// Starts the process, which ends by itself, perhaps before its listeners are open.
    pub async fn start_and_end(&mut self) -> ExitStatus {
        let _lines = self.spawn();
        self.ended().await
    }

    /// Kills the process (SIGKILL), as a power cut would.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().expect("the cashier runs");
        child.kill().await.expect("a running process can be killed");
    }

    /// Sends SIGTERM and returns the exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM").await;
        self.ended().await.code()
    }

    /// Sends a signal, such as `HUP`.
    pub async fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().await;
        assert!(sent.is_ok_and(|status| status.success()), "a running process takes a signal");
    }

    /// Waits until the process has ended by itself, and returns how.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the cashier runs");
        let ended = tokio::time::timeout(WAIT_MAX, child.wait()).await.expect("the cashier ends by itself");
        ended.expect("a child can be waited for")
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).expect("the cashier runs")
    }

    /// Everything it wrote to standard error so far: its log, and output outside the log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("cashier.log")).unwrap_or_default()
    }

    /// The customer of the standard roster, and a manager, at these addresses.
    pub fn clients(&self, addresses: Listeners) -> (CustomerClient, ManagerClient) {
        let customer = CustomerClient {
            http: Http::new(),
            url: format!("http://{}", addresses.customer),
            token: self.token(Role::Customer, CUSTOMER),
        };
        let manager = ManagerClient {
            http: Http::new(),
            url: format!("http://{}", addresses.manager),
            token: self.token(Role::Manager, 1),
        };
        (customer, manager)
    }

    pub fn token(&self, role: Role, id: u64) -> String {
        let settings = Settings::read(&self.folder.join("cashier.toml")).expect("settings");
        let keys = SessionKeys::parse(&settings.session_keys).expect("keys");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock that is set");
        let now = UnixTime(i64::try_from(now.as_secs()).expect("a time"));
        issue_token(&keys, role, id, None, 24 * 60 * 60, now).expect("a token")
    }
}
