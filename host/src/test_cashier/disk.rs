//! The disk of the test cashier, behind the recorder's and the archive's ports: commits become durable a moment after they
//! were submitted, writing can be held, and it can fail. Durable rows survive crashes; queued commits do not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use cashier_core::books::{Books, StoredEvent};
use cashier_core::change::{AuditRecord, Body, Change, Commit, Counters, OrderDetails};
use cashier_core::dependence::Refusals;
use cashier_core::edit::AuditedValue;
use cashier_core::explanation::{PaymentHistory, StoredAct};
use cashier_core::filter::{AuditField, EventField, Filter, RowPage};
use cashier_core::ids::{ConfigId, EventId, ManagerId, NoticeId, Seq, TransactionId};
use cashier_core::notice::{ProviderEvent, Update};
use cashier_core::provider_call;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::status::SignatureStatus;
use cashier_core::texts::Texts;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::bases::{Bases, wait};
use super::lock;
use crate::ports::{
    Archive, AuditRow, ConfigHistory, Configuration, DurabilityListener, EventPage, Fault, Loaded, PaymentTraces,
    Recorder, Refused, Spawn, StoredAnswer, StoredNotice,
};

/// How long a commit takes to become durable.
const WRITE_TIME: Duration = Duration::from_millis(2);

pub(crate) struct TestDisk {
    configs: Mutex<Vec<ProviderConfig>>,
    /// Real files that keep the rows; then `durable` has what was written since the last start.
    bases: Option<Arc<Bases>>,
    durable: Mutex<Vec<Arc<Commit>>>,
    /// Nothing becomes durable while this is set.
    pub(crate) held: AtomicBool,
    /// The batch of this number from here fails; 0 is never.
    pub(crate) fail_in: AtomicU32,
    /// The batch of this number from here is refused, alone; 0 is never.
    pub(crate) refuse_in: AtomicU32,
    /// Whether a failing batch becomes durable all the same.
    pub(crate) fails_after_writing: AtomicBool,
    /// Bodies of webhooks were deleted for their age.
    pub(crate) without_notices: AtomicBool,
    /// How often texts were read.
    pub(crate) text_reads: AtomicU32,
    /// What is stored about one transaction cannot be read.
    pub(crate) history_fails: AtomicBool,
    current: Mutex<Weak<DiskWriter>>,
}

fn stored_act(commit: &Commit, record: &AuditRecord) -> StoredAct {
    let shown = |value: &AuditedValue| match value {
        AuditedValue::Clear(text) => text.to_string(),
        AuditedValue::Hidden(_) => "fingerprint".to_owned(),
    };
    let changes = record.changes.iter();
    StoredAct {
        seq: commit.seq,
        at: commit.at,
        manager_id: record.manager_id,
        role: record.role,
        brand: record.brand.clone(),
        command: record.command.clone(),
        outcome: record.outcome.to_string().into(),
        changes: changes.map(|known| [known.field.to_string(), shown(&known.before), shown(&known.after)]).collect(),
    }
}

/// The recorder of one run of the cashier.
struct DiskWriter {
    disk: Arc<TestDisk>,
    /// The newest commit when it started.
    begun: Seq,
    synced: Arc<dyn DurabilityListener>,
    queue: Mutex<Vec<Arc<Commit>>>,
    /// Numbers that are written never.
    refused: Mutex<BTreeSet<Seq>>,
    closed: AtomicBool,
    wake: Notify,
}

/// Whether the turn of a batch has come: it is of this number from here.
fn is_turn(number: &AtomicU32) -> bool {
    let counted = number.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    counted == Ok(1)
}

impl TestDisk {
    pub(crate) fn new(configs: Vec<ProviderConfig>, bases: Option<Arc<Bases>>) -> Arc<Self> {
        Arc::new(Self {
            configs: Mutex::new(configs),
            bases,
            durable: Mutex::default(),
            held: AtomicBool::new(false),
            fail_in: AtomicU32::new(0),
            refuse_in: AtomicU32::new(0),
            fails_after_writing: AtomicBool::new(false),
            without_notices: AtomicBool::new(false),
            text_reads: AtomicU32::new(0),
            history_fails: AtomicBool::new(false),
            current: Mutex::default(),
        })
    }

