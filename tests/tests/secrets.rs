//! Secrets planted in configs, tokens, headers and keys appear in no log line at any level, no answer, no event and no file
//! that the cashier writes, in success and in failure.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail loudly")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cashier_core::session::Role;
use cashier_tests::cashier_process::CashierProcess;
use cashier_tests::customer::{CustomerClient, order};
use cashier_tests::deployment::Deployment;
use cashier_tests::http::{Http, HttpAnswer};
use cashier_tests::manager::ManagerClient;
use cashier_tests::roster::{self, CUSTOMER};
use cashier_tests::stripe_stub::{StripeEventFields, StubMode, signed};
use cashier_tests::waiting::eventually;
use cashier_tests::{plugin_host, signing};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Planted secrets that must not appear; each is planted in one place.
const SECRET_KEY: &str = "sk_test_CANARYapikey83b1";
const WEBHOOK_SECRET: &str = "whsec_CANARYwebhook4f07";
const NEXT_WEBHOOK_SECRET: &str = "whsec_CANARYnext9c55";
const CONFIG_JSON_SECRET: &str = "sk_test_CANARYconfigjson20d4";
const WRONG_SECRET: &str = "sk_live_CANARYwrongmode71aa";
const UNUSABLE_SECRET: &str = "CANARY with spaces e6e6";
const COOKIE: &str = "sid=CANARYcookie5d2e";
const API_KEY_HEADER: &str = "CANARYxapikey0b9f";
const BASIC: &str = "Basic Q0FOQVJZYmFzaWM=";
const CLIENT_TOKEN: &str = "CANARYtoken.CANARYclaims.CANARYsignature";

/// The captured log.
#[derive(Clone, Default)]
struct CapturedLog(Arc<Mutex<Vec<u8>>>);

impl Write for CapturedLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for CapturedLog {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The searched places and their bytes.
struct Searched {
    places: Vec<(String, Vec<u8>)>,
}

impl Searched {
    fn add(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.places.push((place.into(), bytes.into()));
    }

    fn answer(&mut self, place: &str, reply: &HttpAnswer) {
        let headers =
            reply.headers.iter().flat_map(|(name, value)| [name.as_str().as_bytes(), value.as_bytes()].concat());
        self.add(format!("the answer to {place}"), [headers.collect(), reply.body.to_vec()].concat());
    }

    /// Places that contain a text as it is, or in a usual encoding.
    fn with(&self, secret: &str) -> Vec<&str> {
        let spellings = [secret.to_owned(), hex::encode(secret), hex::encode_upper(secret), secret.replace(' ', "%20")];
        let holds = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            spellings.iter().any(|spelling| text.contains(spelling))
        };
        self.places.iter().filter(|(_, bytes)| holds(bytes)).map(|(place, _)| &**place).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_secrets_appear_in_no_log_answer_or_file() {
    if !signing::can_sign() {
        return;
    }
    let log = CapturedLog::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_writer(log.clone())
        .init();
    let mut searched = Searched { places: Vec::new() };
    let mut deployment = Deployment::new().await;
    let (customer_token, manager_token) = (deployment.customer().token, deployment.manager().token);

    configure(&deployment, &mut searched).await;
    deposit(&deployment, &mut searched).await;
    send_webhooks(&deployment, &mut searched).await;
    refuse(&deployment, &mut searched).await;
    deployment.restart().await;
    list(&deployment, &mut searched).await;
    deployment.stop().await;

    let logged = log.0.lock().unwrap().clone();
    let text = String::from_utf8_lossy(&logged);
    for expected in ["listeners opened", "config saved", "webhook was rejected", "DEBUG", "access"] {
        assert!(text.contains(expected), "the log is incomplete: no {expected:?}");
    }
    searched.add("the log", logged);
    // Copies of modules hold no secrets; the cashier wrote every other file.
    let written = files(&deployment.folder().join("bases")).into_iter().chain(files(&deployment.folder().join("var")));
    for file in written.filter(|file| file.extension().is_none_or(|it| it != "so")) {
        searched.add(file.display().to_string(), std::fs::read(&file).unwrap());
    }

    let found = searched.with("findable-1");
    assert!(found.iter().any(|place| place.ends_with("cashier.db")), "the search finds existing text: {found:?}");
    let secrets = [
        SECRET_KEY,
        WEBHOOK_SECRET,
        NEXT_WEBHOOK_SECRET,
        CONFIG_JSON_SECRET,
        WRONG_SECRET,
        UNUSABLE_SECRET,
        COOKIE,
        API_KEY_HEADER,
        BASIC,
        CLIENT_TOKEN,
        &customer_token,
        &manager_token,
        &"5e".repeat(32),
        &"a7".repeat(32),
    ];
    for secret in secrets {
        assert_eq!(searched.with(secret), Vec::<&str>::new(), "{secret} was found");
    }
    assert_eq!(searched.with("CANARY"), Vec::<&str>::new(), "a part of a secret was found");
}

/// The `panics` module quotes this when it panics.
const QUOTED_SECRET: &str = "sk_live_CANARYquoted6a1f";

/// Runs the program, so that standard error is searched as well: a panic message does not pass through the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_message_with_a_secret_appears_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = CashierProcess::prepare(folder.path(), &[], &roster::standard()).await;
    plugin_host::built();
    let plugins = folder.path().join("plugins.toml");
    let listed = std::fs::read_to_string(&plugins).unwrap();
    std::fs::write(&plugins, format!("{listed}[[module]]\nname = \"panics\"\n")).unwrap();
    process.log_level = "trace";
    let addresses = process.start().await;
    let (http, mut searched) = (Http::new(), Searched { places: Vec::new() });
    let (customer, manager) = (format!("http://{}", addresses.customer), format!("http://{}", addresses.manager));
    let manager = ManagerClient { http: http.clone(), url: manager, token: process.token(Role::Manager, 1) };
    let customer = CustomerClient { http, url: customer, token: process.token(Role::Customer, CUSTOMER) };

