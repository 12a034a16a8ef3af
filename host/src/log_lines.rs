//! The queue between what logs and the thread that writes the lines. A reader that stalls costs lines, never a deposit: the
//! ordinary ones beyond a bound, which are counted, and no security event. It knows neither format nor levels.

mod overflow;
mod queued_lines;
mod saving;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use self::overflow::{EventFile, OverflowFile};
pub use self::queued_lines::{
    ACCESS_BYTES_MAX, LineKind, ORDINARY_BYTES_MAX, Report, SAVING_BYTES_MAX, SECURITY_BYTES_MAX, lost,
};
use self::queued_lines::{Line, QueuedLines};

/// Pause after a write, so that lines are written in batches: waking a thread for each line costs more than the line.
const BATCH_PAUSE: Duration = Duration::from_millis(5);

/// Pause after a write that failed, where security events wait because the overflow file failed too.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// One write: what a stalled reader leaves unwritten in the hands of the thread.
const BATCH_BYTES_MAX: usize = 64 * 1024;

/// How long a write may wait for a reader that takes nothing until security events go to the overflow file instead; at the end of the
/// process also how long that waits.
const END_TIME_MAX: Duration = Duration::from_secs(2);

/// How long the end of the process waits in all, for a reader that takes little: a supervisor must not kill what writes evidence.
const END_TOTAL_MAX: Duration = Duration::from_secs(10);

type StateGuard<'s> = MutexGuard<'s, QueuedLines>;

struct LogParts {
    state: Mutex<QueuedLines>,
    /// Something waits, or the end has come.
    wanted: Condvar,
    /// A security event is to be appended to the file.
    file_wanted: Condvar,
    /// A batch was written.
    progress: Condvar,
    /// An event was appended to the file, or could not be.
    saved: Condvar,
    /// The end has come.
    ended: Condvar,
    overflow: Box<dyn EventFile>,
    /// Writes a report as a line of the log.
    report: fn(Report) -> String,
}

/// Where lines are put. Clones share the queue.
#[derive(Clone)]
pub struct LogQueue(Arc<LogParts>);

/// Held as long as anything logs: dropping it waits until the lines are written, as long as the reader takes them.
#[must_use = "queued lines are lost when the process ends without the guard"]
pub struct LogGuard(LogQueue);

impl LogQueue {
    /// Starts the thread that writes to `out`.
    pub fn start(out: impl Write + Send + 'static, report: fn(Report) -> String) -> (Self, LogGuard) {
        Self::start_with(out, report, END_TIME_MAX, Box::new(OverflowFile::default()))
    }

    /// `patience`: how long a write may wait until security events go to the file.
    fn start_with(
        mut out: impl Write + Send + 'static,
        report: fn(Report) -> String,
        patience: Duration,
        file: Box<dyn EventFile>,
    ) -> (Self, LogGuard) {
        let queue = Self(Arc::new(LogParts {
            state: Mutex::default(),
            wanted: Condvar::new(),
            file_wanted: Condvar::new(),
            progress: Condvar::new(),
            saved: Condvar::new(),
            ended: Condvar::new(),
            overflow: file,
            report,
        }));
        let of_thread = queue.clone();
        let writing = thread::Builder::new().name("log".to_owned()).spawn(move || of_thread.write_lines(&mut out));
        let of_thread = queue.clone();
        let watching =
            thread::Builder::new().name("log-watch".to_owned()).spawn(move || of_thread.watch_reader(patience));
        let of_thread = queue.clone();
        let saving = thread::Builder::new().name("log-file".to_owned()).spawn(move || of_thread.save_lines());
        queue.state().has_saver = saving.is_ok();
        // Without threads the queue fills, and the end moves its security events to the file.
        drop((writing, watching, saving));
        (queue.clone(), LogGuard(queue))
    }

    /// Where security events are appended that can wait no longer.
    pub fn overflow_to(&self, path: PathBuf) {
        self.0.overflow.set(path);
    }

    /// Queues a whole line. Waits neither for the reader nor for a disk; after the end shortly for the file.
    pub fn put(&self, line: &[u8], kind: LineKind) {
        let mut state = self.state();
        let fits = !state.is_ending && state.fits(kind, line.len());
        // Behind those that the file did not take it waits with them, so that they stay in their order.
        let is_next = state.is_stalled && !state.is_file_hung && state.security_bytes == 0;
        let is_taken = !(state.is_ending && state.is_file_hung);
        let wants_file = kind == LineKind::Security && (!fits || is_next) && is_taken;
        if wants_file && self.has_file(&state) && state.may_save(line.len()) {
            state.push_saving(line);
            self.0.file_wanted.notify_all();
            if state.is_ending {
                self.await_saved(state, Instant::now() + END_TIME_MAX).lose_unsaved();
            }
            return;
        }
        if !fits {
            state.lose(kind);
            return;
        }
        state.push(kind, line);
        if std::mem::take(&mut state.is_asleep) {
            self.0.wanted.notify_all();
        }
    }

