//! The watch listener: liveness, readiness and metrics. It is a listener of its own, so that it need not be reachable by
//! customers and providers.

mod metrics;
mod module_health;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cashier_core::printable::Printable;
use cashier_core::refusal::{Refusal, RefusalCode};
use http::Method;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::path::FullPath;

pub(super) use self::metrics::metrics;
pub use self::metrics::{AUDIT_METRICS, CONNECTION_METRICS, METRICS, Metric, TRADING_METRICS};
use self::module_health::ModuleHealthReport;
use crate::flows::{Cashier, configure};
use crate::http::openapi;
use crate::http::reply::Reply;
use crate::http::route::Route;
use crate::http::session::SessionKeys;
use crate::ports::TradingStatus;

const PLAIN: &str = "text/plain; charset=utf-8";
/// Configs and overrides that can match nothing, listed with `verbose`; `/metrics` has their number.
const UNMATCHED_ROWS_MAX: usize = 100;

/// With the query `verbose`, what does not work as it should is listed below the first line.
/// `files` are the problems of followed files.
fn readiness(cashier: &Cashier, files: &[String], query: &str) -> Reply {
    let problem = if cashier.ledger.is_open() {
        cashier.trading.readiness().err().map(|fault| fault.to_string())
    } else {
        Some("a commit failed: the books are being reloaded".to_owned())
    };
    let health = ModuleHealthReport::of(cashier);
    let problem = problem.or_else(|| health.nothing_serves());
    let (status, first) = match problem {
        None => (200, "ready".to_owned()),
        Some(problem) => (503, format!("not ready: {problem}")),
    };
    let verbose = query.split('&').any(|pair| pair == "verbose" || pair.starts_with("verbose="));
    // Paths, rows of older releases and errors of others are shown, not obeyed.
    let page = |lines: Vec<String>| {
        let lines = lines.iter().map(|line| format!("{}\n", Printable(line)));
        Reply::text(status, PLAIN, lines.collect::<String>())
    };
    if !verbose {
        return page(vec![first]);
    }
    let clock = cashier.clock.implausible().map(|reason| clock_line(cashier, &reason));
    let held = cashier.ledger.busy().map(|fault| held_line(&fault));
    let unreadable = unreadable_lines(cashier);
    let unmatched = configure::rows_without_match(cashier);
    let unmatched: Vec<String> =
        bounded(&unmatched, UNMATCHED_ROWS_MAX).chain(configure::unknown_brands(cashier)).collect();
    let quarantine = cashier.modules.quarantine();
    // A quarantined build is refused for that reason, which is said once.
    let said = |sentence: &&String| quarantine.iter().any(|line| line.replacen(": ", " is refused: ", 1) == **sentence);
    let sentences = health.sentences.iter().filter(|sentence| !said(sentence));
    let servers = trading_lines(cashier);
    let listed = files.iter().chain(&unmatched).chain(&quarantine).chain(sentences).chain(&servers).cloned();
    page([first].into_iter().chain(clock).chain(held).chain(unreadable).chain(listed).collect())
}

/// Every trading server that is elsewhere, and the embedded one where something is wrong with it beyond what the first line says.
fn trading_lines(cashier: &Cashier) -> Vec<String> {
    let status = cashier.trading.status();
    let is_shown = |status: &&TradingStatus| !status.server.is_embedded() || status.not_compared.is_some();
    status.iter().filter(is_shown).map(TradingStatus::line).collect()
}

/// Rows with sealed columns that do not open.
fn unreadable_lines(cashier: &Cashier) -> Vec<String> {
    let rows = cashier.snapshot().unreadable_rows();
    rows.into_iter().map(|row| format!("{}: {}", row.what, row.remedy)).collect()
}

/// The first lines, and how many more there are.
fn bounded(lines: &[String], most: usize) -> impl Iterator<Item = String> {
    let more = lines.len().saturating_sub(most);
    let rest = (more > 0).then(|| format!("… and {more} more"));
    lines.iter().take(most).cloned().chain(rest)
}

fn held_line(fault: &str) -> String {
    format!("cashier.db is held by another program: {fault}; what was decided waits and is tried again")
}

fn clock_line(cashier: &Cashier, reason: &str) -> String {
    let (stamps, wall) = (cashier.clock.now(), cashier.clock.wall());
    format!(
        "clock implausible: {reason}; stamps at {stamps}, the system clock at {wall}: nothing is expired, cancelled or \
         repeated until they agree, providers' Date headers agree, or `cashier clock accept`"
    )
}

/// Lines of plain text.
pub(super) fn plain(status: u16, text: String) -> Reply {
    Reply::text(status, PLAIN, text)
}

