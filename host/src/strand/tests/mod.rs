//! The strand's guarantees: submitted rows read back the same, in order, and no commit is reported as synced before it is
//! durable.

mod archive;
mod audit;
mod audit_list;
mod calls;
mod disk;
mod erasure;
mod event_lists;
mod failure;
mod filter_sql;
mod kill;
mod loading;
mod order;
mod overwritten;
mod plain;
mod retention;
mod round_trip;
mod scale;
mod schema;
mod sealing;
mod settled;
mod values;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use cashier_core::approval::Approval;
use cashier_core::change::{Body, Change, Commit, Counters};
use cashier_core::customer_override::CustomerOverride;
use cashier_core::ids::{ConfigId, EventId, Seq};
use cashier_core::lookups::Lookups;
use cashier_core::notice::ProviderEvent;
use cashier_core::operation::BalanceOperation;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::session::Actor;
use cashier_core::time::UnixTime;
use cashier_core::transaction::Transaction;

use super::connection::connect_read_only;
use super::load::{self, BlockLimits, RowSink, RowSource};
use super::seal::{Seal, SealKeys, SealRing};
use super::sqlite::Sqlite;
use super::writing::Store;
use super::{BatchLimits, Strand, StrandSettings, open};
use crate::ports::{DurabilityListener, Entropy, Fault, LoadProgress};

const RING: &str = "7:0707070707070707070707070707070707070707070707070707070707070707";

/// How long a test waits for something that must happen; only a defect reaches it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Distinct, repeatable bits.
#[derive(Default)]
struct CountingEntropy(Mutex<u128>);

impl Entropy for CountingEntropy {
    fn bits(&self) -> u128 {
        let mut last = self.0.lock().unwrap();
        *last = last.wrapping_add(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        *last
    }
}

/// What the strand reported to the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Report {
    Synced(u64),
    Failed(String),
    Waiting(Option<String>),
}

/// Takes the ledger's place: records the strand's reports in order and lets a test wait for one.
#[derive(Default)]
struct TestListener {
    reports: Mutex<Vec<Report>>,
    added: Condvar,
}

impl TestListener {
    fn add(&self, report: Report) {
        self.reports.lock().unwrap().push(report);
        self.added.notify_all();
    }

    fn reports(&self) -> Vec<Report> {
        self.reports.lock().unwrap().clone()
    }

    fn wait_for(&self, wanted: impl Fn(&[Report]) -> bool) {
        let reports = self.reports.lock().unwrap();
        let (reports, late) = self.added.wait_timeout_while(reports, TIMEOUT, |reports| !wanted(reports)).unwrap();
        assert!(!late.timed_out(), "timed out; the reports so far: {reports:?}");
    }

    fn wait_for_synced(&self, seq: u64) {
        self.wait_for(|reports| reports.iter().any(|report| matches!(report, Report::Synced(up_to) if *up_to >= seq)));
    }
}

impl DurabilityListener for TestListener {
    fn synced(&self, up_to: Seq) {
        self.add(Report::Synced(up_to.0));
    }

    fn failed(&self, fault: &Fault) {
        self.add(Report::Failed(fault.to_string()));
    }

    fn waiting(&self, fault: Option<&Fault>) {
        self.add(Report::Waiting(fault.map(ToString::to_string)));
    }
}

/// The stored rows one by one, in the order in which a start loads them.
#[derive(Default)]
struct Rows {
    counters: Counters,
    rows: Vec<Change>,
    event_keys: Vec<(ConfigId, Box<str>, EventId)>,
}

impl Rows {
    fn stored(path: &Path) -> Self {
        let mut rows = Self::default();
        read_into(&mut rows, path, BlockLimits::default(), &LoadProgress::default()).unwrap();
        rows
    }
}

fn read_into(sink: &mut impl RowSink, path: &Path, limits: BlockLimits, progress: &LoadProgress) -> Result<(), Fault> {
    let seal = sealing(RING);
    let connection = connect_read_only(path).unwrap();
    load::read_all(&RowSource { connection: &connection, path, seal: &seal, progress, limits }, sink)
}

impl RowSink for Rows {
    fn identity(&mut self, identity: &str) {
        assert_eq!(identity.len(), 32);
    }

    fn counters(&mut self, counters: Counters, _: u64) {
        self.counters = counters;
    }

    fn config(&mut self, row: ProviderConfig) {
        self.rows.push(Change::Config(Box::new(row)));
    }

    fn customer_override(&mut self, row: CustomerOverride) {
        self.rows.push(Change::Override(Box::new(row)));
    }

    fn approval(&mut self, row: Approval) {
        self.rows.push(Change::Approval(Box::new(row)));
    }

    fn transaction(&mut self, row: Transaction, operations: &[BalanceOperation]) {
        assert!(operations.iter().all(|own| own.transaction_id == row.id), "operations of another transaction");
        self.rows.push(Change::Transaction(Box::new(row)));
        self.rows.extend(operations.iter().map(|own| Change::Operation(Box::new(own.clone()))));
    }

    fn operation(&mut self, row: BalanceOperation) {
        self.rows.push(Change::Operation(Box::new(row)));
    }

    fn event_key(&mut self, config: ConfigId, event_id: &str, id: EventId) {
        self.event_keys.push((config, event_id.into(), id));
    }

    fn waiting_event(&mut self, row: ProviderEvent, _bytes: u64) {
        self.rows.push(Change::Event(Box::new(row)));
    }
}

fn settings(folder: &Path) -> StrandSettings {
    StrandSettings {
        path: folder.join("bases/cashier.db"),
        keys: SealKeys::parse(RING).unwrap(),
        entropy: Arc::new(CountingEntropy::default()),
        batch: BatchLimits::default(),
    }
}

fn opened(folder: &Path) -> (Strand, Arc<TestListener>) {
    let listener = Arc::new(TestListener::default());
    (open(settings(folder), listener.clone()).unwrap(), listener)
}

fn commit(seq: u64, changes: Vec<Change>, bodies: Vec<Body>) -> Arc<Commit> {
    let most = values::ID_MOST;
    Arc::new(Commit {
        seq: Seq(seq),
        at: UnixTime(1_779_270_000),
        actor: Actor::System,
        request_id: "req-1".into(),
        changes,
        bodies,
        counters: Counters {
            seq,
            transaction: most,
            operation: most,
            event: most,
            notice: most,
            config: most,
            customer_override: most,
        },
        lookups: Lookups::default(),
    })
}

fn sealing(ring: &str) -> Seal {
    Seal::new(Arc::new(SealRing::new(SealKeys::parse(ring).unwrap())), Arc::new(CountingEntropy::default()))
}

/// Writes commits in one transaction.
fn write_all(store: &mut Sqlite, batch: &[Arc<Commit>]) {
    store.begin().unwrap();
    batch.iter().for_each(|commit| store.write(commit).unwrap());
    store.sync(batch.last().map(|commit| &commit.counters)).unwrap();
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}
