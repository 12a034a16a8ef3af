//! A process killed in the middle of writing loses no commit that it reported as synced.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use cashier_core::change::Change;

use super::*;
use crate::ports::Recorder;

/// Set for the child alone: the folder it writes in.
const FOLDER: &str = "CASHIER_STRAND_KILL_TEST_FOLDER";
/// Lines the parent reads before it kills.
const LINES: usize = 60;

/// Reports every sync to the parent, over a pipe.
struct PipeListener;

impl DurabilityListener for PipeListener {
    fn synced(&self, up_to: Seq) {
        let mut out = std::io::stdout();
        writeln!(out, "synced {up_to}").and_then(|()| out.flush()).unwrap();
    }

    fn failed(&self, fault: &Fault) {
        writeln!(std::io::stdout(), "failed {fault}").unwrap();
    }
}

/// The child: writes until it is killed. Without its variable it does nothing.
#[test]
#[ignore = "started by the test below as a process of its own"]
fn child_that_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let strand = open(settings(Path::new(&folder)), Arc::new(PipeListener)).unwrap();
    for seq in 1.. {
        let rows = vec![Change::Transaction(Box::new(plain::deposit(seq)))];
        strand.submit(commit(seq, rows, vec![plain::notice(seq, &[7; 500])]));
        while strand.backlog().commits > 64 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn every_commit_reported_as_synced_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "strand::tests::kill::child_that_is_killed", "--ignored", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut reports = lines.map(|line| line.unwrap()).filter_map(|line| Some(line.strip_prefix("synced ")?.to_owned()));
    let promised: u64 = reports.by_ref().take(LINES).map(|seq| seq.parse().unwrap()).last().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let promised = reports.map(|seq| seq.parse().unwrap()).last().unwrap_or(promised);

    let (strand, _) = opened(folder.path());
    let loaded = Rows::stored(strand.path());
    assert!(loaded.counters.seq >= promised, "promised {promised}, found {}", loaded.counters.seq);
    let expected: Vec<_> =
        (1..=loaded.counters.seq).map(|id| Change::Transaction(Box::new(plain::deposit(id)))).collect();
    assert_eq!(loaded.rows, expected, "whole commits, without a gap");
}