    pub(crate) fn power_on(
        self: &Arc<Self>,
        synced: Arc<dyn DurabilityListener>,
        tasks: &dyn Spawn,
    ) -> Arc<dyn Recorder> {
        let mut begun = Seq(0);
        if let Some(bases) = &self.bases {
            lock(&self.durable).clear();
            begun = Seq(bases.open().unwrap().books.counters().seq);
        }
        let writer = Arc::new(DiskWriter {
            disk: Arc::clone(self),
            begun,
            synced,
            queue: Mutex::default(),
            refused: Mutex::default(),
            closed: AtomicBool::new(false),
            wake: Notify::new(),
        });
        *lock(&self.current) = Arc::downgrade(&writer);
        let writing = Arc::clone(&writer);
        tasks.background(Box::pin(async move {
            loop {
                writing.wake.notified().await;
                tokio::time::sleep(WRITE_TIME).await;
                while writing.disk.held.load(Ordering::SeqCst) {
                    tokio::time::sleep(WRITE_TIME).await;
                }
                writing.write();
            }
        }));
        writer
    }

    /// Queued commits are lost, and so are later submissions of the cashier that crashed.
    pub(crate) fn power_off(&self) {
        if let Some(writer) = lock(&self.current).upgrade() {
            writer.closed.store(true, Ordering::SeqCst);
            lock(&writer.queue).clear();
        }
        self.held.store(false, Ordering::SeqCst);
        if let Some(bases) = &self.bases {
            bases.close();
        }
    }

    pub(crate) fn archive(self: &Arc<Self>) -> Arc<dyn Archive> {
        match &self.bases {
            Some(bases) => Arc::clone(bases) as _,
            None => Arc::clone(self) as _,
        }
    }

    /// What the first start read, as it reads now that a key is there.
    pub(crate) fn replace_configs(&self, configs: Vec<ProviderConfig>) {
        *lock(&self.configs) = configs;
    }

    pub(crate) fn configs(&self) -> Vec<ProviderConfig> {
        let mut configs: BTreeMap<_, _> =
            lock(&self.configs).iter().map(|config| (config.id, config.clone())).collect();
        for change in lock(&self.durable).iter().flat_map(|commit| &commit.changes) {
            match change {
                Change::Config(config) => drop(configs.insert(config.id, (**config).clone())),
                Change::ConfigDeleted(id) => drop(configs.remove(id)),
                _ => {}
            }
        }
        configs.into_values().collect()
    }

    /// Every durable row.
    pub(crate) fn loaded(&self) -> Loaded {
        if let Some(bases) = &self.bases {
            return Loaded { configs: self.configs(), ..bases.loaded() };
        }
        let mut loaded = Loaded { configs: self.configs(), ..Loaded::default() };
        let mut events: BTreeMap<EventId, &ProviderEvent> = BTreeMap::new();
        let durable = lock(&self.durable);
        for change in durable.iter().flat_map(|commit| &commit.changes) {
            match change {
                Change::Transaction(_) | Change::Operation(_) => loaded.books.load(change.clone()),
                Change::Event(row) if row.signature_status == SignatureStatus::Valid => {
                    events.insert(row.id, row);
                }
                Change::Approval(row) => loaded.approvals.push((**row).clone()),
                Change::Event(_) | Change::Config(_) | Change::ConfigDeleted(_) | Change::Override(_) => {}
            }
        }
        for row in events.into_values() {
            loaded.books.remember_event_key(row.config_id, &row.event_id, row.id);
            if row.waits() {
                let bodies = durable.iter().flat_map(|commit| &commit.bodies).filter_map(Body::notice);
                let bytes = bodies.filter(|(id, _)| *id == row.notice_id).map(|(_, length)| length).next_back();
                loaded.books.load_event(row, bytes.unwrap_or_default());
            }
        }
        loaded.books.set_counters(durable.last().map_or(self.first_counters(), |commit| commit.counters));
        loaded
    }

