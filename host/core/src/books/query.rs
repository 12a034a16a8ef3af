//! Lists of transactions: a filter is answered in bounded holds of the books' lock. The most selective index drives the
//! search, an index that covers the whole filter gives the count at once, and a hold ends after a fixed amount of work, so
//! that decisions can take the lock in between. What they change is judged again, so that rows and count are those of one
//! moment: the hold in which the page is known.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::hash_index::Slot;
use super::heads::Head;
use super::rows::{BLOCK, NO_SLOT, Row};
use super::touches::SlotSet;
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
/// Rows kept beyond the page while searching: so many of its rows may leave it before the search begins again.
const SPARE: usize = 1024;
/// How often a search begins again before it is given up: each time more changed between two holds than is remembered.
const RESTARTS_MAX: u32 = 16;

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
    /// The newest commit that touched a row within the scope; the answer waits for it, and so speaks of durable rows.
    pub newest: Seq,
}

/// The state of a query after a hold.
#[derive(Debug)]
pub enum Progress {
    Done(Answer),
    /// To be resumed with the same filter, scope and books.
    More(Box<Scan>),
    /// Too much changes for an answer of one moment.
    Restless,
}

/// A query between two holds: `counted` are the rows that match, as far as the cursors and the changes since have told.
#[derive(Debug)]
pub struct Scan {
    cursors: Vec<Cursor>,
    /// The chosen index covers the filter: it gives the count.
    covered: bool,
    counted: SlotSet,
    count: u64,
    /// The best rows so far, unordered; reduced when there are many more than `wanted`.
    best: Vec<Slot>,
    /// `best` holds at least the first so many of the rows counted.
    sure: usize,
    wanted: usize,
    created: (i64, i64),
    /// Rows were passed over because the page is full of newer ones.
    cut: bool,
    /// The position in the books' touches up to which changes are judged.
    heard: u64,
    restarts: u32,
    /// Once the page is known: its rows as they were then.
    page: Option<Page>,
}

#[derive(Debug)]
struct Page {
    rows: std::vec::IntoIter<Row>,
    shown: Vec<Transaction>,
    count: u64,
    newest: Seq,
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

impl Scan {
    /// Counts a matching row, once.
    fn add(&mut self, slot: Slot) {
        if self.counted.insert(slot) {
            self.count += 1;
            self.best.push(slot);
        }
    }
}

impl AccessPath {
    /// Every row of it matches.
    fn covers(&self, filter: &Filter<TransactionField>) -> bool {
        self.covered_conditions == filter.conditions().len() && self.covers_scope
    }
}

impl Books {
    /// Answers a filter within a scope, or returns its progress, to be given back as `resume`.
    pub fn query(&self, filter: &Filter<TransactionField>, scope: &Scope, resume: Option<Box<Scan>>) -> Progress {
        let mut scan = resume.unwrap_or_else(|| Box::new(self.plan(filter, scope)));
        let mut page = match scan.page.take() {
            Some(page) => page,
            None => {
                if !self.catch_up(&mut scan, filter, scope) {
                    let restarts = scan.restarts + 1;
                    if restarts > RESTARTS_MAX {
                        return Progress::Restless;
                    }
                    *scan = Scan { restarts, ..self.plan(filter, scope) };
                }
                if self.search(&mut scan, filter, scope).is_continue() {
                    return Progress::More(scan);
                }
                self.choose_page(&mut scan, filter, scope)
            }
        };
        // Texts are only ever added to the interner: a copied row can be unpacked in any later hold.
        for row in page.rows.by_ref().take(SHOWN_PER_HOLD) {
            page.shown.extend(row_codec::unpack(&row, &self.interner).map(|known| known.transaction));
        }
        if page.rows.len() > 0 {
            scan.page = Some(page);
            return Progress::More(scan);
        }
        let Page { shown: rows, count, newest, .. } = page;
        Progress::Done(Answer { rows, count, newest })
    }

    fn plan(&self, filter: &Filter<TransactionField>, scope: &Scope) -> Scan {
        let paths = self.paths(filter, scope);
        let covered = paths.iter().any(|path| path.covers(filter));
        // Of equals the later one: it covers a condition.
        let least = paths.into_iter().rev().min_by_key(|path| path.count);
        let offset = usize::try_from(filter.offset()).unwrap_or(usize::MAX);
        Scan {
            covered,
            cursors: least.map(|path| path.cursors).unwrap_or_default(),
            counted: SlotSet::default(),
            count: 0,
            best: Vec::new(),
            sure: usize::MAX,
            wanted: offset.saturating_add(filter.limit()),
            created: created_bounds(filter),
            cut: false,
            heard: self.touches.position(),
            restarts: 0,
            page: None,
        }
    }

