//! What lies in `var` decides which builds are refused, so the cashier believes and changes only what is its own there: not a
//! folder of another user, and no file that is a link.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use cashier_tests::artifacts;
use cashier_tests::cashier_process::{CashierProcess, run};
use cashier_tests::http::Http;
use sha2::{Digest, Sha256};

/// A user that is not the one of the tests; only root can give files to it.
const ANOTHER: u32 = 65_533;

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A quarantine that accuses the module `stripe`.
fn accuse_stripe(var: &Path) {
    let build = hex::encode(Sha256::digest(fs::read(artifacts::module("stripe")).unwrap()));
    let call = format!(
        r#"{{"calls":[{{"build":"{build}","code":"stripe","config":1,"entry":"create_payment","transaction":1,
           "reference":"x","phase":0}}]}}"#
    );
    fs::write(var.join("quarantine.json"), call).unwrap();
}

async fn readiness(process: &mut CashierProcess) -> String {
    let addresses = process.start().await;
    Http::new().get(&format!("http://{}/readyz?verbose", addresses.watch), &[]).await.text()
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_a_link_in_var_is_refused_and_what_it_leads_to_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = CashierProcess::without_roster(folder.path(), &[]);
    let (var, target) = (folder.path().join("var"), folder.path().join("target"));
    fs::create_dir(&var).unwrap();
    fs::write(&target, "content").unwrap();
    fs::set_permissions(&target, PermissionsExt::from_mode(0o644)).unwrap();
    for name in ["calls.map", "quarantine.json", "quarantine.json.draft"] {
        symlink(&target, var.join(name)).unwrap();
    }
    assert_eq!(readiness(&mut process).await, "ready\n");
    assert_eq!(process.terminate().await, Some(0));
    assert!(process.log().contains("calls.map: it is a symbolic link"), "{}", process.log());
    assert!(process.log().contains("quarantine.json: it is a symbolic link"), "{}", process.log());
    assert_eq!(fs::read_to_string(&target).unwrap(), "content");
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o644);
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_a_var_that_others_may_write_to_accuses_nobody_and_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = CashierProcess::without_roster(folder.path(), &[]);
    let var = folder.path().join("var");
    fs::create_dir(&var).unwrap();
    accuse_stripe(&var);
    fs::set_permissions(&var, PermissionsExt::from_mode(0o777)).unwrap();
    let unready = "not ready: none of the 2 modules that plugins.toml enables can be used: module sandbox is refused: ";
    assert!(readiness(&mut process).await.starts_with(unready));
    assert_eq!(process.terminate().await, Some(0));
    assert!(process.log().contains("var may be written to by other users"), "{}", process.log());
    assert!(!process.log().contains("this build is quarantined"), "{}", process.log());
    assert_eq!(fs::read_dir(&var).unwrap().count(), 1, "nothing is made in it");
    if is_root() {
        fs::set_permissions(&var, PermissionsExt::from_mode(0o700)).unwrap();
        chown(&var, Some(ANOTHER), None).unwrap();
        assert!(readiness(&mut process).await.starts_with(unready));
        assert_eq!(process.terminate().await, Some(0));
        assert!(process.log().contains("var belongs to user 65533, the cashier runs as user 0"), "{}", process.log());
        assert!(!process.log().contains("this build is quarantined"), "{}", process.log());
        assert_eq!(fs::read_dir(&var).unwrap().count(), 1);
    }
    fs::set_permissions(&var, PermissionsExt::from_mode(0o700)).unwrap();
    chown(&var, Some(fs::metadata(folder.path()).unwrap().uid()), None).unwrap();
    assert!(readiness(&mut process).await.contains("this build is quarantined"), "its own is believed");
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_a_release_that_root_runs_leaves_the_quarantine_to_the_user_of_the_cashier() {
    if !is_root() {
        return; // Only root can give a folder away.
    }
    let folder = tempfile::tempdir().unwrap();
    let _process = CashierProcess::without_roster(folder.path(), &[]);
    let var = folder.path().join("var");
    fs::create_dir(&var).unwrap();
    accuse_stripe(&var);
    for path in [&var, &var.join("quarantine.json")] {
        chown(path, Some(ANOTHER), Some(ANOTHER)).unwrap();
    }
    let released = run(folder.path(), &["module", "release", "stripe", "-s", "cashier.toml"]).await;
    assert_eq!(released.code, Some(0), "{}", released.err);
    let left = fs::metadata(var.join("quarantine.json")).unwrap();
    assert_eq!((left.uid(), left.gid(), left.mode() & 0o777), (ANOTHER, ANOTHER, 0o600));
}
