//! The filter language of the list methods (docs/API.md section 6): typed conditions, an order and a page over any table
//! of fields. Endpoints read query strings and JSON into texts; here the texts are read by the field's type. It knows no
//! wire format and no storage.

mod build;
mod like;
mod model;
mod tables;

pub use self::build::{Clause, FilterBuilder};
pub use self::like::{PATTERN_LENGTH_MAX, Pattern};
pub use self::model::*;
pub use self::tables::{
    ApprovalField, AuditField, ConfigField, EventField, OverrideField, TransactionField, WorkField,
};
