//! The frozen ABI between the cashier and its provider modules. Module authors do not use it: they implement the
//! trait of `cashier-provider-sdk`.
//!
//! A released layout never changes: not a field, not their order, not a type. Additions to a record go into its `bag`;
//! additions to the calls become a `v2` beside `v1`.
#![warn(missing_docs)]
#![expect(clippy::result_large_err, reason = "a failure crosses the boundary by value, in a layout that never changes")]

pub mod codes;
pub mod symbols;
pub mod v1;

pub use abi_stable;

/// The number of the contract that this crate implements.
pub const CONTRACT: u32 = 1;
