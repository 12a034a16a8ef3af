//! Which connections stay: idle ones, half-sent heads, floods of one address and of many.

use tokio::io::AsyncReadExt;

use super::*;
use crate::http::connection_limits::{GRACE_TIME_MAX, HEADER_TIME_MAX, HEADS_PER_ADDRESS_MAX};

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const HALF: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n";

/// Another proxy is set, so that loopback addresses are clients of their own.
const PROXIES: [&str; 1] = ["192.0.2.1/32"];

async fn open(limits: ConnectionLimits) -> TestListener {
    let clock = Arc::new(TestClock::default());
    TestListener::open_with(echo(&clock), clock, limits, None, &PROXIES).await
}

/// Whether the listener has closed the connection.
async fn is_closed(client: &mut Client<TcpStream>) -> bool {
    client.receive().await.is_none_or(|response| response.status == 503)
}

#[tokio::test(start_paused = true)]
async fn n1_a_connection_that_idles_for_74_seconds_takes_the_next_request_and_is_closed_after_75() {
    let listener = open(TestListener::LIMITS).await;
    let (mut used, mut silent) = (listener.connect().await, listener.connect().await);
    for _ in 0..3 {
        assert_eq!(used.request(REQUEST).await.status, 200);
        tokio::time::sleep(Duration::from_secs(74)).await;
    }
    assert!(is_closed(&mut silent).await, "nothing came on it for more than 75 s");
    assert_eq!(used.request(REQUEST).await.status, 200, "on the same connection");
    tokio::time::sleep(Duration::from_secs(76)).await;
    assert!(is_closed(&mut used).await);
}

#[tokio::test(start_paused = true)]
async fn n1_a_half_sent_head_is_closed_after_5_seconds_on_a_connection_that_was_used_before_too() {
    let listener = open(TestListener::LIMITS).await;
    let (mut fresh, mut used) = (listener.connect().await, listener.connect().await);
    assert_eq!(used.request(REQUEST).await.status, 200);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let begun = tokio::time::Instant::now();
    for client in [&mut fresh, &mut used] {
        client.stream.write_all(HALF).await.unwrap();
    }
    // A byte now and then does not prolong it.
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        used.stream.write_all(b"a").await.unwrap();
    }
    for client in [&mut fresh, &mut used] {
        assert!(is_closed(client).await);
    }
    let took = begun.elapsed();
    assert!(took >= HEADER_TIME_MAX && took < HEADER_TIME_MAX * 2, "{took:?}");
}

#[tokio::test]
async fn b3_one_address_that_fills_the_listener_with_half_sent_heads_does_not_delay_another() {
    let limits = ConnectionLimits { all: 200, reserved: 50, per_address: 100, idle: Duration::from_secs(75) };
    // Both with a limit per address and without: loopback is taken for a proxy until one is set.
    for proxies in [&PROXIES[..], &[]] {
        let clock = Arc::new(TestClock::default());
        let listener = TestListener::open_with(echo(&clock), clock, limits, None, proxies).await;
        let mut idle = listener.connect_from("127.0.0.1").await;
        assert_eq!(idle.request(REQUEST).await.status, 200);
        let mut flood = Vec::new();
        for number in 0..2_000 {
            let mut client = listener.connect_from("127.0.0.2").await;
            // The listener may have closed it already.
            let _ = client.stream.write_all(HALF).await;
            flood.push(client);
            if number % 100 == 0 {
                let response = listener.connect_from("127.0.0.1").await.request(REQUEST).await;
                assert_eq!(response.status, 200, "{number} {proxies:?}");
            }
        }
        assert_eq!(idle.request(REQUEST).await.status, 200, "an idle connection of another address stays");
    }
}

