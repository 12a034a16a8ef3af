//! Finance orders in the order in which they changed, as far as one page of a list of postings needs them.

use super::accounts::fault;
use super::order_rows::ListedOrder;
use super::orders::{CHANGED_WHILE_READ, FinanceOrders, OrderColumn, TRADES};
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
            let found = self.search(column).await.map_err(fault)?;
            return Ok((found.iter().filter_map(|row| self.rows().listed(row)).collect(), true));
        }
        let (mut listed, mut pages) = (Vec::new(), SortedPages::default());
        loop {
            let question = self.question(column, pages.next_offset());
            let answer = self.client.call(TRADES, question).await.map_err(fault)?;
            let (rows, count) = (tables::rows(&answer)?, tables::count(&answer));
            let Some(rows) = pages.take(rows, count)? else { return Ok((listed, true)) };
            listed.extend(rows.iter().filter_map(|row| self.rows().listed(row)));
            if pages.offset >= ORDERS_OF_ONE_TIME_MAX || is_enough(&listed) {
                return Ok((listed, false));
            }
        }
    }
}

/// Pages of a sorted table that may change while it is read: each begins with the last row of the one before, so that a row which
/// moved to the end, and with it all behind it, is noticed.
#[derive(Default)]
struct SortedPages {
    /// Rows that were read.
    offset: u64,
    /// The number of the last one, where the next page begins with it.
    last: Option<Box<str>>,
    last_time: u64,
}

impl SortedPages {
    fn next_offset(&self) -> u64 {
        self.offset.saturating_sub(u64::from(self.last.is_some()))
    }

    /// The rows that were not read yet; `None` where these are all.
    fn take(&mut self, mut rows: Vec<TableRow>, count: Option<u64>) -> Result<Option<Vec<TableRow>>, Fault> {
        let number = |row: &TableRow| row.optional_text("order").unwrap_or_default();
        if rows.is_empty() {
            // What stood there went away, or a page is missing.
            let is_cut = self.last.is_some() || count.is_some_and(|count| count > self.offset);
            return if is_cut { Err(Fault::new(CHANGED_WHILE_READ)) } else { Ok(None) };
        }
        let is_single = rows.len() == 1;
        if let Some(last) = self.last.take() {
            if number(&rows.remove(0)) != last {
                return Err(Fault::new(CHANGED_WHILE_READ));
            }
            if rows.is_empty() {
                // All were read, or pages have one row each.
                return Ok(count.is_some_and(|count| count > self.offset).then_some(rows));
            }
        }
        for row in &rows {
            let time = row.optional_text("update_time").and_then(|time| time.parse().ok()).unwrap_or(self.last_time);
            if time < self.last_time {
                return Err(Fault::new(
                    "finance orders are not listed by update_time, the oldest first: see order_by of [trading.platform.search]",
                ));
            }
            self.last_time = time;
        }
        self.offset = self.offset.saturating_add(u64::try_from(rows.len()).unwrap_or(u64::MAX));
        self.last = rows.last().filter(|_| !is_single).map(number);
        Ok(Some(rows))
    }
}
