//! Edits of configs and overrides as pure functions: omitted fields keep their value, defaults apply only at creation,
//! and what money already rests on cannot be changed (API.md section 2).

use crate::customer_override::{CustomerOverride, OverrideMode};
use crate::ids::{ConfigId, CustomerId, OverrideId};
use crate::money::{Currency, Limit};
use crate::provider_config::{ProviderConfig, REPLACED_SECRET_SECONDS, ReplacedSecret, Secret};
use crate::refusal::Refusal;
use crate::session::ManagerSession;
use crate::time::UnixTime;

/// A config as a manager wrote it; `None` keeps the stored value, and so does an empty secret, because a form that
/// shows a blank must not wipe it.
#[derive(Debug, Clone, Default)]
pub struct ConfigEdit {
    /// `None` or 0 creates.
    pub id: Option<ConfigId>,
    pub provider: Option<Box<str>>,
    pub brand: Option<Box<str>>,
    pub method: Option<Box<str>>,
    pub country: Option<Box<str>>,
    pub currency: Option<Box<str>>,
    pub merchant_id: Option<Box<str>>,
    pub public_key: Option<Box<str>>,
    pub secret_key: Option<Secret>,
    pub webhook_secret: Option<Secret>,
    pub settings_json: Option<Box<str>>,
    pub config_json: Option<Secret>,
    pub min_amount: Option<Limit>,
    pub max_amount: Option<Limit>,
    pub sandbox: Option<bool>,
    pub enabled: Option<bool>,
    pub sort_index: Option<i64>,
    /// Ends the replaced webhook secret at once.
    pub revoke_previous: bool,
}

impl ConfigEdit {
    /// The id of the row to change; `None` creates.
    pub fn target(&self) -> Option<ConfigId> {
        self.id.filter(|id| id.0 != 0)
    }

    /// A new config with id `id`.
    pub fn create(&self, id: ConfigId, now: UnixTime) -> Result<ProviderConfig, Refusal> {
        let provider = self.provider.clone().unwrap_or_default();
        if provider.is_empty() {
            return Err(Refusal::invalid("provider is required"));
        }
        let blank = ProviderConfig {
            id,
            provider,
            brand: Box::default(),
            method: Box::default(),
            country: Box::default(),
            currency: Box::default(),
            merchant_id: Box::default(),
            public_key: Box::default(),
            secret_key: Secret::default(),
            webhook_secret: Secret::default(),
            replaced_webhook_secrets: Vec::new(),
            settings_json: "{}".into(),
            config_json: Secret::default(),
            min_amount: Limit::NONE,
            max_amount: Limit::NONE,
            sandbox: false,
            enabled: false,
            sort_index: 0,
            created_time: now,
            updated_time: now,
            terms_version: 0,
            version: 0,
        };
        self.apply(&blank, false, now)
    }

    /// The stored config with this edit applied. `has_transactions` freezes what money rests on.
    pub fn apply(
        &self,
        stored: &ProviderConfig,
        has_transactions: bool,
        now: UnixTime,
    ) -> Result<ProviderConfig, Refusal> {
        if has_transactions {
            self.check_frozen(stored)?;
        }
        let mut config = stored.clone();
        keep_or(&mut config.provider, &self.provider);
        keep_or(&mut config.brand, &self.brand);
        keep_or(&mut config.method, &self.method);
        keep_or(&mut config.country, &self.country);
        keep_or(&mut config.currency, &self.currency);
        keep_or(&mut config.merchant_id, &self.merchant_id);
        keep_or(&mut config.public_key, &self.public_key);
        keep_or(&mut config.settings_json, &self.settings_json);
        keep_or(&mut config.min_amount, &self.min_amount);
        keep_or(&mut config.max_amount, &self.max_amount);
        keep_or(&mut config.sandbox, &self.sandbox);
        keep_or(&mut config.enabled, &self.enabled);
        keep_or(&mut config.sort_index, &self.sort_index);
        keep_or_secret(&mut config.secret_key, &self.secret_key);
        keep_or_secret(&mut config.config_json, &self.config_json);
        keep_or_secret(&mut config.webhook_secret, &self.webhook_secret);
        config.replaced_webhook_secrets.retain(|replaced| !self.revoke_previous && now < replaced.until);
        if !config.currency.is_empty() && Currency::from_code(&config.currency).is_none() {
            return Err(Refusal::invalid(format!("currency {} is not known", config.currency)));
        }
        if config.max_amount.is_set() && config.max_amount < config.min_amount {
            return Err(Refusal::invalid("max_amount is below min_amount"));
        }
        config.updated_time = now;
        config.version = stored.version.saturating_add(1);
        if terms(&config) != terms(stored) {
            config.terms_version = config.version;
        }
        Ok(config)
    }

    /// Keeps the webhook secret that `config` replaces, so that it verifies for [`REPLACED_SECRET_SECONDS`] more, unless
    /// the edit ends it now.
    pub fn keep_replaced(&self, config: &mut ProviderConfig, replaced: Secret, now: UnixTime) {
        if !self.revoke_previous && !replaced.is_empty() {
            let until = now.plus(REPLACED_SECRET_SECONDS);
            config.replaced_webhook_secrets.insert(0, ReplacedSecret { secret: replaced, until });
        }
    }

    /// Whether the edit may change what is frozen once a transaction exists; `config_json` may hold a merchant id.
    pub fn moves_the_ground(&self, stored: &ProviderConfig) -> bool {
        self.check_frozen(stored).is_err() || self.config_json.as_ref().is_some_and(|new| !new.is_empty())
    }

