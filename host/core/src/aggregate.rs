//! One transaction with its balance operations: everything that a decision about it may read. Every decision takes an
//! aggregate and returns the changes to it.

mod reversals;

use crate::approval;
use crate::change::Change;
use crate::facts::{PersonFact, ProviderFact, Recording, ReviewHold};
use crate::ids::{ManagerId, OperationId, Seq};
use crate::notice::ReceivingConfig;
use crate::operation::{self, BalanceOperation, PostingOutcome};
use crate::reason::{Reason, ReasonCode};
use crate::refs::{CameWith, ProviderRef, RefAdding};
use crate::standing::{self, Standing};
use crate::status::{OperationCmd, OperationStatus, Source};
use crate::time::UnixTime;
use crate::transaction::{FirstAnswer, NextAction, Transaction};

/// A transaction with its operations in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    pub transaction: Transaction,
    pub operations: Vec<BalanceOperation>,
}

/// The context of one decision: the number of its commit, the time, and the operation id it may use.
#[derive(Debug, Clone, Copy)]
pub struct DecisionContext {
    pub seq: Seq,
    pub now: UnixTime,
    /// The id of the operation this decision may plan; unused ids leave no gap.
    pub next_operation: OperationId,
}

/// How the provider's create call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateEnding {
    Accepted(NextAction),
    Declined { reason: Box<str> },
    NeverSent { reason: Box<str> },
    Unknown,
}

impl Aggregate {
    /// More is owed than posted.
    pub fn owes(&self) -> bool {
        self.standing().owed_minor > operation::posted(&self.transaction, &self.operations).minor
    }

    /// It is credited, in part or in all, or will be.
    pub fn credits(&self) -> bool {
        self.standing().owed_minor.max(operation::posted(&self.transaction, &self.operations).minor) > 0
    }

    /// On what a decision about it rests: see [`approval::ground`].
    pub fn ground(&self) -> u64 {
        let unanswered = self.operations.iter().find(|known| known.status == OperationStatus::Unknown);
        approval::ground(&self.transaction.facts, unanswered.map(|known| known.id))
    }

    pub fn standing(&self) -> Standing {
        let transaction = &self.transaction;
        standing::derive(
            transaction.nature(),
            transaction.ordered(),
            &transaction.facts,
            operation::posted(&self.transaction, &self.operations),
        )
    }

    /// Adds provider facts and ids, each while there is capacity. The result is `Full` where one was dropped, else `Added`
    /// where one was new. Where money or its id was dropped, the transaction is held for review.
    pub fn record(
        &self,
        receiver: &ReceivingConfig,
        facts: &[ProviderFact],
        refs: &[ProviderRef],
        at: DecisionContext,
    ) -> (Vec<Change>, Recording) {
        let came_with = match facts.iter().any(ProviderFact::affects_money) {
            true => CameWith::Money,
            false => CameWith::Other,
        };
        self.record_with(receiver, facts, refs, came_with, at)
    }

    fn record_with(
        &self,
        receiver: &ReceivingConfig,
        facts: &[ProviderFact],
        refs: &[ProviderRef],
        came_with: CameWith,
        at: DecisionContext,
    ) -> (Vec<Change>, Recording) {
        let mut next = self.clone();
        let mut recording = Recording::Duplicate;
        let mut money_dropped = false;
        for fact in facts {
            let known = &mut next.transaction.facts;
            let added = match fact {
                ProviderFact::ReviewHold(hold) if hold.stops_return() => known.hold_anew(at.seq, at.now, hold.clone()),
                fact => known.record(at.seq, at.now, fact.clone()),
            };
            money_dropped |= added == Recording::Full && fact.affects_money();
            recording = recording.max(added);
        }
        for id in refs {
            recording = recording.max(match next.transaction.refs.add(id.clone(), came_with) {
                RefAdding::Added => Recording::Added,
                RefAdding::Known => Recording::Duplicate,
                RefAdding::Full => {
                    money_dropped |= came_with == CameWith::Money;
                    Recording::Full
                }
            });
        }
        if money_dropped {
            next.transaction.facts.hold_anew(at.seq, at.now, ReviewHold::NotStored);
        }
        // The first of the sorted set, not the first received: the same id in any order of receipt.
        if let Some(primary) = next.transaction.refs.of_kind(&receiver.primary_ref_kind) {
            next.transaction.provider_payment_id = primary.into();
        }
        (next.settled(self, at), recording)
    }

