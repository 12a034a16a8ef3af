//! The lines that wait for the reader or for the overflow file, those in hand, and the counts of those that nobody will read. It
//! knows no thread and no file.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Ordinary lines that wait for the reader, in bytes: some thirty thousand, three seconds of a busy host.
pub const ORDINARY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Access lines that wait for it, in bytes: anybody makes those, and they must not take the space of errors.
pub const ACCESS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Security events that wait for the reader, in bytes; further ones are appended to the overflow file, and lost where that fails.
pub const SECURITY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Security events that wait for the overflow file, in bytes: what comes while its disk does not answer. Further ones wait for
/// the reader, and are lost where they find no place there either.
pub const SAVING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a line is, as far as it may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    Security,
    /// One for each request.
    Access,
    Ordinary,
}

/// What the queue itself reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// Ordinary lines that nobody will read.
    Lost { lines: u64 },
    /// Access lines that nobody will read.
    AccessLost { lines: u64 },
    /// Security events that are in the overflow file instead.
    Overflowed { lines: u64 },
    /// Security events that could neither wait nor be written to the file.
    SecurityLost { lines: u64 },
}

/// Lines lost since the process began, for the metric.
static LOST: AtomicUsize = AtomicUsize::new(0);

/// Lines lost since the process began.
pub fn lost() -> usize {
    LOST.load(Ordering::Relaxed)
}

pub(super) struct Line {
    pub(super) kind: LineKind,
    /// Lines wait in the order of their numbers.
    pub(super) number: u64,
    /// It is in the overflow file already: what a stalled write holds is put there too.
    pub(super) is_saved: bool,
    pub(super) text: Arc<[u8]>,
}

impl Line {
    pub(super) fn is_security(&self) -> bool {
        self.kind == LineKind::Security
    }
}

/// A security event that is to be appended to the overflow file.
pub(super) struct SavingLine {
    number: u64,
    /// It is in hand too: where the file does not take it, it is not lost.
    is_copy: bool,
    pub(super) text: Arc<[u8]>,
}

impl SavingLine {
    /// As it waits for the reader.
    fn to_line(&self) -> Line {
        Line { kind: LineKind::Security, number: self.number, is_saved: false, text: Arc::clone(&self.text) }
    }
}

#[derive(Default)]
pub(super) struct QueuedLines {
    pub(super) waiting: VecDeque<Line>,
    /// The number of the newest line.
    newest: u64,
    /// For the overflow file; the first is being appended, perhaps for ever.
    pub(super) saving: VecDeque<SavingLine>,
    saving_bytes: usize,
    /// How often the file took a line or failed, so that the end sees whether it does anything.
    pub(super) saves: u64,
    /// A thread appends to the file.
    pub(super) has_saver: bool,
    /// The last line could not be appended.
    pub(super) is_file_failing: bool,
    /// The file has taken its time for a line for a while.
    pub(super) is_file_hung: bool,
    pub(super) ordinary_bytes: usize,
    pub(super) access_bytes: usize,
    pub(super) security_bytes: usize,
    /// Being written, perhaps for ever.
    pub(super) in_hand: Vec<Line>,
    pub(super) reports_in_hand: Vec<Report>,
    /// To be reported once something can be written.
    pub(super) lost: u64,
    pub(super) access_lost: u64,
    pub(super) overflowed: u64,
    pub(super) security_lost: u64,
    /// Batches that the reader took, so that the end sees whether the reader takes anything.
    pub(super) written: u64,
    pub(super) is_asleep: bool,
    /// The reader took nothing of a batch for a while.
    pub(super) is_stalled: bool,
    /// The last write failed: reports wait until there is another line to write.
    pub(super) is_failing: bool,
    pub(super) is_ending: bool,
}

impl QueuedLines {
    /// The bytes of such lines that wait, and their bound.
    fn bytes(&mut self, kind: LineKind) -> (&mut usize, usize) {
        match kind {
            LineKind::Security => (&mut self.security_bytes, SECURITY_BYTES_MAX),
            LineKind::Access => (&mut self.access_bytes, ACCESS_BYTES_MAX),
            LineKind::Ordinary => (&mut self.ordinary_bytes, ORDINARY_BYTES_MAX),
        }
    }

    pub(super) fn fits(&mut self, kind: LineKind, length: usize) -> bool {
        let (bytes, max) = self.bytes(kind);
        bytes.saturating_add(length) <= max
    }

