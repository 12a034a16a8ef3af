//! What a cashier knows and decides, pure and synchronous: every input is an argument, every outcome a value.
//! It knows no clock, socket, file, randomness, runtime or serialization; the host brings those.
//!
//! Reading order: [`ids`] and [`money`] name things; [`status`] holds the published numbers; [`facts`] keeps what was
//! heard about a payment; [`standing`] turns it into a status and what is owed; [`operation`] turns owed into money
//! moves; [`transaction`] is the row they meet in; [`eligibility`], [`deposit`], [`withdrawal`] and [`notice`] are the
//! decisions; [`books`] remembers and finds; [`change`] is how a decision leaves this crate.

pub mod account;
pub mod aggregate;
pub mod books;
pub mod change;
pub mod customer_override;
pub mod deposit;
pub mod draft;
pub mod duty;
pub mod edit;
pub mod eligibility;
pub mod facts;
pub mod filter;
pub mod ids;
pub mod inbox;
pub mod lengths;
pub mod money;
pub mod notice;
mod numbered;
pub mod operation;
pub mod provider_config;
pub mod reason;
pub mod refs;
pub mod refusal;
pub mod session;
pub mod standing;
pub mod status;
pub mod time;
pub mod transaction;
pub mod withdrawal;
