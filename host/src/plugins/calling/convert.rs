//! Translates between the module's words and the core's: the only place that knows both. What is shown to a module goes
//! through `to_module`, what it answers through `from_module`, and every text of a module through [`Masks`].

mod from_module;
mod masks;
mod to_module;

pub(in crate::plugins) use from_module::{REASON_LENGTH_MAX, acknowledgement, created, update, updates};
pub(in crate::plugins) use masks::Masks;
pub(in crate::plugins) use to_module::{config, endpoints, missing_required, notice, payment, payment_order};

#[cfg(test)]
mod tests;
