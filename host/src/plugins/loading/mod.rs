//! From plugins.toml to loaded modules: private copy, probe in a child process, symbols, layout check, registry of
//! generations. It does not call into a configured module.

mod library;
pub(super) mod module;
pub mod plugins_toml;
pub mod probe;
pub(super) mod registry;
mod symbols;
