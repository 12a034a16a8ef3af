//! The cashier's state and decisions, pure and synchronous: every input is an argument, every outcome a value.
//! It knows no clock, socket, file, randomness, runtime or serialization; the host provides those.
//!
//! Reading order: [`ids`], [`money`] and [`status`] are the basic types; [`facts`] records what a provider and persons
//! established about a payment; [`standing`] derives status and owed amount from them; [`operation`] plans balance
//! operations; [`transaction`] is the row and [`aggregate`] the unit of a decision; [`eligibility`], [`deposit`],
//! [`withdrawal`], [`credited_once`], [`inbox`], [`duty`] and [`edit`] are the decisions; [`draft`] collects the changes of one; [`books`]
//! stores and finds rows in memory; [`change`] is how a decision leaves this crate.

pub mod account;
pub mod aggregate;
pub mod approval;
pub mod books;
pub mod card_data;
pub mod card_field;
pub mod change;
pub mod conversion;
pub mod country;
pub mod credited_once;
pub mod customer_override;
pub mod decisions;
pub mod dependence;
pub mod deposit;
pub mod digest;
pub mod draft;
pub mod duty;
pub mod edit;
pub mod eligibility;
pub mod explanation;
pub mod facts;
pub mod filter;
pub mod ids;
pub mod inbox;
pub mod lengths;
pub mod lookups;
pub mod manual;
pub mod money;
pub mod network;
pub mod notice;
mod numbered;
pub mod operation;
pub mod printable;
pub mod provider_call;
pub mod provider_config;
pub mod reason;
pub mod recent;
pub mod reconcile;
pub mod refs;
pub mod refund;
pub mod refusal;
pub mod refused;
pub mod rights;
pub mod roster;
pub mod session;
pub mod standing;
pub mod status;
pub mod texts;
pub mod time;
pub mod transaction;
pub mod withdrawal;
