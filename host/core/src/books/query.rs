//! Lists of transactions: a filter is answered in bounded holds of the books' lock. The most selective index drives the
//! search, an index that covers the whole filter gives the count at once, and a hold ends after a fixed amount of work, so
//! that decisions can take the lock in between. What they change is judged again, so that rows and count are those of one
//! moment: the hold in which the page is known.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::access_path::{AccessPath, BATCH, Cursor};
use super::deep_page::{DeepPage, DeepStep, PageFound, PageSought};
use super::hash_index::Slot;
use super::list_page::ListPage;
use super::rows::{BLOCK, Row};
use super::sorted_parts::SortedParts;
use super::touches::SlotSet;
use super::view::{Screen, View};
use super::{Books, row_codec};
use crate::filter::{Filter, TransactionField};
use crate::ids::{CustomerId, Seq};
use crate::transaction::Transaction;

/// Rows visited in one hold: each takes tens of nanoseconds, so that a deposit waits well under a millisecond.
const SCANNED_PER_HOLD: usize = 4096;
/// Rows unpacked in one hold, and sent as one piece: with the longest texts they take half a megabyte.
const SHOWN_PER_HOLD: usize = 16;
/// Bytes of the packed rows of one page: 50,000 usual ones take half of it.
pub const LIST_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Rows kept beyond the page while searching: so many of its rows may leave it before the search begins again.
const SPARE: usize = 1024;
/// An offset beyond this is searched for pass by pass: so many rows before the page are searched with it at once.
const DEEP_OFFSET: u64 = 8_192;
/// Rows of one customer, login or provider up to which they are read for a page behind another one: they are read from the newest
/// each time, and more of them than a page would be visited with every page.
const CHAIN_OF_PAGE_MAX: u64 = 10_000;
/// How often a search begins again before it is given up: each time more changed between two holds than is remembered.
const RESTARTS_MAX: u32 = 16;

/// The rows that the caller may see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    pub customer: Option<CustomerId>,
    pub brand: Option<Box<str>>,
}

/// The state of a query after a hold.
#[derive(Debug)]
pub enum Progress {
    Found(Box<ListPage>),
    /// The rows of the page take more than [`LIST_BYTES_MAX`].
    TooLarge,
    /// They take so many bytes, and the caller has no capacity for them yet: none was copied. To be resumed as `More` is.
    NeedsCapacity(Box<Scan>, usize),
    /// To be resumed with the same filter, scope and books.
    More(Box<Scan>),
    /// Too much changes for an answer of one moment.
    Restless,
}

/// A query between two holds: `counted` are the rows that match, as far as the cursors and the changes since have shown.
#[derive(Debug)]
pub struct Scan {
    cursors: Vec<Cursor>,
    /// The chosen index covers the filter: it gives the count.
    pub(super) covered: bool,
    counted: SlotSet,
    count: u64,
    /// The best rows so far, unordered; reduced when there are many more than `wanted`.
    pub(super) best: Vec<Slot>,
    /// `best` holds at least the first so many of the rows counted.
    sure: usize,
    pub(super) wanted: usize,
    pub(super) created: (i64, i64),
    screen: Screen,
    /// Keeps the rows instead of `best` where the page begins far behind the first.
    pub(super) deep: Option<DeepPage>,
    /// How many of the best come before the page.
    skipped: usize,
    /// Rows were passed over because the page is full of newer ones.
    pub(super) cut: bool,
    /// The position in the books' touches up to which changes are judged.
    judged_until: u64,
    restarts: u32,
}

impl Scan {
    /// Counts a matching row, once.
    fn add(&mut self, slot: Slot, sought: &PageSought<'_>) {
        if self.counted.insert(slot) {
            self.count += 1;
            match &mut self.deep {
                Some(deep) => deep.add(slot, sought),
                None => self.best.push(slot),
            }
        }
    }
}

impl Books {
    /// Answers a filter within a scope, or returns its progress, to be given back as `resume`. Rows are copied once those of the
    /// page take no more bytes than `capacity`.
    pub fn query(
        &self,
        filter: &Filter<TransactionField>,
        scope: &Scope,
        capacity: usize,
        resume: Option<Box<Scan>>,
    ) -> Progress {
        let mut scan = resume.unwrap_or_else(|| Box::new(self.plan(filter, scope)));
        if !self.catch_up(&mut scan, filter, scope) && !self.begin_again(&mut scan, filter, scope) {
            return Progress::Restless;
        }
        if self.search(&mut scan, filter, scope).is_continue() {
            return Progress::More(scan);
        }
        let stepped = scan.deep.as_mut().map(|deep| deep.step(&self.sought(filter, &self.order(filter))));
        match stepped {
            Some(DeepStep::More) => return Progress::More(scan),
            Some(DeepStep::Lost) if !self.begin_again(&mut scan, filter, scope) => return Progress::Restless,
            Some(DeepStep::Lost) => return Progress::More(scan),
            Some(DeepStep::Found(PageFound { slots, skipped })) => (scan.best, scan.skipped) = (slots, skipped),
            None => {}
        }
        self.choose_page(scan, filter, scope, capacity)
    }

