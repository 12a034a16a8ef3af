//! The cashier is killed (SIGKILL) at random times under load while its balances are at a trading server elsewhere, which is killed
//! too, or drops its connections: no acknowledged order is lost, none is posted twice, none is forgotten, and the books agree with
//! the server.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail loudly, and says what it did"
)]

use std::sync::Arc;
use std::time::Duration;

use cashier_fake_platform::{APPROVED, EXECUTED, Manner, PENDING};
use cashier_tests::cashier_process::{CashierProcess, run};
use cashier_tests::clock::DeploymentClock;
use cashier_tests::depositors::{self, AnsweredOrder, KillPlan, LoadEnded, SETTLING_TIME_MAX};
use cashier_tests::http::Http;
use cashier_tests::manager::ManagerClient;
use cashier_tests::platform_peer::{self, PlatformPeer};
use cashier_tests::reference_server::{self, ReferenceServer};
use cashier_tests::roster::{self, LOGIN};
use cashier_tests::sandbox::{self, TestSandbox};
use cashier_tests::waiting::{eventually, eventually_within, skipped};
use serde_json::json;

/// Of one run, whose orders are all of one account: a platform's orders of an account are read whole. `CASHIER_REMOTE_KILLS` asks for
/// more, in further runs, each with another seed.
const KILLS: u64 = 20;

const SEED: u64 = 0x7ead_e125;

/// Between two moments in which the platform drops its connections: each costs about a second, in which the circuit breaker is open.
const DROP_PAUSE: Duration = Duration::from_secs(4);

/// Requests that have no answer and arrive when the cashier was killed or its connection dropped, and has asked what became of them.
const LATE: [(&str, Manner); 3] = [
    ("MngCreateFinanceRequest", Manner::ArrivesLate(6_000)),
    ("BalanceInSync", Manner::ArrivesLate(6_000)),
    ("BalanceOutSync", Manner::ArrivesLate(6_000)),
];

/// Whether the server is killed in this round too: in a third of them.
fn is_servers_round(round: u64) -> bool {
    round % 3 == 1
}

