//! The egress client against peers that misbehave, one way each.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use self::peer::{Line, Manners, Peer, PhoneBook, egress, get, post, shown};
use super::*;

mod peer;
mod reuse;
mod trust;

/// Longer than any test takes; where a deadline is meant to pass, the test moves the clock.
const PATIENCE: Duration = Duration::from_secs(30);

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";

async fn failure(egress: &Egress, request: EgressRequest) -> EgressError {
    match egress.send(request, PATIENCE).await {
        Ok(reply) => panic!("it was answered: {}", shown(reply)),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_request_goes_out_as_stated_and_its_answer_comes_back_whole() {
    let peer = Peer::plain(|mut line| {
        Box::pin(async move {
            line.answer_all(
                "HTTP/1.1 201 Created\r\nSet-Cookie: a\r\nX-Two: 2\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok",
            )
            .await;
        })
    })
    .await;
    let mut request = post(peer.url("/v1/pay?a=b&c=%20#fragment"), "{\"amount\":5}");
    request.headers = vec![("X-Api-Key".into(), "k".into()), ("Content-Type".into(), "application/json".into())];
    let reply = peer.egress().send(request, PATIENCE).await.unwrap();
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
    assert_eq!(peer.heard(), [expected]);
}

#[tokio::test]
async fn a_request_that_might_have_a_body_says_that_it_has_none() {
    // RFC 9110, 8.6: without it some servers wait for a body, or answer 411.
    let length = "content-length: 0";
    for (method, told) in
        [("POST", true), ("PUT", true), ("PATCH", true), ("GET", false), ("DELETE", false), ("HEAD", false)]
    {
        let peer = Peer::plain(|mut line| Box::pin(async move { line.answer_all(FINE).await })).await;
        let request = EgressRequest { method: method.into(), ..get(peer.url("/")) };
        peer.egress().send(request, PATIENCE).await.unwrap();
        let heard = peer.heard().concat();
        assert_eq!(heard.contains(length), told, "{heard}");
        assert!(heard.matches("content-length").count() <= 1, "{heard}");
    }
}

#[tokio::test]
async fn a_peer_that_breaks_off_or_speaks_otherwise_leaves_the_outcome_unknown() {
    let table: [(&str, &str, Manners); 8] = [
        ("closes without a word", "broke", |line| ends_with(line, "")),
        ("closes in the head", "broke", |line| ends_with(line, "HTTP/1.1 200 OK\r\nx: ")),
        ("closes in the body", "broke", |line| ends_with(line, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")),
        ("closes in a chunk", "broke", |line| {
            ends_with(line, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf")
        }),
        ("speaks another protocol", "no HTTP answer", |line| ends_with(line, "SSH-2.0-OpenSSH_9.6\r\n\r\n")),
        ("switches protocols", "no HTTP answer", |line| {
            ends_with(line, "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n")
        }),
        ("announces too much", "larger than 2097152 bytes", |line| {
            ends_with(line, "HTTP/1.1 200 OK\r\ncontent-length: 2097153\r\n\r\nx")
        }),
        ("has an endless head", "no HTTP answer", |line| {
            Box::pin(endless(line, "HTTP/1.1 200 OK\r\n", "x: yyyyyyyyyyyyyyyyyyyyyyy\r\n"))
        }),
    ];
    for (name, expected, manners) in table {
        let peer = Peer::plain(manners).await;
        let error = failure(&peer.egress(), post(peer.url("/"), "order")).await;
        let fits = matches!(&error, EgressError::Unknown(why) if why.to_string().contains(expected));
        assert!(fits, "a peer that {name}: {error}");
        assert_eq!((peer.accepted(), peer.heard().len()), (1, 1), "a peer that {name} is asked once");
    }
}

fn ends_with(mut line: Line, text: &'static str) -> futures_util::future::BoxFuture<'static, ()> {
    Box::pin(async move {
        line.hear().await;
        line.say(text).await;
    })
}

async fn endless(mut line: Line, start: &str, more: &str) {
    line.hear().await;
    line.say(start).await;
    while line.stream.write_all(more.as_bytes()).await.is_ok() {}
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_limit_and_not_beyond() {
    let chunks = |count: usize| {
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(count))
    };
    assert_eq!(ANSWER_BYTES_MAX, 32 * 0x10000);
    let (exact, beyond) = (chunks(32), chunks(33));
    for (answer, fits) in [(exact, true), (beyond, false)] {
        static ANSWER: std::sync::Mutex<String> = std::sync::Mutex::new(String::new());
        *ANSWER.lock().unwrap() = answer;
        let peer = Peer::plain(|mut line| {
            let answer = ANSWER.lock().unwrap().clone();
            Box::pin(async move { line.answer_all(&answer).await })
        })
        .await;
        let outcome = peer.egress().send(get(peer.url("/")), PATIENCE).await;
        match outcome {
            Ok(reply) => assert!(fits && reply.body.len() == ANSWER_BYTES_MAX),
            Err(error) => assert!(!fits && error == EgressError::Unknown(Unknown::TooLarge), "{error}"),
        }
    }
}

#[tokio::test]
async fn a_peer_that_is_silent_or_stops_halfway_ends_at_the_deadline() {
    let silent: Manners = |mut line| {
        Box::pin(async move {
            line.hear().await;
            std::future::pending().await
        })
    };
    let halfway: Manners = |mut line| {
        Box::pin(async move {
            line.hear().await;
            line.say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await;
            std::future::pending().await
        })
    };
    let dripping: Manners = |mut line| {
        Box::pin(async move {
            line.hear().await;
            line.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            loop {
                line.say("1\r\nx\r\n").await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        })
    };
    for manners in [silent, halfway, dripping] {
        let peer = Peer::plain(manners).await;
        let (egress, url) = (peer.egress(), peer.url("/"));
        let asked = tokio::spawn(async move { failure(&egress, post(url, "order")).await });
        peer.until_heard(1).await;
        // With nothing else to do, a paused clock leaps to the next timer.
        tokio::time::pause();
        assert_eq!(asked.await.unwrap(), EgressError::Unknown(Unknown::Deadline));
        tokio::time::resume();
        assert_eq!(peer.accepted(), 1);
    }
}

#[tokio::test]
async fn a_slow_answer_within_the_deadline_is_an_answer() {
    let peer = Peer::plain(|mut line| {
        Box::pin(async move {
            line.hear().await;
            for piece in
                ["HTTP/1.1 100 Continue\r\n\r\nHTT", "P/1.1 200 OK\r\ncontent-le", "ngth: 4\r\n\r", "\nsl", "ow"]
            {
                line.say(piece).await;
                tokio::task::yield_now().await;
            }
            std::future::pending().await
        })
    })
    .await;
    assert_eq!(shown(peer.egress().send(get(peer.url("/")), PATIENCE).await.unwrap()), "200 slow");
}

#[tokio::test]
async fn what_cannot_be_reached_was_never_sent() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let nobody = egress(&EgressSettings::default(), &[], &[&format!("127.0.0.1:{port}")]);
    let error = failure(&nobody, get(format!("http://127.0.0.1:{port}/"))).await;
    assert!(matches!(&error, EgressError::NeverSent(NeverSent::Connect(_))), "{error}");

    let resolver = Arc::new(PhoneBook(&[("slow.example", &["silence"]), ("void.example", &[])]));
    let settings = EgressSettings { resolver, ..EgressSettings::default() };
    let egress = egress(&settings, &["slow.example", "void.example", "unknown.example"], &[]);
    tokio::time::pause();
    for host in ["slow.example", "void.example", "unknown.example"] {
        let error = failure(&egress, get(format!("https://{host}/"))).await;
        assert!(matches!(&error, EgressError::NeverSent(NeverSent::Dns(why)) if why.contains(host)), "{error}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let peer = Peer::plain(|mut line| {
        Box::pin(async move {
            line.answer_all("HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n").await;
        })
    })
    .await;
    assert_eq!(shown(peer.egress().send(get(peer.url("/")), PATIENCE).await.unwrap()), "302 ");
    assert_eq!(peer.heard().len(), 1);
}

#[tokio::test]
async fn a_peer_that_never_shakes_hands_was_never_asked() {
    let peer = Peer::plain(|line| {
        Box::pin(async move {
            let _held = line;
            std::future::pending().await
        })
    })
    .await;
    let (egress, url) = (peer.egress(), peer.url("/").replace("http", "https"));
    let asked = tokio::spawn(async move { failure(&egress, get(url)).await });
    peer.until_accepted(1).await;
    tokio::time::pause();
    let error = asked.await.unwrap();
    assert!(matches!(&error, EgressError::NeverSent(NeverSent::Tls(why)) if why.contains("deadline")), "{error}");
}
