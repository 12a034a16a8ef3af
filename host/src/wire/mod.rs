//! The API's requests and answers as serde types: exact published names, in the published order (API.md section 2). It
//! decides nothing; the listeners and commands read requests and write answers through it.
//!
//! Each type is one table ([`crate::json_object`]), so every wrong field is named and no amount ever passes through a
//! float. A field given as `null` counts as omitted; a field that the request does not know is refused by its name,
//! because a misspelt limit or URL must not vanish silently.

pub mod answer_values;
pub mod approval;
mod card_scan;
pub mod config;
pub mod correction;
pub mod csv;
pub mod customer_override;
pub mod deposit;
pub mod envelope;
pub mod event;
pub mod explanation;
pub mod filter;
pub mod ground;
pub mod manual;
pub mod method;
pub mod method_explanation;
pub mod object_text;
pub mod operation;
pub mod pieces;
pub mod read;
pub mod refund;
pub mod refusal;
pub mod review;
pub mod roster;
pub mod schema;
pub mod transaction;
pub mod values;
pub mod webhook;
pub mod withdrawal;
pub mod work_item;
pub mod write;
