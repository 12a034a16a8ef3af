//! The HTTP doors: one file per endpoint, the sessions, the query strings, the accept loop. They read requests, call a
//! flow and write its answer; they decide nothing about money. `StatusCode` is spoken here and nowhere deeper.

pub mod asked;
pub mod customers;
pub mod deposit;
pub mod managers;
pub mod methods;
pub mod query;
pub mod reply;
pub mod serve;
pub mod session;
mod stall;
pub mod tls;
pub mod transactions;
pub mod watch;
pub mod webhook;
pub mod withdrawal;

#[cfg(test)]
pub(crate) mod testing;
