//! Which requests a module may send in an exchange, and which of them may move money. It sends nothing.

use cashier_provider_sdk::{CachePolicy, HttpMethod, HttpRequest};

/// What a module may send in an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AllowedRequests<'a> {
    None,
    SafeOnly,
    All,
    /// All; a request that carries one of these texts of the order may create its payment.
    Creating {
        order_keys: &'a [&'a str],
    },
}

impl AllowedRequests<'_> {
    /// Whether a request may move money. In a create call the module's `safe_to_repeat` is not enough: a create under an
    /// idempotency key is safe to repeat, yet when its reply is lost a payment exists. There every request may move money
    /// but a GET and a cacheable one, such as for a token, and those too when they carry an order key.
    pub(super) fn may_move_money(self, request: &HttpRequest, cache: Option<&CachePolicy>) -> bool {
        let reads = request.method == HttpMethod::Get || cache.is_some();
        match self {
            Self::Creating { order_keys } => {
                !request.safe_to_repeat || !reads || order_keys.iter().any(|key| request.carries(key))
            }
            Self::None | Self::SafeOnly | Self::All => !request.safe_to_repeat,
        }
    }
}
