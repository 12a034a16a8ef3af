//! The accept loop with slow, oversized, malformed and panicking requests.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cashier_core::ids::CustomerId;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use warp::Filter;
use warp::filters::BoxedFilter;

use super::*;
use crate::http::reply::Reply;
use crate::http::request::{BodyLimits, ReadBody, Request, request};
use crate::http::sender::Proof;
use crate::http::testing::{Client, TestListener};
use crate::http::tls;
use crate::test_cashier::TestClock;
use crate::text_file;

mod slow_readers;

/// Replies with the request: method, path, ip and body.
fn echo(clock: &Arc<TestClock>) -> BoxedFilter<(Reply,)> {
    let clock = Arc::clone(clock);
    request()
        .then(move |mut request: Request| {
            let clock = Arc::clone(&clock);
            async move {
                match request.read_body(16, &*clock).await {
                    Err(refusal) => Reply::refused(&refusal),
                    Ok(body) => {
                        request.origin.sender.proved(Proof::Customer(CustomerId(5)));
                        let (method, path, ip) = (&request.method, &request.path, request.origin.ip);
                        let locale = request.locale();
                        let text = format!("{method} {path} {ip} {locale} {}", String::from_utf8_lossy(&body));
                        Reply::text(200, "text/plain", text)
                    }
                }
            }
        })
        .boxed()
}

