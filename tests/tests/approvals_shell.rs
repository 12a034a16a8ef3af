//! What waits for a second person, decided from the host's own shell at a running server: listed, rejected, and approved by one
//! person alone, which the records and the log show.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::net::TcpListener;
use std::path::Path;

use cashier_tests::cashier_process::{CashierProcess, run, serve};
use cashier_tests::http::Http;
use cashier_tests::manager::ManagerClient;
use cashier_tests::waiting::eventually;
use serde_json::json;
use tokio::process::Child;

/// Starts a server whose settings ask for a second person and name these ports.
async fn start(folder: &Path, [customer, manager, watch]: [u16; 3]) -> Child {
    let _ = CashierProcess::without_roster(folder, &[]);
    let settings = format!(
        "customer_listen = \"127.0.0.1:{customer}\"\nmanager_listen = \"127.0.0.1:{manager}\"\n\
         watch_listen = \"127.0.0.1:{watch}\"\nsession_keys_file = \"session.key\"\nseal_keys_file = \"seal.key\"\n\
         second_person = [\"enabling\"]\n[manager_rights]\nMngUpdateCashierProviderConfig = [\"SESSION_DEALER\"]\n"
    );
    std::fs::write(folder.join("cashier.toml"), settings).unwrap();
    eventually("the ports to be free", async || serve(folder, watch).await).await
}

async fn shell(folder: &Path, command: &[&str]) -> (Option<i32>, String) {
    let output = run(folder, &[command, &["--settings", "cashier.toml"]].concat()).await;
    (output.code, format!("{}{}", output.out, output.err))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_alone_at_night_approves_from_the_hosts_own_shell() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ports = [0; 3].map(|_: u8| TcpListener::bind("127.0.0.1:0").unwrap()).map(|it| it.local_addr().unwrap().port());
    let mut server = start(folder, ports).await;
    let (_, token) = shell(folder, &["token", "--role", "dealer", "--id", "7"]).await;
    let url = format!("http://127.0.0.1:{}", ports[1]);
    let dealer = ManagerClient { http: Http::new(), url, token: token.trim().to_owned() };
    let mut config = json!({"provider": "stripe", "brand": "ion4", "secret_key": "CANARY", "webhook_secret": "CANARY",
                        "merchant_id": "acct_1", "enabled": 1});
    let mut asked = Vec::new();
    for merchant in ["acct_2", "acct_1"] {
        config["merchant_id"] = json!(merchant);
        let answer = dealer.command("MngUpdateCashierProviderConfig", &config).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let answer = answer.json();
        asked.push(answer.pointer("/data/approval/id").unwrap().to_string());
    }
    // Nobody but this dealer was seen: a start says so, once.
    server.kill().await.unwrap();
    server = start(folder, ports).await;
    let warned = eventually("the warning", async || {
        let log = std::fs::read_to_string(folder.join("cashier.log")).unwrap();
        Some(log.matches("one_manager_alone").count()).filter(|count| *count > 0)
    });
    assert_eq!(warned.await, 1);
    let [first, second] = [&asked[0], &asked[1]].map(String::as_str);
    let (code, listed) = shell(folder, &["approvals", "list"]).await;
    assert_eq!(code, Some(0), "{listed}");
    assert!(
        listed.lines().count() == 2 && listed.contains(&format!("{first} open MngUpdateCashierProviderConfig")),
        "{listed}"
    );
    assert!(listed.contains("enabled") && listed.contains("asked by 7") && !listed.contains("CANARY"), "{listed}");
    let (code, rejected) = shell(folder, &["approvals", "reject", first]).await;
    assert!(code == Some(0) && rejected.contains("rejected"), "{rejected}");
    assert_eq!(shell(folder, &["approvals", "approve", second]).await.0, Some(2), "it says what it does");
    // In the name of the one who asked, whom nobody else can approve for; a session type that the settings leave out.
    let (code, approved) = shell(folder, &["approvals", "approve", "--break-glass", second, "--id", "7"]).await;
    assert!(code == Some(0) && approved.contains("approved"), "{approved}");
    let (code, again) = shell(folder, &["approvals", "approve", "--break-glass", second]).await;
    assert!(code == Some(1) && again.contains("approved already"), "{again}");
    let admin = shell(folder, &["token", "--role", "admin", "--id", "3"]).await.1;
    let admin = ManagerClient { token: admin.trim().to_owned(), ..dealer };
    let filter = json!({"where": [["outcome", "=", "break glass"]]});
    let records = admin.run("MngGetCashierAuditByFilter", &filter).await;
    assert_eq!((&records["count"], &records["rows"][0]["manager_id"]), (&json!(1), &json!(7)), "{records}");
    assert_eq!(admin.command("MngUpdateCashierProviderConfig", &json!({"id": 1, "sort_index": 1})).await.status, 403);
    let log = std::fs::read_to_string(folder.join("cashier.log")).unwrap();
    assert!(log.contains("break_glass") && log.contains("manager command is for these sessions alone"), "{log}");
    assert!(!log.contains("CANARY"), "{log}");

    let newest = admin.run("MngGetCashierAuditByFilter", &json!({"limit": 1})).await;
    let metrics = admin.http.get(&format!("http://127.0.0.1:{}/metrics", ports[2]), &[]).await.text();
    let sample = metrics.lines().find_map(|line| line.strip_prefix("cashier_audit_newest{hash=\""));
    let shown = sample.and_then(|sample| sample.split_once("\"} ")).unwrap_or_else(|| panic!("{metrics}"));
    server.kill().await.unwrap();
    let (code, head) = shell(folder, &["audit", "head"]).await;
    let record = newest["rows"][0]["id"].to_string();
    assert_eq!(shown, (head.trim(), &*record), "the hash that a collector keeps is the anchor: {newest}");
    let (_, verified) = shell(folder, &["audit", "verify", "--anchor", head.trim()]).await;
    assert!(code == Some(0) && verified.contains(&format!("newest hash {}", head.trim())), "{head} {verified}");
    let mut server = start(folder, ports).await;
    let log = std::fs::read_to_string(folder.join("cashier.log")).unwrap();
    assert!(!log.contains("one_manager_alone"), "the records name two: {log}");
    server.kill().await.unwrap();
}
