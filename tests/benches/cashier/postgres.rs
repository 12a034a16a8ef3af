//! The yardstick: a plain PostgreSQL 15 that commits the rows a deposit and a webhook need, without HTTP, signatures or
//! rules. Durable (default fsync and synchronous_commit), on a socket in its own folder, as an unprivileged user.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::BenchResult;

const SCHEMA: &str = include_str!("yardstick/schema.sql");
/// The two commits of a deposit.
pub(crate) const CREATE: &str = include_str!("yardstick/create.sql");
/// The commit of a webhook.
pub(crate) const HOOK: &str = include_str!("yardstick/hook.sql");

/// Where Debian and its derivatives install the programs.
const FOLDERS: [&str; 2] = ["/usr/lib/postgresql/15/bin", "/usr/bin"];

/// A running server. Stopped when dropped.
pub(crate) struct Postgres {
    programs: PathBuf,
    user: Option<&'static str>,
    folder: TempDir,
}

impl Postgres {
    /// Starts a fresh server; `None` where PostgreSQL is not installed.
    pub(crate) fn start() -> BenchResult<Option<Self>> {
        let Some(programs) = FOLDERS.iter().map(Path::new).find(|folder| complete(folder)) else { return Ok(None) };
        // The server refuses to run as root; Debian's package comes with a user for it.
        let root = String::from_utf8(Command::new("id").arg("-u").output()?.stdout)?.trim() == "0";
        let server = Self { programs: programs.into(), user: root.then_some("postgres"), folder: tempfile::tempdir()? };
        if root {
            run(Command::new("chown").arg("postgres").arg(server.folder.path()), "")?;
        }
        let data = server.data();
        run(server.program("initdb").args(["-A", "trust", "-N", "-D"]).arg(&data), "")?;
        // Standard output would keep this program's pipes open as long as the server lives: it has a log of its own.
        let mut start = server.program("pg_ctl");
        start.args(["-w", "-o"]).arg(format!("-c listen_addresses='' -k {}", server.folder.path().display()));
        start.arg("-D").arg(&data).arg("-l").arg(server.folder.path().join("log")).arg("start");
        let started = start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        if !started.success() {
            return Err(format!("pg_ctl start: {started}").into());
        }
        run(
            server
                .program("psql")
                .args(["-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-f", "-"])
                .arg("-h")
                .arg(server.folder.path()),
            SCHEMA,
        )?;
        Ok(Some(server))
    }

    /// Transactions per second of a script with so many clients.
    pub(crate) fn rate(&self, script: &str, clients: usize, length: Duration) -> BenchResult<f64> {
        let file = self.folder.path().join("script.sql");
        std::fs::write(&file, script)?;
        let mut pgbench = self.program("pgbench");
        pgbench.args(["-n", "-c", &clients.to_string(), "-j", "1", "-M", "prepared", "-T"]);
        pgbench.arg(length.as_secs().max(2).to_string()).arg("-f").arg(file);
        pgbench.arg("-h").arg(self.folder.path()).arg("postgres");
        let output = run(&mut pgbench, "")?;
        let text = String::from_utf8(output.stdout)?;
        let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next());
        Ok(tps.ok_or_else(|| format!("no tps in: {text}"))?.parse()?)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let mut command = match self.user {
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--"]).arg(path);
                command
            }
            None => Command::new(path),
        };
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data();
        // Its folder is removed next; a server that does not stop then ends by itself.
        let _ = self.program("pg_ctl").args(["-m", "immediate", "-D"]).arg(data).arg("stop").output();
    }
}

fn complete(folder: &Path) -> bool {
    ["initdb", "pg_ctl", "psql", "pgbench"].iter().all(|program| folder.join(program).exists())
}

fn run(command: &mut Command, input: &str) -> BenchResult<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        Ok(output)
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}
