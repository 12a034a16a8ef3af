//! Makes the finance request of a posting, and keeps the number that the platform states for it: once one is on record no other request
//! is made. It approves nothing.

use cashier_core::operation::PostingOutcome;
use cashier_core::status::OperationStatus;

use super::accounts::{fault, is_named, refusal_text};
use super::client::{CallTrace, PlatformFailure};
use super::finance_order::FinanceOrder;
use super::next_step::{PostingStep, WantedOrder};
use super::server_error::ServerErrorKind;
use super::two_phases::{APPROVED_PAUSE_MIN, TwoPhases, not_sent};
use super::unanswered::MayRequest;
use crate::ports::{Fault, PostStep, Posting};

/// How often the platform is asked for a request that it has just said to have made: an index may be a moment behind. Its number is
/// recorded all the same, and the request asked for again later.
const CREATED_ASKED_MAX: usize = 4;

impl TwoPhases {
    pub(super) async fn create(
        &self,
        posting: &Posting,
        wanted: &WantedOrder,
        trace: &CallTrace,
    ) -> Result<PostStep, Fault> {
        let key = &*wanted.of.key;
        match self.unanswered.may_request(key) {
            MayRequest::Yes => {}
            // It was to be recorded, and is not.
            MayRequest::Stated(order) => return Ok(PostStep::Prepared { request_order: order }),
            MayRequest::TooMany => {
                tracing::warn!(key, "finance request is not made again: those before it had no answer");
                return Ok(PostStep::Done(PostingOutcome::Unknown));
            }
        }
        match self.orders.create(posting, wanted, trace.clone()).await {
            Ok(made) => {
                let order = if made.is_whole { Ok(made.order) } else { self.order_to_record(wanted, made.order).await };
                // Should it not be recorded, and should what is there be gone, it is the only one that is known.
                self.unanswered.note_stated(key, *order.as_ref().unwrap_or(&made.order));
                if order.is_err() {
                    // Until it is found there may be another one.
                    self.late.watch(self.watched(wanted));
                }
                order.map(|request_order| PostStep::Prepared { request_order })
            }
            Err(failure) if is_named(&failure, &self.orders.settings.refusals) => {
                // An earlier request may have arrived since.
                self.refuse(posting, &refusal_text(&failure)).await.map(PostStep::Done)
            }
            Err(PlatformFailure::NeverSent(why)) => Ok(not_sent(wanted, &why)),
            Err(PlatformFailure::Answered(error)) if error.kind == ServerErrorKind::TooOften => {
                Ok(not_sent(wanted, &error.to_string()))
            }
            // It said no: nothing of it arrives later.
            Err(PlatformFailure::Answered(error)) if error.kind == ServerErrorKind::Stated => {
                Err(fault(PlatformFailure::Answered(error)).during("finance request"))
            }
            Err(failure @ (PlatformFailure::Unknown(_) | PlatformFailure::Answered(_))) => {
                self.late.watch(self.watched(wanted));
                self.unanswered.note(key);
                Err(fault(failure).during("finance request"))
            }
        }
    }

    /// The number that is recorded for a request that the platform answered a number for. One that is recorded is never replaced, so that
    /// it is not believed where something else is there under our key: then the fault lets the next try take what is there. Where nothing
    /// is, it is all that is known of the request: on record it bars another one, and it is approved only once it is found under our key.
    async fn order_to_record(&self, wanted: &WantedOrder, answered: u64) -> Result<u64, Fault> {
        let mut pause = APPROVED_PAUSE_MIN;
        for _ in 0..CREATED_ASKED_MAX {
            match self.orders.made(wanted).await {
                Ok(found) => {
                    if let Some(order) = self.order_among(wanted, answered, &found)? {
                        return Ok(order);
                    }
                }
                Err(fault) => {
                    tracing::warn!(order = answered, key = &*wanted.of.key, %fault, "finance request could not be looked for");
                    return Ok(answered);
                }
            }
            self.clock.sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
        // Without a search, all were read.
        if self.orders.settings.search.is_none() {
            return Ok(answered);
        }
        match self.orders.numbered(wanted, answered).await {
            Ok(found) => {
                if let Some(order) = self.order_among(wanted, answered, &found)? {
                    return Ok(order);
                }
                tracing::warn!(
                    order = answered,
                    key = &*wanted.of.key,
                    "finance request was answered and is not found yet"
                );
            }
            Err(fault) => {
                tracing::warn!(order = answered, key = &*wanted.of.key, %fault, "finance request could not be looked for");
            }
        }
        Ok(answered)
    }

    /// The number to record where something is there under our key; the fault: it is not what was answered.
    fn order_among(&self, wanted: &WantedOrder, answered: u64, found: &[FinanceOrder]) -> Result<Option<u64>, Fault> {
        self.orders.is_comparable(wanted, found)?;
        let has_answered = found.iter().any(|order| order.order == answered && wanted.of.is_our_own(order));
        match wanted.next_step(found) {
            PostingStep::Create => Ok(None),
            PostingStep::Record { order } if has_answered => Ok(Some(order)),
            PostingStep::Record { .. }
            | PostingStep::Approve { .. }
            | PostingStep::Decline { .. }
            | PostingStep::Wait { .. }
            | PostingStep::Posted { .. }
            | PostingStep::Refused { .. }
            | PostingStep::Conflict
            | PostingStep::Contradicts { .. }
            | PostingStep::Gone => Err(Fault::new(format!(
                "the trading server answered finance request {answered}, and has another order under our key"
            ))),
        }
    }

    /// The orders of a posting. A request that was recorded a moment ago may not be listed yet: it is asked for again before it is gone.
    pub(super) async fn listed(&self, posting: &Posting, wanted: &WantedOrder) -> Result<Vec<FinanceOrder>, Fault> {
        let mut found = self.orders.about(wanted).await?;
        let mut pause = APPROVED_PAUSE_MIN;
        for _ in 0..CREATED_ASKED_MAX {
            if posting.operation.status != OperationStatus::Planned || wanted.next_step(&found) != PostingStep::Gone {
                break;
            }
            self.clock.sleep(pause).await;
            pause = pause.saturating_mul(2);
            found = self.orders.about(wanted).await?;
        }
        Ok(found)
    }
}
