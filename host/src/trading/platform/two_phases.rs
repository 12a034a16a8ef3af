//! Postings in two phases: a finance request that moves nothing, whose number the caller records, then its approval. Each step asks
//! the platform first what it has under the key; what to do then is decided in `next_step`.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::operation::{PostingFlaw, PostingOutcome};
use cashier_core::reason::ReasonCode;
use futures_util::future::select;

use super::account_check;
use super::accounts::{PlatformAccounts, fault, is_named, refusal_text};
use super::client::{CallTrace, PlatformFailure};
use super::finance_order::REFUSED_MARK;
use super::late_keys::{LateKeys, WatchedKey};
use super::messages::ServerErrorKind;
use super::next_step::{DECLINED_BY_OTHERS, PostingStep, WantedOrder};
use super::one_phase::still_open;
use super::orders::FinanceOrders;
use super::traces::PostingTraces;
use crate::ports::{Clock, Fault, PostStep, Posting, Voiding};

/// How long an approved order may take within one call; a longer one is asked for again by the janitor.
const APPROVED_WAIT_MAX: Duration = Duration::from_secs(10);

/// Between two questions about an approved order; the pause doubles.
const APPROVED_PAUSE_MIN: Duration = Duration::from_millis(100);
const APPROVED_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Rounds of declining and asking again within one call.
const DECLINE_ROUNDS_MAX: usize = 4;

/// How often the platform is asked for a request that it has just said to have made: an index may be a moment behind. Then it is
/// asked again later, before anything else is made.
const CREATED_ASKED_MAX: usize = 4;

/// What we write beside the key where a further order of a key is declined.
pub(super) const DUPLICATE: &str = " duplicate";

#[derive(Clone)]
pub(super) struct TwoPhases {
    pub(super) accounts: PlatformAccounts,
    pub(super) orders: FinanceOrders,
    pub(super) late: Arc<LateKeys>,
    pub(super) traces: Arc<PostingTraces>,
    pub(super) clock: Arc<dyn Clock>,
}

impl TwoPhases {
    pub(super) async fn post(&self, posting: &Posting) -> PostStep {
        // What is not written when this ends never is.
        let running = self.traces.begin(posting.key());
        match self.next(posting, &running.trace).await {
            Ok(step) => step,
            Err(fault) => {
                tracing::warn!(key = %posting.key(), %fault, "posting has no outcome yet");
                PostStep::Done(PostingOutcome::Unknown)
            }
        }
    }

    async fn next(&self, posting: &Posting, trace: &CallTrace) -> Result<PostStep, Fault> {
        let wanted = self.orders.wanted(posting);
        for _ in 0..DECLINE_ROUNDS_MAX {
            match wanted.next_step(&self.orders.about(&wanted).await?) {
                PostingStep::Create => return self.create(posting, &wanted, trace).await,
                PostingStep::Record { order } => return Ok(PostStep::Prepared { request_order: order }),
                PostingStep::Approve { order } => return self.approve(posting, &wanted, order, trace).await,
                PostingStep::Decline { orders } => {
                    self.decline(&orders, &format!("{}{DUPLICATE}", wanted.of.key)).await
                }
                PostingStep::Wait { order, .. } => {
                    return self.settled(posting, &wanted, order).await.map(PostStep::Done);
                }
                step @ (PostingStep::Posted { .. }
                | PostingStep::Refused { .. }
                | PostingStep::Conflict
                | PostingStep::Contradicts { .. }
                | PostingStep::Gone) => {
                    return self.ended(posting, &wanted, step).await.map(PostStep::Done);
                }
            }
        }
        Ok(PostStep::Done(PostingOutcome::Unknown))
    }

