//! When the search for a page ends before its cursors do: no row that they have not reached can change the answer.

use super::Books;
use super::hash_index::Slot;
use super::query::Scan;
use super::rows::Row;
use crate::filter::{Direction, Filter, TransactionField};

impl Books {
    /// Whether no row at `slot` or behind it, in the direction of its cursor, can change the answer: all are too old to match; or
    /// the count is known or not wanted, the page is full, and its last row comes before all of them.
    pub(super) fn nothing_left(
        &self,
        scan: &mut Scan,
        filter: &Filter<TransactionField>,
        slot: Slot,
        is_upward: bool,
    ) -> bool {
        let Some(bounds) = self.rows.bounds(slot) else { return true };
        if !is_upward && bounds.newest_so_far.0 < scan.created.0 {
            return true;
        }
        let needs_count = filter.is_counted() && !scan.covered;
        if needs_count || scan.best.len() < scan.wanted || scan.deep.is_some() {
            return false;
        }
        let by_id = filter.by_id().filter(|_| self.rows.ids_rise());
        if !filter.is_newest_first() && by_id.is_none() {
            return false;
        }
        self.retain_best(scan, scan.wanted, filter);
        let mut best = scan.best.iter().filter_map(|slot| self.rows.get(*slot));
        let cut = match (by_id, is_upward) {
            (Some(Direction::Descending), false) => best.all(|row| row.id >= bounds.ids.1),
            (Some(Direction::Ascending), true) => best.all(|row| row.id < bounds.ids.0),
            (Some(_), _) => false,
            (None, _) => best.map(Row::newness).min().is_some_and(|oldest| oldest > bounds.newest_so_far),
        };
        scan.cut |= cut;
        cut
    }
}
