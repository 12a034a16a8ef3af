//! Finance orders in the order in which they changed, as far as one page of a list of postings needs them.

use std::collections::BTreeSet;

use super::accounts::fault;
use super::order_rows::ListedOrder;
use super::order_search::{CHANGED_WHILE_READ, TRADES};
use super::orders::FinanceOrders;
use super::search_sizes::OrderColumn;
use super::tables::{self, TableRow};
use crate::ports::Fault;

/// Orders that changed at one time and are read at once, some 300 bytes each: a batch at night touches many in one second.
const ORDERS_OF_ONE_TIME_MAX: u64 = 100_000;

impl FinanceOrders {
    /// Orders that changed at this time or later, the oldest first, and whether these are all. Where the platform sorts, no more are
    /// read than are enough.
    ///
    /// # Errors
    /// The platform does not answer, changed them meanwhile, does not sort them as it was asked to, or has too many of one time.
    pub(super) async fn updated_from(
        &self,
        time: &str,
        is_enough: impl Fn(&[ListedOrder]) -> bool + Send,
    ) -> Result<(Vec<ListedOrder>, bool), Fault> {
        let column = if time.is_empty() { OrderColumn::Everything } else { OrderColumn::UpdatedFrom(time) };
        let sorts = self.settings.search.as_ref().is_some_and(|search| !search.order_by.is_empty());
        if !sorts {
            let found = self.searches.search(column).await.map_err(fault)?;
            return Ok((found.iter().filter_map(|row| self.rows().listed(row)).collect(), true));
        }
        let (mut listed, mut pages) = (Vec::new(), SortedPages::from(time));
        loop {
            let column =
                if pages.from.is_empty() { OrderColumn::Everything } else { OrderColumn::UpdatedFrom(&pages.from) };
            let question = self.searches.question(column, pages.offset);
            let answer = self.client.call(TRADES, question).await.map_err(fault)?;
            let (rows, mut count) = (tables::rows(&answer)?, tables::count(&answer));
            // At the end, where more are counted: that may be the whole table.
            let is_short = rows.is_empty() && count.is_some_and(|count| count > pages.offset);
            if is_short && self.searches.counts_the_table(column, !pages.read.is_empty()).await.map_err(fault)? {
                count = None;
            }
            let Some(rows) = pages.take(rows, count)? else { return Ok((listed, true)) };
            listed.extend(rows.iter().filter_map(|row| self.rows().listed(row)));
            if pages.offset >= ORDERS_OF_ONE_TIME_MAX || is_enough(&listed) {
                return Ok((listed, false));
            }
        }
    }
}

/// Pages of a table that is sorted by time and may change while it is read. Each is asked for from the last time of the one before, so
/// that an order which changed, and stands at the end by now, hides none of those behind it; by its place only within one time, or where
/// the platform ignores the condition.
struct SortedPages {
    from: Box<str>,
    /// `from`, where it is a number.
    from_number: u64,
    offset: u64,
    by_time: bool,
    /// Number and time of each row that was read.
    read: BTreeSet<(Box<str>, Box<str>)>,
}

impl SortedPages {
    fn from(time: &str) -> Self {
        let from_number = time.parse().unwrap_or_default();
        Self { from: time.into(), from_number, offset: 0, by_time: true, read: BTreeSet::new() }
    }

    /// The rows that were not read yet; `None` where all were.
    fn take(&mut self, rows: Vec<TableRow>, count: Option<u64>) -> Result<Option<Vec<TableRow>>, Fault> {
        if rows.is_empty() {
            // An empty page beside a count is none; and the last order of the page before is in one that begins with its time.
            let is_missing =
                count.is_some_and(|count| count > self.offset) || self.offset == 0 && !self.read.is_empty();
            return if is_missing { Err(Fault::new(CHANGED_WHILE_READ)) } else { Ok(None) };
        }
        let stated = |row: &TableRow, name| row.optional_text(name).unwrap_or_default();
        let times = rows.iter().map(|row| stated(row, "update_time"));
        let numbers: Vec<u64> = times.filter_map(|time| time.parse().ok()).collect();
        if !numbers.is_sorted() {
            return Err(Fault::new(
                "finance orders are not listed by update_time, the oldest first: see order_by of [trading.platform.search]",
            ));
        }
        let is_ignored = self.by_time && numbers.first().is_some_and(|first| *first < self.from_number);
        if is_ignored && !self.read.is_empty() {
            (self.by_time, self.offset) = (false, u64::try_from(self.read.len()).unwrap_or(u64::MAX));
            return Ok(Some(Vec::new()));
        }
        let read_now = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        match numbers.last().filter(|last| self.by_time && !is_ignored && **last > self.from_number) {
            Some(last) => (self.from, self.from_number, self.offset) = (last.to_string().into(), *last, 0),
            None => self.offset = self.offset.saturating_add(read_now),
        }
        let fresh = |row: &TableRow| self.read.insert((identity(row), stated(row, "update_time")));
        Ok(Some(rows.into_iter().filter(fresh).collect()))
    }
}

/// What a row is known by: its number, else all that says whose it is.
fn identity(row: &TableRow) -> Box<str> {
    let stated = |name| row.optional_text(name).unwrap_or_default();
    match stated("order") {
        number if number.is_empty() => {
            format!("{} {} {}", stated("login"), stated("gw_uuid"), stated("comment")).into()
        }
        number => number,
    }
}
