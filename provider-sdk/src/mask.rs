//! Takes the secrets of a configuration out of texts that people read: a provider's error message
//! may quote the key it refused.

use crate::types::{
    ConfigError, PaymentCreated, ProviderConfig, ProviderFailure, Secret, StatusUpdate, WebhookVerdict,
};
use crate::{Descriptor, Step};

/// Shortest secret that is looked for: a shorter one occurs by chance inside words.
const SECRET_CHARS_MIN: usize = 8;

/// The secrets of one configuration, the longest first.
pub(crate) struct Mask(Vec<Secret>);

impl Mask {
    /// The secret columns, and the settings that `descriptor` marks as secret.
    pub(crate) fn of(config: &ProviderConfig, descriptor: &Descriptor) -> Self {
        let settings = descriptor
            .settings
            .iter()
            .filter(|setting| setting.secret)
            .filter_map(|setting| config.settings.text(&setting.key).ok().flatten())
            .map(Secret::new);
        let mut secrets: Vec<Secret> = config
            .webhook_secrets()
            .into_iter()
            .chain([config.secret_key.clone()])
            .chain(settings)
            .filter(|secret| secret.expose().chars().count() >= SECRET_CHARS_MIN)
            .collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Self(secrets)
    }

    pub(crate) fn config_error(&self, mut error: ConfigError) -> ConfigError {
        self.hide(&mut error.field);
        self.hide(&mut error.message);
        error
    }

    pub(crate) fn step<T: Masked>(&self, step: Step<T>) -> Step<T> {
        match step {
            Step::Failed(mut failure) => {
                failure.mask(self);
                Step::Failed(failure)
            }
            Step::Done(mut value) => {
                value.mask(self);
                Step::Done(value)
            }
            step @ (Step::Send { .. } | Step::Unsupported) => step,
        }
    }

    fn hide(&self, text: &mut String) {
        for secret in &self.0 {
            if text.contains(secret.expose()) {
                *text = text.replace(secret.expose(), "***");
            }
        }
    }
}

/// An answer with texts that managers and logs are shown.
pub(crate) trait Masked {
    fn mask(&mut self, mask: &Mask);
}

impl Masked for ProviderFailure {
    fn mask(&mut self, mask: &Mask) {
        mask.hide(&mut self.code);
        mask.hide(&mut self.message);
    }
}

impl Masked for StatusUpdate {
    fn mask(&mut self, mask: &Mask) {
        mask.hide(&mut self.raw_status);
        if let Some(reason) = &mut self.reason {
            mask.hide(reason);
        }
    }
}

impl Masked for PaymentCreated {
    fn mask(&mut self, mask: &Mask) {
        if let Some(update) = &mut self.update {
            update.mask(mask);
        }
    }
}

impl Masked for WebhookVerdict {
    fn mask(&mut self, mask: &Mask) {
        match self {
            Self::Genuine { updates, .. } => updates.iter_mut().for_each(|update| update.mask(mask)),
            Self::NotGenuine(reason) | Self::CannotTell(reason) => mask.hide(reason),
        }
    }
}
