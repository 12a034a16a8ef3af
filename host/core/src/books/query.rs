//! Lists of transactions: the filter's answer in bounded holds. The most selective index drives the search, an index
//! that covers the whole filter gives the count at once, and a hold ends after a fixed amount of work, so that whoever
//! guards the books can let others in between.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::hash_index::Slot;
use super::rows::{BLOCK, NO_SLOT, Row};
use super::view::{View, created_bounds};
use super::{Books, Head, row_codec};
use crate::filter::{Filter, TransactionField, Values};
use crate::ids::{CustomerId, Seq, TransactionId};
use crate::transaction::Transaction;

/// Rows looked at in one hold: each takes tens of nanoseconds, so that a deposit waits well under a millisecond.
const SCANNED_PER_HOLD: usize = 4096;
/// Rows unpacked in one hold: each takes about a microsecond.
const SHOWN_PER_HOLD: usize = 256;
/// Rows taken from an index at once.
const BATCH: usize = 256;

/// Which rows exist for the asker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    pub customer: Option<CustomerId>,
    pub brand: Option<Box<str>>,
}

/// A page of transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub rows: Vec<Transaction>,
    /// Matching rows before pagination.
    pub count: u64,
    /// The newest commit that touched a shown row; the answer waits for it.
    pub newest: Seq,
}

/// How far a query came in this hold.
#[derive(Debug)]
pub enum Progress {
    Done(Answer),
    /// To be handed in again with the same filter and scope, to the same books.
    More(Box<Scan>),
}

/// A query between two holds. Rows that come after its start are not seen; rows that change meanwhile are shown only if
/// they still match, and counted as they were met.
#[derive(Debug)]
pub struct Scan {
    lanes: Vec<Lane>,
    /// The count, where the driving index covers the filter.
    covered: Option<u64>,
    count: u64,
    /// The best rows so far, in no order; cut back to `wanted` when twice as many.
    kept: Vec<Slot>,
    wanted: usize,
    created: (i64, i64),
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Searching,
    /// The page is known; `next` is the first of it that is not yet among `shown`.
    Showing {
        page: Vec<Slot>,
        next: usize,
        shown: Vec<Transaction>,
        newest: Seq,
    },
}

/// A run of rows, walked from the row met last to the one met first.
#[derive(Debug)]
enum Lane {
    All { below: Slot },
    Status { number: usize, below: Slot },
    Chain { field: ChainField, next: Slot },
    Listed(Vec<Slot>),
}

#[derive(Debug, Clone, Copy)]
enum ChainField {
    Customer,
    Login,
    Provider,
}

/// A way to find every matching row.
struct Driver {
    lanes: Vec<Lane>,
    count: u64,
    /// Conditions that it fulfils by itself.
    fulfils: usize,
    fulfils_scope: bool,
}

impl Books {
    /// Answers a filter within a scope, or says how far it came. `resume` is what the hold before gave.
    pub fn query(&self, filter: &Filter<TransactionField>, scope: &Scope, resume: Option<Box<Scan>>) -> Progress {
        let mut scan = resume.unwrap_or_else(|| Box::new(self.plan(filter, scope)));
        if let Stage::Searching = scan.stage {
            if self.search(&mut scan, filter, scope).is_continue() {
                return Progress::More(scan);
            }
            scan.stage = self.choose_page(&mut scan, filter);
        }
        let Stage::Showing { page, next, shown, newest } = &mut scan.stage else { return Progress::More(scan) };
        let portion = page.iter().skip(*next).take(SHOWN_PER_HOLD);
        for view in portion.filter_map(|slot| self.view(*slot)).filter(|view| self.admits(filter, scope, view)) {
            shown.extend(row_codec::unpack(view.row, &self.interner).map(|known| known.transaction));
            *newest = Seq(view.row.touched).max(*newest);
        }
        *next += SHOWN_PER_HOLD;
        if *next < page.len() {
            return Progress::More(scan);
        }
        let (rows, newest) = (std::mem::take(shown), *newest);
        Progress::Done(Answer { rows, count: scan.covered.unwrap_or(scan.count), newest })
    }

    fn plan(&self, filter: &Filter<TransactionField>, scope: &Scope) -> Scan {
        let driver = self.driver(filter, scope);
        let covers = driver.fulfils == filter.conditions().len() && driver.fulfils_scope;
        let offset = usize::try_from(filter.offset()).unwrap_or(usize::MAX);
        Scan {
            covered: covers.then_some(driver.count),
            lanes: driver.lanes,
            count: 0,
            kept: Vec::new(),
            wanted: offset.saturating_add(filter.limit()),
            created: created_bounds(filter),
            stage: Stage::Searching,
        }
    }

