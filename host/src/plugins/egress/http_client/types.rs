//! A request, and why there is no reply: whether the request certainly never left, or may have. Sends nothing.

use std::fmt;

use bytes::Bytes;

/// Largest request body. Payment orders take a few KiB; 1 MiB is the host's own limit for bodies (API.md section 3).
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// Largest reply body. The reply about a payment takes a few KiB, a list of a day's payments some hundred.
pub const REPLY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Connections of one config to one host at a time. At one second a reply this is 256 requests a second; further requests
/// wait.
pub(super) const CONNECTIONS_MAX: usize = 256;

/// A request as a module states it. No Debug: headers and body hold secrets.
#[derive(Clone)]
pub struct EgressRequest {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE` or `HEAD`.
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    /// At most [`REQUEST_BYTES_MAX`].
    pub body: Bytes,
}

/// Why there is no reply. Holds no header, body, path or query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EgressError {
    /// No byte of the request has left: it certainly did not happen.
    NeverSent(NeverSent),
    /// Some of the request may have left: it may or may not have happened.
    Unknown(UnknownOutcome),
}

/// Why a request was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeverSent {
    /// The host or the address is not allowed, or the request is malformed.
    Refused(String),
    /// The name has no address.
    Dns(String),
    /// The connection was refused or timed out, or the peer closed it before anything was written.
    Connect(String),
    /// The handshake failed, or the certificate is not the host's.
    Tls(String),
    /// The deadline passed while all [`CONNECTIONS_MAX`] connections were busy.
    Busy,
}

/// Why a request that may have left got no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnknownOutcome {
    /// No complete reply before the deadline.
    Deadline,
    /// The connection broke.
    Broken(String),
    /// The reply is larger than [`REPLY_BYTES_MAX`].
    TooLarge,
    /// The peer sent something that is not an HTTP reply.
    Malformed(String),
}

impl fmt::Display for EgressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverSent(why) => write!(f, "never sent: {why}"),
            Self::Unknown(why) => write!(f, "outcome unknown: {why}"),
        }
    }
}

impl fmt::Display for NeverSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Dns(why) => write!(f, "name: {why}"),
            Self::Connect(why) => write!(f, "connection: {why}"),
            Self::Tls(why) => f.write_str(why),
            Self::Busy => write!(f, "all {CONNECTIONS_MAX} connections were busy until the deadline"),
        }
    }
}

impl fmt::Display for UnknownOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadline => f.write_str("timed out: no complete reply before the deadline"),
            Self::Broken(why) => write!(f, "the connection broke: {why}"),
            Self::TooLarge => write!(f, "the reply is larger than {REPLY_BYTES_MAX} bytes"),
            Self::Malformed(why) => write!(f, "not an HTTP reply: {why}"),
        }
    }
}

impl std::error::Error for EgressError {}
