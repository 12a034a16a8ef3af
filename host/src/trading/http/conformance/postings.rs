//! Postings to the test account: each key once, whatever is repeated, and for ever; what was voided stays dead. The balance is put
//! back at the end, whatever was found. What a posting is refused for is asked in `refusals`, what comes at the same time in `races`.

use cashier_core::account::AccountFacts;
use cashier_core::ids::{Login, OperationId, Reference};
use cashier_core::money::{MINOR_MAX, Money};
use cashier_core::operation::{OperationKey, PostingOutcome};
use cashier_core::reason::ReasonCode;
use serde_json::Value;

use super::super::reading::KeyOutcome;
use super::answered::{several, words};
use super::exchanges::{Checker, KeyCall, NOBODY, PromiseLine, PromiseSeen, expect, line};
use crate::ports::Posting;

pub(super) type Checked = Result<(), String>;

/// Two days: longer than keys live in a cache.
pub(super) const DAYS_AGO_SECONDS: i64 = 2 * 24 * 60 * 60;

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
    run.identifiers().await;
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
    pub(super) sent: Vec<NotedPosting>,
}

/// A posting that was sent, and what was answered.
pub(super) struct NotedPosting {
    pub(super) key: OperationKey,
    pub(super) posting: Posting,
    pub(super) outcome: PostingOutcome,
}

/// What the next check asks for: the postings of a key and of the ordinals behind it.
struct KeyFamily {
    posted: Posting,
    withheld: Posting,
    /// More than any account can have, so that it is refused whatever is on the account.
    refused: Posting,
    /// Voided with the other reason, on its way out.
    absent: Posting,
}

/// Postings of a family.
const FAMILY_SIZE: u32 = 4;

