//! The folder of private copies, `var/modules`: it, its parents and what is in it belong to this user or to root, and no
//! one else may replace any of them. Whoever may, decides which code runs in the cashier.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

/// Creates the folder, accessible to this user alone, after its parents were judged. One that was made by this user with a
/// wider mode is restricted.
///
/// # Errors
/// What of it another user may change, by name, with the cure.
pub(in crate::plugins) fn prepare(folder: &Path) -> Result<(), String> {
    #[cfg(unix)]
    judge(folder)?;
    let failed = |error: io::Error| format!("its copies cannot be kept in {}: {error}", folder.display());
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(failed)?;
    // Once more: what was missing a moment ago may have been placed by someone else.
    #[cfg(unix)]
    {
        judge(folder)?;
        fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

/// Judges the folder and its parents, and creates nothing.
///
/// # Errors
/// As [`prepare`].
pub(in crate::plugins) fn check(
    #[cfg_attr(not(unix), expect(unused_variables, reason = "see above"))] folder: &Path,
) -> Result<(), String> {
    #[cfg(unix)]
    judge(folder)?;
    Ok(())
}

/// Whether a copy is a file of ours, with one name, that no other user may write to.
#[cfg(unix)]
pub(super) fn only_we_write(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let us = rustix::process::geteuid().as_raw();
    metadata.is_file() && metadata.uid() == us && metadata.nlink() == 1 && metadata.mode() & OTHERS_WRITE == 0
}

#[cfg(not(unix))]
pub(super) fn only_we_write(metadata: &Metadata) -> bool {
    metadata.is_file()
}

/// Write permission of group and others.
#[cfg(unix)]
const OTHERS_WRITE: u32 = 0o022;

/// Judges the folder and every folder above it that exists.
#[cfg(unix)]
fn judge(folder: &Path) -> Result<(), String> {
    let us = rustix::process::geteuid().as_raw();
    let ours = [Some(folder), folder.parent()];
    for at in ours.into_iter().flatten() {
        let Ok(metadata) = fs::symlink_metadata(at) else { continue };
        let path = at.display();
        if metadata.is_symlink() {
            return Err(format!("{path} is a symbolic link: name the folder itself as var"));
        }
        if !metadata.is_dir() {
            return Err(format!("{path} is not a folder"));
        }
        owned(at, &metadata, &[us])?;
    }
    // The last folder's mode is set by us.
    for at in folder.ancestors().skip(1) {
        parent(at, us)?;
    }
    // Links among the parents lead elsewhere: the folders above the real one count too.
    let existing = folder.ancestors().skip(1).find_map(|at| fs::canonicalize(at).ok());
    existing.iter().flat_map(|real| real.ancestors()).try_for_each(|at| parent(at, us))
}

#[cfg(unix)]
fn parent(at: &Path, us: u32) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = fs::symlink_metadata(at) else { return Ok(()) };
    owned(at, &metadata, &[us, 0])?;
    let (mode, path) = (metadata.mode(), at.display());
    // Many systems give each user a group of the same number and let it write to what the user makes.
    let own_group = us != 0 && metadata.gid() == us && mode & 0o002 == 0;
    let sticky = mode & 0o1000 != 0;
    if metadata.is_dir() && mode & OTHERS_WRITE != 0 && !sticky && !own_group {
        return Err(format!("{path} may be written to by other users (mode {:o}): chmod go-w {path}", mode & 0o7777));
    }
    Ok(())
}

#[cfg(unix)]
fn owned(at: &Path, metadata: &Metadata, owners: &[u32]) -> Result<(), String> {
    let owner = std::os::unix::fs::MetadataExt::uid(metadata);
    let us = rustix::process::geteuid().as_raw();
    if owners.contains(&owner) {
        return Ok(());
    }
    let path = at.display();
    Err(format!(
        "{path} belongs to user {owner}, the cashier runs as user {us}: chown it, run the cashier as its owner, or set another var"
    ))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[expect(clippy::unwrap_used, reason = "a test may fail loudly")]
    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn c7_a_folder_that_is_a_link_or_a_file_is_refused_by_name_and_its_target_unchanged() {
        let temporary = tempfile::tempdir().unwrap();
        let (var, target) = (temporary.path().join("var"), temporary.path().join("target"));
        fs::create_dir(&target).unwrap();
        mode(&target, 0o750);
        for link in [var.clone(), var.join("modules")] {
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(&target, &link).unwrap();
            let refused = prepare(&var.join("modules")).unwrap_err();
            assert_eq!(refused, format!("{} is a symbolic link: name the folder itself as var", link.display()));
            assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o750);
            assert_eq!(fs::read_dir(&target).unwrap().count(), 0, "nothing is made in the target");
            fs::remove_file(&link).unwrap();
        }
        fs::write(var.join("modules"), "").unwrap();
        assert!(prepare(&var.join("modules")).unwrap_err().ends_with("var/modules is not a folder"));
    }

    #[test]
    fn c7_a_parent_that_others_may_write_to_is_refused_by_name_unless_it_is_sticky() {
        let temporary = tempfile::tempdir().unwrap();
        let (parent, folder) = (temporary.path().join("a"), temporary.path().join("a/var/modules"));
        fs::create_dir(&parent).unwrap();
        for refused in [0o777, 0o702] {
            mode(&parent, refused);
            let path = parent.display();
            let expected = format!("{path} may be written to by other users (mode {refused:o}): chmod go-w {path}");
            assert_eq!(prepare(&folder), Err(expected));
            assert!(!folder.exists());
        }
        mode(&parent, 0o1777);
        prepare(&folder).unwrap();
        mode(&folder, 0o777);
        prepare(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700, "our own is restricted");
        mode(&parent.join("var"), 0o707);
        assert!(prepare(&folder).unwrap_err().contains("a/var may be written to by other users (mode 707)"));
    }

    #[test]
    fn c7_a_parent_that_is_a_link_is_followed_and_the_folders_above_its_target_are_judged() {
        let temporary = tempfile::tempdir().unwrap();
        let (open, link) = (temporary.path().join("open"), temporary.path().join("link"));
        fs::create_dir_all(open.join("home")).unwrap();
        symlink(open.join("home"), &link).unwrap();
        prepare(&link.join("var/modules")).unwrap();
        mode(&open, 0o777);
        assert!(prepare(&link.join("var/modules")).unwrap_err().contains("open may be written to by other users"));
    }

    #[test]
    fn c7_a_folder_of_another_user_is_refused_by_name() {
        if !rustix::process::geteuid().is_root() {
            return; // Only root can give a folder away.
        }
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("var/modules");
        prepare(&folder).unwrap();
        for at in [folder.as_path(), folder.parent().unwrap()] {
            std::os::unix::fs::chown(at, Some(65_533), None).unwrap();
            let refused = prepare(&folder).unwrap_err();
            let expected = format!("{} belongs to user 65533, the cashier runs as user 0: chown", at.display());
            assert!(refused.starts_with(&expected), "{refused}");
            std::os::unix::fs::chown(at, Some(0), None).unwrap();
        }
    }
}
