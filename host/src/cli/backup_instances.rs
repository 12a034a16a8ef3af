//! What a backup of the databases has beside them: the instance of each trading server elsewhere, and the protocol of its name. Without
//! them, restored books would take any server behind the same name for the one that knows their keys. It reads no database.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use cashier_core::ids::ServerName;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::ports::Fault;
use crate::private_files;

/// What the names of these files begin with, before that of the server.
const PREFIXES: [&str; 3] = ["trading_instance.", "trading_kind.", "trading_differs."];

const MANIFEST: &str = "manifest.json";

/// Copies the files about trading servers into a backup that was made, and names them in its manifest; returns that.
pub(super) fn add(bases: &Path, folder: &Path, manifest: String) -> Result<String, Fault> {
    let failed = |error: io::Error| Fault::new(format!("cannot use {}: {error}", folder.display()));
    let names = names_in(bases).map_err(|error| Fault::new(format!("cannot read {}: {error}", bases.display())))?;
    if names.is_empty() {
        return Ok(manifest);
    }
    let mut manifest: Value = serde_json::from_str(&manifest).map_err(|error| Fault::new(error.to_string()))?;
    // Without it, the folder is no backup until it is whole.
    std::fs::remove_file(folder.join(MANIFEST)).map_err(failed)?;
    for name in names {
        let content = std::fs::read(bases.join(&name)).map_err(failed)?;
        written(&folder.join(&name), &content).map_err(failed)?;
        let row = json!({"name": name, "bytes": content.len(), "sha256": hex::encode(Sha256::digest(&content))});
        if let Some(files) = manifest.get_mut("files").and_then(Value::as_array_mut) {
            files.push(row);
        }
    }
    let manifest = serde_json::to_string_pretty(&manifest).map_err(|error| Fault::new(error.to_string()))?;
    written(&folder.join(MANIFEST), manifest.as_bytes()).map_err(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(manifest)
}

/// In order, so that the same files make the same manifest. A draft has no name of a server.
fn names_in(bases: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(bases)? {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        let mut servers = PREFIXES.iter().filter_map(|prefix| name.strip_prefix(prefix));
        if servers.any(|server| ServerName::read(server).is_some()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn written(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = private_files::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trading::http::InstanceFile;

    #[test]
    fn the_instances_of_trading_servers_are_in_a_backup_and_in_its_manifest() {
        let (bases, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let manifest = r#"{"identity":"x","files":[{"name":"cashier.db"}]}"#;
        assert_eq!(add(bases.path(), folder.path(), manifest.into()).unwrap(), manifest, "nothing is beside them");
        for server in ["main", "spare"] {
            let file = InstanceFile::of(bases.path(), &ServerName::read(server).unwrap());
            file.write(&format!("i-{server}")).unwrap();
        }
        std::fs::write(bases.path().join("trading_kind.main"), "http\n").unwrap();
        std::fs::write(bases.path().join("trading_differs.main"), "").unwrap();
        // What a crash left of a file that was being replaced.
        std::fs::write(bases.path().join("trading_instance.main.draft"), "i-9").unwrap();
        std::fs::write(folder.path().join(MANIFEST), manifest).unwrap();
        let whole: Value = serde_json::from_str(&add(bases.path(), folder.path(), manifest.into()).unwrap()).unwrap();
        let kept: Value = serde_json::from_slice(&std::fs::read(folder.path().join(MANIFEST)).unwrap()).unwrap();
        assert_eq!(whole, kept);
        let names: Vec<&str> =
            whole["files"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
        let instances = ["trading_instance.main", "trading_instance.spare", "trading_kind.main"];
        assert_eq!(names, [&["cashier.db", "trading_differs.main"], &instances[..]].concat());
        let row = &whole["files"][2];
        let expected = hex::encode(Sha256::digest("i-main\n"));
        assert_eq!((row["bytes"].as_u64(), row["sha256"].as_str()), (Some(7), Some(&*expected)));
        // Put back, they are what the cashier compares with.
        let restored = InstanceFile::of(folder.path(), &ServerName::read("spare").unwrap());
        assert_eq!(restored.read().unwrap().as_deref(), Some("i-spare"));
    }

    #[test]
    fn a_backup_without_its_instances_is_none() {
        let (bases, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let manifest = r#"{"files":[]}"#;
        InstanceFile::of(bases.path(), &ServerName::read("main").unwrap()).write("i-1").unwrap();
        std::fs::write(folder.path().join(MANIFEST), manifest).unwrap();
        // Something is in its way.
        std::fs::create_dir(folder.path().join("trading_instance.main")).unwrap();
        assert!(add(bases.path(), folder.path(), manifest.into()).is_err());
        assert!(!folder.path().join(MANIFEST).exists());
    }
}
