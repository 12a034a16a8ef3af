//! Postings of the cashier as the platform lists them: executed finance orders with our source and key, in the order in which they
//! changed. For the check of a start and for reconcile. One that cannot be read, or whose account cannot be, is listed with amount 0, so
//! that it differs from what the books have, and ends no list.

use cashier_core::ids::{CustomerId, OperationId, TransactionId};
use cashier_core::money::{Currency, Money};
use cashier_core::operation::{OperationKey, PostingOutcome};
use cashier_core::reconcile::FoundPosting;
use cashier_core::status::{OperationCmd, OperationReason};
use cashier_core::time::UnixTime;

use super::accounts::PlatformAccounts;
use super::finance_order::{FinanceOrder, OrderState, words};
use super::listed_accounts::{ListedAccount, ListedAccounts};
use super::order_calls::REASON_MARK;
use super::order_rows::ListedOrder;
use super::orders::FinanceOrders;
use super::search_sizes::ORDERS_READ_MAX;
use crate::ports::Fault;
use crate::trading::remote::PostingsPage;

/// Times above this are milliseconds: as seconds it is beyond the year 5000.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// In what currency nothing is counted where the account states none.
const ANY_CURRENCY: &str = "USD";

/// A page after a cursor, which is the time of the last change and the number of its order.
pub(super) async fn page(
    (accounts, known): (&PlatformAccounts, &ListedAccounts),
    orders: &FinanceOrders,
    after: &str,
    limit: usize,
) -> Result<PostingsPage, Fault> {
    let after = ListingCursor::read(after)?;
    // Those without a time stand before all others, wherever a list begins.
    let begins = after.order == 0;
    if begins {
        known.begin();
    }
    let source = &*orders.settings.source;
    // Of the last time others may follow: there are enough once something else is left, and the first may be the one of the cursor.
    let is_enough = |listed: &[ListedOrder]| {
        let ours = listed.iter().filter(|listed| listed.order.source.eq_ignore_ascii_case(source)).count();
        let cut = listed.last().map(|last| &last.update_time);
        let is_left = |order: &ListedOrder| Some(&order.update_time) != cut && ListingCursor::of(order) > after;
        (ours > limit || listed.len() as u64 >= ORDERS_READ_MAX) && listed.iter().any(is_left)
    };
    let (mut listed, is_all) = orders.updated_from(&after.time, is_enough).await?;
    listed.sort_by_cached_key(ListingCursor::of);
    if !is_all {
        // Others of the last time may stand in the next page.
        let cut = listed.last().map(|order| order.update_time.clone()).unwrap_or_default();
        listed.retain(|order| order.update_time != cut);
    }
    let last = listed.last().map(ListingCursor::of).unwrap_or_default();
    let mut found = PostingsPage::default();
    let is_next = |order: &ListedOrder| match order.update_time.is_empty() {
        true => begins,
        false => ListingCursor::of(order) > after,
    };
    listed.retain(is_next);
    let keyed = |order: &&ListedOrder| key_of(&order.order, source).is_some();
    let (timed, untimed): (Vec<_>, _) =
        listed.iter().filter(keyed).partition(|order: &&ListedOrder| !order.update_time.is_empty());
    let logins = timed.into_iter().take(limit).chain::<Vec<_>>(untimed).map(|order| order.order.login);
    let read = known.read(accounts, logins).await?;
    let mut sent = 0_usize;
    for order in listed {
        let Some(key) = key_of(&order.order, source) else {
            if !order.is_readable && order.order.state == OrderState::Executed {
                let (order, login) = (order.order.order, order.order.login);
                tracing::error!(order, %login, "finance order of our source has no key, and cannot be read");
            }
            continue;
        };
        if sent >= limit {
            return Ok(found);
        }
        let account = read.get(&order.order.login).copied().flatten();
        let is_ours = is_in_our_form(&order.order, source, &key);
        if is_ours || order.order.cmd.is_some() {
            let listed = if is_ours { &mut found.postings } else { &mut found.named };
            listed.extend(posting(&order, key, account));
        }
        if !order.update_time.is_empty() {
            found.next = ListingCursor::of(&order).written();
            sent = sent.saturating_add(1);
        }
    }
    if is_all {
        found.next = Box::default();
        known.end();
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

/// The key of an executed order, whoever made it: one that a person or a tool made with our key is about our posting, too. A key without
/// a mark of its own is believed of our source alone.
fn key_of(order: &FinanceOrder, source: &str) -> Option<OperationKey> {
    let is_ours = order.source.eq_ignore_ascii_case(source);
    let is_marked = |text: &&str| text.contains(':');
    let first = order.comment.split_whitespace().next().unwrap_or_default();
    let stated = [&*order.uuid, first].into_iter().filter(|text| is_ours || is_marked(text));
    let read = |text: &str| OperationKey::read(&text.to_ascii_lowercase());
    let key = stated.chain(words(&order.comment).filter(is_marked)).find_map(read);
    key.filter(|_| order.state == OrderState::Executed)
}

/// Whether it looks like one that we made: by our source, or, where it states none, by the key before everything else.
fn is_in_our_form(order: &FinanceOrder, source: &str, key: &OperationKey) -> bool {
    let first = order.comment.split_whitespace().next().unwrap_or_default();
    let has_none = order.source.is_empty();
    order.source.eq_ignore_ascii_case(source) || has_none && first.eq_ignore_ascii_case(key.as_str())
}

/// Operation, transaction and reason stand in the order where the platform keeps what it was given; else they are 0 and what the
/// command says.
fn posting(listed: &ListedOrder, key: OperationKey, account: Option<ListedAccount>) -> Option<FoundPosting> {
    let order = &listed.order;
    let currency = account.map(|account| account.currency).or_else(|| Currency::from_code(ANY_CURRENCY))?;
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
