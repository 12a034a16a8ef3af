//! Slots and the quarantine without a crash: what a thread marks, what the next run reads, what is bounded. Modules that end
//! the process are in `tests/tests/ended_processes.rs`.

use std::collections::BTreeSet;
use std::fs::File;

use tempfile::TempDir;

use super::slots::{CALL_SLOTS_MAX, mark};
use super::*;

const RUN: u64 = 7;
const SEGV: u32 = 11;

struct Var {
    folder: TempDir,
}

impl Var {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn begin(&self) -> (CallSite, Takeover) {
        let taken = take_over(self.folder.path(), RUN, 1_795_000_000);
        let recorder = taken.recorder.clone();
        assert!(recorder.0.is_some(), "this run is recorded");
        (CallSite { recorder, code: "stripe".into(), build: "ab".repeat(32).into(), config: 3 }, taken)
    }

    /// What is left of the file when the process is gone: a copy, because this process keeps its own locked.
    fn after_the_end(&self) -> Self {
        let next = Self::new();
        std::fs::copy(self.folder.path().join("calls.map"), next.folder.path().join("calls.map")).unwrap();
        next
    }
}

fn create(transaction: u64) -> About<'static> {
    About { transaction, reference: "d0123456789abcdefghj", phase: 1, notice: None }
}

fn notice(body: &[u8]) -> WebhookNotice {
    WebhookNotice { path: "/cashier/webhook/stripe".into(), body: body.to_vec(), ..WebhookNotice::default() }
}

#[test]
fn c1_a_marked_call_is_found_by_the_next_run_and_one_that_was_only_under_way_is_not() {
    let var = Var::new();
    let (site, _) = var.begin();
    std::thread::scope(|scope| {
        let under_way = scope.spawn(|| {
            std::mem::forget(site.enter(CallEntry::CreatePayment, &create(14)));
        });
        under_way.join().unwrap();
    });
    let returned = site.enter(CallEntry::CreatePayment, &create(13));
    drop(returned);
    assert!(!mark(SEGV), "this thread makes no call");
    let outer = site.enter(CallEntry::CreatePayment, &create(15));
    let inner = site.enter(CallEntry::Drop, &About::default());
    drop(inner);
    assert!(mark(SEGV) && mark(6), "an abort follows the report of a stack overflow");
    let next = var.after_the_end();
    drop(outer);
    let found = next.begin().1.found;
    let shown: Vec<String> = found.iter().map(EndedCall::to_string).collect();
    let expected = "create_payment of stripe (build abababababab) under config 3, transaction 15, reference \
                    d0123456789abcdefghj, after 1 replies, ended the process with SIGSEGV, found 1795000000";
    assert_eq!(shown, [expected]);
    assert_eq!(next.begin_again(), Vec::<EndedCall>::new(), "it is found once, and kept");
}

impl Var {
    fn begin_again(&self) -> Vec<EndedCall> {
        let copy = self.after_the_end();
        let kept = self.folder.path().join("quarantine.json");
        std::fs::copy(kept, copy.folder.path().join("quarantine.json")).unwrap();
        let taken = copy.begin().1;
        assert!(taken.quarantine.refuses(&"ab".repeat(32)).is_some());
        taken.found
    }
}

#[test]
fn c1_what_cannot_be_kept_on_disk_stays_in_the_slots_for_the_next_start() {
    let var = Var::new();
    let (site, _) = var.begin();
    let call = site.enter(CallEntry::CreatePayment, &create(15));
    mark(SEGV);
    let next = var.after_the_end();
    drop(call);
    // The new file cannot be written, as on a full disk.
    let draft = next.folder.path().join("quarantine.json.draft");
    std::fs::create_dir(&draft).unwrap();
    for _ in 0..2 {
        let taken = take_over(next.folder.path(), RUN, 0);
        assert!(taken.recorder.0.is_none(), "this run is not recorded: its slots would be the only record of the last");
        assert!(taken.quarantine.refuses(&"ab".repeat(32)).is_some() && taken.found.len() == 1);
    }
    std::fs::remove_dir(&draft).unwrap();
    assert_eq!(next.begin().1.found.len(), 1);
    assert!(ModuleQuarantine::read_or_empty(next.folder.path()).refuses(&"ab".repeat(32)).is_some());
}

