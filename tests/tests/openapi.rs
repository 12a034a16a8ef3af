//! What each listener says of itself against what it does: schemathesis calls every operation of the three documents with valid
//! tokens, those of another listener, narrowed ones and none, with values that fit the schemas and values that do not, from a fixed
//! seed. Skipped where Python is not installed.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use cashier_core::session::Role;
use cashier_host::manager::command::COMMON_ERRORS;
use cashier_tests::deployment::{Deployment, DeploymentPlan};
use cashier_tests::manager::ManagerClient;
use cashier_tests::python;
use cashier_tests::roster::CUSTOMER;
use cashier_tests::waiting::skipped;
use serde_json::{Value, json};

/// Its name and version at PyPI.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";
/// The same requests in every run.
const SEED: &str = "20270129";
/// No 5xx at all, no status, header, media type or body that is not declared, 405 for methods that are not, and of POST /manager the
/// answer and the errors of the command that was sent.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,unsupported_method,answer_of_the_command_that_was_sent";

/// The last of [`CHECKS`].
const ANSWERS: &str = include_str!("openapi/answers.py");

/// Commands that the settings give to administrators alone. Who has not the last two takes no config out of service.
const NARROWED: [&str; 3] =
    ["MngGetCashierProviderConfigsByFilter", "MngUpdateCashierProviderConfig", "MngDeleteCashierProviderConfig"];

/// Where made-up commands disable configs, 503 of a provider is an answer like others, where it is declared.
const CONFIGS_ARE_DISABLED: &str = "[checks]\nnot_a_server_error.expected-statuses = [\"2xx\", \"4xx\", 503]\n";

/// Requests with one session.
struct Session {
    what: &'static str,
    /// Whose document it is.
    url: String,
    token: Option<String>,
    /// Commands that it may not use.
    refused: String,
    /// Requests of made-up values per operation; each boundary of a schema is tried besides. One operation has all commands.
    examples: &'static str,
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_answer_of_any_listener_that_its_document_does_not_declare() {
    let bin = match tokio::task::spawn_blocking(|| python::installed(SCHEMATHESIS)).await.expect("it ends") {
        Ok(bin) => bin,
        Err(why) => return skipped(&why),
    };
    let mut settings = "[manager_rights]\n".to_owned();
    NARROWED.iter().for_each(|command| settings.push_str(&format!("{command} = [\"SESSION_ADMIN\"]\n")));
    let deployment = Deployment::of(DeploymentPlan { settings, ..DeploymentPlan::default() }).await;
    let manager = ManagerClient { token: deployment.token(Role::Admin, 1, None), ..deployment.manager() };
    manager.save_config(&deployment.sandbox_config()).await;
    manager.save_config(&deployment.stripe_config()).await;
    let order = cashier_tests::customer::order("sandbox", "25");
    deployment.customer().deposit(&order).await.expect_ok();
    std::fs::write(deployment.folder().join("answers.py"), ANSWERS).expect("its own folder");
    let own = deployment.token(Role::Customer, CUSTOMER, None);
    let admin = deployment.token(Role::Admin, 1, None);
    let of = |what, url: String, token: Option<&String>, refused: &str, examples| {
        let (token, refused) = (token.cloned(), refused.to_owned());
        Session { what, url, token, refused, examples }
    };
    // Those that change something come last, and the one that disables configs behind them.
    let sessions = [
        of("watch", format!("http://{}", deployment.addresses.watch), None, "", "30"),
        of("customer without a token", deployment.customer_url(), None, "", "20"),
        of("customer with a manager's token", deployment.customer_url(), Some(&admin), "", "20"),
        of("customer", deployment.customer_url(), Some(&own), "", "60"),
        of("manager without a token", deployment.manager_url(), None, "*", "100"),
        of("manager with a customer's token", deployment.manager_url(), Some(&own), "*", "100"),
        of(
            "manager with narrowed rights",
            deployment.manager_url(),
            Some(&deployment.token(Role::Dealer, 2, None)),
            &NARROWED.join(" "),
            "200",
        ),
        of("manager", deployment.manager_url(), Some(&admin), "", "500"),
    ];
    for session in sessions {
        let what = session.what;
        if what == "manager" {
            std::fs::write(deployment.folder().join("schemathesis.toml"), CONFIGS_ARE_DISABLED)
                .expect("its own folder");
        }
        let mut run = requests(&bin, deployment.folder(), &session);
        let Output { status, stdout, stderr } =
            tokio::task::spawn_blocking(move || run.output().expect("an installed program starts"))
                .await
                .expect("it ends");
        let mut text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        for token in [&own, &admin] {
            text = text.replace(token, "…");
        }
        assert!(status.success(), "{what}: {text}");
        let generated = text.split(" generated").next().and_then(|before| before.split_whitespace().last());
        let generated: usize = generated.and_then(|number| number.parse().ok()).expect("the number of requests");
        assert!(generated >= 100, "{what}: {generated} requests: {text}");
    }
}

/// The program that sends them, with the session's token.
fn requests(bin: &Path, folder: &Path, session: &Session) -> Command {
    let common: Vec<&str> = COMMON_ERRORS.iter().map(|code| code.text()).collect();
    let mut run = Command::new(bin.join("schemathesis"));
    run.args(["run", &format!("{}/openapi.json", session.url), "--seed", SEED, "--max-examples", session.examples])
        .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--mode", "all", "--workers", "1"])
        .args(["--generation-database", "none", "--no-color", "--continue-on-failure", "--output-sanitize", "false"])
        .args(["--suppress-health-check", "all", "--warnings", "off"])
        .current_dir(folder)
        .env("SCHEMATHESIS_HOOKS", "answers")
        .env("PYTHONPATH", folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("COMMON_ERRORS", common.join(" "))
        .env("REFUSED_COMMANDS", &session.refused)
        .env("HYPOTHESIS_STORAGE_DIRECTORY", folder.join("hypothesis"))
        .stdin(Stdio::null());
    if let Some(token) = &session.token {
        run.args(["--header", &format!("Authorization: {token}")]);
    }
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn each_listener_of_the_running_program_serves_the_document_that_its_command_line_prints() {
    let deployment = Deployment::new().await;
    let addresses = deployment.addresses;
    for (name, address) in
        [("customer", addresses.customer), ("manager", addresses.manager), ("watch", addresses.watch)]
    {
        let served = deployment.http.get(&format!("http://{address}/openapi.json"), &[]).await;
        let printed =
            Command::new(cashier_tests::artifacts::cashier()).args(["schema", &format!("openapi.{name}")]).output();
        let printed: Value = serde_json::from_slice(&printed.expect("the program starts").stdout).expect("JSON");
        assert_eq!((served.status, served.json()), (200, printed), "{name}");
        assert_eq!(served.json()["openapi"], json!("3.1.0"));
    }
}