/// A page of this listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    Liveness,
    Readiness,
    Metrics,
    Description,
}

const fn at(path: &'static str) -> Route {
    Route { listener: "watch", method: Method::GET, path }
}

pub(super) const ENDPOINTS: &[(Route, Page)] = &[
    (at("/healthz"), Page::Liveness),
    (at("/readyz"), Page::Readiness),
    (at("/metrics"), Page::Metrics),
    (openapi::route("watch"), Page::Description),
];

/// The routes of the watch listener.
pub(super) fn routes(
    cashier: Arc<Cashier>,
    keys: Arc<SessionKeys>,
    stopping: Arc<AtomicBool>,
) -> BoxedFilter<(Reply,)> {
    answered_by(move |page, query| match page {
        Page::Readiness if stopping.load(Ordering::Acquire) => {
            plain(503, "not ready: the cashier is stopping\n".to_owned())
        }
        page => page_of(&cashier, &keys.problems(), page, query),
    })
}

fn page_of(cashier: &Cashier, files: &[String], page: Page, query: &str) -> Reply {
    match page {
        Page::Liveness => plain(200, "ok\n".to_owned()),
        Page::Readiness => readiness(cashier, files, query),
        Page::Metrics => metrics::of_cashier(cashier),
        Page::Description => openapi::reply("watch", &Method::GET),
    }
}

/// Answers each page with what `reply` makes of it and its query. Liveness is answered at once; what may wait for a lock
/// waits on a thread of its own.
pub(super) fn answered_by(reply: impl Fn(Page, &str) -> Reply + Send + Sync + 'static) -> BoxedFilter<(Reply,)> {
    let reply = Arc::new(reply);
    warp::method()
        .and(warp::path::full())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .then(move |method: Method, path: FullPath, query: String| {
            let reply = Arc::clone(&reply);
            async move {
                match page_at(&method, path.as_str()) {
                    Err(refused) => refused,
                    Ok(Page::Liveness) => reply(Page::Liveness, &query),
                    Ok(page) => tokio::task::spawn_blocking(move || reply(page, &query)).await.unwrap_or_else(|_| {
                        Reply::refused(&Refusal::new(RefusalCode::Internal, "the page could not be made"))
                    }),
                }
            }
        })
        .boxed()
}

