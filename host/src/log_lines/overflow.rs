//! The file for security events that can wait for the reader no longer: `security.log` in `var`, for its owner alone. Whoever
//! reads the log learns how many lines are in it.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::private_files;

/// The file's size: a million events. A disk must not fill because nobody reads the log.
pub(super) const OVERFLOW_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A file that is opened when the first line comes.
#[derive(Default)]
pub(super) struct OverflowFile(Mutex<Overflow>);

#[derive(Default)]
struct Overflow {
    path: Option<PathBuf>,
    file: Option<File>,
    length: u64,
}

impl OverflowFile {
    pub(super) fn set(&self, path: PathBuf) {
        let mut overflow = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *overflow = Overflow { path: Some(path), ..Overflow::default() };
    }

    /// Appends a line; false where there is no file, or it is full.
    pub(super) fn append(&self, line: &[u8]) -> bool {
        let mut overflow = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        overflow.append(line).unwrap_or(false)
    }
}

impl Overflow {
    fn append(&mut self, line: &[u8]) -> std::io::Result<bool> {
        let Some(path) = &self.path else { return Ok(false) };
        if self.file.is_none() {
            let mut file = private_files::open(path).map_err(|fault| std::io::Error::other(fault.to_string()))?;
            self.length = file.seek(SeekFrom::End(0))?;
            self.file = Some(file);
        }
        let length = self.length.saturating_add(line.len() as u64);
        let Some(file) = self.file.as_mut().filter(|_| length <= OVERFLOW_BYTES_MAX) else { return Ok(false) };
        if let Err(error) = file.write_all(line) {
            // Part of a line must not begin the next one.
            let _ = file.set_len(self.length);
            let _ = file.seek(SeekFrom::Start(self.length));
            return Err(error);
        }
        self.length = length;
        Ok(true)
    }
}
