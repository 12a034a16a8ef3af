//! Translates between the module's words and the core's: the only place that knows both. What is shown to a module goes
//! through `shown`, what it answers through `heard`, and every text of a module through [`Masks`].

mod heard;
mod masks;
mod shown;

pub(super) use heard::{REASON_LENGTH_MAX, acknowledgement, created, update, updates};
pub(super) use masks::Masks;
pub(super) use shown::{config, endpoints, missing_required, notice, payment, payment_order};

#[cfg(test)]
mod tests;
