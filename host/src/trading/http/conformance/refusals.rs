//! What a posting is refused for, which is final, and what is taken all the same: money out, and amounts whose sums no float holds.

use cashier_core::account::{AccountFacts, AccountMode};
use cashier_core::ids::{CustomerId, Login};
use cashier_core::money::Money;
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use cashier_core::status::{OperationCmd, OperationReason};

use super::exchanges::NOBODY;
use super::postings::{CheckRun, Checked, other_currency, refused};
use crate::ports::Posting;

/// Thirteen digits of minor units, which are on the account for a moment: more than a float of 32 bits has. One of 64 bits holds every
/// amount within the limits, which its sums show alone.
const LARGE_MINOR: i64 = 9_007_199_254_093;

impl CheckRun<'_> {
    pub(super) async fn refusals(&mut self) {
        let AccountFacts { account, group, .. } = self.facts;
        let (login, owner, mode, balance) = (account.login, account.customer_id, group.account_mode, account.balance);
        let currency = balance.currency;
        let (other_mode, of_mode) = match mode {
            AccountMode::Demo => (AccountMode::Real, ReasonCode::LiveOnDemoAccount),
            AccountMode::Real => (AccountMode::Demo, ReasonCode::SandboxOnRealAccount),
        };
        let one = Money::new(1, currency);
        let more_than_there_is = Money::new(-balance.minor.max(0).saturating_add(1_000_000), currency);
        let nothing = Money::new(0, currency);
        let of = &mut *self.checker;
        let mut of_other_sign = of.posting(owner, login, Money::new(-1, currency), Some(mode));
        of_other_sign.operation.cmd = OperationCmd::BalanceIn;
        let mut table = vec![
            (
                "post: another customer's account is OWNER_MISMATCH",
                of.posting(CustomerId(NOBODY), login, one, None),
                ReasonCode::OwnerMismatch,
            ),
            (
                "post: an unknown login is ACCOUNT_NOT_FOUND",
                of.posting(owner, Login(NOBODY), one, None),
                ReasonCode::AccountNotFound,
            ),
            (
                "post: only_on the other mode is refused by the account's",
                of.posting(owner, login, one, Some(other_mode)),
                of_mode,
            ),
            (
                "post: more out than there is is INSUFFICIENT_BALANCE",
                of.posting(owner, login, more_than_there_is, None),
                ReasonCode::InsufficientBalance,
            ),
            (
                "post: an amount of 0 is INVALID_AMOUNT",
                of.posting(owner, login, nothing, Some(mode)),
                ReasonCode::InvalidAmount,
            ),
            ("post: an amount of the other sign is INVALID_AMOUNT", of_other_sign, ReasonCode::InvalidAmount),
            (
                "post: of several reasons it is the first, INVALID_AMOUNT before ACCOUNT_NOT_FOUND",
                of.posting(owner, Login(NOBODY), nothing, Some(mode)),
                ReasonCode::InvalidAmount,
            ),
            (
                "post: of several reasons it is the first, OWNER_MISMATCH before the mode's",
                of.posting(CustomerId(NOBODY), login, one, Some(other_mode)),
                ReasonCode::OwnerMismatch,
            ),
        ];
        if let Some(other) = other_currency(currency) {
            let posting = of.posting(owner, login, Money::new(1, other), None);
            table.push(("post: another currency is CURRENCY_MISMATCH", posting, ReasonCode::CurrencyMismatch));
        }
        for (promise, posting, reason) in table {
            let checked = self.refusal(&posting, reason).await;
            self.add(promise, checked);
        }
    }

    /// Refused with this reason, again and when it is looked up.
    async fn refusal(&mut self, posting: &Posting, reason: ReasonCode) -> Checked {
        let before = self.balance().await?;
        for answer in
            [self.checker.post(posting).await?, self.checker.post(posting).await?, self.checker.find(posting).await?]
        {
            refused(&answer, reason)?;
        }
        self.note(posting, PostingOutcome::Refused { reason: reason.name().into() });
        self.grew(before, 0).await
    }

    /// Every purpose with every direction that it has.
    pub(super) async fn purposes(&mut self) {
        let unit = self.unit();
        let mut withdrawal = self.posting(-unit);
        withdrawal.operation.reason = OperationReason::Withdrawal;
        let mut returned = self.posting(unit);
        returned.operation.reason = OperationReason::Reversal;
        let taken_back = Posting { only_on: None, ..self.posting(-unit) };
        let deposit = Posting { only_on: None, ..self.posting(unit) };
        for (promise, posting) in [
            ("post: a deposit without only_on is credited", deposit),
            ("post: a withdrawal is taken out", withdrawal),
            ("post: a reversal of a withdrawal is credited", returned),
            ("post: a reversal of a deposit is taken out", taken_back),
        ] {
            let checked = self.once(&posting).await;
            self.add(promise, checked);
        }
    }

    /// A tenth three times, which no float sums up, and an amount of many digits.
    pub(super) async fn decimals(&mut self) {
        let tenth = 10_i64.pow(u32::from(self.facts.group.currency.exponent())) / 10;
        let tenth = tenth.max(1);
        let checked = self.sums(&[tenth, tenth, tenth, LARGE_MINOR]).await;
        self.add("amounts are exact decimals: three tenths, and thirteen digits", checked);
    }

    async fn sums(&mut self, amounts: &[i64]) -> Checked {
        for minor in amounts {
            let posting = self.posting(*minor);
            self.once(&posting).await?;
        }
        // The large one goes at once, so that nobody sees it for long.
        let Some(last) = amounts.last() else { return Ok(()) };
        let posting = self.posting(-last);
        self.once(&posting).await
    }
}
