//! The core through its public API: tables for every published rule, and properties over every order of events.
#![cfg(test)]

mod approvals;
mod books;
mod card_data;
mod decisions;
mod duty;
mod edit;
mod eligibility;
mod endings;
mod filter;
mod histories;
mod identity;
mod life;
mod mismatches;
mod money_vectors;
mod notices;
mod operation_keys;
mod override_edit;
mod owed;
mod printable;
mod query;
mod query_between_holds;
mod reconcile;
mod refused;
mod requests;
mod restated;
mod samples;
mod sealed;
mod sessions;
mod setting_names;
mod standing;
mod unmatched;
mod unreadable;
mod verify;
mod waiting;
mod wanted_queries;
