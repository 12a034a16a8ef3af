//! Calls into a configured module: one gateway per provider config drives exchanges on the module's thread, translates
//! what crosses the module ABI and bounds what a failing or hanging module can cost. It does not load libraries or open
//! sockets.

mod allowed_requests;
mod call_failures;
mod convert;
mod credentials;
mod exchange;
pub(super) mod gateway;
mod module_thread;
mod outcomes;
mod reply_cache;
mod sent_requests;
