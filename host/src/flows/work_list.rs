//! The work list: everything that waits for a person, for somebody's answer or for time, collected in bounded holds of the
//! ledger's lock from the indexes of what has work. What waits is the core's to say (`core::duty`).

use std::collections::BTreeMap;
use std::sync::Arc;

use cashier_core::approval::{Approval, ApprovalState};
use cashier_core::books::Books;
use cashier_core::duty::{self, WorkItem, WorkKind};
use cashier_core::filter::{Filter, WorkField};
use cashier_core::ids::{ConfigId, EventId, Seq, TransactionId};
use cashier_core::refusal::Refusal;
use cashier_core::session::ManagerSession;
use cashier_core::time::UnixTime;

use super::Cashier;
use super::list_limits::ListPermit;
use super::list_reader::{ListReader, ManagerReader};
use super::trading_servers;
use crate::ledger::storage_unavailable;
use crate::snapshot::{NoGateway, Served, Snapshot};

/// Transactions or events examined in one hold of the ledger's lock: some 200 µs, so that deposits do not wait for the list.
const WORK_PER_HOLD: usize = 128;

/// Items kept beyond the page until they are reduced to it.
const ITEMS_SPARE: usize = 4_096;

/// What an item takes in memory with its texts, about.
const ITEM_BYTES: usize = 512;

/// A page of the work list, with the permit that ends when it was sent.
pub struct WorkPage {
    pub items: Vec<WorkItem>,
    /// Matching items before pagination.
    pub count: u64,
    /// The same by kind; kinds without any are left out.
    pub kinds: BTreeMap<WorkKind, u64>,
    /// When the items were examined: their age is counted from here.
    pub now: UnixTime,
    pub permit: ListPermit,
}

/// What was found so far: the first items in the filter's order, and the numbers of all.
struct FoundWork<'f> {
    filter: &'f Filter<WorkField>,
    session: &'f ManagerSession,
    wanted: usize,
    items: Vec<WorkItem>,
    kinds: BTreeMap<WorkKind, u64>,
}

impl<'f> FoundWork<'f> {
    fn new(filter: &'f Filter<WorkField>, session: &'f ManagerSession, wanted: usize) -> Self {
        Self { filter, session, wanted, items: Vec::new(), kinds: BTreeMap::new() }
    }

    /// Takes an item that the session sees and the filter admits; returns whether it did.
    fn take(&mut self, item: WorkItem) -> bool {
        let is_taken = self.session.sees(&item.brand) && self.filter.matches(&item);
        if is_taken {
            *self.kinds.entry(item.kind).or_default() += 1;
            self.items.push(item);
        }
        is_taken
    }

    fn reduce(&mut self) {
        let most = self.wanted.saturating_add(ITEMS_SPARE);
        if self.items.len() > most {
            let filter = self.filter;
            // Stable: items with equal keys keep the order in which they are found.
            self.items.sort_by(|left, right| filter.compare(left, right));
            self.items.truncate(self.wanted);
        }
    }
}

/// A page of what waits, as it is in the hold in which it was examined: what changes meanwhile is shown once, or not at all
/// where it ended. The answer waits until what it shows is durable.
///
/// # Errors
/// 429 where too many lists are being sent; the books were read again meanwhile.
pub async fn list(
    cashier: &Cashier,
    session: &ManagerSession,
    filter: &Filter<WorkField>,
) -> Result<WorkPage, Refusal> {
    let mut permit = cashier.list_permit(ListReader::Manager(ManagerReader::of(session))).await?;
    let (now, epoch) = (cashier.clock.now(), cashier.ledger.epoch());
    let wanted = usize::try_from(filter.offset()).unwrap_or(usize::MAX).saturating_add(filter.limit());
    let mut found = FoundWork::new(filter, session, wanted);
    let (of_configuration, mut newest) = of_configuration(cashier, now).await?;
    of_configuration.into_iter().for_each(|item| {
        found.take(item);
    });
    let mut cursor = WorkCursor::Transactions(TransactionId(0));
    loop {
        let (next, touched) = cashier.ledger.peek(|books| examine(books, &cursor, now, &mut found))?;
        newest = newest.max(touched);
        permit.hold(found.items.len().saturating_mul(ITEM_BYTES)).await?;
        found.reduce();
        match next {
            Some(next) => cursor = next,
            None => break,
        }
        tokio::task::yield_now().await;
    }
    cashier.ledger.read(|_| ((), newest))?.durable().await?;
    if cashier.ledger.epoch() != epoch {
        return Err(storage_unavailable());
    }
    let FoundWork { items, kinds, .. } = found;
    let count = kinds.values().sum();
    let page = filter.page(items);
    Ok(WorkPage { items: page.rows, count, kinds, now, permit })
}

