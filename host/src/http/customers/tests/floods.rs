//! Senders of webhooks that fail verification, behind a trusted proxy: what is answered, and what is read for it.

use std::sync::Mutex;

use warp::Filter as _;

use super::*;
use crate::http::connection_limits::ConnectionLimits;
use crate::http::request::RequestOrigin;
use crate::http::sender::Proof;
use crate::test_cashier::{FAILED_NOTICES_PER_MINUTE, lock};

const MIB: usize = 1024 * 1024;

fn from(ip: &str) -> String {
    format!("x-forwarded-for: {ip}\r\n")
}

/// A request whose body lacks its last byte.
fn unfinished(path: &str, ip: &str) -> String {
    let body = "x".repeat(MIB - 1);
    format!("POST {path} HTTP/1.1\r\nhost: x\r\n{}content-length: {MIB}\r\n\r\n{body}", from(ip))
}

/// The customer listener behind a proxy on this machine.
async fn behind_a_proxy() -> CustomerApi {
    let api = CustomerApi::open().await;
    let routes = crate::http::customer_routes(&api.env.cashier, &api.keys, &[]);
    let limits = ConnectionLimits { all: 256, per_address: 128, ..TestListener::LIMITS };
    let clock = Arc::clone(&api.env.clock);
    let listener = TestListener::open_with(routes, clock, limits, None, &["127.0.0.1/32"]).await;
    CustomerApi { listener, ..api }
}

#[tokio::test]
async fn b4_a_sender_beyond_its_limit_is_answered_before_its_large_body_is_read_and_others_are_not_bound() {
    let api = behind_a_proxy().await;
    for path in ["/cashier/webhook/stripe/1", "/cashier/webhook/nobody"] {
        let line = format!("POST {path}");
        let flooding = from(if path.ends_with('1') { "203.0.113.9" } else { "203.0.113.10" });
        for _ in 0..FAILED_NOTICES_PER_MINUTE {
            assert_eq!(api.listener.send(&line, &flooding, "forged").await.status, 401, "{path}");
        }
        let small = api.listener.send(&line, &flooding, "forged").await;
        assert_eq!(
            (small.status, small.error(), small.header("retry-after")),
            (429, "RET_ERR_FREQUENT".into(), Some("1"))
        );
        // Nothing of the body is sent: it is answered all the same.
        let head = format!("{line} HTTP/1.1\r\nhost: x\r\n{flooding}content-length: 1048576\r\n\r\n");
        assert_eq!(api.listener.request(&head).await.status, 429);
        // And where the length is not declared, once it is too long.
        let chunk = format!("{:x}\r\n{}\r\n", 100_000, "x".repeat(100_000));
        let chunked = format!("{line} HTTP/1.1\r\nhost: x\r\n{flooding}transfer-encoding: chunked\r\n\r\n{chunk}");
        assert_eq!(api.listener.request(&chunked).await.status, 429);
        assert_eq!(api.listener.send(&line, &from("198.51.100.7"), "forged").await.status, 401, "another address");
    }
    assert_eq!(api.env.cashier.counted_notices().1, 6);
    // A verified one from the flooding address is taken.
    api.deposit("k", "250.00").await;
    let reference = api.env.provider.references().pop().unwrap();
    let amount = Some(StatedAmount::Exact(usd(25_000)));
    let body = api.env.provider.notice_body(vec![Update { amount, ..paid("e1", &reference) }]);
    let signed = format!("{}x-signature: any config\r\n", from("203.0.113.9"));
    assert_eq!(api.listener.send("POST /cashier/webhook/stripe/1", &signed, &body).await.status, 200);
}

#[tokio::test]
async fn b4_bodies_that_never_end_leave_space_for_a_sender_whose_webhook_verified_lately() {
    let api = behind_a_proxy().await;
    api.deposit("k", "250.00").await;
    let reference = api.env.provider.references().pop().unwrap();
    let amount = Some(StatedAmount::Exact(usd(25_000)));
    let update = |event| Update { amount: amount.clone(), ..paid(event, &reference) };
    let (line, known) =
        ("POST /cashier/webhook/stripe/1", format!("{}x-signature: config 1\r\n", from("198.51.100.7")));
    let small = api.env.provider.notice_body(vec![update("e1")]);
    assert_eq!(api.listener.send(line, &known, &small).await.status, 200);
    let mut stalled = Vec::new();
    for _ in 0..60 {
        let mut client = api.listener.connect().await;
        let request = unfinished("/cashier/webhook/stripe/1", "203.0.113.9");
        tokio::io::AsyncWriteExt::write_all(&mut client.stream, request.as_bytes()).await.unwrap();
        stalled.push(client);
    }
    // Until the listener has read them.
    let large = "x".repeat(MIB);
    let mut others = (1..=250).map(|n| from(&format!("203.0.114.{n}")));
    loop {
        let sender = others.next().expect("what anybody may hold is used up");
        match api.listener.send("POST /cashier/webhook/nobody", &sender, &large).await.status {
            401 => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            status => break assert_eq!(status, 429),
        }
    }
    lock(&api.env.provider.understood).insert(large.clone(), vec![update("e2")]);
    let answered = api.listener.send(line, &known, &large).await;
    assert_eq!(answered.status, 200, "{}", answered.body);
}

#[tokio::test(start_paused = true)]
async fn b4_a_body_that_does_not_arrive_whole_counts_as_a_failure_of_its_sender() {
    let api = behind_a_proxy().await;
    let path = "/cashier/webhook/stripe/1";
    for _ in 0..FAILED_NOTICES_PER_MINUTE {
        assert_eq!(api.listener.request(&unfinished(path, "203.0.113.9")).await.status, 408);
    }
    assert_eq!(api.listener.request(&unfinished(path, "203.0.113.9")).await.status, 429, "before its body is read");
    assert_eq!(api.listener.request(&unfinished(path, "203.0.113.10")).await.status, 408, "another address");
}

#[tokio::test]
async fn b3_a_repeated_statement_proves_nothing_of_who_sends_it_under_whatever_id() {
    let api = CustomerApi::open().await;
    let senders = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&senders);
    let noted = warp::ext::get().map(move |origin: RequestOrigin| lock(&seen).push(origin.sender)).untuple_one();
    let routes = noted.and(crate::http::customer_routes(&api.env.cashier, &api.keys, &[])).boxed();
    let api = CustomerApi { listener: TestListener::open(routes, Arc::clone(&api.env.clock)).await, ..api };
    api.deposit("k", "250.00").await;
    let reference = api.env.provider.references().pop().unwrap();
    let declined = |event| Update { payment_id: "other".into(), ..paid(event, &reference) };
    let declined = |event| Update { amount: None, status: ProviderStatus::Failed, ..declined(event) };
    for (event, update) in [
        ("e1", paid("e1", &reference)),
        ("e1", paid("e1", &reference)),
        ("e2", paid("e2", &reference)),
        ("e3", declined("e3")),
    ] {
        let body = api.env.provider.notice_body(vec![update]);
        let sent = api.listener.send("POST /cashier/webhook/stripe/1", "x-signature: config 1\r\n", &body).await;
        assert_eq!(sent.status, 200, "{event}");
    }
    let proofs: Vec<Proof> = lock(&senders).iter().skip(1).map(|sender| sender.proof()).collect();
    assert_eq!(proofs, [Proof::Notice, Proof::Nothing, Proof::Nothing, Proof::Notice], "news alone");
}
