//! Applies a provider's statements to a draft: match the update to a transaction, verify it, add its facts and ids, apply
//! pending events with those ids, and report what became due. Shared by webhooks, create answers and query answers. It
//! logs nothing: the result contains what an operator should know.

mod again;
mod claim;
mod filed;
mod identity;
mod matching;
mod unmatched;
mod unreadable;
mod verify;

use crate::aggregate::{Aggregate, CreateEnding};
use crate::change::{Body, Change};
use crate::credited_once;
use crate::draft::Draft;
use crate::duty::{self, ProviderQuery};
use crate::facts::{ProviderFact, Recording};
use crate::ids::{EventId, NoticeId, TransactionId};
use crate::notice::{ProviderEvent, ReceivingConfig, Update, VerifiedNotice};
use crate::operation::BalanceOperation;
use crate::reason::{Reason, ReasonCode};
use crate::refs::ProviderRef;
use crate::status::ProcessingStatus;
use crate::transaction::{FirstAnswer, Transaction};

pub use self::again::{file_again, is_recovered, recovered};

use self::claim::{claim, counted_elsewhere, share};
pub use self::filed::{Filed, FiledEvent};
use self::filed::{blank_event, close, ignored};
pub use self::identity::event_ids;
use self::identity::identified;
use self::matching::{Matched, Stated, is_about, match_update, own_refs, owner_of, stated};
pub use self::unmatched::{Dismissal, GivenUp, UNMATCHED_PAYMENTS_MAX, dismiss, give_up, is_dismissed};
use self::unmatched::{give_back, has_capacity};
use self::unreadable::read_anew;
pub use self::unreadable::{BeyondLimit, file_unreadable, still_unread};
pub use self::verify::verify;

/// Files a verified notice: its body once, an event row per update, and the changes that the updates make.
/// `derived_event_id` names a notice or updates without an id; `body` is called once, unless every event is a duplicate.
///
/// # Errors
/// More events would wait for their transaction than may: nothing is filed, and the provider must send it again.
pub fn file(
    draft: &mut Draft<'_>,
    notice: &VerifiedNotice,
    derived_event_id: &str,
    body: impl FnOnce(NoticeId) -> Body,
) -> Result<Filed, BeyondLimit> {
    if !has_capacity(draft, notice, derived_event_id) {
        return Err(BeyondLimit);
    }
    let mut filed = Filed::default();
    let mut body = Some(body);
    let mut notice_id = None;
    for (event_id, update) in identified(notice, derived_event_id) {
        let known =
            |receiver: &ReceivingConfig| Some((receiver.config_id, draft.known_event(receiver.config_id, &event_id)?));
        let known = notice.receivers().find_map(known);
        let unread = known.and_then(|(config, row)| draft.unread_event(config, row));
        if let (Some((config, row)), None) = (known, &unread)
            && (config == notice.receiver().config_id || !states_news(draft, notice, update))
        {
            filed.events.push(FiledEvent::Duplicate(row));
            continue;
        }
        let notice_id = *notice_id.get_or_insert_with(|| draft.next_notice());
        if let Some(body) = body.take() {
            draft.store(body(notice_id));
        }
        // What the provider sends again, and is understood now, resolves the row of what was not.
        let event = match unread {
            Some(row) => read_anew(notice, ProviderEvent { notice_id, ..row }, event_id, update),
            None => blank_event(draft, notice.receiver(), notice_id, event_id, update),
        };
        add_event(draft, notice, event, &mut filed);
    }
    filed.duplicate = notice_id.is_none();
    Ok(filed)
}

/// Whether an update that was filed under another config states what its transaction does not have: it failed there, because
/// the transaction's own config did not verify it.
fn states_news(draft: &Draft<'_>, notice: &VerifiedNotice, update: Option<&Update>) -> bool {
    let Some(update) = update else { return false };
    let Matched::Found(id) = match_update(draft, notice, update) else { return false };
    let Some(Aggregate { transaction, .. }) = draft.aggregate(id) else { return false };
    let stated = verify(&transaction, notice.receiver(), update).unwrap_or_default();
    stated.iter().any(|fact| !transaction.facts.any(|known| known == fact))
}

