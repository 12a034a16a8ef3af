//! `cashier db backup DIR`: both databases at one point, while the server runs, with a manifest. Writing to cashier.db is held
//! while the moments of both are fixed, trading.db's last: every posting that the copied books claim is in the copied
//! postings, and a posting that they do not have as posted is of an operation that they have planned.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use cashier_core::time::UnixTime;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::ports::Fault;
use crate::private_files;
use crate::strand::backup::{DatabaseSnapshot, WriteHold};

const BOOKS: &str = "cashier.db";
const POSTINGS: &str = "trading.db";
const MANIFEST: &str = "manifest.json";

/// Copies the databases of `bases` into a new or empty folder; returns the manifest.
pub fn backup(bases: &Path, folder: &Path, now: UnixTime) -> Result<String, Fault> {
    private_files::create_folder(folder)?;
    let failed = |error: io::Error| Fault::new(format!("cannot use {}: {error}", folder.display()));
    if std::fs::read_dir(folder).map_err(failed)?.next().is_some() {
        return Err(Fault::new(format!("{} is not empty: a backup gets a folder of its own", folder.display())));
    }
    let (books, postings) = (bases.join(BOOKS), bases.join(POSTINGS));
    let hold = WriteHold::take(&books)?;
    let books = DatabaseSnapshot::begin(&books)?;
    let postings = DatabaseSnapshot::begin(&postings)?;
    drop(hold);
    let identity = books.identity()?;
    let mut files = Vec::new();
    for (name, snapshot) in [(BOOKS, books), (POSTINGS, postings)] {
        let target = folder.join(name);
        snapshot.copy_to(&target)?;
        let (bytes, sha256) = hashed(&target).map_err(failed)?;
        files.push(json!({"name": name, "bytes": bytes, "sha256": sha256}));
    }
    let manifest = json!({"identity": &*identity, "made_time": now.0, "files": files});
    let manifest = serde_json::to_string_pretty(&manifest).map_err(|error| Fault::new(error.to_string()))?;
    // Last: a folder without it is no backup.
    let mut file = private_files::open(&folder.join(MANIFEST))?;
    let written = file.write_all(manifest.as_bytes()).and_then(|()| file.sync_all());
    written.and_then(|()| File::open(folder)?.sync_all()).map_err(failed)?;
    Ok(manifest)
}

fn hashed(path: &Path) -> io::Result<(u64, String)> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let (mut bytes, mut buffer) = (0, vec![0; 64 * 1024]);
    loop {
        let length = file.read(&mut buffer)?;
        let Some(read) = buffer.get(..length).filter(|read| !read.is_empty()) else { break };
        hash.update(read);
        bytes += read.len() as u64;
    }
    Ok((bytes, hex::encode(hash.finalize())))
}
