//! Files of keys under the program itself: who may read them, what follows when they change or go, which tokens live under
//! them, and links in place of the cashier's own files. How each is judged is tested in the host.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use cashier_core::session::Role;
use cashier_host::app::Listeners;
use cashier_tests::cashier_process::{CashierProcess, run};
use cashier_tests::http::Http;
use cashier_tests::roster::{self, CUSTOMER};
use cashier_tests::tokens::{SESSION_KEY, forged};
use cashier_tests::waiting::eventually;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A running cashier without modules' peers.
struct Site {
    folder: TempDir,
    process: CashierProcess,
    http: Http,
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = CashierProcess::prepare(folder.path(), &[], &roster::standard()).await;
        Self { folder, process, http: Http::new() }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    async fn status(&self, addresses: Listeners, token: &str) -> u16 {
        let url = format!("http://{}/cashier/transactions", addresses.customer);
        self.http.get(&url, &[("authorization", token)]).await.status
    }

    async fn ready(&self, addresses: Listeners) -> String {
        self.http.get(&format!("http://{}/readyz?verbose", addresses.watch), &[]).await.text()
    }

    fn lines(&self, text: &str) -> usize {
        self.process.log().lines().filter(|line| line.contains(text)).count()
    }
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn signed(claims: &Value) -> String {
    forged(&json!({"alg": "HS256", "kid": "test"}), claims, &SESSION_KEY)
}

#[tokio::test]
async fn k2_a_key_that_others_may_read_is_one_warning_with_the_chmod_line_or_refused() {
    let mut site = Site::new().await;
    site.process.start().await;
    assert_eq!(site.process.terminate().await, Some(0));
    assert_eq!(site.lines("by other users"), 0, "{}", site.process.log());
    for name in ["session.key", "seal.key"] {
        mode(&site.path(name), 0o644);
    }
    mode(&site.path("plugins.toml"), 0o666);
    site.process.start().await;
    assert_eq!(site.process.terminate().await, Some(0));
    let real = std::fs::canonicalize(site.folder.path()).unwrap();
    for line in ["chmod 600 {}/session.key", "chmod 600 {}/seal.key", "chmod go-w {}/plugins.toml"] {
        let line = line.replace("{}", &real.display().to_string());
        assert_eq!(site.lines(&line), 1, "{line}: {}", site.process.log());
    }
    site.process.settings.push_str("strict_key_permissions = true\n");
    for name in ["session.key", "seal.key"] {
        assert!(!site.process.start_and_end().await.success());
        assert!(site.process.log().contains("strict_key_permissions"), "{name}: {}", site.process.log());
        mode(&site.path("session.key"), 0o600);
    }
    // As a container mounts secrets: a link to a link, the target for its owner.
    mode(&site.path("seal.key"), 0o400);
    std::fs::create_dir(site.path("..data")).unwrap();
    std::fs::rename(site.path("session.key"), site.path("..data/session.key")).unwrap();
    symlink("..data/session.key", site.path("session.key")).unwrap();
    site.process.start().await;
    assert_eq!(site.process.terminate().await, Some(0));
}

#[test]
fn k2_keys_made_by_the_readme_are_for_their_owner_alone() {
    let readme = include_str!("../../README.md");
    let mut blocks = readme.split("```sh\n").skip(1).filter_map(|block| block.split("```").next());
    let recipe = blocks.find(|block| block.contains("> session.key")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let script = format!("umask 022\n{recipe}");
    let made = std::process::Command::new("bash").args(["-euc", &script]).current_dir(folder.path()).status();
    assert!(made.unwrap().success());
    let mut keys = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
        keys += 1;
    }
    assert_eq!(keys, 4, "session, seal and two of the sandbox service");
}

#[tokio::test]
async fn k2_settings_and_modules_that_others_may_change_are_warned_about() {
    let mut site = Site::new().await;
    let (own, module) = (site.path("modules"), site.path("modules/sandbox.so"));
    std::fs::create_dir(&own).unwrap();
    std::fs::copy(cashier_tests::artifacts::module("sandbox"), &module).unwrap();
    let plugins = format!("[[module]]\nfile = {module:?}\nallow_hosts = [\"127.0.0.1\"]\n");
    std::fs::write(site.path("plugins.toml"), plugins).unwrap();
    mode(&module, 0o755);
    site.process.start().await;
    assert_eq!(site.process.terminate().await, Some(0));
    assert_eq!(site.lines("by other users"), 0, "{}", site.process.log());
    let real = std::fs::canonicalize(site.folder.path()).unwrap();
    for (name, open, kept) in
        [("modules/sandbox.so", 0o775, 0o755), ("modules", 0o777, 0o700), ("cashier.toml", 0o646, 0o644)]
    {
        mode(&site.path(name), open);
        site.process.start().await;
        assert_eq!(site.process.terminate().await, Some(0));
        let line = format!("chmod go-w {}\"", real.join(name).display());
        assert_eq!(site.lines(&line), 1, "{line}: {}", site.process.log());
        mode(&site.path(name), kept);
    }
}

#[tokio::test]
async fn k3_an_emptied_key_file_ends_its_tokens_and_one_that_is_gone_keeps_them_and_is_listed_in_readiness() {
    let mut site = Site::new().await;
    let addresses = site.process.start().await;
    let token = site.process.token(Role::Customer, CUSTOMER);
    assert_eq!(site.status(addresses, &token).await, 200);
    std::fs::rename(site.path("session.key"), site.path("moved")).unwrap();
    let listed = eventually("the missing file to be listed", async || {
        let ready = site.ready(addresses).await;
        ready.contains("session_keys_file").then_some(ready)
    });
    let listed = listed.await;
    assert!(listed.starts_with("ready\n") && listed.contains("cannot be read"), "{listed}");
    assert_eq!(site.status(addresses, &token).await, 200, "the keys it had stay");
    std::fs::rename(site.path("moved"), site.path("session.key")).unwrap();
    eventually("the file to be as it was", async || (site.ready(addresses).await == "ready\n").then_some(())).await;
    std::fs::write(site.path("session.key"), "").unwrap();
    eventually("the tokens to end", async || (site.status(addresses, &token).await == 403).then_some(())).await;
    assert!(site.ready(addresses).await.contains("has no keys"));
    assert_eq!(site.process.terminate().await, Some(0));
    for once in ["cannot be read: ", "has no keys: every token under its keys has ended"] {
        assert_eq!(site.lines(once), 1, "{once}: {}", site.process.log());
    }
}

#[tokio::test]
async fn k4_k5_tokens_that_live_for_ever_are_refused_with_a_line_and_a_time_with_a_fraction_is_valid() {
    let mut site = Site::new().await;
    let addresses = site.process.start().await;
    let fraction: Value = serde_json::from_str(&format!("{}.25", now() + 600)).unwrap();
    let with = |claims: Value| {
        let mut all = json!({"id": CUSTOMER, "role": 9, "exp": now() + 600});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        signed(&all)
    };
    let table = [
        (json!({}), 200, ""),
        (json!({"exp": fraction}), 200, ""),
        (json!({"bramd": "ion4"}), 200, ""),
        (json!({"exp": 1_000_000_000_000_000_000_u64}), 403, "session_lifetime_max"),
        (json!({"brand": ""}), 403, "its brand is empty"),
        (json!({"exp": now() - 1}), 403, "it expired"),
        (json!({"role": 1}), 403, "it is not a customer's"),
    ];
    for (claims, status, _) in &table {
        assert_eq!(site.status(addresses, &with(claims.clone())).await, *status, "{claims}");
    }
    for _ in 0..50 {
        assert_eq!(
            site.http.get(&format!("http://{}/cashier/transactions", addresses.customer), &[]).await.status,
            403
        );
    }
    assert_eq!(site.process.terminate().await, Some(0));
    for (claims, _, reason) in table.iter().filter(|(_, _, reason)| !reason.is_empty()) {
        assert_eq!(site.lines(reason), 1, "{claims}: {}", site.process.log());
    }
    assert_eq!(site.lines("sign-in was refused"), 4, "without a token nobody signs in");
    site.process.settings.push_str("require_brand_claim = true\nsession_lifetime_max = 3600\n");
    let addresses = site.process.start().await;
    for (claims, status) in [
        (json!({}), 403),
        (json!({"bramd": "ion4"}), 403),
        (json!({"brand": "ion4"}), 200),
        (json!({"brand": "ion4", "exp": now() + 3700}), 403),
    ] {
        assert_eq!(site.status(addresses, &with(claims.clone())).await, status, "{claims}");
    }
    assert_eq!(site.process.terminate().await, Some(0));
}

#[tokio::test]
async fn a_token_of_the_command_has_a_jti_that_revokes_it_alone() {
    let mut site = Site::new().await;
    std::fs::write(site.path("revoked"), "").unwrap();
    site.process.settings.push_str("revoked_tokens_file = \"revoked\"\n");
    let addresses = site.process.start().await;
    let made = async || {
        let arguments = ["token", "--role", "customer", "--id", "5", "--show-jti", "-s", "cashier.toml"];
        let output = run(site.folder.path(), &arguments).await;
        let jti = output.err.split_whitespace().nth(1).unwrap_or_default().trim_end_matches(':').to_owned();
        assert!(output.code == Some(0) && output.err.starts_with("jti ") && jti.len() == 32, "{output:?}");
        (output.out.trim().to_owned(), jti)
    };
    let ((first, jti), (second, other)) = (made().await, made().await);
    assert_ne!(jti, other);
    assert_eq!((site.status(addresses, &first).await, site.status(addresses, &second).await), (200, 200));
    std::fs::write(site.path("revoked"), format!("# a lost phone\n{jti}\n")).unwrap();
    eventually("the token to end", async || (site.status(addresses, &first).await == 403).then_some(())).await;
    assert_eq!(site.status(addresses, &second).await, 200);
    assert_eq!(site.process.terminate().await, Some(0));
}

#[tokio::test]
async fn k6_a_link_in_place_of_a_lock_or_a_database_ends_the_start_and_its_target_is_unchanged() {
    let mut site = Site::new().await;
    site.process.start().await;
    assert_eq!(site.process.terminate().await, Some(0));
    let target = site.path("target");
    for name in [
        "cashier.lock",
        "cashier.db",
        "cashier.db-wal",
        "cashier.db-shm",
        "trading.lock",
        "trading.db",
        "trading.db-wal",
        "trading.db-shm",
    ] {
        std::fs::write(&target, "content").unwrap();
        mode(&target, 0o644);
        let (link, aside) = (site.path("bases").join(name), site.path("aside"));
        let existed = std::fs::rename(&link, &aside).is_ok();
        symlink(&target, &link).unwrap();
        assert!(!site.process.start_and_end().await.success(), "{name}");
        let expected = format!("bases/{name}: it is a symbolic link");
        assert!(site.process.log().contains(&expected), "{name}: {}", site.process.log());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "content", "{name}");
        assert_eq!(std::fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o644, "{name}");
        std::fs::remove_file(&link).unwrap();
        if existed {
            std::fs::rename(&aside, &link).unwrap();
        }
    }
    // What is replaced as a whole is replaced where it stands, and what a link leads to is not read.
    for name in ["clock", "clock.draft", "cashier.image", "clock.accept"] {
        std::fs::write(&target, "1 - 0 0 0\n").unwrap();
        let link = site.path("bases").join(name);
        let _ = std::fs::remove_file(&link);
        symlink(&target, &link).unwrap();
        site.process.start().await;
        assert_eq!(site.process.terminate().await, Some(0), "{name}");
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "1 - 0 0 0\n", "{name}");
        let _ = std::fs::remove_file(&link);
    }
}

