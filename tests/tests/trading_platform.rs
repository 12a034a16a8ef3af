//! The platform's TCP protocol through the whole cashier: deposits that are paid while the fake platform goes wrong in each way, at each
//! of the messages of a posting. What is paid is posted exactly once, or waits for a person in the work list; the balance is exact.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

#[path = "trading_platform/nasty.rs"]
mod nasty;
#[path = "trading_platform/special.rs"]
mod special;

use cashier_fake_platform::{APPROVED, Manner, PENDING};
use cashier_tests::clock::ClockSpeed;
use cashier_tests::customer::order;
use cashier_tests::deployment::{Deployment, DeploymentPlan, NO_RATE_LIMIT};
use cashier_tests::platform_peer::{OPENING_MINOR, PlatformPeer};
use cashier_tests::roster::LOGIN;
use cashier_tests::waiting::{WAIT_MAX, eventually, eventually_within};
use serde_json::{Value, json};

const CREATE: &str = "MngCreateFinanceRequest";
const APPROVE: &str = "MngApproveFinanceRequest";
const MOVE: &str = "BalanceInSync";

/// Seconds of the cashier in one of the machine: the platform's 7 s for an answer are 350 ms.
const CLOCK_SPEED: ClockSpeed = ClockSpeed::Times(20);

/// Where an answer that a busy machine delays would be another case.
const SLOW_CLOCK: ClockSpeed = ClockSpeed::Times(1);

/// A cashier whose balances are at the fake platform.
struct Platform {
    peer: PlatformPeer,
    deployment: Deployment,
}

/// A deposit that the sandbox provider waits to be paid.
struct Unpaid {
    id: u64,
    page: String,
    minor: i64,
}

impl Platform {
    /// `phases` is 1 or 2.
    async fn start(phases: u8) -> Self {
        Self::start_at(phases, CLOCK_SPEED).await
    }

    async fn start_at(phases: u8, clock_speed: ClockSpeed) -> Self {
        let peer = PlatformPeer::start().await;
        let settings = format!("{NO_RATE_LIMIT}{}", peer.settings(phases));
        let plan = DeploymentPlan { clock_speed, settings, ..DeploymentPlan::default() };
        let deployment = Deployment::of(plan).await;
        peer.follow(deployment.clock.clone());
        deployment.manager().save_config(&deployment.sandbox_config()).await;
        Self { peer, deployment }
    }

    /// A deposit of so many dollars.
    async fn ordered(&self, dollars: i64) -> Unpaid {
        // A clock that is fast makes a busy machine late.
        let answer = eventually("the deposit to be taken", async || {
            let mut request = order("sandbox", &dollars.to_string());
            request["idempotency_key"] = json!(format!("d{dollars}"));
            let answer = self.deployment.customer().deposit(&request).await;
            (answer.status == 200 && !answer.json()["redirect_url"].is_null()).then(|| answer.json())
        })
        .await;
        let page = answer["redirect_url"].as_str().unwrap().to_owned();
        Unpaid { id: answer["transaction"]["id"].as_u64().unwrap(), page, minor: dollars * 100 }
    }

    async fn pay(&self, unpaid: &Unpaid) {
        self.deployment.sandbox.press(&unpaid.page, "pay").await.expect_ok();
    }

    /// Orders a deposit and pays it while the platform does so at the next requests.
    async fn paid(&self, script: &[(&'static str, Manner)]) -> Unpaid {
        let unpaid = self.ordered(250).await;
        self.peer.fake().script(script);
        self.pay(&unpaid).await;
        unpaid
    }

    async fn seen(&self, id: u64) -> Value {
        self.deployment.manager().transaction(id).await
    }

    async fn has_status(&self, id: u64, status: u64) -> Value {
        eventually_within(WAIT_MAX, &format!("status {status}"), async || {
            let seen = self.seen(id).await;
            if seen["transaction"]["status"] == json!(status) { Ok(seen) } else { Err(seen.to_string()) }
        })
        .await
    }

    /// Kinds of the items of the work list about a transaction.
    async fn listed(&self, id: u64) -> Vec<String> {
        let filter = json!({"where": [["transaction_id", "=", id]]});
        let list = self.deployment.manager().run("MngGetCashierDutiesByFilter", &filter).await;
        list["rows"].as_array().unwrap().iter().map(|row| row["kind"].as_str().unwrap().to_owned()).collect()
    }

    async fn is_listed(&self, id: u64, kind: &str) {
        eventually_within(WAIT_MAX, &format!("{kind} in the work list"), async || {
            let listed = self.listed(id).await;
            if listed.iter().any(|known| known == kind) { Ok(()) } else { Err(format!("{listed:?}")) }
        })
        .await;
    }

    /// What the platform has posted for a transaction: how often, and in all.
    fn posted(&self, id: u64) -> (u64, i64) {
        self.peer.posted().get(&id).copied().unwrap_or_default()
    }

    /// What moved since the account was opened.
    fn moved(&self) -> i64 {
        self.peer.fake().balance(LOGIN) - OPENING_MINOR
    }

    /// Orders that may move the balance yet.
    fn open(&self) -> usize {
        self.peer.fake().in_state(PENDING) + self.peer.fake().in_state(APPROVED)
    }

    /// Credited once, with one operation, and nothing waits.
    async fn is_credited_once(&self, unpaid: &Unpaid) {
        let seen = self.has_status(unpaid.id, 3).await;
        assert_eq!(self.posted(unpaid.id), (1, unpaid.minor), "{seen}");
        assert_eq!(seen["balance_operations"].as_array().map(Vec::len), Some(1), "{seen}");
        assert_eq!(self.listed(unpaid.id).await, Vec::<String>::new());
    }

    /// Nothing is posted, and a person is asked.
    async fn waits_for_a_person(&self, unpaid: &Unpaid, kind: &str) {
        self.is_listed(unpaid.id, kind).await;
        assert_eq!(self.posted(unpaid.id), (0, 0));
    }
}
