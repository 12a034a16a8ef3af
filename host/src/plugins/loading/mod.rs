//! From plugins.toml to loaded modules: private copy, probe in a caged child process, symbols, layout check, registry of
//! generations. It does not call into a configured module.

mod cage;
mod copies;
mod declaration;
mod library;
pub(super) mod listing;
pub(super) mod module;
pub(crate) mod opening;
pub mod plugins_toml;
pub(super) mod private_folder;
pub mod probe;
pub(super) mod registry;
pub(super) mod sweep;
mod symbols;
mod system_calls;