    /// The books after every durable commit, applied one after another.
    pub(crate) fn replayed(&self) -> Books {
        let mut books = Books::new();
        books.set_counters(self.first_counters());
        lock(&self.durable).iter().for_each(|commit| books.apply(commit));
        books
    }

    fn first_counters(&self) -> Counters {
        let config = lock(&self.configs).iter().map(|config| config.id.0).max().unwrap_or_default();
        Counters { config, ..Counters::default() }
    }

    pub(crate) fn commits(&self) -> usize {
        lock(&self.durable).len()
    }

    /// The body of a stored notice becomes another, as by a person who edits the file.
    pub(crate) fn alter_body(&self, notice: NoticeId, text: &str) {
        for commit in lock(&self.durable).iter_mut() {
            for known in &mut Arc::make_mut(commit).bodies {
                if let Body::Notice { id, body, .. } = known
                    && *id == notice
                {
                    *body = text.as_bytes().into();
                }
            }
        }
    }

    /// Every durable body, in the order of the commits.
    pub(crate) fn bodies(&self) -> Vec<Body> {
        lock(&self.durable).iter().flat_map(|commit| commit.bodies.clone()).collect()
    }

    pub(crate) fn event_row(&self, id: EventId) -> Option<ProviderEvent> {
        let newest = self.newest(|change| match change {
            Change::Event(row) if row.id == id => Some((**row).clone()),
            _ => None,
        });
        newest.or_else(|| wait(self.bases.as_ref()?.event(id)).unwrap())
    }

    pub(crate) fn has_transaction(&self, id: TransactionId, status: u8) -> bool {
        let row = self.newest(|change| match change {
            Change::Transaction(row) if row.id == id => Some(row.status.number()),
            _ => None,
        });
        row == Some(status)
    }

    /// The version of a transaction's row.
    pub(crate) fn version_of(&self, id: TransactionId) -> Option<u32> {
        let newest = self.newest(|change| match change {
            Change::Transaction(row) if row.id == id => Some(row.version),
            _ => None,
        });
        newest.or_else(|| Some(self.bases.as_ref()?.loaded().books.transaction(id)?.version))
    }

    fn newest<T>(&self, find: impl Fn(&Change) -> Option<T>) -> Option<T> {
        lock(&self.durable).iter().rev().find_map(|commit| commit.changes.iter().rev().find_map(&find))
    }

    fn newest_body<T>(&self, find: impl Fn(&Body) -> Option<T>) -> Option<T> {
        lock(&self.durable).iter().rev().find_map(|commit| commit.bodies.iter().rev().find_map(&find))
    }
}

impl DiskWriter {
    fn write(&self) {
        let batch = std::mem::take(&mut *lock(&self.queue));
        let Some(last) = batch.last().map(|commit| commit.seq) else { return };
        if is_turn(&self.disk.refuse_in) {
            return self.refuse(last, &batch);
        }
        let fails = is_turn(&self.disk.fail_in);
        let mut durable = lock(&self.disk.durable);
        if !fails || self.disk.fails_after_writing.load(Ordering::SeqCst) {
            let newest = durable.last().map_or(self.begun, |commit| commit.seq).0;
            let refused = lock(&self.refused);
            let expected = (newest + 1..=last.0).filter(|seq| !refused.contains(&Seq(*seq)));
            assert!(batch.iter().map(|commit| commit.seq.0).eq(expected), "commits arrive in order");
            if let Some(bases) = &self.disk.bases {
                bases.write(&batch);
            }
            durable.extend(batch);
        }
        drop(durable);
        if fails {
            self.closed.store(true, Ordering::SeqCst);
            lock(&self.queue).clear();
            self.synced.failed(&Fault::new("disk full"));
        } else {
            self.synced.synced(last);
        }
    }
}

