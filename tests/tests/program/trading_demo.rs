//! The demo against a trading server that is not the cashier's own: the example in Python, run as it is, which keeps its balances
//! from one demo to the next.

use std::time::Duration;

use cashier_tests::cashier_process::run_within;
use cashier_tests::reference_server::ReferenceServer;
use cashier_tests::waiting::skipped;

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_runs_against_a_trading_server_elsewhere_and_says_so() {
    let server = match ReferenceServer::start() {
        Ok(server) => server,
        Err(why) => return skipped(&why),
    };
    let folder = tempfile::tempdir().unwrap();
    let (url, secret) = (format!("http://127.0.0.1:{}", server.port()), server.secret_file());
    let secret = secret.to_str().unwrap();
    let arguments =
        ["demo", "--exit", "--folder", "deployment", "--trading-server", &url, "--trading-secret-file", secret];
    // The cashier asks a provider that said nothing for a minute.
    let output = run_within(Duration::from_secs(300), folder.path(), &arguments).await;
    assert_eq!((output.code, &*output.err), (Some(0), ""), "{}", output.out);
    for shown in [
        &format!("Trading server: {url}, which has the accounts and balances; nothing is imported."),
        "Account 2000009 now holds 350.25 USD. It held 100.25 USD before.",
        "ok: the account got exactly the deposit",
        "Account 2000009 now holds 390.25 USD.",
        "The demo ended as it should.",
    ] {
        assert!(output.out.contains(shown), "{shown} is not in {}", output.out);
    }
    assert_eq!(server.balance_minor(), 39_025);

    let missing =
        run_within(Duration::from_secs(60), folder.path(), &["demo", "--exit", "--trading-server", &url]).await;
    assert_eq!(missing.code, Some(1));
    assert!(missing.err.contains("trading.secret is not there: --trading-secret-file names"), "{}", missing.err);
}
