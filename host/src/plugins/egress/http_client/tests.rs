//! The egress client against peers that misbehave, each in one way.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use self::peer::{Behaviour, NameTable, Peer, PeerConnection, egress, get, post, status_and_body};
use super::*;

mod apart;
mod peer;
mod reuse;
mod trust;

/// Longer than any test takes; where a deadline has to pass, the test moves the clock.
const TEST_TIMEOUT: Duration = Duration::from_secs(30);

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";

const REPLIES_FINE: Behaviour = |mut connection| Box::pin(async move { connection.reply_to_all(FINE).await });

async fn failure(egress: &Egress, request: EgressRequest) -> EgressError {
    match egress.send(request, TEST_TIMEOUT).await {
        Ok(reply) => panic!("it was answered: {}", status_and_body(reply)),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_request_is_sent_as_stated_and_its_reply_is_read_in_full() {
    let peer = Peer::plain(|mut connection| {
        Box::pin(async move {
            connection
                .reply_to_all(
                    "HTTP/1.1 201 Created\r\nSet-Cookie: a\r\nX-Two: 2\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok",
                )
                .await;
        })
    })
    .await;
    let mut request = post(peer.url("/v1/pay?a=b&c=%20#fragment"), "{\"amount\":5}");
    request.headers = vec![("X-Api-Key".into(), "k".into()), ("Content-Type".into(), "application/json".into())];
    let reply = peer.egress().send(request, TEST_TIMEOUT).await.unwrap();
    let pair = |name: &str, value: &str| (name.into(), value.into());
    assert_eq!((reply.status, &reply.body[..]), (201, &b"ok"[..]));
    assert_eq!(
        reply.headers,
        [pair("set-cookie", "a"), pair("set-cookie", "b"), pair("x-two", "2"), pair("content-length", "2")]
    );
    let expected = format!(
        "POST /v1/pay?a=b&c=%20 HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nx-api-key: k\r\ncontent-type: application/json\r\n\
         user-agent: cashier/0.1.0\r\naccept-encoding: identity\r\ncontent-length: 12\r\n\r\n{{\"amount\":5}}",
        peer.port
    );
    assert_eq!(peer.received(), [expected]);
}

#[tokio::test]
async fn a_request_with_an_empty_body_states_its_length_where_its_method_allows_a_body() {
    // RFC 9110, 8.6: without it some servers wait for a body, or answer 411.
    let length = "content-length: 0";
    for (method, stated) in
        [("POST", true), ("PUT", true), ("PATCH", true), ("GET", false), ("DELETE", false), ("HEAD", false)]
    {
        let peer = Peer::plain(REPLIES_FINE).await;
        let request = EgressRequest { method: method.into(), ..get(peer.url("/")) };
        peer.egress().send(request, TEST_TIMEOUT).await.unwrap();
        let received = peer.received().concat();
        assert_eq!(received.contains(length), stated, "{received}");
        assert!(received.matches("content-length").count() <= 1, "{received}");
    }
}

#[tokio::test]
async fn a_reply_that_breaks_off_or_is_not_http_leaves_the_outcome_unknown() {
    let table: [(&str, &str, Behaviour); 8] = [
        ("closes without a reply", "broke", |connection| ends_with(connection, "")),
        ("closes in the head", "broke", |connection| ends_with(connection, "HTTP/1.1 200 OK\r\nx: ")),
        ("closes in the body", "broke", |connection| {
            ends_with(connection, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
        }),
        ("closes in a chunk", "broke", |connection| {
            ends_with(connection, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf")
        }),
        ("speaks another protocol", "not an HTTP reply", |connection| {
            ends_with(connection, "SSH-2.0-OpenSSH_9.6\r\n\r\n")
        }),
        ("switches protocols", "not an HTTP reply", |connection| {
            ends_with(connection, "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n")
        }),
        ("announces too much", "larger than 2097152 bytes", |connection| {
            ends_with(connection, "HTTP/1.1 200 OK\r\ncontent-length: 2097153\r\n\r\nx")
        }),
        ("has an endless head", "not an HTTP reply", |connection| {
            Box::pin(endless(connection, "HTTP/1.1 200 OK\r\n", "x: yyyyyyyyyyyyyyyyyyyyyyy\r\n"))
        }),
    ];
    for (name, expected, behaviour) in table {
        let peer = Peer::plain(behaviour).await;
        let error = failure(&peer.egress(), post(peer.url("/"), "order")).await;
        let fits = matches!(&error, EgressError::Unknown(why) if why.to_string().contains(expected));
        assert!(fits, "a peer that {name}: {error}");
        assert_eq!((peer.accepted(), peer.received().len()), (1, 1), "a peer that {name} gets one request");
    }
}

fn ends_with(mut connection: PeerConnection, text: &'static str) -> futures_util::future::BoxFuture<'static, ()> {
    Box::pin(async move {
        connection.receive().await;
        connection.send(text).await;
    })
}

async fn endless(mut connection: PeerConnection, start: &str, more: &str) {
    connection.receive().await;
    connection.send(start).await;
    while connection.stream.write_all(more.as_bytes()).await.is_ok() {}
}

#[tokio::test]
async fn a_reply_is_read_up_to_its_limit_and_not_beyond() {
    let chunks = |count: usize| {
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(count))
    };
    assert_eq!(REPLY_BYTES_MAX, 32 * 0x10000);
    let (exact, beyond) = (chunks(32), chunks(33));
    for (reply, fits) in [(exact, true), (beyond, false)] {
        static REPLY: std::sync::Mutex<String> = std::sync::Mutex::new(String::new());
        *REPLY.lock().unwrap() = reply;
        let peer = Peer::plain(|mut connection| {
            let reply = REPLY.lock().unwrap().clone();
            Box::pin(async move { connection.reply_to_all(&reply).await })
        })
        .await;
        let outcome = peer.egress().send(get(peer.url("/")), TEST_TIMEOUT).await;
        match outcome {
            Ok(reply) => assert!(fits && reply.body.len() == REPLY_BYTES_MAX),
            Err(error) => assert!(!fits && error == EgressError::Unknown(UnknownOutcome::TooLarge), "{error}"),
        }
    }
}

#[tokio::test]
async fn a_reply_that_never_completes_times_out_at_the_deadline() {
    let silent: Behaviour = |mut connection| {
        Box::pin(async move {
            connection.receive().await;
            std::future::pending().await
        })
    };
    let halfway: Behaviour = |mut connection| {
        Box::pin(async move {
            connection.receive().await;
            connection.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await;
            std::future::pending().await
        })
    };
    let dripping: Behaviour = |mut connection| {
        Box::pin(async move {
            connection.receive().await;
            connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            loop {
                connection.send("1\r\nx\r\n").await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        })
    };
    for behaviour in [silent, halfway, dripping] {
        let peer = Peer::plain(behaviour).await;
        let (egress, url) = (peer.egress(), peer.url("/"));
        let sending = tokio::spawn(async move { failure(&egress, post(url, "order")).await });
        peer.until_received(1).await;
        // A paused clock without other work advances to the next timer.
        tokio::time::pause();
        assert_eq!(sending.await.unwrap(), EgressError::Unknown(UnknownOutcome::Deadline));
        tokio::time::resume();
        assert_eq!(peer.accepted(), 1);
    }
}

#[tokio::test]
async fn a_slow_reply_within_the_deadline_is_read() {
    let peer = Peer::plain(|mut connection| {
        Box::pin(async move {
            connection.receive().await;
            for piece in
                ["HTTP/1.1 100 Continue\r\n\r\nHTT", "P/1.1 200 OK\r\ncontent-le", "ngth: 4\r\n\r", "\nsl", "ow"]
            {
                connection.send(piece).await;
                tokio::task::yield_now().await;
            }
            std::future::pending().await
        })
    })
    .await;
    assert_eq!(status_and_body(peer.egress().send(get(peer.url("/")), TEST_TIMEOUT).await.unwrap()), "200 slow");
}

#[tokio::test]
async fn a_request_to_an_unreachable_host_was_never_sent() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let unreachable = egress(&EgressSettings::default(), &[], &[&format!("127.0.0.1:{port}")]);
    let error = failure(&unreachable, get(format!("http://127.0.0.1:{port}/"))).await;
    assert!(matches!(&error, EgressError::NeverSent(NeverSent::Connect(_))), "{error}");

    let resolver = Arc::new(NameTable(&[("slow.example", &["no reply"]), ("void.example", &[])]));
    let settings = EgressSettings { resolver, ..EgressSettings::default() };
    let egress = egress(&settings, &["slow.example", "void.example", "unknown.example"], &[]);
    tokio::time::pause();
    for host in ["slow.example", "void.example", "unknown.example"] {
        let error = failure(&egress, get(format!("https://{host}/"))).await;
        assert!(matches!(&error, EgressError::NeverSent(NeverSent::Dns(why)) if why.contains(host)), "{error}");
    }
}

#[tokio::test]
async fn a_redirect_is_returned_and_not_followed() {
    let peer = Peer::plain(|mut connection| {
        Box::pin(async move {
            connection.reply_to_all("HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n").await;
        })
    })
    .await;
    assert_eq!(status_and_body(peer.egress().send(get(peer.url("/")), TEST_TIMEOUT).await.unwrap()), "302 ");
    assert_eq!(peer.received().len(), 1);
}

#[tokio::test]
async fn a_request_without_a_completed_handshake_was_never_sent() {
    let peer = Peer::plain(|connection| {
        Box::pin(async move {
            let _held = connection;
            std::future::pending().await
        })
    })
    .await;
    let (egress, url) = (peer.egress(), peer.url("/").replace("http", "https"));
    let sending = tokio::spawn(async move { failure(&egress, get(url)).await });
    peer.until_accepted(1).await;
    tokio::time::pause();
    let error = sending.await.unwrap();
    assert!(matches!(&error, EgressError::NeverSent(NeverSent::Tls(why)) if why.contains("deadline")), "{error}");
}
