//! Postings at the same time, and postings again after something changed: what a server that judges outside the transaction that
//! records does only under load, or only later. It shares the run of `postings`.

use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use cashier_core::status::OperationReason;
use futures_util::future::{join, join_all};

use super::super::reading::KeyOutcome;
use super::answered::{several, words};
use super::exchanges::{KeyCall, expect};
use super::postings::{CheckRun, Checked, posted, refused};
use crate::ports::Posting;

/// The same posting at the same time.
const AT_ONCE: usize = 10;
/// Keys that are posted and voided at the same time: a window of a millisecond is hit in some of them.
const RACES: usize = 20;
/// Calls of each kind about one of them.
const RACING_CALLS: usize = 5;
/// Different keys on one account at the same time.
const KEYS_AT_ONCE: i64 = 10;
/// How often as many come in as go out at the same time.
const IN_AND_OUT_ROUNDS: usize = 5;
/// Withdrawals of a whole balance at the same time, and how often: of two that are judged by one balance both are paid out.
const PAID_OUT_AT_ONCE: usize = 10;
const PAID_OUT_ROUNDS: usize = 5;
/// How far beyond the balance what is refused is.
const BEYOND_BALANCE: i64 = 1_000_000;

impl CheckRun<'_> {
    pub(super) async fn races(&mut self) {
        let checked = self.at_once().await;
        self.add("post: the same key ten times at once is posted once", checked);
        let checked = self.posts_and_voids().await;
        self.add("post and void: of one key at once, twenty times, one outcome that the balance follows", checked);
        let checked = self.keys_at_once().await;
        self.add("post: ten keys at once on one account are all on its balance", checked);
        let checked = self.in_and_out_at_once().await;
        self.add("post: deposits and withdrawals of one account at once are all on its balance", checked);
        let checked = self.paid_out_once().await;
        self.add("post: ten withdrawals of the whole balance at once take it out once", checked);
        let checked = self.refused_for_ever().await;
        self.add("post: a refusal stays one when its reason is gone", checked);
    }

    async fn at_once(&mut self) -> Checked {
        let (posting, before) = (self.posting(1), self.balance().await?);
        let checker = &*self.checker;
        let answers = join_all((0..AT_ONCE).map(|_| checker.settled(KeyCall::Post, &posting))).await;
        let mut orders = answers.into_iter().map(|answer| posted(&answer?)).collect::<Result<Vec<u64>, String>>()?;
        orders.dedup();
        let [order] = &*orders else { return Err(format!("orders {orders:?}")) };
        self.note(&posting, PostingOutcome::posted(*order));
        self.grew(before, 1).await
    }

    async fn posts_and_voids(&mut self) -> Checked {
        for round in 0..RACES {
            let posting = self.posting(1);
            let before = self.balance().await?;
            let checker = &*self.checker;
            let posts = join_all((0..RACING_CALLS).map(|_| checker.settled(KeyCall::Post, &posting)));
            let voids =
                join_all((0..RACING_CALLS).map(|_| checker.settled(KeyCall::Void(ReasonCode::Withheld), &posting)));
            // Whichever is sent first is at an advantage.
            let (posts, voids) = if round % 2 == 0 {
                join(posts, voids).await
            } else {
                let (voids, posts) = join(voids, posts).await;
                (posts, voids)
            };
            let answers = posts.into_iter().chain(voids).collect::<Result<Vec<KeyOutcome>, String>>()?;
            let Some(first @ KeyOutcome::Known(outcome)) = answers.first() else {
                return Err(format!("the answers are {}", several(&answers)));
            };
            let is_posted = matches!(outcome, PostingOutcome::Posted { .. });
            if !is_posted {
                refused(first, ReasonCode::Withheld)?;
            }
            expect(answers.iter().all(|answer| answer == first), || {
                format!("the answers differ: {}", several(&answers))
            })?;
            let recorded = self.checker.find(&posting).await?;
            expect(recorded == *first, || {
                format!("it answered {}, and recorded is {}", words(first), words(&recorded))
            })?;
            self.grew(before, i64::from(is_posted)).await?;
            self.note(&posting, outcome.clone());
        }
        Ok(())
    }

    async fn keys_at_once(&mut self) -> Checked {
        let before = self.balance().await?;
        let postings: Vec<Posting> = (0..KEYS_AT_ONCE).map(|_| self.posting(1)).collect();
        self.all_posted_at_once(&postings).await?;
        self.grew(before, KEYS_AT_ONCE).await
    }

    /// Each is posted, under an order of its own.
    async fn all_posted_at_once(&mut self, postings: &[Posting]) -> Checked {
        let checker = &*self.checker;
        let answers = join_all(postings.iter().map(|posting| checker.settled(KeyCall::Post, posting))).await;
        let mut orders = Vec::new();
        for (answer, posting) in answers.into_iter().zip(postings) {
            let order = posted(&answer?)?;
            self.note(posting, PostingOutcome::posted(order));
            orders.push(order);
        }
        orders.sort_unstable();
        let twice = orders.windows(2).find(|pair| pair.first() == pair.last()).and_then(|pair| pair.first());
        twice.map_or(Ok(()), |order| Err(format!("two keys have one order: {order}")))
    }

    /// Money in and money out, where each kind alone may be in turn: one that is judged by a balance of before loses the other.
    async fn in_and_out_at_once(&mut self) -> Checked {
        let enough = KEYS_AT_ONCE - self.balance().await?;
        if enough > 0 {
            let credit = self.posting(enough);
            self.once(&credit).await?;
        }
        for round in 0..IN_AND_OUT_ROUNDS {
            let before = self.balance().await?;
            // Whichever is sent first is at an advantage.
            let (first, second) = if round % 2 == 0 { (2, -1) } else { (-1, 2) };
            let mut postings: Vec<Posting> =
                (0..2 * KEYS_AT_ONCE).map(|place| self.posting(if place % 2 == 0 { first } else { second })).collect();
            for withdrawal in postings.iter_mut().filter(|posting| posting.operation.amount.minor < 0).step_by(2) {
                withdrawal.operation.reason = OperationReason::Withdrawal;
            }
            self.all_posted_at_once(&postings).await?;
            self.grew(before, KEYS_AT_ONCE).await?;
        }
        Ok(())
    }

    /// Of several keys that each take out the whole balance one is posted, whatever comes at the same time.
    async fn paid_out_once(&mut self) -> Checked {
        for _ in 0..PAID_OUT_ROUNDS {
            if self.balance().await? <= 0 {
                let credit = self.posting(self.unit() - self.balance().await?);
                self.once(&credit).await?;
            }
            let whole = self.balance().await?;
            let withdrawals: Vec<Posting> = (0..PAID_OUT_AT_ONCE)
                .map(|_| {
                    let mut withdrawal = self.posting(-whole);
                    withdrawal.operation.reason = OperationReason::Withdrawal;
                    withdrawal
                })
                .collect();
            let checker = &*self.checker;
            let answers = join_all(withdrawals.iter().map(|posting| checker.settled(KeyCall::Post, posting))).await;
            let mut paid_out = 0;
            for (answer, posting) in answers.into_iter().zip(&withdrawals) {
                let answer = answer?;
                match &answer {
                    KeyOutcome::Known(outcome @ PostingOutcome::Posted { .. }) => {
                        paid_out += 1;
                        self.note(posting, outcome.clone());
                    }
                    refusal => {
                        refused(refusal, ReasonCode::InsufficientBalance)?;
                        self.note(
                            posting,
                            PostingOutcome::Refused { reason: ReasonCode::InsufficientBalance.name().into() },
                        );
                    }
                }
            }
            let balance = self.balance().await?;
            expect(paid_out == 1, || {
                format!("{paid_out} of them were posted, and the balance is {balance} minor units")
            })?;
            expect(balance == 0, || format!("the balance is {balance} minor units afterwards"))?;
            // Nobody sees it gone for long.
            let back = self.posting(whole);
            self.once(&back).await?;
        }
        Ok(())
    }

    /// What was refused because the balance was too small is refused when it is large enough.
    async fn refused_for_ever(&mut self) -> Checked {
        let enough = self.balance().await?.max(0).saturating_add(BEYOND_BALANCE);
        let too_large = self.posting(-enough);
        refused(&self.checker.post(&too_large).await?, ReasonCode::InsufficientBalance)?;
        let credit = self.posting(enough);
        self.once(&credit).await?;
        let before = self.balance().await?;
        let again = [self.checker.post(&too_large).await?, self.checker.find(&too_large).await?];
        let checked = match again.iter().try_for_each(|answer| refused(answer, ReasonCode::InsufficientBalance)) {
            Ok(()) => self.grew(before, 0).await,
            Err(problem) => Err(problem),
        };
        self.note(&too_large, PostingOutcome::Refused { reason: ReasonCode::InsufficientBalance.name().into() });
        if checked.is_ok() {
            let back = self.posting(-enough);
            self.once(&back).await?;
        }
        checked
    }
}
