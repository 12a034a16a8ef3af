//! Postings to the test account: each key once, whatever is repeated, and for ever; what was voided stays dead. The balance is put
//! back at the end, whatever was found. What a posting is refused for is asked in `refusals`, what comes at the same time in `races`.

use cashier_core::account::AccountFacts;
use cashier_core::ids::{CustomerId, Login, OperationId, Reference, TransactionId};
use cashier_core::money::{Currency, Money};
use cashier_core::operation::{OperationKey, PostingOutcome};
use cashier_core::reason::ReasonCode;
use cashier_core::status::{OperationCmd, OperationReason};
use serde_json::Value;

use super::super::reading::{self, KeyOutcome};
use super::exchanges::{Checker, NOBODY, PromiseLine, PromiseSeen, expect, line};
use crate::ports::Posting;

pub(super) type Checked = Result<(), String>;

/// Checks the promises about postings; returns the key that the next check asks for.
pub(super) async fn check(
    checker: &mut Checker,
    facts: &AccountFacts,
    known_key: Option<&OperationKey>,
) -> (Vec<PromiseLine>, Option<OperationKey>) {
    let before = facts.account.balance;
    let mut run = CheckRun { checker, facts, known_key, lines: Vec::new(), sent: Vec::new() };
    let earlier = run.earlier().await;
    run.remembered().await;
    let kept = run.keys().await;
    run.refusals().await;
    run.purposes().await;
    run.races().await;
    run.decimals().await;
    let put_back = run.put_back(before).await;
    run.add("the balance is as before, once what is left of it was taken out", put_back);
    let listed = match earlier {
        Ok(earlier) => run.listed(&earlier).await,
        Err(problem) => Err(problem),
    };
    run.add("postings: every key is listed once, with what came of it", listed);
    (run.lines, kept)
}

pub(super) struct CheckRun<'c> {
    pub(super) checker: &'c mut Checker,
    pub(super) facts: &'c AccountFacts,
    pub(super) known_key: Option<&'c OperationKey>,
    lines: Vec<PromiseLine>,
    /// What was sent, and what was answered.
    pub(super) sent: Vec<(Posting, PostingOutcome)>,
}

