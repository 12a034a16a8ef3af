//! Postings in one call, for platforms that allow no finance requests. The caller has recorded the operation as possibly sent; it is
//! found again by our key in its comment, and never sent again by itself.

use std::sync::Arc;

use cashier_core::operation::PostingOutcome;
use cashier_core::status::OperationStatus;

use super::account_check;
use super::accounts::{PlatformAccounts, is_named, refusal_text};
use super::client::PlatformFailure;
use super::finance_order::OrderState;
use super::next_step::PostingStep;
use super::orders::FinanceOrders;
use super::server_error::ServerErrorKind;
use super::traces::PostingTraces;
use crate::ports::{Fault, PostStep, Posting, Voiding};

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
        // From here on: what is not written yet may be, until this ends.
        let running = self.traces.begin(posting.key());
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
        match self.orders.move_at_once(posting, &wanted, running.trace.clone()).await {
            Ok((trade_order, OrderState::Executed)) => Ok(match self.accounts.flaw_after(posting).await {
                Ok(flaw) => PostingOutcome::Posted { trade_order, flaw },
                // It is asked for again.
                Err(fault) => {
                    tracing::warn!(key = %posting.key(), trade_order, %fault, "balance operation was executed, and its account cannot be compared yet");
                    PostingOutcome::Unknown
                }
            }),
            Ok((order, state)) => {
                tracing::warn!(order, ?state, "balance operation was answered and is not executed");
                Ok(PostingOutcome::Unknown)
            }
            Err(PlatformFailure::NeverSent(why)) => Err(Fault::new(why)),
            Err(failure) if is_named(&failure, &self.orders.settings.refusals) => {
                Ok(PostingOutcome::Refused { reason: refusal_text(&failure) })
            }
            // It says so instead of doing it.
            Err(PlatformFailure::Answered(error)) if error.kind == ServerErrorKind::TooOften => {
                running.trace.not_done();
                Err(Fault::new(error.to_string()))
            }
            Err(failure @ (PlatformFailure::Unknown(_) | PlatformFailure::Answered(_))) => {
                tracing::warn!(key = %posting.key(), %failure, "balance operation has no outcome");
                Ok(PostingOutcome::Unknown)
            }
        }
    }

    pub(super) async fn find(&self, posting: &Posting) -> Result<Option<PostingOutcome>, Fault> {
        let is_recorded = posting.operation.status == OperationStatus::Posted;
        Ok(match self.look(posting).await? {
            FoundOrders::Ended(outcome @ PostingOutcome::Posted { .. }) => Some(outcome),
            FoundOrders::Ended(outcome) if !is_recorded => Some(outcome),
            FoundOrders::Nothing if !is_recorded => None,
            // Whatever is open may move the balance any time, and what is gone may have. What the books have as posted did.
            FoundOrders::Open { .. } | FoundOrders::Gone | FoundOrders::Nothing | FoundOrders::Ended(_) => {
                Some(PostingOutcome::Unknown)
            }
        })
    }

    pub(super) async fn void(&self, posting: &Posting) -> Result<Voiding, Fault> {
        match self.look(posting).await? {
            FoundOrders::Nothing | FoundOrders::Gone => {
                let trace = self.traces.of(&posting.key());
                Ok(Voiding::Undecided { closed_for: self.orders.client.closed_or_closing(trace.as_ref()) })
            }
            FoundOrders::Ended(outcome) => Ok(Voiding::Settled(outcome)),
            // It is there, so that nobody may confirm it absent.
            FoundOrders::Open { order } => Err(still_open(order)),
        }
    }

    async fn look(&self, posting: &Posting) -> Result<FoundOrders, Fault> {
        let wanted = self.orders.wanted(posting);
        let orders = self.orders.about(&wanted).await?;
        Ok(match wanted.next_step(&orders) {
            PostingStep::Posted { trade_order, flaw: None } => {
                let flaw = self.accounts.flaw_after(posting).await?;
                FoundOrders::Ended(PostingOutcome::Posted { trade_order, flaw })
            }
            PostingStep::Posted { trade_order, flaw } => {
                FoundOrders::Ended(PostingOutcome::Posted { trade_order, flaw })
            }
            PostingStep::Refused { reason } => FoundOrders::Ended(PostingOutcome::Refused { reason }),
            PostingStep::Conflict => FoundOrders::Ended(PostingOutcome::Conflict),
            PostingStep::Record { order }
            | PostingStep::Approve { order }
            | PostingStep::Wait { order, .. }
            | PostingStep::Contradicts { order, .. } => FoundOrders::Open { order },
            PostingStep::Create => FoundOrders::Nothing,
            PostingStep::Decline { .. } | PostingStep::Gone => {
                wanted.open(&orders).map_or(FoundOrders::Gone, |order| FoundOrders::Open { order })
            }
        })
    }
}

/// What the platform has of a posting.
enum FoundOrders {
    Nothing,
    /// An order that is there and has not ended.
    Open {
        order: u64,
    },
    Ended(PostingOutcome),
    /// A request was recorded when there were two phases, and is not there.
    Gone,
}

pub(super) fn still_open(order: u64) -> Fault {
    Fault::new(format!("finance order {order} is still open at the trading server"))
}
