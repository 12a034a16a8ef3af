//! The proof that a webhook was signed, and what the guard learns from it: once every byte is proven to be the provider's,
//! a failure or a panic while it is read means "authentic, not understood", whatever the author does with the error.

use std::cell::Cell;

/// What a signature covers. It decides what becomes of a signed webhook that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covers {
    /// The body as received, byte for byte: what cannot be read is still the provider's, so the host stores it.
    EveryByte,
    /// Selected fields: whoever has seen one signed webhook can change the rest, so what cannot be read proves nothing.
    Fields,
}

/// Proof that a webhook was signed with one of the config's secrets.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "parse the webhook only after its signature is proven"]
pub struct SignatureProof(Covers);

impl SignatureProof {
    /// A proof over this much. What covers every byte is remembered for the guard of this call.
    pub(super) fn over(covers: Covers) -> Self {
        if covers == Covers::EveryByte {
            PROVEN.set(true);
        }
        Self(covers)
    }

    /// For providers that verify by an API: the provider itself answered, in this exchange, that it sent exactly this
    /// webhook. The caller asserts that the answer is about every byte of the body.
    pub fn stated_by_provider() -> Self {
        Self::over(Covers::EveryByte)
    }

    /// What it covers.
    pub fn covers(&self) -> Covers {
        self.0
    }
}

/// In a notice's bag: the host verified it when it was received and now has it read again. Its secret may be gone since, so
/// that verification succeeds without one.
pub const PROVEN_BEFORE: &str = "proven_before";

thread_local! {
    /// The notice of the current guarded call was proven when it was received.
    static PROVEN_EARLIER: Cell<bool> = const { Cell::new(false) };
    /// A proof over every byte was made in the current guarded call of this thread.
    static PROVEN: Cell<bool> = const { Cell::new(false) };
}

/// Forgets the proofs of earlier calls on this thread. `proven_earlier` is the host's word about the notice of this one.
pub(crate) fn forget_proofs(proven_earlier: bool) {
    PROVEN.set(proven_earlier);
    PROVEN_EARLIER.set(proven_earlier);
}

/// Whether the notice of this call needs no verification.
pub(super) fn is_proven_earlier() -> bool {
    PROVEN_EARLIER.get()
}

/// Whether a proof over every byte was made since [`forget_proofs`].
pub(crate) fn every_byte_is_proven() -> bool {
    PROVEN.get()
}