#[tokio::test]
async fn k6_no_command_works_on_a_database_that_has_another_name() {
    let mut site = Site::new().await;
    site.process.start().await;
    assert_eq!(site.process.terminate().await, Some(0));
    // `clock accept` opens none.
    let of_books: [&[&str]; 4] =
        [&["customer", "erase", "5"], &["reseal"], &["reseal", "--check"], &["audit", "verify"]];
    let of_postings: [&[&str]; 2] = [&["trading", "accept"], &["trading", "import", "roster.json"]];
    let of_both: [&[&str]; 2] = [&["db", "backup", "saved"], &["db", "reconcile"]];
    std::fs::write(site.path("roster.json"), roster::standard().to_string()).unwrap();
    for (name, own) in [("cashier.db", &of_books[..]), ("trading.db", &of_postings[..])] {
        let (database, other) = (site.path("bases").join(name), site.path("other"));
        std::fs::hard_link(&database, &other).unwrap();
        let before = std::fs::read(&other).unwrap();
        for command in own.iter().chain(&of_both) {
            let output = run(site.folder.path(), &[*command, &["-s", "cashier.toml"]].concat()).await;
            assert_eq!(output.code, Some(1), "{command:?}: {output:?}");
            assert!(
                output.err.contains("it is a hard link: the file has another name too"),
                "{command:?}: {}",
                output.err
            );
        }
        assert!(!site.process.start_and_end().await.success(), "{name}");
        assert!(site.process.log().contains(&format!("bases/{name}: it is a hard link")), "{}", site.process.log());
        assert!(std::fs::read(&other).unwrap() == before, "{name} was written");
        std::fs::remove_file(&other).unwrap();
    }
    site.process.start().await;
    assert_eq!(site.process.terminate().await, Some(0));
}
