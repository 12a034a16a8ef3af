//! Sealing keys come and go: an old one is retired while the server runs, one that is missing costs the rows that need it, and
//! a database file whose clear terms were changed gives up no secret.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]
#![expect(clippy::indexing_slicing, reason = "a test may fail loudly")]

use cashier_core::session::Role;
use cashier_tests::cashier_process::{CommandOutput, run};
use cashier_tests::customer::order;
use cashier_tests::deployment::{Deployment, NO_RATE_LIMIT};
use cashier_tests::manager::ManagerClient;
use cashier_tests::roster::LOGIN;
use cashier_tests::sandbox;
use cashier_tests::waiting::eventually;
use rusqlite::Connection;
use serde_json::{Value, json};

/// The key that a deployment starts with.
fn first_key() -> String {
    format!("1:{}\n", "a7".repeat(32))
}

fn second_key() -> String {
    format!("2:{}\n", "b8".repeat(32))
}

fn write_keys(deployment: &Deployment, text: &str) {
    let file = deployment.folder().join("seal.key");
    // As an operator replaces it, so that no half of it is read.
    let draft = deployment.folder().join("seal.key.new");
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(&draft, &file).unwrap();
}

async fn reseal(deployment: &Deployment, arguments: &[&str]) -> CommandOutput {
    run(deployment.folder(), &[&["reseal", "--settings", "cashier.toml"], arguments].concat()).await
}

/// Deposits 25.50, pays at the provider, and waits until it is credited.
async fn pay(deployment: &Deployment, provider_config: &str) {
    let before = deployment.balance(LOGIN).await;
    let answer = deployment.customer().deposit(&order("sandbox", "25.50")).await.expect_ok();
    let (id, page) = (answer["transaction"]["id"].as_u64().unwrap(), answer["redirect_url"].as_str().unwrap());
    deployment.sandbox.press(page, "pay").await;
    let customer = deployment.customer();
    eventually("the deposit is credited", async || {
        (customer.transaction(id).await["status"] == json!(3)).then_some(())
    })
    .await;
    assert_ne!(deployment.balance(LOGIN).await, before, "{provider_config}");
}