    async fn create(&self, posting: &Posting, wanted: &WantedOrder, trace: &CallTrace) -> Result<PostStep, Fault> {
        match self.orders.create(posting, wanted, trace.clone()).await {
            Ok(made) if made.is_whole => Ok(PostStep::Prepared { request_order: made.order }),
            Ok(made) => {
                let found = self.found_again(wanted, made.order).await;
                if found.is_err() {
                    // Until it is found there may be another one.
                    self.late.watch(self.watched(wanted));
                }
                found
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
            Err(failure @ PlatformFailure::Answered(_)) => Err(fault(failure).during("finance request")),
            Err(failure @ PlatformFailure::Unknown(_)) => {
                self.late.watch(self.watched(wanted));
                Err(fault(failure).during("finance request"))
            }
        }
    }

    /// What the platform has of the request that it answered a number for: the number is recorded only where it is under our key, because
    /// a recorded one is never replaced.
    async fn found_again(&self, wanted: &WantedOrder, answered: u64) -> Result<PostStep, Fault> {
        let mut pause = APPROVED_PAUSE_MIN;
        for _ in 0..CREATED_ASKED_MAX {
            let found = self.orders.made(wanted).await?;
            let has_answered = found.iter().any(|order| order.order == answered && wanted.of.is_our_own(order));
            match wanted.next_step(&found) {
                PostingStep::Record { order } if has_answered => {
                    return Ok(PostStep::Prepared { request_order: order });
                }
                PostingStep::Create => {}
                PostingStep::Record { .. }
                | PostingStep::Approve { .. }
                | PostingStep::Decline { .. }
                | PostingStep::Wait { .. }
                | PostingStep::Posted { .. }
                | PostingStep::Refused { .. }
                | PostingStep::Conflict
                | PostingStep::Contradicts { .. }
                | PostingStep::Gone => break,
            }
            self.clock.sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
        Err(Fault::new(format!(
            "the trading server answered finance request {answered}, and has no such one under our key"
        )))
    }

    async fn approve(
        &self,
        posting: &Posting,
        wanted: &WantedOrder,
        order: u64,
        trace: &CallTrace,
    ) -> Result<PostStep, Fault> {
        if let Some(reason) = self.objection(posting).await? {
            tracing::warn!(order, %reason, "finance request is declined: the account must not receive it");
            return self.refuse(posting, reason.name()).await.map(PostStep::Done);
        }
        let outcome = match self.orders.approve(order, trace.clone()).await {
            Err(failure) if is_named(&failure, &self.orders.settings.refusals) => {
                self.refuse(posting, &refusal_text(&failure)).await
            }
            Err(PlatformFailure::NeverSent(why)) => return Ok(not_sent(wanted, &why)),
            Err(PlatformFailure::Answered(error)) if error.kind == ServerErrorKind::TooOften => {
                return Ok(not_sent(wanted, &error.to_string()));
            }
            Ok(()) | Err(PlatformFailure::Unknown(_) | PlatformFailure::Answered(_)) => {
                self.settled(posting, wanted, order).await
            }
        };
        outcome.map(PostStep::Done)
    }

    /// Why the account must not receive the posting, as it is now.
    async fn objection(&self, posting: &Posting) -> Result<Option<ReasonCode>, Fault> {
        let account = self.accounts.account(posting.operation.login).await?;
        let group = match &account {
            Some(account) => Some(self.accounts.group(&account.group).await?),
            None => None,
        };
        Ok(account_check::objection(posting, account.as_ref().zip(group.as_ref())))
    }

    /// Asks until the order's outcome is known, or its time is over.
    async fn settled(&self, posting: &Posting, wanted: &WantedOrder, order: u64) -> Result<PostingOutcome, Fault> {
        let ends = self.clock.monotonic().saturating_add(APPROVED_WAIT_MAX);
        let mut pushes = self.orders.client.state.pushes.subscribe();
        let mut pause = APPROVED_PAUSE_MIN;
        loop {
            match wanted.next_step(&self.orders.awaited(wanted).await?) {
                PostingStep::Wait { order, state } => {
                    tracing::debug!(order, ?state, "finance order is not executed yet")
                }
                // Approved a moment ago, or the approval was lost.
                PostingStep::Approve { .. } | PostingStep::Gone => {}
                step @ (PostingStep::Posted { .. }
                | PostingStep::Refused { .. }
                | PostingStep::Contradicts { .. }
                | PostingStep::Conflict) => {
                    return self.ended(posting, wanted, step).await;
                }
                PostingStep::Create | PostingStep::Record { .. } | PostingStep::Decline { .. } => {
                    return Ok(PostingOutcome::Unknown);
                }
            }
            if self.clock.monotonic() >= ends {
                return Err(Fault::new(format!(
                    "finance order {order} was not executed within {} s",
                    APPROVED_WAIT_MAX.as_secs()
                )));
            }
            let event = async {
                while let Ok(push) = pushes.recv().await {
                    if &*push.event == "trade:event"
                        && push.data.get("order").and_then(serde_json::Value::as_u64) == Some(order)
                    {
                        return;
                    }
                }
                std::future::pending::<()>().await;
            };
            select(self.clock.sleep(pause), std::pin::pin!(event)).await;
            pause = pause.saturating_mul(2).min(APPROVED_PAUSE_MAX);
        }
    }

    /// The outcome of a step that ends it; after a posting the account is compared once more.
    async fn ended(&self, posting: &Posting, wanted: &WantedOrder, step: PostingStep) -> Result<PostingOutcome, Fault> {
        let outcome = step.outcome();
        if matches!(outcome, Some(PostingOutcome::Posted { trade_order, .. }) if trade_order != wanted.recorded) {
            // The request that nobody needs any more may be approved before it is swept.
            self.late.watch(self.watched(wanted));
        }
        match outcome {
            Some(PostingOutcome::Posted { trade_order, flaw: None }) => {
                let account = self.accounts.account(posting.operation.login).await?;
                let changed = account_check::is_another(posting, account.as_ref());
                Ok(PostingOutcome::Posted { trade_order, flaw: changed.then_some(PostingFlaw::AccountChanged) })
            }
            Some(outcome) => {
                if step == PostingStep::Gone {
                    let (order, key) = (wanted.recorded, &*wanted.of.key);
                    tracing::error!(order, key, "finance request is not found any more: is `search` right?");
                }
                if matches!(outcome, PostingOutcome::Refused { .. } | PostingOutcome::Conflict) {
                    self.late.void(self.watched(wanted));
                }
                Ok(outcome)
            }
            None => Ok(PostingOutcome::Unknown),
        }
    }

    /// `None`: the platform has nothing that moved, or may move by itself.
    pub(super) async fn find(&self, posting: &Posting) -> Result<Option<PostingOutcome>, Fault> {
        let wanted = self.orders.wanted(posting);
        let step = wanted.next_step(&self.orders.about(&wanted).await?);
        if step.outcome().is_none() {
            return Ok(None);
        }
        self.ended(posting, &wanted, step).await.map(Some)
    }

    pub(super) async fn void(&self, posting: &Posting, reason: ReasonCode) -> Result<Voiding, Fault> {
        self.void_for(posting, reason.name()).await
    }

    /// Declines what is pending; the refusal is made by the platform's word that nothing of it is left.
    async fn refuse(&self, posting: &Posting, reason: &str) -> Result<PostingOutcome, Fault> {
        match self.void_for(posting, reason).await? {
            Voiding::Settled(outcome) => Ok(outcome),
            Voiding::Undecided { .. } => Ok(PostingOutcome::Unknown),
        }
    }

    async fn void_for(&self, posting: &Posting, reason: &str) -> Result<Voiding, Fault> {
        let wanted = self.orders.wanted(posting);
        let mut declines = false;
        for _ in 0..DECLINE_ROUNDS_MAX {
            let orders = self.orders.about(&wanted).await?;
            match wanted.void_step(&orders, reason) {
                PostingStep::Decline { orders } => {
                    self.decline(&orders, &format!("{}{REFUSED_MARK}{reason}", wanted.of.key)).await;
                    declines = true;
                }
                // The recorded one may be there and not show that it is.
                PostingStep::Gone => {
                    return match wanted.open(&orders) {
                        Some(order) => Err(still_open(order)),
                        None => Ok(Voiding::Undecided { closed_for: self.closed_for(posting) }),
                    };
                }
                PostingStep::Contradicts { order, .. } => return Err(still_open(order)),
                PostingStep::Wait { order, state } => {
                    return Err(Fault::new(format!("finance order {order} cannot be declined, it is {state:?}")));
                }
                // Declined just now by us, also where the platform keeps no comment, or cuts it.
                PostingStep::Refused { reason: stated }
                    if declines && (*stated == *DECLINED_BY_OTHERS || reason.starts_with(&*stated)) =>
                {
                    let step = PostingStep::Refused { reason: reason.into() };
                    return self.ended(posting, &wanted, step).await.map(Voiding::Settled);
                }
                step @ (PostingStep::Posted { .. } | PostingStep::Refused { .. } | PostingStep::Conflict) => {
                    return self.ended(posting, &wanted, step).await.map(Voiding::Settled);
                }
                // `void_step` makes none of them.
                PostingStep::Create | PostingStep::Record { .. } | PostingStep::Approve { .. } => break,
            }
        }
        Err(Fault::new(format!("the finance orders of {} could not be declined", wanted.of.key)))
    }

    /// What became of it is asked for again; a failure is no more than a line of the log.
    async fn decline(&self, orders: &[u64], comment: &str) {
        for order in orders {
            match self.orders.decline(*order, comment).await {
                Ok(()) => tracing::info!(order, comment, "finance request was declined"),
                Err(failure) => tracing::warn!(order, comment, %failure, "declining a finance request failed"),
            }
        }
    }

    fn closed_for(&self, posting: &Posting) -> Option<Duration> {
        self.orders.client.closed_or_closing(self.traces.of(&posting.key()).as_ref())
    }

    fn watched(&self, wanted: &WantedOrder) -> WatchedKey {
        WatchedKey { of: wanted.of.clone(), login: wanted.login, since: self.clock.monotonic() }
    }
}

/// Nothing left that could move money; what an earlier call sent is as it was.
fn not_sent(wanted: &WantedOrder, why: &str) -> PostStep {
    tracing::warn!(key = &*wanted.of.key, why, "posting was not sent");
    PostStep::NotSent
}
