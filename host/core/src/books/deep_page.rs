//! Finds the rows of a page that begins far behind the first row, in bounded pieces of work while rows change: pass by pass
//! the rows are compared with one of them, and those that are surely before the page, or behind it, are left out. Rows that
//! change between two pieces are reported, and counted where they are now.

use std::cmp::Ordering;

use super::hash_index::Slot;
use super::rows::{Row, Rows};
use super::touches::SlotSet;

/// Rows compared in one piece of work: each takes about a hundred nanoseconds.
const COMPARED_AT_ONCE: usize = 8_192;
/// Rows kept on both sides of the page: so many may come or go before it until the search begins again.
const MARGIN: u64 = 1_024;
/// Rows beside those of the page that are few enough to be searched at once.
const FEW: u64 = 16_384;
/// Rows of which one is chosen to be compared with.
const SAMPLED: usize = 256;
/// Passes that left nothing out after which the rest is searched at once: the samples missed.
const FUTILE_PASSES: u32 = 16;

/// Candidates, each in the set; the lists may name one twice, or one that left.
#[derive(Debug, Default)]
struct CandidateRows {
    lists: Vec<Vec<Slot>>,
    set: SlotSet,
    count: u64,
}

#[derive(Debug, Default)]
pub(super) struct DeepPage {
    /// Rows before the page.
    before: SlotSet,
    before_count: u64,
    /// No candidate comes before `low`, and each comes before `high`.
    low: Option<Row>,
    high: Option<Row>,
    candidates: CandidateRows,
    pass: Option<DeepPass>,
    passes: u32,
    futile: u32,
}

/// Candidates that come before one of them, and the others.
#[derive(Debug)]
struct DeepPass {
    pivot: Row,
    first: CandidateRows,
    second: CandidateRows,
}

/// What is left of the rows once they are few.
pub(super) struct PageFound {
    /// The page is among them.
    pub(super) slots: Vec<Slot>,
    /// How many of them come before the page.
    pub(super) skipped: usize,
}

/// How far a search has come.
pub(super) enum DeepStep {
    More,
    /// So much changed that the page is not among the candidates any more.
    Lost,
    Found(PageFound),
}

/// The rows, their order, and the page.
pub(super) struct PageSought<'w> {
    pub(super) rows: &'w Rows,
    pub(super) compare: &'w dyn Fn(&Row, &Row) -> Ordering,
    pub(super) offset: u64,
    pub(super) limit: u64,
}

impl CandidateRows {
    fn push(&mut self, slot: Slot) {
        if self.set.insert(slot) {
            self.count += 1;
            match self.lists.last_mut().filter(|list| list.len() < COMPARED_AT_ONCE) {
                Some(list) => list.push(slot),
                None => self.lists.push(vec![slot]),
            }
        }
    }

    fn remove(&mut self, slot: Slot) -> bool {
        let removed = self.set.remove(slot);
        self.count -= u64::from(removed);
        removed
    }

    fn extend(&mut self, other: Self) {
        self.lists.extend(other.lists);
        self.set.extend(other.set);
        self.count += other.count;
    }
}

impl DeepPage {
    /// A row that matches, not added before or removed since.
    pub(super) fn add(&mut self, slot: Slot, sought: &PageSought<'_>) {
        let Some(row) = sought.rows.get(slot) else { return };
        if self.low.as_ref().is_some_and(|low| (sought.compare)(row, low).is_lt()) {
            self.before_count += u64::from(self.before.insert(slot));
        } else if self.high.as_ref().is_none_or(|high| (sought.compare)(row, high).is_lt()) {
            self.candidates.push(slot);
        }
    }

    /// A row that was added matches no more, or its place in the order may be another.
    pub(super) fn remove(&mut self, slot: Slot) {
        if self.before.remove(slot) {
            self.before_count -= 1;
        } else if !self.candidates.remove(slot)
            && let Some(pass) = &mut self.pass
            && !pass.first.remove(slot)
        {
            pass.second.remove(slot);
        }
    }

