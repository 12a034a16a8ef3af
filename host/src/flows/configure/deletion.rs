//! Deletes a draft for good: a config that never served, as its records show. What served keeps its row, because payments,
//! webhooks and disputes refer to it.

use std::sync::Arc;

use cashier_core::change::Change;
use cashier_core::edit::{EditContext, changed_fields, check_brand};
use cashier_core::ids::ConfigId;
use cashier_core::provider_config::{ProviderConfig, Secret};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::Actor;

use super::approvals::{self, Authority, EditedBy, no_row};
use super::settings::{module_settings, parse_settings, without_key};
use crate::flows::publication::DeletionRequest;
use crate::flows::{AuditSubject, Cashier};
use crate::ledger::{Estimate, storage_unavailable};
use crate::security_log;
use crate::snapshot::Snapshot;

/// `configs 1, 3`.
pub(super) fn named(configs: &[ConfigId]) -> String {
    let ids: Vec<String> = configs.iter().map(ToString::to_string).collect();
    format!("configs {}", ids.join(", "))
}

/// The publisher makes edits one after another, and only an edit enables a config: none begins to serve meanwhile.
pub(super) async fn delete(cashier: &Cashier, request: &DeletionRequest) -> Result<(), Refusal> {
    let DeletionRequest { session, command, id, context } = request;
    let stored = cashier.snapshot().config(*id).map(|served| Arc::clone(&served.config)).ok_or_else(no_row)?;
    check_brand(session, Some(&stored.brand), &stored.brand)?;
    let in_use = |why: &str| Refusal::new(RefusalCode::ConfigInUse, format!("config {id} stays: {why}"));
    if stored.enabled {
        return Err(in_use("it is enabled"));
    }
    if cashier.ledger.peek(|books| books.config_activity(*id).is_some())? {
        return Err(in_use("it has transactions"));
    }
    let history = cashier.archive.config_history(*id).await.map_err(|fault| {
        tracing::error!(%fault, config = %id, "reading the records of a config failed");
        storage_unavailable()
    })?;
    match (history.was_created, history.was_enabled) {
        (_, true) => return Err(in_use("it has served")),
        (false, false) => return Err(in_use("it is older than the records that would show whether it served")),
        (true, false) => {}
    }
    let linked = cashier.snapshot().linked_by(*id, None);
    if !linked.is_empty() {
        return Err(in_use(&format!("{} share a merchant account through it", named(&linked))));
    }
    let changes = {
        let snapshot = cashier.snapshot();
        let module = snapshot.module(&stored.provider).map(module_settings);
        let now = cashier.clock.now();
        let judged =
            EditContext { has_transactions: false, module, parse: &parse_settings, without: &without_key, now };
        changed_fields(Some(&stored), &ProviderConfig::blank(Box::default(), now), &judged)?
    };
    let nothing = Secret::default();
    let by = EditedBy { session, command, context, authority: Authority::One(&nothing) };
    let _admitted = cashier.ledger.admit(Estimate::single(0))?;
    let stamp = cashier.stamp(Actor::Manager(session.manager_id()), &context.request_id);
    let subject = AuditSubject { config: *id, ..AuditSubject::default() };
    let ticket = cashier.ledger.decide(&stamp, |drafting| {
        drafting.add([Change::ConfigDeleted(*id)]);
        drafting.store(approvals::record(&by, subject, "deleted", changes));
    })?;
    ticket.durable().await?;
    cashier.snapshot.store(Arc::new(Snapshot::clone(&cashier.snapshot()).without_config(*id)));
    security_log::config_deleted(*id, &stored.provider, session.manager_id());
    Ok(())
}