/// The seed of each run.
fn seeds() -> Vec<u64> {
    let asked = std::env::var("CASHIER_REMOTE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    (0..asked.div_ceil(KILLS)).map(|run| SEED + run).collect()
}

/// A cashier that is not started, and its provider.
struct Broker {
    sandbox: Arc<TestSandbox>,
    process: CashierProcess,
    _folder: tempfile::TempDir,
}

impl Broker {
    async fn with(trading: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox =
            Arc::new(TestSandbox::start_with(DeploymentClock::system_time(), 1, &sandbox::LONG_RETRIES).await);
        let mut process = CashierProcess::prepare(folder.path(), &[sandbox.url()], &roster::standard()).await;
        process.settings = format!("deposits_per_minute = 0\nopen_deposits_max = 0\n{trading}");
        Self { sandbox, process, _folder: folder }
    }

    /// Ends the cashier; row by row, the books and the server have the same.
    async fn reconciles(&mut self) {
        self.process.kill().await;
        let reconciled = run(self.process.folder(), &["db", "reconcile", "--settings", "cashier.toml"]).await;
        assert_eq!(reconciled.code, Some(0), "{}{}", reconciled.out, reconciled.err);
    }

    /// Another start compares the books with everything that the server has.
    async fn agrees_after_another_start(&mut self, watch: std::net::SocketAddr, expected: &str) {
        self.process.kill().await;
        self.process.start().await;
        eventually("the server and the books agree", async || {
            let health = Http::new().get(&format!("http://{watch}/readyz?verbose"), &[]).await.text();
            (health == expected).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_the_cashier_and_of_a_server_over_http_lose_and_double_nothing() {
    for seed in seeds() {
        over_http(seed).await;
    }
}

async fn over_http(seed: u64) {
    let mut server = match ReferenceServer::start() {
        Ok(server) => server,
        Err(why) => return skipped(&why),
    };
    let trading = format!(
        "[trading]\nserver = \"http://127.0.0.1:{}\"\nsecret_file = {:?}\n",
        server.port(),
        server.secret_file()
    );
    let mut broker = Broker::with(&trading).await;
    let kill_both = async |round| {
        if is_servers_round(round) {
            server.restart();
        }
    };
    // One that is as near as this needs no more time than the disk.
    let plan = KillPlan::of_embedded(KILLS, seed);
    let ended = depositors::kill_under_load(&mut broker.process, &broker.sandbox, plan, kill_both).await;
    ended.until_settled(&broker.sandbox, |_| false).await;
    broker.agrees_after_another_start(ended.watch, "ready\ntrading server main (http): takes postings\n").await;
    broker.reconciles().await;
    let expected = depositors::postings(&ended.answered);
    assert_eq!(server.posted(), expected, "the postings of each order, of its amount");
    let moved: i64 = expected.values().map(|(_, minor)| minor).sum();
    assert_eq!(server.balance_minor(), reference_server::OPENING_MINOR + moved);
    println!("http, seed {seed:x}: {KILLS} kills: {}", ended.counted());
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_the_cashier_and_of_the_platform_in_two_phases_lose_and_double_nothing() {
    for seed in seeds() {
        in_two_phases(seed).await;
    }
}

async fn in_two_phases(seed: u64) {
    let (mut broker, mut peer) = with_platform(2).await;
    let ended = killed(&mut broker, &mut peer, seed).await;
    ended.until_settled(&broker.sandbox, |_| false).await;
    // A request that arrived late moves nothing, and is declined by the sweep of a minute: a run by hand waits for it.
    if seeds().len() > 1 {
        eventually("no request is left pending", async || (peer.fake().in_state(PENDING) == 0).then_some(())).await;
    }
    let pending: Vec<_> = peer.orders().into_iter().filter(|order| order.state == PENDING).collect();
    assert!(
        pending.iter().all(|order| peer.fake().executed(&order.uuid) == 1),
        "the key of each is posted: {pending:?}"
    );
    assert_eq!(peer.fake().in_state(APPROVED), 0);
    broker.agrees_after_another_start(ended.watch, "ready\ntrading server main (tcp): takes postings\n").await;
    broker.reconciles().await;
    let expected = depositors::postings(&ended.answered);
    assert_eq!(peer.posted(), expected, "the postings of each order, of its amount");
    let moved: i64 = expected.values().map(|(_, minor)| minor).sum();
    assert_eq!(peer.fake().balance(LOGIN), platform_peer::OPENING_MINOR + moved);
    println!("tcp, two phases, seed {seed:x}: {KILLS} kills: {}", ended.counted());
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_the_cashier_and_of_the_platform_in_one_phase_double_nothing_and_list_what_has_no_answer() {
    for seed in seeds() {
        in_one_phase(seed).await;
    }
}

async fn in_one_phase(seed: u64) {
    let (mut broker, mut peer) = with_platform(1).await;
    let ended = killed(&mut broker, &mut peer, seed).await;
    // What was lost on its way is never sent again by itself: it stays without an answer.
    let lacks = |one: &AnsweredOrder| peer.posted().get(&one.id).copied().unwrap_or_default() != one.postings();
    ended.until_settled(&broker.sandbox, lacks).await;
    broker.agrees_after_another_start(ended.watch, "ready\ntrading server main (tcp): takes postings\n").await;
    // What was not sent before the last start is sent now, and listed while it is on its way.
    let listed =
        eventually_within(SETTLING_TIME_MAX, "what lacks a posting, and nothing else, to be listed", async || {
            let listed = without_an_answer(&ended.manager).await;
            let differ: Vec<_> = ended.answered.iter().filter(|one| lacks(one) != listed.contains(&one.id)).collect();
            let Some(first) = differ.first() else { return Ok(listed) };
            let row = ended.manager.transaction(first.id).await;
            Err(format!("{} of them, the first: {first:?}, {row}", differ.len()))
        })
        .await;
    broker.reconciles().await;
    let (posted, mut moved) = (peer.posted(), 0);
    for one in &ended.answered {
        let (count, minor) = posted.get(&one.id).copied().unwrap_or_default();
        moved += minor;
        let (most, _) = one.postings();
        assert!(count <= most, "posted twice: {one:?}");
        assert_eq!((count, minor) != one.postings(), listed.contains(&one.id), "lacks a posting or is listed: {one:?}");
    }
    assert!(posted.keys().all(|id| ended.answered.iter().any(|one| one.id == *id)), "nothing else was posted");
    assert_eq!(peer.fake().balance(LOGIN), platform_peer::OPENING_MINOR + moved);
    println!("tcp, one phase, seed {seed:x}: {KILLS} kills: {}; {} wait for a person", ended.counted(), listed.len());
}

async fn with_platform(phases: u8) -> (Broker, PlatformPeer) {
    let peer = PlatformPeer::start().await;
    peer.follow(DeploymentClock::system_time());
    (Broker::with(&peer.settings(phases)).await, peer)
}

/// Kills while postings are under way, and the platform drops its connections again and again. In its own rounds nobody listens for a
/// moment.
async fn killed(broker: &mut Broker, peer: &mut PlatformPeer, seed: u64) -> LoadEnded {
    let fake = Arc::clone(peer.fake());
    let dropped = Arc::clone(&fake);
    let dropping = tokio::spawn(async move {
        loop {
            dropped.script(&LATE);
            tokio::time::sleep(DROP_PAUSE).await;
            dropped.restart(true);
        }
    });
    let plan = KillPlan {
        kills: KILLS,
        seed,
        // Each posting waits for its execution, and reads the orders of its login.
        depositors: 8,
        orders_between: 3,
        orders_max: 12,
        uptime_ms: 100..900,
        posted: &|| fake.in_state(EXECUTED),
    };
    let ended = depositors::kill_under_load(&mut broker.process, &broker.sandbox, plan, async |round| {
        if is_servers_round(round) {
            peer.listener.restart(true).await;
        }
    })
    .await;
    dropping.abort();
    peer.fake().state().script.clear();
    ended
}

/// Transactions that the work list names as without an answer of the trading server.
async fn without_an_answer(manager: &ManagerClient) -> Vec<u64> {
    let filter = json!({"where": [["kind", "=", "posting_unknown"]], "limit": 10_000});
    let list = manager.run("MngGetCashierDutiesByFilter", &filter).await;
    let rows = list["rows"].as_array().unwrap();
    rows.iter().map(|row| row["transaction_id"].as_u64().unwrap()).collect()
}