#[tokio::test]
async fn b3_one_address_has_so_many_connections_and_half_sent_heads_and_its_oldest_end() {
    let limits = ConnectionLimits { all: 1_000, reserved: 0, per_address: 100, idle: Duration::from_secs(75) };
    let listener = open(limits).await;
    let mut silent = Vec::new();
    for _ in 0..101 {
        silent.push(listener.connect_from("127.0.0.3").await);
    }
    assert!(is_closed(&mut silent[0]).await, "the 101st ends the first");
    for client in &mut silent[1..] {
        assert_eq!(client.request(REQUEST).await.status, 200, "every other is open");
    }
    let mut halves = Vec::new();
    for _ in 0..=HEADS_PER_ADDRESS_MAX {
        let mut client = listener.connect_from("127.0.0.4").await;
        client.stream.write_all(HALF).await.unwrap();
        // It is read before the next one comes.
        assert_eq!(listener.connect_from("127.0.0.5").await.request(REQUEST).await.status, 200);
        halves.push(client);
    }
    assert!(is_closed(&mut halves[0]).await, "one head more than the limit ends the oldest");
    for client in &mut halves[1..] {
        assert_eq!(client.request("\r\n").await.status, 200, "every other may go on");
    }
}

#[tokio::test]
async fn b3_who_proved_who_they_are_gets_a_place_while_unknown_addresses_hold_all_others() {
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (seen, waits) = (Arc::clone(&arrived), Arc::clone(&go));
    let routes = request().then(move |request: Request| {
        let (seen, waits) = (Arc::clone(&seen), Arc::clone(&waits));
        async move {
            match &*request.path {
                "/session" => request.origin.sender.proved(Proof::Customer(CustomerId(5))),
                "/notice" => request.origin.sender.proved(Proof::Notice),
                "/held" => {
                    seen.notify_one();
                    let _ = waits.acquire().await;
                }
                _ => {}
            }
            Reply::text(200, "text/plain", "")
        }
    });
    let limits = ConnectionLimits { all: 32, reserved: 16, per_address: 8, idle: Duration::from_secs(75) };
    let listener = TestListener::open_with(routes.boxed(), Arc::default(), limits, None, &PROXIES).await;
    let get = |path: &str| format!("GET /{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    for (path, source) in [("session", "127.0.0.10"), ("notice", "127.0.0.11"), ("none", "127.0.0.12")] {
        assert_eq!(listener.connect_from(source).await.request(&get(path)).await.status, 200);
    }
    // Requests that are being answered end for nobody.
    let mut held = Vec::new();
    for source in (0..16).map(|number| format!("127.0.0.{}", 20 + number / 4)) {
        let mut client = listener.connect_from(&source).await;
        client.stream.write_all(get("held").as_bytes()).await.unwrap();
        arrived.notified().await;
        held.push(client);
    }
    for source in ["127.0.0.12", "127.0.0.24"] {
        let mut unknown = listener.connect_from(source).await;
        let _ = unknown.stream.write_all(get("none").as_bytes()).await;
        assert!(is_closed(&mut unknown).await, "{source} is refused at once and does not wait");
    }
    for source in ["127.0.0.10", "127.0.0.11"] {
        assert_eq!(listener.connect_from(source).await.request(&get("none")).await.status, 200, "{source}");
    }
    go.add_permits(held.len());
    for client in &mut held {
        assert_eq!(client.receive().await.unwrap().status, 200);
    }
    assert_eq!(listener.connect_from("127.0.0.12").await.request(&get("none")).await.status, 200);
}

