//! The plugin host: finds, proves, loads and contains provider modules, and is the only network they have.
//!
//! plugins.toml (`plugins_toml`) → private copy, probe, open (`library`, `probe`, `symbols`) → `shelf` → `catalog`;
//! config → `convert` → `module_thread` + `exchange` → `endings`, all of it held by a gateway (`gateways`).

mod breaker;
mod call_failures;
mod catalog;
mod convert;
mod egress;
mod endings;
mod exchange;
mod gateways;
pub mod http_client;
mod kept;
mod library;
pub mod limits;
mod module_thread;
pub mod network;
pub mod plugins_toml;
pub mod probe;
mod shelf;
mod symbols;
mod thread_places;

pub use catalog::{PluginSettings, Plugins, World};
pub use shelf::{Outcome, Report};
