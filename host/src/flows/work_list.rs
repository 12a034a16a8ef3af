//! The work list: everything that waits for a person, for somebody's answer or for time, collected in bounded holds of the
//! ledger's lock from the indexes of what has work. What waits is the core's to say (`core::duty`).

use std::collections::BTreeMap;

use cashier_core::approval::{Approval, ApprovalState};
use cashier_core::books::Books;
use cashier_core::duty::{self, WorkItem, WorkKind};
use cashier_core::filter::{Filter, WorkField};
use cashier_core::ids::{ConfigId, EventId, Seq, TransactionId};
use cashier_core::refusal::Refusal;
use cashier_core::session::ManagerSession;
use cashier_core::time::UnixTime;

use super::Cashier;
use super::list_limits::{ListPermit, ListReader};
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

impl FoundWork<'_> {
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
    let mut permit = cashier.list_permit(ListReader::Manager(session.manager_id())).await?;
    let (now, epoch) = (cashier.clock.now(), cashier.ledger.epoch());
    let wanted = usize::try_from(filter.offset()).unwrap_or(usize::MAX).saturating_add(filter.limit());
    let mut found = FoundWork { filter, session, wanted, items: Vec::new(), kinds: BTreeMap::new() };
    of_configuration(&cashier.snapshot(), now, &mut found);
    let (mut cursor, mut newest) = (WorkCursor::Transactions(TransactionId(0)), Seq(0));
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

fn of_configuration(snapshot: &Snapshot, now: UnixTime, found: &mut FoundWork<'_>) {
    let open = |approval: &&Approval| approval.state_at(now) == ApprovalState::Open;
    for approval in snapshot.approvals().filter(open) {
        found.take(WorkItem {
            approval_id: approval.id,
            config_id: approval.config_id,
            brand: approval.brand.clone(),
            reason: format!("{}: {}", approval.command, approval.fields).into(),
            due_time: approval.expires_time,
            ..WorkItem::new(WorkKind::ConfigApproval, approval.asked_time)
        });
    }
    for served in snapshot.configs() {
        if let Some((kind, reason)) = unserved(served) {
            let config = &served.config;
            found.take(WorkItem {
                config_id: config.id,
                brand: config.brand.clone(),
                provider: config.provider.clone(),
                reason: reason.into(),
                ..WorkItem::new(kind, config.updated_time)
            });
        }
    }
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
