//! Deposits, and webhooks to the credited account, with the balances in the embedded trading server and in servers elsewhere, in one
//! run: how fast, and how many syncs and round trips each needs. It has no aim: a network is slower than memory, and no sync that makes
//! an answer true is left out for a ratio.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use serde_json::json;

use super::deposits::Deposits;
use super::stubbed::CLIENTS;
use super::webhooks::{Credited, Webhooks};
use crate::full_server::{BenchServer, write_files};
use crate::load::{self, Timed};
use crate::syncs::SyncTrace;
use crate::table::{FigureRow, median, per_second, quantile};
use crate::trading_peer::{Asked, TradingKind, TradingPeer, between, until_compared};
use crate::{BenchResult, Effort, bare, report};

/// Cents of each deposit.
const AMOUNT: i64 = 25_000;

/// Each kind with the names of its figures.
const KINDS: [(TradingKind, &str, &str); 4] = [
    (
        TradingKind::Embedded,
        "deposits through a provider stub, trading server embedded",
        "signed webhooks to credited, trading server embedded",
    ),
    (
        TradingKind::Http,
        "deposits through a provider stub, trading server over HTTP",
        "signed webhooks to credited, trading server over HTTP",
    ),
    (
        TradingKind::Tcp { phases: 2 },
        "deposits through a provider stub, trading server over TCP, two phases",
        "signed webhooks to credited, trading server over TCP, two phases",
    ),
    (
        TradingKind::Tcp { phases: 1 },
        "deposits through a provider stub, trading server over TCP, one phase",
        "signed webhooks to credited, trading server over TCP, one phase",
    ),
];

/// Deposits and webhooks of a round at most: the fake platform looks through all of its orders for each question.
const ROUND_MAX: usize = 2_000;

/// Deposits and webhooks that are counted, one after another: fewer than there are customers, so that each deposit looks up an
/// account that was not read before.
const COUNTED: usize = 200;

pub(crate) fn measure(effort: Effort) -> BenchResult<Vec<FigureRow>> {
    let count = effort.webhooks.min(ROUND_MAX);
    let (_stub, provider) = bare::start(&["serve-stub"])?;
    let mut sides = Vec::new();
    for (kind, ..) in KINDS {
        sides.push((TradingSide::open(kind, provider, false)?, Vec::new()));
    }
    for round in 0..effort.rounds {
        // None is always the first.
        for place in 0..sides.len() {
            let at = (place + round) % sides.len();
            if let Some((side, rounds)) = sides.get_mut(at) {
                let done = (side.deposit(CLIENTS, count)?, side.credit(CLIENTS, count)?);
                report(&format!("  {:?}: {:.0} and {:.0} a second", side.kind, done.0.rate, done.1.rate));
                rounds.push(done);
            }
        }
    }
    let mut rows = Vec::new();
    let embedded: Vec<(f64, f64)> = match sides.first() {
        Some((_, rounds)) => rounds.iter().map(|(deposits, credits)| (deposits.rate, credits.rate)).collect(),
        None => return Ok(rows),
    };
    for ((kind, deposits, credits), (side, rounds)) in KINDS.into_iter().zip(sides) {
        side.check()?;
        drop(side);
        let needs = TradingSide::open(kind, provider, true)?.count()?;
        let (made, credited): (Vec<Timed>, Vec<Timed>) = rounds.into_iter().unzip();
        let beside = |of: fn(&(f64, f64)) -> f64| embedded.iter().map(of).collect::<Vec<_>>();
        rows.push(row(deposits, made, beside(|rates| rates.0), &needs.deposit));
        rows.push(row(credits, credited, beside(|rates| rates.1), &needs.credit));
    }
    Ok(rows)
}

fn row(figure: &'static str, rounds: Vec<Timed>, embedded: Vec<f64>, needs: &str) -> FigureRow {
    let rate = median(rounds.iter().map(|round| round.rate));
    let ratio = median(rounds.iter().zip(&embedded).map(|(round, embedded)| round.rate / embedded));
    let seen: Vec<f64> = rounds.into_iter().flat_map(|round| round.seen).collect();
    let ms = |share| quantile(seen.clone(), share) / 1000.0;
    FigureRow {
        figure,
        measured: format!("{}, p50 {:.2} ms, p99 {:.2} ms; {needs}", per_second(rate), ms(0.5), ms(0.99)),
        limit: format!("embedded: {}", per_second(median(embedded.into_iter()))),
        ratio: Some(ratio),
        aim: "–",
        met: None,
    }
}

