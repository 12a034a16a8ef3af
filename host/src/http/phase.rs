//! What one connection is doing, and what that says about when it may end for another.

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No byte of a request has come on it.
    Fresh,
    /// A TLS handshake is under way.
    Handshake,
    /// The head of a request has begun.
    Head,
    /// The body of a request arrives: its sender decides how long that takes.
    Receiving,
    /// The request is in the hands of a flow.
    Answering,
    /// The answer is sent: its reader decides how long that takes.
    Sending,
    /// Waits for the next request.
    Idle,
}

/// Connections that end for others, those first that are missed least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Nothing was ever answered on it, or half a head is there.
    Unused,
    /// It was of use, and another can be opened in its place.
    Idle,
    /// Its client takes time.
    Slow,
}

impl Phase {
    /// `None` for a request that nobody but the cashier delays: it ends for nobody.
    pub(super) fn class(self) -> Option<Class> {
        match self {
            Self::Fresh | Self::Handshake | Self::Head => Some(Class::Unused),
            Self::Receiving | Self::Sending => Some(Class::Slow),
            Self::Idle => Some(Class::Idle),
            Self::Answering => None,
        }
    }
}
