//! The program from the command line: the demo shows a deposit, what BackOffice does with payments, and exits with zero, every command explains itself, no key is
//! generated silently, and roster import, tokens and the module list work.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "program/ended_demo.rs"]
mod ended_demo;
#[path = "program/trading_demo.rs"]
mod trading_demo;

use std::path::Path;

use cashier_tests::cashier_process::{CashierProcess, run, run_within};
use cashier_tests::customer::CustomerClient;
use cashier_tests::http::Http;
use cashier_tests::manager::ManagerClient;
use cashier_tests::roster::{self, CUSTOMER, LOGIN, SECOND_LOGIN};
use serde_json::{Value, json};

/// The steps of the demo in order: the sentence of each, and texts that it must print.
const DEMO_STEPS: [(&str, &[&str]); 12] = [
    ("1. Ops give brand ion4 a provider.", &["MngUpdateCashierProviderConfig", "ok: the secret is not shown"]),
    ("2. The customer asks how account 2000009 can be paid into.", &["GET http://", "/cashier/methods?login=2000009"]),
    ("3. The customer deposits 250 USD.", &["/cashier/deposit", "\"next_action\":\"REDIRECT\"", "\"status\":1,"]),
    ("4. The customer presses Pay on the provider's page.", &["/pay/", "signs a webhook", "\"status\":\"confirmed\""]),
    ("5. The webhook was verified by the module", &["/cashier/transactions?", "\"status\":3,", "\"amount\":250.0,"]),
    ("6. The same request with the same key", &["ok: it is the same transaction"]),
    ("7. BackOffice sees the transaction", &["MngGetCashierTransaction", "balance_operations", "\"amount\":250.0,"]),
    ("Account 2000009 now holds 250.0 USD. It held nothing before.", &["ok: the account got exactly the deposit"]),
    ("8. The customer deposits 120 USD and pays.", &["webhook_never", "ok: the cashier does not know it yet"]),
    (
        "9. Meanwhile the customer asks for 50 USD back.",
        &[
            "/cashier/withdrawal",
            "MngProcessManualCashierTransaction",
            "- decision: ",
            "- operation: ",
            "To the customer: ",
            "Account 2000009 now holds 200.0 USD.",
        ],
    ),
    (
        "10. A manager refunds 30 USD of the first deposit.",
        &[
            "MngRefundCashierTransaction",
            "- provider_call: refund call to ",
            "- event: ",
            "To the customer: ",
            "Account 2000009 now holds 170.0 USD.",
        ],
    ),
    (
        "11. Nothing was received about the second deposit for a minute",
        &[
            "ok: the payment without a webhook is credited",
            "- provider_call: query call to ",
            "To the customer: ",
            "Account 2000009 now holds 290.0 USD.",
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_a_deposit_its_exact_credit_and_the_work_of_backoffice_and_exits_with_zero() {
    let folder = tempfile::tempdir().unwrap();
    // The cashier asks a provider that said nothing for a minute.
    let longest = std::time::Duration::from_secs(300);
    let shown = run_within(longest, folder.path(), &["demo", "--exit", "--folder", "deployment"]);
    let (output, ()) = tokio::join!(shown, ended_demo::n2_the_demo_ends_on_sighup_with_a_drain());
    assert_eq!((output.code, &*output.err), (Some(0), ""), "{}", output.out);
    let mut rest = &*output.out;
    for (at, (opening, _)) in DEMO_STEPS.iter().enumerate() {
        rest = &rest[rest.find(opening).unwrap_or_else(|| panic!("no {opening:?} after step {at}: {}", output.out))..];
        let end = DEMO_STEPS.get(at + 1).and_then(|(next, _)| rest.find(next)).unwrap_or(rest.len());
        for shown in DEMO_STEPS[at].1 {
            assert!(rest[..end].contains(shown), "step {opening:?} does not show {shown}: {}", &rest[..end]);
        }
    }
    assert!(rest.contains("The demo ended as it should."), "{rest}");
    for (line, next) in output.out.lines().zip(output.out.lines().skip(1)) {
        let is_request = line.starts_with("  > ") && !next.starts_with("  > ");
        assert!(!is_request || next.starts_with("  < 200 "), "every request shows its answer: {line}\n{next}");
        assert!(!line.trim_start().starts_with("not "), "{line}");
    }
    // Its keys are in its folder alone, and never printed.
    for key in ["session.key", "seal.key", "webhook.secret"] {
        let text = std::fs::read_to_string(folder.path().join("deployment").join(key)).unwrap();
        let secret = text.trim().rsplit(':').next().unwrap();
        assert!(secret.len() >= 16 && !output.out.contains(secret), "{key} is printed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_that_cannot_create_its_folder_fails_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("taken"), "a file where a folder must be").unwrap();
    let output = run(folder.path(), &["demo", "--exit", "--folder", "taken"]).await;
    assert!(output.code != Some(0) && output.err.contains("taken"), "{output:?}");
    assert!(!output.out.contains("The demo ended as it should."), "{}", output.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_help_of_every_command_explains_it_and_its_options() {
    let folder = tempfile::tempdir().unwrap();
    let table: [(&[&str], &[&str]); 19] = [
        (&[], &["serve", "demo", "token", "trading", "modules", "schema", "Start with `cashier demo`"]),
        (&["serve"], &["--settings <FILE>", "CASHIER_SETTINGS", "says how to make them"]),
        (&["demo"], &["--exit", "--folder <FOLDER>", "the exit code says"]),
        (&["token"], &["--role <ROLE>", "crm-manager", "--id <ID>", "--ttl <TTL>", "--brand <BRAND>", "Example: "]),
        (&["trading"], &["import", "accept"]),
        (&["trading", "accept"], &["[LOGIN]", "--put-back", "--bases <FOLDER>"]),
        (
            &["trading", "import"],
            &["<FILE>", "\"groups\"", "--settings <FILE>", "--bases <FOLDER>", "nothing is written"],
        ),
        (&["db"], &["reconcile", "backup"]),
        (&["db", "reconcile"], &["--apply", "--settings <FILE>", "nothing is credited"]),
        (&["db", "backup"], &["<FOLDER>", "--settings <FILE>", "while the server runs"]),
        (&["clock"], &["accept"]),
        (&["clock", "accept"], &["--settings <FILE>", "--bases <FOLDER>", "within five seconds"]),
        (&["modules"], &["--settings <FILE>", "plugins.toml", "why not"]),
        (&["reseal"], &["--check", "--settings <FILE>"]),
        (&["approvals"], &["list", "approve", "reject"]),
        (&["approvals", "approve"], &["<ID>", "--break-glass", "--settings <FILE>"]),
        (&["customer"], &["erase"]),
        (&["customer", "erase"], &["<ID>", "--settings <FILE>"]),
        (&["schema"], &["[NAME]", "JSON Schemas", "deposit.request"]),
    ];
    let listed = run(folder.path(), &["--help"]).await.out;
    for (command, explained) in table {
        let output = run(folder.path(), &[command, &["--help"]].concat()).await;
        assert_eq!((output.code, &*output.err), (Some(0), ""), "{command:?}");
        let usage = format!("Usage: cashier {}", command.join(" "));
        for text in [&*usage].iter().chain(explained) {
            assert!(output.out.contains(text.trim_end()), "{command:?} does not explain {text:?}: {}", output.out);
        }
        undocumented(command, &output.out);
    }
    // A command that is missing in the table would be unchecked.
    let commands = listed.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let names: Vec<&str> = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    assert_eq!(
        names,
        [
            "serve",
            "demo",
            "token",
            "db",
            "trading",
            "customer",
            "clock",
            "audit",
            "approvals",
            "reseal",
            "modules",
            "module",
            "schema",
            "help"
        ],
        "{listed}"
    );
}

/// Fails for an option without an explanation beside or below it.
fn undocumented(command: &[&str], help: &str) {
    let lines: Vec<&str> = help.split("Options:").nth(1).unwrap().lines().collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.trim_start().starts_with('-')) {
        let beside = line.trim_start().split_once("  ").map_or("", |(_, text)| text.trim());
        let below = lines.get(at + 1).map_or("", |line| line.trim());
        let explains = |text: &str| text.chars().filter(|character| character.is_alphabetic()).count() > 8;
        assert!(
            explains(beside) || (explains(below) && !below.starts_with('-')),
            "{command:?}: {line} is not explained"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serving_without_keys_is_refused_with_the_command_that_makes_them() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("cashier.toml");
    let mut written = "customer_listen = \"127.0.0.1:0\"\nmanager_listen = \"127.0.0.1:0\"\n".to_owned();
    let refused = async |kind: &str, arguments: &[&str]| {
        let output = run(folder.path(), arguments).await;
        assert!(output.code.is_some_and(|code| code != 0), "{output:?}");
        let variable = format!("CASHIER_{}_KEYS", kind.to_uppercase());
        for text in [&format!("there is no {kind} key"), &format!("{kind}_keys_file"), &variable] {
            assert!(output.err.contains(text), "{kind}: {}", output.err);
        }
        let recipe = output.err.lines().find(|line| line.contains("/dev/urandom")).expect("how to make one").to_owned();
        assert!(recipe.contains("umask 077") && recipe.ends_with(&format!("> {kind}.key)")), "{recipe}");
        assert!(!folder.path().join("bases").exists(), "nothing is created without keys");
        recipe
    };
    std::fs::write(&settings, &written).unwrap();
    refused("session", &["serve"]).await;
    refused("session", &["token", "--role", "customer", "--id", "5"]).await;
    for kind in ["session", "seal"] {
        let recipe = refused(kind, &["serve", "--settings", "cashier.toml"]).await;
        let made = std::process::Command::new("sh").args(["-c", &recipe]).current_dir(folder.path()).status();
        assert!(made.is_ok_and(|status| status.success()), "the printed command makes a key: {recipe}");
        written.push_str(&format!("{kind}_keys_file = \"{kind}.key\"\n"));
        std::fs::write(&settings, &written).unwrap();
    }
    // With the keys that the printed commands make, it starts.
    let token = run(folder.path(), &["token", "--role", "customer", "--id", "5", "-s", "cashier.toml"]).await;
    assert_eq!((token.code, token.out.trim().split('.').count()), (Some(0), 3), "{token:?}");
    let served = folder.path().join("served");
    std::fs::create_dir(&served).unwrap();
    let mut process = CashierProcess::without_roster(&served, &[]);
    for key in ["session.key", "seal.key"] {
        std::fs::copy(folder.path().join(key), served.join(key)).unwrap();
    }
    process.start().await;
    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_roster_is_served_to_printed_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = CashierProcess::without_roster(folder.path(), &["http://127.0.0.1:9"]);
    std::fs::write(folder.path().join("roster.json"), roster::standard().to_string()).unwrap();
    let import = ["trading", "import", "roster.json", "--settings", "cashier.toml"];
    let output = run(folder.path(), &import).await;
    assert_eq!((output.code, &*output.err), (Some(0), ""), "{output:?}");
    for line in ["groups: 4 added", "customers: 3 added", "accounts: 5 added"] {
        assert!(output.out.contains(line), "{}", output.out);
    }
    let again = run(folder.path(), &import).await;
    assert!(again.code == Some(0) && again.out.contains("accounts: 0 added, 0 updated, 5 unchanged"), "{again:?}");

    let addresses = process.start().await;
    let busy = run(folder.path(), &import).await;
    assert!(busy.code != Some(0) && !busy.err.is_empty(), "the settings do not name the port of the server: {busy:?}");
    let customer = CustomerClient {
        http: Http::new(),
        url: format!("http://{}", addresses.customer),
        token: printed(folder.path(), &["--role", "customer", "--id", &CUSTOMER.to_string()]).await,
    };
    assert_eq!(customer.methods(LOGIN).await.expect_ok()["count"], json!(0), "no method is offered yet");
    let mut manager = ManagerClient {
        http: Http::new(),
        url: format!("http://{}", addresses.manager),
        token: printed(folder.path(), &["--role", "manager", "--id", "1", "--brand", "nova"]).await,
    };
    let config: Value = json!({"provider": "sandbox", "brand": "ion4", "currency": "USD", "sandbox": 1, "enabled": 1,
        "secret_key": "sk", "webhook_secret": "whsec",
        "settings_json": json!({"api_base": "http://127.0.0.1:9"}).to_string()});
    let save = "MngUpdateCashierProviderConfig";
    assert_eq!(manager.command(save, &config).await.status, 403, "the token is of one brand");
    manager.token = printed(folder.path(), &["--role", "manager", "--id", "1", "--ttl", "8h"]).await;
    manager.save_config(&config).await;
    let methods = customer.methods(LOGIN).await.expect_ok();
    assert_eq!((&methods["count"], &methods["rows"][0]["provider"]), (&json!(1), &json!("sandbox")), "{methods}");
    assert_eq!(customer.methods(SECOND_LOGIN).await.refusal(), (403, "PERMISSION_DENIED".into()));
    assert_eq!(process.terminate().await, Some(0));
}

/// The one line that `cashier token` prints.
async fn printed(folder: &Path, session: &[&str]) -> String {
    let output = run(folder, &[&["token", "--settings", "cashier.toml"], session].concat()).await;
    assert_eq!((output.code, &*output.err, output.out.lines().count()), (Some(0), "", 1), "{output:?}");
    output.out.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_roster_is_refused_and_nothing_of_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let _process = CashierProcess::without_roster(folder.path(), &[]);
    let mut invalid = roster::standard();
    roster::change(&mut invalid, "accounts", "login", &json!(LOGIN), "group", json!("nowhere"));
    let import = async |roster: &Value| {
        std::fs::write(folder.path().join("roster.json"), roster.to_string()).unwrap();
        run(folder.path(), &["trading", "import", "roster.json", "--bases", "bases"]).await
    };
    let output = import(&invalid).await;
    assert!(output.code != Some(0) && output.err.contains("nowhere"), "{output:?}");
    let valid = import(&roster::standard()).await;
    assert!(valid.code == Some(0) && valid.out.contains("accounts: 5 added, 0 updated, 0 unchanged"), "{valid:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_module_list_shows_ready_modules_and_why_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _process = CashierProcess::without_roster(folder.path(), &[]);
    std::fs::write(folder.path().join("notes.so"), "this is a text file\n").unwrap();
    let plugins = folder.path().join("plugins.toml");
    let mut listed = std::fs::read_to_string(&plugins).unwrap();
    listed.push_str("[[module]]\nfile = \"notes.so\"\n[[module]]\nfile = \"absent.so\"\n");
    std::fs::write(&plugins, listed).unwrap();
    let output = run(folder.path(), &["modules", "--settings", "cashier.toml"]).await;
    let refused = "cashier: plugins.toml enables 2 modules that would be refused: notes, absent\n";
    assert_eq!((output.code, &*output.err), (Some(1), refused), "{output:?}");
    let lines: Vec<Vec<&str>> = output.out.lines().map(|line| line.split_whitespace().take(4).collect()).collect();
    let expected = [
        vec!["sandbox", "ready", "contract", "1"],
        vec!["stripe", "ready", "contract", "1"],
        vec!["notes", "refused", "it", "is"],
        vec!["absent", "refused", "the", "file"],
    ];
    assert_eq!(lines, expected, "{}", output.out);
    for reason in ["it is a text file, not a library", "the file does not exist"] {
        assert!(output.out.contains(reason), "{}", output.out);
    }
}

#[tokio::test]
async fn an_accepted_clock_is_left_for_the_server_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("bases")).unwrap();
    std::fs::write(folder.path().join("bases/cashier.db"), "").unwrap();
    let done = run(folder.path(), &["clock", "accept", "--bases", "bases"]).await;
    assert!(
        done.code == Some(0) && done.out.starts_with("the system clock is accepted at "),
        "{}{}",
        done.out,
        done.err
    );
    let left = std::fs::read_to_string(folder.path().join("bases/clock.accept")).unwrap();
    assert!(left.trim().parse::<i64>().is_ok_and(|at| done.out.contains(&at.to_string())), "{left}");
}

/// A folder with keys and settings, and no databases.
fn unserved() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for key in ["session.key", "seal.key"] {
        std::fs::write(folder.path().join(key), format!("1:{}\n", "5b".repeat(32))).unwrap();
    }
    let settings = "session_keys_file = \"session.key\"\nseal_keys_file = \"seal.key\"\n";
    std::fs::write(folder.path().join("cashier.toml"), settings).unwrap();
    folder
}

#[tokio::test]
async fn a_command_in_a_folder_without_databases_fails_creates_nothing_and_says_what_is_missing() {
    let folder = unserved();
    let files = || std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect::<Vec<_>>();
    let before = files();
    let (both, books, postings) = ("no cashier.db and no trading.db in ", "no cashier.db in ", "no trading.db in ");
    let commands: [(&[&str], &str); 10] = [
        (&["db", "reconcile", "-s", "cashier.toml"], both),
        (&["db", "reconcile", "--apply", "-s", "cashier.toml"], both),
        (&["db", "backup", "saved", "-s", "cashier.toml"], both),
        (&["trading", "accept", "--bases", "typo"], postings),
        (&["trading", "accept", "2000009", "-s", "cashier.toml"], postings),
        (&["clock", "accept", "--bases", "typo"], books),
        (&["clock", "accept", "-s", "cashier.toml"], books),
        (&["audit", "verify", "--bases", "typo"], books),
        (&["audit", "verify", "-s", "cashier.toml"], books),
        (&["customer", "erase", "5", "-s", "cashier.toml"], books),
    ];
    for (command, missing) in commands {
        let output = run(folder.path(), command).await;
        assert_eq!((output.code, &*output.out), (Some(1), ""), "{command:?}");
        assert!(output.err.starts_with(&format!("cashier: there is {missing}")), "{command:?}: {}", output.err);
        assert!(output.err.contains("`bases`"), "{command:?} does not say what to do: {}", output.err);
        assert_eq!(files(), before, "{command:?} created something");
    }
}

#[tokio::test]
async fn a_database_that_is_missing_beside_the_other_is_not_created_by_a_command() {
    let folder = unserved();
    let bases = folder.path().join("bases");
    std::fs::create_dir(&bases).unwrap();
    for (present, missing) in [("cashier.db", "trading.db"), ("trading.db", "cashier.db")] {
        std::fs::write(bases.join(present), "").unwrap();
        for command in [&["db", "reconcile"][..], &["db", "reconcile", "--apply"], &["db", "backup", "saved"]] {
            let output = run(folder.path(), &[command, &["-s", "cashier.toml"]].concat()).await;
            let expected = format!("cashier: there is no {missing} in ");
            assert!(output.code == Some(1) && output.err.starts_with(&expected), "{command:?}: {output:?}");
            assert!(!bases.join(missing).exists() && !folder.path().join("saved").exists(), "{command:?}");
        }
        std::fs::remove_file(bases.join(present)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i3_a_session_key_saved_with_a_byte_order_mark_has_the_same_id_for_the_server_and_for_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = CashierProcess::prepare(folder.path(), &[], &roster::standard()).await;
    let key = folder.path().join("session.key");
    let token = printed(folder.path(), &["--role", "customer", "--id", &CUSTOMER.to_string()]).await;
    let plain = std::fs::read_to_string(&key).unwrap();
    std::fs::write(&key, format!("\u{feff}{}\r\n\r\n", plain.trim())).unwrap();
    let marked = printed(folder.path(), &["--role", "customer", "--id", &CUSTOMER.to_string()]).await;
    assert_eq!(token.split('.').next(), marked.split('.').next(), "the kid is the same");
    let addresses = process.start().await;
    for token in [token, marked] {
        let customer = CustomerClient { http: Http::new(), url: format!("http://{}", addresses.customer), token };
        assert_eq!(customer.methods(LOGIN).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i2_a_log_level_that_cannot_be_understood_is_the_default_and_said_in_the_log() {
    for (level, said) in [("", true), ("info\n", false), ("nonsense==", true), ("inof", true)] {
        let folder = tempfile::tempdir().unwrap();
        let mut process = CashierProcess::without_roster(folder.path(), &[]);
        process.log_level = level;
        process.start().await;
        assert_eq!(process.terminate().await, Some(0));
        let log = process.log();
        assert!(log.contains("cashier started"), "{level:?}: the default level applies: {log}");
        assert_eq!(log.contains("CASHIER_LOG was not understood"), said, "{level:?}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i14_a_server_without_a_list_of_modules_names_its_path_and_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let _process = CashierProcess::without_roster(folder.path(), &[]);
    let path = folder.path().join("plugins.toml");
    std::fs::remove_file(&path).unwrap();
    for command in ["serve", "modules"] {
        let refused = run(folder.path(), &[command, "--settings", "cashier.toml"]).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.err.contains("plugins.toml: it lists the provider modules"), "{command}: {}", refused.err);
        assert!(refused.err.contains("printf '[[module]]"), "{command}: {}", refused.err);
    }
}
