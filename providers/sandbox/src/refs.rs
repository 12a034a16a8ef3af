//! The kinds of ids that the service gives.

pub(crate) const SANDBOX_PAYMENT: &str = "sandbox_payment";
