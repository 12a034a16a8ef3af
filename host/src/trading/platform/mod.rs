//! A trading server that speaks the platform's own TCP protocol. It moves balances by finance requests that are found again by our
//! key; it knows nothing of transactions, providers or sessions, and guesses nothing that no page of the platform states.

mod account_check;
mod accounts;
mod answering;
mod changes;
mod client;
mod connection;
mod contradictions;
mod creating;
mod dial;
mod finance_order;
mod late_keys;
mod late_orders;
mod link;
mod link_health;
mod listed_accounts;
mod listed_orders;
mod listing;
mod messages;
mod next_step;
mod one_phase;
mod order_calls;
mod order_rows;
mod order_search;
mod orders;
mod output;
mod pauses;
mod search_sizes;
mod server;
mod server_error;
mod session;
mod settings;
mod sweep;
mod tables;
#[cfg(test)]
mod tests;
mod traces;
mod two_phases;
mod unanswered;

pub use dial::PlatformTls;
pub use server::PlatformServer;
pub use settings::{PlatformKeyForm, PlatformPhases, PlatformSearch, PlatformSettings};
