//! The clock's record on disk, in the folder of the databases: `clock`, replaced as a whole, and `clock.accept`, which an
//! operator's command leaves for the server. It does not judge what it holds.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use cashier_core::time::UnixTime;

use crate::guarded_clock::{ClockRecord, ClockStore};
use crate::ports::Fault;
use crate::private_files;

/// Longest content that is read: a record has five short words.
const RECORD_BYTES_MAX: u64 = 256;

/// What stands where the boot is not known.
const NO_BOOT: &str = "-";

/// The files of one folder.
pub(crate) struct ClockFiles {
    folder: PathBuf,
}

impl ClockFiles {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.into() }
    }

    fn record(&self) -> PathBuf {
        self.folder.join("clock")
    }

    fn acceptance(&self) -> PathBuf {
        self.folder.join("clock.accept")
    }

    /// Leaves an acceptance of this time for the server of this folder, which must exist.
    pub(crate) fn accept(&self, wall: UnixTime) -> Result<(), Fault> {
        replace(&self.acceptance(), &format!("{wall}\n"))
    }
}

impl ClockStore for ClockFiles {
    fn read(&self) -> Result<Option<ClockRecord>, Fault> {
        let path = self.record();
        let Some(text) = read(&path)? else { return Ok(None) };
        parse(&text).map(Some).ok_or_else(|| Fault::new(format!("{} is damaged", path.display())))
    }

    fn write(&self, record: &ClockRecord) -> Result<(), Fault> {
        let (boot_id, expected) = record.boot.as_ref().map_or((NO_BOOT, 0), |(id, expected)| (id, *expected));
        let ClockRecord { newest, ahead_until, plausible_since, .. } = record;
        replace(&self.record(), &format!("{newest} {boot_id} {expected} {ahead_until} {plausible_since}\n"))
    }

    fn take_accepted(&self) -> Option<UnixTime> {
        let path = self.acceptance();
        let text = read(&path).unwrap_or_else(|fault| {
            tracing::warn!(%fault, "reading the acceptance of the clock failed");
            None
        })?;
        if let Err(error) = std::fs::remove_file(&path) {
            // It would be taken at every look.
            tracing::warn!(%error, "removing the acceptance of the clock failed: it is not taken");
            return None;
        }
        text.trim().parse().ok().map(UnixTime)
    }
}

/// `newest boot expected ahead_until plausible_since`.
fn parse(text: &str) -> Option<ClockRecord> {
    let mut words = text.split_ascii_whitespace();
    let newest = UnixTime(words.next()?.parse().ok()?);
    let boot_id = words.next()?;
    let expected: i64 = words.next()?.parse().ok()?;
    let ahead_until = UnixTime(words.next()?.parse().ok()?);
    let plausible_since = UnixTime(words.next()?.parse().ok()?);
    let boot = (boot_id != NO_BOOT).then(|| (boot_id.into(), expected));
    words.next().is_none().then_some(ClockRecord { newest, boot, ahead_until, plausible_since })
}

fn read(path: &Path) -> Result<Option<String>, Fault> {
    let failed = |error: std::io::Error| Fault::new(format!("cannot read {}: {error}", path.display()));
    let file = match private_files::open_to_read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = String::new();
    file.take(RECORD_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

/// Replaces a file as a whole: after a crash it has the content before or this one.
fn replace(path: &Path, content: &str) -> Result<(), Fault> {
    let failed = |error: std::io::Error| Fault::new(format!("cannot write {}: {error}", path.display()));
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    let draft = PathBuf::from(draft);
    let mut file = private_files::open(&draft)?;
    file.set_len(0).and_then(|()| file.write_all(content.as_bytes())).map_err(failed)?;
    file.sync_all().and_then(|()| std::fs::rename(&draft, path)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_a_damaged_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let files = ClockFiles::in_folder(folder.path());
        assert_eq!(files.read(), Ok(None));
        for boot in [None, Some(("5b8e".into(), -20))] {
            let record = ClockRecord {
                newest: UnixTime(1_795_160_000),
                boot,
                ahead_until: UnixTime(7),
                plausible_since: UnixTime(8),
            };
            files.write(&record).unwrap();
            assert_eq!(files.read(), Ok(Some(record)));
        }
        for damaged in ["", "x", "1 - 0", "1 - 0 0", "1 - 0 0 0 0", "1795160000 - 0 zero 0"] {
            std::fs::write(files.record(), damaged).unwrap();
            assert!(files.read().unwrap_err().what.contains("damaged"), "{damaged}");
        }
    }

    #[test]
    fn an_acceptance_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let files = ClockFiles::in_folder(folder.path());
        assert_eq!(files.take_accepted(), None);
        files.accept(UnixTime(1_795_160_000)).unwrap();
        assert_eq!(files.take_accepted(), Some(UnixTime(1_795_160_000)));
        assert_eq!(files.take_accepted(), None);
    }
}
