//! Postings to the test account: each key once, whatever is repeated; what is refused stays refused; what was posted is found,
//! listed and exact. The balance is put back at the end, whatever was found.

use cashier_core::account::{AccountFacts, AccountMode};
use cashier_core::ids::{CustomerId, Login};
use cashier_core::money::{Currency, Money};
use cashier_core::operation::{OperationKey, PostingOutcome};
use cashier_core::reason::ReasonCode;
use futures_util::future::join_all;

use super::super::PAGE_POSTINGS_MAX;
use super::super::answers::{PostingsAnswer, read_only};
use super::super::calling::encoded;
use super::super::reading::{self, KeyOutcome};
use super::super::requests::PostingsRequest;
use super::exchanges::{Checker, NOBODY, PromiseLine, expect, line};
use crate::ports::Posting;

/// The same posting at the same time.
const AT_ONCE: usize = 10;

/// Pages of postings that are looked through for those of the check.
const PAGES_MAX: usize = 200; // 100,000 postings: more is no database for tests

type Checked = Result<(), String>;

pub(super) async fn check(checker: &mut Checker, facts: &AccountFacts) -> Vec<PromiseLine> {
    let before = facts.account.balance;
    let mut run = CheckRun { checker, facts, lines: Vec::new(), posted: Vec::new(), refused: Vec::new() };
    run.keys().await;
    run.voids().await;
    run.refusals().await;
    run.decimals().await;
    let put_back = run.put_back(before).await;
    run.lines.push(line("an amount out is taken, and the balance is as before", put_back));
    let listed = run.listed().await;
    run.lines.push(line("postings: every key is listed once, with what came of it", listed));
    run.lines
}

struct CheckRun<'c> {
    checker: &'c mut Checker,
    facts: &'c AccountFacts,
    lines: Vec<PromiseLine>,
    posted: Vec<OperationKey>,
    refused: Vec<OperationKey>,
}

impl CheckRun<'_> {
    fn add(&mut self, promise: &'static str, checked: Checked) {
        self.lines.push(line(promise, checked));
    }

    fn posting(&mut self, minor: i64) -> Posting {
        let (account, mode) = (&self.facts.account, self.facts.group.account_mode);
        self.checker.posting(
            account.customer_id,
            account.login,
            Money::new(minor, account.balance.currency),
            Some(mode),
        )
    }

    async fn balance(&self) -> Result<i64, String> {
        let facts = self.checker.account(self.facts.account.login).await?;
        facts.map(|facts| facts.account.balance.minor).ok_or_else(|| "the account is gone".to_owned())
    }

    async fn grew(&self, before: i64, by: i64) -> Checked {
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

    async fn once(&mut self, posting: &Posting) -> Checked {
        let before = self.balance().await?;
        posted(&self.checker.post(posting).await?)?;
        self.posted.push(posting.key());
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
        self.posted.push(posting.key());
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
        self.refused.push(dead.key());
        self.add("void: an unknown key is refused for ever", checked);
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
            self.refused.push(posting.key());
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
        let checked = self.sums(&[tenth, tenth, tenth, 900_719_925_474_093]).await;
        self.add("amounts are exact decimals: three tenths, and sixteen digits", checked);
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

    async fn listed(&self) -> Checked {
        let (mut after, mut found) = (Box::<str>::default(), Vec::new());
        let mut counted = 0_u64;
        for _ in 0..PAGES_MAX {
            let limit = u32::try_from(PAGE_POSTINGS_MAX).unwrap_or(1);
            let answer =
                self.checker.ask(encoded(&PostingsRequest::new(self.checker.instance(), &after, limit))).await?;
            let page = read_only::<PostingsAnswer>(&answer)?;
            let stated = page.posted_count.0;
            let page = reading::postings(page, &after)?;
            counted += page.postings.iter().filter(|posting| posting.is_posted()).count() as u64;
            found.extend(page.postings.into_iter().map(|posting| (posting.is_posted(), posting.key)));
            if page.next.is_empty() {
                let once = |key: &OperationKey, is_posted: bool| {
                    let states: Vec<bool> =
                        found.iter().filter(|(_, known)| known == key).map(|(posted, _)| *posted).collect();
                    expect(states == [is_posted], || format!("{key}: posted is {states:?} instead of [{is_posted}]"))
                };
                self.posted.iter().try_for_each(|key| once(key, true))?;
                self.refused.iter().try_for_each(|key| once(key, false))?;
                return expect(counted == stated, || format!("posted_count is {stated}, and {counted} are listed"));
            }
            after = page.next;
        }
        Err(format!("there are more than {} postings: check a test copy", PAGES_MAX * PAGE_POSTINGS_MAX))
    }
}

fn posted(answer: &KeyOutcome) -> Result<u64, String> {
    match answer {
        KeyOutcome::Known(PostingOutcome::Posted { trade_order, .. }) => Ok(*trade_order),
        other => Err(format!("it answered {other:?}")),
    }
}

fn refused(answer: &KeyOutcome, reason: ReasonCode) -> Checked {
    let expected = KeyOutcome::Known(PostingOutcome::Refused { reason: reason.name().into() });
    expect(*answer == expected, || format!("it answered {answer:?}"))
}