#[tokio::test]
async fn b3_behind_a_proxy_requests_count_for_the_client_and_connections_for_nobody() {
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (seen, waits) = (Arc::clone(&arrived), Arc::clone(&go));
    let routes = request().then(move |request: Request| {
        let (seen, waits) = (Arc::clone(&seen), Arc::clone(&waits));
        async move {
            if &*request.path == "/held" {
                seen.notify_one();
                let _ = waits.acquire().await;
            }
            Reply::text(200, "text/plain", request.origin.ip.to_string())
        }
    });
    let limits = ConnectionLimits { all: 32, reserved: 24, per_address: 2, idle: Duration::from_secs(75) };
    let listener = TestListener::open_with(routes.boxed(), Arc::default(), limits, None, &["127.0.0.0/8"]).await;
    let send = |path: &str, client: &str| {
        format!("GET /{path} HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {client}\r\n\r\n").into_bytes()
    };
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut client = listener.connect().await;
        client.stream.write_all(&send("held", "[2001:db8::1]:4711")).await.unwrap();
        arrived.notified().await;
        held.push(client);
    }
    let mut further = Vec::new();
    for (client, status) in [("2001:db8::2", 429), ("2001:db8:0:1::1", 200), ("203.0.113.5", 200), ("127.9.9.9", 200)] {
        let mut connection = listener.connect().await;
        connection.stream.write_all(&send("x", client)).await.unwrap();
        let response = connection.receive().await.unwrap();
        assert_eq!(response.status, status, "{client}: {}", response.body);
        further.push(connection);
    }
    go.add_permits(held.len());
    for client in &mut held {
        assert_eq!(client.receive().await.unwrap().body, "2001:db8::1");
    }
    let again = listener.request(&String::from_utf8(send("x", "2001:db8::2")).unwrap()).await;
    assert_eq!(again.status, 200, "a place is free again once a request was answered");
}

#[tokio::test]
async fn n5_a_renewed_certificate_is_used_from_the_next_handshake_on() {
    let made = || {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let (chain, key) = (pem("CERTIFICATE", cert.der()), pem("PRIVATE KEY", &signing_key.serialize_der()));
        (cert, tls::server_config(chain.as_bytes(), key.as_bytes()).unwrap())
    };
    let ((first, config), (second, renewed)) = (made(), made());
    let served = Arc::new(ServedTls::new(config));
    let clock = Arc::new(TestClock::default());
    let limits = TestListener::LIMITS;
    let listener = TestListener::open_with(echo(&clock), clock, limits, Some(Arc::clone(&served)), &[]).await;
    let mut before = trusting(&first).connect(&listener).await.unwrap();
    served.replace(renewed);
    assert_eq!(before.request(REQUEST).await.status, 200, "an open connection goes on");
    assert!(trusting(&first).connect(&listener).await.is_err());
    assert_eq!(trusting(&second).connect(&listener).await.unwrap().request(REQUEST).await.status, 200);
}

