//! Write a payment provider for the cashier: one trait, one macro.
//! A provider says what to send and reads what came back; it does no I/O of its own.

mod border;
pub mod export;
mod guard;
pub mod host;
pub mod http;
pub mod money;
pub mod provider;
pub mod types;

pub use http::{Form, HttpMethod, HttpReply, HttpRequest};
pub use money::Amount;
pub use provider::{Keep, PaymentProvider, Step};
/// The JSON crate of the contract: its numbers keep the text they were written in.
pub use serde_json;
pub use types::{
    Acknowledgement, Capabilities, ConfigError, Descriptor, Dispute, FailureKind, NextAction,
    NormalizedStatus, Pairs, PaymentCreated, PaymentMode, PaymentOrder, PaymentRef, ProviderConfig,
    ProviderFailure, ProviderRef, Refund, RefundOrder, RefundReach, Secret, SettingKind,
    SettingSpec, Settings, StatusUpdate, WebhookNotice, WebhookVerdict,
};