/// Everything that waits, in the order in which it is found: what the configuration waits for, then transactions by id, then events.
/// It holds the items of one hold of the lock, however many there are.
pub struct WorkExport {
    cashier: Arc<Cashier>,
    session: ManagerSession,
    filter: Filter<WorkField>,
    /// When it began: the age of items is counted from here.
    now: UnixTime,
    epoch: u64,
    of_configuration: Vec<WorkItem>,
    next: Option<WorkCursor>,
    left: u64,
    permit: ListPermit,
}

/// Up to so many items. An item that waits from the begin to the end is in it once.
///
/// # Errors
/// 429 where too many exports are being sent.
pub async fn export(
    cashier: &Arc<Cashier>,
    session: &ManagerSession,
    filter: Filter<WorkField>,
    most: u64,
) -> Result<WorkExport, Refusal> {
    let permit = cashier.list_permit(ListReader::Export(ManagerReader::of(session))).await?;
    let (now, epoch) = (cashier.clock.now(), cashier.ledger.epoch());
    let (of_configuration, newest) = of_configuration(cashier, now).await?;
    cashier.ledger.read(|_| ((), newest))?.durable().await?;
    let mut found = FoundWork::new(&filter, session, usize::MAX);
    of_configuration.into_iter().for_each(|item| {
        found.take(item);
    });
    let of_configuration = found.items;
    Ok(WorkExport {
        cashier: Arc::clone(cashier),
        session: session.clone(),
        filter,
        now,
        epoch,
        of_configuration,
        next: Some(WorkCursor::Transactions(TransactionId(0))),
        left: most,
        permit,
    })
}

impl WorkExport {
    pub fn now(&self) -> UnixTime {
        self.now
    }

    /// Every item was given out.
    pub fn is_finished(&self) -> bool {
        self.left == 0 || (self.of_configuration.is_empty() && self.next.is_none())
    }

    /// The next items, which are durable; none once all were given out.
    ///
    /// # Errors
    /// The books were read again meanwhile, or are closed.
    pub async fn next_items(&mut self) -> Result<Vec<WorkItem>, Refusal> {
        while !self.is_finished() {
            let mut items = std::mem::take(&mut self.of_configuration);
            if items.is_empty()
                && let Some(cursor) = self.next.take()
            {
                let mut found = FoundWork::new(&self.filter, &self.session, usize::MAX);
                let ledger = &self.cashier.ledger;
                let (next, newest) = ledger.peek(|books| examine(books, &cursor, self.now, &mut found))?;
                (self.next, items) = (next, found.items);
                ledger.read(|_| ((), newest))?.durable().await?;
                if ledger.epoch() != self.epoch {
                    return Err(storage_unavailable());
                }
            }
            items.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= items.len() as u64;
            if !items.is_empty() {
                return Ok(items);
            }
            tokio::task::yield_now().await;
        }
        Ok(Vec::new())
    }

    /// From now on it holds so many bytes of the answer.
    ///
    /// # Errors
    /// They are more than may be held now.
    pub async fn holds(&mut self, answer: usize) -> Result<(), Refusal> {
        self.permit.hold(answer).await
    }
}

/// Where the next hold begins.
enum WorkCursor {
    Transactions(TransactionId),
    Events(EventId),
    Unread(ConfigId, EventId),
}

