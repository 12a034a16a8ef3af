//! A disk that does not answer while security events are appended to their file: nobody who logs waits for it.

use super::*;

/// A file whose disk answers once the test opens it, and takes each line then, or none.
#[derive(Clone, Default)]
struct HungFile {
    disk: Arc<(Mutex<FileState>, Condvar)>,
    fails: bool,
}

#[derive(Default)]
struct FileState {
    is_entered: bool,
    is_open: bool,
    taken: String,
}

impl EventFile for HungFile {
    fn set(&self, _: PathBuf) {}

    fn is_set(&self) -> bool {
        true
    }

    fn append(&self, line: &[u8]) -> bool {
        let (state, changed) = &*self.disk;
        let mut state = state.lock().unwrap();
        state.is_entered = true;
        changed.notify_all();
        state = changed.wait_while(state, |state| !state.is_open).unwrap();
        if !self.fails {
            state.taken.push_str(std::str::from_utf8(line).unwrap());
        }
        !self.fails
    }
}

impl HungFile {
    /// Waits until a line is being appended.
    fn entered(&self) {
        let (state, changed) = &*self.disk;
        drop(changed.wait_while(state.lock().unwrap(), |state| !state.is_entered).unwrap());
    }

    fn open(&self) {
        self.disk.0.lock().unwrap().is_open = true;
        self.disk.1.notify_all();
    }

    fn text(&self) -> String {
        self.disk.0.lock().unwrap().taken.clone()
    }
}

#[test]
fn r9_a_file_that_does_not_answer_delays_nobody_who_logs_and_gets_every_event_in_order_later() {
    let file = HungFile::default();
    let (_unopened, queue, _guard) = Gate::stalled_beside(Box::new(file.clone()), BATCH_PAUSE);
    file.entered();
    // Neither the reader nor the disk answers: these calls return all the same.
    let loggers: Vec<_> = (0..4)
        .map(|logger| {
            let queue = queue.clone();
            thread::spawn(move || {
                for number in 0..100 {
                    queue.put(format!("ordinary {logger} {number}\n").as_bytes(), LineKind::Ordinary);
                    queue.put(format!("security {logger} {number}\n").as_bytes(), LineKind::Security);
                    queue.put(format!("access {logger} {number}\n").as_bytes(), LineKind::Access);
                }
            })
        })
        .collect();
    loggers.into_iter().for_each(|logger| logger.join().unwrap());
    {
        let state = queue.state();
        assert_eq!((state.lost, state.access_lost, state.security_lost, state.overflowed), (0, 0, 0, 0));
    }
    file.open();
    while queue.state().overflowed < 401 {
        thread::sleep(BATCH_PAUSE);
    }
    let kept = file.text();
    assert!(kept.starts_with("security first\n"), "{kept}");
    for logger in 0..4 {
        let of_logger = kept.lines().filter(|line| line.starts_with(&format!("security {logger} ")));
        let expected: Vec<String> = (0..100).map(|number| format!("security {logger} {number}")).collect();
        assert_eq!(of_logger.collect::<Vec<_>>(), expected, "in the order in which they were put");
    }
}

#[test]
fn r9_what_waits_for_a_file_that_does_not_answer_goes_to_a_reader_that_does() {
    let file = HungFile::default();
    let (gate, queue, guard) = Gate::stalled_beside(Box::new(file.clone()), BATCH_PAUSE);
    file.entered();
    for number in 0..50 {
        queue.put(format!("security {number}\n").as_bytes(), LineKind::Security);
    }
    gate.open();
    let expected: Vec<String> = (0..50).map(|number| format!("security {number}")).collect();
    while gate.text().lines().count() < 51 {
        thread::sleep(BATCH_PAUSE);
    }
    let text = gate.text();
    assert_eq!(
        text.lines().filter(|line| *line != "security first").collect::<Vec<_>>(),
        expected,
        "each once, in order"
    );
    // The end waits for the disk only so long.
    drop(guard);
    assert_eq!((file.text().as_str(), queue.state().security_lost), ("", 0));
}

