//! Log lines on their way out: whoever logs appends and goes on, one thread writes whatever has gathered meanwhile.
//! A request must not wait for a pipe, and a write per line costs more than the line.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Bytes that may wait: some seconds of a busy host's lines. A reader that is further behind loses lines, and is told
/// how many; deposits do not wait for it.
const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Pause between writes, so that lines gather: a thread that is woken for each line costs more than the lines.
const GATHERING: Duration = Duration::from_millis(5);

/// Where lines are appended.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

/// The thread that writes them. Dropping it waits for the last line.
pub(in super::super) struct Writing {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<u8>,
    lost: u64,
    idle: bool,
    ended: bool,
}

impl Lines {
    pub(super) fn start(out: impl Write + Send + 'static) -> (Self, Writing) {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || own.write_all(out)).ok();
        if thread.is_none() {
            // Without a thread there is nobody to write: lines are counted as lost, and the house opens all the same.
            shared.lock().ended = true;
        }
        (Self(Arc::clone(&shared)), Writing { shared, thread })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One whole line, as the formatter hands it over.
    fn append(&self, line: &[u8]) {
        let mut queue = self.lock();
        if queue.ended || queue.waiting.len().saturating_add(line.len()) > WAITING_BYTES_MAX {
            queue.lost += 1;
            return;
        }
        queue.waiting.extend_from_slice(line);
        if std::mem::take(&mut queue.idle) {
            drop(queue);
            self.wake.notify_one();
        }
    }

    fn write_all(&self, mut out: impl Write) {
        let mut gathered = Vec::new();
        while let Some(lost) = self.take(&mut gathered) {
            // A reader that went away is nobody to tell.
            let _ = out.write_all(&gathered);
            if lost > 0 {
                let _ =
                    writeln!(out, r#"{{"level":"ERROR","target":"log","message":"lines were lost","lines":{lost}}}"#);
            }
            let _ = out.flush();
            gathered.clear();
            std::thread::sleep(GATHERING);
        }
    }

    /// Waits for lines and takes them all; `None` when there will be no more.
    fn take(&self, gathered: &mut Vec<u8>) -> Option<u64> {
        let mut queue = self.lock();
        loop {
            if !queue.waiting.is_empty() || queue.lost > 0 {
                std::mem::swap(gathered, &mut queue.waiting);
                return Some(std::mem::take(&mut queue.lost));
            }
            if queue.ended {
                return None;
            }
            queue.idle = true;
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // Its panic was told by the panic hook.
            let _ = thread.join();
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Lines;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.append(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Writes into a vector that the test sees; the first write waits until it is allowed.
    struct Slow {
        seen: Arc<Mutex<Vec<u8>>>,
        allowed: Option<mpsc::Receiver<()>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(allowed) = self.allowed.take() {
                allowed.recv().unwrap();
            }
            self.seen.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_in_order_before_the_end() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (lines, writing) = Lines::start(Slow { seen: Arc::clone(&seen), allowed: None });
        for place in 0..1000 {
            lines.make_writer().write_all(format!("{place}\n").as_bytes()).unwrap();
        }
        drop(writing);
        let expected: String = (0..1000).map(|place| format!("{place}\n")).collect();
        assert_eq!(String::from_utf8(seen.lock().unwrap().clone()).unwrap(), expected);
    }

    #[test]
    fn a_reader_far_behind_loses_lines_and_is_told_how_many_while_nobody_waits() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (allow, allowed) = mpsc::channel();
        let (lines, writing) = Lines::start(Slow { seen: Arc::clone(&seen), allowed: Some(allowed) });
        let line = [b'x'; 64 * 1024];
        for _ in 0..=3 * WAITING_BYTES_MAX / line.len() {
            lines.make_writer().write_all(&line).unwrap();
        }
        allow.send(()).unwrap();
        drop(writing);
        let seen = seen.lock().unwrap();
        assert!(seen.len() <= 2 * WAITING_BYTES_MAX + 200, "one lot being written, one waiting");
        assert!(String::from_utf8_lossy(&seen).contains(r#""message":"lines were lost","lines":"#));
    }
}