#[test]
fn c1_a_file_of_another_layout_a_cut_one_and_marks_of_an_earlier_run_accuse_nobody() {
    let var = Var::new();
    let (site, _) = var.begin();
    let call = site.enter(CallEntry::CreatePayment, &create(15));
    mark(SEGV);
    let left = std::fs::read(var.folder.path().join("calls.map")).unwrap();
    drop(call);
    let damages: [fn(&mut Vec<u8>); 5] = [
        |bytes| bytes.clear(),
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes.extend([0; 9]),
        |bytes| bytes[0] ^= 1,
        // The run of the file's head: a slot that a disk brought back is of another one.
        |bytes| bytes[8] ^= 1,
    ];
    for (at, damage) in damages.into_iter().enumerate() {
        let (next, mut bytes) = (Var::new(), left.clone());
        damage(&mut bytes);
        std::fs::write(next.folder.path().join("calls.map"), bytes).unwrap();
        assert!(next.begin().1.found.is_empty(), "{at}");
    }
}

#[test]
fn more_calls_than_slots_are_made_without_one_and_a_slot_is_free_again_after_its_call() {
    let var = Var::new();
    let (site, _) = var.begin();
    let mut held: Vec<_> = (0..CALL_SLOTS_MAX).map(|_| site.enter(CallEntry::QueryStatus, &create(1))).collect();
    assert!(held.iter().all(Option::is_some));
    assert!(site.enter(CallEntry::QueryStatus, &create(2)).is_none(), "every slot is taken");
    held.truncate(1);
    let again = site.enter(CallEntry::QueryStatus, &create(3));
    assert!(again.is_some());
}

#[test]
fn a_second_process_on_the_same_folder_records_nothing_and_leaves_the_file_alone() {
    let var = Var::new();
    let (site, _) = var.begin();
    let call = site.enter(CallEntry::CreatePayment, &create(15));
    let second = take_over(var.folder.path(), RUN + 1, 0);
    assert!(second.recorder.0.is_none());
    mark(SEGV);
    let next = var.after_the_end();
    drop(call);
    assert_eq!(next.begin().1.found.len(), 1);
}

#[test]
fn c2_notices_are_barred_one_by_one_and_their_build_after_three_different_ones() {
    let build = "ab".repeat(32);
    let mut quarantine = ModuleQuarantine::default();
    let mut ended = |body: &[u8]| {
        let var = Var::new();
        let (site, _) = var.begin();
        let notice = notice(body);
        let digest = is_cut("", &notice.body).then(|| notice_digest("", &notice.body));
        let about = About {
            notice: Some(AboutNotice { notice: &notice, body: &notice.body, sha256: digest.as_deref() }),
            ..About::default()
        };
        let call = site.enter(CallEntry::NormalizeStatus, &about);
        mark(SEGV);
        let next = var.after_the_end();
        drop(call);
        quarantine.add(next.begin().1.found);
        let bars = |body: &[u8]| quarantine.bars(&build, &notice_digest("", body)).is_some();
        (bars(body), bars(b"other"), quarantine.refuses(&build).is_some(), quarantine.bars_any("cd"))
    };
    let long = vec![b'x'; 100_000];
    assert_eq!(ended(b"first"), (true, false, false, false));
    assert_eq!(ended(b"first"), (true, false, false, false), "the same notice again is one");
    assert_eq!(ended(&long), (true, false, false, false), "known by all of it, though the slot holds a part");
    assert_eq!(ended(b"third"), (true, false, true, false));
}

#[test]
fn the_quarantine_is_bounded_written_as_a_whole_and_released_by_code() {
    let folder = tempfile::tempdir().unwrap();
    let call = |transaction: u64, code: &str| {
        let record = format!(
            r#"{{"build":"b{transaction}","code":"{code}","config":1,"entry":"create_payment",
                "transaction":{transaction},"reference":"","phase":0}}"#
        );
        EndedCall::parse(record.as_bytes(), &[], "SIGABRT", 1).unwrap()
    };
    let mut quarantine = ModuleQuarantine::default();
    quarantine.add((0..300).map(|transaction| call(transaction, "a")));
    let kept: BTreeSet<u64> = quarantine.calls().iter().map(|call| call.transaction).collect();
    assert_eq!(kept, (44..300).collect(), "the newest");
    quarantine.add([call(300, "b"), call(300, "b")]);
    quarantine.write(folder.path()).unwrap();
    assert_eq!(ModuleQuarantine::read_or_empty(folder.path()), quarantine);
    assert_eq!(release(folder.path(), "b").unwrap().len(), 1);
    assert_eq!(release(folder.path(), "b").unwrap(), Vec::<String>::new());
    let left = ModuleQuarantine::read_or_empty(folder.path());
    assert!(left.refuses("b300").is_none() && left.refuses("b299").is_some());
    File::create(folder.path().join("quarantine.json")).unwrap();
    assert_eq!(
        ModuleQuarantine::read_or_empty(folder.path()),
        ModuleQuarantine::default(),
        "a damaged file refuses nothing"
    );
    assert!(release(folder.path(), "a").is_err(), "and is not written over by a release");
}
