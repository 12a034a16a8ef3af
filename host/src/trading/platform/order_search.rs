//! Reads the rows that a search of finance orders finds, page by page, and says whether these are all. What they mean is `order_rows`',
//! which search is made `orders`'.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::client::{PlatformClient, PlatformFailure};
use super::search_sizes::{ORDERS_READ_MAX, OrderColumn, SearchSizes};
use super::settings::PlatformSettings;
use super::tables::{self, TableRow};
use crate::ports::Fault;

pub(super) const TRADES: &str = "MngGetTradesByFilter";

/// Rows of one page: a hundred KiB, well below a line.
const ORDERS_PAGE_ROWS: u64 = 500;

/// How often a table that changes between its pages is read.
const SEARCH_TRIES: usize = 2;

/// `tradeType` of finance orders.
const FINANCE: u8 = 4;

/// No order has this number.
const NO_ORDER: OrderColumn<'_> = OrderColumn::Equals("order", "0");

pub(super) const CHANGED_WHILE_READ: &str = "the finance orders changed while they were read";

/// Why a search has no rows.
pub(super) enum SearchFailure {
    Call(PlatformFailure),
    /// It finds more than are read at once; a sentence for the operator.
    TooMany(String),
}

impl From<SearchFailure> for PlatformFailure {
    fn from(failure: SearchFailure) -> Self {
        match failure {
            SearchFailure::Call(failure) => failure,
            SearchFailure::TooMany(why) => Self::Unknown(why),
        }
    }
}

/// The finance orders of the platform as they are searched.
#[derive(Clone)]
pub(super) struct OrderSearch {
    pub(super) client: PlatformClient,
    pub(super) settings: Arc<PlatformSettings>,
    pub(super) sizes: Arc<SearchSizes>,
}

impl OrderSearch {
    pub(super) async fn search(&self, column: OrderColumn<'_>) -> Result<Vec<TableRow>, PlatformFailure> {
        Ok(self.searched(column).await?)
    }

    /// Reads every page, once more where they do not hold together. The platform's conditions are a help alone: what they let
    /// through is compared again.
    pub(super) async fn searched(&self, column: OrderColumn<'_>) -> Result<Vec<TableRow>, SearchFailure> {
        for _ in 0..SEARCH_TRIES {
            if let Some(rows) = self.pages(column).await? {
                self.sizes.note(column, u64::try_from(rows.len()).unwrap_or(u64::MAX));
                return Ok(rows);
            }
        }
        Err(SearchFailure::Call(PlatformFailure::Unknown(CHANGED_WHILE_READ.to_owned())))
    }

    /// Ends at an empty page alone: a server may answer fewer rows than it is asked for, and `count` may be that of the page, or missing.
    /// `None` where a row moved from one page to another, or fewer came than are counted, so that one may be missing. Of those whose
    /// number cannot be read that is not known.
    async fn pages(&self, column: OrderColumn<'_>) -> Result<Option<Vec<TableRow>>, SearchFailure> {
        let (mut found, mut unnumbered): (BTreeMap<u64, TableRow>, Vec<TableRow>) = Default::default();
        let (mut offset, mut counted, mut counts_the_table) = (0_u64, 0_u64, false);
        loop {
            let answer = self.client.call(TRADES, self.question(column, offset)).await.map_err(SearchFailure::Call)?;
            let rows = tables::rows(&answer).map_err(unreadable)?;
            let read = u64::try_from(rows.len()).unwrap_or(u64::MAX);
            let count = tables::count(&answer).filter(|_| !counts_the_table).unwrap_or_default();
            if read == 0 {
                counted = counted.max(count);
                let all: Vec<TableRow> = found.into_values().chain(unnumbered).collect();
                // An empty page beside a count is none, but where that is no count of what was asked for.
                let has_all = u64::try_from(all.len()).is_ok_and(|read| read >= counted)
                    || self.counts_the_table(column, !all.is_empty()).await.map_err(SearchFailure::Call)?;
                return Ok(has_all.then_some(all));
            }
            offset = offset.saturating_add(read);
            if count > ORDERS_READ_MAX && offset <= ORDERS_READ_MAX {
                counts_the_table = self.counts_the_table(column, true).await.map_err(SearchFailure::Call)?;
            }
            let count = if counts_the_table { 0 } else { count };
            if count.max(offset) > ORDERS_READ_MAX {
                return Err(SearchFailure::TooMany(self.sizes.note_over(column, count.max(offset))));
            }
            // A count of the page alone says nothing of the table.
            if count > read && count < counted {
                return Ok(None);
            }
            counted = if count > read { count } else { counted };
            for row in rows {
                let Ok(number) = row.number("order") else {
                    unnumbered.push(row);
                    continue;
                };
                if found.insert(number, row).is_some() {
                    return Ok(None);
                }
            }
        }
    }

    /// Whether the platform counts the whole table, whatever is searched: it does where a question that can find nothing has no rows
    /// and a count. Where nothing was found at all, it must list something that is asked for without a condition: one that lists
    /// nothing, whatever it counts, does not answer. An empty page alone never says that nothing is missing.
    pub(super) async fn counts_the_table(
        &self,
        column: OrderColumn<'_>,
        has_rows: bool,
    ) -> Result<bool, PlatformFailure> {
        let has_condition = self.settings.search.is_some() && !matches!(column, OrderColumn::Everything);
        if !has_condition {
            return Ok(false);
        }
        match self.first_page(NO_ORDER).await {
            Ok((0, 1..)) => {}
            Ok(_) => return Ok(false),
            Err(PlatformFailure::Answered(error)) if error.says_no_or_nothing() => return Ok(false),
            Err(failure) => return Err(failure),
        }
        Ok(has_rows || matches!(self.first_page(OrderColumn::Everything).await?, (1.., _)))
    }

    /// How many rows the first page has, and what is counted.
    async fn first_page(&self, column: OrderColumn<'_>) -> Result<(usize, u64), PlatformFailure> {
        let answer = self.client.call(TRADES, self.question(column, 0)).await?;
        let rows = tables::rows(&answer).map_err(|fault| PlatformFailure::Unknown(fault.what))?;
        Ok((rows.len(), tables::count(&answer).unwrap_or_default()))
    }

    pub(super) fn question(&self, column: OrderColumn<'_>, offset: u64) -> Value {
        let mut data = Map::new();
        data.insert("groupFilter".to_owned(), json!(self.settings.group_filter));
        data.insert("tradeType".to_owned(), json!(FINANCE));
        data.insert("limit".to_owned(), json!(ORDERS_PAGE_ROWS));
        data.insert("offset".to_owned(), json!(offset));
        if let Some(search) = &self.settings.search {
            let condition = match column {
                OrderColumn::Everything => None,
                OrderColumn::Equals(column, value) => Some(search.equals(column, value)),
                OrderColumn::UpdatedFrom(time) => Some(search.at_least("update_time", time)),
            };
            data.extend(condition.map(|condition| (search.field.to_string(), json!(condition))));
            if !search.order_by.is_empty() {
                data.insert("orderBy".to_owned(), json!(search.order_by));
            }
        }
        Value::Object(data)
    }
}

fn unreadable(fault: Fault) -> SearchFailure {
    SearchFailure::Call(PlatformFailure::Unknown(fault.what))
}
