//! Trading servers, which own customers, accounts and balances. Only these files contain SQL about balances; the rest of
//! the cashier uses the port `TradingServer`.

mod account_kinds;
mod books;
mod contested;
pub mod embedded;
pub mod http;
pub mod import;
mod jobs;
pub mod kept_kind;
mod load;
mod mistake;
pub mod platform;
pub mod posting;
mod rates;
pub mod remote;
mod requests;
pub mod roster;
mod roster_changes;
mod roster_text;
mod rows;
pub mod servers;
#[cfg(test)]
mod tests;
mod thread;

pub use books::BooksMark;
