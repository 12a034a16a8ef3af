//! Real databases under a test cashier, in a folder as the program has it. Every call waits for the disk without letting
//! paused time pass, so that a run is the same each time. Copies of the pair are made and put back as an operator does.

use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};

use cashier_core::change::{Commit, OrderDetails};
use cashier_core::explanation::PaymentHistory;
use cashier_core::filter::{AuditField, EventField, Filter, RowPage};
use cashier_core::ids::{ConfigId, EventId, ManagerId, NoticeId, Seq, TransactionId};
use cashier_core::notice::ProviderEvent;
use cashier_core::reconcile::FoundPosting;
use cashier_core::texts::Texts;
use cashier_core::time::UnixTime;
use futures_util::future::{BoxFuture, ready};
use tempfile::TempDir;

use super::clock::TestEntropy;
use super::lock;
use crate::pair::offline::TakeOver;
use crate::pair::{self, Reconciliation};
use crate::ports::{
    Archive, AuditRow, ConfigHistory, DurabilityListener, EventPage, Fault, Loaded, PaymentTraces, Recorder,
    StoredAnswer, StoredNotice,
};
use crate::strand::archive::ArchiveReader;
use crate::strand::seal::SealKeys;
use crate::strand::{self, BatchLimits, Strand, StrandSettings};
use crate::trading::embedded::Embedded;
use crate::trading::import::import_text;

const BOOKS: &str = "cashier.db";
const POSTINGS: &str = "trading.db";

const RING: &str = "7:0707070707070707070707070707070707070707070707070707070707070707";

/// The accounts of [`super::LOGINS`].
const ROSTER: &str = r#"{
  "groups": [{"group": "real", "brand": "ion4", "currency": "USD", "account_mode": 1, "enable": 1}],
  "customers": [{"customer_id": 5, "country": "DE", "brand": "ion4", "status": 0, "deposit_allowed": 1, "withdrawal_allowed": 1}],
  "accounts": [{"login": 2000009, "customer_id": 5, "group": "real", "enable": 1},
               {"login": 2000012, "customer_id": 5, "group": "real", "enable": 1}]
}"#;

/// More postings than any test makes.
const POSTINGS_MAX: usize = 100_000;

pub(crate) struct Bases {
    folder: TempDir,
    entropy: Arc<TestEntropy>,
    open: Mutex<Option<OpenBases>>,
}

struct OpenBases {
    strand: Arc<Strand>,
    synced: mpsc::Receiver<Seq>,
    archive: ArchiveReader,
    trading: Arc<Embedded>,
}

struct Synced(mpsc::Sender<Seq>);

impl DurabilityListener for Synced {
    fn synced(&self, up_to: Seq) {
        // The bases may be closing.
        let _ = self.0.send(up_to);
    }

    fn failed(&self, fault: &Fault) {
        panic!("{fault}");
    }
}

impl Bases {
    /// No books yet, and the accounts.
    pub(super) fn new(entropy: Arc<TestEntropy>) -> Self {
        let folder = folder();
        let trading = Embedded::open(folder.path()).unwrap();
        thread::scope(|scope| scope.spawn(|| import_text(ROSTER, &trading).unwrap()).join().unwrap());
        trading.close();
        Self { folder, entropy, open: Mutex::default() }
    }

    /// Opens both databases as a start does; a pair that differs is refused.
    pub(crate) fn open(&self) -> Result<Loaded, Fault> {
        let (sender, synced) = mpsc::channel();
        let settings = StrandSettings {
            path: self.folder.path().join(BOOKS),
            keys: SealKeys::parse(RING)?,
            entropy: Arc::clone(&self.entropy) as _,
            batch: BatchLimits::default(),
        };
        let strand = Arc::new(strand::open(settings, Arc::new(Synced(sender)))?);
        let archive = ArchiveReader::open(strand.path())?;
        let trading = Arc::new(Embedded::open(self.folder.path())?);
        let loaded = wait(strand.reload())?;
        wait(pair::check(&loaded, &trading))?;
        *lock(&self.open) = Some(OpenBases { strand, synced, archive, trading });
        Ok(loaded)
    }

    pub(crate) fn close(&self) {
        if let Some(open) = lock(&self.open).take() {
            open.trading.close();
            open.strand.close().unwrap();
        }
    }

    pub(super) fn write(&self, batch: &[Arc<Commit>]) {
        let Some(last) = batch.last() else { return };
        self.with(|open| {
            batch.iter().for_each(|commit| open.strand.submit(Arc::clone(commit)));
            while open.synced.recv().unwrap() < last.seq {}
        });
    }

    /// Every durable row.
    pub(crate) fn loaded(&self) -> Loaded {
        self.with(|open| wait(open.strand.reload()).unwrap())
    }

