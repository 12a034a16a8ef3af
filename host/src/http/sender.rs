//! What a request proved about its sender. The endpoints note it; the accept loop shows a session its latency, and keeps places
//! for addresses that proved who they are.

use std::sync::OnceLock;

use cashier_core::ids::{CustomerId, ManagerId};

/// What was proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    Nothing,
    /// A notice that its provider signed.
    Notice,
    /// The same for a sandbox, whose secret more people have.
    SandboxNotice,
    /// A valid session.
    Customer(CustomerId),
    Manager(ManagerId),
}

impl Proof {
    pub(super) fn is_session(self) -> bool {
        match self {
            Self::Nothing | Self::Notice | Self::SandboxNotice => false,
            Self::Customer(_) | Self::Manager(_) => true,
        }
    }
}

/// The sender of one request.
#[derive(Debug, Default)]
pub(super) struct Sender(OnceLock<Proof>);

impl Sender {
    pub(super) fn proved(&self, proof: Proof) {
        // A request proves one thing: each endpoint takes one kind of sender.
        let _ = self.0.set(proof);
    }

    pub(super) fn proof(&self) -> Proof {
        self.0.get().copied().unwrap_or(Proof::Nothing)
    }
}
