//! The plugin host: finds, proves, loads and contains provider modules, and is the only network they have.
//!
//! plugins.toml → private copy, probe, open, registry (`loading`) → `catalog`; config → a gateway that drives exchanges on
//! the module's thread (`calling`); requests of modules leave through `egress`.

mod calling;
mod catalog;
mod egress;
pub mod limits;
mod loading;
mod thread_slots;

pub use self::catalog::{PluginSettings, Plugins, World};
pub use self::egress::{http_client, port};
pub use self::loading::registry::{Outcome, Report};
pub use self::loading::{plugins_toml, probe};