    pub(crate) fn trading(&self) -> Arc<Embedded> {
        self.with(|open| Arc::clone(&open.trading))
    }

    /// What was posted, and refused.
    pub(crate) fn postings(&self) -> Vec<FoundPosting> {
        wait(self.trading().postings("", POSTINGS_MAX)).unwrap()
    }

    /// A matched pair, made while the cashier serves.
    pub(crate) fn backup(&self, now: UnixTime) -> TempDir {
        let copy = folder();
        pair::backup::backup(self.folder.path(), &copy.path().join("pair"), now).unwrap();
        copy
    }

    /// Puts back what a backup has of one database or of both; the cashier must not run.
    pub(crate) fn put_back(&self, backup: &TempDir, books: bool, postings: bool) {
        for name in
            [BOOKS, POSTINGS].into_iter().zip([books, postings]).filter_map(|(name, chosen)| chosen.then_some(name))
        {
            self.remove(name);
            std::fs::copy(backup.path().join("pair").join(name), self.folder.path().join(name)).unwrap();
        }
    }

    pub(crate) fn lose_the_books(&self) {
        self.remove(BOOKS);
    }

    fn remove(&self, name: &str) {
        for suffix in ["", "-wal", "-shm"] {
            // A database that was closed has no log.
            let _ = std::fs::remove_file(self.folder.path().join(format!("{name}{suffix}")));
        }
    }

    pub(crate) fn reconcile(&self, now: UnixTime, apply: bool) -> Reconciliation {
        let taken = if apply { TakeOver::Differences } else { TakeOver::Nothing };
        let entropy = Arc::clone(&self.entropy) as _;
        wait(pair::offline::reconcile(self.folder.path(), RING, entropy, || now, taken, None)).unwrap()
    }

    fn with<T>(&self, work: impl FnOnce(&OpenBases) -> T) -> T {
        work(lock(&self.open).as_ref().expect("the bases are open"))
    }
}

impl Archive for Bases {
    fn events(&self, filter: Filter<EventField>, bytes_max: usize) -> BoxFuture<'static, Result<EventPage, Fault>> {
        Box::pin(ready(self.with(|open| wait(open.archive.events(filter, bytes_max)))))
    }

    fn config_history(&self, id: ConfigId) -> BoxFuture<'static, Result<ConfigHistory, Fault>> {
        Box::pin(ready(self.with(|open| wait(open.archive.config_history(id)))))
    }

    fn sole_manager(&self) -> BoxFuture<'static, Result<Option<ManagerId>, Fault>> {
        Box::pin(ready(self.with(|open| wait(open.archive.sole_manager()))))
    }

    fn audit(
        &self,
        filter: Filter<AuditField>,
        brand: Option<Box<str>>,
    ) -> BoxFuture<'static, Result<Option<RowPage<AuditRow>>, Fault>> {
        Box::pin(ready(self.with(|open| wait(open.archive.audit(filter, brand)))))
    }

    fn payment_history(&self, of: PaymentTraces) -> BoxFuture<'static, Result<PaymentHistory, Fault>> {
        Box::pin(ready(self.with(|open| wait(open.archive.payment_history(of)))))
    }

    fn answer(&self, id: TransactionId) -> BoxFuture<'static, Result<Option<StoredAnswer>, Fault>> {
        Box::pin(ready(self.with(|open| wait(open.archive.answer(id)))))
    }

    fn event(&self, id: EventId) -> BoxFuture<'static, Result<Option<ProviderEvent>, Fault>> {
        Box::pin(ready(self.with(|open| wait(open.archive.event(id)))))
    }

    fn notice(&self, id: NoticeId) -> BoxFuture<'static, Result<Option<StoredNotice>, Fault>> {
        Box::pin(ready(self.with(|open| wait(open.archive.notice(id)))))
    }

    fn texts(&self, ids: &[TransactionId]) -> BoxFuture<'static, Result<Vec<(TransactionId, Arc<Texts>)>, Fault>> {
        Box::pin(ready(self.with(|open| wait(open.archive.texts(ids)))))
    }

    fn texts_change(&self, id: TransactionId) {
        self.with(|open| open.archive.texts_change(id));
    }

    fn order(&self, id: TransactionId) -> BoxFuture<'static, Result<Option<OrderDetails>, Fault>> {
        Box::pin(ready(self.with(|open| wait(open.archive.order(id)))))
    }
}

/// In memory where the machine offers it: what is tried here is not the disk.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// Blocks until another thread has answered.
pub(crate) fn wait<T>(answer: impl Future<Output = T>) -> T {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Arc::new(Unpark(thread::current())).into();
    // A task that used up its budget would never get an answer without yielding.
    let mut answer = pin!(tokio::task::unconstrained(answer));
    loop {
        match answer.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
