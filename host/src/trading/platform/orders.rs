//! Finance orders at the platform, and how they are found again. What to do with them is decided in `next_step`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::accounts::fault;
use super::client::{PlatformClient, PlatformFailure};
use super::contradictions::Contradictions;
use super::messages::ServerErrorKind;
use super::next_step::{FinanceOrder, OrderState, PENDING, WantedOrder};
use super::order_rows::{ListedOrder, OrderRows};
use super::settings::{PlatformKeyForm, PlatformPhases, PlatformSettings};
use super::tables::{self, TableRow};
use crate::ports::{Fault, Posting};

/// Rows of one page: a hundred KiB, well below a line.
const ORDERS_PAGE_ROWS: u64 = 500;

/// Finance orders that one search reads, forty pages: whoever has more must let the platform search (`search`).
const ORDERS_READ_MAX: u64 = 20_000;

/// How often a table that changes between its pages is read.
const SEARCH_TRIES: usize = 2;

/// `tradeType` of finance orders.
const FINANCE: u8 = 4;

const TRADES: &str = "MngGetTradesByFilter";

/// The orders of the platform as the cashier searches and changes them.
#[derive(Clone)]
pub(super) struct FinanceOrders {
    pub(super) client: PlatformClient,
    pub(super) settings: Arc<PlatformSettings>,
    /// A search by `gw_uuid` did not find what is there: the orders of the login are read since.
    pub(super) uuid_fails: Arc<AtomicBool>,
    pub(super) contradictions: Arc<Contradictions>,
}

/// What a search goes by.
#[derive(Debug, Clone, Copy)]
pub(super) enum OrderColumn<'v> {
    Everything,
    Equals(&'static str, &'v str),
    UpdatedFrom(&'v str),
}

impl FinanceOrders {
    /// The posting as its order must be.
    pub(super) fn wanted(&self, posting: &Posting) -> WantedOrder {
        let (key, operation) = (posting.key(), &posting.operation);
        let (plain, made): (Box<str>, _) = (key.as_str().into(), uuid_of(key.as_str()));
        let (uuid, other_uuid) = match self.settings.key_form {
            PlatformKeyForm::Key => (plain, made),
            PlatformKeyForm::Uuid => (made, plain),
        };
        WantedOrder {
            uuid,
            other_uuid,
            key: key.as_str().into(),
            source: self.settings.source.clone(),
            login: operation.login,
            cmd: operation.cmd,
            amount: operation.amount,
            recorded: operation.request_order,
        }
    }

    /// Every order that may be about the posting, by its key and by its recorded number; each that is can be compared with it.
    pub(super) async fn about(&self, wanted: &WantedOrder) -> Result<Vec<FinanceOrder>, Fault> {
        let found = self.found(wanted).await?;
        if let Some(order) = wanted.unreadable(&found) {
            return Err(Fault::new(format!("the amount of finance order {order} cannot be read")));
        }
        self.contradictions.note(wanted, &found);
        Ok(found)
    }

    async fn found(&self, wanted: &WantedOrder) -> Result<Vec<FinanceOrder>, Fault> {
        if !self.searches_by_uuid() {
            return self.of_login(wanted).await;
        }
        let by_key = match self.search(OrderColumn::Equals("gw_uuid", &wanted.uuid)).await {
            Ok(found) => found,
            Err(PlatformFailure::Answered(error)) if error.kind == ServerErrorKind::Stated => {
                tracing::warn!(%error, "trading server refused a search by gw_uuid: the orders of the login are read");
                return self.of_login(wanted).await;
            }
            Err(failure) => return Err(fault(failure)),
        };
        let mut found = self.rows().read(&by_key)?;
        let is_one = |orders: &[FinanceOrder]| orders.iter().any(|order| wanted.is_about(order));
        if !is_one(&found) && wanted.recorded == 0 {
            // Nothing is made, or said not to be there, by this search alone: an order may have the key in its comment only.
            return self.of_login(wanted).await;
        }
        if wanted.recorded != 0 && !found.iter().any(|order| order.order == wanted.recorded) {
            let by_number = self.recorded(wanted).await?;
            if by_number.iter().any(|order| order.order == wanted.recorded && wanted.is_about(order)) {
                tracing::warn!(
                    order = wanted.recorded,
                    "trading server does not find an order by its gw_uuid: the orders of the login are read"
                );
                self.uuid_fails.store(true, Ordering::SeqCst);
                return self.of_login(wanted).await;
            }
            found.extend(by_number);
            if !is_one(&found) {
                return self.of_login(wanted).await;
            }
        }
        Ok(found)
    }

