//! No ticket is released before its sync: the strand runs on SQLite over a recording file layer, a VFS that records every
//! write to and sync of the log and passes them on. At each report to the ledger, the newest log write must be covered by
//! a sync. In a process of its own, because the layer is SQLite's default for the whole process.
#![expect(
    unsafe_code,
    clippy::unwrap_used,
    reason = "the file layer is SQLite's C interface; a test that cannot go on panics"
)]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_int, c_void};
use std::sync::{Arc, Condvar, Mutex, OnceLock};

use cashier_core::change::{Body, Commit, Counters};
use cashier_core::ids::{Seq, TransactionId};
use cashier_core::session::Actor;
use cashier_core::time::UnixTime;
use cashier_host::ports::{DurabilityListener, Entropy, Fault, Recorder};
use cashier_host::strand::seal::SealKeys;
use cashier_host::strand::{self, BatchLimits, StrandSettings};
use rusqlite::ffi;

/// Operations on the log file, and reports to the ledger, in one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    LogWrite,
    LogSync,
    Reported(u64),
}

static STEPS: Mutex<Vec<Step>> = Mutex::new(Vec::new());
/// Open files of the log by their address, each with the methods of the layer below.
static LOGS: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());
static BELOW: OnceLock<usize> = OnceLock::new();

fn record(step: Step) {
    STEPS.lock().unwrap().push(step);
}

/// The methods of the layer below for this file.
fn below(file: *mut ffi::sqlite3_file) -> &'static ffi::sqlite3_io_methods {
    let address = LOGS.lock().unwrap().get(&(file as usize)).copied().unwrap();
    // SAFETY: the address is of the static methods that the layer below gave to this file when it was opened.
    unsafe { &*(address as *const ffi::sqlite3_io_methods) }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, length: c_int, at: i64) -> c_int {
    record(Step::LogWrite);
    // SAFETY: the same call, with the same arguments, to the layer below.
    unsafe { below(file).xWrite.unwrap()(file, from, length, at) }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: the same call, with the same arguments, to the layer below.
    let done = unsafe { below(file).xSync.unwrap()(file, flags) };
    record(Step::LogSync);
    done
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let layer = *BELOW.get().unwrap() as *mut ffi::sqlite3_vfs;
    // SAFETY: `layer` is SQLite's own default, registered for the life of the process.
    let opened = unsafe { (*layer).xOpen.unwrap()(layer, name, file, flags, out) };
    // SAFETY: SQLite passes a C string, or null for a temporary file.
    let is_log = !name.is_null() && unsafe { CStr::from_ptr(name) }.to_bytes().ends_with(b"-wal");
    if opened == ffi::SQLITE_OK && is_log {
        // SAFETY: an opened file begins with a pointer to its methods; the layer below finds its own state behind it
        // and is called with the same file. The copied methods live for ever.
        unsafe {
            let methods = (*file).pMethods;
            LOGS.lock().unwrap().insert(file as usize, methods as usize);
            let mut recording = std::ptr::read(methods);
            recording.xWrite = Some(write);
            recording.xSync = Some(sync);
            (*file).pMethods = Box::leak(Box::new(recording));
        }
    }
    opened
}

/// Puts the recording layer in front of the default one.
fn record_files() {
    // SAFETY: the default VFS exists for the life of the process; a copy with another xOpen is a VFS of the same state.
    unsafe {
        let default = ffi::sqlite3_vfs_find(std::ptr::null());
        BELOW.set(default as usize).unwrap();
        let mut recording = std::ptr::read(default);
        recording.zName = c"recording".as_ptr();
        recording.pNext = std::ptr::null_mut();
        recording.xOpen = Some(open);
        assert_eq!(ffi::sqlite3_vfs_register(Box::leak(Box::new(recording)), 1), ffi::SQLITE_OK);
    }
}

#[derive(Default)]
struct Ledger {
    newest: Mutex<u64>,
    changed: Condvar,
}

impl DurabilityListener for Ledger {
    fn synced(&self, up_to: Seq) {
        record(Step::Reported(up_to.0));
        *self.newest.lock().unwrap() = up_to.0;
        self.changed.notify_all();
    }

    fn failed(&self, fault: &Fault) {
        record(Step::Reported(0));
        assert!(fault.what.is_empty(), "{fault}");
    }
}

struct Fixed;

impl Entropy for Fixed {
    fn bits(&self) -> u128 {
        7
    }
}

fn commit(seq: u64) -> Arc<Commit> {
    let answer = Body::Answer {
        transaction_id: TransactionId(seq),
        redirect_url: "https://pay.example/".into(),
        instructions_json: "".into(),
    };
    Arc::new(Commit {
        seq: Seq(seq),
        at: UnixTime(1_779_270_000),
        actor: Actor::System,
        request_id: "r".into(),
        changes: Vec::new(),
        bodies: vec![answer],
        counters: Counters { seq, ..Counters::default() },
        lookups: Default::default(),
    })
}

#[test]
fn a_commit_is_reported_only_after_a_sync_of_the_log_covers_it() {
    record_files();
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::default());
    let settings = StrandSettings {
        path: folder.path().join("cashier.db"),
        keys: SealKeys::parse(&format!("1:{}", "11".repeat(32))).unwrap(),
        entropy: Arc::new(Fixed),
        batch: BatchLimits { commits: 4, ..BatchLimits::default() },
    };
    let strand = strand::open(settings, Arc::clone(&ledger) as _).unwrap();
    STEPS.lock().unwrap().clear();
    // One alone, then many that share syncs.
    for (from, to) in [(1, 1), (2, 64)] {
        for seq in from..=to {
            strand.submit(commit(seq));
        }
        let newest = ledger.newest.lock().unwrap();
        let (newest, _) = ledger
            .changed
            .wait_timeout_while(newest, std::time::Duration::from_secs(60), |newest| *newest < to)
            .unwrap();
        assert_eq!(*newest, to);
    }

    let steps = STEPS.lock().unwrap().clone();
    let (mut unsynced, mut reports, mut syncs) = (0, 0, 0);
    for step in &steps {
        match step {
            Step::LogWrite => unsynced += 1,
            Step::LogSync => (unsynced, syncs) = (0, syncs + 1),
            Step::Reported(up_to) => {
                assert_eq!(unsynced, 0, "{up_to} was reported while log writes were not synced");
                reports += 1;
            }
        }
    }
    assert!(reports >= 2 && syncs >= reports, "the layer recorded nothing: {steps:?}");
    assert!(reports < 64, "concurrent commits share syncs");
}
