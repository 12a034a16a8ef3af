//! What the egress client sends, and where: addresses, requests, certificates, and that logs hold no secrets.

use super::peer::{Behaviour, Log, NameTable, Peer, authority, egress, get, post, status_and_body};
use super::*;

fn refused(error: &EgressError) -> &str {
    match error {
        EgressError::NeverSent(NeverSent::Refused(why)) => why,
        EgressError::NeverSent(_) | EgressError::Unknown(_) => panic!("not refused: {error}"),
    }
}

#[tokio::test]
async fn addresses_are_checked_after_the_name_is_resolved() {
    let peer = Peer::plain(REPLIES_FINE).await;
    let resolver = Arc::new(NameTable(&[
        ("rebound.example", &["127.0.0.1"]),
        ("mixed.example", &["93.184.216.34", "10.0.0.1"]),
        ("metadata.example", &["169.254.169.254"]),
        ("mapped.example", &["::ffff:127.0.0.1"]),
        ("named.example", &["127.0.0.1"]),
    ]));
    let settings = EgressSettings { resolver, ..EgressSettings::default() };
    let port = peer.port;
    let allowed = ["rebound", "mixed", "metadata", "mapped"].map(|name| format!("{name}.example:{port}"));
    let provider = EgressRules::read(&allowed, &[format!("named.example:{port}")]).unwrap();
    let egress = HttpClient::new(&settings).unwrap().pool(provider);
    let table = [
        ("rebound.example", "rebound.example is at 127.0.0.1, which is loopback"),
        ("mixed.example", "mixed.example is at 10.0.0.1, which is private"),
        ("metadata.example", "metadata.example is at 169.254.169.254, which is link-local"),
        ("mapped.example", "mapped.example is at ::ffff:127.0.0.1, which is reserved"),
    ];
    for (host, expected) in table {
        let error = failure(&egress, get(format!("https://{host}:{port}/"))).await;
        let why = refused(&error);
        assert_eq!(why.split_once("; ").unwrap().0, expected, "what permits it stands behind it");
    }
    assert_eq!(peer.accepted(), 0, "nothing was connected to");
    let reply = egress.send(get(format!("http://named.example:{port}/")), TEST_TIMEOUT).await.unwrap();
    assert_eq!(status_and_body(reply), "200 fine");
}

#[tokio::test]
async fn a_request_that_may_not_be_sent_is_refused_before_anything_is_opened() {
    let peer = Peer::plain(REPLIES_FINE).await;
    let with = |change: &dyn Fn(&mut EgressRequest)| {
        let mut request = post(peer.url("/"), "order");
        change(&mut request);
        request
    };
    let header = |name: &str, value: &str| {
        let pair: (String, String) = (name.into(), value.into());
        with(&move |request| request.headers.push(pair.clone()))
    };
    let table = [
        (with(&|request| request.method = "CONNECT".into()), "the method is not allowed"),
        (with(&|request| request.method = "canary \r\n".into()), "the method is not allowed"),
        (
            with(&|request| request.body = vec![0; REQUEST_BYTES_MAX + 1].into()),
            "the body of 1048577 bytes is larger than 1048576",
        ),
        (
            with(&|request| request.headers = vec![("a".into(), "b".into()); 65]),
            "the headers are more than 64 or 16384 bytes",
        ),
        (header("x", &"y".repeat(16_384)), "the headers are more than 64 or 16384 bytes"),
        (header("x-canary\r\nhost", "evil"), "a header's name is not valid"),
        (header("x-key", "canary\r\nhost: evil"), "the value of header x-key is not valid"),
        (header("Host", "evil"), "only the host sets the header host"),
        (header("Content-Length", "1"), "only the host sets the header content-length"),
        (header("Transfer-Encoding", "chunked"), "only the host sets the header transfer-encoding"),
        (header("Proxy-Authorization", "canary"), "only the host sets the header proxy-authorization"),
    ];
    let egress = peer.egress();
    for (request, expected) in table {
        assert_eq!(refused(&failure(&egress, request).await), expected);
    }
    assert_eq!(peer.accepted(), 0);
}

