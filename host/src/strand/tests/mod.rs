//! The strand's promises: what was submitted comes back the same, in order, and nothing is called synced before it is
//! on disk.

mod archive;
mod disk;
mod failure;
mod kill;
mod order;
mod plain;
mod round_trip;
mod scale;
mod schema;
mod values;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use cashier_core::change::{Body, Change, Commit, Counters};
use cashier_core::customer_override::CustomerOverride;
use cashier_core::ids::{ConfigId, EventId, Seq};
use cashier_core::notice::ProviderEvent;
use cashier_core::operation::BalanceOperation;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::session::Actor;
use cashier_core::time::UnixTime;
use cashier_core::transaction::Transaction;

use super::load::{self, Intake};
use super::seal::{Seal, SealKeys};
use super::sqlite::connect_read_only;
use super::{BatchLimits, Strand, StrandSettings, open};
use crate::ports::{Entropy, Fault, Synced};

const RING: &str = "7:0707070707070707070707070707070707070707070707070707070707070707";

/// How long a test waits for something that must happen; only a defect ever waits it out.
const PATIENCE: Duration = Duration::from_secs(60);

/// Distinct, repeatable bits.
#[derive(Default)]
struct Counting(Mutex<u128>);

impl Entropy for Counting {
    fn bits(&self) -> u128 {
        let mut last = self.0.lock().unwrap();
        *last = last.wrapping_add(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        *last
    }
}

/// What the ledger was told, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Synced(u64),
    Failed(String),
}

/// Stands in for the ledger: notes what it is told, and lets a test wait for it.
#[derive(Default)]
struct Listening {
    told: Mutex<Vec<Told>>,
    news: Condvar,
}

impl Listening {
    fn note(&self, told: Told) {
        self.told.lock().unwrap().push(told);
        self.news.notify_all();
    }

    fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    fn wait_for(&self, wanted: impl Fn(&[Told]) -> bool) {
        let told = self.told.lock().unwrap();
        let (told, late) = self.news.wait_timeout_while(told, PATIENCE, |told| !wanted(told)).unwrap();
        assert!(!late.timed_out(), "only told {told:?}");
    }

    fn wait_for_synced(&self, seq: u64) {
        self.wait_for(|told| told.iter().any(|told| matches!(told, Told::Synced(up_to) if *up_to >= seq)));
    }
}

impl Synced for Listening {
    fn synced(&self, up_to: Seq) {
        self.note(Told::Synced(up_to.0));
    }

    fn failed(&self, fault: &Fault) {
        self.note(Told::Failed(fault.to_string()));
    }
}

/// The rows on disk one by one, in the order in which a start takes them in.
#[derive(Default)]
struct Rows {
    counters: Counters,
    rows: Vec<Change>,
    event_keys: Vec<(ConfigId, Box<str>, EventId)>,
}

impl Rows {
    fn on_disk(path: &Path) -> Self {
        let mut rows = Self::default();
        let seal = Seal::new(SealKeys::parse(RING).unwrap(), Arc::new(Counting::default()));
        load::everything(&connect_read_only(path).unwrap(), path, &seal, &mut rows).unwrap();
        rows
    }
}

impl Intake for Rows {
    fn counters(&mut self, counters: Counters, _: u64) {
        self.counters = counters;
    }

    fn config(&mut self, row: ProviderConfig) {
        self.rows.push(Change::Config(Box::new(row)));
    }

    fn customer_override(&mut self, row: CustomerOverride) {
        self.rows.push(Change::Override(Box::new(row)));
    }

    fn transaction(&mut self, row: Transaction, operations: &[BalanceOperation]) {
        assert!(operations.iter().all(|own| own.transaction_id == row.id), "operations of another transaction");
        self.rows.push(Change::Transaction(Box::new(row)));
        self.rows.extend(operations.iter().map(|own| Change::Operation(Box::new(own.clone()))));
    }

    fn orphan(&mut self, row: BalanceOperation) {
        self.rows.push(Change::Operation(Box::new(row)));
    }

    fn event_key(&mut self, config: ConfigId, event_id: &str, id: EventId) {
        self.event_keys.push((config, event_id.into(), id));
    }

    fn pending_event(&mut self, row: ProviderEvent) {
        self.rows.push(Change::Event(Box::new(row)));
    }
}

fn settings(folder: &Path) -> StrandSettings {
    StrandSettings {
        path: folder.join("bases/cashier.db"),
        keys: SealKeys::parse(RING).unwrap(),
        entropy: Arc::new(Counting::default()),
        batch: BatchLimits::default(),
    }
}

fn opened(folder: &Path) -> (Strand, Arc<Listening>) {
    let listening = Arc::new(Listening::default());
    (open(settings(folder), listening.clone()).unwrap(), listening)
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
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}