    /// The driver with the fewest rows to look at.
    fn driver(&self, filter: &Filter<TransactionField>, scope: &Scope) -> Driver {
        let below = self.rows.next_slot();
        let no_scope = scope.customer.is_none() && scope.brand.is_none();
        let pinned = |lanes: Vec<(Lane, u64)>| {
            let count = lanes.iter().fold(0, |sum, (_, count)| sum + count);
            let lanes = lanes.into_iter().map(|(lane, _)| lane).collect();
            Driver { lanes, count, fulfils: 1, fulfils_scope: no_scope }
        };
        let everything =
            Driver { lanes: vec![Lane::All { below }], count: u64::from(below), fulfils: 0, fulfils_scope: no_scope };
        let mut drivers = vec![everything];
        if let Some(customer) = scope.customer {
            let (lane, count) = chain_lane(ChainField::Customer, self.customers.get(&customer.0));
            drivers.push(Driver { lanes: vec![lane], count, fulfils: 0, fulfils_scope: scope.brand.is_none() });
        }
        if let Some(ids) = numbers(filter.pinned(TransactionField::Id)) {
            let slots: Vec<Slot> = ids.filter_map(|id| self.slot(TransactionId(id))).collect();
            let count = slots.len() as u64;
            drivers.push(pinned(vec![(Lane::Listed(slots), count)]));
        }
        let chains = |field, heads: Vec<Option<&Head>>| heads.into_iter().map(|head| chain_lane(field, head)).collect();
        if let Some(ids) = numbers(filter.pinned(TransactionField::CustomerId)) {
            drivers.push(pinned(chains(ChainField::Customer, ids.map(|id| self.customers.get(&id)).collect())));
        }
        if let Some(logins) = numbers(filter.pinned(TransactionField::Login)) {
            drivers.push(pinned(chains(ChainField::Login, logins.map(|login| self.logins.get(&login)).collect())));
        }
        if let Some(Values::Texts(names)) = filter.pinned(TransactionField::Provider) {
            let heads = names.iter().map(|name| self.providers.get(&self.interner.known(name)?)).collect();
            drivers.push(pinned(chains(ChainField::Provider, heads)));
        }
        if let Some(statuses) = numbers(filter.pinned(TransactionField::Status)) {
            let lanes = statuses.filter_map(|status| {
                let number = usize::try_from(status).ok()?;
                Some((Lane::Status { number, below }, self.statuses.get(number)?.len() as u64))
            });
            drivers.push(pinned(lanes.collect()));
        }
        // Of equals the later one: it fulfils a condition.
        let least = drivers.into_iter().rev().min_by_key(|driver| driver.count);
        least.unwrap_or(Driver { lanes: Vec::new(), count: 0, fulfils: 0, fulfils_scope: true })
    }

    /// Walks the lanes until they end (`Break`) or the hold does (`Continue`).
    fn search(&self, scan: &mut Scan, filter: &Filter<TransactionField>, scope: &Scope) -> ControlFlow<()> {
        let mut left = SCANNED_PER_HOLD;
        let mut batch: Vec<Slot> = Vec::with_capacity(BATCH);
        let mut block_checked = None;
        while let Some(mut lane) = scan.lanes.pop() {
            let position = self.position(&lane);
            let block = position.map(|slot| slot as usize / BLOCK);
            let enters_block = block != block_checked;
            block_checked = block;
            if enters_block && position.is_some_and(|slot| self.nothing_left(scan, filter, slot)) {
                continue;
            }
            batch.clear();
            let looked_at = self.take(&mut lane, scan.created, &mut batch);
            if looked_at == 0 {
                continue;
            }
            scan.lanes.push(lane);
            for slot in batch.drain(..) {
                if self.view(slot).is_some_and(|view| self.admits(filter, scope, &view)) {
                    scan.count += 1;
                    scan.kept.push(slot);
                }
            }
            if scan.kept.len() > scan.wanted.saturating_mul(2).saturating_add(SCANNED_PER_HOLD) {
                self.keep_best(&mut scan.kept, scan.wanted, filter);
            }
            left = left.saturating_sub(looked_at);
            if left == 0 {
                return ControlFlow::Continue(());
            }
        }
        ControlFlow::Break(())
    }

    /// Whether no row at or before `slot` can change the answer: all are too old to match; or the count is known, the
    /// page is full, and all are older than its oldest row.
    fn nothing_left(&self, scan: &mut Scan, filter: &Filter<TransactionField>, slot: Slot) -> bool {
        let Some(bounds) = self.rows.bounds(slot) else { return true };
        if bounds.newest_so_far.0 < scan.created.0 {
            return true;
        }
        if scan.covered.is_none() || !filter.is_newest_first() || scan.kept.len() < scan.wanted {
            return false;
        }
        self.keep_best(&mut scan.kept, scan.wanted, filter);
        let newness = |slot: &Slot| self.rows.get(*slot).map(Row::newness);
        scan.kept.iter().filter_map(newness).min().is_some_and(|oldest| oldest > bounds.newest_so_far)
    }

