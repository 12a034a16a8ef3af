//! The one publisher of configuration: judge → validate → commit → durable → open the gateway → publish the snapshot.
//! Edits come through a queue and are made one after another. What an edit may change is judged in
//! `cashier_core::edit`.

mod approvals;
mod deletion;
mod mismatches;
mod retired;
mod serving;
mod settings;
mod upkeep;

use std::sync::{Arc, Weak};

use cashier_core::approval::{Approval, ApprovalState};
use cashier_core::change::Change;
use cashier_core::customer_override::CustomerOverride;
use cashier_core::edit::{self, ConfigEdit, EditContext, OverrideEdit, changed_fields, check_brand, put_into_service};
use cashier_core::ids::{ApprovalId, OverrideId};
use cashier_core::provider_config::{ProviderConfig, REPLACED_SECRETS_MAX};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::Actor;
use tokio::sync::{mpsc, oneshot};

use self::approvals::{Authority, EditedBy, no_row};
pub use self::mismatches::{
    config_warnings, override_warnings, report_rows_without_match, rows_without_match, unknown_brands,
};
pub use self::serving::initial_snapshot;
use self::serving::{may_receive, serve, show};
pub(super) use self::settings::reversals_wait;
use self::settings::{module_settings, parse_settings, without_key};
use super::Cashier;
use super::approvals::{decided, log_decided, outcome};
use super::manager_act::{AuditSubject, ManagerAct};
use super::publication::Publication;
pub use super::publication::{
    ApprovalDecision, ApprovalRequest, ConfigOutcome, ConfigRequest, DeletionRequest, OverrideRequest,
};
use crate::ledger::Estimate;
use crate::security_log::{self, SavedConfig};
use crate::snapshot::{Served, Snapshot};

pub(super) use self::retired::queue_end_of_secrets;
pub(super) use self::upkeep::{begin_windows_of_secrets, reloaded, reopen_broken};
pub use self::upkeep::{read_again, read_what_opens_again};

/// Creates or updates a provider config, or asks for a second person where the settings want one.
pub async fn save_config(cashier: &Cashier, request: ConfigRequest) -> Result<ConfigOutcome, Refusal> {
    let (sender, outcome) = oneshot::channel();
    queue(cashier, Publication::Config(Box::new(request), sender))?;
    outcome.await.unwrap_or_else(|_| Err(interrupted()))
}

/// Approves or rejects a change that waits for a second person.
pub async fn decide_approval(cashier: &Cashier, request: ApprovalRequest) -> Result<Approval, Refusal> {
    let (sender, outcome) = oneshot::channel();
    queue(cashier, Publication::Approval(Box::new(request), sender))?;
    outcome.await.unwrap_or_else(|_| Err(interrupted()))
}

/// Deletes a config that never served.
pub async fn delete_config(cashier: &Cashier, request: DeletionRequest) -> Result<(), Refusal> {
    let (sender, outcome) = oneshot::channel();
    queue(cashier, Publication::Deletion(Box::new(request), sender))?;
    outcome.await.unwrap_or_else(|_| Err(interrupted()))
}

/// Creates or updates a customer override.
pub async fn save_override(cashier: &Cashier, request: OverrideRequest) -> Result<CustomerOverride, Refusal> {
    let (sender, outcome) = oneshot::channel();
    queue(cashier, Publication::Override(Box::new(request), sender))?;
    outcome.await.unwrap_or_else(|_| Err(interrupted()))
}

fn queue(cashier: &Cashier, publication: Publication) -> Result<(), Refusal> {
    let full = |_| Refusal::new(RefusalCode::Frequent, "too many edits are waiting");
    cashier.publications.try_send(publication).map_err(full)
}

fn interrupted() -> Refusal {
    Refusal::new(RefusalCode::Internal, "the edit was interrupted")
}