    fn state(&self) -> StateGuard<'_> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything is written, as long as the reader takes something until `over`.
    fn await_written<'s>(&'s self, mut state: StateGuard<'s>, over: Instant) -> StateGuard<'s> {
        while state.is_busy() {
            let seen = state.written;
            self.0.wanted.notify_all();
            let wait = END_TIME_MAX.min(over.saturating_duration_since(Instant::now()));
            state = self.0.progress.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
            if state.written == seen || Instant::now() >= over {
                break;
            }
        }
        state
    }

    fn write_lines(&self, out: &mut impl Write) {
        let mut is_cut = false;
        while let Some(batch) = self.next_batch() {
            let mut pause = BATCH_PAUSE;
            let written = write_batch(out, &batch, &mut is_cut);
            let mut state = self.state();
            let in_hand = std::mem::take(&mut state.in_hand);
            let reports = std::mem::take(&mut state.reports_in_hand);
            state.is_failing = written.is_err();
            state.is_stalled = false;
            if state.is_failing {
                // Nobody reads: what is not evidence is lost. What is, and cannot be saved, is tried again.
                let (security, ordinary): (Vec<_>, Vec<_>) = in_hand.into_iter().partition(Line::is_security);
                ordinary.iter().for_each(|line| state.lose(line.kind));
                let has_file = self.has_file(&state);
                let unsaved = security.into_iter().filter(|line| !line.is_saved);
                let waits: Vec<Line> = unsaved.filter(|line| !has_file || !state.save_instead(line)).collect();
                pause = if waits.is_empty() && !state.is_file_failing { BATCH_PAUSE } else { RETRY_PAUSE };
                state.wait_again(waits);
                self.0.file_wanted.notify_all();
                reports.into_iter().for_each(|report| state.put_back(report));
            }
            if !state.is_failing {
                state.written += 1;
                state.take_back();
            }
            self.0.progress.notify_all();
            // The end does not wait for it.
            drop(self.0.wanted.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// The next lines, waited for, with what is to be reported behind them; `None` at the end.
    fn next_batch(&self) -> Option<Vec<u8>> {
        let mut state = self.state();
        while state.waiting.is_empty() && (state.is_failing || !state.has_reports()) {
            if state.is_ending {
                return None;
            }
            state.is_asleep = true;
            state = self.0.wanted.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let mut batch = Vec::new();
        while batch.len() < BATCH_BYTES_MAX
            && let Some(line) = state.waiting.pop_front()
        {
            state.take_bytes(line.kind, line.text.len());
            batch.extend_from_slice(&line.text);
            state.in_hand.push(line);
        }
        for report in state.take_reports() {
            batch.extend_from_slice((self.0.report)(report).as_bytes());
            state.reports_in_hand.push(report);
        }
        Some(batch)
    }
}

/// Writes a batch. Where an earlier one ended within a line, a line end comes first, so that nobody reads two lines as one.
fn write_batch(out: &mut impl Write, batch: &[u8], is_cut: &mut bool) -> io::Result<()> {
    if *is_cut {
        out.write_all(b"\n")?;
        *is_cut = false;
    }
    let mut left = batch;
    while !left.is_empty() {
        match out.write(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => {
                *is_cut = left.get(..length).is_some_and(|taken| !taken.ends_with(b"\n"));
                left = left.get(length..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    // What is lost in a buffer may be half a line.
    out.flush().inspect_err(|_| *is_cut = true)
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let queue = &self.0;
        let over = Instant::now() + END_TOTAL_MAX;
        let at_least = || over.max(Instant::now() + END_TIME_MAX);
        let mut state = queue.await_written(queue.state(), over);
        // What waits for the file, and is not taken there, goes to a reader that takes lines.
        while !state.saving.is_empty() && state.has_reader() && Instant::now() < over {
            state = queue.await_saved(state, at_least());
            state.take_back();
            if !state.is_busy() {
                break;
            }
            state = queue.await_written(state, at_least());
        }
        state.is_ending = true;
        queue.0.wanted.notify_all();
        queue.0.ended.notify_all();
        queue.save_rest(state, at_least());
        queue.state().lose_rest();
    }
}

/// Writes one line, as the formatter hands it over.
pub struct LineWriter<'a> {
    pub queue: &'a LogQueue,
    pub kind: LineKind,
}

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.queue.put(line, self.kind);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
