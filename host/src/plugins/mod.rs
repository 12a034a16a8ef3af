//! The plugin host: finds, proves, loads and contains provider modules, and is the only network they have.

pub mod http_client;
