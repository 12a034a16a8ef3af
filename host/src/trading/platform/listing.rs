//! Postings of the cashier as the platform lists them: executed finance orders with our source and key, in the order in which they
//! changed. For the check of a start and for reconcile. One that cannot be read, or whose account cannot be, is listed with amount 0, so
//! that it differs from what the books have, and ends no list.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use cashier_core::account::Account;
use cashier_core::ids::{CustomerId, Login, OperationId, TransactionId};
use cashier_core::money::{Currency, Money};
use cashier_core::operation::{OperationKey, PostingOutcome};
use cashier_core::reconcile::FoundPosting;
use cashier_core::status::{OperationCmd, OperationReason};
use cashier_core::time::UnixTime;

use super::accounts::{PlatformAccounts, fault};
use super::finance_order::{FinanceOrder, OrderState};
use super::order_calls::REASON_MARK;
use super::order_rows::ListedOrder;
use super::orders::FinanceOrders;
use crate::ports::Fault;
use crate::trading::remote::PostingsPage;

/// Times above this are milliseconds: as seconds it is beyond the year 5000.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// In what currency nothing is counted where the account states none.
const ANY_CURRENCY: &str = "USD";

/// A page after a cursor, which is the time of the last change and the number of its order.
pub(super) async fn page(
    accounts: &PlatformAccounts,
    orders: &FinanceOrders,
    after: &str,
    limit: usize,
) -> Result<PostingsPage, Fault> {
    let after = ListingCursor::read(after)?;
    // The first may be the one that the cursor names.
    let (mut listed, is_all) = orders.updated_from(&after.time, limit.saturating_add(1)).await?;
    listed.sort_by_cached_key(ListingCursor::of);
    if !is_all {
        // Others of the last time may stand in the next page.
        let cut = listed.last().map(|order| order.update_time.clone()).unwrap_or_default();
        listed.retain(|order| order.update_time != cut);
    }
    let last = listed.last().map(ListingCursor::of).unwrap_or_default();
    let mut found = PostingsPage::default();
    let mut known: BTreeMap<Login, Option<Account>> = BTreeMap::new();
    // Those without a time stand before all others, wherever a list begins.
    let begins = after.order == 0;
    let is_next = |order: &ListedOrder| match order.update_time.is_empty() {
        true => begins,
        false => ListingCursor::of(order) > after,
    };
    let (mut sent, listed) = (0_usize, listed.into_iter().filter(is_next));
    for order in listed {
        let Some(key) = key_of(&order.order, &orders.settings.source) else {
            if !order.is_readable && order.order.state == OrderState::Executed {
                let (order, login) = (order.order.order, order.order.login);
                tracing::error!(order, %login, "finance order of our source has no key, and cannot be read");
            }
            continue;
        };
        if sent >= limit {
            return Ok(found);
        }
        let account = match known.entry(order.order.login) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(account(accounts, &order).await?),
        };
        found.postings.extend(posting(&order, key, account.as_ref()));
        if !order.update_time.is_empty() {
            found.next = ListingCursor::of(&order).written();
            sent = sent.saturating_add(1);
        }
    }
    if is_all {
        found.next = Box::default();
    } else if last > after {
        found.next = last.written();
    } else {
        return Err(Fault::new("more finance orders changed at one time than are read at once"));
    }
    Ok(found)
}

/// The cursor before everything that changed at this time or later, in the platform's own unit.
pub(super) fn cursor_at(time: i64) -> Box<str> {
    format!("{}/0", time.max(0)).into()
}

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct ListingCursor {
    /// Where the platform's time is a number, so that it is compared as one.
    number: u64,
    time: Box<str>,
    order: u64,
}

impl ListingCursor {
    fn of(listed: &ListedOrder) -> Self {
        let number = listed.update_time.parse().unwrap_or_default();
        Self { number, time: listed.update_time.clone(), order: listed.order.order }
    }

    fn read(text: &str) -> Result<Self, Fault> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let read = text.rsplit_once('/').and_then(|(time, order)| {
            Some(Self { number: time.parse().unwrap_or_default(), time: time.into(), order: order.parse().ok()? })
        });
        read.ok_or_else(|| Fault::new(format!("{text:?} is no cursor of postings")))
    }

    fn written(&self) -> Box<str> {
        format!("{}/{}", self.time, self.order).into()
    }
}

/// The account of an order; `None` where it is gone, or cannot be read, as its login cannot where it is 0.
async fn account(accounts: &PlatformAccounts, listed: &ListedOrder) -> Result<Option<Account>, Fault> {
    let (order, login) = (listed.order.order, listed.order.login);
    if login == Login(0) {
        return Ok(None);
    }
    let answered = accounts.answered_account(login).await.map_err(fault)?;
    if let Err(fault) = &answered {
        tracing::error!(order, %login, %fault, "account of a posting cannot be read at the trading server");
    }
    Ok(answered.ok().flatten())
}

/// The key of an executed order of ours.
fn key_of(order: &FinanceOrder, source: &str) -> Option<OperationKey> {
    let has_source = order.source.is_empty() || order.source.eq_ignore_ascii_case(source);
    let first = order.comment.split_whitespace().next().unwrap_or_default();
    let is_key = |text: &&str| text.contains(':') || !order.source.is_empty();
    let read = |text: &str| OperationKey::read(&text.to_ascii_lowercase());
    let is_ours = order.state == OrderState::Executed && has_source;
    [&*order.uuid, first].into_iter().filter(is_key).find_map(read).filter(|_| is_ours)
}

/// Operation, transaction and reason stand in the order where the platform keeps what it was given; else they are 0 and what the
/// command says.
fn posting(listed: &ListedOrder, key: OperationKey, account: Option<&Account>) -> Option<FoundPosting> {
    let order = &listed.order;
    let currency = account.map(|account| account.balance.currency).or_else(|| Currency::from_code(ANY_CURRENCY))?;
    let minor = order.minor(currency.exponent()).filter(|_| listed.is_readable && account.is_some());
    let read = order.cmd.zip(minor);
    if read.is_none() {
        let (order, login, key) = (order.order, order.login, key.as_str());
        tracing::error!(order, %login, key, "posting at the trading server cannot be read, or its account cannot");
    }
    let (cmd, minor) = read.unwrap_or((order.cmd.unwrap_or(OperationCmd::BalanceIn), 0));
    let mut words = order.comment.split_whitespace().skip(1);
    let transaction = words.find_map(|word| word.parse().ok()).unwrap_or_default();
    let marked = words.find_map(|word| OperationReason::from_number(word.strip_prefix(REASON_MARK)?.parse().ok()?));
    let time = listed.update_time.parse().unwrap_or_default();
    Some(FoundPosting {
        key,
        operation_id: OperationId(listed.gw_order),
        transaction_id: TransactionId(transaction),
        customer_id: account.map_or(CustomerId(0), |account| account.customer_id),
        login: order.login,
        cmd,
        reason: marked.unwrap_or(match cmd {
            OperationCmd::BalanceIn => OperationReason::Deposit,
            OperationCmd::BalanceOut => OperationReason::Withdrawal,
        }),
        amount: Money::new(minor, currency),
        created_time: UnixTime(if time > MILLISECONDS_FROM { time / 1000 } else { time }),
        outcome: PostingOutcome::posted(order.order),
    })
}