impl DiskWriter {
    /// Refuses a batch with what rests on it, as the strand does.
    fn refuse(&self, up_to: Seq, batch: &[Arc<Commit>]) {
        let mut refusals = Refusals::default();
        batch.iter().for_each(|commit| refusals.add(commit));
        let put_back = self.synced.refused(up_to, &mut |_| {
            let mut queue = lock(&self.queue);
            queue.retain(|commit| {
                let rests = refusals.reaches(commit);
                if rests {
                    refusals.add(commit);
                }
                !rests
            });
            lock(&self.refused).extend(refusals.seqs());
            let stored = self.disk.loaded().books;
            let event = |(id, config, key): &(EventId, ConfigId, Box<str>)| StoredEvent {
                id: *id,
                config: *config,
                event_id: key.clone(),
                row: stored.pending_event(*id).map(|row| (row.clone(), 0)),
                owner: stored.known_event(*config, key),
            };
            Ok(Refused {
                seqs: refusals.seqs().to_vec(),
                transactions: refusals.transactions().iter().map(|id| (*id, stored.aggregate(*id))).collect(),
                events: refusals.events().iter().map(event).collect(),
                waiting: queue.clone(),
            })
        });
        put_back.unwrap();
    }
}

impl Recorder for DiskWriter {
    fn submit(&self, commit: Arc<Commit>) {
        if !self.closed.load(Ordering::SeqCst) {
            lock(&self.queue).push(commit);
            self.wake.notify_one();
        }
    }

    fn reload(&self) -> BoxFuture<'static, Result<Loaded, Fault>> {
        lock(&self.queue).clear();
        let loaded = self.disk.loaded();
        self.closed.store(false, Ordering::SeqCst);
        Box::pin(std::future::ready(Ok(loaded)))
    }

    fn configuration(&self) -> BoxFuture<'static, Result<Configuration, Fault>> {
        Box::pin(std::future::ready(Ok(self.disk.loaded().split().1)))
    }
}