    let save = "MngUpdateCashierProviderConfig";
    let panics_in = |entry: &str| json!({"panic_in": entry}).to_string();
    let mut config = json!({"provider": "panics", "brand": "ion4", "currency": "USD", "sandbox": 1, "enabled": 1,
        "secret_key": QUOTED_SECRET, "webhook_secret": QUOTED_SECRET, "settings_json": panics_in("configure")});
    let refused = manager.command(save, &config).await;
    assert!(refused.status == 400 && refused.text().contains("panicked in configure at "), "{}", refused.text());
    searched.answer("a config that cannot be read", &refused);

    config["settings_json"] = json!(panics_in("create_payment"));
    let id = manager.save_config(&config).await;
    let failed = customer.deposit(&order("panics", "25")).await;
    assert_eq!(failed.status, 503, "{}", failed.text());
    searched.answer("a deposit", &failed);
    for entry in ["normalize_status", "drop", ""] {
        let change = json!({"id": id, "settings_json": panics_in(entry)});
        searched.answer("an edit", &manager.command(save, &change).await);
        let url = format!("{}/cashier/webhook/panics/{id}", customer.url);
        let answer = customer.http.post(&url, &[], "{}").await;
        assert_eq!(answer.status == 200, entry != "normalize_status", "{entry}: {}", answer.text());
        searched.answer("a webhook", &answer);
    }
    for (command, data) in [("MngGetCashierTransactionsByFilter", json!({})), ("MngGetCashierProviders", json!({}))] {
        searched.answer(command, &manager.command(command, &data).await);
    }
    assert_eq!(process.terminate().await, Some(0), "it stops in order");

