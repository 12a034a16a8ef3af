//! Postings of the cashier as the platform lists them: executed finance orders with our source and key, in the order in which they
//! changed. For the check of a start and for reconcile.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use cashier_core::account::Account;
use cashier_core::ids::{Login, OperationId, TransactionId};
use cashier_core::money::Money;
use cashier_core::operation::{OperationKey, PostingOutcome};
use cashier_core::reconcile::FoundPosting;
use cashier_core::status::{OperationCmd, OperationReason};
use cashier_core::time::UnixTime;

use super::accounts::PlatformAccounts;
use super::next_step::{FinanceOrder, OrderState};
use super::order_calls::REASON_MARK;
use super::order_rows::ListedOrder;
use super::orders::FinanceOrders;
use crate::ports::Fault;
use crate::trading::remote::PostingsPage;

/// Times above this are milliseconds: as seconds it is beyond the year 5000.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

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
    let mut known: BTreeMap<Login, Account> = BTreeMap::new();
    for order in listed.into_iter().filter(|order| ListingCursor::of(order) > after) {
        let Some(key) = key_of(&order.order, &orders.settings.source) else { continue };
        if found.postings.len() >= limit {
            return Ok(found);
        }
        let login = order.order.login;
        let account = match known.entry(login) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let Some(account) = accounts.account(login).await? else {
                    let (order, key) = (order.order.order, key.as_str());
                    tracing::error!(order, %login, key, "posting was not listed: its account is gone at the trading server");
                    continue;
                };
                place.insert(account)
            }
        };
        found.postings.push(posting(&order, key, account)?);
        found.next = ListingCursor::of(&order).written();
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

/// The key of an executed order of ours.
fn key_of(order: &FinanceOrder, source: &str) -> Option<OperationKey> {
    let is_ours = order.state == OrderState::Executed && (order.source.is_empty() || *order.source == *source);
    let first = order.comment.split_whitespace().next().unwrap_or_default();
    let is_key = |text: &&str| text.contains(':') || !order.source.is_empty();
    [&*order.uuid, first].into_iter().filter(is_key).find_map(OperationKey::read).filter(|_| is_ours)
}

/// Operation, transaction and reason stand in the order where the platform keeps what it was given; else they are 0 and what the
/// command says.
fn posting(listed: &ListedOrder, key: OperationKey, account: &Account) -> Result<FoundPosting, Fault> {
    let order = &listed.order;
    let currency = account.balance.currency;
    let unreadable = || Fault::new(format!("finance order {} cannot be read as a posting", order.order));
    let minor = order.minor(currency.exponent()).ok_or_else(unreadable)?;
    let cmd = order.cmd.ok_or_else(unreadable)?;
    let mut words = order.comment.split_whitespace().skip(1);
    let transaction = words.find_map(|word| word.parse().ok()).unwrap_or_default();
    let marked = words.find_map(|word| OperationReason::from_number(word.strip_prefix(REASON_MARK)?.parse().ok()?));
    let time = listed.update_time.parse().unwrap_or_default();
    Ok(FoundPosting {
        key,
        operation_id: OperationId(listed.gw_order),
        transaction_id: TransactionId(transaction),
        customer_id: account.customer_id,
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
