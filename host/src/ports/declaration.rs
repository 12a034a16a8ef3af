//! What a loaded module declares of itself, as managers read it. It decides nothing: eligibility and the judge of edits have
//! lists of their own.

/// The descriptor of a loaded module; of one that is not loaded everything is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModuleDeclaration {
    /// The module's own version.
    pub version: Box<str>,
    /// When this build was loaded by this process, Unix seconds.
    pub loaded_time: i64,
    /// The optional calls that it implements, by name.
    pub capabilities: Vec<&'static str>,
    /// Hosts that its requests may go to.
    pub hosts: Vec<Box<str>>,
    pub settings: Vec<ModuleSetting>,
    /// Events to subscribe to at the provider; empty where nothing is chosen there.
    pub webhook_events: Vec<Box<str>>,
}

/// One setting that a config of the module may have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModuleSetting {
    pub key: Box<str>,
    pub label: Box<str>,
    /// `text`, `integer`, `flag`, `url` or `choice`.
    pub kind: &'static str,
    /// The values of a `choice`.
    pub choices: Vec<Box<str>>,
    pub secret: bool,
    pub required: bool,
    pub endpoint: bool,
    pub default: Option<Box<str>>,
}
