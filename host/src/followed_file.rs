//! A file that an operator changes while the server runs: key files, JWK sets, lists of tokens. It is looked at again and again; a
//! new content is taken, at once where it adds alone and at a second look that finds the same where something is gone: a file is
//! read while it is being written too. One that cannot be read or understood changes nothing. It does not know what it means.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::file_access::{self, FileUse};
use crate::ports::{Clock, Fault};
use crate::reload_signal::ReloadAsked;
use crate::text_file;

/// How often a file is looked at: a person who removes a key is still looking at the screen.
const CHECK_PAUSE: Duration = Duration::from_secs(1);

/// What is wrong with followed files, by the setting that names them; an operator reads it in `/readyz?verbose`.
#[derive(Default)]
pub(crate) struct FileProblems(Mutex<BTreeMap<&'static str, String>>);

impl FileProblems {
    /// One sentence for each file that is not as it should be.
    pub(crate) fn sentences(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Whether this is news.
    fn set(&self, setting: &'static str, problem: Option<String>) -> bool {
        let mut problems = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match &problem {
            Some(sentence) => problems.insert(setting, sentence.clone()),
            None => problems.remove(setting),
        };
        before != problem
    }
}

/// Takes a text over and returns how many entries it has. Where entries are gone or altered that is done only if the second
/// argument says so; until then the answer is `None`, and what it adds may be taken.
pub(crate) type Take = Box<dyn Fn(&str, bool) -> Result<Option<usize>, Fault> + Send + Sync>;

/// What a file is, for those who follow it.
pub(crate) struct FileRules {
    /// The setting that names it.
    pub(crate) setting: &'static str,
    pub(crate) content: FileUse,
    pub(crate) bytes_max: u64,
    /// What an empty file means, where that is a problem.
    pub(crate) when_empty: Option<&'static str>,
    /// Whether a file that other users may use is refused.
    pub(crate) strict: bool,
}

/// A followed file and what was last seen of it.
pub(crate) struct FollowedFile {
    rules: FileRules,
    path: PathBuf,
    take: Take,
    problems: Arc<FileProblems>,
    /// The digest of the text last taken or refused, with the reason of a refusal.
    known: Option<([u8; 32], Option<String>)>,
    /// The digest of what the last look found and did not take: a file that is being written has lost entries for a moment.
    waits: Option<[u8; 32]>,
    /// The warning about its permissions that was last logged.
    warned: Option<String>,
}

impl FollowedFile {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// It cannot be read, understood, or is refused by its permissions; naming setting and file.
    pub(crate) fn open(
        rules: FileRules,
        path: PathBuf,
        take: Take,
        problems: &Arc<FileProblems>,
    ) -> Result<Self, Fault> {
        let problems = Arc::clone(problems);
        let mut file = Self { rules, path, take, problems, known: None, waits: None, warned: None };
        file.look();
        let setting = file.rules.setting;
        let failed = file.problems.0.lock().unwrap_or_else(PoisonError::into_inner).get(setting).cloned();
        match failed {
            Some(problem) if file.known.as_ref().is_none_or(|(_, refusal)| refusal.is_some()) => {
                Err(Fault::new(problem))
            }
            Some(_) | None => Ok(file),
        }
    }

    /// Looks at the file once.
    pub(crate) fn look(&mut self) {
        let FileRules { setting, content, bytes_max, .. } = self.rules;
        let waited = self.waits.take();
        let text = match read(&self.path, bytes_max) {
            Ok(text) => text,
            Err(error) => return self.problem(Some(format!("cannot be read: {error}{}", self.kept()))),
        };
        let judged = file_access::judge(&self.path, content);
        if let Some(sentence) = judged.as_ref().filter(|_| self.rules.strict) {
            let sentence = format!("is refused by strict_key_permissions: {sentence}{}", self.kept());
            return self.problem(Some(sentence));
        }
        if judged != self.warned {
            if let Some(sentence) = &judged {
                tracing::warn!(target: "security", setting, "{sentence}");
            }
            self.warned = judged;
        }
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        if let Some((known, refusal)) = &self.known
            && *known == digest
        {
            let refusal = refusal.clone();
            return self.problem(refusal);
        }
        let first = self.known.is_none();
        match (self.take)(&text, first || waited == Some(digest)) {
            Ok(None) => self.waits = Some(digest),
            Ok(Some(entries)) => {
                if !first {
                    let file = self.path.display();
                    tracing::warn!(target: "security", setting, %file, entries, "changed file was taken over");
                }
                let empty = self.rules.when_empty.filter(|_| entries == 0).map(str::to_owned);
                self.known = Some((digest, empty.clone()));
                self.problem(empty);
            }
            Err(fault) => {
                let refusal = Some(format!("was refused: {fault}{}", self.kept()));
                self.known = Some((digest, refusal.clone()));
                self.problem(refusal);
            }
        }
    }

    /// What follows from a content that is not taken, unless it is the first.
    fn kept(&self) -> &'static str {
        if self.known.is_some() { "; what it held before stays valid" } else { "" }
    }

    /// Keeps what is wrong with the file, and logs each change of it once.
    fn problem(&self, what: Option<String>) {
        let (setting, file) = (self.rules.setting, self.path.display());
        let sentence = what.map(|what| format!("{setting} = {file} {what}"));
        if !self.problems.set(setting, sentence.clone()) {
            return;
        }
        match sentence {
            Some(problem) => {
                tracing::error!(target: "security", problem, "followed file has a problem")
            }
            None => tracing::info!(target: "security", setting, %file, "followed file is as it should be again"),
        }
    }
}

/// Looks at the files for ever, and whenever the operator asks.
pub(crate) async fn follow(mut files: Vec<FollowedFile>, clock: Arc<dyn Clock>, mut asked: ReloadAsked) {
    loop {
        asked.or(clock.sleep(CHECK_PAUSE)).await;
        let looked = tokio::task::spawn_blocking(move || {
            files.iter_mut().for_each(FollowedFile::look);
            files
        });
        // The task is interrupted at a stop alone.
        let Ok(again) = looked.await else { return };
        files = again;
    }
}

/// The text of a file of bounded size; links are followed, as containers mount them.
fn read(path: &Path, bytes_max: u64) -> Result<Zeroizing<String>, String> {
    // A pipe would be waited for.
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(format!("{}: it is not a file", path.display())),
        Ok(_) | Err(_) => text_file::read_text_up_to(path, bytes_max).map(Zeroizing::new),
    }
}
