//! What each listener says of itself against what it does: schemathesis calls every operation of the three documents with valid
//! tokens, values that fit the schemas and values that do not, from a fixed seed. Skipped where Python is not installed.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::process::{Command, Output, Stdio};

use cashier_core::session::Role;
use cashier_tests::deployment::Deployment;
use cashier_tests::python;
use cashier_tests::roster::CUSTOMER;
use cashier_tests::waiting::skipped;
use serde_json::{Value, json};

/// Its name and version at PyPI.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";
/// The same requests in every run.
const SEED: &str = "20270129";
/// No 5xx but those of [`EXPECTED`], no status, header, media type or body that is not declared, 405 for methods that are not.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,unsupported_method";

/// 502 and 503 of a provider are answers like others, where they are declared with their code: the made-up commands disable configs.
/// 500 never is.
const EXPECTED: &str = "[checks]\nnot_a_server_error.expected-statuses = [\"2xx\", \"4xx\", 502, 503]\n";

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_answer_of_any_listener_that_its_document_does_not_declare() {
    let bin = match tokio::task::spawn_blocking(|| python::installed(SCHEMATHESIS)).await.expect("it ends") {
        Ok(bin) => bin,
        Err(why) => return skipped(&why),
    };
    let deployment = Deployment::new().await;
    let manager = deployment.manager();
    manager.save_config(&deployment.sandbox_config()).await;
    manager.save_config(&deployment.stripe_config()).await;
    let order = cashier_tests::customer::order("sandbox", "25");
    deployment.customer().deposit(&order).await.expect_ok();
    std::fs::write(deployment.folder().join("schemathesis.toml"), EXPECTED).expect("its own folder");
    // Requests of made-up values per operation; each boundary of a schema is tried besides. One operation has all commands.
    let listeners = [
        ("watch", format!("http://{}", deployment.addresses.watch), "none".to_owned(), "30"),
        ("customer", deployment.customer_url(), deployment.token(Role::Customer, CUSTOMER, None), "60"),
        ("manager", deployment.manager_url(), deployment.token(Role::Admin, 1, None), "500"),
    ];
    for (name, url, token, examples) in listeners {
        let mut run = Command::new(bin.join("schemathesis"));
        run.args(["run", &format!("{url}/openapi.json"), "--seed", SEED, "--max-examples", examples])
            .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--mode", "all", "--workers", "1"])
            .args([
                "--generation-database",
                "none",
                "--no-color",
                "--continue-on-failure",
                "--output-sanitize",
                "false",
            ])
            .args(["--suppress-health-check", "all", "--warnings", "off"])
            .current_dir(deployment.folder())
            .env("HYPOTHESIS_STORAGE_DIRECTORY", deployment.folder().join("hypothesis"))
            .stdin(Stdio::null());
        run.args(["--header", &format!("Authorization: {token}")]);
        let Output { status, stdout, stderr } =
            tokio::task::spawn_blocking(move || run.output().expect("an installed program starts"))
                .await
                .expect("it ends");
        let text =
            format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)).replace(&token, "…");
        assert!(status.success(), "{name}: {text}");
        let generated = text.split(" generated").next().and_then(|before| before.split_whitespace().last());
        let generated: usize = generated.and_then(|number| number.parse().ok()).expect("the number of requests");
        assert!(generated >= 100, "{name}: {generated} requests: {text}");
    }
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
