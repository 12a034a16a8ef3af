//! Files and folders that only their owner can read: databases, their locks, keys of a demo. It does not know their content.
//! Copies of modules are made in `plugins/loading/library.rs`, because they are executable.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::ports::Fault;

/// Opens a file for reading and writing, creates it if it is missing, keeps its content. Access of other users is removed. A
/// link is refused: what it leads to would be changed. SQLite gives its log the mode of the database.
pub(crate) fn open(path: &Path) -> Result<File, Fault> {
    let failed = |error| Fault::new(format!("cannot open {}: {error}", path.display()));
    let mut options = File::options();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open_no_link(path).map_err(failed)?;
    if has_other_names(&file.metadata().map_err(failed)?) {
        return Err(failed(std::io::Error::other(HARD_LINK)));
    }
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(file)
}

const HARD_LINK: &str = "it is a hard link: the file has another name too";

fn has_other_names(file: &std::fs::Metadata) -> bool {
    #[cfg(unix)]
    return file.is_file() && std::os::unix::fs::MetadataExt::nlink(file) > 1;
    #[cfg(not(unix))]
    return false;
}

/// Opens the file of a database as [`open`] does. Links in place of the files that SQLite makes beside it are refused too.
pub(crate) fn open_database(path: &Path) -> Result<File, Fault> {
    refuse_links(path)?;
    open(path)
}

/// Whether a database and its log are no links, and have no other name. SQLite follows a link to the database itself, and
/// opens its log without following one, but does not say why it cannot.
pub(crate) fn refuse_links(database: &Path) -> Result<(), Fault> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut file = database.as_os_str().to_owned();
        file.push(suffix);
        let file = Path::new(&file);
        let what = match std::fs::symlink_metadata(file) {
            Ok(metadata) if metadata.is_symlink() => "it is a symbolic link",
            Ok(metadata) if has_other_names(&metadata) => HARD_LINK,
            // A file that is not there is no link; what else is wrong is said by whoever opens it.
            Ok(_) | Err(_) => continue,
        };
        return Err(Fault::new(format!("cannot open {}: {what}", file.display())));
    }
    Ok(())
}

/// The path by which SQLite opens a database without following a link: it refuses links in the folder's path too, which an
/// operator may have, so that they are resolved here.
pub(crate) fn without_links(database: &Path) -> Result<PathBuf, Fault> {
    refuse_links(database)?;
    let (Some(folder), Some(name)) = (database.parent(), database.file_name()) else { return Ok(database.to_owned()) };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let folder = folder.canonicalize();
    folder.map(|it| it.join(name)).map_err(|error| Fault::new(format!("cannot open {}: {error}", database.display())))
}

/// Replaces a file by a text, durably: after a crash it has the text before or this one.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), Fault> {
    let failed = |error: std::io::Error| Fault::new(format!("cannot write {}: {error}", path.display()));
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    let mut file = create(Path::new(&draft)).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&draft, path).map_err(failed)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// Opens a file for reading, as it is; not a link, and not what another user may have placed.
pub(crate) fn open_to_read(path: &Path) -> std::io::Result<File> {
    let file = File::options().read(true).open_no_link(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let us = rustix::process::geteuid();
        // Root reads what it does not own: a command of the operator beside a server of another user.
        if metadata.uid() != us.as_raw() && metadata.uid() != 0 && !us.is_root() {
            return Err(std::io::Error::other(format!("it belongs to user {}", metadata.uid())));
        }
    }
    Ok(file)
}

/// Opening without following a link at the end of the path.
trait OpenNoLink {
    fn open_no_link(&mut self, path: &Path) -> std::io::Result<File>;
}

impl OpenNoLink for OpenOptions {
    fn open_no_link(&mut self, path: &Path) -> std::io::Result<File> {
        // A pipe in its place is refused, not waited for.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(self, libc::O_NOFOLLOW | libc::O_NONBLOCK);
        self.open(path).map_err(|error| match std::fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_symlink() => std::io::Error::other("it is a symbolic link"),
            Ok(_) | Err(_) => error,
        })
    }
}

/// Creates a file for writing in place of whatever has this name. What root creates belongs to the owner of the folder:
/// an operator's command must not lock the server out.
pub(crate) fn create(path: &Path) -> std::io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = File::options();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    if rustix::process::geteuid().is_root()
        && let Some(folder) = path.parent()
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let owner = std::fs::metadata(folder)?;
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(file)
}