async fn verbose(deployment: &Deployment) -> String {
    let answer = deployment.watch("readyz?verbose").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

async fn config(manager: &ManagerClient, id: u64) -> Value {
    let listed = manager.run("MngGetCashierProviderConfigsByFilter", &json!({"where": [["id", "=", id]]})).await;
    listed["rows"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn k1_an_old_sealing_key_is_retired_on_a_running_host_and_the_next_start_works_without_it() {
    let mut deployment = Deployment::new().await;
    let id = deployment.manager().save_config(&deployment.sandbox_config()).await;
    pay(&deployment, "sealed with key 1").await;
    deployment.settings = format!("{NO_RATE_LIMIT}second_person = [\"credentials\"]\n");
    deployment.restart().await;
    let edit = json!({"id": id, "secret_key": sandbox::API_KEY, "public_key": "pk_asked"});
    let asked = deployment.manager().command("MngUpdateCashierProviderConfig", &edit).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let approval = asked.json()["data"]["approval"]["id"].clone();
    let version_before = config(&deployment.manager(), id).await["updated_time"].clone();

    write_keys(&deployment, &format!("{}{}", first_key(), second_key()));
    let checked = eventually("no column needs key 1", async || {
        let checked = reseal(&deployment, &["--check"]).await;
        (checked.code == Some(0)).then_some(checked)
    });
    let out = checked.await.out;
    assert!(out.contains("key 2: 6 encrypted columns\n"), "{out}");
    assert!(out.contains("key 1 is not used any more: its line can be removed from the seal key file\n"), "{out}");
    assert_eq!(config(&deployment.manager(), id).await["updated_time"], version_before, "resealing is no edit");
    let held = reseal(&deployment, &[]).await;
    assert!(held.code == Some(1) && held.err.contains("a running server reseals by itself"), "{}", held.err);

    // The second person approves what was asked under the old key.
    write_keys(&deployment, &second_key());
    let token = deployment.token(Role::Manager, 2, None);
    let second = ManagerClient { token, ..deployment.manager() };
    second.run("MngApproveCashierChange", &json!({"id": approval})).await;
    assert_eq!(config(&deployment.manager(), id).await["public_key"], "pk_asked");
    pay(&deployment, "key 1 is gone from the file").await;
    deployment.restart().await;
    assert_eq!(verbose(&deployment).await, "ready\n");
    pay(&deployment, "started without key 1").await;
    deployment.stop().await;
    let ended = reseal(&deployment, &[]).await;
    assert_eq!((ended.code, &*ended.out), (Some(0), "0 rows were resealed with key 2\nkey 2: 5 encrypted columns\n"));
    let audit = run(deployment.folder(), &["audit", "verify", "--settings", "cashier.toml"]).await;
    assert_eq!(audit.code, Some(0), "{}", audit.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn k1_a_stopped_server_is_resealed_by_the_command_and_says_what_still_needs_a_key() {
    let mut deployment = Deployment::new().await;
    deployment.manager().save_config(&deployment.sandbox_config()).await;
    deployment.stop().await;
    write_keys(&deployment, &format!("{}{}", first_key(), second_key()));
    let early = reseal(&deployment, &["--check"]).await;
    assert_eq!((early.code, &*early.out), (Some(1), "key 1: 5 encrypted columns\n"));
    assert!(early.err.contains("not every encrypted column is under key 2 yet"), "{}", early.err);
    let done = reseal(&deployment, &[]).await;
    let idle = "key 1 is not used any more: its line can be removed from the seal key file\n";
    assert_eq!(done.out, format!("2 rows were resealed with key 2\nkey 2: 5 encrypted columns\n{idle}"));
    assert_eq!(done.code, Some(0), "{}", done.err);
    write_keys(&deployment, &first_key());
    let lost = reseal(&deployment, &[]).await;
    assert_eq!(lost.code, Some(1));
    assert!(
        lost.out.contains(
            "provider_config 1: secret_key, webhook_secret: sealed with key 2, which is not in the key ring\n"
        ),
        "{}",
        lost.out
    );
    assert!(lost.err.contains("put the missing key back"), "{}", lost.err);
    write_keys(&deployment, &second_key());
    deployment.start_again().await;
    pay(&deployment, "key 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k1_a_missing_key_costs_the_configs_that_need_it_and_heals_when_it_is_back() {
    let mut deployment = Deployment::new().await;
    let manager = deployment.manager();
    let stripe = manager.save_config(&deployment.stripe_config()).await;
    deployment.stop().await;
    write_keys(&deployment, &second_key());
    deployment.start_again().await;
    let manager = ManagerClient { url: deployment.manager_url(), ..manager };
    let listed = verbose(&deployment).await;
    // The others hold no text.
    let broken = format!(
        "provider_config {stripe}: secret_key, webhook_secret: sealed with key 1, which is not in the key ring"
    );
    assert!(listed.starts_with(&format!("ready\n{broken}: it has no gateway")), "{listed}");
    assert_eq!(config(&manager, stripe).await["unreadable"], json!(["secret_key", "webhook_secret"]));
    let refused = deployment.customer().deposit(&order("stripe", "25.50")).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("METHOD_NOT_AVAILABLE"), "{}", refused.text());
    let webhook = deployment.webhook(&format!("stripe/{stripe}"), ("stripe-signature", "t=1,v1=00"), b"{}").await;
    assert_eq!(webhook.status, 503, "{}", webhook.text());
    for edit in [json!({"id": stripe}), json!({"id": stripe, "sort_index": 5})] {
        let answer = manager.command("MngUpdateCashierProviderConfig", &edit).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains("secret_key and webhook_secret cannot be read"), "{}", answer.text());
    }
    // Another config is made and serves.
    manager.save_config(&deployment.sandbox_config()).await;
    pay(&deployment, "a config beside the broken one").await;
    // The key is put back while the server runs: it opens, and is resealed.
    write_keys(&deployment, &format!("{}{}", first_key(), second_key()));
    eventually("the config opens again", async || (verbose(&deployment).await == "ready\n").then_some(())).await;
    assert_eq!(config(&manager, stripe).await["unreadable"], json!([]));
    deployment.customer().deposit(&order("stripe", "25.50")).await.expect_ok();
    eventually("key 1 is not needed", async || (reseal(&deployment, &["--check"]).await.code == Some(0)).then_some(()))
        .await;
    write_keys(&deployment, &second_key());
    deployment.restart().await;
    assert_eq!(verbose(&deployment).await, "ready\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn k1_lost_secrets_are_given_again() {
    let mut deployment = Deployment::new().await;
    let id = deployment.manager().save_config(&deployment.sandbox_config()).await;
    deployment.stop().await;
    write_keys(&deployment, &second_key());
    deployment.start_again().await;
    let again = json!({"id": id, "secret_key": sandbox::API_KEY, "webhook_secret": sandbox::WEBHOOK_SECRET});
    deployment.manager().run("MngUpdateCashierProviderConfig", &again).await;
    pay(&deployment, "its secrets were given again").await;
    assert_eq!(verbose(&deployment).await, "ready\n");
    deployment.stop().await;
    let check = reseal(&deployment, &["--check"]).await;
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(
        check.out.contains("audit_key 1: key: sealed with key 1") && check.out.contains("it is lost"),
        "{}",
        check.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn k1_clear_terms_that_were_changed_in_the_file_open_no_secret() {
    let mut deployment = Deployment::new().await;
    let id = deployment.manager().save_config(&deployment.sandbox_config()).await;
    deployment.stop().await;
    let database = deployment.folder().join("bases/cashier.db");
    let change = |sql: &str| Connection::open(&database).unwrap().execute_batch(sql).unwrap();
    // A live config of another provider would be called with these secrets.
    change("UPDATE provider_config SET provider = 'stripe', sandbox = 0");
    deployment.start_again().await;
    let listed = verbose(&deployment).await;
    assert!(listed.contains(&format!("provider_config {id}: secret_key, webhook_secret, replaced_secrets, config_json: key 1 does not open it: another key, changed bytes, or changed terms of its row")), "{listed}");
    deployment.stop().await;
    change("UPDATE provider_config SET provider = 'sandbox', sandbox = 1");
    deployment.start_again().await;
    pay(&deployment, "as it was").await;
}
