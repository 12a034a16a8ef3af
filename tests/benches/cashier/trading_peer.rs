//! The trading servers that the figures set beside the embedded one: each in a process of its own, with what a cashier is set up with
//! to use it and what it was asked for.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::full_server::ChildProgram;
use crate::{BenchResult, http, http_peer, platform_peer};

/// How long a cashier may take to compare a server with its books.
const COMPARED_WAIT: Duration = Duration::from_secs(300);
const COMPARED_PAUSE: Duration = Duration::from_millis(2);

/// Where balances are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TradingKind {
    Embedded,
    Http,
    /// The platform's own protocol, in so many phases.
    Tcp {
        phases: u8,
    },
}

/// A server elsewhere. Ends with its owner.
pub(crate) struct TradingPeer {
    _program: ChildProgram,
    kind: TradingKind,
    address: SocketAddr,
    /// Answers a `GET` with what was asked for.
    counts: SocketAddr,
}

/// What a server elsewhere was asked for, and what it did.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Asked {
    /// How often each call was made: each is a round trip.
    pub calls: BTreeMap<String, u64>,
    /// Postings that it listed.
    pub rows: u64,
    /// From the first question about a posting to the last of them.
    pub checked_us: u64,
    /// Postings that it made.
    pub posted: u64,
    /// Cents by which they changed balances.
    pub moved: i64,
}

impl TradingPeer {
    /// One that has the credits of this many deposits of `rows`, where it is over HTTP; none for the embedded server.
    pub(crate) fn start(kind: TradingKind, stored: u64) -> BenchResult<Option<Self>> {
        let mut program = match kind {
            TradingKind::Embedded => return Ok(None),
            TradingKind::Http => ChildProgram::role(&["serve-trading-http", &stored.to_string()])?,
            TradingKind::Tcp { .. } => ChildProgram::role(&["serve-trading-tcp"])?,
        };
        let (address, counts) = (program.line()?.parse()?, program.line()?.parse()?);
        Ok(Some(Self { _program: program, kind, address, counts }))
    }

    /// Has the cashier of this folder use it.
    pub(crate) fn set_up(&self, folder: &Path) -> BenchResult<()> {
        let (secret, server, more) = match self.kind {
            TradingKind::Embedded => return Ok(()),
            TradingKind::Http => (http_peer::SECRET, format!("http://{}/cashier", self.address), String::new()),
            TradingKind::Tcp { phases } => {
                (platform_peer::TOKEN, format!("tcp://{}", self.address), platform_peer::settings(phases))
            }
        };
        let (settings, file) = (folder.join("cashier.toml"), folder.join("trading.secret"));
        std::fs::write(&file, format!("{secret}\n"))?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
        let text = std::fs::read_to_string(&settings)?;
        let table = format!("[trading]\nserver = \"{server}\"\nsecret_file = \"trading.secret\"\n{more}");
        std::fs::write(settings, format!("{text}\n{table}"))?;
        Ok(())
    }

    pub(crate) fn asked(&self) -> BenchResult<Asked> {
        let (_, text) = http::send_once(self.counts, &http::get("/", ""))?;
        Ok(serde_json::from_str(&text)?)
    }
}

/// What was counted between two times.
pub(crate) fn between(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let more = |(name, count): (&String, &u64)| {
        let more = count - before.get(name).copied().unwrap_or_default();
        (more > 0).then(|| (name.clone(), more))
    };
    after.iter().filter_map(more).collect()
}

/// Waits until a cashier has compared its trading server with its books, before which it posts nothing; how long that took from now.
pub(crate) fn until_compared(watch: SocketAddr) -> BenchResult<Duration> {
    let begun = Instant::now();
    loop {
        let (_, text) = http::send_once(watch, &http::get("/metrics", ""))?;
        let value = text.lines().find_map(|line| line.strip_prefix("cashier_trading_server_not_compared{"));
        let value = value.ok_or("the cashier names no trading server")?;
        if value.ends_with(" 0") {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > COMPARED_WAIT {
            return Err(format!("not compared within {COMPARED_WAIT:?}").into());
        }
        std::thread::sleep(COMPARED_PAUSE);
    }
}
