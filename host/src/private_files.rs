//! Files and folders that their owner alone can read: databases, their locks, keys of a demo. It does not know what is
//! written into them; copies of modules are made in `plugins/library`, because they are executable.

use std::fs::{DirBuilder, File};
use std::path::Path;

use crate::ports::Fault;

/// Opens a file for reading and writing, made if there is none, with its content kept. One that others could read before
/// is closed to them. SQLite gives its log the mode of the database.
pub(crate) fn open(path: &Path) -> Result<File, Fault> {
    let trouble = |error| Fault::new(format!("cannot open {}: {error}", path.display()));
    let mut options = File::options();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(trouble)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)).map_err(trouble)?;
    file.sync_all().map_err(trouble)?;
    Ok(file)
}

/// Makes a folder and those above it, each open to its owner alone; what is there already stays as it is, because an
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
    fn what_was_open_to_others_is_closed_and_keeps_its_content() {
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let room = tempfile::tempdir().unwrap();
        let folder = room.path().join("a/b");
        create_folder(&folder).unwrap();
        let path = folder.join("trading.db");
        std::fs::write(&path, "rows").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        drop(open(&path).unwrap());
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "rows");
    }
}
