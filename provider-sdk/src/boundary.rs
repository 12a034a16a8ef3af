//! Conversions between the plain types and the frozen ABI records, one file for each side and direction.
//! They hold no policy, but for codes that the host does not know (`host_decode`).

/// Prefix of the pairs in a setting's bag that say how the customer pays under a value: `payment_mode.NAME` with the value.
const PAYMENT_MODE: &str = "payment_mode.";

pub(crate) mod host_decode;
pub(crate) mod host_encode;
pub(crate) mod module_decode;
pub(crate) mod module_encode;
