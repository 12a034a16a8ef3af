//! Masks a config's secrets in texts for people, then cuts the texts: a provider's error message may quote the
//! key it refused, and a proxy may answer with a whole page. Requests are not masked.

use crate::types::{
    ConfigError, PaymentCreated, ProviderConfig, ProviderFailure, Secret, StatusUpdate, WebhookVerdict,
};
use crate::{Descriptor, Step};

/// Shortest secret that is masked: a shorter one occurs by chance in ordinary text.
const SECRET_CHARS_MIN: usize = 8;

/// Longest message of a failure: providers write one or two lines.
const MESSAGE_CHARS_MAX: usize = 300;

/// Longest reason of an update: the manager's table displays it in a cell.
const REASON_CHARS_MAX: usize = 200;

/// The secrets of one config, the longest first, so that a secret inside another leaves no remainder.
pub(crate) struct Mask(Vec<Secret>);

impl Mask {
    /// The secret fields, and the settings that `descriptor` marks as secret.
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

    pub(crate) fn failure(&self, mut failure: ProviderFailure) -> ProviderFailure {
        failure.mask(self);
        failure
    }

    pub(crate) fn step<T: Masked>(&self, step: Step<T>) -> Step<T> {
        match step {
            Step::Failed(failure) => Step::Failed(self.failure(failure)),
            Step::Done(mut value) => {
                value.mask(self);
                Step::Done(value)
            }
            step @ (Step::Send { .. } | Step::Unsupported) => step,
        }
    }

    /// Masks before it cuts: a mask cannot find half of a secret.
    fn hide_and_cut(&self, text: &mut String, chars_max: usize) {
        self.hide(text);
        if let Some((end, _)) = text.char_indices().nth(chars_max) {
            text.truncate(end);
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

/// A result with texts for managers and logs.
pub(crate) trait Masked {
    fn mask(&mut self, mask: &Mask);
}

impl Masked for ProviderFailure {
    fn mask(&mut self, mask: &Mask) {
        mask.hide(&mut self.code);
        mask.hide(&mut self.field);
        mask.hide_and_cut(&mut self.message, MESSAGE_CHARS_MAX);
    }
}

impl Masked for StatusUpdate {
    fn mask(&mut self, mask: &Mask) {
        mask.hide(&mut self.raw_status);
        if let Some(reason) = &mut self.reason {
            mask.hide_and_cut(reason, REASON_CHARS_MAX);
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
            Self::Verified { updates, ignored, .. } => {
                updates.iter_mut().for_each(|update| update.mask(mask));
                if let Some(reason) = ignored {
                    mask.hide_and_cut(reason, REASON_CHARS_MAX);
                }
            }
            Self::Unreadable(unreadable) => mask.hide_and_cut(&mut unreadable.reason, REASON_CHARS_MAX),
            Self::Rejected(reason) | Self::Untimely(reason) | Self::Undetermined(reason) => mask.hide(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FailureKind;

    const SECRET: &str = "sk_live_canary_7Q2M";

    fn mask() -> Mask {
        let config = ProviderConfig { secret_key: SECRET.into(), ..ProviderConfig::default() };
        Mask::of(&config, &Descriptor::default())
    }

    #[test]
    fn a_cut_at_any_position_leaves_no_part_of_a_secret() {
        for position in 0..=MESSAGE_CHARS_MAX {
            let text = format!("{}{SECRET} and more{}", "ü".repeat(position), "x".repeat(MESSAGE_CHARS_MAX));
            let mut failure = ProviderFailure::new(FailureKind::Temporary, SECRET, text.clone());
            failure.mask(&mask());
            assert_eq!(failure.code, "***");
            assert!(!failure.message.contains("sk_"), "{}", failure.message);
            assert_eq!(failure.message.chars().count(), MESSAGE_CHARS_MAX);

            let mut update = StatusUpdate { reason: Some(text), ..StatusUpdate::default() };
            update.mask(&mask());
            let reason = update.reason.expect("the reason is still set");
            assert!(!reason.contains("sk_") && reason.chars().count() == REASON_CHARS_MAX, "{reason}");
        }
    }

    #[test]
    fn a_short_text_without_secrets_is_unchanged() {
        let mut failure = ProviderFailure::declined("card_declined", "ünïcödé");
        failure.mask(&mask());
        assert_eq!((failure.code.as_str(), failure.message.as_str()), ("card_declined", "ünïcödé"));
    }
}