    let log = process.log();
    for expected in ["listeners opened", "TRACE", "panicked in normalize_status at "] {
        assert!(log.contains(expected), "standard error is incomplete: no {expected:?}\n{log}");
    }
    searched.add("standard error", log);
    for file in files(&folder.path().join("bases")) {
        searched.add(file.display().to_string(), std::fs::read(&file).unwrap());
    }
    // The location of a panic is stored, for managers and on disk; its message is not.
    let found = searched.with("panicked in normalize_status at ");
    assert!(found.iter().any(|place| place.contains("cashier.db")), "the search finds existing text: {found:?}");
    assert_eq!(searched.with("CANARY"), Vec::<&str>::new(), "a part of a secret was found");
}

/// Configs that are saved, changed and refused.
async fn configure(deployment: &Deployment, searched: &mut Searched) {
    let mut config = deployment.stripe_config();
    config["secret_key"] = json!(SECRET_KEY);
    config["webhook_secret"] = json!(WEBHOOK_SECRET);
    let manager = deployment.manager();
    let save = "MngUpdateCashierProviderConfig";
    searched.answer("a new config", &manager.command(save, &config).await);
    let mut second = deployment.stripe_config();
    second["secret_key"] = json!("");
    second["method"] = json!("");
    second["sort_index"] = json!(9);
    let secrets = json!({"secret_key": CONFIG_JSON_SECRET, "webhook_secret": WEBHOOK_SECRET});
    second["config_json"] = json!(secrets.to_string());
    let saved = manager.command(save, &second).await;
    saved.expect_ok();
    searched.answer("a config in config_json", &saved);
    let refused = [
        json!({"id": 1, "secret_key": WRONG_SECRET}),
        json!({"id": 1, "secret_key": UNUSABLE_SECRET}),
        json!({"id": 1, "webhook_secret": UNUSABLE_SECRET}),
        json!({"id": 1, "secret_key": WRONG_SECRET, "unknown": 1}),
        json!({"id": 1, "config_json": format!("{{\"secret_key\":\"{UNUSABLE_SECRET}\"")}),
        json!({"id": 1, "settings_json": "[]", "secret_key": WRONG_SECRET}),
        json!({"provider": "stripe", "brand": "ion4", "enabled": 1, "public_key": WRONG_SECRET}),
    ];
    for change in refused {
        let answer = manager.command(save, &change).await;
        assert_eq!(answer.status, 400, "{change}: {}", answer.text());
        searched.answer("a refused config", &answer);
    }
    searched.answer(
        "a replaced secret",
        &manager.command(save, &json!({"id": 1, "webhook_secret": NEXT_WEBHOOK_SECRET})).await,
    );
}

/// Deposits that succeed, are declined, and meet a provider whose error quotes the key.
async fn deposit(deployment: &Deployment, searched: &mut Searched) {
    let customer = deployment.customer();
    for (at, mode) in [StubMode::Answering, StubMode::Declining, StubMode::QuotingKey].into_iter().enumerate() {
        deployment.stripe.set_mode(mode.clone());
        let mut request = order("stripe", "25");
        request["provider_config_id"] = json!(1);
        request["idempotency_key"] = json!(format!("findable-{}", at + 1));
        let answer = customer.deposit(&request).await;
        assert_eq!(answer.status == 200, mode == StubMode::Answering, "{mode:?}: {}", answer.text());
        searched.answer(&format!("a deposit, {mode:?}"), &answer);
    }
    deployment.stripe.set_mode(StubMode::Answering);
    assert!(
        deployment.stripe.requests().iter().all(|request| request.authorization.ends_with(SECRET_KEY)),
        "the key is in use"
    );
}

/// Webhooks with valid and invalid signatures, and with headers that carry credentials.
async fn send_webhooks(deployment: &Deployment, searched: &mut Searched) {
    let reference = deployment.stripe.requests()[0].form["metadata[transaction_id]"].clone();
    let event = StripeEventFields {
        event_id: "evt_1",
        reference: &reference,
        intent: "pi_stub_1",
        amount: 2_500,
        currency: "usd",
        live: false,
    };
    let now = deployment.clock.unix();
    for secret in [NEXT_WEBHOOK_SECRET, "whsec_unknown"] {
        let (body, (name, signature)) = signed(secret, now, &event.intent_succeeded(now));
        let headers = [
            (name, &*signature),
            ("authorization", BASIC),
            ("cookie", COOKIE),
            ("x-api-key", API_KEY_HEADER),
            ("x-auth-token", CLIENT_TOKEN),
            ("proxy-authorization", BASIC),
        ];
        let url = format!("{}/cashier/webhook/stripe", deployment.customer_url());
        let answer = deployment.http.post(&url, &headers, body).await;
        assert_eq!(answer.status == 200, secret == NEXT_WEBHOOK_SECRET, "{}", answer.text());
        searched.answer("a webhook", &answer);
    }
    let credited = eventually("the credit", async || {
        Some(deployment.customer().transactions("").await).filter(|list| list.text().contains("\"status\":3"))
    })
    .await;
    searched.answer("the customer's list", &credited);
}

/// Requests refused for their tokens, their bodies and their paths.
async fn refuse(deployment: &Deployment, searched: &mut Searched) {
    let mut customer = deployment.customer();
    customer.token = CLIENT_TOKEN.into();
    searched.answer("a forged token", &customer.deposit(&order("stripe", "25")).await);
    customer.token = BASIC.into();
    searched.answer("basic authorization", &customer.methods(1).await);
    let mut manager = deployment.manager();
    manager.token = CLIENT_TOKEN.into();
    searched.answer("a forged manager token", &manager.command("MngGetCashierProviders", &json!({})).await);
    let body = json!({"command": "MngGetCashierProviders", "extID": "x", "__token": CLIENT_TOKEN}).to_string();
    searched
        .answer("a token in the message", &deployment.http.post(&format!("{}/manager", manager.url), &[], body).await);
    let path = format!("{}/cashier/methods?login=1&token=x", deployment.customer_url());
    searched.answer("an odd query", &deployment.http.get(&path, &[("cookie", COOKIE)]).await);
}

/// All lists and details for managers.
async fn list(deployment: &Deployment, searched: &mut Searched) {
    let manager = deployment.manager();
    let lists = [
        ("MngGetCashierProviders", json!({})),
        ("MngGetCashierTransactionsByFilter", json!({})),
        ("MngGetCashierTransaction", json!({"id": 1})),
        ("MngGetCashierTransaction", json!({"id": 2})),
        ("MngGetCashierTransaction", json!({"id": 3})),
    ];
    for (command, data) in lists {
        let answer = manager.command(command, &data).await;
        answer.expect_ok();
        searched.answer(command, &answer);
    }
    let watch = format!("http://{}", deployment.addresses.watch);
    for page in ["healthz", "readyz", "metrics"] {
        searched.answer(page, &deployment.http.get(&format!("{watch}/{page}"), &[]).await);
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
