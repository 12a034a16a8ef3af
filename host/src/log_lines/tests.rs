//! A reader that stalls, comes back or goes away, and what it gets in the end.

mod failing;
mod hung;
mod parts;

use std::io;

use super::*;

fn report(report: Report) -> String {
    format!("{report:?}\n")
}

/// A reader that takes nothing until the test opens it.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default)]
struct GateState {
    is_entered: bool,
    is_open: bool,
    taken: Vec<u8>,
}

impl Gate {
    /// A queue whose thread holds one line and waits for the reader.
    fn stalled() -> (Self, LogQueue, LogGuard) {
        Self::stalled_with(Duration::from_secs(3_600))
    }

    /// The same where security events are kept from it after this time.
    fn stalled_with(patience: Duration) -> (Self, LogQueue, LogGuard) {
        Self::stalled_beside(Box::new(OverflowFile::default()), patience)
    }

    /// The same beside a file of the test's.
    fn stalled_beside(file: Box<dyn EventFile>, patience: Duration) -> (Self, LogQueue, LogGuard) {
        let gate = Self::default();
        let (queue, guard) = LogQueue::start_with(gate.clone(), report, patience, file);
        queue.put(b"security first\n", LineKind::Security);
        let (state, changed) = &*gate.0;
        drop(changed.wait_while(state.lock().unwrap(), |state| !state.is_entered).unwrap());
        (gate, queue, guard)
    }

    fn open(&self) {
        self.0.0.lock().unwrap().is_open = true;
        self.0.1.notify_all();
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.0.lock().unwrap().taken.clone()).unwrap()
    }
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state.is_entered = true;
        changed.notify_all();
        state = changed.wait_while(state, |state| !state.is_open).unwrap();
        state.taken.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until the file took everything, or failed.
fn saved(queue: &LogQueue) {
    while !queue.state().saving.is_empty() {
        thread::sleep(BATCH_PAUSE);
    }
}

/// Fills the queue with ordinary lines until `wanted` were dropped; how many there were in all.
fn flood(queue: &LogQueue, wanted: u64) -> u64 {
    let line = [b"ordinary ".as_slice(), &[b'x'; 1000], b"\n"].concat();
    let mut lines = 0;
    while queue.state().lost < wanted {
        queue.put(&line, LineKind::Ordinary);
        lines += 1;
    }
    lines
}

#[test]
fn k7_a_stalled_reader_gets_every_security_event_and_the_count_of_what_was_lost() {
    let (gate, queue, guard) = Gate::stalled();
    let before = lost();
    let sent = flood(&queue, 5);
    for number in 0..1000 {
        queue.put(format!("security {number}\n").as_bytes(), LineKind::Security);
    }
    assert!(lost() - before >= 5);
    gate.open();
    drop(guard);
    let text = gate.text();
    let of = |beginning: &str| text.lines().filter(|line| line.starts_with(beginning)).collect::<Vec<_>>();
    let expected: Vec<String> = (0..1000).map(|number| format!("security {number}")).collect();
    assert_eq!(of("security "), [vec!["security first".to_owned()], expected].concat());
    assert_eq!(of("Lost"), ["Lost { lines: 5 }"]);
    assert_eq!(of("ordinary ").len() as u64, sent - 5);
}

#[test]
fn k7_security_events_beyond_the_queue_are_in_the_file_and_the_reader_learns_how_many() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("security.log");
    let (gate, queue, guard) = Gate::stalled();
    queue.overflow_to(path.clone());
    let line = |number: usize| format!("security {number} {}\n", "x".repeat(4000));
    let mut sent = 0;
    while queue.state().overflowed < 3 {
        queue.put(line(sent).as_bytes(), LineKind::Security);
        saved(&queue);
        sent += 1;
    }
    gate.open();
    drop(guard);
    let (text, kept) = (gate.text(), std::fs::read_to_string(&path).unwrap());
    let read: Vec<&str> = text.lines().skip(1).filter(|line| line.starts_with("security ")).collect();
    let all: Vec<String> = (0..sent).map(|number| line(number).trim_end().to_owned()).collect();
    assert_eq!([read, kept.lines().collect()].concat(), all, "each is in one of the two");
    assert!(text.contains("Overflowed { lines: 3 }\n") && kept.lines().count() == 3);
}

