//! What a server elsewhere says of single postings of the books: whether it has made them, and whether what differed before still does.

use std::time::Duration;

use cashier_core::books::Books;
use cashier_core::operation::{OperationKey, PostingOutcome};

use super::said::{RecordedAtServer, other_order};
use super::{BooksComparison, SILENCE_MAX, is_posted};
use crate::ports::{DifferenceKind, Fault, Posting};

/// What became of the differences that were found before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceStanding {
    /// Each that was kept is as it was.
    Stands,
    /// One is put right, or the rows were not listed yet.
    PutRight,
    /// As `Stands`, but for some that only a list of all rows says something about.
    NotSaid,
}

impl BooksComparison<'_> {
    /// Whether what was found to differ still does, as far as the server can be asked.
    ///
    /// # Errors
    /// As above.
    pub async fn standing(&self) -> Result<DifferenceStanding, Fault> {
        let Some(known) = &self.before.differences else { return Ok(DifferenceStanding::Stands) };
        if known.is_unlisted {
            return Ok(DifferenceStanding::PutRight);
        }
        let (mut is_said, mut waited) = (known.beyond() == 0, Duration::ZERO);
        for one in &known.kept {
            let posting = self.peek(|books| posting(books, &one.key))?;
            let is_asked = !matches!(one.kind, DifferenceKind::Other | DifferenceKind::RefusedThere);
            // What the books do not have cannot be asked for.
            let Some(posting) = posting.filter(|_| is_asked) else {
                is_said = false;
                continue;
            };
            let Some(found) = self.find(&posting, &mut waited).await? else {
                is_said = false;
                continue;
            };
            let is_made = matches!(found, Some(PostingOutcome::Posted { .. }));
            let is_right = match one.kind {
                DifferenceKind::OtherOrder => is_made && other_order(found.as_ref(), &posting.operation).is_none(),
                // It was taken back there, or the books have it now.
                DifferenceKind::Extra => match &found {
                    Some(PostingOutcome::Posted { .. }) => is_posted(&posting.operation),
                    Some(PostingOutcome::Refused { .. }) | None => true,
                    Some(PostingOutcome::Conflict | PostingOutcome::Unknown) => {
                        is_said = false;
                        false
                    }
                },
                DifferenceKind::Lost
                | DifferenceKind::Unsaid
                | DifferenceKind::Other
                | DifferenceKind::RefusedThere => is_made,
            };
            if is_right {
                return Ok(DifferenceStanding::PutRight);
            }
        }
        Ok(if is_said { DifferenceStanding::Stands } else { DifferenceStanding::NotSaid })
    }

    /// Whether the server has made this posting; one that the books do not have any more is none of them. `None` as of `find`.
    pub(super) async fn has_posted(&self, key: &OperationKey, waited: &mut Duration) -> Result<Option<bool>, Fault> {
        let Some(posting) = self.peek(|books| posting(books, key))? else { return Ok(Some(false)) };
        let found = self.find(&posting, waited).await?;
        Ok(found.map(|found| matches!(found, Some(PostingOutcome::Posted { .. }))))
    }

    /// What the server says of a posting; `None` where it answers, and says nothing of this key: one posting that is pending there,
    /// or whose look-up hangs, must not keep all others waiting. `waited`: how long it was waited for look-ups that had no answer; after
    /// `SILENCE_MAX` no further one is made.
    async fn find(&self, posting: &Posting, waited: &mut Duration) -> Result<Option<Option<PostingOutcome>>, Fault> {
        if *waited >= SILENCE_MAX {
            return Ok(None);
        }
        let asked = self.clock.monotonic();
        self.await_turn().await;
        let fault = match self.server.find(posting).await {
            Ok(found) => return Ok(Some(found)),
            Err(fault) => fault,
        };
        if self.server.reaches().is_err() {
            // It may have asked for a pause with what it answered.
            self.await_turn().await;
            if self.server.answers().await.is_err() {
                return Err(fault);
            }
        }
        *waited = waited.saturating_add(self.clock.monotonic().saturating_sub(asked));
        tracing::warn!(%fault, key = %posting.key(), "trading server does not say whether it has made a posting");
        Ok(None)
    }

    /// Waits as long as the server asked not to be called: a question that is not asked has no answer either.
    pub(super) async fn await_turn(&self) {
        let pause = self.server.pause();
        if !pause.is_zero() {
            self.clock.sleep(pause).await;
        }
    }

    /// What the server says of an operation that the books have as posted; `waited` as of `find`.
    pub(super) async fn recorded(&self, key: &OperationKey, waited: &mut Duration) -> Result<RecordedAtServer, Fault> {
        let recorded = |books: &Books| posting(books, key).filter(|known| is_posted(&known.operation));
        let Some(posting) = self.peek(recorded)? else { return Ok(RecordedAtServer::Same) };
        Ok(match self.find(&posting, waited).await? {
            None => RecordedAtServer::NoAnswer,
            // Of a conflict it may be the posting itself, that another owner has by now.
            Some(Some(PostingOutcome::Unknown | PostingOutcome::Conflict)) => RecordedAtServer::Unsaid,
            Some(found @ Some(PostingOutcome::Posted { .. })) => {
                match other_order(found.as_ref(), &posting.operation) {
                    Some(number) => RecordedAtServer::OtherOrder { number },
                    None => RecordedAtServer::Same,
                }
            }
            Some(Some(PostingOutcome::Refused { .. }) | None) => RecordedAtServer::Lost,
        })
    }
}

/// The operation under a key as it would be asked for.
pub(super) fn posting(books: &Books, key: &OperationKey) -> Option<Posting> {
    let (reference, _) = key.parts()?;
    let known = books.aggregate(books.by_reference(&reference)?)?;
    let operation = known.keyed(key)?.clone();
    let transaction = known.transaction;
    Some(Posting {
        operation,
        server: transaction.server,
        customer_id: transaction.customer_id,
        only_on: None,
        comment: Box::default(),
        reference,
    })
}
