//! One payment is credited once, whether its provider states it for an order or a person enters it by hand. This is the one
//! place that judges which transactions may be the same money (docs/api/manager-transactions.md, cases 141 and 173): it is asked
//! before money is entered, before a command makes money postable, and when a provider's statement is applied. It changes no row.
//!
//! Two principles decide every case. A manual deposit is *linked* to each order of which it may be the money, by an id of the
//! payment, by the order's own record that it was entered beside it, or because it is alike and was entered before the payment was
//! stated; the state that the order is in when it is entered decides only whether a person must send `force`. And what is linked is
//! compared whenever money of either becomes postable, unless a review named it to the person who decides.

mod command;
mod entry;
mod links;
mod statement;

pub use command::check_once;
pub use entry::check_entry;
pub(crate) use statement::{hold_entered, named_beside, return_beside};
