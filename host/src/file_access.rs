//! Which other users may read or change a file that the cashier trusts. Links are followed and their targets judged, because
//! containers mount secrets behind links. It changes nothing; what follows from a sentence is the caller's.

use std::path::Path;

/// Who may use a file besides this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileUse {
    /// A key: nobody else.
    Secret,
    /// They may, but not change it.
    Public,
}

/// What is wrong with the permissions of a file and the folders above it, with the line that mends it; nothing about a file that
/// is missing. On systems without such permissions nothing is wrong.
pub(crate) fn judge(path: &Path, content: FileUse) -> Option<String> {
    #[cfg(unix)]
    return unix::judge(path, content);
    #[cfg(not(unix))]
    {
        let _ = (path, content);
        None
    }
}

#[cfg(unix)]
mod unix {
    use std::fs::Metadata;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use rustix::process::{getegid, geteuid, getgroups};

    use super::FileUse;

    pub(super) fn judge(path: &Path, content: FileUse) -> Option<String> {
        let real = std::fs::canonicalize(path).ok()?;
        let metadata = std::fs::metadata(&real).ok()?;
        // A link may be replaced where it is, and its target where that is.
        let above = [Some(real.as_path()), path.is_symlink().then_some(path)];
        let mut folders = above.into_iter().flatten().flat_map(|at| at.ancestors().skip(1));
        file(&real, &metadata, content).or_else(|| folders.find_map(folder))
    }

    /// Group bits matter unless the group is this user alone, as many systems give each user one of the same number.
    fn others(metadata: &Metadata) -> u32 {
        let us = geteuid().as_raw();
        let own_group = us != 0 && metadata.gid() == us;
        if own_group { 0o007 } else { 0o077 }
    }

    fn handed_over(metadata: &Metadata) -> bool {
        let mut groups: Vec<u32> = getgroups().unwrap_or_default().iter().map(|group| group.as_raw()).collect();
        groups.push(getegid().as_raw());
        is_handed_over((metadata.uid(), metadata.gid()), geteuid().as_raw(), &groups)
    }

    /// Root's file that this user reads by its group: what a supervisor or a container hands over. Root itself reads every file,
    /// so that of its groups only its own counts.
    pub(super) fn is_handed_over((owner, group): (u32, u32), us: u32, our_groups: &[u32]) -> bool {
        owner == 0 && if us == 0 { group == 0 } else { our_groups.contains(&group) }
    }

    fn file(path: &Path, metadata: &Metadata, content: FileUse) -> Option<String> {
        let us = geteuid();
        let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
        let shown = quoted(path);
        if owner != us.as_raw() && owner != 0 {
            return Some(format!("{shown} belongs to user {owner}, who may change it: chown {} {shown}", us.as_raw()));
        }
        let handed_over = handed_over(metadata);
        let reading = match content {
            FileUse::Secret if handed_over => 0o004,
            FileUse::Secret => 0o044,
            FileUse::Public => 0,
        };
        if mode & (reading | 0o022) & others(metadata) == 0 {
            return None;
        }
        let cure = match content {
            FileUse::Public => format!("chmod go-w {shown}"),
            FileUse::Secret if owner == us.as_raw() || us.is_root() => format!("chmod 600 {shown}"),
            FileUse::Secret if handed_over => format!("chmod 640 {shown}"),
            FileUse::Secret => format!("chown {} {shown} && chmod 600 {shown}", us.as_raw()),
        };
        let what = if mode & 0o022 & others(metadata) != 0 { "changed" } else { "read" };
        Some(format!("{shown} may be {what} by other users (mode {mode:03o}): {cure}"))
    }

