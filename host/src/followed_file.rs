//! A file that an operator changes while the server runs: key files, JWK sets, lists of tokens. It is looked at again and again; a
//! new content is taken, at once where it adds alone and at a second look that finds the same where something is gone: a file is
//! read while it is being written too. One that cannot be read or understood changes nothing. Files that mean something together
//! are looked at together. It does not know what they mean.

use std::collections::BTreeMap;
use std::path::PathBuf;
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

    fn of(&self, setting: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(setting).cloned()
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

/// The same of files that mean something together.
pub(crate) type TakeAll = Box<dyn Fn(&[&str], bool) -> Result<Option<usize>, Fault> + Send + Sync>;

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileForm {
    /// Text of at most so many bytes.
    Text(u64),
    Pem,
}

/// What a file is, for those who follow it.
pub(crate) struct FileRules {
    /// The setting that names it.
    pub(crate) setting: &'static str,
    pub(crate) content: FileUse,
    pub(crate) form: FileForm,
    /// What an empty file means, where that is a problem.
    pub(crate) when_empty: Option<&'static str>,
    /// Whether a file that other users may use is refused.
    pub(crate) strict: bool,
}

/// One file of those that are looked at together.
struct FollowedPath {
    rules: FileRules,
    path: PathBuf,
    /// The warning about its permissions that was last logged.
    warned: Option<String>,
}

/// A followed file, or some that mean something together, and what was last seen of them.
pub(crate) struct FollowedFile {
    paths: Vec<FollowedPath>,
    take: TakeAll,
    problems: Arc<FileProblems>,
    /// The digest of the texts last taken or refused, with the reason of a refusal.
    known: Option<([u8; 32], Option<String>)>,
    /// The digest of what the last look found and did not take: a file that is being written has lost entries for a moment.
    waits: Option<[u8; 32]>,
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
        let take: TakeAll = Box::new(move |texts, is_sure| take(texts.first().copied().unwrap_or_default(), is_sure));
        Self::open_together(vec![(rules, path)], take, problems)
    }

    /// The same of files that mean something together; what is wrong with all of them is a problem of the first.
    pub(crate) fn open_together(
        files: Vec<(FileRules, PathBuf)>,
        take: TakeAll,
        problems: &Arc<FileProblems>,
    ) -> Result<Self, Fault> {
        let paths = files.into_iter().map(|(rules, path)| FollowedPath { rules, path, warned: None }).collect();
        let mut file = Self { paths, take, problems: Arc::clone(problems), known: None, waits: None };
        file.look();
        let failed = file.paths.iter().find_map(|path| file.problems.of(path.rules.setting));
        match failed {
            Some(problem) if file.known.as_ref().is_none_or(|(_, refusal)| refusal.is_some()) => {
                Err(Fault::new(problem))
            }
            Some(_) | None => Ok(file),
        }
    }

    /// Looks at the file once.
    pub(crate) fn look(&mut self) {
        let waited = self.waits.take();
        // What follows from a content that is not taken, unless it is the first.
        let kept = if self.known.is_some() { "; what it held before stays valid" } else { "" };
        let looked: Vec<_> = self.paths.iter_mut().map(FollowedPath::look).collect();
        if looked.iter().any(Result::is_err) {
            for (path, looked) in self.paths.iter().zip(looked) {
                path.problem(&self.problems, looked.err().map(|what| format!("{what}{kept}")));
            }
            return;
        }
        let texts: Vec<Zeroizing<String>> = looked.into_iter().flatten().collect();
        let mut digest = Sha256::new();
        for text in &texts {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text.as_bytes());
        }
        let digest: [u8; 32] = digest.finalize().into();
        if let Some((known, refusal)) = &self.known
            && *known == digest
        {
            return self.problem(refusal.clone());
        }
        let is_first = self.known.is_none();
        let texts: Vec<&str> = texts.iter().map(|text| text.as_str()).collect();
        match (self.take)(&texts, is_first || waited == Some(digest)) {
            Ok(None) => self.waits = Some(digest),
            Ok(Some(entries)) => {
                if let (false, Some(FollowedPath { rules, path, .. })) = (is_first, self.paths.first()) {
                    let (setting, file) = (rules.setting, path.display());
                    tracing::warn!(target: "security", setting, %file, entries, "changed file was taken over");
                }
                let when_empty = self.paths.first().and_then(|path| path.rules.when_empty);
                let empty = when_empty.filter(|_| entries == 0).map(str::to_owned);
                self.known = Some((digest, empty.clone()));
                self.problem(empty);
            }
            Err(fault) => {
                let refusal = Some(format!("was refused: {fault}{kept}"));
                self.known = Some((digest, refusal.clone()));
                self.problem(refusal);
            }
        }
    }

    /// What is wrong with all of them is a problem of the first.
    fn problem(&self, mut what: Option<String>) {
        for path in &self.paths {
            path.problem(&self.problems, what.take());
        }
    }
}

impl FollowedPath {
    /// Its text, unless it is refused by its permissions.
    fn look(&mut self) -> Result<Zeroizing<String>, String> {
        let FileRules { setting, content, form, strict, .. } = self.rules;
        let read = match form {
            FileForm::Text(bytes_max) => text_file::read_file_up_to(&self.path, bytes_max),
            // Comments between certificates may be in any encoding.
            FileForm::Pem => {
                text_file::read_pem(&self.path).map(|pem| Zeroizing::new(String::from_utf8_lossy(&pem).into_owned()))
            }
        };
        let text = read.map_err(|error| format!("cannot be read: {error}"))?;
        let judged = file_access::judge(&self.path, content);
        if let (true, Some(sentence)) = (strict, &judged) {
            return Err(format!("is refused by strict_key_permissions: {sentence}"));
        }
        if judged != self.warned {
            if let Some(sentence) = &judged {
                tracing::warn!(target: "security", setting, "{sentence}");
            }
            self.warned = judged;
        }
        Ok(text)
    }

    /// Keeps what is wrong with the file, and logs each change of it once.
    fn problem(&self, problems: &FileProblems, what: Option<String>) {
        let (setting, file) = (self.rules.setting, self.path.display());
        let sentence = what.map(|what| format!("{setting} = {file} {what}"));
        if !problems.set(setting, sentence.clone()) {
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
