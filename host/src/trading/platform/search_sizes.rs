//! How many finance orders the searches find: one that is over the limit is shown to the operator until it finds fewer, one that comes
//! near it is named in the log. What such a search then does is decided in `order_search`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::ports::Fault;

/// Finance orders that one search reads, forty pages: whoever has more must let the platform search (`search`).
pub(super) const ORDERS_READ_MAX: u64 = 20_000;

/// From so many on a search is named in the log, three quarters of the limit: there is time to act before it is reached.
const ORDERS_NAMED_FROM: u64 = ORDERS_READ_MAX / 4 * 3;

/// Searches that are remembered as that large; a platform where more are is wrong as a whole.
const SIZES_KEPT_MAX: usize = 1024;

/// What a search goes by.
#[derive(Debug, Clone, Copy)]
pub(super) enum OrderColumn<'v> {
    Everything,
    Equals(&'static str, &'v str),
    UpdatedFrom(&'v str),
}

/// Searches that found so many lately, by what they go by.
pub(super) struct SearchSizes {
    /// `search` is set.
    has_search: bool,
    kept: Mutex<BTreeMap<Box<str>, u64>>,
}

impl SearchSizes {
    pub(super) fn new(has_search: bool) -> Self {
        Self { has_search, kept: Mutex::default() }
    }

    /// What a search found; whether that is news for the log.
    pub(super) fn note(&self, column: OrderColumn<'_>, found: u64) -> bool {
        let name = self.name(column);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if found < ORDERS_NAMED_FROM {
            kept.remove(&name);
            return false;
        }
        let before = kept.get(&name).copied();
        if before.is_none() && kept.len() >= SIZES_KEPT_MAX {
            return false;
        }
        let is_over = |found: u64| found > ORDERS_READ_MAX;
        let is_news = before.is_none_or(|before| is_over(found) && !is_over(before));
        if is_news {
            let (search, limit) = (&*name, ORDERS_READ_MAX);
            tracing::warn!(search, found, limit, "search of finance orders is near its limit or over it");
        }
        kept.insert(name, found);
        is_news
    }

    /// The same of one that is over the limit; the sentence says so.
    pub(super) fn note_over(&self, column: OrderColumn<'_>, found: u64) -> String {
        self.note(column, found);
        self.sentence(&self.name(column), found)
    }

    /// A sentence for the operator about the first that is over the limit.
    pub(super) fn problem(&self) -> Result<(), Fault> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.iter().find(|(_, found)| **found > ORDERS_READ_MAX) {
            Some((name, found)) => Err(Fault::new(self.sentence(name, *found))),
            None => Ok(()),
        }
    }

    fn sentence(&self, name: &str, found: u64) -> String {
        let advice = match self.has_search {
            false => "set `search`, so that the platform searches",
            true => "does the platform understand what `search` makes of this condition, or are there so many?",
        };
        format!("a search of finance orders{name} finds {found}, more than {ORDERS_READ_MAX}: {advice}")
    }

    /// By what it searches. A key or a number finds as many only where its condition is ignored, so that it matters not which it is.
    fn name(&self, column: OrderColumn<'_>) -> Box<str> {
        match column {
            OrderColumn::Equals("login", login) if self.has_search => format!(" by login {login}").into(),
            OrderColumn::Equals(column, _) if self.has_search => format!(" by {column}").into(),
            OrderColumn::UpdatedFrom(_) if self.has_search => " by update_time".into(),
            // Without conditions all are one search.
            OrderColumn::Equals(..) | OrderColumn::UpdatedFrom(_) | OrderColumn::Everything => Box::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: OrderColumn<'_> = OrderColumn::Equals("login", "100");

    #[test]
    fn a_search_is_named_once_from_three_quarters_of_its_limit_and_shown_over_it_until_it_finds_fewer() {
        let sizes = SearchSizes::new(true);
        let noted = [14_999, 15_000, 16_000, 20_001, 20_002, 20_000].map(|found| sizes.note(LOGIN, found));
        assert_eq!(noted, [false, true, false, true, false, false]);
        assert_eq!(sizes.problem(), Ok(()));
        sizes.note(LOGIN, 20_001);
        sizes.note(OrderColumn::Equals("login", "101"), 3);
        assert!(sizes.problem().unwrap_err().what.starts_with("a search of finance orders by login 100 finds 20001,"));
        sizes.note(LOGIN, 3);
        assert_eq!(sizes.problem(), Ok(()));
    }

    #[test]
    fn what_is_to_be_done_depends_on_whether_search_is_set() {
        for (has_search, expected, other) in [(false, "set `search`", "does the"), (true, "does the platform", "set `")]
        {
            let sizes = SearchSizes::new(has_search);
            let said = sizes.note_over(LOGIN, 20_001);
            assert!(said.contains(expected) && !said.contains(other), "{said}");
            assert_eq!(sizes.problem().unwrap_err().what, said);
        }
    }
}