/// Starts the publisher. It ends with the cashier.
pub(super) fn start(cashier: &Arc<Cashier>, mut queue: mpsc::Receiver<Publication>) {
    let publisher: Weak<Cashier> = Arc::downgrade(cashier);
    cashier.spawn.background(Box::pin(async move {
        while let Some(publication) = queue.recv().await {
            let Some(cashier) = publisher.upgrade() else { return };
            match publication {
                Publication::Config(request, reply) => {
                    let by = EditedBy::one(&request);
                    // The client may have disconnected; the edit holds.
                    let _ = reply.send(publish_config(&cashier, &by, &request.edit).await);
                }
                Publication::Approval(request, reply) => {
                    let _ = reply.send(decide(&cashier, *request).await);
                }
                Publication::Deletion(request, reply) => {
                    let _ = reply.send(deletion::delete(&cashier, &request).await);
                }
                Publication::Override(request, reply) => {
                    let OverrideRequest { session, command, edit, context } = *request;
                    let act = ManagerAct { session, command, context, approval: None, ground: None };
                    let _ = reply.send(publish_override(&cashier, &act, &edit).await);
                }
                Publication::Asked(row, shown) => {
                    approvals::show(&cashier, *row);
                    let _ = shown.send(());
                }
                Publication::Reopened(served) => upkeep::show_reopened(&cashier, served),
                Publication::EndSecrets => retired::end_secrets(&cashier).await,
                Publication::Reread => upkeep::reread(&cashier).await,
                Publication::BeginWindows => upkeep::begin_windows(&cashier).await,
                Publication::Reloaded => upkeep::show_reloaded(&cashier).await,
            }
        }
    }));
}

/// Approves, and so makes the change, or rejects.
async fn decide(cashier: &Cashier, request: ApprovalRequest) -> Result<Approval, Refusal> {
    let ApprovalRequest { session, id, decision, context } = request;
    let snapshot = cashier.snapshot();
    let approval = snapshot.approval(id).filter(|known| session.sees(&known.brand)).ok_or_else(no_row)?.clone();
    let version = snapshot.config(approval.config_id).map_or(0, |served| served.config.version);
    drop(snapshot);
    let now = cashier.clock.now();
    let by = EditedBy {
        session: &session,
        command: &approval.command,
        context: &context,
        authority: Authority::Two(&approval),
    };
    let state = match decision {
        ApprovalDecision::Approve(edit) => {
            approval.check_approver(&session, version, now)?;
            match publish_config(cashier, &by, &edit).await? {
                ConfigOutcome::Saved(_) => ApprovalState::Approved,
                ConfigOutcome::Waits(asked) => return Ok(*asked),
            }
        }
        ApprovalDecision::Reject => {
            approval.check_open(now)?;
            approvals::reject(cashier, &by, &approval, now).await?;
            ApprovalState::Rejected
        }
    };
    let decided = decided(&approval, state, &session, now);
    approvals::show(cashier, decided.clone());
    log_decided(&decided, &session);
    Ok(decided)
}

/// While an edit may change what transactions rest on, the config serves no new deposit, so that none is opened between
/// the check for transactions and the new snapshot.
async fn publish_config(cashier: &Cashier, by: &EditedBy<'_>, edit: &ConfigEdit) -> Result<ConfigOutcome, Refusal> {
    let served = match edit.target() {
        Some(id) => Some(cashier.snapshot().config(id).cloned().ok_or_else(no_row)?),
        None => None,
    };
    let stored = served.as_ref().map(|served| Arc::clone(&served.config));
    let target_brand = edit.brand.as_deref().or(stored.as_ref().map(|stored| &*stored.brand)).unwrap_or("");
    check_brand(by.session, stored.as_ref().map(|stored| &*stored.brand), target_brand)?;
    let Some(before) = served.filter(|served| edit.may_change_frozen(&served.config)) else {
        return write_config(cashier, by, edit, stored).await;
    };
    let closed = ProviderConfig {
        enabled: false,
        version: before.config.version.saturating_add(1),
        ..ProviderConfig::clone(&before.config)
    };
    show(cashier, Served { config: Arc::new(closed), gateway: before.gateway.clone() });
    let written = write_config(cashier, by, edit, stored).await;
    if !matches!(written, Ok(ConfigOutcome::Saved(_))) {
        show(cashier, before);
    }
    written
}

