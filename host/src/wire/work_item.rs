//! The work list on the wire: what waits, for whom, since when, and what ends it.

use std::collections::BTreeMap;

use cashier_core::duty::{WorkItem, WorkKind};
use cashier_core::time::UnixTime;

use crate::json_object::answer;
use crate::wire::answer_values::ExactAmount;
use crate::wire::ground::GroundText;
use crate::wire::values::{Id, Time};

answer! {
    /// Something that waits for a person, for somebody's answer or for time.
    pub struct WorkRecord<'a>(item: &'a WorkItem, now: UnixTime) {
        kind: &'static str = item.kind.name(), "what waits";
        waits_for: &'static str = item.waits_for().name(), "person, provider, trading_server or time";
        transaction_id: Id = Id(item.transaction_id.0), "transaction that it is about; 0 for none";
        provider_event_id: Id = Id(item.event_id.0), "event that it is about; 0 for none";
        approval_id: Id = Id(item.approval_id.0), "approval that it is about; 0 for none";
        provider_config_id: Id = Id(item.config_id.0), "config that it is about; 0 for none";
        brand: &'a str = &item.brand, "brand; empty for every brand or none known";
        provider: &'a str = &item.provider, "provider code";
        customer_id: Id = Id(item.customer_id.0), "customer; 0 where none is known";
        login: Id = Id(item.login.0), "trading account; 0 where none is known";
        trading_server: String = item.server.as_ref().map_or_else(String::new, ToString::to_string), "the trading server that it waits for, or whose posting differs; empty where it is about none";
        amount: Option<ExactAmount> = item.amount.map(ExactAmount), "amount of the transaction or event; left out where there is none";
        currency: &'a str = item.amount.as_ref().map_or("", |amount| amount.currency.code()), "its currency";
        failure_reason: &'a str = &item.reason, "reason of the transaction, event, approval or config";
        since: Time = Time(item.since), "since when it waits";
        age_seconds: i64 = now.0.saturating_sub(item.since.0).max(0), "how long that is";
        due_time: Time = Time(item.due_time), "when the cashier acts next or it ends by itself; 0 is never";
        sentence: &'static str = item.sentence(), "what it is, for a person";
        command: &'static str = item.command, "the command that ends it; empty where none does";
        ground: GroundText = GroundText(item.ground), "stands for what is known of the transaction; commands take it back; empty where it is about none";
    }

    /// How many items of one kind match.
    pub struct KindCount<>(kind: WorkKind, count: u64) {
        kind: &'static str = kind.name(), "the kind";
        count: u64 = count, "matching items of it";
    }

    /// A page of the work list.
    pub struct WorkAnswer<'a>(items: &'a [WorkItem], count: u64, kinds: &'a BTreeMap<WorkKind, u64>, now: UnixTime) {
        rows: Vec<WorkRecord<'a>> = items.iter().map(|item| WorkRecord::new(item, now)).collect(), "items of this page";
        count: u64 = count, "matching items before pagination";
        kinds: Vec<KindCount> = kinds.iter().map(|(kind, count)| KindCount::new(*kind, *count)).collect(),
            "how many match of each kind that has any";
    }
}
