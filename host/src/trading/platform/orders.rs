//! Finance orders at the platform, and how they are found again. What to do with them is decided in `next_step`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cashier_core::ids::Login;
use cashier_core::operation::OperationKey;
use serde_json::{Map, Value, json};

use super::accounts::fault;
use super::client::{PlatformClient, PlatformFailure};
use super::contradictions::Contradictions;
use super::finance_order::{FinanceOrder, OrderKey, OrderState, PENDING, uuid_of};
use super::next_step::{PostingStep, WantedOrder};
use super::order_rows::OrderRows;
use super::settings::{PlatformKeyForm, PlatformPhases, PlatformSettings};
use super::tables::{self, TableRow};
use crate::ports::{Fault, Posting};

/// Rows of one page: a hundred KiB, well below a line.
const ORDERS_PAGE_ROWS: u64 = 500;

/// Finance orders that one search reads, forty pages: whoever has more must let the platform search (`search`).
pub(super) const ORDERS_READ_MAX: u64 = 20_000;

/// How often a table that changes between its pages is read.
const SEARCH_TRIES: usize = 2;

/// `tradeType` of finance orders.
const FINANCE: u8 = 4;

pub(super) const TRADES: &str = "MngGetTradesByFilter";

pub(super) const CHANGED_WHILE_READ: &str = "the finance orders changed while they were read";

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
        let operation = &posting.operation;
        WantedOrder {
            of: self.key(posting.key().as_str()),
            login: operation.login,
            cmd: operation.cmd,
            amount: operation.amount,
            recorded: operation.request_order,
        }
    }

    fn key(&self, key: &str) -> OrderKey {
        let (plain, made): (Box<str>, _) = (key.into(), uuid_of(key));
        let (uuid, other_uuid) = match self.settings.key_form {
            PlatformKeyForm::Key => (plain.clone(), made),
            PlatformKeyForm::Uuid => (made, plain.clone()),
        };
        OrderKey { key: plain, uuid, other_uuid, source: self.settings.source.clone() }
    }

    /// The key of a request of ours: it stands in `gw_uuid`, or before everything else in the comment. Where it does not, `gw_uuid` alone
    /// is known.
    pub(super) fn key_of(&self, order: &FinanceOrder) -> OrderKey {
        let first = order.comment.split_whitespace().next().unwrap_or_default();
        let read = |text: &str| OperationKey::read(&text.to_ascii_lowercase());
        let mut keys = [&*order.uuid, first].into_iter().filter_map(read).map(|key| self.key(key.as_str()));
        let known = keys.find(|known| known.has_uuid(&order.uuid));
        known.unwrap_or_else(|| OrderKey {
            key: Box::default(),
            uuid: order.uuid.clone(),
            other_uuid: Box::default(),
            source: self.settings.source.clone(),
        })
    }

    /// Every order that may be about the posting, by its key, by its account and by its recorded number; each that is can be compared
    /// with it. One that a person made has the key in its comment alone: the orders of the account are read whatever the key finds.
    pub(super) async fn about(&self, wanted: &WantedOrder) -> Result<Vec<FinanceOrder>, Fault> {
        let by_key = self.by_uuid(&wanted.of, wanted.recorded).await?;
        let found = self.of_account(wanted, by_key).await?;
        self.comparable(wanted, found)
    }

    /// The same of an order that is asked for again and again: while it is on its way, by its key alone.
    pub(super) async fn awaited(&self, wanted: &WantedOrder) -> Result<Vec<FinanceOrder>, Fault> {
        let by_key = self.by_uuid(&wanted.of, wanted.recorded).await?;
        let is_on_its_way = |orders: &[FinanceOrder]| {
            matches!(wanted.next_step(orders), PostingStep::Wait { state: OrderState::Approved, .. })
        };
        let found = match by_key {
            Some(orders) if is_on_its_way(&orders) => orders,
            by_key => self.of_account(wanted, by_key).await?,
        };
        self.comparable(wanted, found)
    }

    /// The orders of a request that was made just now, which are to be compared: whether it is there.
    pub(super) async fn made(&self, wanted: &WantedOrder) -> Result<Vec<FinanceOrder>, Fault> {
        if self.searches_by_uuid() {
            let question = self.question(OrderColumn::Equals("gw_uuid", &wanted.of.uuid), 0);
            let found = match self.client.call(TRADES, question).await {
                Ok(first) => self.rows().read(&tables::rows(&first)?, &wanted.of, wanted.recorded)?,
                Err(PlatformFailure::Answered(_)) => Vec::new(),
                Err(failure) => return Err(fault(failure)),
            };
            if found.iter().any(|order| wanted.of.is_about(order)) {
                return Ok(found);
            }
        }
        self.of_account(wanted, None).await
    }

    fn comparable(&self, wanted: &WantedOrder, found: Vec<FinanceOrder>) -> Result<Vec<FinanceOrder>, Fault> {
        self.is_comparable(wanted, &found).map(|()| found)
    }

    /// Whether each that is about the posting can be compared with it.
    pub(super) fn is_comparable(&self, wanted: &WantedOrder, found: &[FinanceOrder]) -> Result<(), Fault> {
        if let Some(order) = wanted.unreadable(found) {
            return Err(Fault::new(format!("the amount of finance order {order} cannot be read")));
        }
        self.contradictions.note(wanted, found);
        Ok(())
    }

    /// What a search by `gw_uuid` finds; `None` where there is none.
    async fn by_uuid(&self, of: &OrderKey, recorded: u64) -> Result<Option<Vec<FinanceOrder>>, Fault> {
        if !self.searches_by_uuid() {
            return Ok(None);
        }
        match self.search(OrderColumn::Equals("gw_uuid", &of.uuid)).await {
            Ok(found) => self.rows().read(&found, of, recorded).map(Some),
            Err(PlatformFailure::Answered(error)) if error.says_no_or_nothing() => {
                tracing::warn!(%error, "trading server refused a search by gw_uuid: the orders of the login are read");
                Ok(None)
            }
            Err(failure) => Err(fault(failure)),
        }
    }

    fn searches_by_uuid(&self) -> bool {
        let by_uuid = self.settings.search.as_ref().is_some_and(|search| search.by_uuid);
        let has_uuid = self.settings.phases == PlatformPhases::Two;
        by_uuid && has_uuid && !self.uuid_fails.load(Ordering::SeqCst)
    }

    /// The orders of the login and the recorded one, beside what the key found.
    async fn of_account(
        &self,
        wanted: &WantedOrder,
        by_key: Option<Vec<FinanceOrder>>,
    ) -> Result<Vec<FinanceOrder>, Fault> {
        let is_recorded = |order: &FinanceOrder| wanted.recorded != 0 && order.order == wanted.recorded;
        let is_missed = by_key.as_ref().is_some_and(|found| !found.iter().any(is_recorded));
        let mut found =
            joined(by_key.unwrap_or_default(), self.of_login(wanted.login, &wanted.of, wanted.recorded).await?);
        if wanted.recorded != 0 && !found.iter().any(is_recorded) {
            found.extend(self.numbered(wanted, wanted.recorded).await?);
        }
        if is_missed && found.iter().any(|order| is_recorded(order) && wanted.of.is_our_own(order)) {
            tracing::warn!(
                order = wanted.recorded,
                "trading server does not find an order by its gw_uuid: the orders of the login are read alone"
            );
            self.uuid_fails.store(true, Ordering::SeqCst);
        }
        Ok(found)
    }

    async fn of_login(&self, login: Login, of: &OrderKey, recorded: u64) -> Result<Vec<FinanceOrder>, Fault> {
        let found = self.search(OrderColumn::Equals("login", &login.to_string())).await.map_err(fault)?;
        self.rows().read(&found, of, recorded)
    }

    /// The one of a number, whatever it looks like by now.
    pub(super) async fn numbered(&self, wanted: &WantedOrder, number: u64) -> Result<Vec<FinanceOrder>, Fault> {
        let found = self.search(OrderColumn::Equals("order", &number.to_string())).await.map_err(fault)?;
        let read = self.rows().read(&found, &wanted.of, number)?;
        Ok(read.into_iter().filter(|order| order.order == number).collect())
    }

    /// Pending orders of our source that can be read, by their numbers.
    pub(super) async fn pending(&self) -> Result<Vec<FinanceOrder>, Fault> {
        let state = PENDING.to_string();
        let found = self.search(OrderColumn::Equals("state", &state)).await.map_err(fault)?;
        let is_ours = |order: &FinanceOrder| {
            let has_source = order.source.eq_ignore_ascii_case(&self.settings.source);
            order.state == OrderState::Pending && has_source && !order.uuid.is_empty()
        };
        let readable = found.iter().filter_map(|row| match self.rows().order(row) {
            Ok(order) => Some(order),
            Err(fault) => {
                let order = &*row.optional_text("order").unwrap_or_default();
                tracing::warn!(order, %fault, "finance order was passed over in the sweep");
                None
            }
        });
        Ok(readable.filter(is_ours).collect())
    }

    /// Every order of a key, by `gw_uuid` and among those of its account.
    pub(super) async fn siblings(&self, login: Login, of: &OrderKey) -> Result<Vec<FinanceOrder>, Fault> {
        let by_key = self.by_uuid(of, 0).await?.unwrap_or_default();
        Ok(joined(by_key, self.of_login(login, of, 0).await?))
    }

    /// Reads every page, once more where they do not hold together. The platform's conditions are a help alone: what they let
    /// through is compared again.
    pub(super) async fn search(&self, column: OrderColumn<'_>) -> Result<Vec<TableRow>, PlatformFailure> {
        for _ in 0..SEARCH_TRIES {
            if let Some(rows) = self.pages(column).await? {
                return Ok(rows);
            }
        }
        Err(PlatformFailure::Unknown(CHANGED_WHILE_READ.to_owned()))
    }

    /// Ends at an empty page alone: a server may answer fewer rows than it is asked for, and `count` may be that of the page. `None`
    /// where a row moved from one page to another, so that one may be missing. Of those whose number cannot be read that is not known.
    async fn pages(&self, column: OrderColumn<'_>) -> Result<Option<Vec<TableRow>>, PlatformFailure> {
        let unreadable = |fault: Fault| PlatformFailure::Unknown(fault.what);
        let (mut found, mut unnumbered): (BTreeMap<u64, TableRow>, Vec<TableRow>) = Default::default();
        let (mut offset, mut counted) = (0_u64, 0_u64);
        loop {
            let answer = self.client.call(TRADES, self.question(column, offset)).await?;
            let rows = tables::rows(&answer).map_err(unreadable)?;
            let read = u64::try_from(rows.len()).unwrap_or(u64::MAX);
            if read == 0 {
                // An empty page beside a count is none.
                counted = counted.max(tables::count(&answer).unwrap_or_default());
                let all: Vec<TableRow> = found.into_values().chain(unnumbered).collect();
                let has_all = u64::try_from(all.len()).is_ok_and(|read| read >= counted);
                return Ok(has_all.then_some(all));
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

    pub(super) fn rows(&self) -> OrderRows<'_> {
        OrderRows(&self.settings)
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

/// Each order once, as it was read last.
fn joined(first: Vec<FinanceOrder>, then: Vec<FinanceOrder>) -> Vec<FinanceOrder> {
    let all = first.into_iter().chain(then).map(|order| (order.order, order));
    all.collect::<BTreeMap<u64, FinanceOrder>>().into_values().collect()
}
