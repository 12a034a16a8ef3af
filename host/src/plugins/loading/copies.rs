//! Private copies of modules: check a file's first bytes and its pin, copy it to a folder that nobody else may change, and
//! hold the copy's descriptor, by which it is opened. Opens no library. Owners and modes are judged in `private_folder`.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::private_folder;

/// More than any module with all its debug information; a path to a disk image by mistake is not read into memory.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Bytes of a copy that are compared at once.
const COMPARED_AT_ONCE: usize = 64 * 1024;

/// A private copy of a module, named after its content.
#[derive(Debug, Clone)]
pub(in crate::plugins) struct ModuleCopy {
    pub(super) path: PathBuf,
    /// The copy as it was compared. A library is opened through it: at the path another file may stand by then.
    pub(super) file: Arc<File>,
    /// Lower-case hex.
    pub(in crate::plugins) sha256: String,
}

impl ModuleCopy {
    /// The path by which the loader opens the compared file. The loader remembers libraries by their path, so the
    /// descriptor stays open as long as the library, which is for ever.
    pub(super) fn loader_path(&self) -> PathBuf {
        #[cfg(target_os = "linux")]
        return descriptor_path(&std::os::fd::AsRawFd::as_raw_fd(&*self.file));
        #[cfg(not(target_os = "linux"))]
        self.path.clone()
    }
}

/// The path of an open file of this process.
#[cfg(target_os = "linux")]
pub(super) fn descriptor_path(descriptor: &std::os::fd::RawFd) -> PathBuf {
    format!("/proc/self/fd/{descriptor}").into()
}

/// Copies the file at `source` into `folder` as `<sha256>.<suffix>`, after comparing it with the pin.
///
/// # Errors
/// The file is not a library, is not the pinned one, or cannot be copied.
pub(super) fn copy(source: &Path, pin: Option<&str>, folder: &Path) -> Result<ModuleCopy, String> {
    let (bytes, sha256) = checked(source, pin)?;
    let path = folder.join(format!("{sha256}{}", std::env::consts::DLL_SUFFIX));
    let failed = |error| format!("cannot be copied to {}: {error}", path.display());
    // Permissions first: in a folder that others may write to, the file that was compared is not the file that is opened.
    private_folder::prepare(folder)?;
    let file = match existing(&path, &bytes) {
        Some(file) => file,
        None => {
            place(&bytes, folder, &path).map_err(failed)?;
            existing(&path, &bytes).ok_or_else(|| failed(io::Error::other("it does not read as it was written")))?
        }
    };
    Ok(ModuleCopy { path, file: Arc::new(file), sha256 })
}

/// The file at `source` itself, for a process that only probes it.
///
/// # Errors
/// As [`copy`].
pub(super) fn original(source: &Path, pin: Option<&str>) -> Result<ModuleCopy, String> {
    let (_, sha256) = checked(source, pin)?;
    let file = File::open(source).map_err(|error| format!("cannot be read: {error}"))?;
    Ok(ModuleCopy { path: source.to_owned(), file: Arc::new(file), sha256 })
}

/// The file's bytes and their SHA-256, compared with the pin.
fn checked(source: &Path, pin: Option<&str>) -> Result<(Vec<u8>, String), String> {
    let bytes = read(source)?;
    check_format(&bytes)?;
    let sha256 = hex::encode(Sha256::digest(&bytes));
    match pin.filter(|pin| *pin != sha256) {
        Some(pin) => Err(format!("its SHA-256 is {sha256}, plugins.toml pins {pin}")),
        None => Ok((bytes, sha256)),
    }
}

/// The copy at `path`, if it is a file of ours that no other user may write to, with these bytes.
fn existing(path: &Path, bytes: &[u8]) -> Option<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW | libc::O_CLOEXEC);
    let mut file = options.open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !private_folder::only_we_write(&metadata) || metadata.len() != bytes.len() as u64 {
        return None;
    }
    // In pieces: a second copy of a large file would stay in the memory of the program that goes on.
    let mut piece = vec![0; COMPARED_AT_ONCE];
    for wanted in bytes.chunks(COMPARED_AT_ONCE) {
        let piece = piece.get_mut(..wanted.len())?;
        file.read_exact(piece).ok()?;
        if piece != wanted {
            return None;
        }
    }
    file.rewind().ok()?;
    Some(file)
}

fn read(source: &Path) -> Result<Vec<u8>, String> {
    let metadata = fs::metadata(source).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "the file does not exist".to_owned(),
        _ => format!("cannot be read: {error}"),
    })?;
    if metadata.is_dir() {
        return Err("it is a folder, not a file".to_owned());
    }
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(format!("it has {} bytes, a module has at most {FILE_BYTES_MAX}", metadata.len()));
    }
    // Of its length at once: one that grows leaves memory behind.
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    File::open(source)
        .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    Ok(bytes)
}

/// Checks the first bytes: the loader would only fail, without a reason for people.
fn check_format(bytes: &[u8]) -> Result<(), String> {
    if bytes.is_empty() {
        return Err("the file is empty".to_owned());
    }
    let mach_o = [[0xcf, 0xfa, 0xed, 0xfe], [0xca, 0xfe, 0xba, 0xbe]];
    match bytes.get(..4) {
        Some(b"\x7fELF") => complete_elf(bytes),
        Some(start) if start.starts_with(b"MZ") || mach_o.iter().any(|magic| start == magic) => Ok(()),
        _ if std::str::from_utf8(bytes.get(..256).unwrap_or(bytes)).is_ok() => {
            Err("it is a text file, not a library".to_owned())
        }
        _ => Err("it is not a library".to_owned()),
    }
}