#[tokio::test]
async fn every_response_carries_its_request_id_and_that_of_a_session_its_own_latency() {
    let clock = Arc::new(TestClock::default());
    let advanced = Arc::clone(&clock);
    let routes = request().map(move |request: Request| {
        advanced.advance(Duration::from_micros(5_234));
        let numbers: Vec<u16> = request.path.split('/').filter_map(|part| part.parse().ok()).collect();
        if let [_, 1] = numbers[..] {
            request.origin.sender.proved(Proof::Customer(CustomerId(5)));
        }
        Reply::json(numbers[0], b"{}".to_vec()).after(Duration::from_micros(3_000))
    });
    let listener = TestListener::open(routes.boxed(), Arc::clone(&clock)).await;
    let response = listener.request("GET /200/1 HTTP/1.1\r\nhost: x\r\nx-request-id: web-7f.3\r\n\r\n").await;
    assert_eq!((response.status, response.body.as_str()), (200, "{}"));
    assert_eq!(response.header("x-request-id"), Some("web-7f.3"));
    assert_eq!(response.header("x-own-latency-us"), Some("2234"));
    assert_eq!(response.header("server-timing"), Some("own;dur=2.234, outside;dur=3.000"));
    let table = [(200, 0, false), (400, 1, true), (503, 1, true), (401, 1, false), (403, 1, false), (404, 0, false)];
    for (status, session, timed) in table {
        let response = listener.send(&format!("GET /{status}/{session}"), "", "").await;
        assert_eq!(response.status, status);
        for name in ["x-own-latency-us", "server-timing"] {
            assert_eq!(response.header(name).is_some(), timed, "{status} {session} {name}");
        }
    }
    let long = "a".repeat(65);
    for invalid in ["", "a b", "a\u{e9}", "<script>", &long] {
        let head = format!("GET /200/0 HTTP/1.1\r\nhost: x\r\nx-request-id: {invalid}\r\n\r\n");
        let response = listener.request(&head).await;
        let id = response.header("x-request-id").unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{invalid}: {id}");
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_clients_body_is_not_own_latency() {
    let clock = Arc::new(TestClock::default());
    let listener = TestListener::open(echo(&clock), Arc::clone(&clock)).await;
    let mut client = listener.connect().await;
    client.stream.write_all(b"POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab").await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    clock.advance(Duration::from_secs(2));
    let response = client.request("cd").await;
    assert_eq!((response.status, response.header("x-own-latency-us")), (200, Some("0")));
}

#[tokio::test]
async fn a_panic_answers_500_and_the_connection_stays_open() {
    let routes = warp::path::param::<u64>().map(|number: u64| {
        assert_ne!(number, 7, "CANARY");
        Reply::success(&serde_json::json!({}))
    });
    let listener =
        TestListener::open(routes.or(warp::any().map(Reply::not_found)).unify().boxed(), Arc::default()).await;
    let mut client = listener.connect().await;
    let response = client.request("GET /7 HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(
        response.body,
        r#"{"error":"INTERNAL_ERROR","message":"the request failed; the log has the error under its request id"}"#
    );
    assert_eq!((response.status, response.header("x-request-id").is_some()), (500, true));
    assert_eq!(client.request("GET /8 HTTP/1.1\r\nhost: x\r\n\r\n").await.status, 200);
    assert_eq!(client.request("GET /x HTTP/1.1\r\nhost: x\r\n\r\n").await.error(), "RET_ERR_NOTFOUND");
}

#[tokio::test(start_paused = true)]
async fn slow_senders_are_timed_out() {
    let clock = Arc::new(TestClock::default());
    let listener = TestListener::open(echo(&clock), clock).await;
    let mut half_head = listener.connect().await;
    half_head.stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    assert!(half_head.receive().await.is_none_or(|response| response.status == 408));
    let mut half_body = listener.connect().await;
    let response = half_body.request("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc").await;
    assert_eq!((response.status, response.error().as_str()), (408, "REQUEST_TIMEOUT"));
}

#[tokio::test]
async fn a_body_is_read_whole_or_refused() {
    let clock = Arc::new(TestClock::default());
    let listener = TestListener::open(echo(&clock), clock).await;
    let table = [
        ("content-length: 3\r\n\r\nabc", 200),
        ("transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 200),
        ("content-length: 17\r\n\r\n", 413),
        ("content-length: 99999999999999999\r\n\r\n", 413),
        ("transfer-encoding: chunked\r\n\r\n9\r\nabcdefghi\r\n9\r\nabcdefghi\r\n0\r\n\r\n", 413),
        ("transfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        ("content-length: 3\r\ncontent-length: 4\r\n\r\nabc", 400),
    ];
    for (rest, status) in table {
        let response = listener
            .request(&format!("POST /p HTTP/1.1\r\nhost: x\r\naccept-language: de-DE,de;q=0.9\r\n{rest}"))
            .await;
        assert_eq!(response.status, status, "{rest}");
    }
    let response = listener
        .request(
            "POST /p%20q?x=1 HTTP/1.1\r\nhost: x\r\naccept-language: de-DE,de;q=0.9\r\ncontent-length: 2\r\n\r\nok",
        )
        .await;
    assert_eq!(response.body, "POST /p%20q 127.0.0.1 de-DE ok");
}

#[tokio::test]
async fn large_bodies_share_a_capacity_that_small_ones_do_not_use() {
    let clock = Arc::new(TestClock::default());
    let reading = Arc::clone(&clock);
    let routes = request().then(move |mut request: Request| {
        let clock = Arc::clone(&reading);
        async move {
            // Under `/full` other senders hold all but one kilobyte of the capacity.
            let capacity = Arc::clone(&request.origin.large_bodies);
            let others = if &*request.path == "/full" { LARGE_BODIES_KIB_MAX as u32 - 1 } else { 0 };
            let _others = capacity.try_acquire_many(others).unwrap();
            match request.read_body(1024 * 1024, &*clock).await {
                Ok(body) => Reply::text(200, "text/plain", body.len().to_string()),
                Err(refusal) => Reply::refused(&refusal),
            }
        }
    });
    let listener = TestListener::open(routes.boxed(), clock).await;
    let table = [
        ("/full", 64 * 1024, 200),
        ("/full", 65 * 1024, 200),
        ("/full", 65 * 1024 + 1, 429),
        ("/free", 1024 * 1024, 200),
        ("/free", 1024 * 1024, 200),
    ];
    for (path, length, status) in table {
        let response = listener.send(&format!("POST {path}"), "", &"x".repeat(length)).await;
        assert_eq!(response.status, status, "{path} {length}: {}", response.body);
    }
}

#[tokio::test]
async fn b4_a_large_body_holds_its_share_until_it_is_dropped_and_anybody_leaves_some_to_the_others() {
    let clock = Arc::new(TestClock::default());
    let reading = Arc::clone(&clock);
    let kept: Arc<std::sync::Mutex<Vec<ReadBody>>> = Arc::default();
    let keeping = Arc::clone(&kept);
    let routes = request().then(move |mut request: Request| {
        let (clock, kept) = (Arc::clone(&reading), Arc::clone(&keeping));
        async move {
            let anybody = &*request.path == "/anybody";
            let limits = if anybody { BodyLimits::of_anybody(1024 * 1024) } else { (1024 * 1024).into() };
            match request.read_body(limits, &*clock).await {
                Ok(body) => {
                    kept.lock().unwrap().push(body);
                    Reply::text(200, "text/plain", request.origin.large_bodies.available_permits().to_string())
                }
                Err(refusal) => Reply::refused(&refusal),
            }
        }
    });
    let listener = TestListener::open(routes.boxed(), clock).await;
    let body = "x".repeat(1024 * 1024);
    let mut statuses = Vec::new();
    for path in ["/anybody", "/known"] {
        for _ in 0..70 {
            statuses.push((path, listener.send(&format!("POST {path}"), "", &body).await.status));
        }
    }
    let taken = |path| statuses.iter().filter(|status| **status == (path, 200)).count();
    // A body of 1 MiB needs 960 KiB of the 64 MiB.
    assert_eq!((taken("/anybody"), taken("/anybody") + taken("/known")), (48 * 1024 / 960, 64 * 1024 / 960));
    kept.lock().unwrap().clear();
    let response = listener.send("POST /known", "", &body).await;
    assert_eq!((response.status, response.body), (200, (LARGE_BODIES_KIB_MAX - 960).to_string()));
}

#[tokio::test]
async fn malformed_bytes_end_only_their_own_connection() {
    let clock = Arc::new(TestClock::default());
    let listener = TestListener::open(echo(&clock), clock).await;
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(4 * HEAD_LENGTH_MAX));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: 1\r\n".repeat(HEADERS_MAX + 1));
    for malformed in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", &long, &many] {
        let mut client = listener.connect().await;
        let _ = client.stream.write_all(malformed.as_bytes()).await;
        let response = client.receive().await.map_or(400, |response| response.status);
        assert!((400..500).contains(&response), "{response}: {}", malformed.chars().take(40).collect::<String>());
    }
    assert_eq!(listener.send("GET /fine", "", "").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn stopping_drains_requests_until_the_deadline() {
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (seen, waits) = (Arc::clone(&arrived), Arc::clone(&go));
    let routes = warp::path::param::<String>().then(move |way: String| {
        let (seen, waits) = (Arc::clone(&seen), Arc::clone(&waits));
        async move {
            seen.notify_one();
            match way.as_str() {
                "finishes" => waits.notified().await,
                _ => std::future::pending().await,
            }
            Reply::success(&serde_json::json!({}))
        }
    });
    let routes = routes.boxed();
    for (way, cut) in [("finishes", 0), ("hangs", 1)] {
        let listener = TestListener::open(routes.clone(), Arc::default()).await;
        let mut client = listener.connect().await;
        client.stream.write_all(format!("GET /{way} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        arrived.notified().await;
        listener.end.send(Some(TestListener::DRAIN)).unwrap();
        if cut == 0 {
            go.notify_one();
        }
        assert_eq!(client.receive().await.map(|response| response.status), (cut == 0).then_some(200), "{way}");
        assert_eq!(listener.served.await.unwrap(), cut);
        assert!(TcpStream::connect(listener.address).await.is_err());
    }
}

#[tokio::test]
async fn a_tls_listener_refuses_plain_http() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let (chain, key) = (pem("CERTIFICATE", cert.der()), pem("PRIVATE KEY", &signing_key.serialize_der()));
    let config = tls::server_config(chain.as_bytes(), key.as_bytes()).unwrap();
    let clock = Arc::new(TestClock::default());
    let listener =
        TestListener::open_with(echo(&clock), clock, TestListener::LIMITS, Some(Arc::new(ServedTls::new(config))), &[])
            .await;
    let mut client = trusting(&cert).connect(&listener).await.unwrap();
    let response = client.request("GET /over/tls HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(response.body, "GET /over/tls 127.0.0.1  ");
    assert_eq!(response.header("strict-transport-security"), Some("max-age=31536000"));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    let mut plain = listener.connect().await;
    plain.stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(plain.receive().await.is_none());
    for (chain, key) in [("", ""), ("CANARY", "CANARY"), (&*chain, "CANARY"), (&*chain, &pem("PRIVATE KEY", b"CANARY"))]
    {
        assert!(!tls::server_config(chain.as_bytes(), key.as_bytes()).unwrap_err().what.contains("CANARY"));
    }
}

/// A client that trusts this certificate.
struct TrustingClient(ClientConfig);

fn trusting(certificate: &rcgen::Certificate) -> TrustingClient {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(certificate.der().to_vec())).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TrustingClient(config)
}

impl TrustingClient {
    async fn connect(self, listener: &TestListener) -> std::io::Result<Client<TlsStream<TcpStream>>> {
        let stream = TcpStream::connect(listener.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        Ok(Client { stream: TlsConnector::from(Arc::new(self.0)).connect(name, stream).await? })
    }
}

#[test]
fn i4_a_certificate_is_taken_whatever_editor_saved_it() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let (chain, key) = (pem("CERTIFICATE", cert.der()), pem("PRIVATE KEY", &signing_key.serialize_der()));
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        text_file::read_pem(&path)
    };
    let edits: [fn(&str) -> Vec<u8>; 6] = [
        |text| text.into(),
        |text| format!("\u{feff}{text}").into(),
        |text| text.replace('\n', "\r\n").into(),
        |text| text.replace('\n', " \t\n").into(),
        |text| format!("\u{feff}\r\n  {}", text.trim_end().replace('\n', "\r\n  ")).into(),
        |text| [b"# M\xfcller\n", text.as_bytes()].concat(),
    ];
    for (index, edit) in edits.iter().enumerate() {
        let (chain, key) = (read("chain.pem", &edit(&chain)).unwrap(), read("key.pem", &edit(&key)).unwrap());
        assert!(tls::server_config(&chain, &key).is_ok(), "edit {index}");
    }
    let utf16 = read("key.pem", b"\xff\xfe-\0").unwrap_err();
    assert!(utf16.ends_with("key.pem: begins with a UTF-16 byte order mark: save it as UTF-8"), "{utf16}");
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

mod connections;
