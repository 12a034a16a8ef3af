//! Files and folders that only their owner can read: databases, their locks, keys of a demo. It does not know their content.
//! Copies of modules are made in `plugins/loading/library.rs`, because they are executable.

use std::fs::{DirBuilder, File};
use std::path::Path;

use crate::ports::Fault;

/// Opens a file for reading and writing, creates it if it is missing, keeps its content. Access of other users is removed.
/// SQLite gives its log the mode of the database.
pub(crate) fn open(path: &Path) -> Result<File, Fault> {
    let failed = |error| Fault::new(format!("cannot open {}: {error}", path.display()));
    let mut options = File::options();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(failed)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)).map_err(failed)?;
    file.sync_all().map_err(failed)?;
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
