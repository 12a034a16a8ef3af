//! The frozen border between the cashier and its provider modules, and the only place where it is
//! spoken. Authors never see it: they write the trait of `cashier-provider-sdk`.
//!
//! A released shape never changes: not a field, not an order, not a type. What a record must carry
//! beyond its fields goes into its `bag`; what a call must do beyond `v1` becomes a `v2` beside it.

pub mod codes;
pub mod symbols;
pub mod v1;

pub use abi_stable;

/// The number of the contract that this crate speaks.
pub const CONTRACT: u32 = 1;