/// Applies an unread notice that a later build of its module understands: its row becomes that of its first update, and
/// further updates get rows of their own. `None` where the event is not unread any more.
pub fn resolve(draft: &mut Draft<'_>, notice: &VerifiedNotice, id: EventId) -> Option<Filed> {
    let receiver = notice.receiver();
    let row = draft.unread_event(receiver.config_id, id)?;
    let (notice_id, mut filed) = (row.notice_id, Filed::default());
    let mut left = Some(row.clone());
    for (event_id, update) in identified(notice, &row.event_id) {
        match draft.known_event(receiver.config_id, &event_id) {
            Some(other) if other != id => {
                filed.events.push(FiledEvent::Duplicate(other));
                continue;
            }
            Some(_) | None => {}
        }
        let event = match left.take() {
            Some(row) => read_anew(notice, row, event_id, update),
            None => blank_event(draft, receiver, notice_id, event_id, update),
        };
        add_event(draft, notice, event, &mut filed);
    }
    if let Some(row) = left {
        // The provider sent the same again meanwhile, and that was understood.
        let mut row = read_anew(notice, row.clone(), row.event_id, None);
        row.failure_reason = Reason::new(ReasonCode::Ignored, "it was sent again and applied").to_string().into();
        row.processed_time = draft.now();
        draft.add([Change::Event(Box::new(row.clone()))]);
        filed.events.push(FiledEvent::New(Box::new(row)));
    }
    Some(filed)
}

/// Applies an event of the notice and adds its row.
fn add_event(draft: &mut Draft<'_>, notice: &VerifiedNotice, mut event: ProviderEvent, filed: &mut Filed) {
    let others = notice.receivers().map(|other| other.config_id).filter(|other| *other != event.config_id);
    event.also_verified_by = others.collect();
    if event.update.is_none() {
        event.failure_reason = ignored(notice.ignored());
    }
    apply_event(draft, notice, &mut event, filed);
    draft.add([Change::Event(Box::new(event.clone()))]);
    filed.events.push(FiledEvent::New(Box::new(event)));
}

/// Applies the event's update, if it has one, and records the outcome in the row.
fn apply_event(draft: &mut Draft<'_>, notice: &VerifiedNotice, event: &mut ProviderEvent, filed: &mut Filed) {
    let Some(update) = event.update.take() else {
        event.processed_time = draft.now();
        return;
    };
    match match_update(draft, notice, &update) {
        Matched::Unknown => event.processing_status = ProcessingStatus::Pending,
        Matched::Conflict(reason) => close(event, draft.now(), Err(reason)),
        Matched::Found(id) => {
            event.transaction_id = id;
            let mut receiver = notice.receiver();
            if let Some(known) = draft.aggregate(id) {
                receiver =
                    notice.receivers().find(|own| own.config_id == known.transaction.config_id).unwrap_or(receiver);
                event.brand = known.transaction.brand;
            }
            let applied = apply(draft, receiver, id, &update);
            filed.is_news |= matches!(applied, Ok(Recording::Added));
            if applied.is_err()
                && let Some(own) = draft.aggregate(id).filter(|own| own.transaction.config_id != receiver.config_id)
                && let Some(hold) = counted_elsewhere(draft, &own.transaction, &update)
            {
                draft.add(own.establish_anew(hold, draft.context()));
            }
            close(event, draft.now(), applied.map(|_| &update));
            apply_waiting(draft, receiver, id);
            note_due(draft, (receiver, &update), id, filed);
            if update.states_money()
                && let Some(owner) = owner_of(draft, receiver, Some(id), &update.payment_id)
            {
                note_due(draft, (receiver, &update), owner, filed);
            }
        }
    }
    event.update = Some(update);
}

/// Notes what the update made due. The query that an update under another config requires is recorded as wanted: nothing
/// else of that update is.
fn note_due(
    draft: &mut Draft<'_>,
    (receiver, update): (&ReceivingConfig, &Update),
    id: TransactionId,
    filed: &mut Filed,
) {
    let Some(known) = draft.aggregate(id) else { return };
    if known.transaction.config_id != receiver.config_id {
        draft.add(known.want_query(draft.context()));
    }
    let Aggregate { transaction, operations } = known;
    if operations.iter().any(BalanceOperation::is_unsettled) && !filed.due.contains(&id) {
        filed.due.push(id);
    }
    // What waited for its transaction may require one too.
    let wanted = || (transaction.query_wanted == draft.seq()).then_some(ProviderQuery::Status);
    if let Some(query) = duty::query_after_update(&transaction, receiver.config_id, update.advance).or_else(wanted)
        && !filed.queries.iter().any(|(known, _)| *known == id)
    {
        filed.queries.push((id, query));
    }
}

