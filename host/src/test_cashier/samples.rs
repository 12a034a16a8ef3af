//! The values that tests of the cashier begin with: a request, a context, what a provider states.

use bytes::Bytes;
use cashier_core::deposit::DepositRequest;
use cashier_core::ids::Reference;
use cashier_core::money::{Currency, Money};
use cashier_core::notice::{StatedAmount, Update};
use cashier_core::status::ProviderStatus;

use super::{AMOUNT, CUSTOMER, LOGIN};
use crate::flows::RequestContext;
use crate::ports::Acknowledgement;

pub(crate) fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("USD").unwrap())
}

pub(crate) fn context() -> RequestContext {
    RequestContext { request_id: "test".into(), ip: Box::default(), locale: Box::default() }
}

/// A status update without reference or ids.
pub(crate) fn update(event_id: &str, status: ProviderStatus) -> Update {
    Update {
        event_id: event_id.into(),
        reference: None,
        refs: Vec::new(),
        status,
        payment_id: Box::default(),
        amount: None,
        refund: None,
        dispute: None,
        raw_status: status.name().into(),
        reason: Box::default(),
        sandbox: None,
        mode_conflict: false,
        advance: false,
    }
}

/// A confirmation of the full amount; the payment's id is made of the reference.
pub(crate) fn paid(event_id: &str, reference: &Reference) -> Update {
    Update {
        reference: Some(reference.clone()),
        payment_id: format!("pay_{reference}").into(),
        amount: Some(StatedAmount::Exact(usd(AMOUNT))),
        ..update(event_id, ProviderStatus::Confirmed)
    }
}

pub(crate) fn deposit_request(key: &str) -> DepositRequest {
    DepositRequest {
        customer_id: CUSTOMER,
        login: LOGIN,
        provider: "stripe".into(),
        method: Box::default(),
        provider_config_id: None,
        amount: usd(AMOUNT),
        idempotency_key: key.into(),
        success_url: Box::default(),
        failure_url: Box::default(),
        comment: Box::default(),
        metadata_json: "{}".into(),
        refused_if_new: None,
    }
}

/// An acknowledgement that a module asks to be sent as it is.
pub(crate) fn own_acknowledgement() -> Acknowledgement {
    Acknowledgement {
        status: 202,
        headers: vec![("content-type".into(), "text/plain".into())],
        body: Bytes::from_static(b"[accepted]"),
    }
}