impl CheckRun<'_> {
    pub(super) fn add(&mut self, promise: &'static str, checked: Checked) {
        self.lines.push(line(promise, checked));
    }

    pub(super) fn note(&mut self, posting: &Posting, outcome: PostingOutcome) {
        self.note_under(&posting.key(), posting, outcome);
    }

    pub(super) fn note_under(&mut self, key: &OperationKey, posting: &Posting, outcome: PostingOutcome) {
        self.sent.push(NotedPosting { key: key.clone(), posting: posting.clone(), outcome });
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

    /// What an earlier check posted, voided and was refused is known as it was.
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
        let family = self.family(&reference, ordinal);
        let before = self.balance().await?;
        // Looked up first: a server that forgot it would post it.
        let found = posted(&self.checker.find(&family.posted).await?).map_err(|seen| format!("{key}: {seen}"))?;
        for (dead, reason) in [
            (&family.withheld, ReasonCode::Withheld),
            (&family.refused, ReasonCode::InsufficientBalance),
            (&family.absent, ReasonCode::ConfirmedAbsent),
        ] {
            for call in [KeyCall::Find, KeyCall::Void(ReasonCode::Withheld), KeyCall::Post] {
                let answer = self.checker.about_key(call, &dead.key(), dead).await?;
                refused(&answer, reason).map_err(|seen| format!("{}: {seen}", dead.key()))?;
            }
        }
        let again = posted(&self.checker.post(&family.posted).await?)?;
        expect(found == again, || format!("{key} has the orders {found} and {again}"))?;
        self.grew(before, 0).await
    }

    fn family(&self, reference: &Reference, first: u32) -> KeyFamily {
        let (account, mode) = (&self.facts.account, self.facts.group.account_mode);
        let whose = (account.customer_id, account.login);
        let under = |behind: u32, minor: i64| {
            let under = (reference.clone(), first.saturating_add(behind));
            self.checker.posting_under(under, whose, Money::new(minor, account.balance.currency), Some(mode))
        };
        let unit = self.unit();
        KeyFamily {
            posted: under(0, unit),
            withheld: under(1, unit),
            refused: under(2, -MINOR_MAX),
            absent: under(3, -unit),
        }
    }

    /// What is kept of keys; returns the posted one, whose successors are dead.
    async fn keys(&mut self) -> Option<OperationKey> {
        let (reference, first) = self.checker.reserve(FAMILY_SIZE);
        let KeyFamily { posted: one, withheld, refused, absent } = self.family(&reference, first);
        let unknown = self
            .checker
            .find(&one)
            .await
            .and_then(|found| expect(found == KeyOutcome::Unknown, || format!("it answered {}", words(&found))));
        self.add("find: none for a key that was never sent", unknown);
        let once = self.once(&one).await;
        let mut is_kept = once.is_ok();
        self.add("post: the amount is on the balance when it is answered", once);
        let repeated = self.repeated(&one).await;
        self.add("post: the same key again is the same answer, and moves nothing", repeated);
        let found = self.same_everywhere(&one).await;
        self.add("find and void: a posted key stays posted", found);
        let same = self.not_compared(&one).await;
        self.add("post and find: what is not compared may differ, and an amount is compared by value", same);
        let dead = [
            (
                "void: an unknown key is refused for ever",
                self.voided(&withheld, ReasonCode::Withheld, ReasonCode::ConfirmedAbsent).await,
            ),
            (
                "void: also with CONFIRMED_ABSENT, and of a posting out",
                self.voided(&absent, ReasonCode::ConfirmedAbsent, ReasonCode::Withheld).await,
            ),
            (
                "post: more out than an account can have is INSUFFICIENT_BALANCE",
                self.refusal(&refused, ReasonCode::InsufficientBalance).await,
            ),
        ];
        for (promise, checked) in dead {
            is_kept &= checked.is_ok();
            self.add(promise, checked);
        }
        let (owner, currency) = (self.facts.account.customer_id, self.facts.group.currency);
        let nobodys = self.checker.posting(owner, Login(NOBODY), Money::new(1, currency), None);
        let checked = self.voided(&nobodys, ReasonCode::Withheld, ReasonCode::ConfirmedAbsent).await;
        self.add("void: also of a login that is not known", checked);
        for (promise, known) in [
            ("post, find and void: a known key with another value is a conflict", vec![&one]),
            ("post, find and void: also of a key that was voided or refused", vec![&withheld, &absent, &refused]),
        ] {
            let mut checked = Ok(());
            for posting in known {
                checked = checked.and(self.conflicts(posting).await);
            }
            self.add(promise, checked);
        }
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
        expect(first == second, || format!("{}, then {}", words(&first), words(&second)))?;
        self.grew(before, 0).await
    }

    async fn same_everywhere(&self, posting: &Posting) -> Checked {
        let order = posted(&self.checker.post(posting).await?)?;
        let found = posted(&self.checker.find(posting).await?)?;
        let voided = posted(&self.checker.void(posting, ReasonCode::Withheld).await?)?;
        expect(order == found && order == voided, || format!("orders {order}, {found} and {voided}"))
    }

    async fn not_compared(&self, known: &Posting) -> Checked {
        let before = self.balance().await?;
        let first = self.checker.find(known).await?;
        let mut other = Posting { only_on: None, comment: "another comment".into(), ..known.clone() };
        other.operation.id = OperationId(NOBODY);
        // A key is no newer because its operation is old.
        for later in [1, -DAYS_AGO_SECONDS] {
            other.operation.created_time = known.operation.created_time.plus(later);
            let answers = [self.checker.post(&other).await?, self.checker.find(&other).await?];
            expect(answers.iter().all(|answer| *answer == first), || {
                format!("{} is answered with {}", words(&first), several(&answers))
            })?;
        }
        let finer = self.checker.body_with(KeyCall::Post, known, |posting| {
            if let Some(Value::String(amount)) = posting.get_mut("amount") {
                amount.push_str(if amount.contains('.') { "0" } else { ".0" });
            }
        });
        let answer = self.checker.answered(KeyCall::Post, finer, &known.key()).await?;
        expect(answer == first, || format!("the same amount with another zero is answered {}", words(&answer)))?;
        self.grew(before, 0).await
    }

    /// Refused with the reason of the first `void`, whatever comes behind it.
    async fn voided(&mut self, posting: &Posting, reason: ReasonCode, other: ReasonCode) -> Checked {
        let before = self.balance().await?;
        for call in [KeyCall::Void(reason), KeyCall::Post, KeyCall::Find, KeyCall::Void(other), KeyCall::Post] {
            refused(&self.checker.about_key(call, &posting.key(), posting).await?, reason)?;
        }
        self.note(posting, PostingOutcome::Refused { reason: reason.name().into() });
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

pub(super) fn posted(answer: &KeyOutcome) -> Result<u64, String> {
    match answer {
        KeyOutcome::Known(PostingOutcome::Posted { trade_order, .. }) => Ok(*trade_order),
        other => Err(format!("it answered {}", words(other))),
    }
}

pub(super) fn refused(answer: &KeyOutcome, reason: ReasonCode) -> Checked {
    let expected = KeyOutcome::Known(PostingOutcome::Refused { reason: reason.name().into() });
    expect(*answer == expected, || format!("it answered {}", words(answer)))
}
