//! A manager writes a status, a reason, a comment or metadata of a transaction by hand: no money moves. Its texts are read and
//! written whole, so that corrections of one transaction follow each other.

use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::change::Body;
use cashier_core::decisions::{self, Correction, WrittenTexts};
use cashier_core::edit::{AuditedValue, FieldChange, FieldClass};
use cashier_core::ids::TransactionId;
use cashier_core::provider_config::Secret;
use cashier_core::refusal::Refusal;
use cashier_core::status::TransactionStatus;
use cashier_core::texts::Texts;

use super::decisions::{Decision, decide};
use super::manager_act::ManagerAct;
use super::{Cashier, transactions};
use crate::ledger::Estimate;

/// New metadata from the stored one.
type EditMetadata = Box<dyn FnOnce(&str) -> Box<str> + Send>;

/// What a manager writes; `None` leaves it.
pub struct CorrectionRequest {
    pub status: Option<TransactionStatus>,
    pub failure_reason: Option<Box<str>>,
    pub comment: Option<Box<str>>,
    /// The new metadata from the stored one: the server's own key in it stays.
    pub metadata: Option<EditMetadata>,
}

/// Writes what is given.
///
/// # Errors
/// 404 where it does not exist for the session; what [`decisions::correct`] refuses.
pub async fn correct(
    cashier: &Arc<Cashier>,
    act: &ManagerAct,
    id: TransactionId,
    written: CorrectionRequest,
) -> Result<Aggregate, Refusal> {
    let _flight = loop {
        match cashier.correcting.begin(id) {
            Some(flight) => break flight,
            None => cashier.correcting.ended(id).await,
        }
    };
    let CorrectionRequest { status, failure_reason, comment, metadata } = written;
    let known = transactions::one(cashier, &act.session, id).await?;
    let before = transactions::texts(cashier, &known.transaction).await?;
    let mut after = Texts::clone(&before);
    if let Some(comment) = comment {
        after.comment = comment;
    }
    if let Some(metadata) = metadata {
        after.metadata_json = metadata(&before.metadata_json);
    }
    let changed = (after != *before).then_some(after);
    let _admitted = cashier.ledger.admit(Estimate::single(changed.as_ref().map_or(0, |texts| texts.len() as u64)))?;
    if changed.is_some() {
        // Before they change: what is read from now on is read from the disk.
        cashier.archive.texts_change(id);
    }
    let by = act.session.manager_id();
    let texts = changed.map(|after| WrittenTexts { before: Texts::clone(&before), after, by });
    let correction = Correction { status, failure_reason, texts };
    // The ground is judged here: what repeats a command whose answer was lost changes nothing, and is answered as before.
    let unjudged = act.clone().on(None);
    let corrected = decide(cashier, &unjudged, id, |draft, known| {
        let judged = decisions::correct(known, &correction, draft.context());
        if !matches!(&judged, Ok(changes) if changes.is_empty() && correction.texts.is_none()) {
            act.check_ground(known, draft.now())?;
        }
        draft.add(judged?);
        let Some(written) = &correction.texts else { return Ok(Decision::default()) };
        draft.store(Body::Texts { transaction_id: id, texts: written.after.clone() });
        Ok(Decision { stated: recorded_texts(written), ..Decision::default() })
    });
    corrected.await
}

/// Which texts changed, as the record shows them: nobody reads there what a customer wrote, only whether it is the same.
fn recorded_texts(written: &WrittenTexts) -> Vec<FieldChange> {
    let WrittenTexts { before, after, by: _ } = written;
    let fields = [
        ("comment", [&before.comment, &after.comment]),
        ("metadata_json", [&before.metadata_json, &after.metadata_json]),
    ];
    let changed = fields.into_iter().filter(|(_, [before, after])| before != after);
    changed
        .map(|(field, texts)| {
            let [before, after] = texts.map(|text| AuditedValue::Hidden(Secret::new(Texts::stated(text))));
            FieldChange { field: field.into(), class: FieldClass::Other, before, after }
        })
        .collect()
}
