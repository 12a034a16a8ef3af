//! The file for security events that can wait for the reader no longer: `security.log` in `var`, for its owner alone. Whoever
//! reads the log learns how many lines are in it, and may remove, move or empty it at any time: each line goes where the path
//! leads when it is written.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::private_files;

/// The file's size: a million events. A disk must not fill because nobody reads the log.
pub(super) const OVERFLOW_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Where security events go that can wait for the reader no longer.
pub(super) trait EventFile: Send + Sync {
    fn set(&self, path: PathBuf);
    /// Whether there is a file. Never waits for it.
    fn is_set(&self) -> bool;
    /// Appends a line; false where there is no file, or it is full. May take as long as the disk does.
    fn append(&self, line: &[u8]) -> bool;
}

/// A file that is opened when the first line comes.
#[derive(Default)]
pub(super) struct OverflowFile {
    is_set: AtomicBool,
    overflow: Mutex<Overflow>,
}

#[derive(Default)]
struct Overflow {
    path: Option<PathBuf>,
    file: Option<File>,
}

impl EventFile for OverflowFile {
    fn set(&self, path: PathBuf) {
        let mut overflow = self.overflow.lock().unwrap_or_else(PoisonError::into_inner);
        *overflow = Overflow { path: Some(path), ..Overflow::default() };
        self.is_set.store(true, Ordering::Release);
    }

    fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    fn append(&self, line: &[u8]) -> bool {
        let mut overflow = self.overflow.lock().unwrap_or_else(PoisonError::into_inner);
        overflow.append(line).unwrap_or(false)
    }
}

impl Overflow {
    fn append(&mut self, line: &[u8]) -> std::io::Result<bool> {
        let Some(path) = &self.path else { return Ok(false) };
        // What was removed or moved is somebody else's now: a line in it would be read by nobody.
        let file = match self.file.take().filter(|file| is_at(file, path)) {
            Some(file) => file,
            None => private_files::open(path).map_err(|fault| std::io::Error::other(fault.to_string()))?,
        };
        let file = self.file.insert(file);
        let length = file.seek(SeekFrom::End(0))?;
        if length.saturating_add(line.len() as u64) > OVERFLOW_BYTES_MAX {
            return Ok(false);
        }
        if let Err(error) = file.write_all(line) {
            // Part of a line must not begin the next one.
            let _ = file.set_len(length);
            return Err(error);
        }
        Ok(true)
    }
}

/// Whether the path leads to this file, not following a link.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(opened), Ok(there)) = (file.metadata(), std::fs::symlink_metadata(path)) else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (opened.dev(), opened.ino()) == (there.dev(), there.ino())
    }
    #[cfg(not(unix))]
    {
        opened.is_file() && there.is_file()
    }
}
