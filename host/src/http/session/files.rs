//! The files that session keys come from: secrets, a JWK set, revoked tokens. Each is followed while the server runs: what is
//! added or removed counts with the next request.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

use super::keys::parse_keys;
use super::public_keys::parse_jwks;
use super::{SessionKeys, SessionRules};
use crate::file_access::FileUse;
use crate::followed_file::{FileRules, FollowedFile, Take, follow};
use crate::key_file::KEY_FILE_BYTES_MAX;
use crate::ports::{Clock, Fault};
use crate::reload_signal::ReloadAsked;
use crate::text_file::trimmed;

/// Tokens that are revoked at one time, and the size of their list: a token ends by itself, so that its line can go.
const REVOKED_TOKENS_MAX: usize = 100_000;
const REVOKED_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Where keys come from, as the settings say.
pub struct KeySources {
    /// The text of the secrets where no file is named.
    pub secrets: Zeroizing<String>,
    pub secrets_file: Option<PathBuf>,
    pub jwks_file: Option<PathBuf>,
    pub revoked_file: Option<PathBuf>,
    pub rules: SessionRules,
    /// Whether a file that other users may use is refused.
    pub strict: bool,
}

/// The files of session keys, to be followed.
pub struct KeyFiles(Vec<FollowedFile>);

impl KeyFiles {
    /// Follows them for ever.
    pub async fn follow(self, clock: Arc<dyn Clock>, asked: ReloadAsked) {
        follow(self.0, clock, asked).await;
    }
}

/// Reads the keys for the first time.
///
/// # Errors
/// A file cannot be read, understood, or is refused by its permissions; there is no key at all.
pub fn open(sources: KeySources) -> Result<(Arc<SessionKeys>, KeyFiles), Fault> {
    let KeySources { secrets, secrets_file, jwks_file, revoked_file, rules, strict } = sources;
    let keys = Arc::new(SessionKeys::default().with_rules(rules));
    let mut files = Vec::new();
    let mut open = |rules: FileRules, path: Option<PathBuf>, take: Take| {
        let Some(path) = path else { return Ok(()) };
        files.push(FollowedFile::open(rules, path, take, &keys.problems)?);
        Ok::<_, Fault>(())
    };
    let key_file = |setting, content, when_empty| FileRules {
        setting,
        content,
        bytes_max: KEY_FILE_BYTES_MAX,
        when_empty: Some(when_empty),
        strict,
    };
    if secrets_file.is_none() && !secrets.trim().is_empty() {
        keys.replace(parse_keys(&secrets)?)?;
    }
    let of_secrets =
        key_file("session_keys_file", FileUse::Secret, "has no keys: every token under its keys has ended");
    open(of_secrets, secrets_file, taking(&keys, |keys| &keys.secrets, parse_keys, Vec::len))?;
    let of_issuers =
        key_file("session_jwks_file", FileUse::Public, "has no keys: every token under its keys has ended");
    open(of_issuers, jwks_file, taking(&keys, |keys| &keys.public, parse_jwks, Vec::len))?;
    let of_revoked = FileRules {
        setting: "revoked_tokens_file",
        content: FileUse::Public,
        bytes_max: REVOKED_FILE_BYTES_MAX,
        when_empty: None,
        strict,
    };
    open(of_revoked, revoked_file, taking(&keys, |keys| &keys.revoked, parse_revoked, BTreeSet::len))?;
    if keys.secrets.load().is_empty() && keys.public.load().is_empty() {
        return Err(Fault::new("at least one session key is needed"));
    }
    Ok((keys, KeyFiles(files)))
}

/// Reads a text and stores what it holds, unless that is nothing and the caller does not believe it yet.
fn taking<T: Send + Sync + 'static>(
    keys: &Arc<SessionKeys>,
    cell: fn(&SessionKeys) -> &ArcSwap<T>,
    parse: fn(&str) -> Result<T, Fault>,
    count: fn(&T) -> usize,
) -> Take {
    let keys = Arc::clone(keys);
    Box::new(move |text, take_empty| {
        let read = parse(text)?;
        let count = count(&read);
        if count > 0 || take_empty {
            cell(&keys).store(Arc::new(read));
        }
        Ok(count)
    })
}

/// One `jti` a line; `#` begins a comment where it begins the line.
fn parse_revoked(text: &str) -> Result<BTreeSet<Box<str>>, Fault> {
    let lines = text.lines().map(trimmed).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let revoked: BTreeSet<Box<str>> = lines.map(Box::from).collect();
    if revoked.len() > REVOKED_TOKENS_MAX {
        return Err(Fault::new(format!("at most {REVOKED_TOKENS_MAX} tokens are revoked at one time")));
    }
    Ok(revoked)
}

#[cfg(test)]
mod tests;
