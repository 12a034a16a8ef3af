//! Which builds are refused and which notices are barred, both derived from one list of calls that ended the process, kept in
//! `var/quarantine.json`. It knows builds by their hash: a newer one is another. It does not open modules.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ended_call::{CallEntry, EndedCall};
use crate::ports::Fault;
use crate::private_files;

const FILE_NAME: &str = "quarantine.json";

/// Its successor while it is written; a kill or a full disk leaves it behind.
pub(in crate::plugins) const DRAFT_NAME: &str = "quarantine.json.draft";

/// Calls that are kept; the oldest is dropped. Each is a crash of the whole process, so this is years of them.
const ENDED_CALLS_MAX: usize = 256;

/// Different notices that end the process before their build is refused: one body must not switch a provider off.
const BARRED_NOTICES_MAX: usize = 3;

/// Bytes of the file that are read: the longest records there are.
const QUARANTINE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The calls that ended the process, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::plugins) struct ModuleQuarantine {
    calls: Vec<EndedCall>,
}

impl ModuleQuarantine {
    /// The calls that are kept in `var`. A file that cannot be read refuses nothing: a build that ends the process does so
    /// once more and is found again.
    pub(in crate::plugins) fn read_or_empty(var: &Path) -> Self {
        Self::read(var).unwrap_or_else(|fault| {
            tracing::error!(%fault, "the quarantine of modules cannot be read: no build is refused");
            Self::default()
        })
    }

    /// The same, or why it cannot be read.
    pub(in crate::plugins) fn read(var: &Path) -> Result<Self, Fault> {
        let path = var.join(FILE_NAME);
        let failed = |reason: String| Fault::new(format!("{}: {reason}", path.display()));
        let file = match private_files::open_to_read(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error.to_string())),
        };
        let mut text = String::new();
        file.take(QUARANTINE_BYTES_MAX).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
    }

    /// Replaces the file as a whole, durably.
    pub(super) fn write(&self, var: &Path) -> Result<(), Fault> {
        let (path, draft) = (var.join(FILE_NAME), var.join(DRAFT_NAME));
        let failed = |error: std::io::Error| Fault::new(format!("{}: {error}", path.display()));
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        let mut file = private_files::create(&draft).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.sync_all().and_then(|()| std::fs::rename(&draft, &path)).map_err(failed)?;
        std::fs::File::open(var).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    pub(super) fn add(&mut self, found: impl IntoIterator<Item = EndedCall>) {
        for call in found {
            self.calls.retain(|known| !known.repeats(&call));
            self.calls.push(call);
        }
        let excess = self.calls.len().saturating_sub(ENDED_CALLS_MAX);
        self.calls.drain(..excess);
    }

    /// The call for which a build is refused: any but a normalize call, or the newest of several different notices.
    pub(in crate::plugins) fn refuses(&self, build: &str) -> Option<&EndedCall> {
        let of_build = || self.calls.iter().filter(|call| call.build == build);
        if let Some(call) = of_build().rfind(|call| call.entry != CallEntry::NormalizeStatus) {
            return Some(call);
        }
        let notices: BTreeSet<&str> = of_build().filter_map(notice_of).collect();
        if notices.len() >= BARRED_NOTICES_MAX { of_build().next_back() } else { None }
    }

    /// Whether any notice is barred for a build: only then a notice's digest is worth making.
    pub(in crate::plugins) fn bars_any(&self, build: &str) -> bool {
        self.calls.iter().any(|call| call.build == build && notice_of(call).is_some())
    }

    /// The call that a notice of this digest ended the process in, under this build.
    pub(in crate::plugins) fn bars(&self, build: &str, digest: &str) -> Option<&EndedCall> {
        self.calls.iter().find(|call| call.build == build && notice_of(call) == Some(digest))
    }

    /// The calls that are kept.
    pub(in crate::plugins) fn calls(&self) -> &[EndedCall] {
        &self.calls
    }
}

fn notice_of(call: &EndedCall) -> Option<&str> {
    call.notice.as_ref().filter(|_| call.entry == CallEntry::NormalizeStatus).map(|notice| &*notice.sha256)
}

/// Ends the quarantine of every build of a provider code, and bars none of its notices any more. A running server takes it at
/// its next start.
///
/// # Errors
/// The file cannot be read or written. `Ok` has the calls that were released, one sentence each.
pub fn release(var: &Path, code: &str) -> Result<Vec<String>, Fault> {
    let mut quarantine = ModuleQuarantine::read(var)?;
    let released: Vec<String> =
        quarantine.calls.iter().filter(|call| call.code == code).map(EndedCall::to_string).collect();
    if !released.is_empty() {
        quarantine.calls.retain(|call| call.code != code);
        quarantine.write(var)?;
    }
    Ok(released)
}