    /// A review that is not stored is one all the same.
    fn record_review(&mut self, hold: ProviderFact, at: DecisionContext) -> Recording {
        let facts = &mut self.transaction.facts;
        match facts.record(at.seq, at.now, hold) {
            Recording::Full => facts.hold_anew(at.seq, at.now, ReviewHold::NotStored),
            recorded => recorded,
        }
    }

    /// Records a fact that the cashier established itself, such as an expiry.
    pub fn establish(&self, fact: ProviderFact, at: DecisionContext) -> Vec<Change> {
        let mut next = self.clone();
        let recorded = match fact {
            ProviderFact::ReviewHold(_) => next.record_review(fact, at),
            fact => next.transaction.facts.record(at.seq, at.now, fact),
        };
        if recorded == Recording::Added { next.settled(self, at) } else { Vec::new() }
    }

    /// The same of a review that is open again where a person had ended it.
    pub(crate) fn establish_anew(&self, hold: ReviewHold, at: DecisionContext) -> Vec<Change> {
        let mut next = self.clone();
        if next.transaction.facts.hold_anew(at.seq, at.now, hold) == Recording::Full {
            next.transaction.facts.hold_anew(at.seq, at.now, ReviewHold::NotStored);
        }
        next.settled(self, at)
    }

    /// Begins an expiry that was postponed: its whole length counts from now.
    pub fn begin_expiry(&self, at: DecisionContext) -> Vec<Change> {
        let mut next = self.clone();
        if !next.transaction.expiry_is_postponed() {
            return Vec::new();
        }
        next.transaction.expires_time = at.now.plus(self.transaction.expires_time.0.saturating_neg());
        next.settled(self, at)
    }

    /// Records how the create call ended, with what the provider stated in its answer.
    pub fn end_create(
        &self,
        receiver: &ReceivingConfig,
        ending: &CreateEnding,
        stated: &[ProviderFact],
        refs: &[ProviderRef],
        at: DecisionContext,
    ) -> Vec<Change> {
        let mut ended = self.clone();
        // The first call may have reached the provider, and an answer that was given to a customer does not change.
        let (repeated, answered) = match self.transaction.first_answer {
            FirstAnswer::Open => (false, false),
            FirstAnswer::Unknown | FirstAnswer::Crashed => (true, false),
            FirstAnswer::Accepted | FirstAnswer::Declined | FirstAnswer::NeverSent => (true, true),
        };
        let given = (self.transaction.first_answer, self.transaction.next_action);
        let (answer, action, fact) = match ending {
            // A repeat that was never sent establishes nothing about the first call.
            CreateEnding::NeverSent { .. } | CreateEnding::Unknown if repeated => return Vec::new(),
            // Declining the repeat of an order does not end an order that was accepted; a webhook will state the outcome.
            CreateEnding::Declined { .. } if answered => return Vec::new(),
            CreateEnding::Declined { reason } if repeated => {
                (given.0, NextAction::None, ProviderFact::Declined { reason: reason.clone() })
            }
            CreateEnding::Accepted(_) if answered => (given.0, given.1, ProviderFact::Accepted),
            CreateEnding::Accepted(action) => (FirstAnswer::Accepted, *action, ProviderFact::Accepted),
            CreateEnding::Declined { reason } => {
                (FirstAnswer::Declined, NextAction::None, ProviderFact::Declined { reason: reason.clone() })
            }
            CreateEnding::NeverSent { reason } => {
                (FirstAnswer::NeverSent, NextAction::None, ProviderFact::Declined { reason: reason.clone() })
            }
            CreateEnding::Unknown => (FirstAnswer::Unknown, NextAction::Wait, ProviderFact::Unanswered),
        };
        ended.transaction.first_answer = answer;
        ended.transaction.next_action = action;
        let mut all = vec![fact];
        all.extend_from_slice(stated);
        let (changes, _) = ended.record_with(receiver, &all, refs, CameWith::Money, at);
        if changes.is_empty() { ended.settled(self, at) } else { changes }
    }

