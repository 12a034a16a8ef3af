//! Valid requests damaged by seeded random edits: each is answered, with a published code when it is refused, and never with
//! 500; afterwards the cashier works as before.
#![expect(clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]

use std::collections::BTreeMap;

use cashier_core::refusal::RefusalCode;
use cashier_tests::customer::order;
use cashier_tests::deployment::Deployment;
use cashier_tests::raw_http::{RawConnection, status_of};
use cashier_tests::roster::LOGIN;
use serde_json::{Value, json};

/// Another seed makes other damage.
const SEED: u64 = 0x0dd_b17e5;

/// Damaged requests per valid one.
const EACH: usize = 250;

/// Fragments inserted into a request, besides random bytes.
const FRAGMENTS: [&[u8]; 20] = [
    b"\0",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"-1",
    b"1e999",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"%00",
    b"%5B",
    b"\\u0000",
    b"99999999999999999999",
    b"'; DROP TABLE notice; --",
    b"<script>",
];

/// A valid request.
struct ValidRequest {
    method: &'static str,
    path: String,
    body: Vec<u8>,
    token: String,
    url: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_requests_are_all_answered_and_never_with_500() {
    let deployment = Deployment::new().await;
    deployment.manager().save_config(&deployment.sandbox_config()).await;
    let mut random = SeededRandom(SEED);
    let mut tally = BTreeMap::<u16, usize>::new();
    for valid in valid_requests(&deployment) {
        for _ in 0..EACH {
            let request = damaged(&valid, &mut random);
            let mut client = RawConnection::connect(&valid.url).await;
            client.write(&request).await;
            let answer = client.read_answer().await;
            documented(&answer, &request);
            *tally.entry(status_of(&answer)).or_default() += 1;
        }
    }
    let common: Vec<u16> = tally.iter().filter(|(_, count)| **count >= 20).map(|(status, _)| *status).collect();
    assert_eq!(common, [200, 400, 401, 403, 404], "the requests are neither too intact nor too damaged: {tally:?}");
    deployment.customer().deposit(&order("sandbox", "25")).await.expect_ok();
    let ready = deployment.http.get(&format!("http://{}/readyz", deployment.addresses.watch), &[]).await;
    assert_eq!(ready.status, 200, "{}", ready.text());
}

fn valid_requests(deployment: &Deployment) -> Vec<ValidRequest> {
    let (customer, manager) = (deployment.customer(), deployment.manager());
    let full = json!({"login": LOGIN, "provider": "sandbox", "method": "card", "amount": 25.5, "currency": "USD",
        "provider_config_id": 1, "idempotency_key": "k", "success_url": "https://shop.example/ok",
        "failure_url": "https://shop.example/no", "comment": "c", "metadata_json": "{\"a\":1}"});
    let withdrawal = json!({"login": LOGIN, "amount": 5, "currency": "USD", "method": "card", "comment": "c"});
    let filter = "/cashier/transactions?limit=50&offset=0&login=2000009&where[0][0]=status&where[0][1]==&where[0][2]=1&whereIn[0][0]=id&whereIn[0][1][0]=1&orderBy[0][0]=created_time&orderBy[0][1]=desc";
    let message = |command: &str, data: Value| json!({"command": command, "extID": "1", "data": data}).to_string();
    let list =
        json!({"where": [["status", "=", 1]], "whereIn": [["id", [1, 2]]], "limit": 5, "orderBy": ["id", "ASC"]});
    let row = json!({"customer_id": 5, "brand": "ion4", "provider": "stripe", "mode": 0, "min_amount": 25.0});
    let mut config = deployment.sandbox_config();
    config["id"] = json!(1);
    // The config must still work at the end of the test.
    for field in ["settings_json", "secret_key", "webhook_secret", "enabled", "provider", "currency", "brand"] {
        config.as_object_mut().unwrap_or_else(|| panic!("a config is an object")).remove(field);
    }
    let at_customer = |method, path: &str, body: String| ValidRequest {
        method,
        path: path.into(),
        body: body.into_bytes(),
        token: customer.token.clone(),
        url: deployment.customer_url(),
    };
    let at_manager = |body: String| ValidRequest {
        method: "POST",
        path: "/manager".into(),
        body: body.into_bytes(),
        token: manager.token.clone(),
        url: deployment.manager_url(),
    };
    vec![
        at_customer("POST", "/cashier/deposit", full.to_string()),
        at_customer("POST", "/cashier/withdrawal", withdrawal.to_string()),
        at_customer("GET", filter, String::new()),
        at_customer("GET", "/cashier/methods?login=2000009", String::new()),
        at_customer("POST", "/cashier/webhook/sandbox/1?a=b", json!({"id": "evt_1", "type": "x"}).to_string()),
        at_manager(message("MngGetCashierTransactionsByFilter", list)),
        at_manager(message("MngGetCashierTransaction", json!({"id": 1}))),
        at_manager(message("MngUpdateCashierCustomerProviderOverride", row)),
        at_manager(message("MngUpdateCashierProviderConfig", json!({"id": 77, "min_amount": 1.5, "country": "DE"}))),
    ]
}

/// The request with its path, token or body damaged; its HTTP framing stays valid.
fn damaged(valid: &ValidRequest, random: &mut SeededRandom) -> Vec<u8> {
    let (mut path, mut body, mut token) =
        (valid.path.clone().into_bytes(), valid.body.clone(), valid.token.clone().into_bytes());
    match random.below(8) {
        0 => damage(&mut token, random),
        1 | 2 => damage(&mut path, random),
        _ if body.is_empty() => damage(&mut path, random),
        _ => (0..=random.below(3)).for_each(|_| damage(&mut body, random)),
    }
    // Bytes that end the request line or a header would break the framing.
    path.retain(|byte| byte.is_ascii_graphic());
    token.retain(|byte| *byte >= b' ' && *byte != 0x7f);
    if path.first() != Some(&b'/') {
        path.insert(0, b'/');
    }
    let length = body.len();
    let mut request = format!("{} ", valid.method).into_bytes();
    request.extend_from_slice(&path);
    request.extend_from_slice(b" HTTP/1.1\r\nhost: x\r\nauthorization: ");
    request.extend_from_slice(&token);
    request.extend_from_slice(format!("\r\ncontent-length: {length}\r\n\r\n").as_bytes());
    request.extend_from_slice(&body);
    request
}

fn damage(bytes: &mut Vec<u8>, random: &mut SeededRandom) {
    let at = random.below(bytes.len() + 1);
    let end = (at + random.below(12)).min(bytes.len());
    match random.below(6) {
        0 => drop(bytes.drain(at..end)),
        1 => bytes.truncate(at),
        2 => {
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece.repeat(1 + random.below(40)));
        }
        3 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        4 => {
            let byte = u8::try_from(random.below(256)).unwrap_or_default();
            bytes.splice(at..end, [byte]);
        }
        _ => drop(bytes.splice(at..end, FRAGMENTS[random.below(FRAGMENTS.len())].iter().copied())),
    }
}

fn documented(answer: &str, request: &[u8]) {
    let shown = || format!("{}\n-> {answer}", String::from_utf8_lossy(request));
    let status = status_of(answer);
    assert!(status != 0 && status != 500, "{}", shown());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    if status == 200 || body.is_empty() {
        // What is not HTTP is refused before any route, without a body.
        assert!(status == 200 || status == 400, "{}", shown());
        return;
    }
    let refusal: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {}", shown()));
    let code = refusal["error"].as_str().or(refusal["data"]["error"].as_str()).unwrap_or_default();
    let known = RefusalCode::ALL.iter().find(|known| known.text() == code);
    let known = known.unwrap_or_else(|| panic!("{code} is not published: {}", shown()));
    assert_eq!(known.number(), status, "{}", shown());
    assert_ne!(*known, RefusalCode::Internal, "{}", shown());
}

/// The same sequence of numbers for the same seed (xorshift).
struct SeededRandom(u64);

impl SeededRandom {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap_or_default()
    }
}
