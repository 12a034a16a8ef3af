//! Security events on their way to the overflow file. A thread of its own appends them, outside the lock of the queue: a disk
//! that does not answer delays nobody who logs. What the file does not take waits for the reader of the log again.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::queued_lines::QueuedLines;
use super::{END_TIME_MAX, LogQueue, StateGuard};

impl LogQueue {
    /// Whether security events can go to the file at all.
    pub(super) fn has_file(&self, state: &QueuedLines) -> bool {
        state.has_saver && self.0.overflow.is_set()
    }

    /// Appends what is to be saved, one event after the other, as long as the process lives: events come after the end too.
    pub(super) fn save_lines(&self) {
        let mut state = self.state();
        loop {
            state = match state.saving.front().map(|line| Arc::clone(&line.text)) {
                Some(text) => self.append(state, &text),
                None => self.0.file_wanted.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Appends the first of what is to be saved. The lock is not held meanwhile.
    fn append<'s>(&'s self, state: StateGuard<'s>, text: &[u8]) -> StateGuard<'s> {
        drop(state);
        let is_saved = self.0.overflow.append(text);
        let mut state = self.state();
        state.end_saving(is_saved);
        self.0.saved.notify_all();
        if std::mem::take(&mut state.is_asleep) {
            self.0.wanted.notify_all();
        }
        state
    }

    /// While the reader takes nothing, security events are not left to a process that may be killed: those that wait go to the
    /// file. While the file takes nothing, they wait for the reader.
    pub(super) fn watch_reader(&self, patience: Duration) {
        let mut state = self.state();
        while !state.is_ending {
            let writing = (!state.in_hand.is_empty() || !state.reports_in_hand.is_empty()).then_some(state.written);
            let saving = (!state.saving.is_empty()).then_some(state.saves);
            state = self.0.ended.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0;
            state.is_file_hung = saving == Some(state.saves) && !state.saving.is_empty();
            // Without a file they wait.
            if writing == Some(state.written) && !state.is_ending && self.has_file(&state) {
                state.is_stalled = true;
                if !state.is_file_hung {
                    state.move_to_file();
                    self.0.file_wanted.notify_all();
                }
            } else if !state.is_stalled && !state.is_failing {
                state.take_back();
                self.0.wanted.notify_all();
            }
        }
    }

    /// The end: what waits goes to the file, which may take so long for each event.
    pub(super) fn save_rest<'s>(&'s self, mut state: StateGuard<'s>, over: Instant) {
        state.move_to_file();
        self.0.file_wanted.notify_all();
        if !state.has_saver {
            while let Some(text) = state.saving.front().map(|line| Arc::clone(&line.text)) {
                state = self.append(state, &text);
            }
        }
        drop(self.await_saved(state, over));
    }

    /// Waits until everything is saved, as long as the file takes something until `over`.
    pub(super) fn await_saved<'s>(&'s self, mut state: StateGuard<'s>, over: Instant) -> StateGuard<'s> {
        while !state.saving.is_empty() && !state.is_file_hung {
            let seen = state.saves;
            let wait = END_TIME_MAX.min(over.saturating_duration_since(Instant::now()));
            let waits = |state: &mut QueuedLines| state.saves == seen;
            state = self.0.saved.wait_timeout_while(state, wait, waits).unwrap_or_else(PoisonError::into_inner).0;
            // Nobody waits for it again.
            state.is_file_hung = state.saves == seen;
        }
        state
    }
}
