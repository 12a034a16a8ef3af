//! Settings from the file to a running server: where customers may be sent back to, whose pages may call, how many refused
//! sign-ins of one address are logged, and which certificate is served.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cashier_tests::cashier_process::{CashierProcess, run};
use cashier_tests::customer::order;
use cashier_tests::deployment::{Deployment, DeploymentPlan, NO_RATE_LIMIT};
use cashier_tests::http::Http;
use cashier_tests::roster;
use cashier_tests::waiting::eventually;
use http::Method;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Lines of refused sign-ins of one address in a minute.
const LOGGED_MAX: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn k10_customers_are_sent_back_to_the_hosts_of_their_brand_alone_and_a_misspelt_brand_is_named() {
    let settings = format!(
        "{NO_RATE_LIMIT}allow_live_on_demo = [\"ion5\"]\n[return_hosts]\nion4 = [\"Shop.example\", \"*.pay.example:8443\"]\nshpo = [\"shop.example\"]\n"
    );
    let deployment = Deployment::of(DeploymentPlan { settings, ..DeploymentPlan::default() }).await;
    deployment.manager().save_config(&deployment.sandbox_config()).await;
    let deposit = async |url: &str| {
        let mut order = order("sandbox", "25");
        order["success_url"] = json!(url);
        deployment.customer().deposit(&order).await
    };
    for url in ["https://shop.example/ok", "https://SHOP.example:444/?a=1", "https://eu.pay.example:8443/"] {
        deposit(url).await.expect_ok();
    }
    for url in ["https://evil.example/ok", "https://shop.example.evil.example/", "https://eu.pay.example/"] {
        let refused = deposit(url).await;
        assert_eq!(refused.refusal(), (400, "INVALID_DATA".into()), "{url}");
        let message = refused.json()["message"].clone();
        assert!(message.as_str().unwrap().contains("to which ion4 sends no customers"), "{message}");
    }
    let listed = deployment.watch("readyz?verbose").await.text();
    for line in ["return_hosts names brand shpo, which no group", "allow_live_on_demo names brand ion5, which no group"]
    {
        assert!(listed.contains(line), "{listed}");
    }
    assert!(!listed.contains("brand ion4"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn k10_a_host_that_could_match_nothing_is_refused_by_the_start_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = CashierProcess::prepare(folder.path(), &[], &roster::standard()).await;
    process.settings =
        "[return_hosts]\nnova = [\"shop.example\"]\nion4 = [\"shpo.example\", \"shop.example.\"]\n".into();
    assert_eq!(process.start_and_end().await.code(), Some(1));
    let text = std::fs::read_to_string(folder.path().join("cashier.toml")).unwrap();
    let line = 1 + text.lines().position(|line| line.starts_with("ion4")).unwrap();
    let expected = format!("line {line}: return_hosts has \"shop.example.\" for ion4");
    assert!(process.log().contains(&expected), "{expected}: {}", process.log());

    std::fs::write(folder.path().join("session.key"), "# the key\n1:5e\n").unwrap();
    std::fs::write(folder.path().join("cashier.toml"), text.replace("\"shop.example.\"", "\"shop.example\"")).unwrap();
    for command in
        [&["token", "--role", "customer", "--id", "5", "-s", "cashier.toml"][..], &["serve", "-s", "cashier.toml"]]
    {
        let refused = run(folder.path(), command).await;
        assert_eq!(refused.code, Some(1), "{command:?}");
        let named = refused.err.contains("session.key") && refused.err.contains("line 2, key 1: a session key needs");
        assert!(named && !refused.err.contains("1:5e"), "{command:?}: {}", refused.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn n6_pages_of_the_origins_in_the_settings_may_call_and_no_others() {
    let settings = format!("{NO_RATE_LIMIT}cors_origins = [\"https://shop.example\"]\n");
    let deployment = Deployment::of(DeploymentPlan { settings, ..DeploymentPlan::default() }).await;
    let customer = deployment.customer();
    let preflight = async |origin: &str| {
        let url = format!("{}/cashier/deposit", customer.url);
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type"),
        ];
        Http::new().send(Method::OPTIONS, &url, &headers, "").await
    };
    let allowed = preflight("https://shop.example").await;
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, "https://shop.example"));
    assert!(allowed.header("access-control-allow-headers").contains("authorization"));
    for origin in ["https://evil.example", "http://shop.example", "https://shop.example.evil.example", "null"] {
        let refused = preflight(origin).await;
        assert!(!refused.headers.contains_key("access-control-allow-origin"), "{origin}");
    }
    let (url, token) = (format!("{}/cashier/transactions", customer.url), customer.token.clone());
    let headers = [("origin", "https://shop.example"), ("authorization", &*token)];
    let listed = Http::new().get(&url, &headers).await;
    assert_eq!((listed.status, listed.header("access-control-allow-origin")), (200, "https://shop.example"));
}

#[tokio::test(flavor = "multi_thread")]
async fn k7_ten_refused_sign_ins_of_an_address_are_logged_in_a_minute_and_the_rest_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = CashierProcess::prepare(folder.path(), &[], &roster::standard()).await;
    let addresses = process.start().await;
    let (customer, manager) = (format!("http://{}", addresses.customer), format!("http://{}", addresses.manager));
    let http = Http::new();
    const SENT: usize = 60;
    for number in 0..SENT {
        let token = format!("forged-{number}");
        let headers = [("authorization", &*token)];
        let answer = match number % 3 {
            0 => http.get(&format!("{customer}/cashier/transactions"), &headers).await,
            1 => http.post(&format!("{customer}/cashier/deposit"), &headers, "{}").await,
            _ => http.post(&format!("{manager}/manager"), &headers, r#"{"command":"MngGetCashierProviders"}"#).await,
        };
        assert!(matches!(answer.status, 401 | 403), "{number}: {}", answer.status);
    }
    eventually("the access lines are written", async || {
        (process.log().matches("\"access\"").count() >= SENT).then_some(())
    })
    .await;
    assert_eq!(process.terminate().await, Some(0));
    let log = process.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut in_minutes: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines.filter(|line| line["message"] == "sign-in was refused") {
        assert_eq!((&line["target"], &line["from"]), (&json!("security"), &json!("127.0.0.1")), "{line}");
        // As far as the minute of "2026-11-29T12:28:29.000Z".
        let minute = line["timestamp"].as_str().unwrap().get(..16).unwrap().to_owned();
        *in_minutes.entry(minute).or_default() += 1;
    }
    let most = in_minutes.values().max().copied();
    assert!(most.is_some_and(|most| most > 0 && most <= LOGGED_MAX), "{in_minutes:?}");
    assert!(in_minutes.values().sum::<usize>() < SENT, "{in_minutes:?}");
}

/// Writes a new certificate with its key over the files of a server.
fn renew(chain: &Path, key: &Path) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let pem =
        |label: &str, der: &[u8]| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    std::fs::write(chain, pem("CERTIFICATE", cert.der())).unwrap();
    std::fs::write(key, pem("PRIVATE KEY", &signing_key.serialize_der())).unwrap();
    cert.der().clone()
}

/// Whether a new connection is served this certificate; `false` where it is another.
async fn is_served(address: SocketAddr, leaf: &CertificateDer<'static>) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(leaf.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn n5_a_renewed_certificate_is_served_by_the_running_server_and_a_missing_key_is_named_and_ends_no_handshake() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("tls.key"));
    let first = renew(&chain, &key);
    let mut process = CashierProcess::prepare(folder.path(), &[], &roster::standard()).await;
    process.settings = format!("{NO_RATE_LIMIT}tls_certificate_file = {chain:?}\ntls_key_file = {key:?}\n");
    let addresses = process.start().await;
    let listeners = [addresses.customer, addresses.manager];
    for address in listeners {
        assert!(is_served(address, &first).await, "{}", process.log());
    }

    let second = renew(&chain, &key);
    for address in listeners {
        eventually("the renewed certificate", async || is_served(address, &second).await.then_some(())).await;
        assert!(!is_served(address, &first).await);
    }
    process.signal("HUP").await;
    eventually("the log names the files", async || {
        let log = process.log();
        log.lines().any(|line| line.contains("files are read again") && line.contains("TLS files")).then_some(())
    })
    .await;

    let url = format!("http://{}/readyz?verbose", addresses.watch);
    let http = Http::new();
    let health = async || http.get(&url, &[]).await.text();
    let text = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let named = format!("tls_key_file = {} cannot be read", key.display());
    eventually("the missing key is named", async || health().await.contains(&named).then_some(())).await;
    for address in listeners {
        assert!(is_served(address, &second).await, "the last that fitted is served on");
    }
    std::fs::write(&key, text).unwrap();
    eventually("the key is back", async || (!health().await.contains("tls_key_file")).then_some(())).await;
    assert_eq!(process.terminate().await, Some(0));
}