/// Examines a piece; returns where the next begins, and the newest commit of what was taken.
fn examine(books: &Books, at: &WorkCursor, now: UnixTime, found: &mut FoundWork<'_>) -> (Option<WorkCursor>, Seq) {
    let mut newest = Seq(0);
    let next = match at {
        WorkCursor::Transactions(after) => {
            let ids = books.work_after(*after, WORK_PER_HOLD);
            for known in ids.iter().filter_map(|id| books.aggregate(*id)) {
                for item in duty::of_transaction(&known, now) {
                    if found.take(item) {
                        newest = newest.max(books.touched(known.transaction.id));
                    }
                }
            }
            Some(ids.last().map_or(WorkCursor::Events(EventId(0)), |last| WorkCursor::Transactions(*last)))
        }
        WorkCursor::Events(after) => {
            let events = books.waiting_events_after(*after, WORK_PER_HOLD);
            let last = events.last().map(|event| event.id);
            events.into_iter().filter_map(duty::of_event).for_each(|item| {
                found.take(item);
            });
            Some(last.map_or(WorkCursor::Unread(ConfigId(0), EventId(0)), WorkCursor::Events))
        }
        WorkCursor::Unread(config, after) => {
            let events = books.unread_after(*config, *after, WORK_PER_HOLD);
            let last = events.last().map(|event| WorkCursor::Unread(event.config_id, event.id));
            events.into_iter().filter_map(duty::of_event).for_each(|item| {
                found.take(item);
            });
            last
        }
    };
    // Events have no commit of their own in the books: whatever was decided before is waited for.
    let seq = if matches!(at, WorkCursor::Transactions(_)) { newest } else { Seq(books.counters().seq) };
    (next, seq)
}

/// What the configuration waits for, with what the books know of the transactions that approvals are about, and the newest commit
/// of these.
async fn of_configuration(cashier: &Cashier, now: UnixTime) -> Result<(Vec<WorkItem>, Seq), Refusal> {
    let mut newest = Seq(0);
    let snapshot = Arc::clone(&cashier.snapshot());
    let mut items = of_snapshot(&snapshot, now);
    items.extend(trading_servers::work_items(cashier));
    for piece in items.chunks_mut(WORK_PER_HOLD) {
        let touched = cashier.ledger.peek(|books| {
            let of_piece = piece.iter_mut().filter(|item| item.transaction_id != TransactionId(0));
            let touched = of_piece.filter_map(|item| {
                let known = books.aggregate(item.transaction_id)?;
                *item = item.clone().about(&known);
                if item.kind == WorkKind::PostingDiffers {
                    let row = &known.transaction;
                    item.config_id = row.config_id;
                    (item.brand, item.provider) = (row.brand.clone(), row.provider.clone());
                }
                if let Some(approval) = snapshot.approval(item.approval_id) {
                    *item = item.clone().on_ground(approval, known.ground());
                }
                Some(books.touched(item.transaction_id))
            });
            touched.max()
        })?;
        newest = newest.max(touched.unwrap_or_default());
        tokio::task::yield_now().await;
    }
    Ok((items, newest))
}

fn of_snapshot(snapshot: &Snapshot, now: UnixTime) -> Vec<WorkItem> {
    let mut items = Vec::new();
    let open = |approval: &&Approval| approval.state_at(now) == ApprovalState::Open;
    for approval in snapshot.approvals().filter(open) {
        let of_config = snapshot.config(approval.config_id);
        // As it is judged when it is approved: one without a config is to create it.
        let version = of_config.map_or(0, |known| known.config.version);
        let item = WorkItem {
            transaction_id: approval.transaction_id,
            approval_id: approval.id,
            config_id: approval.config_id,
            brand: approval.brand.clone(),
            provider: of_config.map(|known| known.config.provider.clone()).unwrap_or_default(),
            amount: approval.amount,
            reason: format!("{}: {}", approval.command, approval.fields).into(),
            due_time: approval.expires_time,
            ..WorkItem::new(WorkKind::ConfigApproval, approval.asked_time)
        };
        // The ground of one about a transaction is in the books.
        let is_of_config = approval.transaction_id == TransactionId(0);
        items.push(if is_of_config { item.on_ground(approval, version) } else { item });
    }
    for served in snapshot.configs() {
        if let Some((kind, reason)) = unserved(served) {
            let config = &served.config;
            items.push(WorkItem {
                config_id: config.id,
                brand: config.brand.clone(),
                provider: config.provider.clone(),
                reason: reason.into(),
                ..WorkItem::new(kind, config.updated_time)
            });
        }
    }
    items
}

/// Why a config cannot serve what it is to serve.
fn unserved(served: &Served) -> Option<(WorkKind, String)> {
    if let Some(broken) = served.config.broken() {
        return Some((WorkKind::ConfigUnreadable, broken));
    }
    match &served.gateway {
        Err(NoGateway::Broken(reason)) => Some((WorkKind::GatewayBroken, reason.to_string())),
        Err(NoGateway::Closed) | Ok(_) => None,
    }
}
