//! A known key with another value, one value after the other: nothing is posted, and what is recorded stays. It shares the run of
//! `postings`.

use cashier_core::ids::{CustomerId, Login, TransactionId};
use cashier_core::money::{Currency, Money};
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use cashier_core::status::{OperationCmd, OperationReason};

use super::super::reading::KeyOutcome;
use super::answered::call_words;
use super::exchanges::{KeyCall, NOBODY, expect};
use super::identifiers::BEYOND_32_BITS;
use super::postings::{CheckRun, Checked};
use crate::ports::Posting;

impl CheckRun<'_> {
    /// Each of the three calls is answered `conflict`.
    pub(super) async fn conflicts(&self, known: &Posting) -> Checked {
        let before = self.balance().await?;
        for (what, other) in others(known) {
            for (name, call) in
                [("post", KeyCall::Post), ("find", KeyCall::Find), ("void", KeyCall::Void(ReasonCode::Withheld))]
            {
                let answer = self.checker.about_key(call, &known.key(), &other).await;
                let is_conflict = answer == Ok(KeyOutcome::Known(PostingOutcome::Conflict));
                expect(is_conflict, || {
                    format!("{name} of {} with another {what}: {}", known.key(), call_words(&answer))
                })?;
            }
        }
        self.grew(before, 0).await
    }
}

/// The posting with one value that is compared changed.
fn others(known: &Posting) -> Vec<(&'static str, Posting)> {
    let with = |change: &dyn Fn(&mut Posting)| {
        let mut other = known.clone();
        change(&mut other);
        other
    };
    let amount = known.operation.amount;
    let (cmd, reason) = match known.operation.cmd {
        OperationCmd::BalanceIn => (OperationCmd::BalanceOut, OperationReason::Reversal),
        OperationCmd::BalanceOut => (OperationCmd::BalanceIn, OperationReason::Deposit),
    };
    let mut others = vec![
        ("transaction_id", with(&|it| it.operation.transaction_id = TransactionId(2))),
        ("transaction_id, by 2^32", with(&|it| it.operation.transaction_id.0 += BEYOND_32_BITS)),
        ("login", with(&|it| it.operation.login = Login(NOBODY))),
        ("customer_id", with(&|it| it.customer_id = CustomerId(NOBODY))),
        ("amount", with(&|it| it.operation.amount.minor += 1)),
        ("amount, of the other sign", with(&|it| it.operation.amount.minor = -amount.minor)),
        ("cmd", with(&|it| it.operation.cmd = cmd)),
        ("purpose", with(&|it| it.operation.reason = reason)),
    ];
    let is_wide = |id: u64| id + BEYOND_32_BITS < NOBODY;
    if is_wide(known.operation.login.0) {
        others.push(("login, by 2^32", with(&|it| it.operation.login.0 += BEYOND_32_BITS)));
    }
    if is_wide(known.customer_id.0) {
        others.push(("customer_id, by 2^32", with(&|it| it.customer_id.0 += BEYOND_32_BITS)));
    }
    if let Some(other) = other_currency(amount.currency) {
        let same_value = Money::new(amount.minor.signum() * 10_i64.pow(u32::from(other.exponent())), other);
        others.push(("currency", with(&|it| it.operation.amount = same_value)));
    }
    others
}

/// A currency that the account is not in.
pub(super) fn other_currency(than: Currency) -> Option<Currency> {
    ["USD", "EUR"].into_iter().filter_map(Currency::from_code).find(|other| *other != than)
}