#[test]
fn k7_a_file_that_was_read_and_removed_moved_or_emptied_gets_the_next_security_events() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("security.log"), folder.path().join("security.log.1"));
    let (_unopened, queue, _guard) = Gate::stalled();
    queue.overflow_to(path.clone());
    let line = format!("security {}\n", "x".repeat(SECURITY_BYTES_MAX / 8));
    while queue.state().overflowed == 0 {
        queue.put(line.as_bytes(), LineKind::Security);
        saved(&queue);
    }
    let read = || std::fs::read_to_string(&path).unwrap();
    assert_eq!(read(), line);
    // Shorter lines would still find place in the queue.
    let overflow = |name: &str| {
        let named = format!("{name}{line}");
        queue.put(named.as_bytes(), LineKind::Security);
        saved(&queue);
        assert_eq!(read(), named, "{name}");
    };
    std::fs::remove_file(&path).unwrap();
    overflow("after its removal ");
    std::fs::rename(&path, &moved).unwrap();
    overflow("after it was moved ");
    std::fs::write(&path, "").unwrap();
    overflow("after it was emptied ");
    std::fs::copy(&moved, folder.path().join("other")).unwrap();
    std::fs::rename(folder.path().join("other"), &path).unwrap();
    let before = read();
    queue.put(line.as_bytes(), LineKind::Security);
    saved(&queue);
    assert_eq!(read(), format!("{before}{line}"), "after another file took its place");
    // A full file that was removed is no longer full.
    let full = std::fs::File::options().write(true).open(&path).unwrap();
    full.set_len(overflow::OVERFLOW_BYTES_MAX).unwrap();
    queue.put(line.as_bytes(), LineKind::Security);
    saved(&queue);
    let (overflowed, lost) = {
        let state = queue.state();
        (state.overflowed, state.security_lost)
    };
    assert_eq!((overflowed, lost), (5, 1));
    std::fs::remove_file(&path).unwrap();
    overflow("after it was full ");
}

#[test]
fn k7_the_end_waits_for_a_stalled_reader_only_so_long_and_saves_the_security_events() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("security.log");
    let (_unopened, queue, guard) = Gate::stalled();
    queue.overflow_to(path.clone());
    flood(&queue, 1);
    queue.put(b"security last\n", LineKind::Security);
    drop(guard);
    queue.put(b"security after the end\n", LineKind::Security);
    let kept = std::fs::read_to_string(path).unwrap();
    assert_eq!(kept, "security first\nsecurity last\nsecurity after the end\n");
}

#[test]
fn k7_while_the_reader_takes_nothing_security_events_are_in_the_file_and_not_in_memory_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("security.log");
    let (gate, queue, guard) = Gate::stalled_with(END_TIME_MAX);
    // Before the settings were read there is no file, and nothing is given up.
    thread::sleep(END_TIME_MAX * 2);
    assert!(!queue.state().is_stalled);
    queue.put(b"ordinary one\n", LineKind::Ordinary);
    queue.put(b"security second\n", LineKind::Security);
    queue.overflow_to(path.clone());
    let kept = || std::fs::read_to_string(&path).unwrap_or_default();
    // Nothing else is logged: a kill of the process would find them there.
    while kept() != "security first\nsecurity second\n" {
        thread::sleep(BATCH_PAUSE);
    }
    queue.put(b"security third\n", LineKind::Security);
    saved(&queue);
    assert_eq!(kept(), "security first\nsecurity second\nsecurity third\n", "at once from now on");
    gate.open();
    while queue.state().is_stalled {
        thread::sleep(BATCH_PAUSE);
    }
    queue.put(b"security fourth\n", LineKind::Security);
    drop(guard);
    assert_eq!(kept().lines().count(), 3);
    let text = gate.text();
    let mut read: Vec<&str> = text.lines().collect();
    read.sort_unstable();
    assert_eq!(read, ["Overflowed { lines: 3 }", "ordinary one", "security first", "security fourth"]);
}

