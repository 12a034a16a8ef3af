//! Postings to the test account: each key once, whatever is repeated; what is refused stays refused; what was posted is found,
//! listed and exact. The balance is put back at the end, whatever was found.

use cashier_core::account::{AccountFacts, AccountMode};
use cashier_core::ids::{CustomerId, Login};
use cashier_core::money::{Currency, Money};
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use futures_util::future::join_all;

use super::super::reading::KeyOutcome;
use super::exchanges::{Checker, NOBODY, PromiseLine, expect, line};
use crate::ports::Posting;

/// Thirteen digits of minor units, which are on the account for a moment.
const LARGE_MINOR: i64 = 9_007_199_254_093;

/// The same posting at the same time.
const AT_ONCE: usize = 10;

pub(super) type Checked = Result<(), String>;

pub(super) async fn check(checker: &mut Checker, facts: &AccountFacts) -> Vec<PromiseLine> {
    let before = facts.account.balance;
    let mut run = CheckRun { checker, facts, lines: Vec::new(), sent: Vec::new() };
    let earlier = run.earlier().await;
    if let Some(oldest) = earlier.as_ref().ok().and_then(|earlier| earlier.oldest.as_ref()) {
        let remembered = run.remembered(oldest).await;
        run.add("post: the oldest key of an earlier check is known as it was", remembered);
    }
    run.keys().await;
    run.voids().await;
    run.refusals().await;
    run.races().await;
    run.decimals().await;
    let put_back = run.put_back(before).await;
    run.lines.push(line("an amount out is taken, and the balance is as before", put_back));
    let listed = match earlier {
        Ok(earlier) => run.listed(&earlier).await,
        Err(problem) => Err(problem),
    };
    run.lines.push(line("postings: every key is listed once, with what came of it", listed));
    run.lines
}

pub(super) struct CheckRun<'c> {
    pub(super) checker: &'c mut Checker,
    pub(super) facts: &'c AccountFacts,
    lines: Vec<PromiseLine>,
    /// What was sent, and whether it was posted.
    pub(super) sent: Vec<(Posting, bool)>,
}

