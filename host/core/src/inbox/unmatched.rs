//! Events whose transaction never appeared, or appeared under a config that did not verify them: they fail, and a statement about money among them stays listed as work until its
//! transaction is found. The list is bounded: a merchant account may also serve what is no business of the cashier's.

use std::collections::{BTreeMap, VecDeque};

use super::filed::close;
use super::identity::identified;
use super::matching::{Matched, match_update};
use crate::books::PendingSize;
use crate::change::Change;
use crate::draft::Draft;
use crate::ids::{ConfigId, EventId, ManagerId};
use crate::notice::{ProviderEvent, ReceivingConfig, Update, VerifiedNotice};
use crate::reason::{Reason, ReasonCode};
use crate::refs::ProviderRef;
use crate::status::ProcessingStatus;
use crate::transaction::Transaction;

/// Listed payments; each is held in memory with its update, about 1 KiB. A person works through tens.
pub const UNMATCHED_PAYMENTS_MAX: usize = 4096;

/// Events of one config that wait for their transaction, and those of all. One of ours waits for the answer to its create, so
/// for seconds; what waits for a day is no business of the cashier's, and tens of thousands a day are a large shop's.
const PENDING_PER_CONFIG_MAX: u64 = 16_384;
const PENDING_MAX: u64 = 65_536;
/// What a dismissed event's reason says, before the manager's id.
const DISMISSED: &str = "dismissed by manager";

/// The memory that they take.
const PENDING_PER_CONFIG_BYTES_MAX: u64 = 32 * 1024 * 1024;
const PENDING_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Events that wait with one provider id: the decision that brings their transaction applies all of them while every other
/// decision waits. A provider states a payment in some ten events.
const PENDING_PER_ID_MAX: usize = 64;

/// Whether the updates of the notice that no transaction is known for may wait: all of them, or none is filed. What waits
/// already is never dropped for it: the provider sends it again, and by then its transaction is known.
pub(super) fn has_capacity(draft: &Draft<'_>, notice: &VerifiedNotice, derived_event_id: &str) -> bool {
    let (own, all) = draft.pending_sizes(notice.receiver().config_id);
    let fits = |more: PendingSize| {
        let (own, all) = (own.plus(more), all.plus(more));
        own.events <= PENDING_PER_CONFIG_MAX
            && own.bytes <= PENDING_PER_CONFIG_BYTES_MAX
            && all.events <= PENDING_MAX
            && all.bytes <= PENDING_BYTES_MAX
    };
    let receivers = notice.receivers().count();
    let crowded = |update: &Update| {
        let under = |id: &ProviderRef| {
            notice.receivers().any(|own| draft.events_wait_for(own.config_id, id, PENDING_PER_ID_MAX))
        };
        update.ids().any(|id| under(&id))
    };
    let sum = |sum: PendingSize, update: &Update| sum.plus(PendingSize::of(update, receivers));
    // Nearly always: then none need be matched twice.
    let all_fit = fits(notice.updates().iter().fold(PendingSize::default(), sum));
    if all_fit && !notice.updates().iter().any(crowded) {
        return true;
    }
    let known = |event_id: &str| notice.receivers().any(|own| draft.known_event(own.config_id, event_id).is_some());
    let waits = |event_id: &str, update: &Update| {
        !known(event_id) && matches!(match_update(draft, notice, update), Matched::Unknown)
    };
    let stated = identified(notice, derived_event_id).into_iter();
    let waiting: Vec<&Update> =
        stated.filter_map(|(event_id, update)| update.filter(|update| waits(&event_id, update))).collect();
    let more = waiting.iter().copied().fold(PendingSize::default(), sum);
    waiting.is_empty() || (fits(more) && !waiting.into_iter().any(crowded))
}

/// What giving up on events came to, for the operator.
#[derive(Debug, Default)]
pub struct GivenUp {
    /// Statements about money that are listed from here on.
    pub listed: Vec<ProviderEvent>,
    /// Older ones that left the list because it is full.
    pub dropped: usize,
}