#[test]
fn r9_events_beyond_what_may_wait_for_reader_and_file_are_lost_and_counted() {
    let file = HungFile::default();
    let (_unopened, queue, guard) = Gate::stalled_beside(Box::new(file.clone()), Duration::from_secs(3_600));
    let line = format!("security {}\n", "x".repeat(SECURITY_BYTES_MAX / 8));
    let (of_reader, of_file) = (7, SAVING_BYTES_MAX / line.len());
    for _ in 0..of_reader + of_file + 3 {
        queue.put(line.as_bytes(), LineKind::Security);
    }
    {
        let state = queue.state();
        assert_eq!((state.waiting.len(), state.saving.len(), state.security_lost), (of_reader, of_file, 3));
    }
    file.open();
    saved(&queue);
    drop(guard);
    assert_eq!(file.text().lines().count(), of_reader + of_file + 1, "and the one in hand");
}

/// Security events beyond what may wait for the reader, `more` of which wait for the file.
fn fill(queue: &LogQueue, more: usize) -> usize {
    let line = |number: usize| format!("security {number} {}\n", "x".repeat(SECURITY_BYTES_MAX / 8));
    let mut sent = 0;
    while queue.state().saving.len() < more {
        queue.put(line(sent).as_bytes(), LineKind::Security);
        sent += 1;
    }
    sent
}

#[test]
fn r9_at_the_end_what_waits_for_a_file_that_does_not_answer_goes_to_a_reader_that_does() {
    let file = HungFile::default();
    let (gate, queue, guard) = Gate::stalled_beside(Box::new(file.clone()), Duration::from_secs(3_600));
    let sent = fill(&queue, 3);
    gate.open();
    drop(guard);
    let text = gate.text();
    let numbers: Vec<String> = text.lines().filter_map(|line| Some(line.split(' ').nth(1)?.to_owned())).collect();
    let expected: Vec<String> = std::iter::once("first".to_owned()).chain((0..sent).map(|n| n.to_string())).collect();
    assert_eq!(numbers, expected, "each once, in order");
    assert_eq!((file.text().as_str(), queue.state().security_lost), ("", 0));
}

#[test]
fn r9_what_neither_the_reader_nor_the_file_took_at_the_end_is_counted_and_so_is_what_comes_later() {
    let file = HungFile::default();
    let (_unopened, queue, guard) = Gate::stalled_beside(Box::new(file.clone()), Duration::from_secs(3_600));
    let (before, sent) = (lost(), fill(&queue, 3) as u64);
    drop(guard);
    let counted = |queue: &LogQueue| {
        let state = queue.state();
        (state.security_lost, state.waiting.len(), state.saving.len())
    };
    assert_eq!(counted(&queue), (sent + 1, 0, 1), "with the one in hand; the first of the file is being appended");
    queue.put(b"security later\n", LineKind::Security);
    assert_eq!(counted(&queue), (sent + 2, 0, 1));
    assert!(lost() - before >= sent as usize + 2, "for the metric too");
    // Once the disk answers, what comes is appended again.
    file.open();
    saved(&queue);
    queue.put(b"security last\n", LineKind::Security);
    assert!(file.text().ends_with("\nsecurity last\n") && queue.state().security_lost == sent + 2);
}

#[test]
fn r9_a_file_that_fails_at_the_end_leaves_its_events_to_a_reader_that_takes_them() {
    let file = HungFile { fails: true, ..HungFile::default() };
    let (gate, queue, guard) = Gate::stalled_beside(Box::new(file.clone()), Duration::from_secs(3_600));
    let sent = fill(&queue, 2);
    gate.open();
    while queue.state().is_busy() {
        thread::sleep(BATCH_PAUSE);
    }
    let ends = thread::spawn(move || drop(guard));
    // Most likely it waits for the file by then; where it does not yet, the same holds.
    thread::sleep(BATCH_PAUSE * 10);
    file.open();
    ends.join().unwrap();
    assert_eq!((gate.text().lines().count(), queue.state().security_lost), (sent + 1, 0));
}
