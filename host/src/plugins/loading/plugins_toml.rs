//! Reads and validates `plugins.toml`. A wrong module entry becomes one unavailable line of the catalog; the file as a whole
//! is refused only when it is not TOML or has an unknown key. Opens no library.

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cashier_core::card_data::masked;
use cashier_core::printable::check_code;
use serde::Deserialize;

use crate::plugins::limits::GatewayLimits;
use crate::text_file::{line_at, read_text, trimmed};

/// More modules in one file are a mistake: no broker serves so many providers from one process.
const MODULES_MAX: usize = 256;
/// Longest list of brands or hosts of one module; people read the list.
const LIST_MAX: usize = 256;

/// The validated file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PluginsToml {
    pub modules: Vec<ModuleEntry>,
}

/// One `[[module]]`: its options, or why they are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleEntry {
    /// The line of the file where the entry begins.
    pub line: usize,
    /// What the catalog calls the module.
    pub name: String,
    pub options: Result<ModuleOptions, String>,
}

/// The options of a module that may be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleOptions {
    pub source: ModuleSource,
    /// `false` delists it: it takes no new payments, and still receives updates of earlier ones.
    pub enabled: bool,
    /// Brands it may serve; `None` means all.
    pub brands: Option<Vec<String>>,
    /// The SHA-256 the file must have, lower-case hex.
    pub pin: Option<String>,
    /// Hosts that its requests may go to, besides the module's own list.
    pub allow_hosts: Vec<String>,
    /// Exceptions: a `host:port` that is allowed although it is private or loopback, `http://host:port` also without TLS, or
    /// a range of addresses.
    pub allow_private: Vec<String>,
    pub limits: GatewayLimits,
}

/// Where to find the file of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModuleSource {
    /// At this path.
    File(PathBuf),
    /// In the first of these folders that has it, under the platform's file name for libraries.
    Named { file_name: String, folders: Vec<PathBuf> },
}

impl ModuleSource {
    /// The file to open: the first that exists, else the first candidate.
    pub fn path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Named { file_name, folders } => {
                let mut candidates = folders.iter().map(|folder| folder.join(file_name));
                let first = candidates.clone().next().unwrap_or_else(|| PathBuf::from(file_name));
                candidates.find(|path| path.exists()).unwrap_or(first)
            }
        }
    }
}

impl ModuleSource {
    /// Why there is no file to open: where it was looked for.
    pub fn missing(&self) -> Option<String> {
        let path = self.path();
        let shown = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
        match self {
            _ if path.exists() => None,
            Self::File(path) => Some(format!("the file does not exist: {}", shown(path))),
            Self::Named { file_name, folders } => {
                let folders: Vec<String> = folders.iter().map(|folder| shown(folder)).collect();
                Some(format!(
                    "the file does not exist: {file_name} was looked for in {}; put it there, or name it by `file`",
                    folders.join(" and ")
                ))
            }
        }
    }
}

