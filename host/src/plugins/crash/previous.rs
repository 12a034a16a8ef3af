//! The file of slots as the run before left it: which calls ended that run. A slot without a mark was under way when the
//! process was killed from outside, and is no one's fault.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::Path;

use super::ended_call::EndedCall;
use super::signals::FATAL;
use super::slots::{self, EXITED, FILE_HEAD, FILE_LENGTH, MAGIC, SLOT_LENGTH, Slots};
use crate::ports::Fault;
use crate::private_files;

const FILE_NAME: &str = "calls.map";

/// What the run before left, and the file, locked.
pub(super) struct PreviousRun {
    pub(super) ended: Vec<EndedCall>,
    file: File,
}

impl PreviousRun {
    /// Reads the file in `var`, a new one if there is none. The caller keeps what ended before it begins the next run.
    pub(super) fn read(var: &Path, now: i64) -> Result<Self, Fault> {
        private_files::create_folder(var)?;
        let path = var.join(FILE_NAME);
        let failed = |reason: String| Fault::new(format!("{}: {reason}", path.display()));
        let mut file = private_files::open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(failed("another process uses it".to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed(error.to_string())),
        }
        let ended = ended(&mut file, now).map_err(|error| failed(error.to_string()))?;
        Ok(Self { ended, file })
    }

    /// Empties the file for the next run.
    pub(super) fn begin(self, run: u64) -> Result<Slots, Fault> {
        Slots::begin(self.file, run)
    }
}

/// The calls that are marked. A file of another layout, or one cut by a full disk, has none.
fn ended(file: &mut File, now: i64) -> io::Result<Vec<EndedCall>> {
    if file.metadata()?.len() != FILE_LENGTH as u64 {
        return Ok(Vec::new());
    }
    // Slot by slot: the whole file would stay in the memory of the program that goes on.
    let mut bytes = vec![0; FILE_HEAD];
    file.read_exact(&mut bytes)?;
    let word = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let (Some(MAGIC), Some(run)) = (word(0), word(8)) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    bytes.resize(SLOT_LENGTH, 0);
    for _ in 0..(FILE_LENGTH - FILE_HEAD) / SLOT_LENGTH {
        file.read_exact(&mut bytes)?;
        let marked = slots::read(&bytes).filter(|slot| slot.run == run && slot.mark != 0);
        found.extend(marked.and_then(|slot| EndedCall::parse(slot.record, slot.body, &how(slot.mark), now)));
    }
    Ok(found)
}

fn how(mark: u32) -> String {
    let named = FATAL.iter().find(|(signal, _)| u32::try_from(*signal) == Ok(mark)).map(|(_, name)| *name);
    match (named, mark) {
        (Some(name), _) => name.to_owned(),
        (None, EXITED) => "a call of exit".to_owned(),
        (None, other) => format!("signal {other}"),
    }
}
