//! Payments at an independent implementation of Stripe: localstripe, installed in a folder under `target`, creates and confirms
//! the intents, signs its webhooks and sends them to the running cashier. Skipped where Python is not installed.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use cashier_tests::customer::order;
use cashier_tests::deployment::{Deployment, DeploymentPlan};
use cashier_tests::http::Http;
use cashier_tests::python;
use cashier_tests::roster::LOGIN;
use cashier_tests::waiting::{eventually, skipped};
use serde_json::{Value, json};

/// Its name and version at PyPI.
const LOCALSTRIPE: &str = "localstripe==1.15.10";
const SECRET_KEY: &str = "sk_test_real_peers";
const WEBHOOK_SECRET: &str = "whsec_real_peers_5b1f";
/// Cards that Stripe documents for tests: one that is charged, and one that is accepted and then declined.
const CARD: &str = "4242424242424242";
const DECLINED_CARD: &str = "4000000000000341";

/// Its own command line listens on every interface; this listens on loopback alone, prints its port, and logs deliveries.
const RUN: &str = "
import logging, socket, sys
import aiohttp.web
import localstripe.server
logging.basicConfig(level=logging.INFO, format='%(message)s')
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
aiohttp.web.run_app(localstripe.server.app, sock=listener, print=None)
";

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_confirmed_at_localstripe_is_credited_exactly_once() {
    let Some(stripe) = StripeDeployment::start().await else { return };
    let deposit = stripe.deployment.customer().deposit(&order("stripe", "250")).await.expect_ok();
    assert_eq!((&deposit["next_action"], &deposit["transaction"]["status"]), (&json!("INSTRUCTIONS"), &json!(1)));
    let intent = stripe.intent_of(&deposit).await;
    assert_eq!((&intent["amount"], &intent["currency"]), (&json!(25_000), &json!("usd")));
    assert_eq!(intent["status"], json!("requires_payment_method"), "not paid yet");
    assert_eq!(stripe.deployment.balance(LOGIN).await, "0.0 USD");

    let confirmed = stripe.pay(&intent, CARD).await.expect("the card is accepted");
    assert_eq!((&confirmed["status"], &confirmed["amount"]), (&json!("succeeded"), &json!(25_000)));
    let id = deposit["transaction"]["id"].as_u64().expect("an id");
    let seen = eventually("the credit", async || {
        let seen = stripe.deployment.manager().transaction(id).await;
        (seen["transaction"]["status"] == json!(3)).then_some(seen)
    })
    .await;
    assert_eq!(seen["transaction"]["provider_payment_id"], intent["id"]);
    let operations = seen["balance_operations"].as_array().expect("a list");
    assert_eq!(operations.len(), 1, "{seen}");
    assert_eq!((&operations[0]["amount"], &operations[0]["status"]), (&json!(250.0), &json!(1)), "{seen}");
    stripe.delivered("payment_intent.succeeded").await;
    assert_eq!(stripe.deployment.balance(LOGIN).await, "250.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_declined_at_localstripe_credits_nothing_and_leaves_the_deposit_pending() {
    let Some(stripe) = StripeDeployment::start().await else { return };
    let deposit = stripe.deployment.customer().deposit(&order("stripe", "75.5")).await.expect_ok();
    let id = deposit["transaction"]["id"].as_u64().expect("an id");
    let intent = stripe.intent_of(&deposit).await;
    let refused = stripe.pay(&intent, DECLINED_CARD).await.unwrap_or_else(|refusal| refusal);
    assert_ne!(refused["status"], json!("succeeded"), "the card is declined");
    stripe.delivered("payment_intent.payment_failed").await;
    let seen = stripe.deployment.manager().transaction(id).await;
    assert_eq!(seen["transaction"]["status"], json!(1), "the customer may try another card: {seen}");
    assert_eq!(seen["balance_operations"], json!([]), "{seen}");
    assert_eq!(stripe.deployment.balance(LOGIN).await, "0.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_of_localstripe_signed_with_another_secret_credits_nothing() {
    let Some(stripe) = StripeDeployment::start().await else { return };
    stripe.register_webhook("whsec_of_another_account").await;
    let deposit = stripe.deployment.customer().deposit(&order("stripe", "250")).await.expect_ok();
    let intent = stripe.intent_of(&deposit).await;
    stripe.pay(&intent, CARD).await.expect("the card is accepted");
    eventually("the refusal", async || stripe.peer.log().contains("failed with response code 401").then_some(())).await;
    assert_eq!(stripe.deployment.balance(LOGIN).await, "0.0 USD");
}

/// A deployment whose stripe config uses localstripe.
struct StripeDeployment {
    deployment: Deployment,
    peer: LocalStripe,
    config: u64,
    http: Http,
}

impl StripeDeployment {
    /// `None` where localstripe cannot be installed, reported as a skipped test.
    async fn start() -> Option<Self> {
        let peer = match tokio::task::spawn_blocking(LocalStripe::start).await.expect("the start ends") {
            Ok(peer) => peer,
            Err(why) => {
                skipped(&why);
                return None;
            }
        };
        // The peer signs with the machine's time, so the cashier must use it too.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set");
        let start = i64::try_from(now.as_secs()).expect("a time");
        let mut deployment = Deployment::of(DeploymentPlan { start, ..DeploymentPlan::default() }).await;
        // The peer replaces the stub of the deployment.
        let plugins = deployment.folder().join("plugins.toml");
        let text = std::fs::read_to_string(&plugins).expect("a deployment has a plugins.toml");
        let stub = deployment.stripe.url().trim_start_matches("http://").to_owned();
        assert!(text.contains(&stub), "{text}");
        std::fs::write(&plugins, text.replace(&stub, peer.url.trim_start_matches("http://"))).expect("its own folder");
        deployment.restart().await;
        let mut row = deployment.stripe_config();
        row["secret_key"] = json!(SECRET_KEY);
        row["webhook_secret"] = json!(WEBHOOK_SECRET);
        row["settings_json"] = json!(json!({"api_base": peer.url, "flow": "payment_intents"}).to_string());
        let config = deployment.manager().save_config(&row).await;
        let stripe = Self { deployment, peer, config, http: Http::new() };
        stripe.register_webhook(WEBHOOK_SECRET).await;
        Some(stripe)
    }

    /// Sets the URL and the secret of the peer's webhooks.
    async fn register_webhook(&self, secret: &str) {
        let url = format!("{}/cashier/webhook/stripe/{}", self.deployment.customer_url(), self.config);
        self.post("/_config/webhooks/w1", &[("url", &url), ("secret", secret)]).await.expect("a webhook is registered");
    }

    /// The deposit's intent as the peer has it.
    async fn intent_of(&self, deposit: &Value) -> Value {
        let id = deposit["transaction"]["provider_payment_id"].as_str().expect("an id").to_owned();
        let url = format!("{}/v1/payment_intents/{id}", self.peer.url);
        let answer = self.http.get(&url, &[("authorization", &format!("Bearer {SECRET_KEY}"))]).await;
        serde_json::from_slice(&answer.body).expect("an intent")
    }

    /// The calls of the customer's browser from Stripe's form: a card for the intent, then the confirmation.
    async fn pay(&self, intent: &Value, card: &str) -> Result<Value, Value> {
        let form = [
            ("type", "card"),
            ("card[number]", card),
            ("card[exp_month]", "12"),
            ("card[exp_year]", "2090"),
            ("card[cvc]", "123"),
        ];
        let method = self.post("/v1/payment_methods", &form).await?;
        let path = format!("/v1/payment_intents/{}", intent["id"].as_str().expect("an id"));
        // Sent with the confirmation, localstripe answers 500.
        self.post(&path, &[("payment_method", method["id"].as_str().expect("an id"))]).await?;
        self.post(&format!("{path}/confirm"), &[]).await
    }

    /// Posts a form to the peer; `Err` is its refusal.
    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Value, Value> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let bearer = format!("Bearer {SECRET_KEY}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        let answer = self.http.post(&format!("{}{path}", self.peer.url), &headers, body).await;
        let json = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        if answer.status == 200 { Ok(json) } else { Err(json) }
    }

    /// Waits until the peer logs that its webhook was delivered.
    async fn delivered(&self, kind: &str) {
        let line = format!("webhook \"{kind}\" successfully delivered");
        eventually(&line, async || self.peer.log().contains(&line).then_some(())).await;
    }
}

/// The running peer. It ends with its owner.
struct LocalStripe {
    url: String,
    child: Child,
    folder: tempfile::TempDir,
}

impl LocalStripe {
    /// Installs it where it is missing, then starts it. `Err` is what is missing.
    fn start() -> Result<Self, String> {
        let python = python::installed(LOCALSTRIPE)?.join("python");
        let folder = tempfile::tempdir().expect("a fresh folder");
        let log = File::create(folder.path().join("log")).expect("its own folder");
        // Its store is in the system's folder for temporary files: every peer gets its own.
        let mut child = Command::new(python)
            .args(["-c", RUN])
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("an installed python starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let mut peer = Self { url: String::new(), child, folder };
        let port: u16 = line.trim().parse().unwrap_or_else(|_| panic!("localstripe did not start: {}", peer.log()));
        peer.url = format!("http://127.0.0.1:{port}");
        Ok(peer)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for LocalStripe {
    fn drop(&mut self) {
        // Both fail only when it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