/// Closes early events about a transaction that appeared under another config of their merchant account, which did not verify
/// them: as for a webhook of a known transaction, nothing is applied and its own provider is queried.
pub(super) fn give_back(
    draft: &mut Draft<'_>,
    receiver: &ReceivingConfig,
    transaction: &Transaction,
    about_it: impl Fn(&Update) -> bool,
) {
    let others = receiver.merchant_account.iter().filter(|config| **config != transaction.config_id);
    let waiting = others.flat_map(|config| draft.pending_events(*config, transaction));
    let waiting: BTreeMap<EventId, ProviderEvent> = waiting
        .filter(|event| !event.is_verified_by(transaction.config_id) && event.update.as_ref().is_some_and(&about_it))
        .map(|event| (event.id, event))
        .collect();
    if waiting.is_empty() {
        return;
    }
    let wanted = draft.aggregate(transaction.id).map(|known| known.want_query(draft.context()));
    draft.add(wanted.into_iter().flatten());
    for mut event in waiting.into_values() {
        let received = event.config_id;
        let detail =
            format!("received under config {received}, the transaction was made under {}", transaction.config_id);
        close(&mut event, draft.now(), Err(Reason::new(ReasonCode::ProviderConfigMismatch, detail)));
        event.transaction_id = transaction.id;
        event.brand = transaction.brand.clone();
        draft.add([Change::Event(Box::new(event))]);
    }
}

/// Closes events that still wait for their transaction.
pub fn give_up(draft: &mut Draft<'_>, events: impl IntoIterator<Item = EventId>) -> GivenUp {
    let (books, now) = (draft.books(), draft.now());
    let mut given_up = GivenUp::default();
    let mut changes = Vec::new();
    // An event that found its transaction meanwhile is left alone.
    for mut event in events.into_iter().filter_map(|id| books.pending_event(id)).cloned() {
        event.processing_status = ProcessingStatus::Failed;
        event.failure_reason = ReasonCode::TransactionNotFound.name().into();
        event.processed_time = now;
        if event.is_unmatched_payment() {
            given_up.listed.push(event.clone());
        }
        changes.push(Change::Event(Box::new(event)));
    }
    let dropped = beyond_list(books.unmatched(), &given_up.listed);
    given_up.dropped = dropped.len();
    for mut event in dropped {
        let reason = Reason::new(ReasonCode::TransactionNotFound, "no longer listed: newer payments are");
        event.failure_reason = reason.to_string().into();
        changes.push(Change::Event(Box::new(event)));
    }
    draft.add(changes);
    given_up
}

/// What is known of an event that a person dismisses.
#[derive(Debug, PartialEq, Eq)]
pub enum Dismissal {
    /// It was listed, and is not any more.
    Dismissed(Box<ProviderEvent>),
    /// It waits for its transaction, or for a module that reads it, by itself.
    WaitsByItself,
    /// It waits for nothing.
    WaitsForNothing,
}

/// Takes a payment that no transaction is known for from the list: a person states that it is no business of the cashier's. Its
/// row stays, and a replay applies it if that was wrong.
pub fn dismiss(draft: &mut Draft<'_>, id: EventId, by: ManagerId) -> Dismissal {
    let Some(mut event) = draft.waiting_event(id) else { return Dismissal::WaitsForNothing };
    if !event.is_unmatched_payment() {
        return Dismissal::WaitsByItself;
    }
    let reason = Reason::new(ReasonCode::TransactionNotFound, format!("{DISMISSED} {by}"));
    event.failure_reason = reason.to_string().into();
    draft.add([Change::Event(Box::new(event.clone()))]);
    Dismissal::Dismissed(Box::new(event))
}

/// Whether a person dismissed it.
pub fn is_dismissed(event: &ProviderEvent) -> bool {
    let words = event.failure_reason.strip_prefix(ReasonCode::TransactionNotFound.name());
    words.and_then(|words| words.strip_prefix(": ")).is_some_and(|words| words.starts_with(DISMISSED))
}

/// Which listed payments make place for these: each time the oldest one of the config that has most, so that a merchant account
/// with other business displaces its own payments alone.
fn beyond_list<'b>(
    known: impl ExactSizeIterator<Item = &'b ProviderEvent>,
    more: &[ProviderEvent],
) -> Vec<ProviderEvent> {
    let beyond = (known.len() + more.len()).saturating_sub(UNMATCHED_PAYMENTS_MAX);
    if beyond == 0 {
        return Vec::new();
    }
    let mut by_config: BTreeMap<ConfigId, VecDeque<&ProviderEvent>> = BTreeMap::new();
    let mut counts: BTreeMap<ConfigId, usize> = BTreeMap::new();
    for event in known {
        by_config.entry(event.config_id).or_default().push_back(event);
        *counts.entry(event.config_id).or_default() += 1;
    }
    more.iter().for_each(|event| *counts.entry(event.config_id).or_default() += 1);
    let oldest = |_| {
        let with_some = counts.iter().filter(|(config, _)| by_config.get(config).is_some_and(|rows| !rows.is_empty()));
        let config = with_some.max_by_key(|(_, count)| **count).map(|(config, _)| *config)?;
        counts.entry(config).and_modify(|count| *count -= 1);
        by_config.get_mut(&config)?.pop_front().cloned()
    };
    (0..beyond).map_while(oldest).collect()
}
