//! What a proven answer means to the cashier: each is compared with what was asked, and one that is about something else is none.
//! It sends nothing.

use cashier_core::account::{Account, AccountFacts, Customer, Group};
use cashier_core::conversion::StatedRate;
use cashier_core::ids::{CustomerId, Login, OperationId, ServerName, TransactionId};
use cashier_core::money::Currency;
use cashier_core::operation::{OperationKey, PostingOutcome};
use cashier_core::reason::ReasonCode;
use cashier_core::reconcile::FoundPosting;
use cashier_core::time::UnixTime;
use serde_json::value::RawValue;

use super::answers::{
    AccountAnswer, GroupsAnswer, KeyAnswer, PostingsAnswer, RateAnswer, RecordedPosting, read_key_answer,
};
use super::rows::UnreadRow;
use super::signature::TIMESTAMP_TOLERANCE_SECONDS;
use super::values;
use crate::json_object::{Members, shown};
use crate::trading::remote::{PostingsPage, UnreadPosting};
use crate::wire::roster::{CustomerEntry, GroupEntry};

/// What the server has under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyOutcome {
    Known(PostingOutcome),
    /// It never received it.
    Unknown,
}

impl KeyOutcome {
    pub(super) fn known(self) -> Option<PostingOutcome> {
        match self {
            Self::Known(outcome) => Some(outcome),
            Self::Unknown => None,
        }
    }
}

/// Reads the answer about a key, which must name it.
pub(super) fn key_outcome(answer: &[u8], asked: &OperationKey) -> Result<KeyOutcome, String> {
    let (key, outcome) = match read_key_answer(answer)? {
        KeyAnswer::Posted(posted) => (posted.key, KeyOutcome::Known(PostingOutcome::posted(posted.order.0))),
        KeyAnswer::Refused(refused) => {
            let reason = taken_reason(&refused.reason.0)?;
            if let Some(words) = refused.message {
                tracing::info!(key = %asked, %reason, words = &*words.0, "trading server refused a posting");
            }
            (refused.key, KeyOutcome::Known(PostingOutcome::Refused { reason }))
        }
        KeyAnswer::Conflict(conflict) => (conflict.key, KeyOutcome::Known(PostingOutcome::Conflict)),
        KeyAnswer::None(none) => (none.key, KeyOutcome::Unknown),
    };
    if key.0 == *asked { Ok(outcome) } else { Err("the answer is about another key".to_owned()) }
}

/// What `post` answered. The codes that keys are voided with are not its own: who acts upon them takes the posting for one that the
/// cashier withheld, so that they stay apart.
pub(super) fn of_a_post(outcome: PostingOutcome) -> PostingOutcome {
    match outcome {
        PostingOutcome::Refused { reason }
            if [ReasonCode::Withheld, ReasonCode::ConfirmedAbsent].map(ReasonCode::name).contains(&&*reason) =>
        {
            PostingOutcome::Refused { reason: format!("X_{reason}").into() }
        }
        other => other,
    }
}

/// A reason of a refusal: of the protocol's, of those that keys are voided with, or of the server's own. A code of ours that means
/// something else would be acted upon.
fn taken_reason(code: &str) -> Result<Box<str>, String> {
    match ReasonCode::from_name(code) {
        None
        | Some(
            ReasonCode::InvalidAmount
            | ReasonCode::AccountNotFound
            | ReasonCode::OwnerMismatch
            | ReasonCode::CurrencyMismatch
            | ReasonCode::SandboxOnRealAccount
            | ReasonCode::LiveOnDemoAccount
            | ReasonCode::AccountDisabled
            | ReasonCode::InsufficientBalance
            | ReasonCode::Withheld
            | ReasonCode::ConfirmedAbsent,
        ) => Ok(code.into()),
        Some(other) => Err(format!("the answer refuses with {other}, which is no reason of a trading server")),
    }
}

pub(super) fn customer(stated: CustomerEntry, asked: CustomerId) -> Result<Customer, String> {
    let customer = of_entry(stated);
    if customer.customer_id == asked { Ok(customer) } else { Err("the answer is about another customer".to_owned()) }
}

fn of_entry(stated: CustomerEntry) -> Customer {
    Customer {
        customer_id: CustomerId(stated.customer_id.0),
        country: stated.country.0,
        brand: stated.brand.0,
        status: stated.status.0,
        deposit_allowed: stated.deposit_allowed.0,
        withdrawal_allowed: stated.withdrawal_allowed.0,
    }
}

fn group(stated: GroupEntry) -> Group {
    Group {
        group: stated.group.0,
        brand: stated.brand.0,
        currency: stated.currency.0,
        account_mode: stated.account_mode.0,
        enabled: stated.enable.0,
    }
}

/// The groups, and what is wrong with those that cannot be read: one is no reason to know none.
pub(super) fn groups(stated: GroupsAnswer) -> Result<(Vec<Group>, Vec<String>), String> {
    let (mut groups, mut unread) = (Vec::new(), Vec::new());
    for row in stated.groups.0 {
        match row {
            Ok(entry) => groups.push(group(entry)),
            Err(problem) => unread.push(problem),
        }
    }
    match unread.first() {
        Some(problem) if groups.is_empty() => Err(format!("no group can be read: {problem}")),
        _ => Ok((groups, unread)),
    }
}

