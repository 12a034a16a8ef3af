//! Lists of transactions: a filter is answered in bounded holds of the books' lock. The most selective index drives the
//! search, an index that covers the whole filter gives the count at once, and a hold ends after a fixed amount of work, so
//! that decisions can take the lock in between.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::hash_index::Slot;
use super::heads::Head;
use super::rows::{BLOCK, NO_SLOT, Row};
use super::view::{View, created_bounds};
use super::{Books, row_codec};
use crate::filter::{Filter, TransactionField, Values};
use crate::ids::{CustomerId, Seq, TransactionId};
use crate::transaction::Transaction;

/// Rows visited in one hold: each takes tens of nanoseconds, so that a deposit waits well under a millisecond.
const SCANNED_PER_HOLD: usize = 4096;
/// Rows unpacked in one hold: each takes about a microsecond.
const SHOWN_PER_HOLD: usize = 256;
/// Rows read from an index at once.
const BATCH: usize = 256;

/// The rows that the caller may see.
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
    /// The newest commit that touched one of the rows; the answer waits for it.
    pub newest: Seq,
}

/// The state of a query after a hold.
#[derive(Debug)]
pub enum Progress {
    Done(Answer),
    /// To be resumed with the same filter, scope and books.
    More(Box<Scan>),
}

/// A query between two holds. Rows inserted after its start are not included; rows that change meanwhile are shown only
/// if they still match, and counted as they were when visited.
#[derive(Debug)]
pub struct Scan {
    cursors: Vec<Cursor>,
    /// The count, where the chosen index covers the filter.
    covered: Option<u64>,
    count: u64,
    /// The best rows so far, unordered; reduced to `wanted` when twice as many.
    best: Vec<Slot>,
    wanted: usize,
    created: (i64, i64),
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Searching,
    /// The page is known; `next` is its first row that is not yet in `shown`.
    Showing {
        page: Vec<Slot>,
        next: usize,
        shown: Vec<Transaction>,
        newest: Seq,
    },
}

/// A position in a list of rows, read from the last inserted to the first.
#[derive(Debug)]
enum Cursor {
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

/// An index, or the whole table, that contains every matching row.
struct AccessPath {
    cursors: Vec<Cursor>,
    count: u64,
    /// Conditions that every row of it fulfils.
    covered_conditions: usize,
    covers_scope: bool,
}

impl Books {
    /// Answers a filter within a scope, or returns its progress, to be given back as `resume`.
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
        let path = self.path(filter, scope);
        let covers = path.covered_conditions == filter.conditions().len() && path.covers_scope;
        let offset = usize::try_from(filter.offset()).unwrap_or(usize::MAX);
        Scan {
            covered: covers.then_some(path.count),
            cursors: path.cursors,
            count: 0,
            best: Vec::new(),
            wanted: offset.saturating_add(filter.limit()),
            created: created_bounds(filter),
            stage: Stage::Searching,
        }
    }

    /// The path with the fewest rows.
    fn path(&self, filter: &Filter<TransactionField>, scope: &Scope) -> AccessPath {
        let below = self.rows.next_slot();
        let no_scope = scope.customer.is_none() && scope.brand.is_none();
        let pinned = |cursors: Vec<(Cursor, u64)>| {
            let count = cursors.iter().fold(0, |sum, (_, count)| sum + count);
            let cursors = cursors.into_iter().map(|(cursor, _)| cursor).collect();
            AccessPath { cursors, count, covered_conditions: 1, covers_scope: no_scope }
        };
        let everything = AccessPath {
            cursors: vec![Cursor::All { below }],
            count: self.rows.len() as u64,
            covered_conditions: 0,
            covers_scope: no_scope,
        };
        let mut paths = vec![everything];
        if let Some(customer) = scope.customer {
            let (cursor, count) = chain_cursor(ChainField::Customer, self.customers.get(&customer.0));
            paths.push(AccessPath {
                cursors: vec![cursor],
                count,
                covered_conditions: 0,
                covers_scope: scope.brand.is_none(),
            });
        }
        if let Some(ids) = numbers(filter.pinned(TransactionField::Id)) {
            let slots: Vec<Slot> = ids.filter_map(|id| self.slot(TransactionId(id))).collect();
            let count = slots.len() as u64;
            paths.push(pinned(vec![(Cursor::Listed(slots), count)]));
        }
        let chains =
            |field, heads: Vec<Option<&Head>>| heads.into_iter().map(|head| chain_cursor(field, head)).collect();
        if let Some(ids) = numbers(filter.pinned(TransactionField::CustomerId)) {
            paths.push(pinned(chains(ChainField::Customer, ids.map(|id| self.customers.get(&id)).collect())));
        }
        if let Some(logins) = numbers(filter.pinned(TransactionField::Login)) {
            paths.push(pinned(chains(ChainField::Login, logins.map(|login| self.logins.get(&login)).collect())));
        }
        if let Some(Values::Texts(names)) = filter.pinned(TransactionField::Provider) {
            let heads = names.iter().map(|name| self.providers.get(&self.interner.known(name)?)).collect();
            paths.push(pinned(chains(ChainField::Provider, heads)));
        }
        if let Some(statuses) = numbers(filter.pinned(TransactionField::Status)) {
            let cursors = statuses.filter_map(|status| {
                let number = usize::try_from(status).ok()?;
                Some((Cursor::Status { number, below }, self.statuses.get(number)?.len() as u64))
            });
            paths.push(pinned(cursors.collect()));
        }
        // Of equals the later one: it covers a condition.
        let least = paths.into_iter().rev().min_by_key(|path| path.count);
        least.unwrap_or(AccessPath { cursors: Vec::new(), count: 0, covered_conditions: 0, covers_scope: true })
    }