    /// The next rows of a page that these books found with this filter: at most [`SHOWN_PER_HOLD`], and none in a hold that
    /// sorts. Texts are only ever added to the interner: copied rows can be sorted and unpacked in any later hold.
    pub fn take_rows(&self, filter: &Filter<TransactionField>, page: &mut ListPage) -> Vec<Transaction> {
        let rows = page.rows.take(SHOWN_PER_HOLD, |left, right| self.compare(filter, left, right));
        let unpacked = rows.iter().filter_map(|row| row_codec::unpack(row, &self.interner));
        unpacked.map(|known| known.transaction).collect()
    }

    /// False once it has begun again too often.
    fn begin_again(&self, scan: &mut Scan, filter: &Filter<TransactionField>, scope: &Scope) -> bool {
        let restarts = scan.restarts + 1;
        *scan = Scan { restarts, ..self.plan(filter, scope) };
        restarts <= RESTARTS_MAX
    }

    fn order<'b>(&'b self, filter: &'b Filter<TransactionField>) -> impl Fn(&Row, &Row) -> Ordering + 'b {
        |left, right| self.compare(filter, left, right)
    }

    fn sought<'b>(
        &'b self,
        filter: &Filter<TransactionField>,
        compare: &'b dyn Fn(&Row, &Row) -> Ordering,
    ) -> PageSought<'b> {
        PageSought { rows: &self.rows, compare, offset: filter.offset(), limit: filter.limit() as u64 }
    }

    fn plan(&self, filter: &Filter<TransactionField>, scope: &Scope) -> Scan {
        let paths = self.paths(filter, scope.customer, scope.brand.is_none());
        let covered = paths.iter().any(|path| path.covers(filter));
        let is_read_again = |path: &AccessPath| path.is_chain && path.count > CHAIN_OF_PAGE_MAX && filter.goes_on();
        // Of equals the later one: it covers a condition.
        let least = paths.into_iter().rev().filter(|path| !is_read_again(path)).min_by_key(|path| path.count);
        let offset = usize::try_from(filter.offset()).unwrap_or(usize::MAX);
        Scan {
            covered,
            cursors: least.map(|path| path.cursors).unwrap_or_default(),
            counted: SlotSet::default(),
            count: 0,
            best: Vec::new(),
            sure: usize::MAX,
            wanted: offset.saturating_add(filter.limit()),
            created: filter.bounds(TransactionField::CreatedTime),
            screen: Screen::of(filter),
            deep: (filter.offset() > DEEP_OFFSET).then(DeepPage::default),
            skipped: offset,
            cut: false,
            judged_until: self.touches.position(),
            restarts: 0,
        }
    }

    /// Judges again what was touched since the last hold, also rows made since. False where the search must begin again:
    /// what was touched is forgotten, or so many rows left that others belong on the page which were passed over.
    fn catch_up(&self, scan: &mut Scan, filter: &Filter<TransactionField>, scope: &Scope) -> bool {
        let Some(mut touched) = self.touches.since(scan.judged_until) else { return false };
        scan.judged_until = self.touches.position();
        let screen = scan.screen.clone();
        let matches = |slot: Slot| self.view(slot).is_some_and(|view| self.admits(filter, scope, &screen, &view));
        // A row that still matches keeps its place in the default order.
        touched.retain(|slot| !(filter.is_newest_first() && scan.counted.contains(*slot) && matches(*slot)));
        let left: Vec<Slot> = touched.iter().copied().filter(|slot| scan.counted.contains(*slot)).collect();
        if !left.is_empty() {
            for slot in &left {
                scan.counted.remove(*slot);
                if let Some(deep) = &mut scan.deep {
                    deep.remove(*slot);
                }
            }
            scan.count -= left.len() as u64;
            let before = scan.best.len();
            scan.best.retain(|slot| left.binary_search(slot).is_err());
            scan.sure = scan.sure.saturating_sub(before - scan.best.len());
            if scan.cut || scan.sure < scan.wanted {
                return false;
            }
        }
        let order = self.order(filter);
        let sought = self.sought(filter, &order);
        for slot in touched.into_iter().filter(|slot| matches(*slot)) {
            scan.add(slot, &sought);
        }
        true
    }

    /// Advances the cursors until they end (`Break`) or the hold does (`Continue`).
    fn search(&self, scan: &mut Scan, filter: &Filter<TransactionField>, scope: &Scope) -> ControlFlow<()> {
        let mut left = SCANNED_PER_HOLD;
        let mut batch: Vec<Slot> = Vec::with_capacity(BATCH);
        let order = self.order(filter);
        let sought = self.sought(filter, &order);
        let screen = scan.screen.clone();
        let mut block_checked = None;
        while let Some(mut cursor) = scan.cursors.pop() {
            let position = self.position(&cursor);
            let block = position.map(|slot| slot as usize / BLOCK);
            let enters_block = block != block_checked;
            block_checked = block;
            let ends = |slot| self.nothing_left(scan, filter, slot, cursor.is_upward());
            if enters_block && position.is_some_and(ends) {
                continue;
            }
            batch.clear();
            let visited = self.take(&mut cursor, scan.created, &mut batch);
            if visited == 0 {
                continue;
            }
            scan.cursors.push(cursor);
            for slot in batch.drain(..) {
                if self.view(slot).is_some_and(|view| self.admits(filter, scope, &screen, &view)) {
                    scan.add(slot, &sought);
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

    fn choose_page(
        &self,
        mut scan: Box<Scan>,
        filter: &Filter<TransactionField>,
        scope: &Scope,
        capacity: usize,
    ) -> Progress {
        let order = |left: &Slot, right: &Slot| self.compare_slots(filter, *left, *right);
        let end = scan.skipped.saturating_add(filter.limit()).min(scan.best.len());
        let skipped = scan.skipped.min(end);
        if end < scan.best.len() {
            scan.best.select_nth_unstable_by(end, order);
        }
        let page = scan.best.get_mut(..end).unwrap_or_default();
        if skipped > 0 && skipped < end {
            page.select_nth_unstable_by(skipped, order);
        }
        let rows = || page.iter().skip(skipped).filter_map(|slot| self.rows.get(*slot));
        let bytes = rows().map(|row| size_of::<Row>() + row.packed.len()).sum();
        if bytes > LIST_BYTES_MAX {
            return Progress::TooLarge;
        }
        if bytes > capacity {
            let best = std::mem::take(&mut scan.best);
            match &mut scan.deep {
                Some(deep) => deep.put_back(best),
                None => scan.best = best,
            }
            return Progress::NeedsCapacity(scan, bytes);
        }
        let rows: Vec<Row> = rows().cloned().collect();
        let covering =
            self.paths(filter, scope.customer, scope.brand.is_none()).into_iter().find(|path| path.covers(filter));
        let counted = if filter.is_counted() { scan.count } else { 0 };
        let count = covering.filter(|_| scan.covered && filter.is_counted()).map_or(counted, |path| path.count);
        let within = |slot| self.view(slot).is_none_or(|view| self.is_within(scope, &view));
        let newest = Seq(self.touches.newest_of(within));
        Progress::Found(Box::new(ListPage { rows: SortedParts::new(rows), bytes, count, newest }))
    }

    /// Reduces the best rows to the first `most`.
    pub(super) fn retain_best(&self, scan: &mut Scan, most: usize, filter: &Filter<TransactionField>) {
        if scan.best.len() > most {
            scan.best.select_nth_unstable_by(most, |left, right| self.compare_slots(filter, *left, *right));
            scan.best.truncate(most);
            scan.sure = scan.sure.min(most);
        }
    }

    fn compare_slots(&self, filter: &Filter<TransactionField>, left: Slot, right: Slot) -> Ordering {
        match (self.rows.get(left), self.rows.get(right)) {
            (Some(left), Some(right)) => self.compare(filter, left, right),
            (left, right) => left.is_some().cmp(&right.is_some()),
        }
    }

    fn compare(&self, filter: &Filter<TransactionField>, left: &Row, right: &Row) -> Ordering {
        if filter.is_newest_first() {
            return right.newness().cmp(&left.newness());
        }
        filter.compare(&View { books: self, row: left }, &View { books: self, row: right })
    }

    fn view(&self, slot: Slot) -> Option<View<'_>> {
        self.rows.get(slot).map(|row| View { books: self, row })
    }

    fn admits(&self, filter: &Filter<TransactionField>, scope: &Scope, screen: &Screen, view: &View<'_>) -> bool {
        screen.passes(view.row) && self.is_within(scope, view) && filter.matches(view)
    }

    fn is_within(&self, scope: &Scope, view: &View<'_>) -> bool {
        scope.customer.is_none_or(|customer| customer.0 == view.row.customer_id)
            && scope
                .brand
                .as_deref()
                .is_none_or(|brand| self.interner.text(self.interner.labels(view.row.labels).brand) == brand)
    }
}
