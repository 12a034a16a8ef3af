//! Oversized bodies, unknown paths, wrong methods and malformed HTTP are answered at once with the documented status, and no
//! connection is closed without one.

use cashier_tests::deployment::Deployment;
use cashier_tests::raw_http::{RawConnection, exchange, post, refusal_of, status_of};
use cashier_tests::roster::LOGIN;
use serde_json::json;

async fn deployment() -> Deployment {
    let deployment = Deployment::new().await;
    deployment.manager().save_config(&deployment.sandbox_config()).await;
    deployment
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_beyond_the_limit_are_413_before_they_are_read() {
    let deployment = deployment().await;
    let (customer, manager) = (deployment.customer().token, deployment.manager().token);
    let routes = [
        (deployment.customer_url(), "/cashier/deposit", &*customer, 128 * 1024),
        (deployment.customer_url(), "/cashier/withdrawal", &*customer, 128 * 1024),
        (deployment.customer_url(), "/cashier/webhook/sandbox", "", 1024 * 1024),
        (deployment.customer_url(), "/cashier/webhook/sandbox/1", "", 1024 * 1024),
        (deployment.manager_url(), "/manager", &*manager, 1024 * 1024),
    ];
    for (url, path, token, limit) in routes {
        // Announced: 2 GiB, of which nothing is sent.
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\ncontent-length: 2147483648\r\n\r\n");
        let answer = exchange(&url, head.as_bytes()).await;
        assert_eq!(refusal_of(&answer), (413, "BODY_TOO_LARGE".into()), "{path}: {answer}");

        // Unannounced, in chunks.
        let mut client = RawConnection::connect(&url).await;
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\ntransfer-encoding: chunked\r\n\r\n");
        client.write(head.as_bytes()).await;
        let chunk = [format!("{:x}\r\n", 64 * 1024).into_bytes(), vec![b' '; 64 * 1024], b"\r\n".to_vec()].concat();
        for _ in 0..=limit / (64 * 1024) {
            client.write(&chunk).await;
        }
        let answer = client.read_answer().await;
        assert_eq!(refusal_of(&answer), (413, "BODY_TOO_LARGE".into()), "{path}, chunked: {answer}");

        // Announced and sent: the answer arrives although the body is not read.
        let answer = exchange(&url, &post(path, &[("authorization", token)], &vec![b'x'; 8 * limit])).await;
        assert_eq!(refusal_of(&answer), (413, "BODY_TOO_LARGE".into()), "{path}, sent: {answer}");

        // At the limit it is read and checked.
        let answer = exchange(&url, &post(path, &[("authorization", token)], &vec![b' '; limit])).await;
        let judged = if path.contains("webhook") { (401, "INVALID_SIGNATURE") } else { (400, "INVALID_DATA") };
        assert_eq!(refusal_of(&answer), (judged.0, judged.1.into()), "{path}, at the limit: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods_are_404_and_405() {
    let deployment = deployment().await;
    let token = deployment.customer().token;
    let unknown = [
        "/",
        "/cashier",
        "/cashier/",
        "/cashier/deposit/",
        "/cashier/deposit/1",
        "//cashier/deposit",
        "/Cashier/deposit",
        "/cashier/DEPOSIT",
        "/cashier/%64eposit",
        "/cashier/../manager",
        "/cashier/webhook",
        "/cashier/webhook/a/1/2",
        "/manager",
        "/readyz",
        "/metrics",
        "/favicon.ico",
        "/cashier/deposit;x=1",
    ];
    for path in unknown {
        for method in ["GET", "POST"] {
            let request =
                format!("{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\ncontent-length: 0\r\n\r\n");
            let answer = exchange(&deployment.customer_url(), request.as_bytes()).await;
            assert_eq!(refusal_of(&answer), (404, "RET_ERR_NOTFOUND".into()), "{method} {path}: {answer}");
        }
    }
    for (path, takes) in
        [("/cashier/methods", "GET, HEAD"), ("/cashier/deposit", "POST"), ("/cashier/transactions", "GET, HEAD")]
    {
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
            let request =
                format!("{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\nconnection: close\r\n\r\n");
            let mut client = RawConnection::connect(&deployment.customer_url()).await;
            client.write(request.as_bytes()).await;
            let answer = client.read_answer().await;
            assert_eq!(status_of(&answer), 405, "{method} {path}: {answer}");
            let allow = answer.lines().find_map(|line| line.strip_prefix("allow: ")).unwrap_or_default();
            assert_eq!(allow.trim(), takes, "{method} {path}: {answer}");
        }
    }
    let manager = deployment.manager();
    let answer = manager.command("MngDoEverything", &json!({})).await;
    let shown = answer.json();
    assert_eq!(
        (answer.status, &shown["data"]["error"], &shown["extID"]),
        (404, &json!("RET_ERR_NOTFOUND"), &json!("test")),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_answered_and_closed() {
    let deployment = deployment().await;
    let long_head = format!("GET /cashier/methods HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(200_000));
    let many_heads = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(500));
    let long_path = format!("GET /cashier/{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(70_000));
    let table: [(&str, &[u8], &[u16]); 13] = [
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", &[400]),
        ("plain text", b"hello there\r\n\r\n", &[400]),
        ("HTTP/9", b"GET / HTTP/9.9\r\n\r\n", &[400, 505]),
        ("a bad header", b"GET / HTTP/1.1\r\nhost x\r\n\r\n", &[400]),
        ("a NUL in a header", b"GET / HTTP/1.1\r\nhost: x\x00y\r\n\r\n", &[400]),
        ("a raw angle in the URL", b"GET /cashier/methods?login=<x> HTTP/1.1\r\nhost: x\r\n\r\n", &[400]),
        (
            "two lengths",
            b"POST /cashier/deposit HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            &[400],
        ),
        (
            "a length that is not a number",
            b"POST /cashier/deposit HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n",
            &[400],
        ),
        (
            "a bad chunk",
            b"POST /cashier/webhook/sandbox HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            &[400],
        ),
        (
            "an unknown transfer coding",
            b"POST /cashier/webhook/sandbox HTTP/1.1\r\nhost: x\r\ntransfer-encoding: snail\r\n\r\n",
            &[400, 501],
        ),
        ("a head of 200 kB", long_head.as_bytes(), &[431]),
        ("five hundred headers", many_heads.as_bytes(), &[431]),
        ("a path of 70 kB", long_path.as_bytes(), &[404, 414, 431]),
    ];
    for (what, bytes, expected) in table {
        let answer = exchange(&deployment.customer_url(), bytes).await;
        assert!(expected.contains(&status_of(&answer)), "{what}: {answer:?}");
    }
    // A client that starts with HTTP/2 cannot read an answer in HTTP/1: it is closed at once.
    let mut client = RawConnection::connect(&deployment.customer_url()).await;
    client.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(client.read_all().await, "");
    deployment.customer().methods(LOGIN).await.expect_ok();
}
