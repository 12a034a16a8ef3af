//! A trading server elsewhere and the books that differ: found while the cashier runs, listed as somebody's work until it is put
//! right, and named row by row by `cashier db reconcile`, which posts and voids nothing.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed setup fails its test")]

use std::time::{SystemTime, UNIX_EPOCH};

use cashier_tests::cashier_process::{CommandOutput, run};
use cashier_tests::customer::order;
use cashier_tests::deployment::{Deployment, DeploymentPlan, NO_RATE_LIMIT};
use cashier_tests::reference_server::{LOGIN, ReferenceServer};
use cashier_tests::waiting::{eventually, skipped};
use serde_json::{Value, json};

/// What the server had last is elsewhere in its database, as if an older copy had been brought back; and is there again.
const LOSE_THE_NEWEST: &str = "CREATE TABLE lost AS SELECT * FROM postings ORDER BY number DESC LIMIT 1;
    DELETE FROM postings WHERE number IN (SELECT number FROM lost);";
const FIND_IT_AGAIN: &str = "INSERT INTO postings SELECT * FROM lost; DROP TABLE lost;";

/// More than the least pause between two comparisons, and less than the clocks of both may differ.
const NEXT_COMPARISON_SECONDS: u64 = 70;

/// The Python server, and the cashier over it with so many credited deposits of 25 USD. None where there is no python3.
async fn credited(deposits: u64) -> Option<(ReferenceServer, Deployment)> {
    let server = ReferenceServer::start().map_err(|why| skipped(&why)).ok()?;
    let settings = format!(
        "{NO_RATE_LIMIT}[trading]\nserver = \"http://127.0.0.1:{}\"\naccount_age_seconds = 0\nsecret_file = {:?}\n",
        server.port(),
        server.secret_file()
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let plan = DeploymentPlan { start: i64::try_from(now).unwrap(), settings, ..DeploymentPlan::default() };
    let deployment = Deployment::of(plan).await;
    deployment.manager().save_config(&deployment.sandbox_config()).await;
    let customer = deployment.customer();
    for number in 0..deposits {
        let mut order = order("sandbox", "25");
        order["idempotency_key"] = json!(format!("d{number}"));
        // The server is compared with the books first.
        let answer = customer.deposit(&order).await.expect_ok();
        deployment.sandbox.press(answer["redirect_url"].as_str().unwrap(), "pay").await;
        let id = answer["transaction"]["id"].as_u64().unwrap();
        eventually("the deposit to be credited", async || {
            (customer.transaction(id).await["status"] == json!(3)).then_some(())
        })
        .await;
    }
    Some((server, deployment))
}

async fn listed(deployment: &Deployment) -> Vec<Value> {
    let filter = json!({"where": [["kind", "=", "posting_differs"]]});
    let found = deployment.manager().run("MngGetCashierDutiesByFilter", &filter).await;
    found["rows"].as_array().unwrap().clone()
}

async fn verbose(deployment: &Deployment) -> String {
    deployment.watch("readyz?verbose").await.text()
}

/// The server is away while somebody does something to it, which the cashier notices by a call.
async fn away(server: &mut ReferenceServer, deployment: &Deployment, meanwhile: &str) {
    server.kill();
    assert_eq!(deployment.customer().methods(LOGIN).await.status, 503);
    server.edit(meanwhile);
    server.restart();
    eventually("the server to answer", async || {
        (deployment.customer().methods(LOGIN).await.status == 200).then_some(())
    })
    .await;
    deployment.clock.advance_seconds(NEXT_COMPARISON_SECONDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_without_a_posting_is_somebodys_work_until_it_has_it_again() {
    let Some((mut server, mut deployment)) = credited(2).await else { return };
    assert_eq!(listed(&deployment).await, Vec::<Value>::new());
    away(&mut server, &deployment, LOSE_THE_NEWEST).await;
    let rows = eventually("the difference to be listed", async || {
        let rows = listed(&deployment).await;
        rows.first().is_some_and(|row| row["transaction_id"] != json!(0)).then_some(rows)
    })
    .await;
    let fields = ["waits_for", "transaction_id", "trading_server", "login", "brand", "provider", "command"];
    let row = fields.map(|field| rows[0][field].clone());
    assert_eq!(json!(row), json!(["person", 2, "main", LOGIN, "ion4", "sandbox", ""]));
    assert_eq!(rows[0]["amount"].to_string(), "25.0");
    let reason = rows[0]["failure_reason"].as_str().unwrap();
    assert!(reason.starts_with("the trading server does not have a posting of the books: key "), "{reason}");
    assert!(reason.ends_with(":1, 25.0 USD to login 2000009, trade order 2, transaction 2"), "{reason}");
    assert_eq!(rows.len(), 1);
    let page = verbose(&deployment).await;
    assert!(page.contains("(http): takes postings; differs from the books: it does not have 1 postings"), "{page}");
    // A start says the same.
    deployment.restart().await;
    eventually("the difference to be listed again", async || {
        listed(&deployment).await.first().is_some_and(|row| row["transaction_id"] == json!(2)).then_some(())
    })
    .await;
    away(&mut server, &deployment, FIND_IT_AGAIN).await;
    eventually("nothing to differ", async || listed(&deployment).await.is_empty().then_some(())).await;
    assert_eq!(verbose(&deployment).await, "ready\ntrading server main (http): takes postings\n");
    assert_eq!(server.posted().len(), 2, "nothing was posted for it");
}

async fn reconciled(deployment: &Deployment, further: &[&str]) -> CommandOutput {
    let mut arguments = vec!["db", "reconcile", "--settings", "cashier.toml"];
    arguments.extend(further);
    run(deployment.folder(), &arguments).await
}

#[tokio::test(flavor = "multi_thread")]
async fn reconcile_names_every_posting_in_which_a_server_elsewhere_differs_and_posts_nothing() {
    let Some((mut server, mut deployment)) = credited(3).await else { return };
    deployment.stop().await;
    let clean = reconciled(&deployment, &[]).await;
    assert_eq!(
        clean.out, "cashier.db and trading.db match\ncashier.db and trading server main match\n",
        "{}",
        clean.err
    );
    assert_eq!(clean.code, Some(0));

    server.edit(LOSE_THE_NEWEST);
    let lost = reconciled(&deployment, &[]).await;
    assert_eq!(lost.code, Some(1));
    let line = lost.out.lines().nth(1).unwrap();
    assert!(line.starts_with("not at trading server main: operation 3 of transaction 3, key "), "{}", lost.out);
    assert!(lost.err.contains("1 postings of trading server main differ; nothing is posted or voided"), "{}", lost.err);
    server.edit(FIND_IT_AGAIN);

    let more =
        "INSERT INTO postings (key, compared, posting, result, reason) SELECT 'dabcdefghjkmnpqrstvw:1', compared,
        json_set(posting, '$.key', 'dabcdefghjkmnpqrstvw:1'), result, reason FROM postings WHERE number = 1";
    server.edit(more);
    let unknown = reconciled(&deployment, &[]).await;
    let line = "not so in cashier.db: posting dabcdefghjkmnpqrstvw:1 of transaction 1, 25.0 USD to login 2000009, trade order 4";
    assert_eq!((unknown.code, unknown.out.lines().nth(1)), (Some(1), Some(line)));
    // No transaction is made up for it.
    let left = reconciled(&deployment, &["--apply"]).await;
    assert_eq!((left.code, left.out.lines().nth(1)), (Some(1), Some(line)));
    server.edit("DELETE FROM postings WHERE number = 4");

    // A person made one by hand.
    server.edit(&more.replace("dabcdefghjkmnpqrstvw:1", "test"));
    let unread = reconciled(&deployment, &["--apply"]).await;
    let line =
        "cannot be read at trading server main: key test, trade order 5: posting key must be the key of an operation";
    assert_eq!((unread.code, unread.out.lines().nth(1)), (Some(1), Some(line)));
    assert_eq!(unread.out.lines().count(), 2, "it hides no other: {}", unread.out);
    server.edit("DELETE FROM postings WHERE number = 5");

    server.edit("UPDATE postings SET posting = json_set(posting, '$.amount', '999.0') WHERE number = 2");
    let changed = reconciled(&deployment, &[]).await;
    assert_eq!(changed.code, Some(1));
    assert_eq!(changed.out.lines().count(), 2, "it is not lost, too: {}", changed.out);
    assert!(changed.out.contains("of transaction 2, 999.0 USD to login 2000009, trade order 2"), "{}", changed.out);
    server.edit("UPDATE postings SET posting = json_set(posting, '$.amount', '25.0') WHERE number = 2");

    server.kill();
    let down = reconciled(&deployment, &[]).await;
    assert_eq!((down.code, &*down.out), (Some(1), "cashier.db and trading.db match\n"));
    assert!(down.err.contains("trading server main was not compared: "), "{}", down.err);

    // Its database was deleted: another instance is asked nothing until a person accepts it.
    server.forget();
    server.restart();
    let other = reconciled(&deployment, &[]).await;
    assert_eq!(other.code, Some(1));
    assert!(other.err.contains("it has another database of postings than before"), "{}", other.err);
    let instance = other.err.split("accept-instance main ").nth(1).unwrap().split('`').next().unwrap();
    let accept = ["trading", "accept-instance", "main", instance, "--settings", "cashier.toml"];
    assert_eq!(run(deployment.folder(), &accept).await.code, Some(0));
    let lost = reconciled(&deployment, &[]).await;
    assert_eq!((lost.code, lost.out.matches("not at trading server main: ").count()), (Some(1), 3), "{}", lost.out);

    // They are put under review in the books; a person decides whether they are posted anew.
    let applied = reconciled(&deployment, &["--apply"]).await;
    assert_eq!(applied.code, Some(0), "{}", applied.err);
    assert!(applied.out.ends_with("3 operations under review\n"), "{}", applied.out);
    assert!(server.posted().is_empty());
    deployment.start_again().await;
    let row = &deployment.manager().transaction(3).await["transaction"];
    assert_eq!((&row["status"], &row["failure_reason"]), (&json!(9), &json!("POSTING_LOST")));
    eventually("the books and the server to agree", async || {
        (verbose(&deployment).await == "ready\ntrading server main (http): takes postings\n").then_some(())
    })
    .await;
    assert!(server.posted().is_empty());
    deployment.manager().run("MngRetryCashierCredit", &json!({"id": 3})).await;
    eventually("one to be posted anew", async || (server.posted().len() == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_begun_anew_is_accepted_only_with_what_waits_named_and_is_compared_with_the_books() {
    let Some((mut server, deployment)) = credited(2).await else { return };
    // Paid, and the server is gone before it could be posted, as far as the books know.
    let mut order = order("sandbox", "25");
    order["idempotency_key"] = json!("waits");
    let answer = deployment.customer().deposit(&order).await.expect_ok();
    server.kill();
    deployment.sandbox.press(answer["redirect_url"].as_str().unwrap(), "pay").await;
    eventually("the deposit to wait for the server", async || {
        let waits = deployment.manager().transaction(3).await["balance_operations"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
        waits.then_some(())
    })
    .await;
    server.forget();
    server.restart();
    let instance = eventually("the other instance to be named", async || {
        deployment.customer().methods(LOGIN).await;
        let page = verbose(&deployment).await;
        let (_, named) = page.split_once("accept-instance main ")?;
        named.split_once('`').map(|(instance, _)| instance.to_owned())
    })
    .await;
    let accept = ["trading", "accept-instance", "main", &instance, "--settings", "cashier.toml"];
    let refused = run(deployment.folder(), &accept).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("1 operations at trading server main have no recorded outcome (d"), "{}", refused.err);
    assert!(refused.err.contains("would be posted to ") && refused.err.contains("--may-post-twice"), "{}", refused.err);
    assert!(server.posted().is_empty());
    let accepted = run(deployment.folder(), &[&accept[..], &["--may-post-twice"]].concat()).await;
    assert_eq!((accepted.code, &*accepted.err), (Some(0), ""), "{}", accepted.out);
    eventually("the server to answer", async || {
        (deployment.customer().methods(LOGIN).await.status == 200).then_some(())
    })
    .await;
    assert!(server.posted().is_empty(), "it is not compared yet");
    deployment.clock.advance_seconds(NEXT_COMPARISON_SECONDS);
    eventually("the new database to be compared", async || {
        let page = verbose(&deployment).await;
        page.contains("differs from the books: it does not have 2 postings").then_some(())
    })
    .await;
    // What waits is tried again from time to time.
    deployment.clock.advance_seconds(NEXT_COMPARISON_SECONDS);
    eventually("what waits to be posted there", async || (server.posted().len() == 1).then_some(())).await;
}
