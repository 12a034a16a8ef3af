//! What a posting is refused for, which is final, and what is taken all the same: money out, and amounts whose sums no float holds.

use cashier_core::account::{AccountFacts, AccountMode};
use cashier_core::ids::{CustomerId, Login};
use cashier_core::money::{Currency, Money};
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use cashier_core::status::{OperationCmd, OperationReason};

use super::conflicts::other_currency;
use super::exchanges::NOBODY;
use super::postings::{CheckRun, Checked, DAYS_AGO_SECONDS, refused};
use crate::ports::Posting;

/// Thirteen digits of minor units, which are on the account for a moment: more than a float of 32 bits has. One of 64 bits holds every
/// amount within the limits, which its sums show alone.
const LARGE_MINOR: i64 = 9_007_199_254_093;

/// Every purpose with every direction that it has.
const SHAPES: [(&str, i64, OperationReason); 4] = [
    ("a deposit", 1, OperationReason::Deposit),
    ("a withdrawal", -1, OperationReason::Withdrawal),
    ("a reversal of a deposit", -1, OperationReason::Reversal),
    ("a reversal of a withdrawal", 1, OperationReason::Reversal),
];
const ONE: &str = "a posting";

/// How far beyond the balance what is refused is, beside one minor unit.
const FURTHER_BEYOND: i64 = 1_000_000;

/// A posting with what it is.
pub(super) type NamedPosting = (&'static str, Posting);

impl CheckRun<'_> {
    pub(super) async fn refusals(&mut self) {
        let AccountFacts { account, group, .. } = self.facts;
        let (login, owner, mode, currency) = (account.login, account.customer_id, group.account_mode, group.currency);
        let (other_mode, of_mode) = match mode {
            AccountMode::Demo => (AccountMode::Real, ReasonCode::LiveOnDemoAccount),
            AccountMode::Real => (AccountMode::Demo, ReasonCode::SandboxOnRealAccount),
        };
        let whose = (owner, login);
        let of = &mut *self.checker;
        let nothing = Money::new(0, currency);
        let mut of_other_sign = of.posting(owner, login, Money::new(-1, currency), Some(mode));
        of_other_sign.operation.cmd = OperationCmd::BalanceIn;
        let one_thing = |posting| vec![(ONE, posting)];
        let of_nothing = one_thing(of.posting(owner, login, nothing, Some(mode)));
        let of_nothing_for_nobody = one_thing(of.posting(owner, Login(NOBODY), nothing, Some(mode)));
        let one = Money::new(1, currency);
        let of_another_in_other_mode = one_thing(of.posting(CustomerId(NOBODY), login, one, Some(other_mode)));
        let mut table = vec![
            (
                "post: another customer's account is OWNER_MISMATCH, whatever the purpose",
                self.shaped((CustomerId(NOBODY), login), currency, None),
                ReasonCode::OwnerMismatch,
            ),
            (
                "post: an unknown login is ACCOUNT_NOT_FOUND, whatever the purpose",
                self.shaped((owner, Login(NOBODY)), currency, None),
                ReasonCode::AccountNotFound,
            ),
            (
                "post: only_on the other mode is refused by the account's, whatever the purpose",
                self.shaped(whose, currency, Some(other_mode)),
                of_mode,
            ),
            ("post: an amount of 0 is INVALID_AMOUNT", of_nothing, ReasonCode::InvalidAmount),
            (
                "post: an amount of the other sign is INVALID_AMOUNT",
                one_thing(of_other_sign),
                ReasonCode::InvalidAmount,
            ),
            (
                "post: of several reasons it is the first, INVALID_AMOUNT before ACCOUNT_NOT_FOUND",
                of_nothing_for_nobody,
                ReasonCode::InvalidAmount,
            ),
            (
                "post: of several reasons it is the first, OWNER_MISMATCH before the mode's",
                of_another_in_other_mode,
                ReasonCode::OwnerMismatch,
            ),
        ];
        if let Some(other) = other_currency(currency) {
            let shaped = self.shaped(whose, other, None);
            table.push((
                "post: another currency is CURRENCY_MISMATCH, whatever the purpose",
                shaped,
                ReasonCode::CurrencyMismatch,
            ));
        }
        for (promise, postings, reason) in table {
            let checked = self.refusals_of(postings, reason).await;
            self.add(promise, checked);
        }
        let checked = self.beyond_balance().await;
        self.add("post: one minor unit more out than there is is INSUFFICIENT_BALANCE", checked);
    }

    /// By what is on the account now, and whatever the money is.
    async fn beyond_balance(&mut self) -> Checked {
        for (what, purpose) in
            [("a withdrawal", OperationReason::Withdrawal), ("a reversal", OperationReason::Reversal)]
        {
            for beyond in [1, FURTHER_BEYOND] {
                let mut posting = self.posting(-self.balance().await?.max(0).saturating_add(beyond));
                posting.operation.reason = purpose;
                self.refusals_of(vec![(what, posting)], ReasonCode::InsufficientBalance).await?;
            }
        }
        Ok(())
    }

    /// A posting of one minor unit for each purpose in each of its directions.
    pub(super) fn shaped(
        &mut self,
        (owner, login): (CustomerId, Login),
        currency: Currency,
        only_on: Option<AccountMode>,
    ) -> Vec<NamedPosting> {
        let shape = |(what, minor, purpose): (&'static str, i64, OperationReason)| {
            let mut posting = self.checker.posting(owner, login, Money::new(minor, currency), only_on);
            posting.operation.reason = purpose;
            (what, posting)
        };
        SHAPES.into_iter().map(shape).collect()
    }

    /// Each refused with this reason.
    pub(super) async fn refusals_of(&mut self, postings: Vec<NamedPosting>, reason: ReasonCode) -> Checked {
        for (what, posting) in postings {
            self.refusal(&posting, reason).await.map_err(|seen| format!("{what}: {seen}"))?;
        }
        Ok(())
    }

    /// Refused with this reason, again and when it is looked up.
    pub(super) async fn refusal(&mut self, posting: &Posting, reason: ReasonCode) -> Checked {
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
        let without_words = Posting { comment: "".into(), ..self.posting(unit) };
        let mut planned_earlier = self.posting(unit);
        planned_earlier.operation.created_time = planned_earlier.operation.created_time.plus(-DAYS_AGO_SECONDS);
        for (promise, posting) in [
            ("post: a deposit without only_on is credited", deposit),
            ("post: a deposit with an empty comment is credited", without_words),
            ("post: an operation that was planned two days ago is posted", planned_earlier),
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
