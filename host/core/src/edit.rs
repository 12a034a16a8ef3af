//! Edits of configs and overrides as pure functions (docs/api/manager-configs.md). A config edit is judged in `config` alone.

mod changes;
mod config;
mod customer_override;
mod fields;
mod sealed;
mod settings;

pub use self::changes::{
    AuditedValue, FieldChange, FieldClass, SecondPerson, UNAPPROVED_LENGTH_MAX, changed_fields, put_into_service,
    unapproved,
};
pub use self::config::{ConfigEdit, EditContext, reversals_wait};
pub use self::customer_override::{OverrideEdit, changed_override};
pub use self::fields::check_brand;
pub use self::sealed::WIPED_MAX;
pub use self::settings::{
    DeclaredSettings, REVERSAL, SettingMap, SettingValue, check_declared, is_host_setting, nearest,
};