#[tokio::test]
async fn tls_requires_a_certificate_of_a_trusted_root_for_the_host() {
    let (root, acceptor) = authority("pay.example");
    let peer = Peer::tls(acceptor, REPLIES_FINE).await;
    let names = NameTable(&[("pay.example", &["127.0.0.1"]), ("other.example", &["127.0.0.1"])]);
    let trusting = EgressSettings { extra_roots: vec![root], resolver: Arc::new(names), ..EgressSettings::default() };
    let untrusting = EgressSettings { extra_roots: Vec::new(), ..trusting.clone() };
    let exceptions = ["pay.example", "other.example", "127.0.0.1"].map(|host| format!("{host}:{}", peer.port));
    let exceptions = exceptions.each_ref().map(String::as_str);
    let (trusting, untrusting) = (egress(&trusting, &[], &exceptions), egress(&untrusting, &[], &exceptions));

    let url = |host: &str| format!("https://{host}:{}/", peer.port);
    assert_eq!(status_and_body(trusting.send(get(url("PAY.example")), TEST_TIMEOUT).await.unwrap()), "200 fine");
    let cases = [
        (&trusting, "other.example", "not valid for name"),
        (&trusting, "127.0.0.1", "not valid for name"),
        (&untrusting, "pay.example", "UnknownIssuer"),
    ];
    for (egress, host, expected) in cases {
        let error = failure(egress, get(url(host))).await;
        assert!(matches!(&error, EgressError::NeverSent(NeverSent::Tls(why)) if why.contains(expected)), "{error}");
    }
    assert_eq!(peer.received().len(), 1, "no request was received without a handshake");
    // Plain HTTP to a TLS port: the peer's alert is not an HTTP reply.
    let error = failure(&trusting, get(url("pay.example").replace("https", "http"))).await;
    assert!(matches!(&error, EgressError::Unknown(_)), "{error}");
}

#[tokio::test]
async fn no_secret_reaches_a_log_or_an_error() {
    let log = Log::default();
    let writer = {
        let log = log.clone();
        move || log.clone()
    };
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(writer).finish();
    crate::test_cashier::ask_each_thread();
    let _guard = tracing::subscriber::set_default(subscriber);
    let behaviour: [Behaviour; 3] = [
        |connection| ends_with(connection, "HTTP/1.1 200 canary\r\nx-token: canary\r\ncontent-length: 6\r\n\r\ncanary"),
        |connection| ends_with(connection, "canary HTTP/1.1\r\ncanary: canary\r\n\r\n"),
        |connection| ends_with(connection, "HTTP/1.1 200 OK\r\nx-canary: canary\r\ncontent-length: 60\r\n\r\ncanary"),
    ];
    let mut errors = String::new();
    for behaviour in behaviour {
        let peer = Peer::plain(behaviour).await;
        for prefix in ["", "user:canary@"] {
            let mut request =
                post(peer.url("/visible?token=canary#canary").replace("127", &format!("{prefix}127")), "canary");
            request.headers = vec![("authorization".into(), "Bearer canary".into())];
            if let Err(error) = peer.egress().send(request.clone(), TEST_TIMEOUT).await {
                errors.push_str(&format!("{error} {error:?}\n"));
            }
            request.headers.push(("x".into(), "canary\n".into()));
            errors.push_str(&format!("{:?}\n", failure(&peer.egress(), request).await));
        }
    }
    assert!(
        log.text().contains("/visible") && log.text().contains("provider request failed"),
        "the log was caught: {}",
        log.text()
    );
    assert_eq!(errors.lines().count(), 11, "{errors}");
    assert!(!log.text().contains("canary"), "{}", log.text());
    assert!(!errors.contains("canary"), "{errors}");
}