impl CheckRun<'_> {
    pub(super) fn add(&mut self, promise: &'static str, checked: Checked) {
        self.lines.push(line(promise, checked));
    }

    pub(super) fn note(&mut self, posting: &Posting, outcome: PostingOutcome) {
        self.sent.push((posting.clone(), outcome));
    }

    pub(super) fn posting(&mut self, minor: i64) -> Posting {
        let (account, mode) = (&self.facts.account, self.facts.group.account_mode);
        let amount = Money::new(minor, account.balance.currency);
        self.checker.posting(account.customer_id, account.login, amount, Some(mode))
    }

    /// A whole unit, which every currency can have.
    pub(super) fn unit(&self) -> i64 {
        10_i64.pow(u32::from(self.facts.group.currency.exponent()))
    }

    pub(super) async fn balance(&self) -> Result<i64, String> {
        let facts = self.checker.account(self.facts.account.login).await?;
        facts.map(|facts| facts.account.balance.minor).ok_or_else(|| "the account is gone".to_owned())
    }

    pub(super) async fn grew(&self, before: i64, by: i64) -> Checked {
        let after = self.balance().await?;
        expect(after - before == by, || format!("the balance grew by {} minor units instead of {by}", after - before))
    }

    /// What an earlier check posted and voided is known as it was. The key names the posted one of a whole unit; the voided one is the
    /// next of its ordinals, as `keys` makes them.
    async fn remembered(&mut self) {
        const PROMISE: &str = "post and void: the keys of an earlier check are known as they were";
        match self.known_key {
            Some(key) => {
                let checked = self.known(key).await;
                self.add(PROMISE, checked);
            }
            None => {
                let seen = PromiseSeen::NotChecked("no earlier key (give --known-key)");
                self.lines.push(PromiseLine { promise: PROMISE, seen });
            }
        }
    }

    async fn known(&self, key: &OperationKey) -> Checked {
        let (reference, ordinal) = key.parts().ok_or("it is no key of a check")?;
        let [kept, dead] =
            [ordinal, ordinal.saturating_add(1)].map(|ordinal| self.earlier_posting(&reference, ordinal));
        let before = self.balance().await?;
        // Looked up first: a server that forgot it would post it.
        let found = posted(&self.checker.find(&kept).await?).map_err(|seen| format!("{key}: {seen}"))?;
        let again = posted(&self.checker.post(&kept).await?)?;
        expect(found == again, || format!("{key} has the orders {found} and {again}"))?;
        for answer in [self.checker.find(&dead).await?, self.checker.void(&dead, ReasonCode::Withheld).await?] {
            refused(&answer, ReasonCode::Withheld).map_err(|seen| format!("{}: {seen}", dead.key()))?;
        }
        self.grew(before, 0).await
    }

    fn earlier_posting(&self, reference: &Reference, ordinal: u32) -> Posting {
        let (account, mode) = (&self.facts.account, self.facts.group.account_mode);
        let amount = Money::new(self.unit(), account.balance.currency);
        let whose = (account.customer_id, account.login);
        self.checker.posting_under((reference.clone(), ordinal), whose, amount, Some(mode))
    }

    /// What is kept of keys; returns the posted one, whose successor is voided.
    async fn keys(&mut self) -> Option<OperationKey> {
        let (one, dead) = (self.posting(self.unit()), self.posting(self.unit()));
        let unknown = self
            .checker
            .find(&one)
            .await
            .and_then(|found| expect(found == KeyOutcome::Unknown, || format!("it answered {found:?}")));
        self.add("find: none for a key that was never sent", unknown);
        let once = self.once(&one).await;
        let is_posted = once.is_ok();
        self.add("post: the amount is on the balance when it is answered", once);
        let repeated = self.repeated(&one).await;
        self.add("post: the same key again is the same answer, and moves nothing", repeated);
        let found = self.same_everywhere(&one).await;
        self.add("find and void: a posted key stays posted", found);
        let conflicts = self.conflicts(&one).await;
        self.add("post, find and void: a known key with another value is a conflict", conflicts);
        let same = self.not_compared(&one).await;
        self.add("post and find: what is not compared may differ, and an amount is compared by value", same);
        let voided = self.voided(&dead).await;
        let is_kept = is_posted && voided.is_ok();
        self.add("void: an unknown key is refused for ever", voided);
        let (owner, currency) = (self.facts.account.customer_id, self.facts.group.currency);
        let nobodys = self.checker.posting(owner, Login(NOBODY), Money::new(1, currency), None);
        let checked = self.voided(&nobodys).await;
        self.add("void: also of a login that is not known", checked);
        is_kept.then(|| one.key())
    }

    pub(super) async fn once(&mut self, posting: &Posting) -> Checked {
        let before = self.balance().await?;
        let order = posted(&self.checker.post(posting).await?)?;
        self.note(posting, PostingOutcome::posted(order));
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
        let voided = posted(&self.checker.void(posting, ReasonCode::Withheld).await?)?;
        expect(order == found && order == voided, || format!("orders {order}, {found} and {voided}"))
    }

    /// Every value that is compared, one after the other.
    async fn conflicts(&self, known: &Posting) -> Checked {
        let before = self.balance().await?;
        let with = |change: &dyn Fn(&mut Posting)| {
            let mut other = known.clone();
            change(&mut other);
            other
        };
        let amount = known.operation.amount;
        let mut table = vec![
            ("transaction_id", with(&|it| it.operation.transaction_id = TransactionId(2))),
            ("login", with(&|it| it.operation.login = Login(NOBODY))),
            ("customer_id", with(&|it| it.customer_id = CustomerId(NOBODY))),
            ("amount", with(&|it| it.operation.amount.minor += 1)),
            ("cmd", with(&|it| it.operation.cmd = OperationCmd::BalanceOut)),
            ("purpose", with(&|it| it.operation.reason = OperationReason::Reversal)),
        ];
        if let Some(other) = other_currency(amount.currency) {
            let same_value = Money::new(10_i64.pow(u32::from(other.exponent())), other);
            table.push(("currency", with(&|it| it.operation.amount = same_value)));
        }
        for (what, other) in table {
            let answers = [
                ("post", self.checker.post(&other).await),
                ("find", self.checker.find(&other).await),
                ("void", self.checker.void(&other, ReasonCode::Withheld).await),
            ];
            for (call, answer) in answers {
                let is_conflict = answer == Ok(KeyOutcome::Known(PostingOutcome::Conflict));
                expect(is_conflict, || format!("{call} with another {what}: {answer:?}"))?;
            }
        }
        self.grew(before, 0).await
    }

    async fn not_compared(&self, known: &Posting) -> Checked {
        let before = self.balance().await?;
        let first = self.checker.find(known).await?;
        let mut other = Posting { only_on: None, comment: "another comment".into(), ..known.clone() };
        other.operation.id = OperationId(NOBODY);
        other.operation.created_time = known.operation.created_time.plus(1);
        let answers = [self.checker.post(&other).await?, self.checker.find(&other).await?];
        expect(answers.iter().all(|answer| *answer == first), || format!("{first:?} is answered {answers:?}"))?;
        let finer = self.checker.post_with(known, |posting| {
            if let Some(Value::String(amount)) = posting.get_mut("amount") {
                amount.push_str(if amount.contains('.') { "0" } else { ".0" });
            }
        });
        let answer = reading::key_outcome(&self.checker.ask(finer).await?, &known.key())?;
        expect(answer == first, || format!("the same amount with another zero is answered {answer:?}"))?;
        self.grew(before, 0).await
    }

    async fn voided(&mut self, posting: &Posting) -> Checked {
        let before = self.balance().await?;
        let answers = [
            self.checker.void(posting, ReasonCode::Withheld).await?,
            self.checker.post(posting).await?,
            self.checker.find(posting).await?,
            self.checker.void(posting, ReasonCode::ConfirmedAbsent).await?,
        ];
        answers.iter().try_for_each(|answer| refused(answer, ReasonCode::Withheld))?;
        self.note(posting, PostingOutcome::Refused { reason: ReasonCode::Withheld.name().into() });
        self.grew(before, 0).await
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

/// A currency that the account is not in.
pub(super) fn other_currency(than: Currency) -> Option<Currency> {
    ["USD", "EUR"].into_iter().filter_map(Currency::from_code).find(|other| *other != than)
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
