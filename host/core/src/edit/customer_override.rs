//! An edit of a customer override: omitted fields keep their value, defaults apply only at creation.

use super::changes::{AuditedValue, FieldChange, FieldClass};
use super::fields::{check_limits, keep_or, required};
use crate::customer_override::{CustomerOverride, OverrideMode};
use crate::ids::{ConfigId, CustomerId, OverrideId};
use crate::money::Limit;
use crate::provider_config::Secret;
use crate::refusal::Refusal;
use crate::time::UnixTime;

/// An override edit of CRM (the override seed page).
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

    /// Whether the config that the edit names may be one. A stored one that was deleted since may be sent back.
    ///
    /// # Errors
    /// 400 where the edit names a config that `exists` denies.
    pub fn check_config(
        &self,
        stored: Option<&CustomerOverride>,
        exists: impl FnOnce(ConfigId) -> bool,
    ) -> Result<(), Refusal> {
        let unchanged = |id: &ConfigId| stored.is_some_and(|stored| stored.provider_config_id == *id);
        match self.provider_config_id.filter(|id| id.0 != 0 && !unchanged(id)) {
            Some(id) if !exists(id) => {
                Err(Refusal::invalid(format!("provider_config_id {id}: there is no such config")))
            }
            Some(_) | None => Ok(()),
        }
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
        check_limits(row.min_amount, row.max_amount)?;
        row.updated_time = now;
        Ok(row)
    }
}

/// The fields in which two states of an override differ, with the number of its row; without `before` it is created. Of the
/// comment, which may be erased, there is a fingerprint.
pub fn changed_override(before: Option<&CustomerOverride>, after: &CustomerOverride) -> Vec<FieldChange> {
    let of = |row: &CustomerOverride| {
        [
            ("customer_id", row.customer_id.to_string()),
            ("brand", row.brand.to_string()),
            ("provider", row.provider.to_string()),
            ("provider_config_id", row.provider_config_id.to_string()),
            ("method", row.method.to_string()),
            ("mode", row.mode.number().to_string()),
            ("min_amount", row.min_amount.to_wire()),
            ("max_amount", row.max_amount.to_wire()),
            ("enabled", u8::from(row.enabled).to_string()),
            ("reason", row.reason.to_string()),
            ("expires_time", row.expires_time.to_string()),
        ]
    };
    let nothing = of(after).map(|(field, _)| (field, String::new()));
    let pairs = before.map_or(nothing, of).into_iter().zip(of(after));
    let change = |field: &str, [before, after]: [AuditedValue; 2]| FieldChange {
        field: field.into(),
        class: FieldClass::Other,
        before,
        after,
    };
    let clear = |text: String| AuditedValue::Clear(text.into());
    let mut changes: Vec<FieldChange> = pairs
        .filter(|((_, before), (_, after))| before != after)
        .map(|((field, before), (_, after))| change(field, [clear(before), clear(after)]))
        .collect();
    let comments = [before.map_or("", |before| &before.comment), &*after.comment];
    if comments[0] != comments[1] {
        changes.push(change("comment", comments.map(|text| AuditedValue::Hidden(Secret::new(text)))));
    }
    if !changes.is_empty() {
        let id = before.map(|before| before.id.to_string()).unwrap_or_default();
        changes.insert(0, change("override", [clear(id), clear(after.id.to_string())]));
    }
    changes
}