/// Verifies one update about one transaction and adds what it establishes.
fn apply(
    draft: &mut Draft<'_>,
    receiver: &ReceivingConfig,
    id: TransactionId,
    update: &Update,
) -> Result<Recording, Reason> {
    let before = draft.aggregate(id).ok_or(ReasonCode::TransactionNotFound)?;
    let Stated { mut facts, elsewhere } = stated(draft, receiver, &before.transaction, update)?;
    // What does not fit of a reversal states no payment.
    let is_payment = |fact: &&ProviderFact| !update.is_reversal() || fact.is_confirmation();
    let paid: Vec<ProviderFact> = facts.iter().filter(is_payment).cloned().collect();
    facts.extend(claim(draft, receiver, id, &paid, &update.refs));
    let before = draft.aggregate(id).unwrap_or(before);
    facts.splice(0..0, credited_once::return_beside(draft, &before, &facts));
    let refs = own_refs(draft, receiver, id, &update.payment_id, update.refs.clone());
    let (changes, recording) = before.record(receiver, &facts, &refs, draft.context());
    draft.add(changes);
    share(draft, receiver, id, &facts);
    take_back(draft, receiver, elsewhere.as_ref());
    match recording {
        Recording::Full => Err(ReasonCode::TooManyFacts.into()),
        Recording::Added | Recording::Duplicate => Ok(recording),
    }
}

/// Takes back what went back of a payment from the transaction that it was confirmed for. Under another config nothing is
/// established, and its own provider is queried.
fn take_back(draft: &mut Draft<'_>, receiver: &ReceivingConfig, elsewhere: Option<&(TransactionId, Update)>) {
    let Some((owner, reversal)) = elsewhere else { return };
    let Some(before) = draft.aggregate(*owner) else { return };
    let changes = match verify(&before.transaction, receiver, reversal) {
        Ok(mut facts) => {
            facts.splice(0..0, credited_once::return_beside(draft, &before, &facts));
            let (changes, _) = before.record(receiver, &facts, &[], draft.context());
            draft.add(changes);
            return share(draft, receiver, *owner, &facts);
        }
        Err(_) => before.want_query(draft.context()),
    };
    draft.add(changes);
    let held = draft.aggregate(*owner).filter(|known| known.transaction.config_id != receiver.config_id);
    let hold = held.as_ref().and_then(|held| counted_elsewhere(draft, &held.transaction, reversal));
    if let (Some(held), Some(hold)) = (held, hold) {
        draft.add(held.establish(ProviderFact::ReviewHold(hold), draft.context()));
    }
}

/// Applies events that were received before the transaction had their ids; they may add ids that find further ones. An
/// event with a reference of its own waits for that one alone, unless it states what went back of this one's payment.
fn apply_waiting(draft: &mut Draft<'_>, receiver: &ReceivingConfig, id: TransactionId) {
    // Nearly always: then the transaction need not be unpacked.
    if !draft.may_have_pending_events() {
        return;
    }
    loop {
        let known = draft.aggregate(id).filter(|known| known.transaction.config_id == receiver.config_id);
        let Some(Aggregate { transaction, .. }) = known else { return };
        let mut waiting = draft.pending_events(receiver.config_id, &transaction);
        let other = |update: &Update| update.reference.as_ref().is_some_and(|own| *own != transaction.reference);
        let facts = &transaction.facts;
        let is_own = |payment: &str| facts.has_payment(payment) || facts.holds_payment(payment);
        let of_its_payment = |update: &Update| update.is_reversal() && is_own(&update.payment_id);
        let own = |update: &Update| !other(update) || of_its_payment(update);
        waiting.retain(|event| event.update.as_ref().is_some_and(own));
        give_back(draft, receiver, &transaction, own);
        if waiting.is_empty() {
            return;
        }
        for mut event in waiting {
            let Some(update) = event.update.take() else { continue };
            let applied = apply(draft, receiver, id, &update);
            close(&mut event, draft.now(), applied.map(|_| &update));
            event.update = Some(update);
            event.transaction_id = id;
            event.brand = transaction.brand.clone();
            draft.add([Change::Event(Box::new(event))]);
        }
    }
}

