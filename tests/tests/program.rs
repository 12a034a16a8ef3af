//! The program as a newcomer runs it: the demo tells its story and ends well, every command teaches itself, no key is made
//! up, and roster, token and module list work from the command line alone.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::path::Path;

use cashier_tests::cashier_process::{CashierProcess, run};
use cashier_tests::customer::Customer;
use cashier_tests::http::Http;
use cashier_tests::manager::Manager;
use cashier_tests::roster::{self, CUSTOMER, LOGIN, SECOND_LOGIN};
use serde_json::{Value, json};

/// The story of the demo, in its order: a sentence of each step, and what must be seen of it.
const STORY: [(&str, &[&str]); 8] = [
    ("1. Ops give brand ion4 a provider.", &["MngUpdateCashierProviderConfig", "ok: the secret is not shown"]),
    ("2. The customer asks how account 2000009 can be paid into.", &["GET http://", "/cashier/methods?login=2000009"]),
    ("3. The customer deposits 250 USD.", &["/cashier/deposit", "\"next_action\":\"REDIRECT\"", "\"status\":1,"]),
    ("4. The customer presses Pay on the provider's page.", &["/pay/", "signs a webhook", "\"status\":\"confirmed\""]),
    ("5. The webhook was verified by the module", &["/cashier/transactions?", "\"status\":3,", "\"amount\":250.0,"]),
    ("6. The same request with the same key", &["ok: it is the same transaction"]),
    ("7. BackOffice sees the transaction", &["MngGetCashierTransaction", "balance_operations", "\"amount\":250.0,"]),
    ("Account 2000009 now holds 250.0 USD. It held nothing before.", &["ok: the account holds exactly the deposit"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_tells_how_a_deposit_becomes_exactly_its_credit_and_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["demo", "--exit", "--folder", "deployment"]).await;
    assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{}", ran.out);
    let mut rest = &*ran.out;
    for (at, (opening, _)) in STORY.iter().enumerate() {
        rest = &rest[rest.find(opening).unwrap_or_else(|| panic!("no {opening:?} after step {at}: {}", ran.out))..];
        let end = STORY.get(at + 1).and_then(|(next, _)| rest.find(next)).unwrap_or(rest.len());
        for shown in STORY[at].1 {
            assert!(rest[..end].contains(shown), "step {opening:?} does not show {shown}: {}", &rest[..end]);
        }
    }
    assert!(rest.contains("The demo ended as it should."), "{rest}");
    for (line, next) in ran.out.lines().zip(ran.out.lines().skip(1)) {
        let asked = line.starts_with("  > ") && !next.starts_with("  > ");
        assert!(!asked || next.starts_with("  < 200 "), "every request shows its answer: {line}\n{next}");
        assert!(!line.trim_start().starts_with("not "), "{line}");
    }
    // What it made in its own folder opens nothing: the keys are the folder's alone, and never printed.
    for key in ["session.key", "seal.key", "webhook.secret"] {
        let text = std::fs::read_to_string(folder.path().join("deployment").join(key)).unwrap();
        let secret = text.trim().rsplit(':').next().unwrap();
        assert!(secret.len() >= 16 && !ran.out.contains(secret), "{key} is printed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_that_cannot_build_its_world_says_so_and_does_not_end_well() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("taken"), "a file where a folder must be").unwrap();
    let ran = run(folder.path(), &["demo", "--exit", "--folder", "taken"]).await;
    assert!(ran.code != Some(0) && ran.err.contains("taken"), "{ran:?}");
    assert!(!ran.out.contains("The demo ended as it should."), "{}", ran.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_help_of_every_command_teaches_what_it_does_and_takes() {
    let folder = tempfile::tempdir().unwrap();
    let table: [(&[&str], &[&str]); 7] = [
        (&[], &["serve", "demo", "token", "trading", "modules", "Start with `cashier demo`"]),
        (&["serve"], &["--settings <FILE>", "CASHIER_SETTINGS", "says how to make them"]),
        (&["demo"], &["--exit", "--folder <FOLDER>", "the exit code says"]),
        (&["token"], &["--role <ROLE>", "crm-manager", "--id <ID>", "--ttl <TTL>", "--brand <BRAND>", "Example: "]),
        (&["trading"], &["import"]),
        (
            &["trading", "import"],
            &["<FILE>", "\"groups\"", "--settings <FILE>", "--bases <FOLDER>", "nothing is written"],
        ),
        (&["modules"], &["--settings <FILE>", "plugins.toml", "why not"]),
    ];
    let listed = run(folder.path(), &["--help"]).await.out;
    for (command, taught) in table {
        let ran = run(folder.path(), &[command, &["--help"]].concat()).await;
        assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{command:?}");
        let usage = format!("Usage: cashier {}", command.join(" "));
        for word in [&*usage].iter().chain(taught) {
            assert!(ran.out.contains(word.trim_end()), "{command:?} does not teach {word:?}: {}", ran.out);
        }
        undocumented(command, &ran.out);
    }
    // A command that the table does not know would be one whose help nobody looked at.
    let commands = listed.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let names: Vec<&str> = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    assert_eq!(names, ["serve", "demo", "token", "trading", "modules", "help"], "{listed}");
}

/// Fails for an option that has no words beside or below it.
fn undocumented(command: &[&str], help: &str) {
    let lines: Vec<&str> = help.split("Options:").nth(1).unwrap().lines().collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.trim_start().starts_with('-')) {
        let beside = line.trim_start().split_once("  ").map_or("", |(_, words)| words.trim());
        let below = lines.get(at + 1).map_or("", |line| line.trim());
        let says = |words: &str| words.chars().filter(|letter| letter.is_alphabetic()).count() > 8;
        assert!(says(beside) || (says(below) && !below.starts_with('-')), "{command:?}: {line} is not explained");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serving_without_keys_is_refused_with_the_line_that_makes_them() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("cashier.toml");
    let mut written = "customer_listen = \"127.0.0.1:0\"\nmanager_listen = \"127.0.0.1:0\"\n".to_owned();
    let refused = async |kind: &str, arguments: &[&str]| {
        let ran = run(folder.path(), arguments).await;
        assert!(ran.code.is_some_and(|code| code != 0), "{ran:?}");
        let variable = format!("CASHIER_{}_KEYS", kind.to_uppercase());
        for taught in [&format!("there is no {kind} key"), &format!("{kind}_keys_file"), &variable] {
            assert!(ran.err.contains(taught), "{kind}: {}", ran.err);
        }
        let recipe = ran.err.lines().find(|line| line.contains("/dev/urandom")).expect("how to make one").to_owned();
        assert!(recipe.ends_with(&format!("> {kind}.key")), "{recipe}");
        assert!(!folder.path().join("bases").exists(), "nothing is begun without keys");
        recipe
    };
    std::fs::write(&settings, &written).unwrap();
    refused("session", &["serve"]).await;
    refused("session", &["token", "--role", "customer", "--id", "5"]).await;
    for kind in ["session", "seal"] {
        let recipe = refused(kind, &["serve", "--settings", "cashier.toml"]).await;
        let made = std::process::Command::new("sh").args(["-c", &recipe]).current_dir(folder.path()).status();
        assert!(made.is_ok_and(|status| status.success()), "the line it prints makes a key: {recipe}");
        written.push_str(&format!("{kind}_keys_file = \"{kind}.key\"\n"));
        std::fs::write(&settings, &written).unwrap();
    }
    // With the keys its own words make, it opens.
    let token = run(folder.path(), &["token", "--role", "customer", "--id", "5", "-s", "cashier.toml"]).await;
    assert_eq!((token.code, token.out.trim().split('.').count()), (Some(0), 3), "{token:?}");
    let house = folder.path().join("house");
    std::fs::create_dir(&house).unwrap();
    let mut process = CashierProcess::without_roster(&house, &[]);
    for key in ["session.key", "seal.key"] {
        std::fs::copy(folder.path().join(key), house.join(key)).unwrap();
    }
    process.start().await;
    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roster_is_imported_served_and_asked_about_with_printed_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = CashierProcess::without_roster(folder.path(), &["http://127.0.0.1:9"]);
    std::fs::write(folder.path().join("roster.json"), roster::standard().to_string()).unwrap();
    let import = ["trading", "import", "roster.json", "--settings", "cashier.toml"];
    let ran = run(folder.path(), &import).await;
    assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{ran:?}");
    for line in ["groups: 4 added", "customers: 3 added", "accounts: 5 added"] {
        assert!(ran.out.contains(line), "{}", ran.out);
    }
    let again = run(folder.path(), &import).await;
    assert!(again.code == Some(0) && again.out.contains("accounts: 0 added, 0 updated, 5 unchanged"), "{again:?}");

    let addresses = process.start().await;
    let busy = run(folder.path(), &import).await;
    assert!(busy.code != Some(0) && !busy.err.is_empty(), "an import beside a running server is refused: {busy:?}");
    let customer = Customer {
        http: Http::new(),
        url: format!("http://{}", addresses.customer),
        token: printed(folder.path(), &["--role", "customer", "--id", &CUSTOMER.to_string()]).await,
    };
    assert_eq!(customer.methods(LOGIN).await.expect_ok()["count"], json!(0), "nothing is offered yet");
    let mut manager = Manager {
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
async fn printed(folder: &Path, whose: &[&str]) -> String {
    let ran = run(folder, &[&["token", "--settings", "cashier.toml"], whose].concat()).await;
    assert_eq!((ran.code, &*ran.err, ran.out.lines().count()), (Some(0), "", 1), "{ran:?}");
    ran.out.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roster_with_a_mistake_is_refused_and_nothing_of_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let _served = CashierProcess::without_roster(folder.path(), &[]);
    let mut wrong = roster::standard();
    roster::change(&mut wrong, "accounts", "login", &json!(LOGIN), "group", json!("nowhere"));
    let import = async |roster: &Value| {
        std::fs::write(folder.path().join("roster.json"), roster.to_string()).unwrap();
        run(folder.path(), &["trading", "import", "roster.json", "--bases", "bases"]).await
    };
    let ran = import(&wrong).await;
    assert!(ran.code != Some(0) && ran.err.contains("nowhere"), "{ran:?}");
    let right = import(&roster::standard()).await;
    assert!(right.code == Some(0) && right.out.contains("accounts: 5 added, 0 updated, 0 unchanged"), "{right:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_module_list_shows_what_is_ready_and_why_something_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _served = CashierProcess::without_roster(folder.path(), &[]);
    std::fs::write(folder.path().join("notes.so"), "this is a text file\n").unwrap();
    let plugins = folder.path().join("plugins.toml");
    let mut listed = std::fs::read_to_string(&plugins).unwrap();
    listed.push_str("[[module]]\nfile = \"notes.so\"\n[[module]]\nfile = \"absent.so\"\n");
    std::fs::write(&plugins, listed).unwrap();
    let ran = run(folder.path(), &["modules", "--settings", "cashier.toml"]).await;
    assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{ran:?}");
    let words: Vec<Vec<&str>> = ran.out.lines().map(|line| line.split_whitespace().take(4).collect()).collect();
    let expected = [
        vec!["sandbox", "ready", "contract", "1"],
        vec!["stripe", "ready", "contract", "1"],
        vec!["notes", "refused", "it", "is"],
        vec!["absent", "refused", "the", "file"],
    ];
    assert_eq!(words, expected, "{}", ran.out);
    for reason in ["it is a text file, not a library", "the file does not exist"] {
        assert!(ran.out.contains(reason), "{}", ran.out);
    }
}
