//! Support for tests of the running cashier: a deployment with keys, accounts and providers, clients of its listeners, and
//! peers that fail on request. The tests are in `tests/`, one file per promise. Nothing here asserts what the cashier does
//! beyond the setup.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a setup that fails must fail its test loudly"
)]

pub mod artifacts;
pub mod call_clock;
pub mod cashier_process;
pub mod clock;
pub mod customer;
pub mod cutting_proxy;
pub mod deployment;
pub mod depositors;
pub mod faulty_trading;
pub mod http;
pub mod manager;
pub mod pending_deposit;
pub mod platform_peer;
pub mod plugin_host;
pub mod published;
pub mod python;
pub mod raw_http;
pub mod reference_server;
pub mod roster;
pub mod sandbox;
pub mod signing;
pub mod stripe_stub;
pub mod tokens;
pub mod waiting;
pub mod write_lock;
