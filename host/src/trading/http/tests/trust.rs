//! Whom the adapter trusts: a certificate of the roots or of the file, and plain HTTP on this machine alone.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cashier_core::ids::Login;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::{adapter, durable, posting, settings};
use crate::ports::PostStep;
use crate::test_cashier::{TestClock, TestEntropy};
use crate::trading::http::{HttpServerSettings, HttpTradingServer};
use crate::trading::remote::RemoteServer;

fn problem_of(settings: HttpServerSettings) -> Option<String> {
    let clock = Arc::new(TestClock::default());
    HttpTradingServer::open(settings, clock, Arc::new(TestEntropy::default())).err().map(|fault| fault.to_string())
}

#[test]
fn plain_http_beyond_this_machine_needs_the_setting() {
    let _runtime = tokio::runtime::Runtime::new().unwrap().enter();
    for url in ["http://127.0.0.1:8095/", "http://localhost/x", "https://trading.example/cashier?tenant=1"] {
        assert_eq!(problem_of(settings(url)), None, "{url}");
    }
    let plain = settings("http://trading.example/");
    assert!(problem_of(plain.clone()).unwrap().contains("plain HTTP beyond this machine"));
    assert_eq!(problem_of(HttpServerSettings { plain_http_allowed: true, ..plain }), None);
    for wrong in
        ["", "trading.example", "ftp://trading.example/", "https://user:canary@trading.example/", "https://a/#b"]
    {
        let problem = problem_of(settings(wrong)).unwrap();
        assert!(
            problem.starts_with("the URL of the trading server ") && !problem.contains("canary"),
            "{wrong}: {problem}"
        );
    }
}

#[test]
fn a_file_of_certificates_without_any_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let with = |text: Option<&str>| {
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        problem_of(HttpServerSettings { ca_file: Some(path.clone()), ..settings("https://trading.example/") }).unwrap()
    };
    for (text, sentence) in [
        (None, "ca.pem"),
        (Some(""), "there is no certificate in it"),
        (Some("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n"), "not PEM"),
        (Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "is not usable"),
    ] {
        let problem = with(text);
        assert!(problem.contains(sentence) && problem.contains("ca_file"), "{problem}");
    }
}

/// A TLS server for localhost that closes each connection once it received something, with the PEM of its root.
async fn tls_server() -> (String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap());
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(socket).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 418 I'm a teapot\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    let root = STANDARD.encode(root.der());
    (url, format!("-----BEGIN CERTIFICATE-----\n{root}\n-----END CERTIFICATE-----\n"))
}

#[tokio::test]
async fn a_certificate_of_an_unknown_root_is_sent_nothing_and_one_of_the_file_is_trusted() {
    let (url, root) = tls_server().await;
    let (untrusting, _) = adapter(&url);
    assert_eq!(untrusting.post(durable(posting(1))).await, PostStep::NotSent);
    let problem = untrusting.health().unwrap_err().to_string();
    assert!(problem.contains("UnknownIssuer"), "{problem}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, root).unwrap();
    let clock = Arc::new(TestClock::default());
    let trusting = HttpServerSettings { ca_file: Some(path), ..settings(&url) };
    let trusting = HttpTradingServer::open(trusting, clock, Arc::new(TestEntropy::default())).unwrap();
    let problem = trusting.account(Login(1)).await.unwrap_err().to_string();
    assert!(problem.contains("status 418"), "{problem}");
}