impl Archive for TestDisk {
    fn events(&self, filter: Filter<EventField>, bytes_max: usize) -> BoxFuture<'static, Result<EventPage, Fault>> {
        let mut events: BTreeMap<EventId, ProviderEvent> = BTreeMap::new();
        for change in lock(&self.durable).iter().flat_map(|commit| &commit.changes) {
            if let Change::Event(row) = change {
                let update = row.update.clone().map(Update::shown);
                events.insert(row.id, ProviderEvent { update, ..(**row).clone() });
            }
        }
        let page = filter.page(events.values());
        let bytes = page.rows.iter().map(|row| EventPage::row_bytes(row)).sum();
        let rows = page.rows.into_iter().cloned().collect();
        let found =
            if bytes <= bytes_max { EventPage::Found { rows, count: page.count } } else { EventPage::TooLarge(bytes) };
        Box::pin(std::future::ready(Ok(found)))
    }

    fn config_history(&self, id: ConfigId) -> BoxFuture<'static, Result<ConfigHistory, Fault>> {
        let mut history = ConfigHistory::default();
        for body in self.bodies() {
            if let Body::Audit(record) = body
                && record.config_id == id
                && record.outcome == "saved"
            {
                let set = |field: &str, value: &str| {
                    let value = AuditedValue::Clear(value.into());
                    record.changes.iter().any(|change| &*change.field == field && change.after == value)
                };
                history.was_created |= record
                    .changes
                    .iter()
                    .any(|change| &*change.field == "provider" && change.before == AuditedValue::Clear(Box::default()));
                history.was_enabled |= set("enabled", "1");
            }
        }
        Box::pin(std::future::ready(Ok(history)))
    }

    fn sole_manager(&self) -> BoxFuture<'static, Result<Option<ManagerId>, Fault>> {
        let bodies = self.bodies();
        let named = bodies.iter().filter_map(|body| match body {
            Body::Audit(record) if record.role.may_manage_cashier() => Some(record.manager_id),
            _ => None,
        });
        let named: BTreeSet<ManagerId> = named.collect();
        let sole = named.first().filter(|_| named.len() == 1).copied();
        Box::pin(std::future::ready(Ok(sole)))
    }

    fn audit(
        &self,
        filter: Filter<AuditField>,
        brand: Option<Box<str>>,
    ) -> BoxFuture<'static, Result<Option<RowPage<AuditRow>>, Fault>> {
        let durable = lock(&self.durable);
        let records = durable.iter().flat_map(|commit| commit.bodies.iter().map(move |body| (commit, body)));
        let rows = records.filter_map(|(commit, body)| match body {
            Body::Audit(record) => Some(audit_row(commit, record)),
            _ => None,
        });
        let page = filter.page(rows.filter(|row| brand.as_ref().is_none_or(|brand| row.brand == *brand)));
        Box::pin(std::future::ready(Ok(Some(page))))
    }

    fn payment_history(&self, of: PaymentTraces) -> BoxFuture<'static, Result<PaymentHistory, Fault>> {
        if self.history_fails.load(Ordering::SeqCst) {
            return Box::pin(std::future::ready(Err(Fault::new("disk gone"))));
        }
        if let Some(bases) = &self.bases {
            return bases.payment_history(of);
        }
        let mut history = PaymentHistory::default();
        for commit in lock(&self.durable).iter() {
            let events = commit.changes.iter().filter_map(|change| match change {
                Change::Event(row) if row.transaction_id == of.id => Some((**row).clone()),
                _ => None,
            });
            for event in events {
                history.events.retain(|known| known.id != event.id);
                history.events.push(event);
            }
            for body in &commit.bodies {
                match body {
                    Body::Calls { transaction_id, calls } if *transaction_id == of.id => {
                        history.calls = provider_call::kept(std::mem::take(&mut history.calls), calls);
                    }
                    Body::Audit(record) if record.transaction_id == of.id => {
                        history.acts.push(stored_act(commit, record))
                    }
                    _ => {}
                }
            }
        }
        Box::pin(std::future::ready(Ok(history)))
    }

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

    fn notice(&self, id: NoticeId) -> BoxFuture<'static, Result<Option<StoredNotice>, Fault>> {
        if self.without_notices.load(Ordering::SeqCst) {
            return Box::pin(std::future::ready(Ok(None)));
        }
        let found = self.newest_body(|known| match known.clone() {
            Body::Notice { id: own, received_time, method, path, raw_query, headers_json, body, sha256 }
                if own == id =>
            {
                let body = Bytes::copy_from_slice(&body);
                Some(StoredNotice { id, received_time, method, path, raw_query, headers_json, sha256, body })
            }
            _ => None,
        });
        Box::pin(std::future::ready(Ok(found)))
    }

    fn texts(&self, ids: &[TransactionId]) -> BoxFuture<'static, Result<Vec<(TransactionId, Arc<Texts>)>, Fault>> {
        let of = |id: &TransactionId| {
            self.newest_body(|body| match body {
                Body::Texts { transaction_id, texts } if transaction_id == id => Some((*id, Arc::new(texts.clone()))),
                _ => None,
            })
        };
        self.text_reads.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(Ok(ids.iter().filter_map(of).collect())))
    }

    fn order(&self, id: TransactionId) -> BoxFuture<'static, Result<Option<OrderDetails>, Fault>> {
        let found = self.newest_body(|body| match body {
            Body::Order { transaction_id, details } if *transaction_id == id => Some(details.clone()),
            _ => None,
        });
        Box::pin(std::future::ready(Ok(found)))
    }
}

/// A record as the strand would store it, but for its hash and the fingerprints of secrets.
fn audit_row(commit: &Commit, record: &AuditRecord) -> AuditRow {
    let text = |value: &AuditedValue| match value {
        AuditedValue::Clear(text) => text.clone(),
        AuditedValue::Hidden(_) => "fingerprint".into(),
    };
    AuditRow {
        id: commit.seq.0,
        created_time: commit.at,
        manager_id: record.manager_id,
        role: record.role.number(),
        brand: record.brand.clone(),
        address: record.address.clone(),
        request_id: commit.request_id.clone(),
        command: record.command.clone(),
        config_id: record.config_id,
        transaction_id: record.transaction_id,
        approval_id: record.approval,
        outcome: record.outcome.clone().into(),
        changes: record
            .changes
            .iter()
            .map(|change| [change.field.clone(), text(&change.before), text(&change.after)])
            .collect(),
        hash: Box::default(),
    }
}
