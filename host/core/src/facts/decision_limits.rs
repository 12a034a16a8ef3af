//! How many decisions of persons one transaction takes. A script that repeats commands must not make a row that takes long to
//! derive, load and explain; what moves money to where it belongs must still find place, however many were made.
//!
//! Refunds have a bound of their own ([`crate::refund::REFUNDS_MAX`]); what happens to a refund that was requested is recorded
//! always. So is what a transaction takes once: that its customer cancels it, and the release of a status that was written.

use super::{Facts, PersonFact, Recorded};
use crate::ids::Seq;
use crate::refusal::{Refusal, RefusalCode};
use crate::time::UnixTime;

/// Decisions of one transaction: ten times what the longest known case of support had. Beyond them no status and no words are
/// written, no deposit is entered beside it, and it is retried or processed at intervals.
pub const DECISIONS_MAX: usize = 96;

/// The same with the ends of reviews and rejections: 32 places are theirs, so that these are taken at once whatever was decided
/// before.
pub const DECISIONS_WITH_REVIEWS_MAX: usize = 128;

/// Beyond its limit a decision that can move money is taken so long after the newest one: what is owed is never locked in, and
/// a client that repeats it for a year adds as many facts as there are days.
pub const DECISION_PAUSE_SECONDS: i64 = 24 * 60 * 60;

/// Texts that managers wrote of one transaction, in places of their own: however often a text is corrected, no decision waits
/// for it. Beyond them a text is written at the same intervals.
pub const TEXTS_WRITTEN_MAX: usize = 64;

/// When a decision is taken.
#[derive(Clone, Copy)]
enum DecisionLimit {
    Always,
    /// While there are fewer than this, and then never.
    Below(usize),
    /// While there are fewer than this, and then at intervals.
    BelowOrPaused(usize),
    /// While fewer texts than [`TEXTS_WRITTEN_MAX`] were written, and then at intervals.
    OfTexts,
}

impl DecisionLimit {
    /// Whether a fact takes one of the places that this limit counts.
    fn counts(self, fact: &PersonFact) -> bool {
        match self {
            Self::OfTexts => matches!(fact.taken(), Self::OfTexts),
            Self::Always | Self::Below(_) | Self::BelowOrPaused(_) => fact.is_counted(),
        }
    }
}

impl PersonFact {
    fn taken(&self) -> DecisionLimit {
        match self {
            Self::Held(_) | Self::Explained { .. } | Self::EnteredBeside { .. } => DecisionLimit::Below(DECISIONS_MAX),
            Self::Retried | Self::Approved => DecisionLimit::BelowOrPaused(DECISIONS_MAX),
            Self::Resolved { .. } | Self::Rejected => DecisionLimit::BelowOrPaused(DECISIONS_WITH_REVIEWS_MAX),
            Self::CommentWritten { .. } | Self::MetadataWritten { .. } => DecisionLimit::OfTexts,
            Self::Released
            | Self::CancelledByCustomer
            | Self::Entered { .. }
            | Self::ReversalsWait
            | Self::RefundRequested { .. }
            | Self::RefundReason { .. }
            | Self::RefundSent { .. }
            | Self::RefundCrashed { .. }
            | Self::RefundAccepted { .. }
            | Self::RefundDone { .. }
            | Self::RefundInTotal { .. }
            | Self::RefundRefused { .. }
            | Self::RefundRefusal { .. } => DecisionLimit::Always,
        }
    }

    /// Whether it takes one of the places of decisions.
    fn is_counted(&self) -> bool {
        match self.taken() {
            DecisionLimit::Below(_) | DecisionLimit::BelowOrPaused(_) => true,
            DecisionLimit::Always => matches!(self, Self::Released),
            DecisionLimit::OfTexts => false,
        }
    }
}

impl Facts {
    /// Whether one more decision of this kind is taken now. To be asked by every command that decides.
    ///
    /// # Errors
    /// 409 TOO_MANY_DECISIONS, with the time from which it is taken again, if it ever is.
    pub fn check_decision(&self, fact: &PersonFact, now: UnixTime) -> Result<(), Refusal> {
        let limit = fact.taken();
        let most = match limit {
            DecisionLimit::Always => return Ok(()),
            DecisionLimit::Below(most) | DecisionLimit::BelowOrPaused(most) => most,
            DecisionLimit::OfTexts => TEXTS_WRITTEN_MAX,
        };
        let decisions = || self.persons.iter().filter(|known| limit.counts(&known.fact));
        let made = decisions().count();
        if made < most {
            return Ok(());
        }
        // A release is no decision about money: what is decided after it need not wait for it.
        let decided = decisions().filter(|known| known.fact != PersonFact::Released);
        let newest = decided.map(|known| known.at).max().unwrap_or_default();
        let next = newest.plus(DECISION_PAUSE_SECONDS);
        let wait = next.0.saturating_sub(now.0);
        match limit {
            DecisionLimit::BelowOrPaused(_) | DecisionLimit::OfTexts if now >= next => Ok(()),
            DecisionLimit::BelowOrPaused(_) | DecisionLimit::OfTexts => {
                let what = match limit {
                    DecisionLimit::OfTexts => "wrote texts of",
                    DecisionLimit::BelowOrPaused(_) | DecisionLimit::Below(_) | DecisionLimit::Always => {
                        "decided about"
                    }
                };
                let message =
                    format!("persons {what} the transaction {made} times already: the next is taken in {wait} s");
                let refusal = Refusal::new(RefusalCode::TooManyDecisions, message);
                Err(Refusal { retry_after_seconds: u64::try_from(wait).unwrap_or_default(), ..refusal })
            }
            DecisionLimit::Below(_) | DecisionLimit::Always => Err(Refusal::new(
                RefusalCode::TooManyDecisions,
                format!(
                    "persons decided {made} times about the transaction: nothing more is written about it, and what is owed \
                     is retried, processed or resolved"
                ),
            )),
        }
    }

    /// Records a decision of a person, where it is taken.
    ///
    /// # Errors
    /// As [`Self::check_decision`].
    pub fn take_decision(&mut self, seq: Seq, at: UnixTime, fact: PersonFact) -> Result<(), Refusal> {
        self.check_decision(&fact, at)?;
        self.persons.push(Recorded { seq, at, fact });
        Ok(())
    }
}