    /// One piece of work, once every row was added.
    pub(super) fn step(&mut self, sought: &PageSought<'_>) -> DeepStep {
        let mut left = COMPARED_AT_ONCE;
        while left > 0 {
            let Some(pass) = &mut self.pass else {
                if self.candidates.count <= sought.limit.saturating_add(FEW) || self.futile > FUTILE_PASSES {
                    return self.found(sought);
                }
                self.begin_pass(sought);
                continue;
            };
            let Some(list) = self.candidates.lists.last_mut() else {
                self.end_pass(sought);
                continue;
            };
            let Some(slot) = list.pop() else {
                self.candidates.lists.pop();
                continue;
            };
            left -= 1;
            if self.candidates.remove(slot)
                && let Some(row) = sought.rows.get(slot)
            {
                let before = (sought.compare)(row, &pass.pivot).is_lt();
                if before { pass.first.push(slot) } else { pass.second.push(slot) }
            }
        }
        DeepStep::More
    }

    /// The rows that a step found: the next one finds them again, with what changes until then.
    pub(super) fn put_back(&mut self, slots: Vec<Slot>) {
        for slot in slots {
            self.candidates.push(slot);
        }
    }

    /// How many candidates come before the page; `None` where the page begins before all of them.
    fn ahead(&self, sought: &PageSought<'_>) -> Option<u64> {
        sought.offset.checked_sub(self.before_count)
    }

    /// Chooses a candidate that leaves most of the others out: by turns a little behind the page and a little before it.
    fn begin_pass(&mut self, sought: &PageSought<'_>) {
        // Some of each list, found by their places: stepping over every candidate would take as long as comparing some.
        let (lists, turn) = (&self.candidates.lists, self.passes as usize);
        let each = (SAMPLED / lists.len().max(1)).max(1);
        let slots = lists.iter().step_by((lists.len() / SAMPLED).max(1)).flat_map(|list| {
            let pace = (list.len() / each).max(1);
            list.iter().copied().skip(turn % pace).step_by(pace)
        });
        let present = slots.filter(|slot| self.candidates.set.contains(*slot));
        let mut sample: Vec<&Row> = present.filter_map(|slot| sought.rows.get(slot)).collect();
        sample.sort_by(|left, right| (sought.compare)(left, right));
        let ahead = self.ahead(sought).unwrap_or_default();
        let place = |rank: u64| {
            let scaled = u128::from(rank) * sample.len() as u128 / u128::from(self.candidates.count.max(1));
            usize::try_from(scaled).unwrap_or(usize::MAX)
        };
        let is_behind = self.passes.is_multiple_of(2);
        let place = if is_behind {
            place(ahead.saturating_add(sought.limit).saturating_add(MARGIN)).saturating_add(SAMPLED / 16)
        } else {
            place(ahead.saturating_sub(MARGIN)).saturating_sub(SAMPLED / 16)
        };
        let pivot = sample.get(place.min(sample.len().saturating_sub(1))).map(|row| Row::clone(row));
        self.passes += 1;
        match pivot {
            Some(pivot) => {
                self.pass = Some(DeepPass { pivot, first: CandidateRows::default(), second: CandidateRows::default() })
            }
            None => self.futile = FUTILE_PASSES + 1,
        }
    }

    fn end_pass(&mut self, sought: &PageSought<'_>) {
        let ahead = self.ahead(sought).unwrap_or_default();
        let Some(DeepPass { pivot, first, second }) = self.pass.take() else { return };
        let before = self.candidates.count.saturating_add(first.count + second.count);
        if first.count.saturating_add(MARGIN) <= ahead {
            self.before_count += first.count;
            self.before.extend(first.set);
            (self.low, self.candidates) = (Some(pivot), second);
        } else if first.count >= ahead.saturating_add(sought.limit).saturating_add(MARGIN) {
            (self.high, self.candidates) = (Some(pivot), first);
        } else {
            self.candidates = first;
            self.candidates.extend(second);
        }
        let is_futile = self.candidates.count > before - before / 16;
        self.futile = if is_futile { self.futile + 1 } else { 0 };
    }

