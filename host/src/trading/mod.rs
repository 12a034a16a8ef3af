//! Trading servers, which own customers, accounts and balances. Only these files contain SQL about balances; the rest of
//! the cashier uses the port `TradingServer`.

mod books;
pub mod embedded;
mod entry;
pub mod import;
pub mod posting;
pub mod roster;
mod rows;
#[cfg(test)]
mod tests;

pub use books::BooksMark;
pub use entry::schema as roster_schema;
