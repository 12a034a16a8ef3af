//! A platform of our own for tests: accounts, finance orders and their states in memory, the TCP protocol, and what goes wrong with
//! each request. It shares no code with the client and depends on no part of the cashier.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a peer that is used wrongly must fail its test loudly"
)]

mod amounts;
mod answers;
mod connection;
mod listener;
mod manner;
mod orders;
mod platform;
mod state;

pub use amounts::decimal;
pub use connection::serve;
pub use listener::PlatformListener;
pub use manner::next;
pub use platform::FakePlatform;
pub use state::{APPROVED, DECLINED, EXECUTED, FakeAccount, FakeOrder, FakeState, Manner, PENDING, StatesAmount};
