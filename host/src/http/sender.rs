//! What a request proved about its sender. The endpoints note it; the accept loop shows a session its latency, and keeps places
//! for addresses that proved who they are.

use std::sync::atomic::{AtomicU8, Ordering};

/// What was proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Proof {
    Nothing,
    /// A notice that its provider signed.
    Notice,
    /// A valid session.
    Session,
}

/// The sender of one request.
#[derive(Debug, Default)]
pub(super) struct Sender(AtomicU8);

impl Sender {
    pub(super) fn proved(&self, proof: Proof) {
        self.0.fetch_max(proof as u8, Ordering::Relaxed);
    }

    pub(super) fn proof(&self) -> Proof {
        let noted = self.0.load(Ordering::Relaxed);
        let proofs = [Proof::Notice, Proof::Session];
        proofs.into_iter().find(|proof| *proof as u8 == noted).unwrap_or(Proof::Nothing)
    }
}