    /// Records that the create call ended the process, unless its end is recorded already: whether the provider has the order
    /// is unknown, and a repeat would end the process again.
    pub fn crash_create(&self, at: DecisionContext) -> Vec<Change> {
        let mut next = self.clone();
        let open = matches!(next.transaction.first_answer, FirstAnswer::Open | FirstAnswer::Unknown);
        if !open || next.transaction.source != Source::Provider {
            return Vec::new();
        }
        next.transaction.first_answer = FirstAnswer::Crashed;
        next.transaction.next_action = NextAction::Wait;
        next.transaction.facts.record(at.seq, at.now, ProviderFact::Unanswered);
        next.settled(self, at)
    }

    /// Records the outcome of an operation at the trading server; a settled operation does not change.
    pub fn end_posting(
        &self,
        id: OperationId,
        outcome: &PostingOutcome,
        by: ManagerId,
        at: DecisionContext,
    ) -> Vec<Change> {
        let mut next = self.clone();
        let Some(operation) = next.operations.iter_mut().find(|known| known.id == id && known.is_unsettled()) else {
            return Vec::new();
        };
        let (status, failure) = match outcome {
            PostingOutcome::Posted { trade_order, flaw } => {
                operation.trade_order = *trade_order;
                (OperationStatus::Posted, flaw.map_or("", |flaw| flaw.reason().name()))
            }
            PostingOutcome::Refused { reason } => (OperationStatus::Refused, &**reason),
            PostingOutcome::Conflict => (OperationStatus::Refused, ReasonCode::OperationKeyReused.name()),
            PostingOutcome::Unknown => (OperationStatus::Unknown, "the trading server did not answer"),
        };
        if operation.status == status {
            return Vec::new();
        }
        operation.status = status;
        operation.failure_reason = failure.into();
        operation.updated_time = at.now;
        let is_debit = operation.cmd == OperationCmd::BalanceOut;
        match status {
            // The retry that a withheld operation followed still holds.
            OperationStatus::Refused if operation.is_withheld() => {}
            OperationStatus::Refused => {
                next.transaction.refused_seq = at.seq;
                if is_debit {
                    for fact in next.transaction.facts.debit_refused(failure) {
                        next.transaction.facts.record_person(at.seq, at.now, fact);
                    }
                }
            }
            OperationStatus::Posted => {
                next.transaction.processed_time = at.now;
                next.transaction.processed_by = by;
                if !failure.is_empty() {
                    next.transaction.refused_seq = at.seq;
                }
            }
            OperationStatus::Planned | OperationStatus::Unknown => {}
        }
        next.settled(self, at)
    }

    /// An operation that was recorded as possibly sent was certainly not: it is planned as before.
    pub fn take_back_sending(&self, id: OperationId, at: DecisionContext) -> Vec<Change> {
        let mut next = self.clone();
        let sent = next.operations.iter_mut().find(|known| known.id == id && known.status == OperationStatus::Unknown);
        let Some(operation) = sent else { return Vec::new() };
        operation.status = OperationStatus::Planned;
        operation.failure_reason = Box::default();
        operation.updated_time = at.now;
        next.settled(self, at)
    }

    /// Records the request that the trading server holds for an unsettled operation. One that is recorded is never replaced: it
    /// may have been approved.
    pub fn prepare_posting(&self, id: OperationId, request_order: u64, at: DecisionContext) -> Vec<Change> {
        let prepared = self.operations.iter().find(|known| known.id == id && known.is_unsettled());
        let prepared = prepared.filter(|known| known.request_order == 0 && request_order != 0);
        let changed = prepared.map(|known| BalanceOperation { request_order, updated_time: at.now, ..known.clone() });
        changed.map(|operation| Change::Operation(Box::new(operation))).into_iter().collect()
    }

    /// Makes a query of the provider due until it was answered. The standing does not change.
    pub fn want_query(&self, at: DecisionContext) -> Vec<Change> {
        match self.transaction.source {
            Source::Provider => self.with_query_wanted(at.seq),
            Source::Manual => Vec::new(),
        }
    }

    /// The provider answered a query that was sent when `asked` was wanted; one that is wanted since stays due.
    pub fn end_query(&self, asked: Seq) -> Vec<Change> {
        if self.transaction.query_wanted > asked { Vec::new() } else { self.with_query_wanted(Seq(0)) }
    }

