//! The flows: deposits, withdrawals, webhooks, queries, edits and the janitor. Each reads from top to bottom, knows no
//! socket, disk or library, and outlives the request that began it. What they share is the [`Cashier`].

pub mod approvals;
pub mod audit;
pub mod cancel;
mod cashier;
pub mod configure;
mod conversion;
pub mod correcting;
mod customer_limits;
mod deciding;
mod decisions;
pub mod deposit;
pub mod dismissing;
pub mod ended_calls;
pub mod events;
pub mod explain;
pub mod explain_methods;
pub mod janitor;
mod list_limits;
mod list_reader;
mod list_time;
mod list_turns;
mod manager_act;
pub mod manual;
pub mod methods;
mod next_tries;
mod notice_limits;
mod provider_query;
mod publication;
mod rate_limit;
pub mod refund;
pub mod refusals;
mod refused_before;
pub mod replay;
mod replay_turn;
mod request_context;
mod requeue;
mod return_hosts;
pub mod reviewing;
pub mod roster;
pub mod settle;
mod single_flight;
pub mod trading_servers;
pub mod transactions;
mod unrecorded_refusals;
mod unshown_approvals;
pub mod webhook;
pub mod withdrawal;
pub mod work_list;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use self::cashier::{Cashier, Ports, Rules};
pub use self::customer_limits::CustomerLimits;
pub use self::list_limits::{EXPORT_ROWS_MIN, ListPermit};
pub use self::list_reader::{CUSTOMER_LISTS_MAX, EXPORTS_MAX, ListReader, MANAGER_LISTS_MAX, ManagerReader};
pub use self::manager_act::{AuditSubject, ManagerAct};
pub use self::notice_limits::{
    FAILED_NOTICES_PER_PROVIDER_PER_MINUTE, KNOWN_ADDRESS_TIME_MAX, NoticeFailure, NoticeRules, NoticeScope,
    NoticeSender, SMALL_NOTICE_LENGTH_MAX,
};
pub use self::rate_limit::{
    CANCELS_OF_MANAGER_PER_MINUTE, CANCELS_OF_ONE_PER_MINUTE, NETWORK_VERIFICATIONS_PER_MINUTE,
    REFUSALS_OF_BRAND_RECORDED_PER_MINUTE, REFUSALS_OF_OTHERS_RECORDED_PER_MINUTE, REFUSALS_RECORDED_PER_MINUTE,
    WITHDRAWALS_PER_MINUTE,
};
pub use self::request_context::RequestContext;
pub use self::return_hosts::ReturnHosts;
use crate::ledger::Ledger;
use crate::snapshot::Snapshot;

/// Builds the flows around their ports and starts the publisher of configuration; the janitor is started by itself.
pub fn open(ledger: Ledger, snapshot: Snapshot, ports: Ports, rules: Rules) -> Arc<Cashier> {
    let (cashier, publications) = Cashier::new(ledger, snapshot, ports, rules);
    configure::start(&cashier, publications);
    cashier
}
