//! The cashier is killed (SIGKILL) at random times under load while its balances are at a trading server elsewhere, which is killed
//! too: no acknowledged deposit is lost, none is posted twice, none is forgotten, and the books agree with the server.

use std::collections::BTreeMap;
use std::sync::Arc;

use cashier_tests::cashier_process::CashierProcess;
use cashier_tests::clock::DeploymentClock;
use cashier_tests::depositors;
use cashier_tests::http::Http;
use cashier_tests::reference_server::{OPENING_MINOR, ReferenceServer};
use cashier_tests::roster;
use cashier_tests::sandbox::{self, TestSandbox};
use cashier_tests::waiting::{eventually, skipped};

/// `CASHIER_REMOTE_KILLS` asks for more.
const KILLS: u64 = 20;

const SEED: u64 = 0x7ead_e125;

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_the_cashier_and_of_a_server_over_http_lose_and_double_nothing() {
    let mut server = match ReferenceServer::start() {
        Ok(server) => server,
        Err(why) => return skipped(&why),
    };
    let kills = std::env::var("CASHIER_REMOTE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Arc::new(TestSandbox::start_with(DeploymentClock::system_time(), 1, &sandbox::LONG_RETRIES).await);
    let mut process = CashierProcess::prepare(folder.path(), &[sandbox.url()], &roster::standard()).await;
    process.settings = format!(
        "deposits_per_minute = 0\nopen_deposits_max = 0\n[trading]\nserver = \"http://127.0.0.1:{}\"\nsecret_file = {:?}\n",
        server.port(),
        server.secret_file()
    );
    let kill_both = |round| {
        if round % 3 == 1 {
            server.restart();
        }
    };
    let (answered, watch) = depositors::kill_under_load(&mut process, &sandbox, (kills, SEED), kill_both).await;

    // Another start compares the books with everything that the server has.
    process.kill().await;
    process.start().await;
    eventually("the server and the books agree", async || {
        let health = Http::new().get(&format!("http://{watch}/readyz?verbose"), &[]).await.text();
        (health == "ready\ntrading server main (http): takes postings\n").then_some(())
    })
    .await;
    process.kill().await;
    let expected: BTreeMap<u64, (u64, i64)> = answered.iter().map(|one| (one.id, (1, one.amount_minor))).collect();
    assert_eq!(expected.len(), answered.len(), "two deposits share an id");
    assert_eq!(server.posted(), expected, "one posting for each deposit, of its amount");
    assert_eq!(server.balance_minor(), OPENING_MINOR + answered.iter().map(|one| one.amount_minor).sum::<i64>());
}
