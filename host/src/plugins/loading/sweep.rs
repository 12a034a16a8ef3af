//! Removes what earlier runs left among the private copies: drafts of copies that a full disk or a kill cut short, and copies
//! of builds that nobody loads any more. Only files of our own names are touched, and nothing else in the folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::copies::DRAFT;
use super::private_folder;
use crate::plugins::crash;

/// Removes the drafts of copies and of the quarantine, and copies whose SHA-256 is none of `living`. At a start alone: later, open gateways may still use the
/// copies of an earlier generation. Returns how many files were removed.
pub(in crate::plugins) fn sweep(folder: &Path, living: &BTreeSet<&str>) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let mut removed = 0;
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| is_draft(name) || is_copy_of_none(name, living)) {
            removed += usize::from(remove(&entry.path()));
        }
    }
    let of_quarantine = folder.parent().map(|var| var.join(crash::QUARANTINE_DRAFT));
    removed + usize::from(of_quarantine.is_some_and(|draft| remove(&draft)))
}

/// A link, a folder, a file that others may write to, or that another user owns, is none of ours.
fn remove(path: &Path) -> bool {
    if !path.symlink_metadata().is_ok_and(|metadata| private_folder::only_we_write(&metadata)) {
        return false;
    }
    let removed = fs::remove_file(path);
    if let Err(error) = &removed {
        tracing::warn!(file = %path.display(), %error, "a stale file in var was not removed");
    }
    removed.is_ok()
}

/// The draft of a process: no other writes here now.
fn is_draft(name: &str) -> bool {
    let process = name.strip_prefix(DRAFT).unwrap_or_default();
    !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_copy_of_none(name: &str, living: &BTreeSet<&str>) -> bool {
    let hash = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let sha256 = name.strip_suffix(std::env::consts::DLL_SUFFIX).filter(|stem| stem.len() == 64);
    sha256.is_some_and(|sha256| sha256.bytes().all(hash) && !living.contains(sha256))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n9_drafts_and_copies_of_no_living_generation_are_removed_and_no_other_file() {
        let var = tempfile::tempdir().unwrap();
        let folder = var.path().join("modules");
        fs::create_dir(&folder).unwrap();
        let of_quarantine = var.path().join("quarantine.json.draft");
        for (name, mode) in [("quarantine.json.draft", 0o600), ("quarantine.json", 0o600), (".draft-9", 0o600)] {
            fs::write(var.path().join(name), "x").unwrap();
            #[cfg(unix)]
            fs::set_permissions(var.path().join(name), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        }
        let suffix = std::env::consts::DLL_SUFFIX;
        let (living, dead) = ("a".repeat(64), "b".repeat(64));
        let stale = [".draft-4711".to_owned(), ".draft-1".to_owned(), format!("{dead}{suffix}")];
        let kept = [
            format!("{living}{suffix}"),
            format!("{dead}.txt"),
            format!("{}{suffix}", "B".repeat(64)),
            format!("{}{suffix}", "b".repeat(63)),
            format!("libcashier_provider_stripe{suffix}"),
            ".draft-".to_owned(),
            ".draft-x".to_owned(),
            ".draft-4711.bak".to_owned(),
            "draft-4711".to_owned(),
            "notes".to_owned(),
        ];
        for name in stale.iter().chain(&kept) {
            fs::write(folder.join(name), "x").unwrap();
            #[cfg(unix)]
            fs::set_permissions(folder.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o500)).unwrap();
        }
        let named = |name: String| folder.join(name);
        fs::create_dir(named(format!(".draft-{}", 7))).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(named("notes".into()), named(format!("{}{suffix}", "c".repeat(64)))).unwrap();
        assert_eq!(sweep(&folder, &BTreeSet::from([&*living])), stale.len() + 1);
        assert!(!of_quarantine.exists() && var.path().join("quarantine.json").exists());
        assert!(var.path().join(".draft-9").exists(), "not in the folder of copies");
        assert!(stale.iter().all(|name| !named(name.clone()).exists()));
        assert!(kept.iter().all(|name| named(name.clone()).exists()));
        assert!(named(".draft-7".into()).is_dir() && named(format!("{}{suffix}", "c".repeat(64))).exists());
        assert_eq!(sweep(&folder, &BTreeSet::from([&*living])), 0);
        assert_eq!(sweep(&named("missing".into()), &BTreeSet::new()), 0);
    }
}
