//! The reference trading server of the pages, run as it is: docs/examples/trading_server.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cashier_core::money::parse_minor;
use rusqlite::Connection;
use serde_json::Value;

/// The secret of both sides.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A demo account of customer 5 with 100.25 USD.
pub const LOGIN: u64 = 2_000_009;
pub const OPENING_MINOR: i64 = 10_025;

/// What it is started with.
pub const ROSTER: &str = r#"{
  "groups": [{"group": "demo-usd", "brand": "ion4", "currency": "USD", "account_mode": 0, "enable": 1}],
  "customers": [{"customer_id": 5, "country": "DE", "brand": "ion4", "status": 0, "deposit_allowed": 1, "withdrawal_allowed": 1}],
  "accounts": [{"login": 2000009, "customer_id": 5, "group": "demo-usd", "enable": 1, "balance": 100.25}],
  "rates": [{"from": "EUR", "to": "USD", "rate": "1.0842", "time": 1779270000, "source": "desk"}]
}"#;

/// Its files; the first is started.
const SCRIPTS: [&str; 4] = ["trading_server.py", "signed_http.py", "forms.py", "roster.py"];

/// Between two of them where they are changed as one.
const NEXT_FILE: &str = "\n# the next file\n";

/// A running reference server; killed when dropped.
pub struct ReferenceServer {
    folder: tempfile::TempDir,
    script: PathBuf,
    child: Child,
    port: u16,
}

impl ReferenceServer {
    /// # Errors
    /// What is missing.
    pub fn start() -> Result<Self, String> {
        Self::start_with(|script| script)
    }

    /// The same with a changed script, which is all files of it.
    ///
    /// # Errors
    /// What is missing.
    pub fn start_with(change: impl FnOnce(String) -> String) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/trading_server");
        let script = folder.path().join(SCRIPTS[0]);
        let texts = SCRIPTS.map(|name| std::fs::read_to_string(original.join(name)).expect("the script"));
        let changed = change(texts.join(NEXT_FILE));
        for (name, text) in SCRIPTS.iter().zip(changed.split(NEXT_FILE)) {
            std::fs::write(folder.path().join(name), text).expect("a folder of its own");
        }
        std::fs::write(folder.path().join("roster.json"), ROSTER).expect("a folder of its own");
        let secret = folder.path().join("secret");
        std::fs::write(&secret, format!("{SECRET}\n")).expect("a folder of its own");
        // As the page makes it: for its owner alone.
        std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("its own file");
        let (child, port) = run(&script, folder.path(), 0)?;
        Ok(Self { folder, script, child, port })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn secret_file(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Its database is gone.
    pub fn forget(&self) {
        for file in ["trading.sqlite", "trading.sqlite-wal", "trading.sqlite-shm"] {
            // A closed database has no other files.
            let _ = std::fs::remove_file(self.folder.path().join(file));
        }
    }

    /// Its database forgets by this statement what it recorded; its instance and the balances stay.
    pub fn forget_keys(&self, statement: &str) {
        let database = Connection::open(self.folder.path().join("trading.sqlite")).expect("its database");
        database.execute(statement, []).expect("its table");
    }

    /// Changes its database as a person could, also while it runs.
    pub fn edit(&self, sql: &str) {
        let database = Connection::open(self.folder.path().join("trading.sqlite")).expect("its database");
        database.execute_batch(sql).expect("its tables");
    }

    /// What its database has as posted: how many postings each transaction has, and what they come to.
    pub fn posted(&self) -> BTreeMap<u64, (u64, i64)> {
        let database = Connection::open(self.folder.path().join("trading.sqlite")).expect("its database");
        let mut rows = database.prepare("SELECT posting FROM postings WHERE result = 'posted'").expect("its table");
        let texts = rows.query_map([], |row| row.get::<_, String>(0)).expect("its table");
        let mut posted: BTreeMap<u64, (u64, i64)> = BTreeMap::new();
        for text in texts {
            let posting: Value = serde_json::from_str(&text.expect("a text")).expect("a posting");
            let of = posted.entry(posting["transaction_id"].as_u64().expect("its transaction")).or_default();
            *of = (of.0 + 1, of.1 + minor(posting["amount"].as_str().expect("its amount")));
        }
        posted
    }

    /// The balance of [`LOGIN`] in its database.
    pub fn balance_minor(&self) -> i64 {
        let database = Connection::open(self.folder.path().join("trading.sqlite")).expect("its database");
        let sql = "SELECT balance FROM accounts WHERE login = ?1";
        minor(&database.query_row(sql, [LOGIN.cast_signed()], |row| row.get::<_, String>(0)).expect("the account"))
    }

    /// Starts it again over the same database, at the same port.
    pub fn restart(&mut self) {
        self.kill();
        let (child, port) = run(&self.script, self.folder.path(), self.port).expect("it ran before");
        (self.child, self.port) = (child, port);
    }

    /// Starts it again with another roster; what it said where it did not start.
    pub fn restart_with(&mut self, roster: &str) -> String {
        self.kill();
        std::fs::write(self.folder.path().join("roster.json"), roster).expect("a folder of its own");
        self.child = spawned(&self.script, self.folder.path(), self.port, Stdio::piped()).expect("it ran before");
        if port_of(&mut self.child).is_some() {
            return String::new();
        }
        let mut said = String::new();
        self.child.stderr.take().expect("it is piped").read_to_string(&mut said).expect("a text");
        said
    }
}

/// Cents of an amount in dollars.
fn minor(text: &str) -> i64 {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    sign * parse_minor(digits, 2).expect("an amount in dollars")
}

impl Drop for ReferenceServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn run(script: &Path, folder: &Path, port: u16) -> Result<(Child, u16), String> {
    let mut child = spawned(script, folder, port, Stdio::null())?;
    let port = port_of(&mut child).unwrap_or_else(|| panic!("the reference server did not start"));
    Ok((child, port))
}

fn spawned(script: &Path, folder: &Path, port: u16, errors: Stdio) -> Result<Child, String> {
    let mut command = Command::new("python3");
    command.arg(script).args(["--listen", &format!("127.0.0.1:{port}")]);
    command.args(["--roster", "roster.json", "--database", "trading.sqlite", "--secret-file", "secret"]);
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
    command.spawn().map_err(|_| "no python3".to_owned())
}

/// The port that it listens on; none where it ended.
fn port_of(child: &mut Child) -> Option<u16> {
    let mut line = String::new();
    let output = child.stdout.take().expect("it is piped");
    BufReader::new(output).read_line(&mut line).expect("a line");
    line.trim().rsplit_once(':').and_then(|(_, port)| port.parse().ok())
}
