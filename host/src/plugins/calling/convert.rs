//! Translates between the SDK's types and the core's. Values for a module go through `to_module`, its answers through
//! `from_module`, and every text that a module wrote through [`SecretMasks`].

mod from_module;
mod masks;
mod to_module;

pub(super) use from_module::{REASON_LENGTH_MAX, acknowledgement, created, event_id, unreadable, update, updates};
pub(super) use masks::SecretMasks;
pub(super) use to_module::{
    config, endpoints, missing_required, notice, payment, payment_mode, payment_order, refund_order,
};

#[cfg(test)]
mod tests;
