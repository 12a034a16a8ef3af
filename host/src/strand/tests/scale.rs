//! How fast a large database is written and read. It prints times and asserts none; run it in release.

use std::time::Instant;

use cashier_core::change::Change;

use super::*;
use crate::ports::Recorder;

#[test]
#[ignore = "a measurement: cargo test --release -p cashier-host strand::tests::scale -- --ignored --nocapture"]
fn a_million_deposits_are_written_and_read() {
    let rows: u64 = std::env::var("ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let begun = Instant::now();
    for id in 1..=rows {
        let changes = vec![
            Change::Transaction(Box::new(plain::deposit(id))),
            Change::Operation(Box::new(plain::credit(id))),
            Change::Event(Box::new(plain::confirmation(id))),
        ];
        strand.submit(commit(id, changes, Vec::new()));
        if id % 1000 == 0 {
            while strand.backlog().commits > 20_000 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
    listener.wait_for(|reports| reports.contains(&Report::Synced(rows)));
    println!("{rows} commits of three rows written in {:?}", begun.elapsed());
    for _ in 0..3 {
        let begun = Instant::now();
        let loaded = block_on(strand.reload()).unwrap();
        println!("{} transactions loaded in {:?}", loaded.books.transactions(), begun.elapsed());
        assert_eq!(loaded.books.transactions() as u64, rows);
    }
    let alone: Vec<_> = (1..=200)
        .map(|more| {
            let begun = Instant::now();
            let seq = rows + more;
            strand.submit(commit(seq, vec![Change::Transaction(Box::new(plain::deposit(1)))], Vec::new()));
            listener.wait_for_synced(seq);
            begun.elapsed()
        })
        .collect();
    let mut sorted = alone;
    sorted.sort_unstable();
    println!("one commit at a time: p50 {:?}, p99 {:?}", sorted[100], sorted[198]);
}