    fn with_query_wanted(&self, query_wanted: Seq) -> Vec<Change> {
        if self.transaction.query_wanted == query_wanted {
            return Vec::new();
        }
        let version = self.transaction.version.saturating_add(1);
        vec![Change::Transaction(Box::new(Transaction { query_wanted, version, ..self.transaction.clone() }))]
    }

    /// Records a person's decision.
    pub fn decide(&self, fact: PersonFact, at: DecisionContext) -> Vec<Change> {
        let mut next = self.clone();
        next.transaction.facts.record_person(at.seq, at.now, fact);
        next.settled(self, at)
    }

    /// Records several facts of one decision.
    pub fn decide_all(&self, facts: impl IntoIterator<Item = PersonFact>, at: DecisionContext) -> Vec<Change> {
        let mut next = self.clone();
        for fact in facts {
            next.transaction.facts.record_person(at.seq, at.now, fact);
        }
        next.settled(self, at)
    }

    /// Imported postings that the facts explain by now are like any other.
    fn explain_imports(&mut self, now: UnixTime) {
        let posted = operation::posted(&self.transaction, &self.operations);
        if posted.review.is_none()
            || !standing::explains_imports(posted, self.standing().owed_minor, &self.transaction.facts)
        {
            return;
        }
        for operation in &mut self.operations {
            if operation.is_unexplained() {
                operation.failure_reason = Box::default();
                operation.updated_time = now;
            }
        }
    }

    /// A person states that a posting without an answer was never made, at a trading server that cannot prove it. Nothing
    /// changes unless [`operation::may_be_confirmed_absent`]; otherwise its key is given up and the operation that is due
    /// is planned anew. `closed_seconds`: how long the connection that carried it has been closed.
    pub fn confirm_absent(
        &self,
        id: OperationId,
        closed_seconds: Option<i64>,
        by: ManagerId,
        at: DecisionContext,
    ) -> Vec<Change> {
        if !operation::may_be_confirmed_absent(closed_seconds) {
            return Vec::new();
        }
        let mut retried = self.clone();
        retried.transaction.facts.record_person(at.seq, at.now, PersonFact::Retried);
        let absent = PostingOutcome::Refused { reason: ReasonCode::ConfirmedAbsent.name().into() };
        retried.end_posting(id, &absent, by, at)
    }

    /// Plans the operation that is due although nothing new was recorded: one that was withheld under earlier rules.
    pub fn resume(&self, at: DecisionContext) -> Vec<Change> {
        self.clone().settled(self, at)
    }

    /// Derives the standing again, plans the operation that is due, and returns the rows that differ from `before`.
    pub(crate) fn settled(mut self, before: &Self, at: DecisionContext) -> Vec<Change> {
        self.explain_imports(at.now);
        let standing = self.standing();
        if let Some(due) = operation::plan(&self.transaction, &standing, &self.operations, at.next_operation, at.now) {
            self.operations.push(due);
        }
        self.transaction.status = standing.status;
        let row = &self.transaction;
        let reason = shown_reason(row.first_answer, &self.operations, row.facts.written_reason(), standing.reason);
        self.transaction.reason = reason;
        if self == *before {
            return Vec::new();
        }
        let mut changes = Vec::with_capacity(2);
        if self.transaction != before.transaction || self.operations != before.operations {
            self.transaction.updated_time = at.now;
            self.transaction.version = before.transaction.version.saturating_add(1);
            changes.push(Change::Transaction(Box::new(self.transaction)));
        }
        for (index, operation) in self.operations.into_iter().enumerate() {
            if before.operations.get(index) != Some(&operation) {
                changes.push(Change::Operation(Box::new(operation)));
            }
        }
        changes
    }
}

/// The reason as the row shows it: that of the standing, with what the create call, the newest operation and a manager's own
/// words add.
pub(crate) fn shown_reason(
    first: FirstAnswer,
    operations: &[BalanceOperation],
    words: Option<&str>,
    mut reason: Reason,
) -> Reason {
    if reason.code == ReasonCode::ProviderDeclined && first == FirstAnswer::NeverSent {
        reason.code = ReasonCode::ProviderUnavailable;
    }
    if reason.code == ReasonCode::CreditRefused
        && let Some(refused) = operations.iter().rfind(|known| !known.is_withheld())
        && refused.status == OperationStatus::Refused
    {
        reason.detail = refused.failure_reason.clone();
    }
    words.map_or(reason.clone(), |words| reason.with_words(words))
}
