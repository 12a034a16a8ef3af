//! The sandbox payment service from outside: over HTTP on loopback, by its README.
//! `world` holds the service, a merchant's client, a merchant's webhook receiver and a clock in the test's hand.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking; the workspace exempts only functions marked as tests"
)]

mod limits;
mod merchant;
mod page;
mod program;
mod secrets;
mod switches;
mod webhooks;
mod world;