impl CheckRun<'_> {
    pub(super) fn add(&mut self, promise: &'static str, checked: Checked) {
        self.lines.push(line(promise, checked));
    }

    pub(super) fn note(&mut self, posting: Posting, is_posted: bool) {
        self.sent.push((posting, is_posted));
    }

    pub(super) fn posting(&mut self, minor: i64) -> Posting {
        let (account, mode) = (&self.facts.account, self.facts.group.account_mode);
        self.checker.posting(
            account.customer_id,
            account.login,
            Money::new(minor, account.balance.currency),
            Some(mode),
        )
    }

    pub(super) async fn balance(&self) -> Result<i64, String> {
        let facts = self.checker.account(self.facts.account.login).await?;
        facts.map(|facts| facts.account.balance.minor).ok_or_else(|| "the account is gone".to_owned())
    }

    pub(super) async fn grew(&self, before: i64, by: i64) -> Checked {
        let after = self.balance().await?;
        expect(after - before == by, || format!("the balance grew by {} minor units instead of {by}", after - before))
    }

    async fn keys(&mut self) {
        let one = self.posting(1);
        let unknown = self
            .checker
            .find(&one)
            .await
            .and_then(|found| expect(found == KeyOutcome::Unknown, || format!("it answered {found:?}")));
        self.add("find: none for a key that was never sent", unknown);
        let once = self.once(&one).await;
        self.add("post: the amount is on the balance when it is answered", once);
        let repeated = self.repeated(&one).await;
        self.add("post: the same key again is the same answer, and moves nothing", repeated);
        let found = self.same_everywhere(&one).await;
        self.add("find and void: a posted key stays posted", found);
        let conflicts = self.conflicts(&one).await;
        self.add("post, find and void: a known key with another value is a conflict", conflicts);
        let many = self.posting(1);
        let at_once = self.at_once(&many).await;
        self.add("post: the same key ten times at once is posted once", at_once);
    }

    pub(super) async fn once(&mut self, posting: &Posting) -> Checked {
        let before = self.balance().await?;
        posted(&self.checker.post(posting).await?)?;
        self.note(posting.clone(), true);
        self.grew(before, posting.operation.amount.minor).await
    }

    async fn repeated(&self, posting: &Posting) -> Checked {
        let before = self.balance().await?;
        let (first, second) = (self.checker.post(posting).await?, self.checker.post(posting).await?);
        expect(first == second, || format!("{first:?}, then {second:?}"))?;
        self.grew(before, 0).await
    }

    async fn same_everywhere(&self, posting: &Posting) -> Checked {
        let order = posted(&self.checker.post(posting).await?)?;
        let found = posted(&self.checker.find(posting).await?)?;
        let voided = posted(&self.checker.void(posting, ReasonCode::Withheld.name()).await?)?;
        expect(order == found && order == voided, || format!("orders {order}, {found} and {voided}"))
    }

    async fn conflicts(&self, known: &Posting) -> Checked {
        let before = self.balance().await?;
        let mut amount = known.clone();
        amount.operation.amount.minor += 1;
        let mut login = known.clone();
        login.operation.login = Login(NOBODY);
        let customer = Posting { customer_id: CustomerId(NOBODY), ..known.clone() };
        for (what, other) in [("amount", amount), ("login", login), ("customer", customer)] {
            let withheld = ReasonCode::Withheld.name();
            let answers = [
                ("post", self.checker.post(&other).await?),
                ("find", self.checker.find(&other).await?),
                ("void", self.checker.void(&other, withheld).await?),
            ];
            for (call, answer) in answers {
                let is_conflict = answer == KeyOutcome::Known(PostingOutcome::Conflict);
                expect(is_conflict, || format!("{call} with another {what} is answered {answer:?}"))?;
            }
        }
        self.grew(before, 0).await
    }

    async fn at_once(&mut self, posting: &Posting) -> Checked {
        let before = self.balance().await?;
        let checker = &*self.checker;
        let answers = join_all((0..AT_ONCE).map(|_| checker.post(posting))).await;
        self.note(posting.clone(), true);
        let mut orders = Vec::new();
        for answer in answers {
            orders.push(posted(&answer?)?);
        }
        orders.dedup();
        expect(orders.len() == 1, || format!("orders {orders:?}"))?;
        self.grew(before, 1).await
    }

    async fn voids(&mut self) {
        let dead = self.posting(1);
        let checked = self.voided(&dead).await;
        self.note(dead, false);
        self.add("void: an unknown key is refused for ever", checked);
        let (owner, currency) = (self.facts.account.customer_id, self.facts.group.currency);
        let nobodys = self.checker.posting(owner, Login(NOBODY), Money::new(1, currency), None);
        let checked = self.voided(&nobodys).await;
        self.note(nobodys, false);
        self.add("void: also of a login that is not known", checked);
    }

    async fn voided(&self, posting: &Posting) -> Checked {
        let before = self.balance().await?;
        let answers = [
            self.checker.void(posting, ReasonCode::Withheld.name()).await?,
            self.checker.post(posting).await?,
            self.checker.find(posting).await?,
            self.checker.void(posting, ReasonCode::ConfirmedAbsent.name()).await?,
        ];
        answers.iter().try_for_each(|answer| refused(answer, ReasonCode::Withheld))?;
        self.grew(before, 0).await
    }

    async fn refusals(&mut self) {
        let AccountFacts { account, group, .. } = self.facts;
        let (login, owner, mode, balance) = (account.login, account.customer_id, group.account_mode, account.balance);
        let currency = balance.currency;
        let (other_mode, of_mode) = match mode {
            AccountMode::Demo => (AccountMode::Real, ReasonCode::LiveOnDemoAccount),
            AccountMode::Real => (AccountMode::Demo, ReasonCode::SandboxOnRealAccount),
        };
        let other_currency =
            ["USD", "EUR"].into_iter().filter_map(Currency::from_code).find(|other| *other != currency);
        let one = Money::new(1, currency);
        let more_than_there_is = Money::new(-balance.minor.max(0).saturating_add(1_000_000), currency);
        let mut zero = self.checker.posting(owner, login, Money::new(0, currency), Some(mode));
        zero.operation.amount.minor = 0;
        let of = &mut *self.checker;
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
            ("post: an amount of 0 is INVALID_AMOUNT", zero, ReasonCode::InvalidAmount),
        ];
        if let Some(other) = other_currency {
            let posting = of.posting(owner, login, Money::new(1, other), None);
            table.push(("post: another currency is CURRENCY_MISMATCH", posting, ReasonCode::CurrencyMismatch));
        }
        for (promise, posting, reason) in table {
            let checked = self.refusal(&posting, reason).await;
            self.note(posting, false);
            self.add(promise, checked);
        }
    }

    /// Refused with this reason, again and when it is looked up.
    async fn refusal(&self, posting: &Posting, reason: ReasonCode) -> Checked {
        let before = self.balance().await?;
        for answer in
            [self.checker.post(posting).await?, self.checker.post(posting).await?, self.checker.find(posting).await?]
        {
            refused(&answer, reason)?;
        }
        self.grew(before, 0).await
    }

    /// A tenth three times, and an amount that no float holds.
    async fn decimals(&mut self) {
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

    /// Takes out what the check left on the account.
    async fn put_back(&mut self, before: Money) -> Checked {
        let left = self.balance().await? - before.minor;
        if left != 0 {
            let posting = self.posting(-left);
            self.once(&posting).await?;
        }
        let now = self.balance().await?;
        expect(now == before.minor, || format!("the balance is {} now", Money::new(now, before.currency)))
    }
}

pub(super) fn posted(answer: &KeyOutcome) -> Result<u64, String> {
    match answer {
        KeyOutcome::Known(PostingOutcome::Posted { trade_order, .. }) => Ok(*trade_order),
        other => Err(format!("it answered {other:?}")),
    }
}

pub(super) fn refused(answer: &KeyOutcome, reason: ReasonCode) -> Checked {
    let expected = KeyOutcome::Known(PostingOutcome::Refused { reason: reason.name().into() });
    expect(*answer == expected, || format!("it answered {answer:?}"))
}
