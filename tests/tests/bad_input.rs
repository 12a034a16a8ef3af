//! Whatever comes in at any door, the documented answer goes out: never 500, never a connection dropped without one,
//! and nothing is created by what was refused.
#![expect(clippy::indexing_slicing, reason = "a test may fail loudly")]

use cashier_tests::customer::order;
use cashier_tests::raw::{Raw, post, status_of};
use cashier_tests::roster::{CUSTOMER, LOGIN};
use cashier_tests::tokens::{SESSION_KEY, forged, unsigned};
use cashier_tests::world::World;
use serde_json::{Value, json};

async fn world() -> World {
    let world = World::new().await;
    world.manager().save_config(&world.sandbox_config()).await;
    world
}

async fn count_of_transactions(world: &World) -> Value {
    world.customer().transactions("").await.fine()["count"].clone()
}

/// Number and code of a raw answer; the body must be the published error.
fn refusal_of(answer: &str) -> (u16, String) {
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let error = body["error"].as_str().or(body["data"]["error"].as_str()).unwrap_or_default();
    (status_of(answer), error.to_owned())
}

async fn raw(door: &str, request: &[u8]) -> String {
    let mut client = Raw::connect(door).await;
    client.write(request).await;
    client.read_answer().await
}

/// Bodies that are no request of anybody.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let utf16: Vec<u8> = "{\"login\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        ("nothing", Vec::new()),
        ("a blank", b" ".to_vec()),
        ("an open brace", b"{".to_vec()),
        ("a list", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("a number", b"7".to_vec()),
        ("a form", b"login=2000009&provider=sandbox&amount=50&currency=USD".to_vec()),
        ("a trailing comma", b"{\"login\":2000009,}".to_vec()),
        ("two values", b"{} {}".to_vec()),
        ("single quotes", b"{'login':1}".to_vec()),
        ("a comment", b"{/* */}".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("UTF-16", utf16),
        ("latin-1", b"{\"comment\":\"caf\xe9\"}".to_vec()),
        ("overlong UTF-8", b"{\"comment\":\"\xc0\xaf\"}".to_vec()),
        ("a surrogate in UTF-8", b"{\"comment\":\"\xed\xa0\x80\"}".to_vec()),
        ("NUL bytes", vec![0; 64]),
        ("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00".to_vec()),
        ("a hundred thousand brackets", vec![b'['; 100_000]),
        ("deep objects", b"{\"a\":".repeat(20_000)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_json_object_are_invalid_data_on_every_route() {
    let world = world().await;
    let (customer, manager) = (world.customer(), world.manager());
    let routes = [
        (world.customer_door(), "/cashier/deposit", &customer.token),
        (world.customer_door(), "/cashier/withdrawal", &customer.token),
        (world.manager_door(), "/manager", &manager.token),
    ];
    for (door, path, token) in &routes {
        for (what, body) in malformed() {
            let answer = raw(door, &post(path, &[("authorization", token)], &body)).await;
            assert_eq!(refusal_of(&answer), (400, "INVALID_DATA".into()), "{path} {what}: {answer}");
        }
    }
    for (what, body) in malformed() {
        for path in ["/cashier/webhook/sandbox", "/cashier/webhook/sandbox/1", "/cashier/webhook/nobody"] {
            let answer = raw(&world.customer_door(), &post(path, &[], &body)).await;
            assert_eq!(refusal_of(&answer), (401, "INVALID_SIGNATURE".into()), "{path} {what}: {answer}");
        }
    }
    assert_eq!(count_of_transactions(&world).await, json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_values_of_every_deposit_field_are_invalid_data_by_name() {
    let world = world().await;
    let long = |length: usize| format!("\"{}\"", "x".repeat(length));
    let mut table: Vec<(&str, String)> = Vec::new();
    let mut row = |field: &'static str, values: &[&str]| {
        table.extend(values.iter().map(|value| (field, (*value).to_owned())));
    };
    let kinds = ["true", "[]", "{}", "[[]]"];
    for field in ["login", "amount"] {
        row(field, &kinds);
        row(field, &["null", "\"7\"", "-1", "0", "1e3", "NaN", "0x10", "01", "+1", ".5", "5.", "--1", "\"\""]);
    }
    row("login", &["2000009.0", "2000009.5", "9007199254740993", "18446744073709551617"]);
    row("amount", &["50.001", "1e400", "1E2", "0.00", "-0", "99999999999999999.99", "10000000000000.001"]);
    for field in ["provider", "currency"] {
        row(field, &kinds);
        row(field, &["null", "7", "\"\"", "\" \"", "\"a\\nb\"", "\"\\u0000\"", "\"\\ud800\"", "\"\\x\""]);
    }
    row("currency", &["\"usd\"", "\"US\"", "\"USDX\"", "\"XXQ\"", "\"ＵＳＤ\""]);
    for field in ["method", "idempotency_key", "comment", "success_url", "failure_url", "metadata_json"] {
        row(field, &kinds);
        row(field, &["7", "\"\\u0000\"", "\"\\ud83d\"", "\"\\u001b[2J\""]);
    }
    row("provider_config_id", &["true", "\"1\"", "-1", "1.5", "[]"]);
    for field in ["success_url", "failure_url"] {
        row(
            field,
            &[
                "\"http://shop.example/\"",
                "\"javascript:alert(1)\"",
                "\"//shop.example\"",
                "\"https://\"",
                "\"https://a b/\"",
                "\"https://user:word@shop.example/\"",
                "\"https://shop.example\\\\@evil.example/\"",
                "\"data:text/html,x\"",
                "\"file:///etc/passwd\"",
                "\"HTTPS//x\"",
            ],
        );
    }
    row("metadata_json", &["\"\"\"", "\"[]\"", "\"7\"", "\"{\"", "\"{\\\"_cashier\\\":1}\"", "\"nonsense\""]);
    row("account", &["1", "\"x\"", "null"]);
    row("Amount", &["50"]);
    for (field, length) in [
        ("provider", 65),
        ("method", 65),
        ("idempotency_key", 129),
        ("comment", 513),
        ("success_url", 2049),
        ("metadata_json", 16 * 1024 + 1),
    ] {
        table.push((field, long(length)));
    }
    let token = world.customer().token;
    for (field, value) in &table {
        let base = [("login", "2000009"), ("provider", "\"sandbox\""), ("amount", "50"), ("currency", "\"USD\"")];
        let rest = base.iter().filter(|(name, _)| name != field).map(|(name, value)| format!("\"{name}\":{value}"));
        let fields: Vec<String> = rest.chain([format!("\"{field}\":{value}")]).collect();
        let body = format!("{{{}}}", fields.join(","));
        let answer =
            raw(&world.customer_door(), &post("/cashier/deposit", &[("authorization", &token)], body.as_bytes())).await;
        let shown: String = value.chars().take(60).collect();
        assert_eq!(refusal_of(&answer), (400, "INVALID_DATA".into()), "{field}: {shown}: {answer}");
    }
    // Twice the same field, and one field missing.
    for body in
        ["{\"login\":2000009,\"login\":2000009,\"provider\":\"sandbox\",\"amount\":50,\"currency\":\"USD\"}", "{}"]
    {
        let answer =
            raw(&world.customer_door(), &post("/cashier/deposit", &[("authorization", &token)], body.as_bytes())).await;
        assert_eq!(refusal_of(&answer), (400, "INVALID_DATA".into()), "{body}: {answer}");
    }
    assert_eq!(count_of_transactions(&world).await, json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_filters_are_invalid_data_and_encoded_ones_mean_the_same() {
    let world = world().await;
    let customer = world.customer();
    for amount in ["20", "30"] {
        customer.deposit(&order("sandbox", amount)).await.fine();
    }
    let plain = "where[0][0]=id&where[0][1]==&where[0][2]=2&orderBy[0][0]=created_time&orderBy[0][1]=desc";
    let encoded = plain.replace('[', "%5B").replace(']', "%5D");
    let everything = encoded.replace("==", "=%3D").replace("id", "%69%64").to_lowercase().replace("orderby", "orderBy");
    for query in [plain, &encoded, &encoded.to_lowercase().replace("orderby", "orderBy"), &everything] {
        let list = customer.transactions(query).await.fine();
        assert_eq!((&list["count"], &list["rows"][0]["id"]), (&json!(1), &json!(2)), "{query}");
    }
    let many = |count: usize, pair: fn(usize) -> String| (0..count).map(pair).collect::<Vec<_>>().join("&");
    let conditions = |at| format!("whereNot[{at}][0]=id&whereNot[{at}][1]=7");
    let values = |at| format!("whereIn[0][1][{at}]={at}");
    let table = [
        "limit=0".to_owned(),
        "limit=50001".into(),
        "limit=-1".into(),
        "limit=x".into(),
        "limit=".into(),
        "limit=1&limit=2".into(),
        "limit[]=1".into(),
        "offset=-1".into(),
        "offset=99999999999999999999".into(),
        "login=0".into(),
        "login=x".into(),
        "login=".into(),
        "login[0]=2000009".into(),
        "colour=red".into(),
        "Where[0][0]=id".into(),
        "where=id".into(),
        "where[0]=id".into(),
        "where[0][0]=id".into(),
        "where[0][0]=id&where[0][1]==".into(),
        "where[0][0]=id&where[0][1]=~&where[0][2]=1".into(),
        "where[0][0]=id&where[0][1]==&where[0][2]=one".into(),
        "where[0][0]=id&where[0][1]==&where[0][2]=1&where[0][3]=2".into(),
        "where[0][0]=nothing&where[0][1]==&where[0][2]=1".into(),
        "where[0][0]=status&where[0][1]=like&where[0][2]=1%25".into(),
        "where[a][0]=id".into(),
        "where[0][0][0][0]=id".into(),
        "where[0[0]]=id".into(),
        "where[-1][0]=id".into(),
        "where[99999999999][0]=id".into(),
        "where%5B0%5D%5B0%5D=id".into(),
        "whereBetween[0][0]=id&whereBetween[0][1][0]=1".into(),
        "whereIn[0][0]=id&whereIn[0][1]=1".into(),
        "orderBy[0][0]=id&orderBy[0][1]=sideways".into(),
        "orderBy[0][0]=comment&orderBy[0][1]=asc".into(),
        "limit=%zz".into(),
        "limit=%ff".into(),
        "limit=%00".into(),
        many(33, conditions),
        format!("whereIn[0][0]=id&{}", many(1001, values)),
        many(5000, |at| format!("a{at}=1")),
    ];
    for query in &table {
        let shown: String = query.chars().take(80).collect();
        assert_eq!(customer.transactions(query).await.refusal(), (400, "INVALID_DATA".into()), "{shown}");
    }
    customer.transactions(&many(32, conditions)).await.fine();
    for query in ["", "login=", "login=x", "login=-1", "login=2000009&login=2000009", "login=2000009&x=1", "logi=1"] {
        let answer = customer.get(&format!("/cashier/methods?{query}")).await;
        assert_eq!(answer.refusal(), (400, "INVALID_DATA".into()), "methods?{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_and_forged_tokens_are_refused_on_every_route() {
    let world = world().await;
    let now = world.clock.unix();
    let header = json!({"alg": "HS256", "typ": "JWT", "kid": "test"});
    let claims = |role: u8| json!({"id": CUSTOMER, "role": role, "exp": now + 3600});
    let with = |role: u8, name: &str, value: Value| {
        let mut claims = claims(role);
        claims[name] = value;
        claims
    };
    let with_header = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        header
    };
    for (role, is_customer) in [(9, true), (1, false)] {
        let genuine = forged(&header, &claims(role), &SESSION_KEY);
        let (head, signature) = genuine.rsplit_once('.').unwrap();
        let other = if is_customer { 1 } else { 9 };
        let table: Vec<(&str, String)> = vec![
            ("none", String::new()),
            ("a word", "token".into()),
            ("dots", "..".into()),
            ("no signature", format!("{head}.")),
            ("half a signature", format!("{head}.{}", &signature[..20])),
            ("somebody else's claims", format!("{}.{signature}", unsigned(&header, &with(role, "id", json!(6))))),
            ("another key", forged(&header, &claims(role), &[0x11; 32])),
            ("an empty key", forged(&header, &claims(role), b"")),
            ("alg none", format!("{}.", unsigned(&json!({"alg": "none"}), &claims(role)))),
            ("alg none, signed", forged(&with_header("alg", json!("none")), &claims(role), &SESSION_KEY)),
            ("alg HS512", forged(&with_header("alg", json!("HS512")), &claims(role), &SESSION_KEY)),
            ("alg RS256", forged(&with_header("alg", json!("RS256")), &claims(role), &SESSION_KEY)),
            ("a key nobody has", forged(&with_header("kid", json!("other")), &claims(role), &SESSION_KEY)),
            ("crit", forged(&with_header("crit", json!(["exp"])), &claims(role), &SESSION_KEY)),
            ("expired", forged(&header, &with(role, "exp", json!(now)), &SESSION_KEY)),
            ("no exp", forged(&header, &with(role, "exp", Value::Null), &SESSION_KEY)),
            ("exp as text", forged(&header, &with(role, "exp", json!("tomorrow")), &SESSION_KEY)),
            ("not yet", forged(&header, &with(role, "nbf", json!(now + 3600)), &SESSION_KEY)),
            ("issued tomorrow", forged(&header, &with(role, "iat", json!(now + 86_400)), &SESSION_KEY)),
            ("no role", forged(&header, &with(role, "role", Value::Null), &SESSION_KEY)),
            ("a role that is none", forged(&header, &with(role, "role", json!(7)), &SESSION_KEY)),
            ("id 0", forged(&header, &with(role, "id", json!(0)), &SESSION_KEY)),
            ("id as text", forged(&header, &with(role, "id", json!("5")), &SESSION_KEY)),
            ("id -5", forged(&header, &with(role, "id", json!(-5)), &SESSION_KEY)),
            ("very long", format!("{head}.{}", "A".repeat(40_000))),
            ("the other door's role", forged(&header, &claims(other), &SESSION_KEY)),
        ];
        for (what, token) in table {
            if is_customer {
                let mut customer = world.customer();
                customer.token = token;
                let answers = [
                    customer.methods(LOGIN).await,
                    customer.deposit(&order("sandbox", "50")).await,
                    customer.withdraw(&json!({"login": LOGIN, "amount": 5, "currency": "USD"})).await,
                    customer.transactions("").await,
                ];
                for answer in answers {
                    assert_eq!(answer.refusal(), (403, "PERMISSION_DENIED".into()), "{what}: {}", answer.text());
                }
            } else {
                let mut manager = world.manager();
                manager.token = token;
                let answer = manager.command("MngGetCashierProviders", &json!({})).await;
                let code = answer.json()["data"]["error"].clone();
                let role_known = what == "the other door's role";
                let expected = if role_known { (403, "PERMISSION_DENIED") } else { (401, "RET_UNAUTHORIZED") };
                assert_eq!((answer.status, code), (expected.0, json!(expected.1)), "{what}");
            }
        }
        // The genuine one, written in both published ways.
        for authorization in [genuine.clone(), format!("Bearer {genuine}"), format!("bearer  {genuine}")] {
            let status = if is_customer {
                let mut customer = world.customer();
                customer.token = authorization;
                customer.methods(LOGIN).await.status
            } else {
                let mut manager = world.manager();
                manager.token = authorization;
                manager.command("MngGetCashierProviders", &json!({})).await.status
            };
            assert_eq!(status, 200);
        }
    }
    assert_eq!(count_of_transactions(&world).await, json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_beyond_the_limit_are_413_before_they_are_read() {
    let world = world().await;
    let (customer, manager) = (world.customer().token, world.manager().token);
    let routes = [
        (world.customer_door(), "/cashier/deposit", &*customer, 128 * 1024),
        (world.customer_door(), "/cashier/withdrawal", &*customer, 128 * 1024),
        (world.customer_door(), "/cashier/webhook/sandbox", "", 1024 * 1024),
        (world.customer_door(), "/cashier/webhook/sandbox/1", "", 1024 * 1024),
        (world.manager_door(), "/manager", &*manager, 1024 * 1024),
    ];
    for (door, path, token, limit) in routes {
        // Announced: 2 GiB, of which nothing is sent.
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\ncontent-length: 2147483648\r\n\r\n");
        let answer = raw(&door, head.as_bytes()).await;
        assert_eq!(refusal_of(&answer), (413, "BODY_TOO_LARGE".into()), "{path}: {answer}");

        // Unannounced, in chunks.
        let mut client = Raw::connect(&door).await;
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\ntransfer-encoding: chunked\r\n\r\n");
        client.write(head.as_bytes()).await;
        let chunk = [format!("{:x}\r\n", 64 * 1024).into_bytes(), vec![b' '; 64 * 1024], b"\r\n".to_vec()].concat();
        for _ in 0..=limit / (64 * 1024) {
            client.write(&chunk).await;
        }
        let answer = client.read_answer().await;
        assert_eq!(refusal_of(&answer), (413, "BODY_TOO_LARGE".into()), "{path}, chunked: {answer}");

        // Announced and sent: the answer comes through although nobody reads the body.
        let answer = raw(&door, &post(path, &[("authorization", token)], &vec![b'x'; 8 * limit])).await;
        assert_eq!(refusal_of(&answer), (413, "BODY_TOO_LARGE".into()), "{path}, sent: {answer}");

        // At the limit it is read, and judged for what it is.
        let answer = raw(&door, &post(path, &[("authorization", token)], &vec![b' '; limit])).await;
        let judged = if path.contains("webhook") { (401, "INVALID_SIGNATURE") } else { (400, "INVALID_DATA") };
        assert_eq!(refusal_of(&answer), (judged.0, judged.1.into()), "{path}, at the limit: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods_are_404_and_405() {
    let world = world().await;
    let token = world.customer().token;
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
            let answer = raw(&world.customer_door(), request.as_bytes()).await;
            assert_eq!(refusal_of(&answer), (404, "RET_ERR_NOTFOUND".into()), "{method} {path}: {answer}");
        }
    }
    for (path, takes) in [("/cashier/methods", "GET"), ("/cashier/deposit", "POST"), ("/cashier/transactions", "GET")] {
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "BREW"] {
            let request =
                format!("{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\nconnection: close\r\n\r\n");
            let mut client = Raw::connect(&world.customer_door()).await;
            client.write(request.as_bytes()).await;
            let answer = client.read_answer().await;
            assert_eq!(status_of(&answer), 405, "{method} {path}: {answer}");
            let allow = answer.lines().find_map(|line| line.strip_prefix("allow: ")).unwrap_or_default();
            assert_eq!(allow.trim(), takes, "{method} {path}: {answer}");
        }
    }
    let manager = world.manager();
    let answer = manager.command("MngDoEverything", &json!({})).await;
    let shown = answer.json();
    assert_eq!(
        (answer.status, &shown["data"]["error"], &shown["extID"]),
        (404, &json!("RET_ERR_NOTFOUND"), &json!("test")),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_hardly_http_are_answered_and_closed() {
    let world = world().await;
    let long_head = format!("GET /cashier/methods HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(200_000));
    let many_heads = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(500));
    let long_path = format!("GET /cashier/{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(70_000));
    let table: [(&str, &[u8], &[u16]); 13] = [
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", &[400]),
        ("words", b"hello there\r\n\r\n", &[400]),
        ("HTTP/9", b"GET / HTTP/9.9\r\n\r\n", &[400, 505]),
        ("a bad header", b"GET / HTTP/1.1\r\nhost x\r\n\r\n", &[400]),
        ("a NUL in a header", b"GET / HTTP/1.1\r\nhost: x\x00y\r\n\r\n", &[400]),
        ("a raw angle in the URL", b"GET /cashier/methods?login=<x> HTTP/1.1\r\nhost: x\r\n\r\n", &[400]),
        (
            "two lengths",
            b"POST /cashier/deposit HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            &[400],
        ),
        ("a length that is none", b"POST /cashier/deposit HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n", &[400]),
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
        let answer = raw(&world.customer_door(), bytes).await;
        assert!(expected.contains(&status_of(&answer)), "{what}: {answer:?}");
    }
    // A client that speaks HTTP/2 without asking could not read an answer in HTTP/1: it is closed at once.
    let mut client = Raw::connect(&world.customer_door()).await;
    client.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(client.read_all().await, "");
    world.customer().methods(LOGIN).await.fine();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_manager_messages_are_answered_under_their_ext_id() {
    let world = world().await;
    let manager = world.manager();
    let table: Vec<(&str, Value, u16, &str)> = vec![
        ("MngGetCashierTransaction", json!([]), 400, "INVALID_DATA"),
        ("MngGetCashierTransaction", json!("x"), 400, "INVALID_DATA"),
        ("MngGetCashierTransaction", json!({"id": 1, "x": 1}), 400, "INVALID_DATA"),
        ("MngGetCashierTransaction", json!({"id": u64::MAX}), 400, "INVALID_DATA"),
        ("MngGetCashierTransactionsByFilter", json!({"where": "id"}), 400, "INVALID_DATA"),
        ("MngGetCashierTransactionsByFilter", json!({"where": [["id", "="]]}), 400, "INVALID_DATA"),
        ("MngGetCashierTransactionsByFilter", json!({"where": [["id", "=", {}]]}), 400, "INVALID_DATA"),
        ("MngGetCashierTransactionsByFilter", json!({"limit": 50001}), 400, "INVALID_DATA"),
        ("MngGetCashierTransactionsByFilter", json!({"limit": 1.5}), 400, "INVALID_DATA"),
        ("MngGetCashierTransactionsByFilter", json!({"colour": 1}), 400, "INVALID_DATA"),
        ("MngUpdateCashierProviderConfig", json!({"provider": 7}), 400, "INVALID_DATA"),
        ("MngUpdateCashierProviderConfig", json!({"id": 99, "enabled": 1}), 404, "RET_ERR_NOTFOUND"),
        ("MngUpdateCashierProviderConfig", json!({"id": 1, "enabled": 2}), 400, "INVALID_DATA"),
        ("MngUpdateCashierProviderConfig", json!({"id": 1, "min_amount": -1}), 400, "INVALID_DATA"),
        ("MngUpdateCashierProviderConfig", json!({"id": 1, "settings_json": "["}), 400, "INVALID_DATA"),
        ("MngUpdateCashierProviderConfig", json!({"id": 1, "secret_key": 1}), 400, "INVALID_DATA"),
        ("MngUpdateCashierProviderConfig", json!({"id": 1, "unknown": 1}), 400, "INVALID_DATA"),
        ("MngUpdateCashierProviderConfig", json!({}), 400, "INVALID_DATA"),
        ("MngUpdateCashierCustomerProviderOverride", json!({}), 400, "INVALID_DATA"),
        ("MngUpdateCashierCustomerProviderOverride", json!({"customer_id": 5}), 400, "INVALID_DATA"),
        (
            "MngUpdateCashierCustomerProviderOverride",
            json!({"customer_id": 5, "brand": "ion4", "provider": "x", "mode": 2}),
            400,
            "INVALID_DATA",
        ),
        (
            "MngUpdateCashierCustomerProviderOverride",
            json!({"id": 9, "customer_id": 5, "brand": "ion4", "provider": "x"}),
            404,
            "RET_ERR_NOTFOUND",
        ),
    ];
    for (command, data, status, code) in table {
        let answer = manager.command(command, &data).await;
        let shown = answer.json();
        assert_eq!(
            (answer.status, &shown["status"], &shown["data"]["error"], &shown["extID"]),
            (status, &json!(status), &json!(code), &json!("test")),
            "{command} {data}: {shown}"
        );
    }
    for message in ["{\"extID\":\"e\"}", "{\"extID\":\"e\",\"command\":7}", "{\"extID\":\"e\",\"command\":\"\"}"] {
        let answer =
            raw(&world.manager_door(), &post("/manager", &[("authorization", &manager.token)], message.as_bytes()))
                .await;
        assert!(answer.contains("\"extID\":\"e\""), "{message}: {answer}");
        assert!([400, 404].contains(&status_of(&answer)), "{message}: {answer}");
    }
}