fn page_at(method: &Method, path: &str) -> Result<Page, Reply> {
    let path = path.strip_suffix('/').unwrap_or(path);
    match ENDPOINTS.iter().find(|(route, _)| route.path == path) {
        None => Err(Reply::not_found()),
        Some((route, _)) if !route.takes(method) => Err(Reply::method_not_allowed(route.allowed())),
        Some((_, page)) => Ok(*page),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use cashier_core::ids::ConfigId;
    use cashier_core::provider_config::{ProviderConfig, UnreadableColumn};

    use super::*;
    use crate::http::testing::TestListener;
    use crate::snapshot::Snapshot;
    use crate::test_cashier::config;
    use crate::test_cashier::{TestCashier, lock};

    #[tokio::test(start_paused = true)]
    async fn the_watch_listener_reports_liveness_readiness_and_metrics() {
        let (ready, closed, waiting) = (TestCashier::new().await, TestCashier::new().await, TestCashier::new().await);
        *lock(&waiting.trading.not_ready) = Some("the trading server cannot write: disk full");
        ready.deposit("k").await.unwrap();
        closed.disk.fail_in.store(1, Ordering::SeqCst);
        closed.deposit("k").await.unwrap_err();
        let open = "# HELP cashier_ledger_open Whether decisions can be made.\n# TYPE cashier_ledger_open gauge\ncashier_ledger_open 1\n";
        let holds = "# HELP cashier_ledger_hold_max_us The longest hold of the books since the start, in microseconds.\n# TYPE cashier_ledger_hold_max_us gauge\ncashier_ledger_hold_max_us 0\n# HELP cashier_ledger_hold_recent_max_us The longest hold of the books since the last scrape, in microseconds.\n# TYPE cashier_ledger_hold_recent_max_us gauge\ncashier_ledger_hold_recent_max_us 0\n";
        let held = "# HELP cashier_database_held Whether writing waits because another program holds cashier.db.\n# TYPE cashier_database_held gauge\ncashier_database_held 0\n";
        let posts = "# HELP cashier_trading_ready Whether the trading server takes postings.\n# TYPE cashier_trading_ready gauge\ncashier_trading_ready 1\n";
        let counted = "# HELP cashier_transactions Transactions in memory.\n# TYPE cashier_transactions gauge\ncashier_transactions 1\n# HELP cashier_duties Transactions with unfinished work.\n# TYPE cashier_duties gauge\ncashier_duties 1\n# HELP cashier_unreadable_notices Authentic webhooks that no build of their module has understood yet.\n# TYPE cashier_unreadable_notices gauge\ncashier_unreadable_notices 0\n# HELP cashier_unmatched_payments Payments, refunds and disputes whose transaction never appeared.\n# TYPE cashier_unmatched_payments gauge\ncashier_unmatched_payments 0\n";
        let unmatched = "# HELP cashier_rows_without_match Enabled configs and overrides that can match nothing.\n# TYPE cashier_rows_without_match gauge\ncashier_rows_without_match 0\n";
        let notices = &format!(
            "{unmatched}# HELP cashier_webhooks_rejected Webhooks that failed verification since the start.\n# TYPE cashier_webhooks_rejected gauge\ncashier_webhooks_rejected 0\n# HELP cashier_webhooks_limited Webhooks answered 429 since the start, because too many fail verification.\n# TYPE cashier_webhooks_limited gauge\ncashier_webhooks_limited 0\n"
        );
        let refused = "# HELP cashier_manager_anonymous Messages to the manager listener without a valid token since the start.\n# TYPE cashier_manager_anonymous gauge\ncashier_manager_anonymous 0\n# HELP cashier_refusals_not_recorded Refused commands of managers without a record of their own, since the start.\n# TYPE cashier_refusals_not_recorded gauge\ncashier_refusals_not_recorded 0\n";
        let lists = "# HELP cashier_list_bytes_held Bytes that lists hold until their readers have taken them.\n# TYPE cashier_list_bytes_held gauge\ncashier_list_bytes_held 0\n";
        let clock = "# HELP cashier_clock_plausible Whether the system clock is believed; while it is not, nothing expires.\n# TYPE cashier_clock_plausible gauge\ncashier_clock_plausible 1\n";
        let modules = "# HELP cashier_modules_refused Modules that plugins.toml enables and that cannot be used.\n# TYPE cashier_modules_refused gauge\ncashier_modules_refused 0\n# HELP cashier_gateways_failing Gateways that did not open, have an open circuit breaker, refused credentials or calls that do not return.\n# TYPE cashier_gateways_failing gauge\ncashier_gateways_failing 0\n";
        let table = [
            (&ready, "GET /healthz", 200, "ok\n"),
            (&ready, "GET /healthz/", 200, "ok\n"),
            (&ready, "GET /readyz", 200, "ready\n"),
            (
                &ready,
                "GET /metrics",
                200,
                &format!("{open}{holds}{held}{posts}{counted}{notices}{refused}{lists}{clock}{modules}"),
            ),
            (&closed, "GET /healthz", 200, "ok\n"),
            (&closed, "GET /readyz", 503, "not ready: a commit failed: the books are being reloaded\n"),
            (
                &closed,
                "GET /metrics",
                200,
                &format!(
                    "{}{holds}{held}{posts}{notices}{refused}{lists}{clock}{modules}",
                    open.replace("open 1", "open 0")
                ),
            ),
            (&waiting, "GET /readyz", 503, "not ready: the trading server cannot write: disk full\n"),
            (
                &ready,
                "GET /cashier/methods",
                404,
                r#"{"error":"RET_ERR_NOTFOUND","message":"there is nothing at this path"}"#,
            ),
            (&ready, "POST /healthz", 405, r#"{"error":"METHOD_NOT_ALLOWED","message":"this path takes GET, HEAD"}"#),
        ];
        for (env, line, status, body) in table {
            let (method, path) = line.split_once(' ').unwrap();
            let page = page_at(&method.parse().unwrap(), path);
            let response = page.map_or_else(|refused| refused, |page| page_of(&env.cashier, &[], page, "")).into_http();
            let answered = String::from_utf8(response.body().to_vec()).unwrap();
            // Counted for the whole process, so other tests add to them.
            let answered = answered.split("# HELP cashier_log_lines_lost").next().unwrap();
            assert_eq!((response.status().as_u16(), answered), (status, body), "{line}");
            let allowed = response.headers().get("allow").map(|value| value.to_str().unwrap());
            assert_eq!(allowed, (status == 405).then_some("GET, HEAD"), "{line}");
        }
    }

    #[tokio::test]
    async fn k9_every_line_of_readiness_is_shown_escaped() {
        let row = ProviderConfig {
            id: ConfigId(7),
            brand: "io\u{202e}n\u{9b}4".into(),
            method: "ca\u{202e}rd".into(),
            ..config(7)
        };
        let env = TestCashier::with_rows(vec![row]).await;
        *lock(&env.trading.not_ready) = Some("disk \u{202e}full\nready");
        let files = ["session_keys_file k\u{202e}ey\nready: cannot be read".to_owned()];
        let page = |query: &str| {
            let body = readiness(&env.cashier, &files, query).into_http().into_body();
            String::from_utf8(body.to_vec()).unwrap()
        };
        assert_eq!(page(""), "not ready: disk \\u{202e}full\\u{a}ready\n");
        let verbose = page("verbose");
        assert!(verbose.contains("\nsession_keys_file k\\u{202e}ey\\u{a}ready: cannot be read\n"), "{verbose:?}");
        assert!(verbose.contains("config 7 can match nothing: "), "{verbose:?}");
        let obeyed = |sign: char| sign != '\n' && cashier_core::printable::is_obeyed(sign);
        assert!(!verbose.contains(obeyed), "{verbose:?}");
    }

    #[tokio::test]
    async fn n3_readiness_ends_first_and_liveness_stays_when_the_cashier_stops() {
        let (env, stopping) = (TestCashier::new().await, Arc::new(AtomicBool::new(false)));
        let listener = TestListener::open(
            routes(Arc::clone(&env.cashier), Arc::default(), Arc::clone(&stopping)),
            env.clock.clone(),
        )
        .await;
        let shown = async |page: &str| {
            let response = listener.send(&format!("GET /{page}"), "", "").await;
            (response.status, response.body)
        };
        assert_eq!(shown("readyz").await, (200, "ready\n".to_owned()));
        stopping.store(true, Ordering::Release);
        assert_eq!(shown("readyz").await, (503, "not ready: the cashier is stopping\n".to_owned()));
        assert_eq!(shown("healthz").await, (200, "ok\n".to_owned()));
        assert_eq!(shown("metrics").await.0, 200);
    }

    #[tokio::test]
    async fn n4_head_gets_the_head_of_get_on_every_page() {
        let env = TestCashier::new().await;
        let listener =
            TestListener::open(routes(Arc::clone(&env.cashier), Arc::default(), Arc::default()), env.clock.clone())
                .await;
        let mut client = listener.connect().await;
        for page in ["/healthz", "/readyz", "/readyz?verbose", "/metrics"] {
            let head = client.head(page).await;
            let get = client.request(&format!("GET {page} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
            assert_eq!((head.status, get.status), (200, 200), "{page}");
            // Numbers of the metrics may change between the two requests.
            let of_get = (page != "/metrics").then(|| get.body.len().to_string());
            assert!(of_get.is_none() || head.header("content-length") == of_get.as_deref(), "{page}");
            assert_eq!(head.header("content-type"), get.header("content-type"), "{page}");
        }
        assert_eq!(client.head("/nothing").await.status, 404);
    }

    #[tokio::test(start_paused = true)]
    async fn an_implausible_clock_is_listed_and_does_not_make_the_server_unready() {
        let env = TestCashier::new().await;
        let shown = |query: &str| {
            let response = readiness(&env.cashier, &[], query).into_http();
            (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
        };
        assert_eq!(shown("verbose"), (200, "ready\n".to_owned()));
        env.clock.jump(30 * 86_400);
        assert_eq!(shown(""), (200, "ready\n".to_owned()));
        let (status, text) = shown("verbose");
        let listed = "ready\nclock implausible: the system clock is 2592000 s ahead of the expected time; stamps at 1779270000, the system clock at 1781862000:";
        assert!(status == 200 && text.starts_with(listed), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn k1_every_table_with_a_row_that_does_not_open_is_listed() {
        let lost = UnreadableColumn {
            column: "secret_key",
            sealed: Box::default(),
            holds_text: true,
            had_key: false,
            why: "sealed with key 1".into(),
        };
        let env = TestCashier::with_rows(vec![ProviderConfig { unreadable: vec![lost], ..config(1) }]).await;
        let key = "audit_key 2: key: sealed with key 1, which is not in the key ring".to_owned();
        let known = Snapshot::clone(&env.cashier.snapshot()).with_closed_keys(vec![key.clone()]);
        env.cashier.snapshot.store(Arc::new(known));
        let listed = unreadable_lines(&env.cashier);
        assert!(listed[0].starts_with("provider_config 1: secret_key: "), "{listed:?}");
        assert_eq!(listed[1], format!("{key}: put the seal key back; the next start without it makes another"));
        configure::read_again(&env.cashier);
        env.run_for(1).await;
        assert!(env.cashier.snapshot().unreadable_rows().iter().all(|row| row.what != key), "it opens again");
    }
}
