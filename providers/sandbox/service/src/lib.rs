//! The sandbox payment service: a merchant API, a hosted page, signed webhooks, and a switch for every failure.
//! It moves no money, writes nothing to disk and does not depend on the cashier.
//! The wire protocol is in README.md; `wire`, `event_kind` and `switch` are its types.

mod api_error;
mod background;
mod behavior;
mod button;
mod decimal_amount;
mod event_kind;
mod idempotency;
mod lifecycle;
mod page;
mod payments;
mod ports;
mod response;
mod routes;
mod running;
mod server;
mod settings;
mod signature;
mod state;
pub mod switch;
mod validation;
mod webhook_sender;
pub mod wire;

pub use api_error::{ApiError, ApiErrorCode};
pub use decimal_amount::DecimalAmount;
pub use event_kind::EventKind;
pub use ports::{MachineClock, MachineEntropy, SandboxClock, SandboxEntropy, SeededEntropy};
pub use running::{RunningSandbox, SandboxService, SandboxStartError};
pub use settings::*;
pub use signature::SIGNATURE_HEADER;
