//! What every endpoint of the customer listener needs: the cashier, the session keys, the limit of a JSON body. It knows no
//! path.

use std::sync::Arc;

use cashier_core::refusal::Refusal;
use cashier_core::session::CustomerSession;

use crate::flows::Cashier;
use crate::http::request::Request;
use crate::http::sender::Proof;
use crate::http::session::SessionKeys;

/// Bytes of a JSON body: 16 KiB of metadata with every character escaped take 96 KiB, the other fields less than 8 KiB.
pub(super) const JSON_LENGTH_MAX: usize = 128 * 1024;

pub(super) struct CustomerContext {
    pub(super) cashier: Arc<Cashier>,
    pub(super) keys: Arc<SessionKeys>,
}

impl CustomerContext {
    /// The session of a request; without a valid one the refusal is the published 403.
    pub(super) fn session(&self, request: &Request) -> Result<CustomerSession, Refusal> {
        let now = self.cashier.clock.wall();
        let session = self.keys.customer(request.authorization(), request.origin.ip, now)?;
        request.origin.sender.proved(Proof::Customer(session.customer_id()));
        Ok(session)
    }
}
