//! A demo without `--exit`, after its walkthrough: it serves on until a signal, and ends in order.

use std::path::Path;
use std::process::Stdio;

use cashier_tests::artifacts;
use cashier_tests::waiting::eventually;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Of SIGHUP. The walkthrough takes more than a minute, most of it waiting: whoever waits for another demo waits for both at once.
pub(crate) async fn n2_the_demo_ends_on_sighup_with_a_drain() {
    let folder = tempfile::tempdir().unwrap();
    // The demo needs its payment service and the modules beside it.
    let _ = (artifacts::module("sandbox"), artifacts::module("stripe"));
    let mut demo = Command::new(artifacts::cashier())
        .args(["demo", "--folder"])
        .arg(folder.path().join("demo"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("Stop with Ctrl-C") {
            break;
        }
    }
    let pid = demo.id().unwrap().to_string();
    // It is caught soon after the line was printed.
    eventually("the signal to be caught", async || catches_sighup(&pid).then_some(())).await;
    assert!(Command::new("kill").args(["-HUP", &pid]).status().await.unwrap().success());
    assert_eq!(demo.wait().await.unwrap().code(), Some(0));
}

fn catches_sighup(pid: &str) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0").trim();
    u64::from_str_radix(caught, 16).unwrap() & 1 == 1
}
