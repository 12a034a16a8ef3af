//! The sandbox payment service from outside: over HTTP on loopback, as its README describes.
//! `fixture` holds the service, a merchant client, a webhook receiver and a manual clock.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot continue panics; the workspace exempts only functions marked as tests"
)]

mod fixture;
mod limits;
mod merchant;
mod page;
mod program;
mod secrets;
mod switches;
mod webhooks;