    /// Advances the cursors until they end (`Break`) or the hold does (`Continue`).
    fn search(&self, scan: &mut Scan, filter: &Filter<TransactionField>, scope: &Scope) -> ControlFlow<()> {
        let mut left = SCANNED_PER_HOLD;
        let mut batch: Vec<Slot> = Vec::with_capacity(BATCH);
        let mut block_checked = None;
        while let Some(mut cursor) = scan.cursors.pop() {
            let position = self.position(&cursor);
            let block = position.map(|slot| slot as usize / BLOCK);
            let enters_block = block != block_checked;
            block_checked = block;
            if enters_block && position.is_some_and(|slot| self.nothing_left(scan, filter, slot)) {
                continue;
            }
            batch.clear();
            let visited = self.take(&mut cursor, scan.created, &mut batch);
            if visited == 0 {
                continue;
            }
            scan.cursors.push(cursor);
            for slot in batch.drain(..) {
                if self.view(slot).is_some_and(|view| self.admits(filter, scope, &view)) {
                    scan.count += 1;
                    scan.best.push(slot);
                }
            }
            if scan.best.len() > scan.wanted.saturating_mul(2).saturating_add(SCANNED_PER_HOLD) {
                self.retain_best(&mut scan.best, scan.wanted, filter);
            }
            left = left.saturating_sub(visited);
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
        if scan.covered.is_none() || !filter.is_newest_first() || scan.best.len() < scan.wanted {
            return false;
        }
        self.retain_best(&mut scan.best, scan.wanted, filter);
        let newness = |slot: &Slot| self.rows.get(*slot).map(Row::newness);
        scan.best.iter().filter_map(newness).min().is_some_and(|oldest| oldest > bounds.newest_so_far)
    }

    /// The next row of a cursor.
    fn position(&self, cursor: &Cursor) -> Option<Slot> {
        match cursor {
            Cursor::All { below } => below.checked_sub(1),
            Cursor::Status { number, below } => self.statuses.get(*number)?.range(..*below).next_back().copied(),
            Cursor::Chain { next, .. } => Some(*next).filter(|slot| *slot != NO_SLOT),
            Cursor::Listed(slots) => slots.iter().max().copied(),
        }
    }

    /// Reads the next rows of a cursor and returns how many were visited; 0 at its end.
    fn take(&self, cursor: &mut Cursor, created: (i64, i64), batch: &mut Vec<Slot>) -> usize {
        match cursor {
            Cursor::All { below } => return self.take_of_block(below, created, batch),
            Cursor::Status { number, below } => {
                let set = self.statuses.get(*number);
                batch.extend(set.into_iter().flat_map(|set| set.range(..*below).rev().take(BATCH)));
                *below = batch.last().copied().unwrap_or(0);
            }
            Cursor::Chain { field, next } => {
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
            Cursor::Listed(slots) => batch.extend(slots.drain(..slots.len().min(BATCH))),
        }
        batch.len()
    }

    /// Reads rows of one block, or skips a block whose rows were all created outside the bounds.
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
        let mut page = std::mem::take(&mut scan.best);
        self.retain_best(&mut page, scan.wanted, filter);
        page.sort_by(|left, right| self.compare(filter, *left, *right));
        let skipped = usize::try_from(filter.offset()).unwrap_or(usize::MAX).min(page.len());
        page.drain(..skipped);
        Stage::Showing { page, next: 0, shown: Vec::new(), newest: Seq(0) }
    }

    fn retain_best(&self, slots: &mut Vec<Slot>, wanted: usize, filter: &Filter<TransactionField>) {
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

fn chain_cursor(field: ChainField, head: Option<&Head>) -> (Cursor, u64) {
    let head = head.copied().unwrap_or(Head::EMPTY);
    (Cursor::Chain { field, next: head.newest }, head.count.into())
}

/// Pinned ids; a negative one matches nothing.
fn numbers(values: Option<&Values>) -> Option<impl Iterator<Item = u64>> {
    match values {
        Some(Values::Ints(numbers)) => Some(numbers.iter().filter_map(|number| u64::try_from(*number).ok())),
        Some(Values::Texts(_)) | None => None,
    }
}
