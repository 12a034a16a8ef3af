//! What a value of the settings may be. Blanks and line ends around a text are nothing; what else is wrong is said after the
//! name of its key.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use cashier_core::edit::SecondPerson;
use zeroize::Zeroizing;

use super::wrong::Wrong;
use crate::key_file::KEY_FILE_BYTES_MAX;
use crate::text_file::{read_file_up_to, trimmed};
use crate::web_url;

/// Environment variables that carry keys where no file does.
pub const SESSION_KEYS_VARIABLE: &str = "CASHIER_SESSION_KEYS";
pub const SEAL_KEYS_VARIABLE: &str = "CASHIER_SEAL_KEYS";

/// The command that makes one line of a key file.
const MAKE_KEY: &str = r#"echo "1:$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')""#;

pub(super) fn address(key: &'static str, written: Option<String>, default: &str) -> Result<SocketAddr, Wrong> {
    let text = written.unwrap_or_else(|| default.to_owned());
    trimmed(&text)
        .parse()
        .map_err(|_| Wrong::new(key, format!("= {text:?} is not an address and a port such as \"{default}\"")))
}

/// A URL to which paths are added, without a slash at its end.
pub(super) fn base_url(key: &'static str, text: &str) -> Result<Box<str>, Wrong> {
    // What is wrong with a URL may be that it has a password, so the error does not repeat it.
    web_url::base(trimmed(text)).map_err(|problem| Wrong::new(key, problem))
}

/// A path, which starts at the folder of the settings file.
pub(super) fn path(key: &'static str, folder: &Path, written: PathBuf) -> Result<PathBuf, Wrong> {
    let Some(text) = written.to_str() else { return Ok(folder.join(written)) };
    let text = trimmed(text);
    if text.is_empty() {
        return Err(Wrong::new(key, "is empty: it must name a file or folder, or be left out"));
    }
    if text.chars().any(char::is_control) {
        return Err(Wrong::new(key, format!("= {text:?} has a control character")));
    }
    Ok(folder.join(text))
}

pub(super) fn names(key: &'static str, written: Option<Vec<String>>) -> Result<Vec<Box<str>>, Wrong> {
    let names = texts(key, written)?;
    Ok(names.into_iter().map(Box::from).collect())
}

pub(super) fn second_person(key: &'static str, written: Option<Vec<String>>) -> Result<SecondPerson, Wrong> {
    let names = texts(key, written)?;
    SecondPerson::from_names(names.iter().map(String::as_str)).map_err(|unknown| {
        let known = SecondPerson::NAMES.join(", ");
        Wrong::new(key, format!("names \"{unknown}\": it may name {known}"))
    })
}

/// The entries of a list of texts.
pub(super) fn texts(key: &'static str, written: Option<Vec<String>>) -> Result<Vec<String>, Wrong> {
    let entries: Vec<String> = written.into_iter().flatten().map(|text| trimmed(&text).to_owned()).collect();
    match entries.iter().find(|text| text.is_empty() || text.chars().any(char::is_control)) {
        Some(text) if text.is_empty() => Err(Wrong::new(key, "has an empty entry")),
        Some(text) => Err(Wrong::new(key, format!("has {text:?}, with a control character"))),
        None => Ok(entries),
    }
}

/// A certificate needs its key and the other way round.
pub(super) fn tls_files(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<(PathBuf, PathBuf)>, Wrong> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(Wrong::new("tls_certificate_file", "needs tls_key_file")),
        (None, Some(_)) => Err(Wrong::new("tls_key_file", "needs tls_certificate_file")),
    }
}

/// Keys from the file that the settings name, else from the environment; never from a default.
pub(super) fn keys(
    what: &str,
    key: &'static str,
    file: Option<PathBuf>,
    variable: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Zeroizing<String>, Wrong> {
    if let Some(path) = file {
        return read_file_up_to(&path, KEY_FILE_BYTES_MAX).map_err(|what| Wrong::new(key, what));
    }
    environment(variable).filter(|text| !trimmed(text).is_empty()).map(Zeroizing::new).ok_or_else(|| {
        Wrong::new(
            key,
            format!(
                "is not set, and there is no {what} key in {variable} either. One line `id:64 hex digits` is a key; make \
                 one with\n  (umask 077; {MAKE_KEY} > {what}.key)"
            ),
        )
    })
}

/// A file of keys with its setting, or the variable that stands in for it.
pub(super) fn key_source(setting: &str, file: Option<&Path>, variable: &str) -> String {
    file.map_or_else(|| variable.to_owned(), |path| format!("{setting} = {}", path.display()))
}
