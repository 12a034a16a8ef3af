//! How often a program has files synced, by file: as the kernel is asked for it, so that no counter of the program's own is believed.
//! It measures no time: what is counted runs slower.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::BenchResult;

const TRACER: &str = "strace";

/// A program whose syncs are written down, one on each line of a file.
pub(crate) struct SyncTrace {
    file: PathBuf,
}

impl SyncTrace {
    /// `None` where no tracer is installed.
    pub(crate) fn into(folder: &Path) -> Option<Self> {
        let found = Command::new(TRACER).arg("-V").output().is_ok_and(|output| output.status.success());
        found.then(|| Self { file: folder.join("syncs") })
    }

    /// The command that runs a program so. It is the child itself, and the tracer its descendant.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(TRACER);
        command.args([
            "-D",
            "-f",
            "--seccomp-bpf",
            "-qq",
            "-y",
            "-e",
            "signal=none",
            "-e",
            "trace=fsync,fdatasync",
            "-o",
        ]);
        command.arg(&self.file).arg(program);
        command
    }

    /// Syncs so far, by the database that the file belongs to.
    pub(crate) fn count(&self) -> BenchResult<BTreeMap<String, u64>> {
        let mut counted = BTreeMap::new();
        for line in std::fs::read_to_string(&self.file)?.lines() {
            // `123 fdatasync(11</bases/cashier.db-wal>) = 0`; the end of an interrupted one is a line of its own.
            let Some((_, file)) = line.split_once("sync(").filter(|_| !line.contains(" resumed>")) else { continue };
            let path = file.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
            let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
            let of = [".db", ".image"].iter().find_map(|ends| Some(format!("{}{ends}", name.split_once(ends)?.0)));
            *counted.entry(of.unwrap_or_else(|| "other".to_owned())).or_default() += 1;
        }
        Ok(counted)
    }
}
