//! The plugin host: finds, checks, loads and contains provider modules, and is their only network.
//!
//! plugins.toml → private copy, probe, open, registry (`loading`) → `catalog`; a config → a gateway that drives exchanges on
//! the module's thread (`calling`); requests of modules leave through `egress`; a call that ends the process is named by
//! `crash`. It does not know flows or the ledger.

mod calling;
mod catalog;
mod crash;
mod egress;
pub mod limits;
mod loading;
mod thread_slots;

pub use self::catalog::{PluginDependencies, PluginSettings, Plugins, list};
pub use self::crash::release;
pub use self::egress::{http_client, port};
pub(crate) use self::loading::opening;
pub use self::loading::registry::{LoadOutcome, LoadReport};
pub use self::loading::{plugins_toml, probe};