#[tokio::test]
async fn b3_customers_behind_one_address_that_connect_at_once_all_finish_their_tls_handshake() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let (chain, key) = (pem("CERTIFICATE", cert.der()), pem("PRIVATE KEY", &signing_key.serialize_der()));
    let served = Arc::new(ServedTls::new(tls::server_config(chain.as_bytes(), key.as_bytes()).unwrap()));
    let clock = Arc::new(TestClock::default());
    let limits = ConnectionLimits { all: 1_000, reserved: 0, per_address: 256, idle: Duration::from_secs(75) };
    let listener = TestListener::open_with(echo(&clock), clock, limits, Some(served), &PROXIES).await;
    let mut begun = Vec::new();
    for _ in 0..HEADS_PER_ADDRESS_MAX + 16 {
        begun.push(listener.connect_from("127.0.0.4").await);
    }
    let connector = TlsConnector::from(Arc::new(trusting(&cert).0));
    for client in begun {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = connector.connect(name, client.stream).await.expect("the first one still has its connection");
        assert_eq!(Client { stream }.request(REQUEST).await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn b3_a_slow_body_and_an_answer_that_is_not_read_end_for_others_and_not_by_themselves() {
    let clock = Arc::new(TestClock::default());
    let routes = request().then(move |mut request: Request| {
        let clock = Arc::clone(&clock);
        async move {
            let body = request.read_body(16, &*clock).await;
            let length = if &*request.path == "/long" { 32 * 1024 * 1024 } else { 1 };
            body.map_or_else(|refusal| Reply::refused(&refusal), |_| Reply::text(200, "text/plain", "x".repeat(length)))
        }
    });
    let limits = ConnectionLimits { all: 8, reserved: 0, per_address: 0, idle: Duration::from_secs(75) };
    let listener = TestListener::open_with(routes.boxed(), Arc::default(), limits, None, &PROXIES).await;
    let mut slow = Vec::new();
    for number in 0..8 {
        let mut client = listener.connect_from(&format!("127.0.0.{}", 10 + number)).await;
        let head = if number % 2 == 0 { "GET /long HTTP/1.1" } else { "POST / HTTP/1.1\r\ncontent-length: 9" };
        client.stream.write_all(format!("{head}\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        slow.push(client);
    }
    tokio::time::sleep(GRACE_TIME_MAX + 2 * SWEEP_PAUSE).await;
    let mut others = Vec::new();
    for number in 0..3 {
        let mut client = listener.connect_from(&format!("127.0.0.{}", 30 + number)).await;
        assert_eq!(client.request(REQUEST).await.status, 200);
        others.push(client);
    }
    let mut finished = 0;
    for (number, client) in slow.iter_mut().enumerate() {
        // The rest of the body, or nothing but to read.
        let _ = client.stream.write_all(if number % 2 == 0 { b"" } else { b"123456789" }).await;
        let answer = client.receive().await;
        finished += usize::from(answer.is_some_and(|answer| answer.status == 200));
    }
    assert_eq!(finished, 5, "three of eight ended for three others");
    for client in &mut others {
        assert_eq!(client.request(REQUEST).await.status, 200, "it stays open");
    }
}

#[tokio::test(start_paused = true)]
async fn b3_a_request_whose_body_nobody_reads_ends_for_nobody_and_an_ended_one_does_nothing_more() {
    let (go, read) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (waits, counted) = (Arc::clone(&go), Arc::clone(&read));
    let routes = request().then(move |mut request: Request| {
        let (go, read) = (Arc::clone(&waits), Arc::clone(&counted));
        async move {
            if &*request.path == "/read" {
                // As what goes on without its connection.
                let reading = tokio::spawn(async move {
                    let _ = request.read_body(16, &TestClock::running()).await;
                    read.add_permits(1);
                });
                let _ = reading.await;
            }
            let _ = go.acquire().await;
            Reply::text(200, "text/plain", "")
        }
    });
    let limits = ConnectionLimits { all: 1, reserved: 0, per_address: 0, idle: Duration::from_secs(75) };
    let listener = TestListener::open_with(routes.boxed(), Arc::default(), limits, None, &PROXIES).await;
    let mut first = listener.connect_from("127.0.0.10").await;
    first.stream.write_all(b"GET /unread HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n").await.unwrap();
    tokio::time::sleep(GRACE_TIME_MAX + 2 * SWEEP_PAUSE).await;
    assert!(is_closed(&mut listener.connect_from("127.0.0.11").await).await, "the first one is being answered");
    go.add_permits(1);
    assert_eq!(first.receive().await.unwrap().status, 200);
    drop(first);
    tokio::time::sleep(SWEEP_PAUSE).await;

    let mut slow = listener.connect_from("127.0.0.10").await;
    slow.stream.write_all(b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n").await.unwrap();
    tokio::time::sleep(GRACE_TIME_MAX + 2 * SWEEP_PAUSE).await;
    assert_eq!(listener.connect_from("127.0.0.11").await.request(REQUEST).await.status, 200);
    assert!(is_closed(&mut slow).await, "it ended for the other one");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(read.available_permits(), 0, "nothing is done with what came");
}

#[tokio::test]
async fn b3_an_end_of_the_sending_half_or_garbage_gives_the_place_back() {
    let limits = ConnectionLimits { all: 4, reserved: 0, per_address: 4, idle: Duration::from_secs(75) };
    let listener = open(limits).await;
    for _ in 0..20 {
        let mut client = listener.connect().await;
        client.stream.write_all(b"nonsense\r\n\r\n").await.unwrap();
        let mut rest = Vec::new();
        // Whether an answer comes before the end is the parser's choice.
        let _ = client.stream.read_to_end(&mut rest).await;
        drop(listener.connect().await);
    }
    assert_eq!(listener.request(REQUEST).await.status, 200);
}
