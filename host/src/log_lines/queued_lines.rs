//! The lines that wait for the reader, those in hand, and the counts of those that nobody will read. It knows no thread and no file.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Ordinary lines that wait for the reader, in bytes: some thirty thousand, three seconds of a busy host.
pub const ORDINARY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Access lines that wait for it, in bytes: anybody makes those, and they must not take the space of errors.
pub const ACCESS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Security events that wait for the reader, in bytes; further ones are appended to the overflow file, and lost where that fails.
pub const SECURITY_BYTES_MAX: usize = 8 * 1024 * 1024;

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
    /// It is in the overflow file already: what a stalled write holds is put there too.
    pub(super) is_saved: bool,
    pub(super) text: Box<[u8]>,
}

impl Line {
    pub(super) fn is_security(&self) -> bool {
        self.kind == LineKind::Security
    }
}

#[derive(Default)]
pub(super) struct QueuedLines {
    pub(super) waiting: VecDeque<Line>,
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

    /// A security event that was to be written waits again, before all others.
    pub(super) fn put_first(&mut self, line: Line) {
        if self.is_ending || !self.fits(line.kind, line.text.len()) {
            return self.lose(line.kind);
        }
        self.add_bytes(line.kind, line.text.len());
        self.waiting.push_front(line);
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
