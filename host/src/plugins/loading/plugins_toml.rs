//! Reads and validates `plugins.toml`. A wrong module entry becomes one unavailable line of the catalog; the file as a whole
//! is refused only when it is not TOML or has an unknown key. Opens no library.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cashier_core::printable::check_code;
use serde::Deserialize;

use crate::plugins::limits::GatewayLimits;

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
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
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
        let folders: Vec<PathBuf> =
            file.folders.iter().map(|folder| home.join(folder)).chain(folders.iter().cloned()).collect();
        let modules = file.module.into_iter().map(|entry| ModuleEntry::read(text, home, &folders, entry)).collect();
        Ok(Self { modules })
    }
}

impl ModuleEntry {
    fn read(text: &str, home: &Path, folders: &[PathBuf], entry: toml::Spanned<toml::Table>) -> Self {
        let line = line_of(text, entry.span());
        let table = entry.into_inner();
        let field = |key: &str| table.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        let stem = field("file").and_then(|file| Some(Path::new(&file).file_stem()?.to_string_lossy().into_owned()));
        let name = field("name").or(stem).unwrap_or_else(|| format!("module at line {line}"));
        let options = ModuleToml::deserialize(table)
            .map_err(|error| error.message().trim().to_owned())
            .and_then(|module| module.validated(home, folders))
            .map_err(|reason| format!("plugins.toml line {line}, module {name}: {reason}"));
        Self { line, name, options }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileToml {
    /// Where modules given by name are searched.
    #[serde(default)]
    folders: Vec<PathBuf>,
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
        match self.isolation.as_deref() {
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
        return Ok(ModuleSource::File(home.join(file)));
    }
    let Some(name) = name else {
        return Err("it has neither `file` nor `name`".to_owned());
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(format!("without `file`, the name {name:?} must be the name of a library: a-z, 0-9 and _"));
    }
    Ok(ModuleSource::Named { file_name: library_file_name(&name), folders: folders.to_vec() })
}

fn texts(key: &str, list: Vec<String>) -> Result<Vec<String>, String> {
    if list.len() > LIST_MAX {
        return Err(format!("{key} has {} entries, at most {LIST_MAX} may be", list.len()));
    }
    if list.iter().any(|text| text.trim().is_empty()) {
        return Err(format!("{key} has an empty entry"));
    }
    if let Some((text, problem)) = list.iter().find_map(|text| Some((text, check_code(text).err()?))) {
        return Err(format!("{key}: {text:?} {problem}"));
    }
    Ok(list)
}

fn pinned(pin: &str) -> Result<String, String> {
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

fn located(text: &str, error: &toml::de::Error) -> String {
    let what = error.message().trim();
    match error.span() {
        Some(span) => format!("line {}: {what}", line_of(text, span)),
        None => what.to_owned(),
    }
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    let before = text.as_bytes().iter().take(span.start);
    before.filter(|&&byte| byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PluginsToml, String> {
        PluginsToml::parse(text, Path::new("/etc/cashier"), &[PathBuf::from("/opt/modules")])
    }

    fn reasons(text: &str) -> Vec<String> {
        let entries = read(text).unwrap().modules;
        entries.into_iter().filter_map(|entry| entry.options.err()).collect()
    }

    #[test]
    fn an_entry_is_read_in_full_and_its_paths_start_at_the_files_folder() {
        let file = read(concat!(
            "folders = [\"modules\"]\n",
            "[[module]]\nname = \"stripe\"\nbrands = [\"acme\"]\nallow_hosts = [\"mock:8443\"]\n",
            "[module.limits]\ncall_ms = 500\n",
            "[[module]]\nfile = \"../x/liby.so\"\nenabled = false\nisolation = \"in-process\"\n",
        ))
        .unwrap();
        let [stripe, other] = file.modules.as_slice() else { panic!("{file:?}") };
        let options = stripe.options.as_ref().unwrap();
        assert_eq!((stripe.line, stripe.name.as_str()), (2, "stripe"));
        let ModuleSource::Named { file_name, folders } = &options.source else { panic!("{options:?}") };
        assert_eq!(*file_name, library_file_name("stripe"));
        assert_eq!(*folders, [PathBuf::from("/etc/cashier/modules"), PathBuf::from("/opt/modules")]);
        assert_eq!(options.brands, Some(vec!["acme".to_owned()]));
        assert_eq!(options.limits.call, Duration::from_millis(500));
        assert_eq!(options.limits.exchange, GatewayLimits::default().exchange);
        let options = other.options.as_ref().unwrap();
        assert_eq!((other.line, other.name.as_str(), options.enabled), (8, "liby", false));
        assert_eq!(options.source, ModuleSource::File("/etc/cashier/../x/liby.so".into()));
        assert_eq!((&options.brands, &options.pin), (&None, &None));
    }

    #[test]
    fn a_wrong_entry_is_refused_alone_with_its_line_and_name() {
        let good = "[[module]]\nname = \"stripe\"\n";
        let table = [
            ("name = \"x\"\nisolation = \"worker\"", "isolation \"worker\" is not offered by this build"),
            ("name = \"x\"\nisolation = \"vm\"", "isolation \"vm\" is unknown"),
            ("name = \"x\"\nbrnads = []", "unknown field `brnads`"),
            ("name = \"x\"\nsha256 = \"abc\"", "sha256 must be 64 hexadecimal digits"),
            ("name = \"x\"\nbrands = [\"\"]", "brands has an empty entry"),
            ("name = \"x\"\nenabled = \"yes\"", "invalid type"),
            ("name = \"x\"\nlimits = { steps_max = 0 }", "steps_max"),
            ("name = \"../x\"", "must be the name of a library"),
            ("enabled = true", "neither `file` nor `name`"),
        ];
        for (body, expected) in table {
            let text = format!("{good}[[module]]\n{body}\n{good}");
            let reasons = reasons(&text);
            let [reason] = reasons.as_slice() else { panic!("{body}: {reasons:?}") };
            assert!(reason.starts_with("plugins.toml line 3, module ") && reason.contains(expected), "{reason}");
        }
    }

    #[test]
    fn a_file_that_is_not_a_list_of_modules_is_refused_with_the_line() {
        let table = [
            ("[[module]]\nname = \"x\n", "line 2:"),
            ("[[modul]]\nname = \"x\"\n", "line 1: unknown field `modul`"),
            ("\n\nmodule = 7\n", "line 3:"),
        ];
        for (text, expected) in table {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        assert_eq!(read("").unwrap(), PluginsToml::default());
    }
}
