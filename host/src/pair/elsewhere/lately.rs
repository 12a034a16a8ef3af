//! What a server that does not count changed lately, beside the books: by a list from a time on, and by single questions about what was
//! recorded since then and is not in it. No row is read that is older.

use std::collections::BTreeSet;
use std::time::Duration;

use cashier_core::books::Books;
use cashier_core::digest::RECENT_MAX;
use cashier_core::ids::TransactionId;
use cashier_core::operation::OperationKey;
use cashier_core::time::UnixTime;

use super::row_differences::operation;
use super::rows::Listed;
use super::said::RecordedAtServer;
use super::{BooksComparison, DIFFERENCES_KEPT_MAX};
use crate::ports::{Fault, date};

/// How far before the oldest of the newest recorded postings a server that does not count is listed: clocks differ, and an answer may
/// have been recorded hours after the posting.
pub(super) const LISTED_BEFORE_SECONDS: i64 = 24 * 60 * 60;

/// The same when it is compared again: how far before the time of the last comparison. Clocks differ.
const LISTED_AGAIN_SECONDS: i64 = 60 * 60;

/// Of the newest recorded postings a start lists what the server changed since so many of them, and a day before that.
pub(super) const RECENT_AT_START_MAX: usize = 256;

/// Postings that are not in such a list, and that it has made: a list that lacks so many is not believed.
const UNLISTED_ASKED_MAX: usize = 256;

/// Of more postings in a short time than are remembered, those of so many transactions, the newest, are looked at.
const NEWEST_LOOKED_AT: u64 = 100_000;

/// Almost every posting is recorded so soon after it was made: one that was recorded so long after the begin of a list is in it.
const RECORDED_AFTER_SECONDS: i64 = 30 * 60;

/// The operations that were recorded as posted last, each with when that was.
type RecentPostings = BTreeSet<(UnixTime, OperationKey)>;

/// What a list of what a server changed since a time says.
enum ChangedSince {
    Same,
    Differs(String),
    /// It lacks what the server says to have made.
    Hidden(String),
}

impl BooksComparison<'_> {
    /// Of a server that does not count: what differs in what it changed lately.
    pub(super) async fn lately(&self) -> Result<Option<String>, Fault> {
        let recent = |books: &Books| books.posted_elsewhere(self.name).map(|total| total.recent.clone());
        let recent = self.peek(recent)?.unwrap_or_default();
        let oldest = recent.iter().rev().take(RECENT_AT_START_MAX).next_back();
        let oldest = oldest.map(|(time, _)| time.plus(-LISTED_BEFORE_SECONDS));
        let since = self.before.began.map(|began| began.plus(-LISTED_AGAIN_SECONDS)).or(oldest);
        // Where nothing was posted, nothing of it can be lost, and its whole past is not read.
        let since = since.unwrap_or_else(|| self.clock.now().plus(-LISTED_BEFORE_SECONDS));
        let mut hidden = None;
        // Its time may be of another zone.
        for since in [since, since.plus(-LISTED_BEFORE_SECONDS)] {
            match self.changed_since(since, &recent).await? {
                ChangedSince::Same => return Ok(None),
                ChangedSince::Differs(sentence) => return Ok(Some(sentence)),
                ChangedSince::Hidden(sentence) => hidden = Some(sentence),
            }
        }
        Ok(hidden)
    }

    async fn changed_since(&self, since: UnixTime, recent: &RecentPostings) -> Result<ChangedSince, Fault> {
        let mut listed = self.list(self.server.cursor_at(since), DIFFERENCES_KEPT_MAX).await?;
        let known = self.known_keys();
        let known_unread = self.before.differences.as_ref().map_or(0, |known| known.unread);
        let found = &listed.differences;
        if let Some(unread) = found.unread.first.first().filter(|_| found.unread.count > known_unread) {
            return Ok(ChangedSince::Differs(format!("it has a posting that cannot be read: {}", unread.what)));
        }
        let others = [&found.extra, &found.other, &found.refused].into_iter().flat_map(|kind| &kind.first);
        if let Some(unknown) = others.into_iter().find(|posting| !known.contains(&posting.key)) {
            let unknown = crate::pair::described(unknown);
            return Ok(ChangedSince::Differs(format!("it has a posting that the books do not have so: {unknown}")));
        }
        if let Some(other) = found.other_orders.first.iter().find(|posting| !known.contains(&posting.key)) {
            let other = crate::pair::described(other);
            return Ok(ChangedSince::Differs(format!("it made a posting of the books again: {other}")));
        }
        // Of more than are remembered, the others are looked for in the books.
        if let Some((oldest, _)) = recent.first().filter(|(oldest, _)| recent.len() >= RECENT_MAX && *oldest >= since) {
            let last = self.peek(|books| books.counters().transaction)?;
            let first = TransactionId(last.saturating_sub(NEWEST_LOOKED_AT).max(1));
            self.note_lost(&mut listed, first, since..oldest.plus(1), DIFFERENCES_KEPT_MAX).await?;
            let found = [&listed.differences.lost, &listed.differences.unsaid, &listed.differences.unasked];
            let mut unlisted = found.into_iter().flat_map(|kind| &kind.first);
            if let Some(lost) = unlisted.find(|lost| !known.contains(&lost.key)) {
                return Ok(ChangedSince::Differs(format!("it does not list a posting of the books: {lost}")));
            }
        }
        self.unlisted(since, recent, &listed).await
    }

    /// What was recorded before a list begins need not be in it, and what was posted before and recorded since neither: it is asked.
    async fn unlisted(&self, since: UnixTime, recent: &RecentPostings, listed: &Listed) -> Result<ChangedSince, Fault> {
        let (known, mut waited, mut asked) = (self.known_keys(), Duration::ZERO, 0);
        for (time, key) in recent.iter().filter(|(time, key)| *time >= since && !known.contains(key)) {
            let id = self.peek(|books| operation(books, key).map(|known| known.id))?;
            if id.is_none_or(|id| listed.has(id)) {
                continue;
            }
            let said = self.recorded(key, &mut waited).await?;
            let differs = match said {
                RecordedAtServer::NoAnswer => {
                    Some(format!("it does not list the posting {key} of the books, and says nothing about it"))
                }
                said => said.differs(key),
            };
            if let Some(differs) = differs {
                return Ok(ChangedSince::Differs(differs));
            }
            asked += 1;
            // A time in another unit or zone shows nothing, and what it hides would never be found.
            let is_hidden = listed.has_none() && *time >= since.plus(RECORDED_AFTER_SECONDS);
            if is_hidden || asked >= UNLISTED_ASKED_MAX {
                let since = date(since);
                return Ok(ChangedSince::Hidden(format!(
                    "its list of what changed since {since} lacks what it has made since then, such as the posting {key} of the books"
                )));
            }
        }
        Ok(ChangedSince::Same)
    }
}
