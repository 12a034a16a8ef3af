//! Requests that the HTTP parser refused. They reach no route and have no request id (docs/api/conventions.md, case 46), so
//! their number is all that can be known of them: a client that does not percent-encode is found by it.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Of every listener of this process: hyper reports them per connection, which knows no cashier.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// Counts the end of a connection where the parser ended it.
pub(super) fn count(listener: &str, error: &hyper::Error) {
    if error.is_parse() || error.is_parse_too_large() {
        REFUSED.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(listener, %error, "request was refused by the HTTP parser");
    }
}

/// How many were refused since the start.
pub(super) fn counted() -> usize {
    REFUSED.load(Ordering::Relaxed)
}
