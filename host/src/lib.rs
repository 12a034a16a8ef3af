//! The cashier: listeners, flows, ledger, strand, plugin host and trading server, built by [`app`]. ARCHITECTURE.md lists
//! the modules and which may name which.

pub mod app;
pub mod books_image;
mod circuit_breaker;
pub mod cli;
mod clock_file;
mod file_access;
pub mod flows;
mod followed_file;
pub mod guarded_clock;
pub mod http;
pub mod json_object;
mod key_file;
pub mod ledger;
mod lock;
pub mod log_lines;
pub mod manager;
pub mod pair;
pub mod plugins;
pub mod ports;
mod private_files;
mod process;
pub mod reload_signal;
pub mod sealing;
pub mod security_log;
pub mod settings;
pub mod snapshot;
pub mod strand;
pub mod system;
mod text_file;
pub mod trading;
mod web_url;
pub mod wire;

#[cfg(test)]
pub(crate) mod test_cashier;