async fn write_config(
    cashier: &Cashier,
    by: &EditedBy<'_>,
    edit: &ConfigEdit,
    stored: Option<Arc<ProviderConfig>>,
) -> Result<ConfigOutcome, Refusal> {
    let now = cashier.clock.now();
    let (changes, earlier, draft, is_draft) = {
        let snapshot = cashier.snapshot();
        // Where another module gets the config, it is judged by what that one declares.
        let provider = edit.provider.as_deref().or(stored.as_ref().map(|stored| &*stored.provider));
        let has_transactions = match &stored {
            Some(stored) => cashier.ledger.peek(|books| books.config_activity(stored.id).is_some())?,
            None => false,
        };
        let module = provider.and_then(|provider| snapshot.module(provider)).map(module_settings);
        let context = EditContext { has_transactions, module, parse: &parse_settings, without: &without_key, now };
        let mut draft = match &stored {
            Some(stored) => edit.apply(stored, &context)?,
            None => edit.create(&context)?,
        };
        if !cashier.clock.is_plausible() {
            draft.postpone_windows(now);
        }
        let is_draft = !has_transactions && !draft.enabled && stored.as_ref().is_none_or(|stored| !stored.enabled);
        draft.account_marks = account_marks(&snapshot, stored.as_deref(), &draft, has_transactions);
        if let Some(stored) = stored.as_deref() {
            keep_links(&snapshot, stored, &mut draft)?;
        }
        let changes = changed_fields(stored.as_deref(), &draft, &context)?;
        let earlier = put_into_service(stored.as_deref(), &draft, &changes, &context);
        (changes, earlier, draft, is_draft)
    };
    validate(cashier, &draft, !edit.wipe.is_empty()).await?;
    let classes = changes.iter().map(|change| change.class).chain(earlier.iter().map(|(_, class)| *class));
    let needs_second = cashier.rules.second_person.is_needed(classes, is_draft);
    let fields = approvals::names(&changes, &earlier);
    let credentials: Vec<&str> =
        changes.iter().filter(|change| change.class.is_credential()).map(|change| &*change.field).collect();
    let credentials = credentials.join(" ");
    if needs_second && let Authority::One(data) = by.authority {
        let version = stored.as_ref().map_or(0, |stored| stored.version);
        let asked = approvals::ask(cashier, by, data, &draft, version, fields, changes).await?;
        return Ok(ConfigOutcome::Waits(Box::new(asked)));
    }

    let _admitted = cashier.ledger.admit(Estimate::single(draft.settings_json.len() as u64))?;
    let stamp = cashier.stamp(Actor::Manager(by.session.manager_id()), &by.context.request_id);
    let is_approved = matches!(by.authority, Authority::Two(_));
    let unapproved = edit::unapproved(stored.as_deref(), &draft, &changes, is_approved);
    let ticket = cashier.ledger.decide(&stamp, |drafting| {
        let id = if stored.is_some() { draft.id } else { drafting.next_config() };
        let saved = ProviderConfig { id, unapproved, ..draft };
        drafting.add([Change::Config(Box::new(saved.clone()))]);
        let approved = match by.authority {
            Authority::One(_) => None,
            Authority::Two(approval) => Some(decided(approval, ApprovalState::Approved, by.session, now)),
        };
        let approval = approved.as_ref().map_or(ApprovalId(0), |approved| approved.id);
        drafting.add(approved.map(|approved| Change::Approval(Box::new(approved))));
        if !changes.is_empty() || approval.0 != 0 {
            let subject = AuditSubject { config: id, approval, ..AuditSubject::default() };
            drafting.store(approvals::record(by, subject, outcome(by.session, "saved"), changes));
        }
        saved
    })?;
    let saved = ticket.durable().await?.into_inner();
    let served = serve(&cashier.ledger, &*cashier.modules, saved.clone(), now).await;
    let without_gateway = served.gateway.is_err();
    show(cashier, served);
    // A deposit opened under the previous snapshot still needs webhooks; under this one none can be opened unnoticed.
    if without_gateway && may_receive(&cashier.ledger, &saved, now) {
        show(cashier, serve(&cashier.ledger, &*cashier.modules, saved.clone(), now).await);
    }
    let dropped = stored.as_ref().map_or(0, |stored| stored.dropped_secrets(&saved, now));
    if dropped > 0 {
        tracing::warn!(
            config = %saved.id, by = %by.session.manager_id(), dropped, kept = REPLACED_SECRETS_MAX,
            "replaced webhook secrets were dropped before their time: what is still signed with them is rejected"
        );
    }
    security_log::config_saved(&SavedConfig {
        config: saved.id,
        provider: &saved.provider,
        by: by.session.manager_id(),
        fields: &fields,
        credentials: &credentials,
        is_new: stored.is_none(),
    });
    for warning in config_warnings(cashier, &saved) {
        tracing::warn!(config = %saved.id, %warning, "a saved config names what is not there");
    }
    Ok(ConfigOutcome::Saved(Box::new(saved)))
}

