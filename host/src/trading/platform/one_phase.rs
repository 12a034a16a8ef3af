//! Postings in one call, for platforms that allow no finance requests. The caller has recorded the operation as possibly sent; it is
//! found again by our key in its comment, and never sent again by itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use cashier_core::operation::{OperationKey, PostingFlaw, PostingOutcome};

use super::account_check;
use super::accounts::{PlatformAccounts, is_named, refusal_text};
use super::client::{CallTrace, PlatformFailure};
use super::next_step::{OrderState, PostingStep};
use super::orders::FinanceOrders;
use crate::ports::{Fault, PostStep, Posting, Voiding};

/// Postings whose connection is remembered; of the others it was closed before this process began, or is not known to be.
const TRACES_KEPT_MAX: usize = 4096;

/// Which connection carried each posting.
#[derive(Default)]
pub(super) struct PostingTraces(Mutex<VecDeque<(OperationKey, CallTrace)>>);

impl PostingTraces {
    fn begin(&self, key: OperationKey) -> CallTrace {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= TRACES_KEPT_MAX {
            kept.pop_front();
        }
        let trace = CallTrace::default();
        kept.push_back((key, trace.clone()));
        trace
    }

    /// Of its last try.
    fn of(&self, key: &OperationKey) -> Option<CallTrace> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().find(|(known, _)| known == key).map(|(_, trace)| trace.clone())
    }
}

#[derive(Clone)]
pub(super) struct OnePhase {
    pub(super) accounts: PlatformAccounts,
    pub(super) orders: FinanceOrders,
    pub(super) traces: Arc<PostingTraces>,
}

impl OnePhase {
    pub(super) async fn post(&self, posting: &Posting) -> PostStep {
        match self.try_once(posting).await {
            Ok(outcome) => PostStep::Done(outcome),
            Err(fault) => {
                tracing::warn!(key = %posting.key(), %fault, "posting was not sent");
                PostStep::NotSent
            }
        }
    }

    /// The error: nothing was sent.
    async fn try_once(&self, posting: &Posting) -> Result<PostingOutcome, Fault> {
        let wanted = self.orders.wanted(posting);
        if let Some(found) = self.find(posting).await? {
            return Ok(found);
        }
        let account = self.accounts.account(posting.operation.login).await?;
        let group = match &account {
            Some(account) => Some(self.accounts.group(&account.group).await?),
            None => None,
        };
        if let Some(reason) = account_check::objection(posting, account.as_ref().zip(group.as_ref())) {
            return Ok(PostingOutcome::Refused { reason: reason.name().into() });
        }
        let trace = self.traces.begin(posting.key());
        match self.orders.move_at_once(posting, &wanted, trace).await {
            Ok((trade_order, OrderState::Executed)) => Ok(self.compared(posting, trade_order).await),
            Ok((order, state)) => {
                tracing::warn!(order, ?state, "balance operation was answered and is not executed");
                Ok(PostingOutcome::Unknown)
            }
            Err(PlatformFailure::NeverSent(why)) => Err(Fault::new(why)),
            Err(failure) if is_named(&failure, &self.orders.settings.refusals) => {
                Ok(PostingOutcome::Refused { reason: refusal_text(&failure) })
            }
            Err(failure @ (PlatformFailure::Unknown(_) | PlatformFailure::Answered(_))) => {
                tracing::warn!(key = %posting.key(), %failure, "balance operation has no outcome");
                Ok(PostingOutcome::Unknown)
            }
        }
    }

    /// It was posted; where the account cannot be compared, it is asked for again.
    async fn compared(&self, posting: &Posting, trade_order: u64) -> PostingOutcome {
        match self.accounts.account(posting.operation.login).await {
            Ok(account) => {
                let changed = account_check::is_another(posting, account.as_ref());
                PostingOutcome::Posted { trade_order, flaw: changed.then_some(PostingFlaw::AccountChanged) }
            }
            Err(_) => PostingOutcome::Unknown,
        }
    }

    pub(super) async fn find(&self, posting: &Posting) -> Result<Option<PostingOutcome>, Fault> {
        let wanted = self.orders.wanted(posting);
        Ok(match wanted.next_step(&self.orders.about(&wanted).await?) {
            PostingStep::Posted { trade_order, flaw: None } => match self.compared(posting, trade_order).await {
                PostingOutcome::Unknown => return Err(Fault::new("the account of a posting cannot be compared now")),
                outcome => Some(outcome),
            },
            PostingStep::Create => None,
            // An order that waits for a dealer may move the balance any time.
            PostingStep::Record { .. } | PostingStep::Approve { .. } | PostingStep::Decline { .. } => {
                Some(PostingOutcome::Unknown)
            }
            step @ (PostingStep::Posted { .. }
            | PostingStep::Refused { .. }
            | PostingStep::Conflict
            | PostingStep::Wait { .. }
            | PostingStep::Gone) => step.outcome(),
        })
    }

    pub(super) async fn void(&self, posting: &Posting) -> Result<Voiding, Fault> {
        Ok(match self.find(posting).await? {
            Some(PostingOutcome::Unknown) | None => {
                let trace = self.traces.of(&posting.key());
                Voiding::Undecided { closed_for: self.orders.client.closed_for(trace.as_ref()) }
            }
            Some(outcome) => Voiding::Settled(outcome),
        })
    }
}
