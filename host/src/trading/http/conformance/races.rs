//! Postings at the same time, and postings again after something changed: what a server that judges outside the transaction that
//! records does only under load, or only later. It shares the run of `postings`.

use cashier_core::ids::{ServerName, TransactionId};
use cashier_core::operation::{BalanceOperation, PostingOutcome};
use cashier_core::reason::ReasonCode;
use cashier_core::reconcile::FoundPosting;
use cashier_core::status::OperationStatus;
use futures_util::future::{join, join_all};

use super::super::reading::KeyOutcome;
use super::exchanges::{CHECK_COMMENT, expect};
use super::postings::{CheckRun, Checked, posted, refused};
use crate::ports::Posting;

/// Keys that are posted and voided at the same time: a window of a millisecond is hit in some of them.
const RACES: usize = 20;
/// Calls of each kind about one of them.
const RACING_CALLS: usize = 5;
/// Different keys on one account at the same time.
const KEYS_AT_ONCE: i64 = 10;
/// How far beyond the balance what is refused is.
const BEYOND_BALANCE: i64 = 1_000_000;

impl CheckRun<'_> {
    pub(super) async fn races(&mut self) {
        let checked = self.posts_and_voids().await;
        self.add("post and void: of one key at once, twenty times, one outcome that the balance follows", checked);
        let checked = self.keys_at_once().await;
        self.add("post: ten keys at once on one account are all on its balance", checked);
        let checked = self.refused_for_ever().await;
        self.add("post: a refusal stays one when its reason is gone", checked);
    }

    async fn posts_and_voids(&mut self) -> Checked {
        for round in 0..RACES {
            let posting = self.posting(1);
            let before = self.balance().await?;
            let checker = &*self.checker;
            let posts = join_all((0..RACING_CALLS).map(|_| checker.post(&posting)));
            let voids = join_all((0..RACING_CALLS).map(|_| checker.void(&posting, ReasonCode::Withheld.name())));
            // Whichever is sent first is at an advantage.
            let (posts, voids) = if round % 2 == 0 {
                join(posts, voids).await
            } else {
                let (voids, posts) = join(voids, posts).await;
                (posts, voids)
            };
            let answers = posts.into_iter().chain(voids).collect::<Result<Vec<KeyOutcome>, String>>()?;
            let Some(first) = answers.first() else { return Ok(()) };
            let is_posted = matches!(first, KeyOutcome::Known(PostingOutcome::Posted { .. }));
            if !is_posted {
                refused(first, ReasonCode::Withheld)?;
            }
            expect(answers.iter().all(|answer| answer == first), || format!("the answers differ: {answers:?}"))?;
            let recorded = self.checker.find(&posting).await?;
            expect(recorded == *first, || format!("{first:?}, and recorded is {recorded:?}"))?;
            self.grew(before, i64::from(is_posted)).await?;
            self.note(posting, is_posted);
        }
        Ok(())
    }

    async fn keys_at_once(&mut self) -> Checked {
        let before = self.balance().await?;
        let postings: Vec<Posting> = (0..KEYS_AT_ONCE).map(|_| self.posting(1)).collect();
        let checker = &*self.checker;
        let answers = join_all(postings.iter().map(|posting| checker.post(posting))).await;
        let mut orders = Vec::new();
        for (answer, posting) in answers.into_iter().zip(postings) {
            orders.push(posted(&answer?)?);
            self.note(posting, true);
        }
        orders.sort_unstable();
        let count = orders.len();
        orders.dedup();
        expect(orders.len() == count, || format!("two keys have one order: {orders:?}"))?;
        self.grew(before, KEYS_AT_ONCE).await
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
        self.note(too_large, false);
        if checked.is_ok() {
            let back = self.posting(-enough);
            self.once(&back).await?;
        }
        checked
    }

    /// A key of an earlier run is known as it was.
    pub(super) async fn remembered(&self, earlier: &FoundPosting) -> Checked {
        let Some((reference, ordinal)) = earlier.key.parts() else { return Ok(()) };
        let posting = Posting {
            operation: BalanceOperation {
                id: earlier.operation_id,
                transaction_id: TransactionId(earlier.transaction_id.0),
                ordinal,
                login: earlier.login,
                trade_order: 0,
                request_order: 0,
                cmd: earlier.cmd,
                amount: earlier.amount,
                reason: earlier.reason,
                status: OperationStatus::Planned,
                failure_reason: Box::default(),
                created_time: earlier.created_time,
                updated_time: earlier.created_time,
            },
            reference,
            server: ServerName::default(),
            customer_id: earlier.customer_id,
            only_on: None,
            comment: CHECK_COMMENT.into(),
        };
        let before = self.balance().await?;
        let answers = [self.checker.find(&posting).await?, self.checker.post(&posting).await?];
        let expected = KeyOutcome::Known(earlier.outcome.clone());
        let same = answers.iter().all(|answer| *answer == expected);
        expect(same, || format!("{} was {:?}, and is answered {answers:?}", earlier.key, earlier.outcome))?;
        self.grew(before, 0).await
    }
}
