//! The kinds of ids that Stripe gives. The intent is the payment itself, so it is the one shown.

pub(crate) const PAYMENT_INTENT: &str = "payment_intent";
pub(crate) const CHECKOUT_SESSION: &str = "checkout_session";
pub(crate) const CHARGE: &str = "charge";