    /// The recorded one, whatever it looks like by now.
    async fn recorded(&self, wanted: &WantedOrder) -> Result<Vec<FinanceOrder>, Fault> {
        let number = wanted.recorded.to_string();
        let found = self.search(OrderColumn::Equals("order", &number)).await.map_err(fault)?;
        Ok(self.rows().read(&found)?.into_iter().filter(|order| order.order == wanted.recorded).collect())
    }

    fn searches_by_uuid(&self) -> bool {
        let by_uuid = self.settings.search.as_ref().is_some_and(|search| search.by_uuid);
        let has_uuid = self.settings.phases == PlatformPhases::Two;
        by_uuid && has_uuid && !self.uuid_fails.load(Ordering::SeqCst)
    }

    async fn of_login(&self, wanted: &WantedOrder) -> Result<Vec<FinanceOrder>, Fault> {
        let login = wanted.login.0.to_string();
        let found = self.search(OrderColumn::Equals("login", &login)).await.map_err(fault)?;
        let mut found = self.rows().read(&found)?;
        if wanted.recorded != 0 && !found.iter().any(|order| order.order == wanted.recorded) {
            found.extend(self.recorded(wanted).await?);
        }
        Ok(found)
    }

    /// Pending orders of our source.
    pub(super) async fn pending(&self) -> Result<Vec<FinanceOrder>, Fault> {
        let state = PENDING.to_string();
        let found = self.search(OrderColumn::Equals("state", &state)).await.map_err(fault)?;
        let is_ours = |order: &FinanceOrder| {
            order.state == OrderState::Pending && order.source == self.settings.source && !order.uuid.is_empty()
        };
        Ok(self.rows().read(&found)?.into_iter().filter(is_ours).collect())
    }

    /// Every order with this `gw_uuid`, which belongs to this login.
    pub(super) async fn siblings(&self, of: &FinanceOrder) -> Result<Vec<FinanceOrder>, Fault> {
        let login = of.login.0.to_string();
        if self.searches_by_uuid() {
            match self.search(OrderColumn::Equals("gw_uuid", &of.uuid)).await {
                Ok(found) => return self.rows().read(&found),
                Err(PlatformFailure::Answered(_)) => {}
                Err(failure) => return Err(fault(failure)),
            }
        }
        let found = self.search(OrderColumn::Equals("login", &login)).await.map_err(fault)?;
        self.rows().read(&found)
    }

    /// Orders that changed at this time or later, the oldest first, and whether these are all. Where the platform sorts, no more
    /// are read than hold so many of ours.
    pub(super) async fn updated_from(&self, time: &str, ours: usize) -> Result<(Vec<ListedOrder>, bool), Fault> {
        let column = if time.is_empty() { OrderColumn::Everything } else { OrderColumn::UpdatedFrom(time) };
        let sorts = self.settings.search.as_ref().is_some_and(|search| !search.order_by.is_empty());
        if !sorts {
            let found = self.search(column).await.map_err(fault)?;
            return Ok((
                found.iter().filter_map(|row| self.rows().listed(row).transpose()).collect::<Result<_, _>>()?,
                true,
            ));
        }
        let (mut listed, mut offset) = (Vec::new(), 0_u64);
        loop {
            let answer = self.client.call(TRADES, self.question(column, offset)).await.map_err(fault)?;
            let rows = tables::rows(&answer)?;
            if rows.is_empty() {
                return Ok((listed, true));
            }
            offset = offset.saturating_add(u64::try_from(rows.len()).unwrap_or(u64::MAX));
            for row in &rows {
                listed.extend(self.rows().listed(row)?);
            }
            let is_ours = |listed: &&ListedOrder| listed.order.source == self.settings.source;
            if listed.iter().filter(is_ours).count() > ours || offset >= ORDERS_READ_MAX {
                return Ok((listed, false));
            }
        }
    }

