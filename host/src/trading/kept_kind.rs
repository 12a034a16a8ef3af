//! How each trading server elsewhere was reached, kept across restarts in a file of the bases: what was sent over one protocol is not
//! known to a server that speaks another one, and would be posted there again.

use std::io::ErrorKind;
use std::path::Path;

use cashier_core::ids::ServerName;

use crate::ports::Fault;
use crate::private_files;

/// Admits a server of the settings under the protocol that its name had in earlier runs; the first one is recorded.
///
/// # Errors
/// It had another protocol, or the file cannot be read or written.
pub fn admit(bases: &Path, server: &ServerName, protocol: &str) -> Result<(), Fault> {
    let path = bases.join(format!("trading_kind.{server}"));
    let failed = |error: std::io::Error| Fault::new(format!("cannot read {}: {error}", path.display()));
    match private_files::open_to_read(&path).and_then(std::io::read_to_string) {
        Ok(text) if text.trim_end() == protocol => Ok(()),
        Ok(text) => Err(Fault::new(format!(
            "it was reached over {} and now over {protocol}, where nothing is known of what was posted before: give this one \
             another name, and keep the earlier one with neither groups nor brands until nothing waits there; or remove {} \
             where it is the same server with the same postings and keys",
            text.trim_end().escape_default(),
            path.display()
        ))),
        Err(error) if error.kind() == ErrorKind::NotFound => private_files::replace(&path, &format!("{protocol}\n")),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_the_protocol_it_was_first_reached_over() {
        let folder = tempfile::tempdir().unwrap();
        let named = |name: &str, protocol| admit(folder.path(), &ServerName::read(name).unwrap(), protocol);
        for (name, protocol) in [("main", "tcp"), ("main", "tcp"), ("other", "http")] {
            assert_eq!(named(name, protocol), Ok(()));
        }
        let refused = named("main", "http").unwrap_err().to_string();
        let expected = "it was reached over tcp and now over http, where nothing is known of what was posted before";
        assert!(refused.starts_with(expected), "{refused}");
        assert_eq!(named("main", "tcp"), Ok(()), "a refusal changes nothing");
        std::fs::remove_file(folder.path().join("trading_kind.main")).unwrap();
        assert_eq!(named("main", "http"), Ok(()));
        let lost = admit(&folder.path().join("absent"), &ServerName::read("main").unwrap(), "tcp");
        assert!(lost.unwrap_err().to_string().contains("cannot write"));
    }
}
