//! Calls into a configured module: one gateway per config drives exchanges on the module's thread, translates what crosses
//! the module ABI and bounds what a module that fails or hangs can cost. It does not load libraries or open sockets.

mod call_failures;
mod circuit_breaker;
pub(super) mod convert;
mod exchange;
pub(super) mod gateway;
mod module_thread;
mod outcomes;
mod reply_cache;
