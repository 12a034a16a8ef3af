//! The egress client against peers that misbehave, one way each; and what it lets out, in requests and in logs.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::peer::{Line, Log, Manners, Peer, PhoneBook, authority, egress, get, post, shown};
use super::pool::Wire;
use super::*;

mod peer;

/// Longer than any test takes; where a deadline is meant to pass, the test moves the clock.
const PATIENCE: Duration = Duration::from_secs(30);

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";

async fn failure(egress: &Egress, request: EgressRequest) -> EgressError {
    match egress.send(request, PATIENCE).await {
        Ok(reply) => panic!("it was answered: {}", shown(reply)),
        Err(error) => error,
    }
}

fn refused(error: &EgressError) -> &str {
    match error {
        EgressError::NeverSent(NeverSent::Refused(why)) => why,
        EgressError::NeverSent(_) | EgressError::Unknown(_) => panic!("not refused: {error}"),
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
async fn addresses_are_judged_after_the_name_is_resolved() {
    let peer = Peer::plain(|mut line| Box::pin(async move { line.answer_all(FINE).await })).await;
    let resolver = Arc::new(PhoneBook(&[
        ("rebound.example", &["127.0.0.1"]),
        ("mixed.example", &["93.184.216.34", "10.0.0.1"]),
        ("metadata.example", &["169.254.169.254"]),
        ("mapped.example", &["::ffff:127.0.0.1"]),
        ("named.example", &["127.0.0.1"]),
    ]));
    let settings = EgressSettings { resolver, ..EgressSettings::default() };
    let port = peer.port;
    let allowed = ["rebound", "mixed", "metadata", "mapped"].map(|name| format!("{name}.example:{port}"));
    let provider = ProviderEgress::read(&allowed, &[format!("named.example:{port}")]).unwrap();
    let egress = HttpClient::new(&settings).unwrap().pool(provider);
    let table = [
        ("rebound.example", "rebound.example is at 127.0.0.1, which is loopback"),
        ("mixed.example", "mixed.example is at 10.0.0.1, which is private"),
        ("metadata.example", "metadata.example is at 169.254.169.254, which is link-local"),
        ("mapped.example", "mapped.example is at ::ffff:127.0.0.1, which is reserved"),
    ];
    for (host, expected) in table {
        let error = failure(&egress, get(format!("https://{host}:{port}/"))).await;
        assert_eq!(refused(&error), expected);
    }
    assert_eq!(peer.accepted(), 0, "nothing was connected to");
    let reply = egress.send(get(format!("http://named.example:{port}/")), PATIENCE).await.unwrap();
    assert_eq!(shown(reply), "200 fine");
}

#[tokio::test]
async fn a_request_that_may_not_be_sent_is_refused_before_anything_is_opened() {
    let peer = Peer::plain(|mut line| Box::pin(async move { line.answer_all(FINE).await })).await;
    let with = |change: &dyn Fn(&mut EgressRequest)| {
        let mut request = post(peer.url("/"), "order");
        change(&mut request);
        request
    };
    let header = |name: &str, value: &str| {
        let pair: (Box<str>, Box<str>) = (name.into(), value.into());
        with(&move |request| request.headers.push(pair.clone()))
    };
    let table = [
        (with(&|request| request.method = "CONNECT".into()), "the method is none that a provider is asked with"),
        (with(&|request| request.method = "canary \r\n".into()), "the method is none that a provider is asked with"),
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
        (header("Host", "evil"), "the header host is the host's"),
        (header("Content-Length", "1"), "the header content-length is the host's"),
        (header("Transfer-Encoding", "chunked"), "the header transfer-encoding is the host's"),
        (header("Proxy-Authorization", "canary"), "the header proxy-authorization is the host's"),
    ];
    let egress = peer.egress();
    for (request, expected) in table {
        assert_eq!(refused(&failure(&egress, request).await), expected);
    }
    assert_eq!(peer.accepted(), 0);
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
async fn a_connection_is_used_again_until_it_idled_too_long() {
    let peer = Peer::plain(|mut line| Box::pin(async move { line.answer_all(FINE).await })).await;
    let egress = peer.egress();
    for _ in 0..3 {
        assert_eq!(shown(egress.send(get(peer.url("/")), PATIENCE).await.unwrap()), "200 fine");
    }
    assert_eq!((peer.accepted(), peer.heard().len()), (1, 3));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    assert_eq!(shown(egress.send(get(peer.url("/")), PATIENCE).await.unwrap()), "200 fine");
    assert_eq!(peer.accepted(), 2);
    let other = peer.egress();
    assert_eq!(shown(other.send(get(peer.url("/")), PATIENCE).await.unwrap()), "200 fine");
    assert_eq!(peer.accepted(), 3, "providers share no connection");
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_a_new_one_and_nothing_else() {
    let peer = Peer::plain(|mut line| {
        Box::pin(async move {
            line.hear().await;
            line.say(FINE).await;
        })
    })
    .await;
    let egress = peer.egress();
    for count in 1..=5 {
        assert_eq!(shown(egress.send(post(peer.url("/"), "order"), PATIENCE).await.unwrap()), "200 fine");
        // The peer's end of the connection is closed once its task is over; let the news arrive.
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!((peer.accepted(), peer.heard().len()), (count, count));
    }
}

#[tokio::test]
async fn a_request_on_a_used_connection_that_breaks_is_unknown_and_not_sent_again() {
    let peer = Peer::plain(|mut line| {
        Box::pin(async move {
            line.hear().await;
            line.say(FINE).await;
            line.hear().await;
        })
    })
    .await;
    let egress = peer.egress();
    assert_eq!(shown(egress.send(post(peer.url("/"), "first"), PATIENCE).await.unwrap()), "200 fine");
    let error = failure(&egress, post(peer.url("/"), "second")).await;
    assert!(matches!(&error, EgressError::Unknown(Unknown::Broken(_))), "{error}");
    assert_eq!((peer.accepted(), peer.heard().len()), (1, 2), "the second went over the first connection, once");
}

#[tokio::test]
async fn a_request_is_untouched_only_if_no_byte_of_it_was_written() {
    let request = || Request::post("/").body(Full::new(Bytes::from_static(b"order"))).unwrap();
    let ends = Instant::now() + PATIENCE;

    let (near, far) = tokio::io::duplex(4096);
    let wire = Wire::over(Box::new(near)).await.unwrap();
    drop(far);
    let Err(Unanswered::Untouched(_)) = ask(wire, request(), ends).await else { panic!("closed before it was asked") };

    // The pipe takes the request whole, and nobody reads it.
    let (near, far) = tokio::io::duplex(4096);
    let wire = Wire::over(Box::new(near)).await.unwrap();
    let asked = tokio::spawn(ask(wire, request(), ends));
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    drop(far);
    let Err(Unanswered::Unknown(Unknown::Broken(_))) = asked.await.unwrap() else { panic!("it was written") };

    // The pipe breaks after the first byte.
    let (near, mut far) = tokio::io::duplex(1);
    let wire = Wire::over(Box::new(near)).await.unwrap();
    let asked = tokio::spawn(ask(wire, request(), ends));
    assert_eq!(far.read_u8().await.unwrap(), b'P');
    drop(far);
    let Err(Unanswered::Unknown(Unknown::Broken(_))) = asked.await.unwrap() else { panic!("a byte of it was written") };
}

#[tokio::test]
async fn what_an_answer_leaves_behind_is_not_the_next_answer() {
    let peer = Peer::plain(|mut line| {
        Box::pin(async move {
            line.answer_all(
                "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfineHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfake",
            )
            .await;
        })
    })
    .await;
    let egress = peer.egress();
    for _ in 0..3 {
        assert_eq!(shown(egress.send(get(peer.url("/")), PATIENCE).await.unwrap()), "200 fine");
    }
    assert_eq!(peer.accepted(), 3, "a connection with bytes left over is not used again");
}

#[tokio::test]
async fn beyond_the_connections_at_a_time_a_request_waits_and_was_never_sent() {
    let peer = Peer::plain(|mut line| {
        Box::pin(async move {
            line.hear().await;
            std::future::pending().await
        })
    })
    .await;
    let egress = peer.egress();
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS_MAX {
        let (egress, url) = (egress.clone(), peer.url("/"));
        crowd.spawn(async move { failure(&egress, get(url)).await });
    }
    peer.until_heard(CONNECTIONS_MAX).await;
    tokio::time::pause();
    let late = egress.send(get(peer.url("/")), PATIENCE / 2).await;
    assert!(late == Err(EgressError::NeverSent(NeverSent::Busy)));
    let errors = crowd.join_all().await;
    assert!(errors.iter().all(|error| *error == EgressError::Unknown(Unknown::Deadline)), "{errors:?}");
    assert_eq!(peer.heard().len(), CONNECTIONS_MAX);
}

#[tokio::test]
async fn tls_demands_a_certificate_of_a_trusted_root_for_this_name() {
    let (root, acceptor) = authority("pay.example");
    let peer = Peer::tls(acceptor, |mut line| Box::pin(async move { line.answer_all(FINE).await })).await;
    let names = PhoneBook(&[("pay.example", &["127.0.0.1"]), ("other.example", &["127.0.0.1"])]);
    let trusting = EgressSettings { extra_roots: vec![root], resolver: Arc::new(names), ..EgressSettings::default() };
    let wary = EgressSettings { extra_roots: Vec::new(), ..trusting.clone() };
    let exceptions = ["pay.example", "other.example", "127.0.0.1"].map(|host| format!("{host}:{}", peer.port));
    let exceptions = exceptions.each_ref().map(String::as_str);
    let (trusting, wary) = (egress(&trusting, &[], &exceptions), egress(&wary, &[], &exceptions));

    let url = |host: &str| format!("https://{host}:{}/", peer.port);
    assert_eq!(shown(trusting.send(get(url("PAY.example")), PATIENCE).await.unwrap()), "200 fine");
    let cases = [
        (&trusting, "other.example", "not valid for name"),
        (&trusting, "127.0.0.1", "not valid for name"),
        (&wary, "pay.example", "UnknownIssuer"),
    ];
    for (egress, host, expected) in cases {
        let error = failure(egress, get(url(host))).await;
        assert!(matches!(&error, EgressError::NeverSent(NeverSent::Tls(why)) if why.contains(expected)), "{error}");
    }
    assert_eq!(peer.heard().len(), 1, "no request was heard without a handshake");
    // Plain HTTP to a TLS port: the peer's alert is no HTTP answer.
    let error = failure(&trusting, get(url("pay.example").replace("https", "http"))).await;
    assert!(matches!(&error, EgressError::Unknown(_)), "{error}");
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

#[tokio::test]
async fn no_secret_reaches_a_log_or_an_error() {
    let log = Log::default();
    let writer = {
        let log = log.clone();
        move || log.clone()
    };
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(writer).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let manners: [Manners; 3] = [
        |line| ends_with(line, "HTTP/1.1 200 canary\r\nx-token: canary\r\ncontent-length: 6\r\n\r\ncanary"),
        |line| ends_with(line, "canary HTTP/1.1\r\ncanary: canary\r\n\r\n"),
        |line| ends_with(line, "HTTP/1.1 200 OK\r\nx-canary: canary\r\ncontent-length: 60\r\n\r\ncanary"),
    ];
    let mut errors = String::new();
    for manners in manners {
        let peer = Peer::plain(manners).await;
        for prefix in ["", "user:canary@"] {
            let mut request =
                post(peer.url("/visible?token=canary#canary").replace("127", &format!("{prefix}127")), "canary");
            request.headers = vec![("authorization".into(), "Bearer canary".into())];
            if let Err(error) = peer.egress().send(request.clone(), PATIENCE).await {
                errors.push_str(&format!("{error} {error:?}\n"));
            }
            request.headers.push(("x".into(), "canary\n".into()));
            errors.push_str(&format!("{:?}\n", failure(&peer.egress(), request).await));
        }
    }
    assert!(log.text().contains("/visible") && log.text().contains("in vain"), "the log was caught: {}", log.text());
    assert_eq!(errors.lines().count(), 11, "{errors}");
    assert!(!log.text().contains("canary"), "{}", log.text());
    assert!(!errors.contains("canary"), "{errors}");
}
