//! Postings in two phases: a finance request that moves nothing, whose number the caller records, then its approval. Each step asks
//! the platform first what it has under the key; what to do then is decided in `next_step`.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use cashier_core::status::OperationStatus;
use futures_util::future::select;

use super::account_check;
use super::accounts::{PlatformAccounts, is_named, refusal_text};
use super::client::{CallTrace, PlatformFailure};
use super::finance_order::REFUSED_MARK;
use super::late_keys::{LateKeys, WatchedKey};
use super::next_step::{DECLINED_BY_OTHERS, PostingStep, WantedOrder};
use super::one_phase::still_open;
use super::orders::FinanceOrders;
use super::server_error::ServerErrorKind;
use super::traces::PostingTraces;
use super::unanswered::UnansweredRequests;
use crate::ports::{Clock, Fault, PostStep, Posting, Voiding};

/// How long an approved order may take within one call; a longer one is asked for again by the janitor.
const APPROVED_WAIT_MAX: Duration = Duration::from_secs(10);

/// Between two questions about an approved order; the pause doubles.
pub(super) const APPROVED_PAUSE_MIN: Duration = Duration::from_millis(100);
const APPROVED_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Rounds of declining and asking again within one call.
const DECLINE_ROUNDS_MAX: usize = 4;

/// What we write beside the key where a further order of a key is declined.
pub(super) const DUPLICATE: &str = " duplicate";

#[derive(Clone)]
pub(super) struct TwoPhases {
    pub(super) accounts: PlatformAccounts,
    pub(super) orders: FinanceOrders,
    pub(super) late: Arc<LateKeys>,
    pub(super) unanswered: Arc<UnansweredRequests>,
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
        self.late.note_wanted(&wanted.of);
        if wanted.recorded != 0 {
            self.unanswered.forget(&wanted.of.key);
        }
        for _ in 0..DECLINE_ROUNDS_MAX {
            match wanted.next_step(&self.listed(posting, &wanted).await?) {
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
        if outcome.as_ref().is_some_and(|outcome| *outcome != PostingOutcome::Unknown) {
            self.unanswered.forget(&wanted.of.key);
        }
        if let Some(PostingOutcome::Posted { trade_order, .. }) = outcome {
            // A request that nobody needs any more may be approved before it is swept. Where an answer was lost, perhaps in an earlier
            // process, there may be one.
            let was_unanswered = posting.operation.status == OperationStatus::Unknown;
            if was_unanswered || trade_order != wanted.recorded {
                self.late.watch(self.watched(wanted));
            }
        }
        match outcome {
            Some(PostingOutcome::Posted { trade_order, flaw: None }) => {
                Ok(PostingOutcome::Posted { trade_order, flaw: self.accounts.flaw_after(posting).await? })
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
        let outcome = step.outcome();
        // What the books have as posted was executed once. What else is found, or nothing, is no word that it was not.
        if posting.operation.status == OperationStatus::Posted
            && !matches!(outcome, Some(PostingOutcome::Posted { .. }))
        {
            return Ok(Some(PostingOutcome::Unknown));
        }
        if outcome.is_none() {
            return Ok(None);
        }
        self.ended(posting, &wanted, step).await.map(Some)
    }

    pub(super) async fn void(&self, posting: &Posting, reason: ReasonCode) -> Result<Voiding, Fault> {
        self.void_for(posting, reason.name()).await
    }

    /// Declines what is pending; the refusal is made by the platform's word that nothing of it is left.
    pub(super) async fn refuse(&self, posting: &Posting, reason: &str) -> Result<PostingOutcome, Fault> {
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
                        None => {
                            // The person who asks may decide without the platform, and nobody asks about this key again: should the
                            // request show after all, a dealer could approve it beside the posting that follows it. Where nothing is
                            // decided, the next try to post the key takes this back; what was declined before is refused, which is
                            // listed, and moved nothing.
                            if reason == ReasonCode::ConfirmedAbsent.name() {
                                self.late.note_absent(self.watched(&wanted));
                            }
                            Ok(Voiding::Undecided { closed_for: self.closed_for(posting) })
                        }
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

    pub(super) fn watched(&self, wanted: &WantedOrder) -> WatchedKey {
        WatchedKey { of: wanted.of.clone(), login: wanted.login, since: self.clock.monotonic() }
    }
}

/// Nothing left that could move money; what an earlier call sent is as it was.
pub(super) fn not_sent(wanted: &WantedOrder, why: &str) -> PostStep {
    tracing::warn!(key = &*wanted.of.key, why, "posting was not sent");
    PostStep::NotSent
}