/// A library whose tables lie beyond its end was truncated while it was copied or built.
fn complete_elf(bytes: &[u8]) -> Result<(), String> {
    let number = |at: usize, length: usize| -> Option<u64> {
        let field = bytes.get(at..at.checked_add(length)?)?;
        Some(field.iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
    };
    // Class 2 is 64 bit, encoding 1 is little-endian; other machines' files are left to the loader.
    if (bytes.get(4), bytes.get(5)) != (Some(&2), Some(&1)) && bytes.len() >= 64 {
        return Ok(());
    }
    let ends = || {
        let sections = number(40, 8)?.checked_add(number(58, 2)?.checked_mul(number(60, 2)?)?)?;
        let segments = number(32, 8)?.checked_add(number(54, 2)?.checked_mul(number(56, 2)?)?)?;
        Some(sections.max(segments))
    };
    match ends() {
        Some(end) if end <= bytes.len() as u64 => Ok(()),
        Some(end) => Err(format!("it is truncated: its tables end at byte {end}, it has {}", bytes.len())),
        None => Err("it is truncated: it ends within its header".to_owned()),
    }
}

/// What the name of a copy that is not complete begins with, before the process that writes it.
pub(super) const DRAFT: &str = ".draft-";

/// Writes the file under another name, syncs and renames it: the final name never holds part of a file. Where that fails, as
/// on a full disk, nothing is left of it.
fn place(bytes: &[u8], folder: &Path, path: &Path) -> io::Result<()> {
    let draft = folder.join(format!("{DRAFT}{}", std::process::id()));
    let placed = place_as(bytes, folder, &draft, path);
    if placed.is_err() {
        // What cannot be removed either, the next start removes.
        let _ = fs::remove_file(&draft);
    }
    placed
}

fn place_as(bytes: &[u8], folder: &Path, draft: &Path, path: &Path) -> io::Result<()> {
    match fs::remove_file(draft) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o500);
    let mut file = options.open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(draft, path)?;
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_a_library_is_refused_by_its_first_bytes() {
        let mut short = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(check_format(&short), Ok(()), "an executable is complete");
        short.truncate(short.len() / 2);
        let table: [(&[u8], &str); 5] = [
            (b"", "the file is empty"),
            (b"#!/bin/sh\necho hello\n", "it is a text file, not a library"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\xff\xfe", "it is not a library"),
            (b"\x7fELF\x02\x01\x01", "it is truncated: it ends within its header"),
            (&short, "it is truncated: its tables end at byte "),
        ];
        for (bytes, expected) in table {
            let reason = check_format(bytes).unwrap_err();
            assert!(reason.starts_with(expected), "{reason}");
        }
    }

    #[test]
    fn a_copy_is_named_after_its_hash_read_only_and_repaired_when_damaged() {
        let temporary = tempfile::tempdir().unwrap();
        let (source, folder) = (std::env::current_exe().unwrap(), temporary.path().join("var/modules"));
        let copied = copy(&source, None, &folder).unwrap();
        let name = copied.path.file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(name, format!("{}{}", copied.sha256, std::env::consts::DLL_SUFFIX));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&copied.path), mode(&folder)), (0o500, 0o700));
        }
        fs::remove_file(&copied.path).unwrap();
        fs::write(&copied.path, b"part of it").unwrap();
        assert_eq!(copy(&source, Some(&copied.sha256), &folder).unwrap().path, copied.path);
        assert_eq!(fs::read(&copied.path).unwrap(), fs::read(&source).unwrap());
        let refused = copy(&source, Some(&"0".repeat(64)), &folder).unwrap_err();
        assert_eq!(refused, format!("its SHA-256 is {}, plugins.toml pins {}", copied.sha256, "0".repeat(64)));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn n9_a_copy_that_cannot_be_placed_leaves_no_draft() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("modules");
        // A folder in the place of the copy: everything is written, the last step fails.
        fs::create_dir_all(folder.join("copy.so/inside")).unwrap();
        place(b"whole", &folder, &folder.join("copy.so")).unwrap_err();
        let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["copy.so"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_or_copy_that_others_may_write_to_is_restricted_and_copied_anew() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let temporary = tempfile::tempdir().unwrap();
        let (source, folder) = (std::env::current_exe().unwrap(), temporary.path().join("modules"));
        let ModuleCopy { path, .. } = copy(&source, None, &folder).unwrap();
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
        let open_up = |path: &Path, mode: u32| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        let theirs = temporary.path().join("theirs.so");
        fs::copy(&source, &theirs).unwrap();
        open_up(&theirs, 0o700);
        let copied_anew = || {
            copy(&source, None, &folder).unwrap();
            assert!(fs::symlink_metadata(&path).unwrap().is_file());
            assert_eq!((mode(&path), mode(&folder)), (0o500, 0o700));
        };
        open_up(&folder, 0o777);
        copied_anew();
        for writable in [0o520, 0o502, 0o777] {
            open_up(&path, writable);
            copied_anew();
        }
        fs::remove_file(&path).unwrap();
        symlink(&theirs, &path).unwrap();
        copied_anew();
        assert_eq!(mode(&theirs), 0o700, "the target of the link is unchanged");
    }

    #[test]
    fn a_folder_and_a_missing_file_are_refused_with_distinct_reasons() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("modules");
        let reason = |path: &Path| copy(path, None, &folder).unwrap_err();
        assert_eq!(reason(temporary.path()), "it is a folder, not a file");
        assert_eq!(reason(&temporary.path().join("none.so")), "the file does not exist");
    }
}
