//! Answers whose readers take them slowly, over a stream that holds four kilobytes: nothing but the reader makes them late.

use cashier_core::deposit::DepositRequest;
use cashier_core::session::Role;
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::time::Instant;
use warp::reply::Response;

use super::*;
use crate::flows::Cashier;
use crate::http::session::{SessionKey, SessionKeys, issue_token};
use crate::http::{customer_routes, manager_routes};
use crate::test_cashier::{TestCashier, TestEntropy, deposit_request};

/// The client's end of a connection that is served by these routes, and its task.
fn served(
    routes: impl Into<SwitchedRoutes>,
    clock: &Arc<TestClock>,
) -> (DuplexStream, tokio::task::JoinHandle<Result<(), Fault>>) {
    let (near, far) = tokio::io::duplex(4 * 1024);
    let connection = ConnectionContext {
        name: "test",
        routes: Arc::new(routes.into()),
        context: ListenerContext {
            clock: Arc::clone(clock) as _,
            entropy: Arc::new(TestEntropy::default()),
            trusted_proxies: Vec::new().into(),
        },
        is_tls: false,
        hints: Arc::new(ProxyHints::new("test")),
        large_bodies: Arc::new(Semaphore::new(LARGE_BODIES_KIB_MAX)),
    };
    let peer = IpAddr::from([127, 0, 0, 1]);
    let newcomer = Newcomer { address: peer, limited: false, trusted: false };
    let admitted = Connections::new(TestListener::LIMITS, ListenerCounts::of("test")).admit(newcomer).unwrap();
    let guarded = StallGuard::new(near, Arc::clone(admitted.sending()));
    let graceful = GracefulShutdown::new();
    let serving = serve_http(connection, guarded, peer, graceful.watcher(), admitted);
    let served = tokio::spawn(async move {
        let served = serving.await;
        drop(graceful);
        served
    });
    (far, served)
}

/// Reads so many bytes at a time, with this pause, until the stream ends or nothing more comes: what came, and when it ended.
async fn read_slowly(client: &mut DuplexStream, bytes: usize, pause: Duration, most: usize) -> (usize, Duration) {
    let began = Instant::now();
    let mut piece = vec![0; bytes];
    let mut taken = 0;
    while taken < most {
        tokio::time::sleep(pause).await;
        match client.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(read) => taken += read,
        }
    }
    (taken, began.elapsed())
}

/// A cashier whose customer has so many rows with notes of this length.
async fn with_rows(count: usize, length: usize) -> (TestCashier, Arc<SessionKeys>) {
    let env = TestCashier::new().await;
    let metadata_json: Box<str> = format!(r#"{{"note":"{}"}}"#, "x".repeat(length)).into();
    let deposits = (0..count).map(|n| {
        let request = deposit_request(&format!("k{n}"));
        env.deposit_as(DepositRequest { metadata_json: metadata_json.clone(), ..request })
    });
    assert!(futures_util::future::join_all(deposits).await.iter().all(Result::is_ok));
    (env, Arc::new(SessionKeys::new(vec![SessionKey::new("k", &[7; 32]).unwrap()]).unwrap()))
}

fn token(env: &TestCashier, keys: &SessionKeys, role: Role) -> String {
    issue_token(keys, role, 5, None, 3_600, env.cashier.clock.now()).unwrap()
}

fn held(cashier: &Cashier) -> usize {
    cashier.list_bytes_held()
}

#[tokio::test(start_paused = true)]
async fn b2_a_list_has_a_total_time_on_the_wire_whole_or_in_pieces() {
    let (env, keys) = with_rows(70, 4_000).await;
    let customer = token(&env, &keys, Role::Customer);
    // 200 KB are sent whole, 280 KB in pieces.
    for (limit, is_whole) in [(50, true), (1_000, false)] {
        let routes: BoxedFilter<(Response,)> = customer_routes(&env.cashier, &keys, &[]);
        let (mut client, served) = served(routes, &env.clock);
        let request =
            format!("GET /cashier/transactions?limit={limit} HTTP/1.1\r\nhost: x\r\nauthorization: {customer}\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let (taken, took) = read_slowly(&mut client, 1_024, Duration::from_secs(20), usize::MAX).await;
        assert!((6 * 1_024..12 * 1_024).contains(&taken), "{is_whole}: {taken}");
        assert!((120..=220).contains(&took.as_secs()), "{is_whole}: {took:?}");
        assert!(served.await.unwrap().is_err());
        assert_eq!(held(&env.cashier), 0, "what was made is held no more");
        // At four kilobytes a second it is read in time.
        let routes: BoxedFilter<(Response,)> = customer_routes(&env.cashier, &keys, &[]);
        let (mut client, _served) = self::served(routes, &env.clock);
        client.write_all(request.as_bytes()).await.unwrap();
        let (taken, took) = read_slowly(&mut client, 4_096, Duration::from_secs(1), 200_000).await;
        assert!(taken >= 200_000 && took < Duration::from_secs(120), "{is_whole}: {taken} {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn b2_the_reader_of_an_export_keeps_its_pace_on_the_wire() {
    let (env, keys) = with_rows(600, 10).await;
    let manager = token(&env, &keys, Role::Manager);
    let ask = async |limit: usize, bytes: usize| {
        let (mut client, _served) = served(manager_routes(&env.cashier, &keys), &env.clock);
        let message =
            format!(r#"{{"command":"MngGetCashierTransactionsByFilter","extID":1,"data":{{"limit":{limit}}}}}"#);
        let length = message.len();
        let head = "POST /manager HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
        let request = format!("{head}authorization: {manager}\r\ncontent-length: {length}\r\n\r\n{message}");
        client.write_all(request.as_bytes()).await.unwrap();
        let (taken, took) = read_slowly(&mut client, bytes, Duration::from_secs(1), usize::MAX).await;
        (taken, took.as_secs())
    };
    let (whole, _) = ask(5_000, 16 * 1_024).await;
    assert!(whole > 30 * 1_024, "{whole}");
    let (cut, after) = ask(5_000, 1_024).await;
    assert!(cut < whole / 2 && (10..40).contains(&after), "{cut} of {whole} in {after} s");
    // The same rows as a list: it has a total time alone.
    let (list, after) = ask(4_999, 1_024).await;
    assert!(list >= whole - 1 && after < 120, "{list} of {whole} in {after} s");
}

#[tokio::test(start_paused = true)]
async fn b2_an_answer_without_a_rule_has_a_total_time_and_others_behind_it_give_it_no_more() {
    let clock = Arc::new(TestClock::default());
    let text = "x".repeat(60_000);
    let routes = request().map(move |_: Request| Reply::text(200, "text/plain", text.clone()));
    let (mut client, served) = served(routes.boxed(), &clock);
    // One after the other, without waiting for an answer.
    client.write_all("GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(20).as_bytes()).await.unwrap();
    let (taken, took) = read_slowly(&mut client, 1_024, Duration::from_secs(20), usize::MAX).await;
    assert!(taken < 12 * 1_024 && (120..=220).contains(&took.as_secs()), "{taken} {took:?}");
    assert!(served.await.unwrap().is_err());
}
