//! Checks of what a refund asks for: a part is not the whole. That each has its own key is checked in `calls`.

use cashier_provider_sdk::{Amount, PaymentProvider, RefundOrder};

use crate::calls::{descriptor, sent};
use crate::harness::{ConformanceError, Harness, ensure, sample_payment, sample_refund};

/// Where part refunds are declared, the request states how much is refunded: of one key, a part, another part and the whole are
/// three requests.
pub fn a_part_refund_states_its_amount<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    let descriptor = descriptor::<P>()?;
    if !(descriptor.capabilities.refund && descriptor.capabilities.partial_refund) {
        return Ok(());
    }
    let instance = harness.instance::<P>()?;
    let whole = sample_refund(sample_payment(&harness.order, &descriptor.primary_ref_kind));
    let part = |of: i64| RefundOrder {
        amount: Amount { minor: whole.amount.minor / of, ..whole.amount.clone() },
        completes: false,
        ..whole.clone()
    };
    let mut requests = Vec::new();
    for refund in [&whole, &part(2), &part(5)] {
        let request = sent(&instance.refund_payment(refund, &[]));
        let request = request.ok_or_else(|| ConformanceError::new("a refund sends nothing".to_owned()))?;
        requests.push((request.url, request.body));
    }
    requests.sort();
    requests.dedup();
    ensure(requests.len() == 3, || "a part of a payment and the whole are refunded by one request".into())
}
