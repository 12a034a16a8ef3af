//! A disk in memory behind the recorder's and the archive's ports: commits reach it a moment after they were submitted,
//! it can be held, and it can fail. What it holds survives crashes; what was still queued does not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use cashier_core::books::Books;
use cashier_core::change::{Body, Change, Commit, OrderDetails};
use cashier_core::ids::{EventId, NoticeId, TransactionId};
use cashier_core::notice::ProviderEvent;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::status::{ProcessingStatus, SignatureStatus};
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::world::lock;
use crate::ports::{Archive, Fault, Loaded, Recorder, Spawn, StoredAnswer, StoredNotice, Synced};

/// How long a commit takes to reach the disk.
const WRITE: Duration = Duration::from_millis(2);

pub(super) struct Disk {
    configs: Vec<ProviderConfig>,
    durable: Mutex<Vec<Arc<Commit>>>,
    /// Nothing reaches the disk while this is set.
    pub(super) held: AtomicBool,
    /// The batch after this many fails; 0 is never.
    pub(super) fail_in: AtomicU32,
    /// Whether a failing batch reached the disk all the same.
    pub(super) fails_after_writing: AtomicBool,
    current: Mutex<Weak<Pen>>,
}

/// The recorder of one opening of the disk.
pub(super) struct Pen {
    disk: Arc<Disk>,
    synced: Arc<dyn Synced>,
    queue: Mutex<Vec<Arc<Commit>>>,
    shut: AtomicBool,
    wake: Notify,
}

impl Disk {
    pub(super) fn new(configs: Vec<ProviderConfig>) -> Arc<Self> {
        Arc::new(Self {
            configs,
            durable: Mutex::default(),
            held: AtomicBool::new(false),
            fail_in: AtomicU32::new(0),
            fails_after_writing: AtomicBool::new(false),
            current: Mutex::default(),
        })
    }

    pub(super) fn power_on(self: &Arc<Self>, synced: Arc<dyn Synced>, tasks: &dyn Spawn) -> Arc<dyn Recorder> {
        let pen = Arc::new(Pen {
            disk: Arc::clone(self),
            synced,
            queue: Mutex::default(),
            shut: AtomicBool::new(false),
            wake: Notify::new(),
        });
        *lock(&self.current) = Arc::downgrade(&pen);
        let writing = Arc::clone(&pen);
        tasks.resident(Box::pin(async move {
            loop {
                writing.wake.notified().await;
                tokio::time::sleep(WRITE).await;
                while writing.disk.held.load(Ordering::SeqCst) {
                    tokio::time::sleep(WRITE).await;
                }
                writing.write();
            }
        }));
        pen
    }

    /// What is queued is lost, and late submissions of the cashier that was are too.
    pub(super) fn power_off(&self) {
        if let Some(pen) = lock(&self.current).upgrade() {
            pen.shut.store(true, Ordering::SeqCst);
            lock(&pen.queue).clear();
        }
        self.held.store(false, Ordering::SeqCst);
    }

    pub(super) fn configs(&self) -> Vec<ProviderConfig> {
        let mut configs: BTreeMap<_, _> = self.configs.iter().map(|config| (config.id, config.clone())).collect();
        for change in lock(&self.durable).iter().flat_map(|commit| &commit.changes) {
            if let Change::Config(config) = change {
                configs.insert(config.id, (**config).clone());
            }
        }
        configs.into_values().collect()
    }

    /// Every row as it is on disk.
    pub(super) fn loaded(&self) -> Loaded {
        let mut loaded = Loaded { configs: self.configs(), ..Loaded::default() };
        let mut events: BTreeMap<EventId, &ProviderEvent> = BTreeMap::new();
        let durable = lock(&self.durable);
        for change in durable.iter().flat_map(|commit| &commit.changes) {
            match change {
                Change::Transaction(_) | Change::Operation(_) => loaded.books.load(change.clone()),
                Change::Event(row) if row.signature_status == SignatureStatus::Valid => {
                    events.insert(row.id, row);
                }
                Change::Event(_) | Change::Config(_) | Change::Override(_) => {}
            }
        }
        for row in events.into_values() {
            loaded.books.remember_event_key(row.config_id, &row.event_id, row.id);
            if row.processing_status == ProcessingStatus::Pending {
                loaded.books.load(Change::Event(Box::new(row.clone())));
            }
        }
        loaded.books.set_counters(durable.last().map(|commit| commit.counters).unwrap_or_default());
        loaded
    }

