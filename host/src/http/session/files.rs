//! The files that session keys come from: secrets, a JWK set, revoked tokens. Each is followed while the server runs: what is
//! added counts with the next request, what is gone or altered when a second look finds the same.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

use super::claims::is_nameable;
use super::keys::parse_keys;
use super::public_keys::parse_jwks;
use super::{SessionKeys, SessionRules};
use crate::file_access::FileUse;
use crate::followed_file::{FileForm, FileRules, FollowedFile, Take, follow};
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
        form: FileForm::Text(KEY_FILE_BYTES_MAX),
        when_empty: Some(when_empty),
        strict,
    };
    if secrets_file.is_none() && !secrets.trim().is_empty() {
        keys.replace(parse_keys(&secrets)?)?;
    }
    let of_secrets =
        key_file("session_keys_file", FileUse::Secret, "has no keys: every token under its keys has ended");
    open(
        of_secrets,
        secrets_file,
        taking(&keys, |keys| &keys.secrets, parse_keys, |known, read| keys_first_seen(known, read)),
    )?;
    let of_issuers =
        key_file("session_jwks_file", FileUse::Public, "has no keys: every token under its keys has ended");
    open(
        of_issuers,
        jwks_file,
        taking(&keys, |keys| &keys.public, parse_jwks, |known, read| keys_first_seen(known, read)),
    )?;
    let of_revoked = FileRules {
        setting: "revoked_tokens_file",
        content: FileUse::Public,
        form: FileForm::Text(REVOKED_FILE_BYTES_MAX),
        when_empty: None,
        strict,
    };
    open(of_revoked, revoked_file, taking(&keys, |keys| &keys.revoked, parse_revoked, revoked_first_seen))?;
    if keys.secrets.load().is_empty() && keys.public.load().is_empty() {
        return Err(Fault::new("at least one session key is needed"));
    }
    Ok((keys, KeyFiles(files)))
}

/// What is taken of a content that is seen for the first time.
enum FirstSight<T> {
    Whole(T),
    /// What was known before, with what is new.
    Joined(T),
    Nothing,
}

/// Reads a text and stores what it holds; where the caller is not sure of it yet, what `first_seen` leaves of it.
fn taking<E, T>(
    keys: &Arc<SessionKeys>,
    cell: fn(&SessionKeys) -> &ArcSwap<T>,
    parse: fn(&str) -> Result<T, Fault>,
    first_seen: fn(&T, T) -> FirstSight<T>,
) -> Take
where
    E: 'static,
    T: Send + Sync + 'static,
    for<'t> &'t T: IntoIterator<Item = &'t E>,
{
    let keys = Arc::clone(keys);
    Box::new(move |text, is_sure| {
        let read = parse(text)?;
        let count = (&read).into_iter().count();
        let cell = cell(&keys);
        let seen = if is_sure { FirstSight::Whole(read) } else { first_seen(&cell.load(), read) };
        Ok(match seen {
            FirstSight::Whole(read) => {
                cell.store(Arc::new(read));
                Some(count)
            }
            FirstSight::Joined(both) => {
                cell.store(Arc::new(both));
                None
            }
            FirstSight::Nothing => None,
        })
    })
}

/// Keys are taken as they stand where every known one is among them: one that was cut is another key under the same id.
fn keys_first_seen<K: PartialEq>(known: &[K], read: Vec<K>) -> FirstSight<Vec<K>> {
    if known.iter().all(|key| read.contains(key)) { FirstSight::Whole(read) } else { FirstSight::Nothing }
}

/// What is revoked is revoked at once, beside what was.
fn revoked_first_seen(known: &BTreeSet<Box<str>>, read: BTreeSet<Box<str>>) -> FirstSight<BTreeSet<Box<str>>> {
    if known.is_subset(&read) {
        return FirstSight::Whole(read);
    }
    FirstSight::Joined(known.union(&read).cloned().collect())
}

/// One `jti` a line; `#` begins a comment where it begins the line. Behind a `jti` it would revoke nothing.
fn parse_revoked(text: &str) -> Result<BTreeSet<Box<str>>, Fault> {
    let mut revoked: BTreeSet<Box<str>> = BTreeSet::new();
    for (number, line) in (1..).zip(text.lines().map(trimmed)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if !is_nameable(line) {
            let what = "is not one jti without blanks; a comment has a line of its own";
            return Err(Fault::new(format!("line {number} {what}")));
        }
        revoked.insert(line.into());
    }
    if revoked.len() > REVOKED_TOKENS_MAX {
        return Err(Fault::new(format!("at most {REVOKED_TOKENS_MAX} tokens are revoked at one time")));
    }
    Ok(revoked)
}

#[cfg(test)]
mod tests;
