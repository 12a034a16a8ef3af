//! Finance orders at the platform, and how they are found again. What to do with them is decided in `next_step`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cashier_core::ids::Login;
use cashier_core::operation::OperationKey;

use super::accounts::fault;
use super::client::{PlatformClient, PlatformFailure};
use super::contradictions::Contradictions;
use super::finance_order::{FinanceOrder, OrderKey, OrderState, PENDING, uuid_of};
use super::next_step::{PostingStep, WantedOrder};
use super::order_rows::OrderRows;
use super::order_search::{OrderSearch, SearchFailure, TRADES};
use super::search_sizes::OrderColumn;
use super::settings::{PlatformKeyForm, PlatformPhases, PlatformSettings};
use super::tables;
use crate::ports::{Fault, Posting};

/// The orders of the platform as the cashier searches and changes them.
#[derive(Clone)]
pub(super) struct FinanceOrders {
    pub(super) client: PlatformClient,
    pub(super) settings: Arc<PlatformSettings>,
    /// A search by `gw_uuid` did not find what is there: the orders of the login are read since.
    pub(super) uuid_fails: Arc<AtomicBool>,
    pub(super) contradictions: Arc<Contradictions>,
    pub(super) searches: OrderSearch,
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
            let question = self.searches.question(OrderColumn::Equals("gw_uuid", &wanted.of.uuid), 0);
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
        match self.searches.searched(OrderColumn::Equals("gw_uuid", &of.uuid)).await {
            Ok(found) => self.rows().read(&found, of, recorded).map(Some),
            Err(SearchFailure::Call(PlatformFailure::Answered(error))) if error.says_no_or_nothing() => {
                tracing::warn!(%error, "trading server refused a search by gw_uuid: the orders of the login are read");
                Ok(None)
            }
            // No key has so many orders: the condition is not understood.
            Err(SearchFailure::TooMany(why)) => {
                tracing::warn!(
                    why,
                    "trading server ignores a search by gw_uuid: the orders of the login are read alone"
                );
                self.uuid_fails.store(true, Ordering::SeqCst);
                Ok(None)
            }
            Err(failure) => Err(fault(failure.into())),
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
        let found = self.searches.search(OrderColumn::Equals("login", &login.to_string())).await.map_err(fault)?;
        self.rows().read(&found, of, recorded)
    }

    /// The one of a number, whatever it looks like by now.
    pub(super) async fn numbered(&self, wanted: &WantedOrder, number: u64) -> Result<Vec<FinanceOrder>, Fault> {
        let found = self.searches.search(OrderColumn::Equals("order", &number.to_string())).await.map_err(fault)?;
        let read = self.rows().read(&found, &wanted.of, number)?;
        Ok(read.into_iter().filter(|order| order.order == number).collect())
    }

    /// Pending orders of our source that can be read, by their numbers.
    pub(super) async fn pending(&self) -> Result<Vec<FinanceOrder>, Fault> {
        let state = PENDING.to_string();
        let found = self.searches.search(OrderColumn::Equals("state", &state)).await.map_err(fault)?;
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

    pub(super) fn rows(&self) -> OrderRows<'_> {
        OrderRows(&self.settings)
    }
}

/// Each order once, as it was read last.
fn joined(first: Vec<FinanceOrder>, then: Vec<FinanceOrder>) -> Vec<FinanceOrder> {
    let all = first.into_iter().chain(then).map(|order| (order.order, order));
    all.collect::<BTreeMap<u64, FinanceOrder>>().into_values().collect()
}
