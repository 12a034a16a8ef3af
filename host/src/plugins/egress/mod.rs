//! The only network of modules: allow-list, address check after DNS, TLS, deadlines, size limits, connection pool.
//! It knows requests and replies, not payments.

mod adapter;
pub(super) mod date;
pub mod http_client;
pub mod port;