/// The result of applying the answer to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppliedAnswer {
    Applied {
        /// The payment was not confirmed before this answer.
        found_payment: bool,
        /// The payment waits for a call that moves money, which was not known before.
        found_advance: bool,
    },
    /// The answer is about this payment and could not be applied.
    Failed(Reason),
    /// The answer names another payment: it establishes nothing.
    OtherPayment,
}

/// Applies the provider's answer to a query about one transaction.
pub fn apply_answer(
    draft: &mut Draft<'_>,
    receiver: &ReceivingConfig,
    id: TransactionId,
    update: &Update,
) -> AppliedAnswer {
    let before = draft.aggregate(id).filter(|known| is_about(draft, receiver, &known.transaction, update));
    let Some(before) = before else { return AppliedAnswer::OtherPayment };
    let applied = apply(draft, receiver, id, update);
    apply_waiting(draft, receiver, id);
    match applied {
        Ok(_) => {
            let confirmed = |known: &Aggregate| known.transaction.facts.any(ProviderFact::is_confirmation);
            let advances = |known: &Aggregate| duty::wants_advance(&known.transaction);
            let after = draft.aggregate(id);
            let found = |test: &dyn Fn(&Aggregate) -> bool| !test(&before) && after.as_ref().is_some_and(test);
            AppliedAnswer::Applied { found_payment: found(&confirmed), found_advance: found(&advances) }
        }
        Err(reason) => AppliedAnswer::Failed(reason),
    }
}

/// How a create call ended, with the statements of its answer.
#[derive(Debug, Clone)]
pub struct CreateAnswerStated<'a> {
    pub ending: &'a CreateEnding,
    pub update: Option<&'a Update>,
    pub refs: &'a [ProviderRef],
}

/// The result of recording the end of a create call.
#[derive(Debug)]
pub struct CreateRecorded {
    pub aggregate: Aggregate,
    /// This answer accepted the order: the customer's next action is to be stored.
    pub newly_accepted: bool,
    /// Why the answer's statement about the payment was not applied.
    pub not_applied: Option<AppliedAnswer>,
}

/// Records how the create call of a transaction ended, what its answer states, and the pending events that it matches.
/// `None` where the transaction is not in the books.
pub fn end_create(
    draft: &mut Draft<'_>,
    receiver: &ReceivingConfig,
    id: TransactionId,
    answer: &CreateAnswerStated<'_>,
) -> Option<CreateRecorded> {
    let before = draft.aggregate(id)?;
    let (Stated { mut facts, elsewhere }, not_applied) = match answer.update {
        None => (Stated::default(), None),
        Some(update) if !is_about(draft, receiver, &before.transaction, update) => {
            (Stated::default(), Some(AppliedAnswer::OtherPayment))
        }
        Some(update) => match stated(draft, receiver, &before.transaction, update) {
            Ok(stated) => (stated, None),
            Err(reason) => (Stated::default(), Some(AppliedAnswer::Failed(reason))),
        },
    };
    facts.extend(claim(draft, receiver, id, &facts, answer.refs));
    let before = draft.aggregate(id)?;
    facts.splice(0..0, credited_once::return_beside(draft, &before, &facts));
    let payment = answer.update.map_or("", |update| &*update.payment_id);
    let refs = own_refs(draft, receiver, id, payment, answer.refs.to_vec());
    let changes = before.end_create(receiver, answer.ending, &facts, &refs, draft.context());
    let accepted = |row: &Transaction| row.first_answer == FirstAnswer::Accepted;
    let newly_accepted = !accepted(&before.transaction)
        && changes.iter().any(|change| matches!(change, Change::Transaction(row) if accepted(row)));
    draft.add(changes);
    take_back(draft, receiver, elsewhere.as_ref());
    apply_waiting(draft, receiver, id);
    Some(CreateRecorded { aggregate: draft.aggregate(id)?, newly_accepted, not_applied })
}
