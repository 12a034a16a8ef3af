//! Whether the provider takes a gateway's credentials: one flag, changed by how exchanges end. A wrong key is not about one
//! payment, so it shows in the gateway's health and once in the log.

use std::sync::atomic::{AtomicBool, Ordering};

use cashier_provider_sdk::FailureKind;

use super::exchange::ExchangeEnd;

/// The provider refused the credentials the last time it judged them.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    refused: AtomicBool,
}

impl Credentials {
    pub(super) fn are_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Notes the end of an exchange that sent a request. An end that does not show whether the credentials were taken, such
    /// as a 5xx or no reply, changes nothing.
    pub(super) fn note<T>(&self, gateway: &str, end: &ExchangeEnd<T>) {
        let refused = match end {
            ExchangeEnd::Done(_) => false,
            ExchangeEnd::Failed(failure) => match failure.kind {
                FailureKind::CredentialsRefused => true,
                FailureKind::Declined | FailureKind::RefusedRequest | FailureKind::NotFound => false,
                FailureKind::UnreadableAnswer
                | FailureKind::Temporary
                | FailureKind::StaleReply
                | FailureKind::Panicked => return,
            },
            ExchangeEnd::Unsupported | ExchangeEnd::HostFailed(_) => return,
        };
        match (self.refused.swap(refused, Ordering::Relaxed), end) {
            (false, ExchangeEnd::Failed(failure)) if refused => {
                tracing::warn!(gateway, code = failure.code, "provider refused the credentials of a config");
            }
            (true, _) if !refused => tracing::info!(gateway, "provider accepted the credentials of a config again"),
            (true | false, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use cashier_provider_sdk::ProviderFailure;

    use super::*;

    #[test]
    fn m12_refused_credentials_are_noted_until_the_provider_takes_them_again() {
        let credentials = Credentials::default();
        let failed = |kind| ExchangeEnd::<()>::Failed(ProviderFailure::new(kind, "api_key_expired", "text"));
        // The end of an exchange, and whether the credentials stand as refused after it.
        let table = [
            (failed(FailureKind::Temporary), false),
            (failed(FailureKind::CredentialsRefused), true),
            (failed(FailureKind::Temporary), true),
            (failed(FailureKind::UnreadableAnswer), true),
            (ExchangeEnd::Unsupported, true),
            (failed(FailureKind::Declined), false),
            (failed(FailureKind::CredentialsRefused), true),
            (ExchangeEnd::Done(()), false),
        ];
        for (at, (end, refused)) in table.iter().enumerate() {
            credentials.note("stripe 1", end);
            assert_eq!(credentials.are_refused(), *refused, "{at}: {end:?}");
        }
    }
}