    /// Whoever writes to a folder replaces what is in it, unless it is sticky.
    fn folder(path: &Path) -> Option<String> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let metadata = std::fs::metadata(path).ok()?;
        let (us, owner, mode) = (geteuid().as_raw(), metadata.uid(), metadata.mode() & 0o7777);
        let shown = quoted(path);
        if owner != us && owner != 0 {
            return Some(format!("the folder {shown} belongs to user {owner}, who may replace what is in it"));
        }
        let open = mode & 0o022 & others(&metadata) != 0 && mode & 0o1000 == 0;
        open.then(|| {
            format!(
                "the folder {shown} may be written to by other users (mode {mode:03o}), who may replace what is in it: \
                 chmod go-w {shown}"
            )
        })
    }

    /// As a shell takes it.
    fn quoted(path: &Path) -> String {
        let text = path.display().to_string();
        let plain = |letter: char| letter.is_alphanumeric() || "/._-+@%".contains(letter);
        if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[expect(clippy::unwrap_used, reason = "a test may fail loudly")]
    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn k2_a_key_that_others_may_read_is_named_with_the_line_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = std::fs::canonicalize(folder.path()).unwrap();
        let path = folder.join("session.key");
        std::fs::write(&path, "1:00").unwrap();
        let shown = path.display();
        let read = |mode: &str| Some(format!("{shown} may be read by other users (mode {mode}): chmod 600 {shown}"));
        let changed = |mode: &str, cure: &str| {
            Some(format!("{shown} may be changed by other users (mode {mode}): chmod {cure} {shown}"))
        };
        let table = [
            (0o600, None, None),
            (0o400, None, None),
            (0o644, read("644"), None),
            (0o604, read("604"), None),
            (0o444, read("444"), None),
            (0o602, changed("602", "600"), changed("602", "go-w")),
            (0o666, changed("666", "600"), changed("666", "go-w")),
        ];
        for (bits, secret, public) in table {
            mode(&path, bits);
            assert_eq!(judge(&path, FileUse::Secret), secret, "{bits:o}");
            assert_eq!(judge(&path, FileUse::Public), public, "{bits:o}");
        }
        assert_eq!(judge(&folder.join("absent"), FileUse::Secret), None);
    }

    #[test]
    fn k2_a_secret_of_root_may_be_read_by_the_group_it_is_handed_over_to() {
        let cashier = 10_001;
        for (file, us, groups, expected) in [
            ((0, 10_001), cashier, &[10_001][..], true),
            ((0, 2_000), cashier, &[10_001, 2_000], true),
            ((0, 0), cashier, &[0], true),
            ((0, 0), cashier, &[10_001], false),
            ((10_001, 2_000), cashier, &[2_000], false),
            ((0, 0), 0, &[0], true),
            ((0, 4), 0, &[0, 4], false),
            ((10_001, 0), 0, &[0], false),
        ] {
            assert_eq!(unix::is_handed_over(file, us, groups), expected, "{file:?} {us} {groups:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = std::fs::canonicalize(folder.path()).unwrap().join("session.key");
        std::fs::write(&path, "1:00").unwrap();
        // Where the group has the number of the user, as for root in a container.
        let ids = std::fs::metadata(&path).map(|known| (known.uid(), known.gid())).unwrap();
        mode(&path, 0o440);
        assert_eq!(judge(&path, FileUse::Secret).is_none(), ids.0 == ids.1);
        mode(&path, 0o660);
        assert_eq!(judge(&path, FileUse::Secret).is_none(), ids.0 == ids.1 && ids.0 != 0);
    }

    #[test]
    fn k2_behind_links_the_target_is_judged_and_the_folders_of_both() {
        let folder = tempfile::tempdir().unwrap();
        let folder = std::fs::canonicalize(folder.path()).unwrap();
        let (mounted, target, link) = (folder.join("..2026"), folder.join("..2026/key"), folder.join("it's.key"));
        std::fs::create_dir(&mounted).unwrap();
        std::fs::write(&target, "1:00").unwrap();
        symlink("..2026/key", &link).unwrap();
        mode(&target, 0o444);
        let target_line = judge(&link, FileUse::Secret).unwrap();
        assert!(target_line.ends_with(&format!("chmod 600 {}", target.display())), "{target_line}");
        mode(&target, 0o400);
        assert_eq!(judge(&link, FileUse::Secret), None);
        for (open, sticky) in [(mounted.clone(), false), (mounted, true)] {
            mode(&open, if sticky { 0o1777 } else { 0o777 });
            let judged = judge(&link, FileUse::Public);
            let shown = open.display();
            let line = format!(
                "the folder {shown} may be written to by other users (mode 777), who may replace what is in it: chmod go-w {shown}"
            );
            assert_eq!(judged, (!sticky).then_some(line));
            mode(&open, 0o700);
        }
        mode(&folder, 0o757);
        assert!(judge(&link, FileUse::Public).unwrap().contains("mode 757"));
        mode(&folder, 0o700);
        let spaced = folder.join("a key's file");
        std::fs::write(&spaced, "").unwrap();
        mode(&spaced, 0o644);
        assert!(judge(&spaced, FileUse::Secret).unwrap().ends_with(r"a key'\''s file'"));
    }
}