    pub(super) fn lose(&mut self, kind: LineKind) {
        *match kind {
            LineKind::Security => &mut self.security_lost,
            LineKind::Access => &mut self.access_lost,
            LineKind::Ordinary => &mut self.lost,
        } += 1;
        LOST.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether one more security event may wait for the file.
    pub(super) fn may_save(&self, length: usize) -> bool {
        self.saving_bytes.saturating_add(length) <= SAVING_BYTES_MAX
    }

    /// A new line waits for the reader.
    pub(super) fn push(&mut self, kind: LineKind, text: &[u8]) {
        self.add_bytes(kind, text.len());
        self.newest += 1;
        self.waiting.push_back(Line { kind, number: self.newest, is_saved: false, text: text.into() });
    }

    /// A new security event waits for the file.
    pub(super) fn push_saving(&mut self, text: &[u8]) {
        self.newest += 1;
        self.save(SavingLine { number: self.newest, is_copy: false, text: text.into() });
    }

    fn save(&mut self, line: SavingLine) {
        self.saving_bytes += line.text.len();
        self.saving.push_back(line);
    }

    /// A security event that was to be written is to be saved instead; false where it can only wait again.
    pub(super) fn save_instead(&mut self, line: &Line) -> bool {
        if let Some(copy) = self.saving.iter_mut().find(|saving| saving.number == line.number) {
            copy.is_copy = false;
            return true;
        }
        let may_save = self.may_save(line.text.len());
        if may_save {
            self.save(SavingLine { number: line.number, is_copy: false, text: Arc::clone(&line.text) });
        }
        may_save
    }

    /// Security events that wait are to be saved, and those too that are being written: they may have been written in part, and
    /// evidence twice is better than none. At the end all of them, before it as many as may wait for the file. One that failed is
    /// tried with a single line, and gets the others once it took that.
    pub(super) fn move_to_file(&mut self) {
        let most = if self.is_file_failing && !self.is_ending { 1 } else { usize::MAX };
        let in_hand: Vec<(u64, Arc<[u8]>)> = self
            .in_hand
            .iter()
            .filter(|line| line.is_security() && !line.is_saved)
            .filter(|line| self.saving.iter().all(|saving| saving.number != line.number))
            .map(|line| (line.number, Arc::clone(&line.text)))
            .take(most.saturating_sub(self.saving.len()))
            .collect();
        for (number, text) in in_hand {
            self.save(SavingLine { number, is_copy: true, text });
        }
        for line in std::mem::take(&mut self.waiting) {
            let may_move = self.saving.len() < most && (self.is_ending || self.may_save(line.text.len()));
            if line.is_security() && may_move {
                self.take_bytes(line.kind, line.text.len());
                self.save(SavingLine { number: line.number, is_copy: false, text: line.text });
            } else {
                self.waiting.push_back(line);
            }
        }
    }

    /// The first of what is to be saved was, or could not be: then everything of it waits for the reader again. At the end the
    /// rest is tried all the same.
    pub(super) fn end_saving(&mut self, is_saved: bool) {
        let Some(line) = self.saving.pop_front() else { return };
        self.saving_bytes = self.saving_bytes.saturating_sub(line.text.len());
        self.saves += 1;
        let works_again = is_saved && self.is_file_failing;
        (self.is_file_failing, self.is_file_hung) = (!is_saved, false);
        if is_saved {
            self.overflowed += 1;
            self.in_hand.iter_mut().filter(|known| known.number == line.number).for_each(|known| known.is_saved = true);
            if works_again && self.is_stalled {
                self.move_to_file();
            }
        } else {
            let mut unsaved = vec![line];
            if !self.is_ending {
                self.saving_bytes = 0;
                unsaved.extend(std::mem::take(&mut self.saving));
            }
            self.wait_again(unsaved.into_iter().filter(|line| !line.is_copy).map(|line| line.to_line()).collect());
        }
    }

    /// While the file does not answer and the reader does, what is to be saved goes to the reader. What is being appended is in both.
    pub(super) fn take_back(&mut self) {
        if !self.is_file_hung || self.is_ending {
            return;
        }
        let mut back = Vec::new();
        for (index, mut line) in std::mem::take(&mut self.saving).into_iter().enumerate() {
            let goes_back = !line.is_copy && self.fits(LineKind::Security, line.text.len());
            if goes_back {
                self.add_bytes(LineKind::Security, line.text.len());
                back.push(line.to_line());
                line.is_copy = true;
            }
            if index == 0 || !goes_back {
                self.saving.push_back(line);
            } else {
                self.saving_bytes = self.saving_bytes.saturating_sub(line.text.len());
            }
        }
        self.insert(back);
    }

    /// Security events wait for the reader again, in their places. Where there are too many, the newest are lost.
    pub(super) fn wait_again(&mut self, lines: Vec<Line>) {
        if self.is_ending {
            return lines.iter().for_each(|line| self.lose(line.kind));
        }
        lines.iter().for_each(|line| self.add_bytes(line.kind, line.text.len()));
        self.insert(lines);
        let mut others = Vec::new();
        while !self.fits(LineKind::Security, 0)
            && let Some(line) = self.waiting.pop_back()
        {
            if line.is_security() {
                self.take_bytes(line.kind, line.text.len());
                self.lose(line.kind);
            } else {
                others.push(line);
            }
        }
        self.waiting.extend(others.into_iter().rev());
    }

    /// Puts lines into their places, all in one pass: whoever logs waits for it.
    fn insert(&mut self, lines: Vec<Line>) {
        let Some(first) = lines.iter().map(|line| line.number).min() else { return };
        let place = self.waiting.partition_point(|known| known.number < first);
        let mut later: Vec<Line> = self.waiting.split_off(place).into();
        later.extend(lines);
        // Two sorted parts are merged.
        later.sort_by_key(|line| line.number);
        self.waiting.extend(later);
    }

    pub(super) fn add_bytes(&mut self, kind: LineKind, length: usize) {
        *self.bytes(kind).0 += length;
    }

    pub(super) fn take_bytes(&mut self, kind: LineKind, length: usize) {
        let bytes = self.bytes(kind).0;
        *bytes = bytes.saturating_sub(length);
    }

    pub(super) fn has_reports(&self) -> bool {
        self.lost + self.access_lost + self.overflowed + self.security_lost > 0
    }

    pub(super) fn put_back(&mut self, report: Report) {
        match report {
            Report::Lost { lines } => self.lost += lines,
            Report::AccessLost { lines } => self.access_lost += lines,
            Report::Overflowed { lines } => self.overflowed += lines,
            Report::SecurityLost { lines } => self.security_lost += lines,
        }
    }

    /// Whether the thread has something to do, or is doing it.
    pub(super) fn is_busy(&self) -> bool {
        let reports = self.has_reports() && !self.is_failing;
        !self.waiting.is_empty() || !self.in_hand.is_empty() || !self.reports_in_hand.is_empty() || reports
    }

    /// Whether the reader took everything that it was given.
    pub(super) fn has_reader(&self) -> bool {
        !self.is_busy() && !self.is_failing
    }

    /// After the end nobody waits for the reader or the file any more: what neither took is lost. What is being written may be
    /// taken in part, which is no evidence.
    pub(super) fn lose_rest(&mut self) {
        std::mem::take(&mut self.waiting).iter().for_each(|line| self.lose(line.kind));
        for at in 0..self.in_hand.len() {
            if let Some(line) = self.in_hand.get_mut(at).filter(|line| line.is_security() && !line.is_saved) {
                line.is_saved = true;
                self.lose(LineKind::Security);
            }
        }
        self.lose_unsaved();
    }

    /// What the file did not take is lost. The first is being appended, perhaps for ever, and keeps its place.
    pub(super) fn lose_unsaved(&mut self) {
        for (index, line) in std::mem::take(&mut self.saving).into_iter().enumerate() {
            if !line.is_copy {
                self.lose(LineKind::Security);
            }
            if index == 0 {
                self.saving.push_back(SavingLine { is_copy: true, ..line });
            } else {
                self.saving_bytes = self.saving_bytes.saturating_sub(line.text.len());
            }
        }
    }

    pub(super) fn take_reports(&mut self) -> impl Iterator<Item = Report> + use<> {
        let counted = |count: &mut u64, report: fn(u64) -> Report| {
            let lines = std::mem::take(count);
            (lines > 0).then(|| report(lines))
        };
        let reports = [
            counted(&mut self.security_lost, |lines| Report::SecurityLost { lines }),
            counted(&mut self.overflowed, |lines| Report::Overflowed { lines }),
            counted(&mut self.lost, |lines| Report::Lost { lines }),
            counted(&mut self.access_lost, |lines| Report::AccessLost { lines }),
        ];
        reports.into_iter().flatten()
    }
}