/// Account, customer and group, which must belong together.
pub(super) fn account(stated: AccountAnswer, asked: Login) -> Result<AccountFacts, String> {
    let AccountAnswer { account, customer, group: of_group, .. } = stated;
    let (account, customer, group) = (account.0, of_entry(customer.0), group(of_group.0));
    if account.login.0 != asked.0 {
        return Err("the answer is about another login".to_owned());
    }
    if account.customer_id.0 != customer.customer_id.0 || account.group.0 != group.group {
        return Err("account, customer and group of the answer do not belong together".to_owned());
    }
    let balance = account.balance.rounded_down(group.currency).map_err(|error| format!("account.balance {error}"))?;
    let account = Account {
        login: asked,
        customer_id: customer.customer_id,
        group: group.group.clone(),
        enabled: account.enable.0,
        balance,
    };
    Ok(AccountFacts { customer, account, group, server: ServerName::default(), age_seconds: 0 })
}

/// A price. One that was made just now is not in the future because the server's clock is ahead.
pub(super) fn rate(stated: RateAnswer, pair: (Currency, Currency), now: UnixTime) -> Result<StatedRate, String> {
    if (stated.from.0, stated.to.0) != pair {
        return Err("the answer is about other currencies".to_owned());
    }
    let ahead = stated.time.0.0.saturating_sub(now.0);
    let time = if (1..=TIMESTAMP_TOLERANCE_SECONDS).contains(&ahead) { now } else { stated.time.0 };
    Ok(StatedRate { rate: stated.rate.0, time, source: stated.source.0 })
}

/// A page of postings, which must lead on. A row that cannot be read is listed as such, and ends no listing.
pub(super) fn postings(stated: PostingsAnswer, after: &str) -> Result<PostingsPage, String> {
    let PostingsAnswer { postings, next, more, .. } = stated;
    if more.0 && (*next.0 == *after || next.0.is_empty() || postings.0.is_empty()) {
        return Err("the answer says that more follows, and leads no further".to_owned());
    }
    let mut page = PostingsPage { next: if more.0 { next.0 } else { Box::default() }, ..PostingsPage::default() };
    for row in postings.0 {
        match row.map_err(unread).and_then(found) {
            Ok(posting) => page.postings.push(posting),
            Err(unread) => page.unread.push(unread),
        }
    }
    Ok(page)
}

/// What can be said of a row that is not what it must be, in the server's words where it has some.
fn unread(UnreadRow { problem, stated }: UnreadRow) -> UnreadPosting {
    fn members(json: &RawValue) -> Option<Members<'_>> {
        serde_json::from_str(json.get()).ok()
    }
    let text = |members: &Members<'_>, name| serde_json::from_str::<Box<str>>(members.get(name)?.get()).ok();
    let row = members(&stated);
    let posting = row.as_ref().and_then(|row| members(row.get("posting")?));
    let key = posting.as_ref().and_then(|posting| text(posting, "key"));
    let named = key.as_deref().map_or_else(|| "without a key".to_owned(), |key| format!("key {}", shown(key)));
    let is_posted = row.as_ref().and_then(|row| text(row, "result")).as_deref() == Some("posted");
    let order = row.as_ref().and_then(|row| row.get("order")?.get().parse::<u64>().ok());
    let order = order.map_or_else(String::new, |order| format!(", trade order {order}"));
    let what = format!("{named}{order}: {problem}").into();
    UnreadPosting { key: key.and_then(|key| values::key(&key)), is_posted, what }
}

fn found(recorded: RecordedPosting) -> Result<FoundPosting, UnreadPosting> {
    let RecordedPosting { result, order, reason, posting } = recorded;
    let posting = posting.0;
    let key = posting.key.0;
    let unread = |problem: String| UnreadPosting {
        key: Some(key.clone()),
        is_posted: result.0,
        what: format!("key {key}: {problem}").into(),
    };
    let outcome = match (result.0, order, reason) {
        (true, Some(order), _) => PostingOutcome::posted(order.0),
        (false, _, Some(reason)) => PostingOutcome::Refused { reason: reason.0 },
        (true, None, _) => return Err(unread("it has no order".to_owned())),
        (false, _, None) => return Err(unread("it has no reason".to_owned())),
    };
    let amount = posting.amount.exact(posting.currency.0).map_err(|error| unread(format!("its amount {error}")))?;
    Ok(FoundPosting {
        operation_id: OperationId(posting.operation_id.0),
        transaction_id: TransactionId(posting.transaction_id.0),
        customer_id: CustomerId(posting.customer_id.0),
        login: Login(posting.login.0),
        cmd: posting.cmd.0,
        reason: posting.purpose.0,
        amount,
        created_time: posting.created_time.0,
        outcome,
        key,
    })
}