/// A cashier with its trading server.
struct TradingSide {
    kind: TradingKind,
    server: BenchServer,
    peer: Option<TradingPeer>,
    syncs: Option<SyncTrace>,
    deposits: Rc<Deposits>,
    credited: u64,
}

/// What one deposit and one credit need, in words.
struct Needs {
    deposit: String,
    credit: String,
}

impl TradingSide {
    fn open(kind: TradingKind, provider: SocketAddr, is_counted: bool) -> BenchResult<Self> {
        let folder = tempfile::tempdir()?;
        write_files(folder.path(), &["stripe"], Some(provider))?;
        let peer = TradingPeer::start(kind, 0)?;
        if let Some(peer) = &peer {
            peer.set_up(folder.path())?;
        }
        let syncs = if is_counted { SyncTrace::into(folder.path()) } else { None };
        let server = BenchServer::start(folder, syncs.as_ref())?;
        let settings = json!({"api_base": format!("http://{provider}")}).to_string();
        server.configure(
            "stripe",
            &json!({"method": "card", "secret_key": "sk_test_bench", "settings_json": settings}),
        )?;
        if peer.is_some() {
            until_compared(server.watch)?;
        }
        Ok(Self { kind, server, peer, syncs, deposits: Rc::new(Deposits::with_pages("stripe")), credited: 0 })
    }

    fn deposit(&mut self, clients: usize, count: usize) -> BenchResult<Timed> {
        self.deposits.allow(count);
        load::timed(self.server.customer, clients, Rc::clone(&self.deposits))
    }

    /// A webhook for each deposit that has had none.
    fn credit(&mut self, clients: usize, count: usize) -> BenchResult<Timed> {
        let work = Webhooks::about(self.deposits.take_sessions(count)?)?.expecting(self.expected());
        self.credited += count as u64;
        load::timed(self.server.customer, clients, Rc::new(work))
    }

    /// Syncs and round trips of a deposit and of a credit, one after another.
    fn count(mut self) -> BenchResult<Needs> {
        let begun = self.so_far()?;
        self.deposit(1, COUNTED)?;
        let deposited = self.so_far()?;
        self.credit(1, COUNTED)?;
        let credited = self.so_far()?;
        self.check()?;
        Ok(Needs { deposit: begun.until(&deposited), credit: deposited.until(&credited) })
    }

    fn so_far(&self) -> BenchResult<SoFar> {
        let syncs = self.syncs.as_ref().map(SyncTrace::count).transpose()?;
        let asked = self.peer.as_ref().map(TradingPeer::asked).transpose()?;
        Ok(SoFar { syncs, calls: asked.unwrap_or_default().calls })
    }

    /// Every webhook moved a balance once.
    fn check(&self) -> BenchResult<()> {
        let Some(peer) = &self.peer else { return Ok(()) };
        let Asked { posted, moved, .. } = peer.asked()?;
        let expected = (self.credited, self.credited.cast_signed() * AMOUNT);
        if (posted, moved) == expected {
            Ok(())
        } else {
            Err(format!("posted {posted}, {moved} in all, not {expected:?}").into())
        }
    }

    /// A server elsewhere proves nothing by itself: its credits count once they are recorded.
    fn expected(&self) -> Credited {
        match self.kind {
            TradingKind::Embedded => Credited::Posted,
            TradingKind::Http | TradingKind::Tcp { .. } => Credited::Recorded,
        }
    }
}

/// What was asked for so far: of the disk, where that can be seen, and of the trading server.
struct SoFar {
    syncs: Option<BTreeMap<String, u64>>,
    calls: BTreeMap<String, u64>,
}

impl SoFar {
    /// What each of those counted needed in between.
    fn until(&self, later: &Self) -> String {
        let syncs = match (&self.syncs, &later.syncs) {
            (Some(before), Some(after)) => in_words(&between(before, after), "syncs"),
            _ => "syncs not counted: no strace".to_owned(),
        };
        format!("{syncs}, {}", in_words(&between(&self.calls, &later.calls), "round trips"))
    }
}

/// How many for each, in all and by name.
fn in_words(counted: &BTreeMap<String, u64>, what: &str) -> String {
    let each = |count: u64| {
        let text = format!("{:.2}", count as f64 / COUNTED as f64);
        text.strip_suffix(".00").map_or(text.clone(), str::to_owned)
    };
    let names: Vec<String> = counted.iter().map(|(name, count)| format!("{name} {}", each(*count))).collect();
    let all = format!("{} {what}", each(counted.values().sum()));
    if names.is_empty() { all } else { format!("{all} ({})", names.join(", ")) }
}
