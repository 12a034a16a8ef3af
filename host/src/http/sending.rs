//! The answers that are being sent on one connection, and whether their reader takes them in time: `stall` counts what is written
//! and how long it waits to write, and asks here. It knows no stream.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::http::connection_limits::PROGRESS_BYTES_MIN;
use crate::wire::pieces::SendTime;

/// The answers whose last byte was not taken.
#[derive(Default)]
pub(super) struct Sending(Mutex<SentAnswers>);

#[derive(Default)]
struct SentAnswers {
    answers: Vec<SentAnswer>,
    /// Answers among them whose bodies are not made to their end.
    in_making: usize,
    /// Whether the server waits to write.
    waits: bool,
    /// Bytes that were sent or received since this was last asked for.
    moved: usize,
}

struct SentAnswer {
    time: SendTime,
    began: Instant,
    /// How long its reader let the server wait.
    waited: Duration,
    bytes: u64,
}

impl SentAnswer {
    /// When it is late where its reader, for whom the server waits since `since`, takes nothing more.
    fn late_at(&self, since: Instant) -> Instant {
        match self.time {
            SendTime::Within(length) => self.began + length,
            SendTime::AtPace { bytes_per_second, grace, waited } => {
                let taken = self.bytes.saturating_mul(1_000) / bytes_per_second.max(1);
                let may_wait = grace.saturating_add(Duration::from_millis(taken)).min(waited);
                since + may_wait.saturating_sub(self.waited)
            }
        }
    }
}

impl Sending {
    /// An answer begins; its body is made until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>, time: SendTime) -> AnswerInMaking {
        let mut sent = self.lock();
        sent.answers.push(SentAnswer { time, began: Instant::now(), waited: Duration::ZERO, bytes: 0 });
        sent.in_making += 1;
        AnswerInMaking(Arc::clone(self))
    }

    /// When the first of them is late where the reader, for whom the server waits since `since`, takes nothing more.
    pub(super) fn late_at(&self, since: Instant) -> Option<Instant> {
        self.lock().answers.iter().map(|answer| answer.late_at(since)).min()
    }

    /// The reader took so many bytes, for which the server waited so long.
    pub(super) fn took(&self, bytes: usize, waited: Duration) {
        let mut sent = self.lock();
        sent.waits = false;
        sent.moved = sent.moved.saturating_add(bytes);
        for answer in &mut sent.answers {
            answer.bytes = answer.bytes.saturating_add(bytes as u64);
            answer.waited = answer.waited.saturating_add(waited);
        }
    }

    /// Nothing of what is written leaves.
    pub(super) fn waits(&self) {
        self.lock().waits = true;
    }

    /// So many bytes came.
    pub(super) fn moved(&self, bytes: usize) {
        let mut sent = self.lock();
        sent.moved = sent.moved.saturating_add(bytes);
    }

    /// Whether the client was on time since this was last asked for: enough bytes went, or, of an answer that is sent, none
    /// wait to be taken.
    pub(super) fn went_on(&self, is_sent: bool) -> bool {
        let mut sent = self.lock();
        let moved = std::mem::take(&mut sent.moved);
        moved >= PROGRESS_BYTES_MIN || (is_sent && !sent.waits)
    }

    /// Everything that was made was taken.
    pub(super) fn flushed(&self) {
        let mut sent = self.lock();
        if sent.in_making == 0 {
            sent.answers.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, SentAnswers> {
        // Each change is whole after one statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer whose body is not made to its end.
pub(super) struct AnswerInMaking(Arc<Sending>);

impl Drop for AnswerInMaking {
    fn drop(&mut self) {
        self.0.lock().in_making -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: SendTime =
        SendTime::AtPace { bytes_per_second: 8_192, grace: Duration::from_secs(10), waited: Duration::from_secs(600) };

    #[tokio::test(start_paused = true)]
    async fn b2_an_answer_is_late_by_its_rule_and_the_clock_of_an_export_runs_while_the_server_waits() {
        let seconds = |seconds: u64| Duration::from_secs(seconds);
        let sending = Arc::new(Sending::default());
        let began = Instant::now();
        let late = |sending: &Sending| sending.late_at(Instant::now()).map(|late| late - began);
        assert_eq!(late(&sending), None);
        let export = sending.begin(PACE);
        assert_eq!(late(&sending), Some(seconds(10)), "the first seconds are not judged");
        // What the server takes to make the next rows is not the reader's.
        tokio::time::advance(seconds(1_000)).await;
        assert_eq!(late(&sending), Some(seconds(1_010)));
        sending.took(8_192 * 5, seconds(7));
        assert_eq!(late(&sending), Some(seconds(1_000 + 10 + 5 - 7)));
        sending.took(usize::MAX, seconds(500));
        assert_eq!(late(&sending), Some(seconds(1_000 + 600 - 507)), "however much was taken");
        // An answer that was asked for meanwhile has a time of its own, and none is forgotten before all are taken.
        let list = sending.begin(SendTime::Within(seconds(20)));
        sending.flushed();
        assert_eq!(late(&sending), Some(seconds(1_020)));
        drop(export);
        sending.flushed();
        assert_eq!(late(&sending), Some(seconds(1_020)));
        drop(list);
        assert_eq!(late(&sending), Some(seconds(1_020)), "it was made, and is not taken");
        sending.flushed();
        assert_eq!(late(&sending), None);
    }
}