    /// Reads every page, once more where they do not hold together. The platform's conditions are a help alone: what they let
    /// through is compared again.
    async fn search(&self, column: OrderColumn<'_>) -> Result<Vec<TableRow>, PlatformFailure> {
        for _ in 0..SEARCH_TRIES {
            if let Some(rows) = self.pages(column).await? {
                return Ok(rows);
            }
        }
        Err(PlatformFailure::Unknown("the finance orders changed while they were read".to_owned()))
    }

    /// Ends at an empty page alone: a server may answer fewer rows than it is asked for, and `count` may be that of the page. `None`
    /// where a row moved from one page to another, so that one may be missing.
    async fn pages(&self, column: OrderColumn<'_>) -> Result<Option<Vec<TableRow>>, PlatformFailure> {
        let unreadable = |fault: Fault| PlatformFailure::Unknown(fault.what);
        let mut found: BTreeMap<u64, TableRow> = BTreeMap::new();
        let (mut offset, mut counted) = (0_u64, 0_u64);
        loop {
            let answer = self.client.call(TRADES, self.question(column, offset)).await?;
            let rows = tables::rows(&answer).map_err(unreadable)?;
            let read = u64::try_from(rows.len()).unwrap_or(u64::MAX);
            if read == 0 {
                let has_all = u64::try_from(found.len()).is_ok_and(|found| found >= counted);
                return Ok(has_all.then(|| found.into_values().collect()));
            }
            offset = offset.saturating_add(read);
            let count = tables::count(&answer)
                .ok_or_else(|| PlatformFailure::Unknown("a page of orders without count".to_owned()))?;
            if count.max(offset) > ORDERS_READ_MAX {
                return Err(PlatformFailure::Unknown(format!(
                    "a search of finance orders finds {}, more than {ORDERS_READ_MAX}: set `search`, so that the platform searches",
                    count.max(offset)
                )));
            }
            // A count of the page alone says nothing of the table.
            if count > read && count < counted {
                return Ok(None);
            }
            counted = if count > read { count } else { counted };
            for row in rows {
                if found.insert(row.number("order").map_err(unreadable)?, row).is_some() {
                    return Ok(None);
                }
            }
        }
    }

    pub(super) fn rows(&self) -> OrderRows<'_> {
        OrderRows(&self.settings)
    }

    fn question(&self, column: OrderColumn<'_>, offset: u64) -> Value {
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

/// A UUID of version 8, made of a key.
fn uuid_of(key: &str) -> Box<str> {
    let digest = Sha256::digest(format!("cashier:{key}"));
    let number = digest.iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let marked = number & !(0xf << 76) & !(0x3 << 62) | 0x8 << 76 | 0x2 << 62;
    let hex = format!("{marked:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or_default());
    parts.join("-").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_uuid_of_version_8() {
        let (one, other) = (uuid_of("d0123456789abcdefghj:1"), uuid_of("d0123456789abcdefghj:2"));
        assert_ne!(one, other);
        for uuid in [&one, &other] {
            let parts: Vec<&str> = uuid.split('-').collect();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{uuid}");
            assert!(parts[2].starts_with('8') && "89ab".contains(&parts[3][..1]), "{uuid}");
        }
        assert_eq!(&*one, "56c6f448-abc1-8c40-bd77-87771720fd3b");
    }
}
