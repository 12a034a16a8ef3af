//! What a listener knows about a request beside its content.

/// Where a request came from, as far as flows care.
#[derive(Debug, Clone)]
pub struct RequestContext {
    pub request_id: Box<str>,
    /// The customer's address as the listener knows it; may be empty.
    pub ip: Box<str>,
    /// A BCP 47 tag; may be empty.
    pub locale: Box<str>,
}