    /// The books that the recorded commits make, applied one after another.
    pub(super) fn replayed(&self) -> Books {
        let mut books = Books::new();
        lock(&self.durable).iter().for_each(|commit| books.apply(commit));
        books
    }

    pub(super) fn commits(&self) -> usize {
        lock(&self.durable).len()
    }

    pub(super) fn event_row(&self, id: EventId) -> Option<ProviderEvent> {
        self.newest(|change| match change {
            Change::Event(row) if row.id == id => Some((**row).clone()),
            _ => None,
        })
    }

    pub(super) fn has_transaction(&self, id: TransactionId, status: u8) -> bool {
        let row = self.newest(|change| match change {
            Change::Transaction(row) if row.id == id => Some(row.status.number()),
            _ => None,
        });
        row == Some(status)
    }

    /// The version of a transaction's row.
    pub(super) fn version_of(&self, id: TransactionId) -> Option<u32> {
        self.newest(|change| match change {
            Change::Transaction(row) if row.id == id => Some(row.version),
            _ => None,
        })
    }

    fn newest<T>(&self, meant: impl Fn(&Change) -> Option<T>) -> Option<T> {
        lock(&self.durable).iter().rev().find_map(|commit| commit.changes.iter().rev().find_map(&meant))
    }

    fn newest_body<T>(&self, meant: impl Fn(&Body) -> Option<T>) -> Option<T> {
        lock(&self.durable).iter().rev().find_map(|commit| commit.bodies.iter().rev().find_map(&meant))
    }
}

impl Pen {
    fn write(&self) {
        let batch = std::mem::take(&mut *lock(&self.queue));
        let Some(last) = batch.last().map(|commit| commit.seq) else { return };
        let fails = match self.disk.fail_in.load(Ordering::SeqCst) {
            0 => false,
            left => {
                self.disk.fail_in.store(left - 1, Ordering::SeqCst);
                left == 1
            }
        };
        let mut durable = lock(&self.disk.durable);
        if !fails || self.disk.fails_after_writing.load(Ordering::SeqCst) {
            let newest = durable.last().map_or(0, |commit| commit.seq.0);
            assert!(batch.iter().map(|commit| commit.seq.0).eq(newest + 1..=last.0), "commits come in their order");
            durable.extend(batch);
        }
        drop(durable);
        if fails {
            self.shut.store(true, Ordering::SeqCst);
            lock(&self.queue).clear();
            self.synced.failed(&Fault::new("disk full"));
        } else {
            self.synced.synced(last);
        }
    }
}

impl Recorder for Pen {
    fn submit(&self, commit: Arc<Commit>) {
        if !self.shut.load(Ordering::SeqCst) {
            lock(&self.queue).push(commit);
            self.wake.notify_one();
        }
    }

    fn reload(&self) -> BoxFuture<'static, Result<Loaded, Fault>> {
        lock(&self.queue).clear();
        let loaded = self.disk.loaded();
        self.shut.store(false, Ordering::SeqCst);
        Box::pin(std::future::ready(Ok(loaded)))
    }
}

impl Archive for Disk {
    fn answer(&self, id: TransactionId) -> BoxFuture<'static, Result<Option<StoredAnswer>, Fault>> {
        let found = self.newest_body(|body| match body {
            Body::Answer { transaction_id, redirect_url, instructions_json } if *transaction_id == id => {
                let (redirect_url, instructions_json) = (redirect_url.clone(), instructions_json.clone());
                Some(StoredAnswer { redirect_url, instructions_json })
            }
            _ => None,
        });
        Box::pin(std::future::ready(Ok(found)))
    }

    fn event(&self, id: EventId) -> BoxFuture<'static, Result<Option<ProviderEvent>, Fault>> {
        Box::pin(std::future::ready(Ok(self.event_row(id))))
    }

    fn notice(&self, _id: NoticeId) -> BoxFuture<'static, Result<Option<StoredNotice>, Fault>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn order(&self, id: TransactionId) -> BoxFuture<'static, Result<Option<OrderDetails>, Fault>> {
        let found = self.newest_body(|body| match body {
            Body::Order { transaction_id, details } if *transaction_id == id => Some(details.clone()),
            _ => None,
        });
        Box::pin(std::future::ready(Ok(found)))
    }
}
