//! The exclusive locks of a database: one process decides over one set of rows. A lock file stands beside the database,
//! and the database itself may be locked too, which holds when the lock file was removed or the folder is reached by
//! another path. It does not guard against a copy of the file opened elsewhere.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::ports::{Fault, FaultKind};
use crate::private_files;

/// Longest text of the lock file that is repeated in an error; a pid line is far shorter.
const HOLDER_BYTES_MAX: u64 = 64;

/// Held for as long as the database may be written; the system releases the lock of a process that died.
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
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
                return Err(Fault::of(
                    FaultKind::Busy,
                    format!("the database is in use: {holder} holds the lock file {path}"),
                ));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        write!(file, "process {}", std::process::id()).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Locks the database file itself; taken before it is opened and released after it is closed, because closing any
    /// handle of the file would release SQLite's own locks. Where such locks would exclude SQLite itself (outside Linux)
    /// only the file's identity is kept.
    pub(crate) fn database(path: &Path) -> Result<Self, Fault> {
        let file = private_files::open(path)?;
        #[cfg(target_os = "linux")]
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Fault::of(
                    FaultKind::Busy,
                    format!(
                        "the database {} is in use by another process, which was started while no lock file was in its place",
                        path.display()
                    ),
                ));
            }
            Err(TryLockError::Error(error)) => {
                return Err(Fault::new(format!("cannot lock the database {}: {error}", path.display())));
            }
        }
        Ok(Self { file, path: path.to_owned() })
    }

    /// Whether the locked file is still the one at its path: another process could lock a file that replaced it.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let replaced = || Fault::new(format!("{} was removed or replaced while in use", self.path.display()));
        let at_path = std::fs::metadata(&self.path).map_err(|_| replaced())?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let held = self.file.metadata().map_err(|_| replaced())?;
            if (at_path.dev(), at_path.ino()) != (held.dev(), held.ino()) {
                return Err(replaced());
            }
        }
        #[cfg(not(unix))]
        let _ = at_path;
        Ok(())
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

    #[cfg(target_os = "linux")]
    #[test]
    fn m25_a_database_stays_locked_when_its_lock_file_was_removed_and_under_another_path() {
        let folder = tempfile::tempdir().unwrap();
        let (file, database) = (folder.path().join("trading.lock"), folder.path().join("trading.db"));
        let (lock, held) = (Lock::take(&file).unwrap(), Lock::database(&database).unwrap());
        lock.check().unwrap();
        std::fs::remove_file(&file).unwrap();
        let removed = lock.check().unwrap_err().to_string();
        assert!(removed.contains("trading.lock was removed or replaced while in use"), "{removed}");
        let second = Lock::take(&file).unwrap();
        lock.check().unwrap_err();
        second.check().unwrap();
        let link = folder.path().join("elsewhere");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        for path in [database.clone(), link.join("trading.db")] {
            let refused = Lock::database(&path).err().unwrap().to_string();
            assert!(refused.contains("in use by another process"), "{refused}");
        }
        std::fs::rename(&database, folder.path().join("moved.db")).unwrap();
        held.check().unwrap_err();
        drop(held);
        Lock::database(&folder.path().join("moved.db")).unwrap();
    }

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