async fn publish_override(
    cashier: &Cashier,
    act: &ManagerAct,
    edit: &OverrideEdit,
) -> Result<CustomerOverride, Refusal> {
    let (session, now) = (&act.session, cashier.clock.now());
    let stored = match edit.target() {
        Some(id) => Some(cashier.snapshot().customer_override(id).cloned().ok_or_else(no_row)?),
        None => None,
    };
    let target_brand = edit.brand.as_deref().or(stored.as_ref().map(|stored| &*stored.brand)).unwrap_or("");
    check_brand(session, stored.as_ref().map(|stored| &*stored.brand), target_brand)?;
    // A config of another brand does not exist for this session.
    let is_seen = |served: &Served| served.config.brand.is_empty() || session.sees(&served.config.brand);
    edit.check_config(stored.as_ref(), |id| cashier.snapshot().config(id).is_some_and(is_seen))?;
    let draft = match &stored {
        Some(stored) => edit.apply(stored, now)?,
        None => edit.create(OverrideId(0), now)?,
    };
    let _admitted = cashier.ledger.admit(Estimate::single(0))?;
    let ticket = cashier.ledger.decide(&act.stamp(cashier), |drafting| {
        let id = if stored.is_some() { draft.id } else { drafting.next_override() };
        let saved = CustomerOverride { id, ..draft };
        drafting.add([Change::Override(Box::new(saved.clone()))]);
        let changes = edit::changed_override(stored.as_ref(), &saved);
        if !changes.is_empty() {
            let subject = AuditSubject { config: saved.provider_config_id, ..AuditSubject::default() };
            // Not `saved`, which says of the config itself that it served.
            drafting.store(act.record(subject, "override saved", changes));
        }
        saved
    })?;
    let saved = ticket.durable().await?.into_inner();
    cashier.snapshot.store(Arc::new(Snapshot::clone(&cashier.snapshot()).with_override(saved.clone())));
    security_log::override_saved(saved.id, session.manager_id());
    for warning in override_warnings(cashier, &saved) {
        tracing::warn!(customer_override = %saved.id, %warning, "a saved override names what is not there");
    }
    Ok(saved)
}

/// The account of what was credited stays known whatever becomes of the secrets. A draft has credited nothing: only what it
/// holds counts.
fn account_marks(
    snapshot: &Snapshot,
    stored: Option<&ProviderConfig>,
    draft: &ProviderConfig,
    has_transactions: bool,
) -> Vec<Box<str>> {
    let stored = stored.filter(|stored| has_transactions || stored.enabled || !stored.unreadable.is_empty());
    let earlier = stored.map(|stored| match has_transactions {
        true => snapshot.account_marks_of_payments(stored),
        false => snapshot.account_marks(stored),
    });
    let earlier = earlier.unwrap_or_default();
    snapshot.account_marks(&ProviderConfig { account_marks: earlier, ..draft.clone() })
}

/// Payments of other configs may be compared through one that credited nothing itself: then it stays of their account.
fn keep_links(snapshot: &Snapshot, stored: &ProviderConfig, draft: &mut ProviderConfig) -> Result<(), Refusal> {
    if snapshot.linked_by(stored.id, Some(draft)).is_empty() {
        return Ok(());
    }
    let earlier = snapshot.account_marks(stored);
    draft.account_marks = snapshot.account_marks(&ProviderConfig { account_marks: earlier, ..draft.clone() });
    match &*snapshot.linked_by(stored.id, Some(draft)) {
        [] => Ok(()),
        linked => Err(Refusal::invalid(format!(
            "provider and sandbox cannot change: {} share a merchant account through this config, and a payment would be credited \
             under each",
            deletion::named(linked)
        ))),
    }
}

/// A loaded module validates the config. A disabled config without any credential yet may be
/// saved as a draft.
async fn validate(cashier: &Cashier, config: &ProviderConfig, is_wiping: bool) -> Result<(), Refusal> {
    let loaded = cashier.snapshot().module(&config.provider).is_some_and(|line| line.available);
    let blank = config.secret_key.is_empty() && config.webhook_secret.is_empty() && config.config_json.is_empty();
    // A leaked secret ends although the module requires it: until another is given, the disabled config has no gateway, its
    // webhooks are answered 503 and its orders wait.
    if !loaded || (!config.enabled && (blank || is_wiping)) || !config.unreadable.is_empty() {
        return Ok(());
    }
    cashier.modules.validate(config).await.map_err(|reason| match is_wiping {
        true => Refusal::invalid(format!("{reason}; with enabled 0 in the same edit the secret is wiped all the same")),
        false => Refusal::invalid(reason),
    })
}