/// Creates a folder and its parents, each accessible to its owner only; a folder that exists keeps its mode, because an
/// operator may share it on purpose.
pub(crate) fn create_folder(folder: &Path) -> Result<(), Fault> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| Fault::new(format!("cannot create {}: {error}", folder.display())))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn k6_a_file_that_is_a_link_is_refused_and_its_target_unchanged() {
        let parent = tempfile::tempdir().unwrap();
        let (target, link) = (parent.path().join("target"), parent.path().join("cashier.lock"));
        std::fs::write(&target, "content").unwrap();
        std::fs::set_permissions(&target, PermissionsExt::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let refused = open(&link).unwrap_err().what;
        assert_eq!(refused, format!("cannot open {}: it is a symbolic link", link.display()));
        assert_eq!(open_to_read(&link).unwrap_err().to_string(), "it is a symbolic link");
        assert_eq!(std::fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o644);
        assert!(open_to_read(parent.path()).is_err());
    }

    #[test]
    fn k6_a_file_that_has_another_name_too_is_refused_and_unchanged() {
        let parent = tempfile::tempdir().unwrap();
        let (target, link) = (parent.path().join("target"), parent.path().join("cashier.lock"));
        std::fs::write(&target, "content").unwrap();
        std::fs::set_permissions(&target, PermissionsExt::from_mode(0o644)).unwrap();
        std::fs::hard_link(&target, &link).unwrap();
        assert!(open(&link).unwrap_err().what.ends_with("it is a hard link: the file has another name too"));
        assert_eq!(std::fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o644);
        std::fs::remove_file(&target).unwrap();
        open(&link).unwrap();
    }

    #[test]
    fn k6_a_link_in_place_of_a_database_or_its_log_is_refused_by_name() {
        let parent = tempfile::tempdir().unwrap();
        let (target, database) = (parent.path().join("target"), parent.path().join("cashier.db"));
        std::fs::write(&target, "content").unwrap();
        drop(open_database(&database).unwrap());
        for suffix in ["-wal", "-shm", "-journal", ""] {
            let link = parent.path().join(format!("cashier.db{suffix}"));
            let _ = std::fs::remove_file(&link);
            // Another name of a file is none of its own.
            std::fs::hard_link(&target, &link).unwrap();
            for refused in [refuse_links(&database), open_database(&database).map(drop)] {
                let expected = format!("cannot open {}: {HARD_LINK}", link.display());
                assert_eq!(refused.unwrap_err().what, expected);
            }
            std::fs::remove_file(&link).unwrap();
            // A link to nothing is one as well.
            for leads_to in [target.as_path(), Path::new("absent")] {
                std::os::unix::fs::symlink(leads_to, &link).unwrap();
                let refused = open_database(&database).unwrap_err().what;
                assert_eq!(refused, format!("cannot open {}: it is a symbolic link", link.display()));
                std::fs::remove_file(&link).unwrap();
            }
        }
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "content");
        assert!(!parent.path().join("absent").exists());
    }

    #[test]
    fn k6_sqlite_itself_follows_no_link_in_place_of_its_log() {
        for suffix in ["-wal", "-shm"] {
            let parent = tempfile::tempdir().unwrap();
            let (target, database) = (parent.path().join("target"), parent.path().join("cashier.db"));
            std::fs::write(&target, "content").unwrap();
            let write = |text: &str| rusqlite::Connection::open(&database).and_then(|it| it.execute_batch(text));
            write("PRAGMA journal_mode = WAL; CREATE TABLE t (x)").unwrap();
            std::os::unix::fs::symlink(&target, parent.path().join(format!("cashier.db{suffix}"))).unwrap();
            assert!(write("INSERT INTO t VALUES (1)").is_err(), "{suffix}");
            assert_eq!(std::fs::read_to_string(&target).unwrap(), "content", "{suffix}");
        }
    }

    #[test]
    fn opening_a_file_removes_access_of_others_and_keeps_its_content() {
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        create_folder(&folder).unwrap();
        let path = folder.join("trading.db");
        std::fs::write(&path, "rows").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        drop(open(&path).unwrap());
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "rows");
    }
}
