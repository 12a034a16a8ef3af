//! From a file that plugins.toml names to a module that may be called: check its first bytes and its pin, copy, open. The
//! same [`open`] runs first in the probe process and then in the cashier. Decides nothing about catalogs or generations.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use cashier_core::lengths::CODE_LENGTH_MAX;
use cashier_core::withdrawal::MANUAL_PROVIDER;
use cashier_provider_sdk::Descriptor;
use cashier_provider_sdk::export::CONTRACT;
use cashier_provider_sdk::host::ModuleV1;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::symbols::Symbols;

/// More than any module with all its debug information; a path to a disk image by mistake is not read into memory.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// A module opened in this process. Its library is never closed.
pub(super) struct OpenedModule {
    pub(super) symbols: Symbols,
    pub(super) module: ModuleV1,
    pub(super) descriptor: Descriptor,
}

/// Why a module cannot be loaded, with its contract version where that could be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LoadError {
    pub(super) contract: Option<u32>,
    pub(super) reason: String,
    /// SHA-256 of a build that is refused because it ended the process; else empty.
    #[serde(default)]
    pub(super) quarantined: String,
}

impl LoadError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { contract: None, reason: reason.into(), quarantined: String::new() }
    }
}

/// Opens the library at `path` and checks in turn its plain symbols, its layout and its descriptor; each is trusted only
/// after the check before it. The path must be absolute and the file private to this process, because opening a file that
/// is truncated or changed meanwhile ends the process.
///
/// # Errors
/// The first failed check, in one sentence.
pub(super) fn open(path: &Path) -> Result<OpenedModule, LoadError> {
    let symbols = Symbols::read(path).map_err(LoadError::new)?;
    let error = |reason: String| LoadError { contract: Some(symbols.contract), ..LoadError::new(reason) };
    if symbols.contract != CONTRACT {
        return Err(error(format!("it was built for contract {}, this host supports {CONTRACT}", symbols.contract)));
    }
    if !symbols.unwinds {
        return Err(error("it was built with panic = \"abort\": a panic in it would end the cashier".to_owned()));
    }
    let module = ModuleV1::open(path).map_err(|failed| error(failed.reason))?;
    let descriptor = module.descriptor().map_err(|failure| error(failure.message))?;
    check(&descriptor).map_err(error)?;
    Ok(OpenedModule { symbols, module, descriptor })
}

/// Checks the descriptor before anything is keyed by its code.
fn check(descriptor: &Descriptor) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let code = &descriptor.code;
    if code.is_empty() || code.len() > CODE_LENGTH_MAX || !code.bytes().all(plain) {
        return Err(format!("its provider code {code:?} is not 1 to {CODE_LENGTH_MAX} of a-z, 0-9 and _"));
    }
    if code == MANUAL_PROVIDER {
        return Err(format!("its provider code {code:?} belongs to the cashier"));
    }
    if descriptor.name.is_empty() {
        return Err("its descriptor has no name".to_owned());
    }
    if let Some(setting) = descriptor.settings.iter().find(|setting| setting.key.is_empty()) {
        return Err(format!("its setting {:?} has no key", setting.label));
    }
    Ok(())
}

/// A private copy of a module, named after its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::plugins) struct ModuleCopy {
    pub(super) path: PathBuf,
    /// Lower-case hex.
    pub(in crate::plugins) sha256: String,
}

/// Copies the file at `source` into `folder` as `<sha256>.<suffix>`, after comparing it with the pin.
///
/// # Errors
/// The file is not a library, is not the pinned one, or cannot be copied.
pub(super) fn copy(source: &Path, pin: Option<&str>, folder: &Path) -> Result<ModuleCopy, String> {
    let bytes = read(source)?;
    check_format(&bytes)?;
    let sha256 = hex::encode(Sha256::digest(&bytes));
    if let Some(pin) = pin.filter(|pin| *pin != sha256) {
        return Err(format!("its SHA-256 is {sha256}, plugins.toml pins {pin}"));
    }
    let path = folder.join(format!("{sha256}{}", std::env::consts::DLL_SUFFIX));
    let failed = |error| format!("cannot be copied to {}: {error}", path.display());
    // Permissions first: in a folder that others may write to, the file that was compared is not the file that is opened.
    private_folder(folder).map_err(failed)?;
    if !(only_we_write(&path) && fs::read(&path).is_ok_and(|there| there == bytes)) {
        place(&bytes, folder, &path).map_err(failed)?;
    }
    Ok(ModuleCopy { path, sha256 })
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
    let mut bytes = Vec::new();
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

/// Writes the file under another name, syncs and renames it: the final name never holds part of a file.
fn place(bytes: &[u8], folder: &Path, path: &Path) -> io::Result<()> {
    let draft = folder.join(format!(".draft-{}", std::process::id()));
    match fs::remove_file(&draft) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o500);
    let mut file = options.open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&draft, path)?;
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// Whether an existing copy is a file, not a link to one, that no other user may write to.
#[cfg(unix)]
#[expect(unsafe_code, reason = "geteuid is a C function")]
fn only_we_write(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    /// Write permission of group and others.
    const OTHERS_WRITE: u32 = 0o022;
    // SAFETY: it has no arguments, cannot fail and reads a field of this process in the kernel.
    let us = unsafe { libc::geteuid() };
    fs::symlink_metadata(path).is_ok_and(|it| it.is_file() && it.uid() == us && it.mode() & OTHERS_WRITE == 0)
}

#[cfg(not(unix))]
fn only_we_write(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.is_file())
}

fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    // A folder that was there before may have been open to others.
    #[cfg(unix)]
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
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
        assert_eq!(copy(&source, Some(&copied.sha256), &folder).unwrap(), copied);
        assert_eq!(fs::read(&copied.path).unwrap(), fs::read(&source).unwrap());
        let refused = copy(&source, Some(&"0".repeat(64)), &folder).unwrap_err();
        assert_eq!(refused, format!("its SHA-256 is {}, plugins.toml pins {}", copied.sha256, "0".repeat(64)));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no draft is left");
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