    /// Judges again what was touched since the last hold, also rows made since. False where the search must begin again:
    /// what was touched is forgotten, or so many rows left that others belong on the page which were passed over.
    fn catch_up(&self, scan: &mut Scan, filter: &Filter<TransactionField>, scope: &Scope) -> bool {
        let Some(mut touched) = self.touches.since(scan.heard) else { return false };
        scan.heard = self.touches.position();
        let matches = |slot: Slot| self.view(slot).is_some_and(|view| self.admits(filter, scope, &view));
        // A row that still matches keeps its place in the default order.
        touched.retain(|slot| !(filter.is_newest_first() && scan.counted.contains(*slot) && matches(*slot)));
        let left: Vec<Slot> = touched.iter().copied().filter(|slot| scan.counted.contains(*slot)).collect();
        if !left.is_empty() {
            left.iter().for_each(|slot| scan.counted.remove(*slot));
            scan.count -= left.len() as u64;
            let before = scan.best.len();
            scan.best.retain(|slot| left.binary_search(slot).is_err());
            scan.sure = scan.sure.saturating_sub(before - scan.best.len());
            if scan.cut || scan.sure < scan.wanted {
                return false;
            }
        }
        for slot in touched.into_iter().filter(|slot| matches(*slot)) {
            scan.add(slot);
        }
        true
    }

    /// Every path to the matching rows.
    fn paths(&self, filter: &Filter<TransactionField>, scope: &Scope) -> Vec<AccessPath> {
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
        paths
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
                    scan.add(slot);
                }
            }
            if scan.best.len() > scan.wanted.saturating_mul(2).saturating_add(SCANNED_PER_HOLD) {
                self.retain_best(scan, scan.wanted.saturating_add(SPARE), filter);
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
        if !scan.covered || !filter.is_newest_first() || scan.best.len() < scan.wanted {
            return false;
        }
        self.retain_best(scan, scan.wanted, filter);
        let newness = |slot: &Slot| self.rows.get(*slot).map(Row::newness);
        let cut = scan.best.iter().filter_map(newness).min().is_some_and(|oldest| oldest > bounds.newest_so_far);
        scan.cut |= cut;
        cut
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

    fn choose_page(&self, scan: &mut Scan, filter: &Filter<TransactionField>, scope: &Scope) -> Page {
        self.retain_best(scan, scan.wanted, filter);
        let mut page = std::mem::take(&mut scan.best);
        page.sort_by(|left, right| self.compare(filter, *left, *right));
        let skipped = usize::try_from(filter.offset()).unwrap_or(usize::MAX).min(page.len());
        let rows: Vec<Row> = page.iter().skip(skipped).filter_map(|slot| self.rows.get(*slot)).cloned().collect();
        let covering = self.paths(filter, scope).into_iter().find(|path| path.covers(filter));
        let within = |slot| self.view(slot).is_none_or(|view| self.is_within(scope, &view));
        Page {
            shown: Vec::with_capacity(rows.len()),
            rows: rows.into_iter(),
            count: covering.filter(|_| scan.covered).map_or(scan.count, |path| path.count),
            newest: Seq(self.touches.newest_of(within)),
        }
    }

    /// Reduces the best rows to the first `most`.
    fn retain_best(&self, scan: &mut Scan, most: usize, filter: &Filter<TransactionField>) {
        if scan.best.len() > most {
            scan.best.select_nth_unstable_by(most, |left, right| self.compare(filter, *left, *right));
            scan.best.truncate(most);
            scan.sure = scan.sure.min(most);
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
        self.is_within(scope, view) && filter.matches(view)
    }

    fn is_within(&self, scope: &Scope, view: &View<'_>) -> bool {
        scope.customer.is_none_or(|customer| customer.0 == view.row.customer_id)
            && scope
                .brand
                .as_deref()
                .is_none_or(|brand| self.interner.text(self.interner.labels(view.row.labels).brand) == brand)
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