#[test]
fn k7_a_file_that_cannot_be_written_while_the_reader_takes_nothing_loses_no_security_event() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let (gate, queue, guard) = Gate::stalled_with(BATCH_PAUSE);
    queue.put(b"security second\n", LineKind::Security);
    queue.overflow_to(missing.join("security.log"));
    while !queue.state().is_stalled {
        thread::sleep(BATCH_PAUSE);
    }
    queue.put(b"security third\n", LineKind::Security);
    thread::sleep(BATCH_PAUSE * 4);
    gate.open();
    drop(guard);
    let expected = "security first\nsecurity second\nsecurity third\n";
    assert_eq!(gate.text(), expected);

    // A file that works again takes them, also those in hand.
    let (_unopened, queue, guard) = Gate::stalled_with(BATCH_PAUSE);
    queue.put(b"security second\n", LineKind::Security);
    queue.overflow_to(missing.join("security.log"));
    while !queue.state().is_stalled {
        thread::sleep(BATCH_PAUSE);
    }
    queue.put(b"security third\n", LineKind::Security);
    std::fs::create_dir(&missing).unwrap();
    let kept = || std::fs::read_to_string(missing.join("security.log")).unwrap_or_default();
    while kept() != expected {
        thread::sleep(BATCH_PAUSE);
    }
    drop(guard);
    assert_eq!((kept().as_str(), queue.state().security_lost), (expected, 0));
}

#[test]
fn k7_security_events_beyond_the_queue_are_lost_and_counted_where_the_file_fails_and_so_are_those_of_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let (_unopened, queue, guard) = Gate::stalled_with(BATCH_PAUSE);
    queue.overflow_to(folder.path().join("missing").join("security.log"));
    let line = format!("security {}\n", "x".repeat(SECURITY_BYTES_MAX / 8));
    (0..9).for_each(|_| queue.put(line.as_bytes(), LineKind::Security));
    let (waiting, lost) = loop {
        let state = queue.state();
        if state.saving.is_empty() {
            break (state.waiting.len(), state.security_lost);
        }
    };
    assert_eq!((waiting, lost), (7, 2));
    drop(guard);
    queue.put(line.as_bytes(), LineKind::Security);
    assert_eq!(queue.state().security_lost, 11, "with the one in hand, and the one after the end");
}

#[test]
fn k7_where_neither_the_reader_nor_the_file_takes_security_events_they_wait_and_are_written_later() {
    /// Takes nothing until it may.
    #[derive(Clone, Default)]
    struct Failing(Arc<Mutex<(u64, bool, Vec<u8>)>>);
    impl Write for Failing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut state = self.0.lock().unwrap();
            state.0 += 1;
            if !state.1 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.2.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let out = Failing::default();
    let (queue, guard) = LogQueue::start(out.clone(), report);
    queue.overflow_to(folder.path().join("missing").join("security.log"));
    let tries = || out.0.lock().unwrap().0;
    for name in ["one", "two"] {
        let before = tries();
        queue.put(format!("ordinary {name}\nsecurity {name}\n").as_bytes(), LineKind::Security);
        while tries() < before + 2 {
            thread::sleep(BATCH_PAUSE);
        }
    }
    out.0.lock().unwrap().1 = true;
    // Not at the end, which waits for no reader whose last attempt failed. An event on its way to the file comes back too.
    let waits = || {
        let state = queue.state();
        state.is_busy() || !state.saving.is_empty()
    };
    while waits() {
        thread::sleep(BATCH_PAUSE);
    }
    drop(guard);
    let text = String::from_utf8(out.0.lock().unwrap().2.clone()).unwrap();
    assert_eq!(text, "ordinary one\nsecurity one\nordinary two\nsecurity two\n");
    assert_eq!(queue.state().security_lost, 0);
}

#[test]
fn k7_the_end_waits_for_a_slow_reader_only_so_long_in_all() {
    /// Takes a batch a second.
    struct Slow;
    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            thread::sleep(Duration::from_secs(1));
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("security.log");
    let (queue, guard) = LogQueue::start(Slow, report);
    queue.overflow_to(path.clone());
    flood(&queue, 1);
    queue.put(b"security last\n", LineKind::Security);
    // Two minutes of lines wait: half of that is far from both on a busy machine.
    let began = Instant::now();
    drop(guard);
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "security last\n");
}

#[test]
fn k7_a_reader_that_is_gone_costs_the_ordinary_lines_and_no_security_event() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("security.log");
    let (queue, _guard) = LogQueue::start(Gone, report);
    queue.overflow_to(path.clone());
    let before = lost();
    queue.put(b"ordinary\n", LineKind::Ordinary);
    queue.put(b"security one\n", LineKind::Security);
    while std::fs::read_to_string(&path).unwrap_or_default() != "security one\n" {
        thread::sleep(BATCH_PAUSE);
    }
    assert!(lost() > before);
}