    /// The row that a lane gives next.
    fn position(&self, lane: &Lane) -> Option<Slot> {
        match lane {
            Lane::All { below } => below.checked_sub(1),
            Lane::Status { number, below } => self.statuses.get(*number)?.range(..*below).next_back().copied(),
            Lane::Chain { next, .. } => Some(*next).filter(|slot| *slot != NO_SLOT),
            Lane::Listed(slots) => slots.iter().max().copied(),
        }
    }

    /// Takes the next rows of a lane and says how many it cost; 0 is its end.
    fn take(&self, lane: &mut Lane, created: (i64, i64), batch: &mut Vec<Slot>) -> usize {
        match lane {
            Lane::All { below } => return self.take_of_block(below, created, batch),
            Lane::Status { number, below } => {
                let set = self.statuses.get(*number);
                batch.extend(set.into_iter().flat_map(|set| set.range(..*below).rev().take(BATCH)));
                *below = batch.last().copied().unwrap_or(0);
            }
            Lane::Chain { field, next } => {
                while batch.len() < BATCH
                    && let Some(row) = self.rows.get(*next)
                {
                    batch.push(*next);
                    *next = match field {
                        ChainField::Customer => row.earlier.customer,
                        ChainField::Login => row.earlier.login,
                        ChainField::Provider => row.earlier.provider,
                    };
                }
            }
            Lane::Listed(slots) => batch.extend(slots.drain(..slots.len().min(BATCH))),
        }
        batch.len()
    }

    /// Takes rows within one block, or passes over a block whose rows were all created outside the bounds.
    fn take_of_block(&self, below: &mut Slot, (from, to): (i64, i64), batch: &mut Vec<Slot>) -> usize {
        let Some(bounds) = below.checked_sub(1).and_then(|slot| self.rows.bounds(slot)) else { return 0 };
        let block_start = (*below - 1) / BLOCK as Slot * BLOCK as Slot;
        if bounds.newest < from || bounds.oldest > to {
            *below = block_start;
            return 1;
        }
        let start = below.saturating_sub(BATCH as Slot).max(block_start);
        batch.extend((start..*below).rev());
        *below = start;
        batch.len()
    }

    fn choose_page(&self, scan: &mut Scan, filter: &Filter<TransactionField>) -> Stage {
        let mut page = std::mem::take(&mut scan.kept);
        self.keep_best(&mut page, scan.wanted, filter);
        page.sort_by(|left, right| self.compare(filter, *left, *right));
        let skipped = usize::try_from(filter.offset()).unwrap_or(usize::MAX).min(page.len());
        page.drain(..skipped);
        Stage::Showing { page, next: 0, shown: Vec::new(), newest: Seq(0) }
    }

    fn keep_best(&self, slots: &mut Vec<Slot>, wanted: usize, filter: &Filter<TransactionField>) {
        if slots.len() > wanted {
            slots.select_nth_unstable_by(wanted, |left, right| self.compare(filter, *left, *right));
            slots.truncate(wanted);
        }
    }

    fn compare(&self, filter: &Filter<TransactionField>, left: Slot, right: Slot) -> Ordering {
        match (self.view(left), self.view(right)) {
            (Some(left), Some(right)) if filter.is_newest_first() => right.row.newness().cmp(&left.row.newness()),
            (Some(left), Some(right)) => filter.compare(&left, &right),
            (left, right) => left.is_some().cmp(&right.is_some()),
        }
    }

    fn view(&self, slot: Slot) -> Option<View<'_>> {
        self.rows.get(slot).map(|row| View { books: self, row })
    }

    fn admits(&self, filter: &Filter<TransactionField>, scope: &Scope, view: &View<'_>) -> bool {
        scope.customer.is_none_or(|customer| customer.0 == view.row.customer_id)
            && scope
                .brand
                .as_deref()
                .is_none_or(|brand| self.interner.text(self.interner.labels(view.row.labels).brand) == brand)
            && filter.matches(view)
    }
}

fn chain_lane(field: ChainField, head: Option<&Head>) -> (Lane, u64) {
    let head = head.copied().unwrap_or(Head::EMPTY);
    (Lane::Chain { field, next: head.newest }, head.count.into())
}

/// Pinned ids; a negative one names nothing.
fn numbers(values: Option<&Values>) -> Option<impl Iterator<Item = u64>> {
    match values {
        Some(Values::Ints(numbers)) => Some(numbers.iter().filter_map(|number| u64::try_from(*number).ok())),
        Some(Values::Texts(_)) | None => None,
    }
}
