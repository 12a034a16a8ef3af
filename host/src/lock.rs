//! The exclusive lock beside a database: one process decides over one set of rows. It does not guard against a copy of
//! the file opened elsewhere.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::ports::Fault;
use crate::private_files;

/// Longest text of the lock file that is repeated in an error; a pid line is far shorter.
const HOLDER_BYTES_MAX: u64 = 64;

/// Held for as long as the database may be written; the system releases the lock of a process that died.
pub(crate) struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Closing the file is not enough: a child process that is just being started may still have it open.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "releasing the database lock failed, it is released when its file is closed");
        }
    }
}

impl Lock {
    /// Takes the lock file; the fault names the process that holds it.
    pub(crate) fn take(path: &Path) -> Result<Self, Fault> {
        let failed = |error| Fault::new(format!("cannot use the lock file {}: {error}", path.display()));
        let mut file = private_files::open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = path.display();
                let holder = holder(&file);
                return Err(Fault::new(format!("the database is in use: {holder} holds the lock file {path}")));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        write!(file, "process {}", std::process::id()).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        Ok(Self { file })
    }
}

/// The holder's entry in the lock file; where the system bars reading locked files it stays unnamed.
fn holder(file: &File) -> String {
    let mut entry = String::new();
    match file.take(HOLDER_BYTES_MAX).read_to_string(&mut entry) {
        Ok(length) if length > 0 => entry,
        Ok(_) | Err(_) => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_attempt_fails_and_names_the_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cashier.lock");
        let first = Lock::take(&path).unwrap();
        let refused = Lock::take(&path).err().unwrap().to_string();
        let expected = format!("process {} holds the lock file {}", std::process::id(), path.display());
        assert!(refused.contains(&expected), "{refused}");
        let inherited = first.file.try_clone().unwrap();
        drop(first);
        Lock::take(&path).unwrap();
        drop(inherited);
    }
}
