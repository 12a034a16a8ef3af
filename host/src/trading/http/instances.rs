//! Which database of postings a trading server had, kept across restarts in a file of the bases: one that was begun anew, or a copy
//! behind the same name, knows none of the keys. It judges what is stated and asks nobody.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cashier_core::ids::ServerName;

use super::values::is_mark;
use crate::ports::Fault;
use crate::private_files;

/// Bytes that are read: an instance has at most 64.
const INSTANCE_FILE_BYTES: u64 = 256;

/// The file of one server. Each has its own, so that a command beside the running cashier replaces no other server's.
#[derive(Debug, Clone)]
pub struct InstanceFile {
    server: ServerName,
    path: PathBuf,
    /// Calls that begin together all learn the instance: the first one records it, the others compare theirs with it.
    admitting: Arc<Mutex<()>>,
}

impl InstanceFile {
    pub fn of(bases: &Path, server: &ServerName) -> Self {
        Self {
            server: server.clone(),
            path: bases.join(format!("trading_instance.{server}")),
            admitting: Arc::default(),
        }
    }

    /// The instance that postings were sent to.
    ///
    /// # Errors
    /// The file cannot be read, or has no instance.
    pub fn read(&self) -> Result<Option<Box<str>>, Fault> {
        let failed = |why: String| Fault::new(format!("cannot read {}: {why}", self.path.display()));
        let file = match private_files::open_to_read(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error.to_string())),
        };
        let mut text = String::new();
        file.take(INSTANCE_FILE_BYTES).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
        match text.trim_end() {
            instance if is_instance(instance) => Ok(Some(instance.into())),
            _ => Err(failed("there is no instance in it".to_owned())),
        }
    }

    /// Replaces it durably: after a crash it has the instance before or this one.
    ///
    /// # Errors
    /// It is no instance, or the file cannot be written.
    pub fn write(&self, instance: &str) -> Result<(), Fault> {
        if !is_instance(instance) {
            return Err(Fault::new("an instance has 1 to 64 of A-Z a-z 0-9 - _"));
        }
        private_files::replace(&self.path, &format!("{instance}\n"))
    }

    /// Judges the instance that the server states. The first one is recorded before anything is sent to it.
    pub(super) fn admit(&self, stated: &str) -> Result<(), Fault> {
        // Nothing is half done under the lock: the file is replaced as a whole.
        let _admitting = self.admitting.lock().unwrap_or_else(PoisonError::into_inner);
        match self.read()? {
            None => self.write(stated),
            Some(before) if &*before == stated => Ok(()),
            Some(before) => Err(Fault::new(format!(
                "it has another database of postings than before (instance {stated}, before {before}): restore it, or accept \
                 it with `cashier trading accept-instance {} {stated}`",
                self.server
            ))),
        }
    }
}

pub(super) fn is_instance(text: &str) -> bool {
    !text.is_empty() && is_mark(text)
}