    fn found(&mut self, sought: &PageSought<'_>) -> DeepStep {
        let Some(ahead) = self.ahead(sought) else { return DeepStep::Lost };
        if self.high.is_some() && ahead.saturating_add(sought.limit) > self.candidates.count {
            return DeepStep::Lost;
        }
        let CandidateRows { lists, mut set, .. } = std::mem::take(&mut self.candidates);
        let slots: Vec<Slot> = lists.into_iter().flatten().filter(|slot| set.remove(*slot)).collect();
        let skipped = usize::try_from(ahead).unwrap_or(usize::MAX).min(slots.len());
        DeepStep::Found(PageFound { slots, skipped })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use super::super::rows::{Chain, NO_SLOT};
    use super::*;

    fn row(id: u64, created_time: i64) -> Row {
        let earlier = Chain { customer: NO_SLOT, login: NO_SLOT, provider: NO_SLOT };
        Row {
            id,
            customer_id: 0,
            login: 0,
            created_time,
            touched: 0,
            earlier,
            labels: 0,
            short_amount: 0,
            key_hash: 0,
            currency: 0,
            kind: 0,
            source: 0,
            status: 0,
            key_space: 0,
            reason: 0,
            packed: Box::default(),
        }
    }

    /// Numbers that look random and are the same in every run.
    fn numbers() -> impl Iterator<Item = u64> {
        (1_u64..).map(|number| {
            number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
        })
    }

    #[test]
    fn s6_a_page_far_behind_is_found_in_pieces_of_bounded_work_while_rows_change() {
        const COUNT: u64 = 150_000;
        for (offset, changes) in [(8_193, 0), (70_000, 0), (70_000, 9), (149_990, 3), (400_000, 0)] {
            let mut numbers = numbers();
            let mut rows = Rows::default();
            (1..=COUNT).for_each(|id| rows.push(row(id, numbers.next().unwrap() as i64)));
            let (limit, compared, mut slowest) = (100, Cell::new(0_usize), 0);
            let compare = |left: &Row, right: &Row| {
                compared.set(compared.get() + 1);
                left.newness().cmp(&right.newness())
            };
            let mut page = DeepPage::default();
            for slot in 0..COUNT as Slot {
                page.add(slot, &PageSought { rows: &rows, compare: &compare, offset, limit });
            }
            let found = loop {
                compared.set(0);
                let step = page.step(&PageSought { rows: &rows, compare: &compare, offset, limit });
                slowest = slowest.max(compared.get());
                match step {
                    DeepStep::More => {}
                    DeepStep::Lost => panic!("few change"),
                    DeepStep::Found(found) => break found,
                }
                for _ in 0..changes {
                    let slot = (numbers.next().unwrap() % COUNT) as Slot;
                    page.remove(slot);
                    rows.get_mut(slot).unwrap().created_time = numbers.next().unwrap() as i64;
                    page.add(slot, &PageSought { rows: &rows, compare: &compare, offset, limit });
                }
            };
            assert!(found.slots.len() as u64 <= FEW + limit, "{offset}: {}", found.slots.len());
            assert!(slowest <= COMPARED_AT_ONCE + 10 * SAMPLED, "{offset}: {slowest}");
            let order = |slots: &mut dyn Iterator<Item = Slot>| -> Vec<u64> {
                let sorted: BTreeMap<_, _> = slots.map(|slot| (rows.get(slot).unwrap().newness(), slot)).collect();
                sorted.into_values().map(u64::from).collect()
            };
            let page: Vec<u64> =
                order(&mut found.slots.into_iter()).into_iter().skip(found.skipped).take(100).collect();
            let offset = usize::try_from(offset).unwrap();
            let expected: Vec<u64> = order(&mut (0..COUNT as Slot)).into_iter().skip(offset).take(100).collect();
            assert!(page == expected, "{offset} {changes}");
        }
    }
}
