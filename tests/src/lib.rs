//! The house from outside: a world to put it in, clients that speak to its doors, and peers that misbehave on request.
//! The promises themselves are in `tests/`, one file each. Nothing here reaches behind a door but to set the stage.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a stage that cannot be set must fail its test loudly"
)]

pub mod clock;
pub mod customer;
pub mod http;
pub mod manager;
pub mod modules;
pub mod pending;
pub mod places;
pub mod process;
pub mod published;
pub mod raw;
pub mod roster;
pub mod sandbox;
pub mod signing;
pub mod stripe_stub;
pub mod tokens;
pub mod trading;
pub mod waiting;
pub mod world;
pub mod write_lock;