/// The file name of module `name` on this platform: `libcashier_provider_stripe.so`, `.dylib`, or without `lib` `.dll`.
pub fn library_file_name(name: &str) -> String {
    format!("{}cashier_provider_{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

impl PluginsToml {
    /// Reads the file at `path`. Its relative paths start at its own folder; modules given by name are searched in the folders
    /// it names, then in `folders`.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, or has an unknown key; names the line.
    pub fn read(path: &Path, folders: &[PathBuf]) -> Result<Self, String> {
        if path.try_exists().is_ok_and(|exists| !exists) {
            return Err(missing(path));
        }
        let text = read_text(path)?;
        let home = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, home, folders).map_err(|reason| format!("{}: {reason}", path.display()))
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// As [`PluginsToml::read`], without the path.
    pub fn parse(text: &str, home: &Path, folders: &[PathBuf]) -> Result<Self, String> {
        let file: FileToml = toml::from_str(text).map_err(|error| located(text, &error))?;
        if file.module.len() > MODULES_MAX {
            return Err(format!("{} modules are listed, at most {MODULES_MAX} may be", file.module.len()));
        }
        let named = texts("folders", file.folders)?.into_iter().map(|folder| home.join(folder));
        let folders: Vec<PathBuf> = named.chain(folders.iter().cloned()).collect();
        let modules = file.module.into_iter().map(|entry| ModuleEntry::read(text, home, &folders, entry)).collect();
        Ok(Self { modules })
    }
}

impl ModuleEntry {
    fn read(text: &str, home: &Path, folders: &[PathBuf], entry: toml::Spanned<toml::Table>) -> Self {
        let line = line_of(text, entry.span());
        let table = entry.into_inner();
        let field = |key: &str| Some(trimmed(table.get(key)?.as_str()?).to_owned()).filter(|text| !text.is_empty());
        let keys = keys_of(&table);
        let stem = field("file").and_then(|file| Some(Path::new(&file).file_stem()?.to_string_lossy().into_owned()));
        let name = field("name").or(stem).unwrap_or_else(|| format!("module at line {line}"));
        let options = ModuleToml::deserialize(table)
            .map_err(|error| with_key(&error))
            .and_then(|module| module.validated(home, folders))
            .map_err(|reason| {
                let line = line_of_key(text, line, &keys, &reason);
                format!("plugins.toml line {line}, module {name}: {reason}")
            });
        Self { line, name, options }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileToml {
    /// Where modules given by name are searched.
    #[serde(default)]
    folders: Vec<String>,
    #[serde(default)]
    module: Vec<toml::Spanned<toml::Table>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModuleToml {
    file: Option<PathBuf>,
    name: Option<String>,
    #[serde(default = "yes")]
    enabled: bool,
    brands: Option<Vec<String>>,
    isolation: Option<String>,
    sha256: Option<String>,
    #[serde(default)]
    allow_hosts: Vec<String>,
    #[serde(default)]
    allow_private: Vec<String>,
    #[serde(default)]
    limits: LimitsToml,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct LimitsToml {
    call_ms: Option<u64>,
    exchange_ms: Option<u64>,
    concurrency_max: Option<usize>,
    waiting_max: Option<usize>,
    steps_max: Option<usize>,
}

fn yes() -> bool {
    true
}

impl ModuleToml {
    fn validated(self, home: &Path, folders: &[PathBuf]) -> Result<ModuleOptions, String> {
        match self.isolation.as_deref().map(trimmed) {
            None | Some("in-process") => {}
            Some("worker") => {
                return Err("isolation \"worker\" is not offered by this build; write \"in-process\"".to_owned());
            }
            Some(other) => return Err(format!("isolation {other:?} is unknown; write \"in-process\"")),
        }
        Ok(ModuleOptions {
            source: source(self.file, self.name, home, folders)?,
            enabled: self.enabled,
            brands: self.brands.map(|brands| texts("brands", brands)).transpose()?,
            pin: self.sha256.map(|pin| pinned(&pin)).transpose()?,
            allow_hosts: texts("allow_hosts", self.allow_hosts)?,
            allow_private: texts("allow_private", self.allow_private)?,
            limits: self.limits.validated()?,
        })
    }
}

fn source(
    file: Option<PathBuf>,
    name: Option<String>,
    home: &Path,
    folders: &[PathBuf],
) -> Result<ModuleSource, String> {
    if let Some(file) = file {
        return text("file", &file.to_string_lossy()).map(|file| ModuleSource::File(home.join(file)));
    }
    let Some(name) = name else {
        return Err("it has neither `file` nor `name`".to_owned());
    };
    let name = trimmed(&name);
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(format!("without `file`, the name {name:?} must be the name of a library: a-z, 0-9 and _"));
    }
    Ok(ModuleSource::Named { file_name: library_file_name(name), folders: folders.to_vec() })
}

fn texts(key: &str, list: Vec<String>) -> Result<Vec<String>, String> {
    if list.len() > LIST_MAX {
        return Err(format!("{key} has {} entries, at most {LIST_MAX} may be", list.len()));
    }
    if list.iter().any(|entry| trimmed(entry).is_empty()) {
        return Err(format!("{key} has an empty entry"));
    }
    list.iter().map(|entry| text(key, entry)).collect()
}

/// A text without the blanks and line ends around it.
fn text(key: &str, written: &str) -> Result<String, String> {
    match trimmed(written) {
        "" => Err(format!("{key} is empty")),
        text => {
            check_code(text).map(|()| text.to_owned()).map_err(|problem| format!("{key}: {:?} {problem}", masked(text)))
        }
    }
}

fn pinned(pin: &str) -> Result<String, String> {
    let pin = trimmed(pin);
    let valid = pin.len() == 64 && pin.bytes().all(|byte| byte.is_ascii_hexdigit());
    if valid { Ok(pin.to_ascii_lowercase()) } else { Err("sha256 must be 64 hexadecimal digits".to_owned()) }
}

impl LimitsToml {
    fn validated(self) -> Result<GatewayLimits, String> {
        let default = GatewayLimits::default();
        let milliseconds = |set: Option<u64>, default| set.map_or(default, Duration::from_millis);
        GatewayLimits {
            call: milliseconds(self.call_ms, default.call),
            exchange: milliseconds(self.exchange_ms, default.exchange),
            concurrency_max: self.concurrency_max.unwrap_or(default.concurrency_max),
            waiting_max: self.waiting_max.unwrap_or(default.waiting_max),
            steps_max: self.steps_max.unwrap_or(default.steps_max),
        }
        .checked()
    }
}

/// How to make the file that is not there.
fn missing(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    format!(
        "there is no {}: it lists the provider modules, one [[module]] each, and may be empty; the setting `plugins` names \
         another. Make one with\n  printf '[[module]]\\nname = \"sandbox\"\\n' > {}",
        path.display(),
        path.display()
    )
}

/// The error behind the key that it is about, which is written below the message.
fn with_key(error: &toml::de::Error) -> String {
    let (shown, message) = (error.to_string(), error.message().trim());
    match shown.rsplit_once("\nin `").map(|(_, key)| key.trim().trim_end_matches('`')) {
        Some(key) => format!("{key}: {message}"),
        None => message.to_owned(),
    }
}

fn located(text: &str, error: &toml::de::Error) -> String {
    let what = error.message().trim();
    match error.span() {
        Some(span) => format!("line {}: {what}", line_of(text, span)),
        None => what.to_owned(),
    }
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    line_at(text.as_bytes(), span.start)
}

/// The keys of an entry and of the tables in it.
fn keys_of(table: &toml::Table) -> Vec<String> {
    let inner = table.values().filter_map(toml::Value::as_table).flat_map(toml::Table::keys);
    inner.chain(table.keys()).cloned().collect()
}

/// The line on which the entry that begins on a line has the key that a reason names; without one, that line.
fn line_of_key(text: &str, line: usize, keys: &[String], reason: &str) -> usize {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let named = |key: &String| reason.split(|character| !is_part(character)).any(|word| word == key);
    let Some(key) = keys.iter().find(|key| named(key)) else { return line };
    let has_key = |written: &str| {
        let mut words = written.split(|character| !is_part(character));
        words.any(|word| word == key) && written.contains('=')
    };
    let after = text.lines().enumerate().skip(line.saturating_sub(1));
    after.filter(|(_, written)| has_key(written)).map(|(index, _)| index + 1).next().unwrap_or(line)
}