    /// Once a transaction exists these are immutable: changing them would point old money at new credentials.
    fn check_frozen(&self, stored: &ProviderConfig) -> Result<(), Refusal> {
        let changes = |edit: &Option<Box<str>>, value: &str| edit.as_deref().is_some_and(|new| new != value);
        let frozen = [
            ("provider", changes(&self.provider, &stored.provider)),
            ("brand", changes(&self.brand, &stored.brand)),
            ("merchant_id", changes(&self.merchant_id, &stored.merchant_id)),
            ("sandbox", self.sandbox.is_some_and(|new| new != stored.sandbox)),
        ];
        match frozen.iter().find(|(_, changed)| *changed) {
            Some((field, _)) => Err(frozen_field(field)),
            None => Ok(()),
        }
    }
}

/// The refusal of an edit that would point old money at new ground.
pub fn frozen_field(field: &str) -> Refusal {
    Refusal::invalid(format!("{field} cannot change once transactions exist under the config: make a new config"))
}

/// What a provider is called with, and as whom.
fn terms(config: &ProviderConfig) -> impl PartialEq {
    (
        (config.provider.clone(), config.merchant_id.clone(), config.public_key.clone(), config.sandbox),
        (config.secret_key.clone(), config.config_json.clone(), config.settings_json.clone()),
    )
}

/// An override as CRM wrote it (the override seed page).
#[derive(Debug, Clone, Default)]
pub struct OverrideEdit {
    /// `None` or 0 creates.
    pub id: Option<OverrideId>,
    pub customer_id: Option<CustomerId>,
    pub brand: Option<Box<str>>,
    pub provider: Option<Box<str>>,
    pub provider_config_id: Option<ConfigId>,
    pub method: Option<Box<str>>,
    pub mode: Option<OverrideMode>,
    pub min_amount: Option<Limit>,
    pub max_amount: Option<Limit>,
    pub enabled: Option<bool>,
    pub reason: Option<Box<str>>,
    pub comment: Option<Box<str>>,
    pub expires_time: Option<UnixTime>,
}

impl OverrideEdit {
    /// The id of the row to change; `None` creates.
    pub fn target(&self) -> Option<OverrideId> {
        self.id.filter(|id| id.0 != 0)
    }

    pub fn create(&self, id: OverrideId, now: UnixTime) -> Result<CustomerOverride, Refusal> {
        let customer_id = self.customer_id.filter(|id| id.0 != 0).ok_or_else(|| required("customer_id"))?;
        let text =
            |value: &Option<Box<str>>, field| value.clone().filter(|v| !v.is_empty()).ok_or_else(|| required(field));
        let blank = CustomerOverride {
            id,
            customer_id,
            brand: text(&self.brand, "brand")?,
            provider_config_id: ConfigId(0),
            provider: text(&self.provider, "provider")?,
            method: Box::default(),
            mode: OverrideMode::Allow,
            min_amount: Limit::NONE,
            max_amount: Limit::NONE,
            enabled: true,
            reason: Box::default(),
            comment: Box::default(),
            expires_time: UnixTime::UNSET,
            created_time: now,
            updated_time: now,
        };
        self.apply(&blank, now)
    }

    /// The stored override with this edit applied; its customer never changes.
    pub fn apply(&self, stored: &CustomerOverride, now: UnixTime) -> Result<CustomerOverride, Refusal> {
        if self.customer_id.is_some_and(|id| id != stored.customer_id) {
            return Err(Refusal::invalid("customer_id of an override cannot change"));
        }
        let mut row = stored.clone();
        keep_or(&mut row.brand, &self.brand);
        keep_or(&mut row.provider, &self.provider);
        keep_or(&mut row.provider_config_id, &self.provider_config_id);
        keep_or(&mut row.method, &self.method);
        keep_or(&mut row.mode, &self.mode);
        keep_or(&mut row.min_amount, &self.min_amount);
        keep_or(&mut row.max_amount, &self.max_amount);
        keep_or(&mut row.enabled, &self.enabled);
        keep_or(&mut row.reason, &self.reason);
        keep_or(&mut row.comment, &self.comment);
        keep_or(&mut row.expires_time, &self.expires_time);
        if row.brand.is_empty() {
            return Err(required("brand"));
        }
        if row.provider.is_empty() {
            return Err(required("provider"));
        }
        if row.max_amount.is_set() && row.max_amount < row.min_amount {
            return Err(Refusal::invalid("max_amount is below min_amount"));
        }
        row.updated_time = now;
        Ok(row)
    }
}

/// Brand scope of writes: both the stored and the target brand must be the session's own (API.md section 4).
/// A row of another brand does not exist for it; a generic one is seen and not written.
pub fn check_brand(session: &ManagerSession, stored: Option<&str>, target: &str) -> Result<(), Refusal> {
    use crate::refusal::RefusalCode::{NotFound, PermissionDenied};
    if stored.is_some_and(|brand| !brand.is_empty() && !session.sees(brand)) {
        return Err(Refusal::new(NotFound, "there is no such row"));
    }
    if stored.is_some_and(|brand| !session.sees(brand)) || !session.sees(target) {
        return Err(Refusal::new(PermissionDenied, "this session is scoped to another brand"));
    }
    Ok(())
}

fn required(field: &str) -> Refusal {
    Refusal::invalid(format!("{field} is required"))
}

fn keep_or<T: Clone>(stored: &mut T, edit: &Option<T>) {
    if let Some(new) = edit {
        stored.clone_from(new);
    }
}

fn keep_or_secret(stored: &mut Secret, edit: &Option<Secret>) {
    if let Some(new) = edit.as_ref().filter(|new| !new.is_empty()) {
        stored.clone_from(new);
    }
}
