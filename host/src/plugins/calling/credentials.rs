//! Whether the provider takes a gateway's credentials: one flag, changed by how exchanges end. A wrong key is not about one
//! payment, so it shows in the gateway's health and once in the log.

use std::sync::atomic::{AtomicBool, Ordering};

use cashier_provider_sdk::{FailureKind, ProviderFailure};

/// The provider refused the credentials the last time it judged them.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    refused: AtomicBool,
}

impl Credentials {
    pub(super) fn are_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Notes how an exchange that sent a request ended, `None` without a failure. A failure that does not show whether the
    /// credentials were taken, such as a 5xx, changes nothing.
    pub(super) fn note(&self, gateway: &str, failure: Option<&ProviderFailure>) {
        let Some(failure) = failure else { return self.accepted(gateway) };
        match failure.kind {
            FailureKind::CredentialsRefused => {
                if !self.refused.swap(true, Ordering::Relaxed) {
                    tracing::warn!(gateway, code = failure.code, "provider refused the credentials of a config");
                }
            }
            FailureKind::Declined | FailureKind::RefusedRequest | FailureKind::NotFound => self.accepted(gateway),
            FailureKind::UnreadableAnswer
            | FailureKind::Temporary
            | FailureKind::StaleReply
            | FailureKind::Panicked => {}
        }
    }

    fn accepted(&self, gateway: &str) {
        if self.refused.swap(false, Ordering::Relaxed) {
            tracing::info!(gateway, "provider accepted the credentials of a config again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m12_refused_credentials_are_noted_until_the_provider_takes_them_again() {
        let credentials = Credentials::default();
        let failed = |kind| Some(ProviderFailure::new(kind, "api_key_expired", "text"));
        // How an exchange ended, and whether the credentials stand as refused after it.
        let table = [
            (failed(FailureKind::Temporary), false),
            (failed(FailureKind::CredentialsRefused), true),
            (failed(FailureKind::Temporary), true),
            (failed(FailureKind::UnreadableAnswer), true),
            (failed(FailureKind::Declined), false),
            (failed(FailureKind::CredentialsRefused), true),
            (None, false),
        ];
        for (at, (failure, refused)) in table.iter().enumerate() {
            credentials.note("stripe 1", failure.as_ref());
            assert_eq!(credentials.are_refused(), *refused, "{at}: {failure:?}");
        }
    }
}
