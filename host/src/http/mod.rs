//! The HTTP doors: one file per endpoint, the sessions, the query strings, the accept loop. They read requests, call a
//! flow and write its answer; they decide nothing about money. `StatusCode` is spoken here and nowhere deeper.

pub mod query;
pub mod session;
