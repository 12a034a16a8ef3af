//! Secrets that nobody needs any more: those of deleted configs, once no update of their payments may still arrive, and the
//! requests of expired approvals. Each wipe leaves a record.

use std::sync::Arc;

use cashier_core::approval::{Approval, ApprovalState};
use cashier_core::change::{AuditRecord, Body, Change};
use cashier_core::edit::{AuditedValue, FieldChange, FieldClass};
use cashier_core::ids::{ApprovalId, ManagerId, TransactionId};
use cashier_core::provider_config::ProviderConfig;
use cashier_core::session::{Actor, Role};
use cashier_core::time::UnixTime;

use super::approvals;
use super::serving::{may_receive, serve, show};
use crate::flows::Cashier;
use crate::flows::publication::Publication;
use crate::ports::Durable;
use crate::security_log;

/// Request id of commits without a request, and the command of their records.
const REQUEST_ID: &str = "janitor";
const COMMAND: &str = "janitor";

/// Queues the end of secrets where there are such. The caller knows that the clock is plausible.
pub(in crate::flows) fn queue_end_of_secrets(cashier: &Cashier) {
    let now = cashier.clock.now();
    if !ended_configs(cashier, now).is_empty() || !expired(cashier, now).is_empty() {
        // A full queue is full of edits; the next round asks again.
        let _ = cashier.publications.try_send(Publication::EndSecrets);
    }
}

/// Deleted configs with secrets under which nothing is received any more.
fn ended_configs(cashier: &Cashier, now: UnixTime) -> Vec<Arc<ProviderConfig>> {
    let snapshot = cashier.snapshot();
    let configs = snapshot.configs().map(|served| &served.config);
    let ended = configs.filter(|config| {
        let is_deleted = config.deleted_time != UnixTime::UNSET && !config.enabled && config.holds_secrets();
        is_deleted && !may_receive(&cashier.ledger, config, now)
    });
    ended.cloned().collect()
}

/// Approvals that expired with their request.
fn expired(cashier: &Cashier, now: UnixTime) -> Vec<Approval> {
    let snapshot = cashier.snapshot();
    let expired = snapshot.approvals().filter(|known| known.state_at(now) == ApprovalState::Expired);
    expired.filter(|known| known.holds_request()).cloned().collect()
}

/// Wipes them, one commit each.
pub(super) async fn end_secrets(cashier: &Cashier) {
    let now = cashier.clock.now();
    if !cashier.clock.is_plausible() {
        return;
    }
    for config in ended_configs(cashier, now) {
        let account_marks = cashier.snapshot().account_marks_of_payments(&config);
        let wiped = ProviderConfig { account_marks, ..config.without_secrets(now) };
        let (stored, changes) = (wiped.clone(), wiped_columns(&config));
        let fields: Vec<Box<str>> = changes.iter().map(|change| change.field.clone()).collect();
        let stamp = cashier.stamp(Actor::System, REQUEST_ID);
        let ticket = cashier.ledger.decide(&stamp, |drafting| {
            drafting.add([Change::Config(Box::new(stored))]);
            drafting.store(record(&config, changes));
        });
        // After a failed commit it is found again.
        let Ok(ticket) = ticket else { return };
        if ticket.durable().await.is_err() {
            return;
        }
        security_log::secrets_wiped(config.id, &config.provider, &fields.join(" "));
        show(cashier, serve(&cashier.ledger, &*cashier.modules, wiped, now).await);
    }
    for approval in expired(cashier, now) {
        let (id, emptied) = (approval.id, approval.without_request());
        let stored = emptied.clone();
        let stamp = cashier.stamp(Actor::System, REQUEST_ID);
        // A decision that came just before its end must not be overwritten: it is found again where that came to nothing.
        let ticket = cashier.ledger.decide(&stamp, |drafting| {
            let is_decided = cashier.deciding.has(id);
            if !is_decided {
                drafting.add([Change::Approval(Box::new(stored))]);
            }
            is_decided
        });
        let Ok(ticket) = ticket else { return };
        match ticket.durable().await.map(Durable::into_inner) {
            Ok(true) => continue,
            Ok(false) => {}
            Err(_) => return,
        }
        tracing::info!(approval = %approval.id, "request of an expired approval was wiped");
        approvals::show(cashier, emptied);
    }
}

/// The secrets that a config holds, by column.
fn wiped_columns(config: &ProviderConfig) -> Vec<FieldChange> {
    let wiped = |field: &str, before| {
        let after = AuditedValue::Clear(Box::default());
        FieldChange { field: field.into(), class: FieldClass::Credential, before, after }
    };
    let columns = [
        ("secret_key", &config.secret_key),
        ("webhook_secret", &config.webhook_secret),
        ("config_json", &config.config_json),
    ];
    let readable = columns.into_iter().filter(|(_, secret)| !secret.is_empty());
    let mut changes: Vec<FieldChange> =
        readable.map(|(field, secret)| wiped(field, AuditedValue::Hidden(secret.clone()))).collect();
    if !config.replaced_webhook_secrets.is_empty() {
        let count = config.replaced_webhook_secrets.len().to_string();
        changes.push(wiped("replaced_webhook_secrets", AuditedValue::Clear(count.into())));
    }
    changes.extend(config.unreadable.iter().map(|lost| wiped(lost.column, AuditedValue::Clear("unreadable".into()))));
    changes
}

fn record(config: &ProviderConfig, changes: Vec<FieldChange>) -> Body {
    Body::Audit(Box::new(AuditRecord {
        manager_id: ManagerId(0),
        role: Role::System,
        brand: Box::default(),
        address: Box::default(),
        command: COMMAND.into(),
        config_id: config.id,
        transaction_id: TransactionId(0),
        approval: ApprovalId(0),
        outcome: "secrets wiped".into(),
        changes,
    }))
}
