//! What the end of an exchange means for a payment, as pure tables: the one place that decides whether money may have moved.
//! A payment counts as declined only where the module states it definitely; where a request that may move money may have
//! left without a usable reply, the outcome is unknown.

use std::time::Duration;

use cashier_core::aggregate::CreateEnding;
use cashier_core::notice::Update;
use cashier_core::provider_call::CallPurpose;
use cashier_core::refund::RefundAnswer;
use cashier_provider_sdk::{
    FailureKind, NormalizedStatus, PaymentCreated, ProviderFailure, StatusUpdate, WebhookVerdict,
};

use super::call_failures::{CallFailure, HostFailure};
use super::convert::{self, REASON_LENGTH_MAX, SecretMasks};
use super::exchange::{ExchangeEnd, ExchangeOutcome};
use crate::ports::{CreateAnswer, OrderCheck, QueryAnswer, Verdict};

/// What a module says about an order that does not exist yet. Only a refusal of the request refuses it; whatever else
/// happened, the order is not sent.
pub(super) fn check_order(
    checked: Result<Result<(), ProviderFailure>, CallFailure>,
    masks: &SecretMasks,
) -> OrderCheck {
    let clean = |text: &str| masks.text(text, REASON_LENGTH_MAX);
    match checked {
        Ok(Ok(())) => OrderCheck::Passed,
        Ok(Err(failure)) => match failure.kind {
            FailureKind::RefusedRequest => OrderCheck::Refused {
                field: clean(&failure.field),
                code: clean(&failure.code),
                message: clean(&failure.message),
            },
            FailureKind::Declined
            | FailureKind::CredentialsRefused
            | FailureKind::NotFound
            | FailureKind::UnreadableAnswer
            | FailureKind::Temporary
            | FailureKind::StaleReply
            | FailureKind::Panicked => OrderCheck::NoAnswer(reason_of(&failure, masks)),
        },
        Err(failure) => OrderCheck::NoAnswer(clean(&failure.to_string())),
    }
}

/// How a create call ended.
pub(super) fn create(outcome: ExchangeOutcome<PaymentCreated>, masks: &SecretMasks) -> CreateAnswer {
    let ExchangeOutcome { end, money_may_have_moved, moved_before_last, moved_by_last, provider_time, .. } = outcome;
    let no_answer = |reason: Box<str>| {
        bare(
            if money_may_have_moved { CreateEnding::Unknown } else { CreateEnding::NeverSent { reason } },
            provider_time,
        )
    };
    match end {
        ExchangeEnd::Done(created) => convert::created(created, provider_time, masks),
        ExchangeEnd::Failed(failure) => {
            let reason = reason_of(&failure, masks);
            match failure.kind {
                FailureKind::Declined => bare(CreateEnding::Declined { reason }, provider_time),
                // Definite about the last request alone: an earlier one may have made the payment.
                FailureKind::CredentialsRefused if moved_before_last => no_answer(reason),
                FailureKind::RefusedRequest | FailureKind::NotFound if moved_before_last && !moved_by_last => {
                    no_answer(reason)
                }
                // The provider did nothing, and the customer is not at fault: the payment was never requested.
                FailureKind::CredentialsRefused => bare(CreateEnding::NeverSent { reason }, provider_time),
                // Definite as well; but where no request that may move money left, the payment was never requested.
                FailureKind::RefusedRequest | FailureKind::NotFound if money_may_have_moved => {
                    bare(CreateEnding::Declined { reason }, provider_time)
                }
                FailureKind::UnreadableAnswer | FailureKind::Panicked if money_may_have_moved => {
                    CreateAnswer { unreadable: reason, ..bare(CreateEnding::Unknown, provider_time) }
                }
                FailureKind::RefusedRequest
                | FailureKind::NotFound
                | FailureKind::UnreadableAnswer
                | FailureKind::Temporary
                | FailureKind::StaleReply
                | FailureKind::Panicked => no_answer(reason),
            }
        }
        ExchangeEnd::Unsupported => no_answer("the module cannot create payments".into()),
        ExchangeEnd::HostFailed(failure) => no_answer(masks.text(&failure.to_string(), REASON_LENGTH_MAX)),
    }
}

fn bare(ending: CreateEnding, provider_time: Duration) -> CreateAnswer {
    CreateAnswer {
        ending,
        update: None,
        refs: Vec::new(),
        redirect_url: "".into(),
        instructions_json: "".into(),
        unreadable: "".into(),
        provider_time,
    }
}

/// What a module found about a notice.
pub(super) fn verify(
    outcome: ExchangeOutcome<WebhookVerdict>,
    masks: &SecretMasks,
    clock_is_plausible: bool,
) -> Verdict {
    let clean = |text: &str| masks.text(text, REASON_LENGTH_MAX).into_string();
    match outcome.end {
        ExchangeEnd::Done(WebhookVerdict::Verified { updates, event_id, ignored, acknowledgement }) => {
            let updates = convert::updates(updates, masks);
            let acknowledgement = acknowledgement.map(convert::acknowledgement).transpose();
            match (updates, acknowledgement) {
                (Ok(updates), Ok(acknowledgement)) => Verdict::Verified {
                    updates,
                    event_id: convert::event_id(event_id.as_deref(), masks),
                    ignored: masks.text(ignored.as_deref().unwrap_or_default(), REASON_LENGTH_MAX),
                    acknowledgement,
                },
                (Err(reason), _) | (_, Err(reason)) => Verdict::NotWorking(reason),
            }
        }
        ExchangeEnd::Done(WebhookVerdict::Unreadable(mut unreadable)) => {
            let acknowledgement = unreadable.acknowledgement.take().map(convert::acknowledgement).transpose();
            match acknowledgement {
                Ok(acknowledgement) => {
                    Verdict::Unreadable { notice: convert::unreadable(unreadable, masks), acknowledgement }
                }
                Err(reason) => Verdict::NotWorking(reason),
            }
        }
        ExchangeEnd::Done(WebhookVerdict::Rejected(reason)) => Verdict::Rejected(clean(&reason)),
        // By a clock that is wrong the provider's own notice is late: it must come again.
        ExchangeEnd::Done(WebhookVerdict::Untimely(reason)) if !clock_is_plausible => {
            Verdict::NotWorking(clean(&reason))
        }
        ExchangeEnd::Done(WebhookVerdict::Untimely(reason)) => Verdict::Rejected(clean(&reason)),
        ExchangeEnd::Done(WebhookVerdict::Undetermined(reason)) => Verdict::Undetermined(clean(&reason)),
        // A failure is never a rejection: the notice may be the provider's, so it must come again.
        ExchangeEnd::Failed(failure) => Verdict::NotWorking(reason_of(&failure, masks).into_string()),
        ExchangeEnd::Unsupported => Verdict::Undetermined("the module cannot read notices".to_owned()),
        ExchangeEnd::HostFailed(failure) => {
            let reason = clean(&failure.to_string());
            match failure {
                HostFailure::RequestForbidden => Verdict::NeedsNetwork,
                HostFailure::MoneyForbidden
                | HostFailure::Call(_)
                | HostFailure::TooManySteps(_)
                | HostFailure::Overloaded
                | HostFailure::CircuitOpen
                | HostFailure::NotSent(_)
                | HostFailure::NoReply(_)
                | HostFailure::TimedOut => Verdict::NotWorking(reason),
            }
        }
    }
}

/// A call about a payment that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PaymentCall {
    Query,
    Advance,
    Cancel,
}

impl PaymentCall {
    /// As the log of calls names it.
    pub(super) fn purpose(self) -> CallPurpose {
        match self {
            Self::Query => CallPurpose::Query,
            Self::Advance => CallPurpose::Advance,
            Self::Cancel => CallPurpose::Cancel,
        }
    }
}

/// What a call about a payment that exists came to.
pub(super) fn query(call: PaymentCall, outcome: ExchangeOutcome<StatusUpdate>, masks: &SecretMasks) -> QueryAnswer {
    match outcome.end {
        ExchangeEnd::Done(update) => QueryAnswer::Stated(Box::new(convert::update(update, masks))),
        ExchangeEnd::Unsupported => QueryAnswer::Unsupported,
        ExchangeEnd::HostFailed(failure) => {
            QueryAnswer::NoAnswer(masks.text(&failure.to_string(), REASON_LENGTH_MAX).into_string())
        }
        ExchangeEnd::Failed(failure) => {
            let reason = reason_of(&failure, masks);
            match (failure.kind, call) {
                // No request left: the module lacks what the query needs, such as an id that the provider never stated.
                (FailureKind::RefusedRequest | FailureKind::NotFound, _) if !outcome.request_sent => {
                    QueryAnswer::Unsupported
                }
                (FailureKind::NotFound, _) => QueryAnswer::NotFound,
                // A declined capture is final and ends the payment; a declined query or cancellation does not.
                (FailureKind::Declined, PaymentCall::Advance) => {
                    QueryAnswer::Stated(Box::new(failed(&failure, &reason, masks)))
                }
                (FailureKind::Declined, PaymentCall::Query | PaymentCall::Cancel)
                | (
                    FailureKind::RefusedRequest
                    | FailureKind::CredentialsRefused
                    | FailureKind::UnreadableAnswer
                    | FailureKind::Temporary
                    | FailureKind::StaleReply
                    | FailureKind::Panicked,
                    _,
                ) => QueryAnswer::NoAnswer(reason.into_string()),
            }
        }
    }
}

/// How a refund call ended. It was refused where the provider declined it, or refused the only request that could refund; it was
/// not sent where none such left.
pub(super) fn refund(outcome: ExchangeOutcome<StatusUpdate>, masks: &SecretMasks) -> RefundAnswer {
    let ExchangeOutcome { end, money_may_have_moved, moved_before_last, moved_by_last, .. } = outcome;
    let unmade = |reason: Box<str>| match money_may_have_moved {
        true => RefundAnswer::NoAnswer(reason),
        false => RefundAnswer::NotSent(reason),
    };
    match end {
        ExchangeEnd::Done(update) => RefundAnswer::Stated(Box::new(convert::update(update, masks))),
        ExchangeEnd::Unsupported => unmade("the module knows no id by which to refund the payment".into()),
        ExchangeEnd::HostFailed(failure) => unmade(masks.text(&failure.to_string(), REASON_LENGTH_MAX)),
        ExchangeEnd::Failed(failure) => {
            let reason = reason_of(&failure, masks);
            match failure.kind {
                FailureKind::Declined => RefundAnswer::Declined(reason),
                FailureKind::CredentialsRefused if !moved_before_last => RefundAnswer::NotSent(reason),
                FailureKind::RefusedRequest | FailureKind::NotFound if moved_by_last && !moved_before_last => {
                    RefundAnswer::Refused(reason)
                }
                FailureKind::CredentialsRefused
                | FailureKind::RefusedRequest
                | FailureKind::NotFound
                | FailureKind::UnreadableAnswer
                | FailureKind::Temporary
                | FailureKind::StaleReply
                | FailureKind::Panicked => unmade(reason),
            }
        }
    }
}

fn failed(failure: &ProviderFailure, reason: &str, masks: &SecretMasks) -> Update {
    let update = StatusUpdate::new(NormalizedStatus::Failed, failure.code.clone());
    convert::update(StatusUpdate { reason: Some(reason.to_owned()), ..update }, masks)
}

fn reason_of(failure: &ProviderFailure, masks: &SecretMasks) -> Box<str> {
    let reason = masks.text(&failure.to_string(), REASON_LENGTH_MAX);
    if reason.is_empty() { "the provider gave no reason".into() } else { reason }
}

#[cfg(test)]
mod tests {
    use cashier_core::status::ProviderStatus;
    use cashier_provider_sdk::{Descriptor, ProviderConfig};

    use super::*;

    fn masks() -> SecretMasks {
        SecretMasks::of(&ProviderConfig::default(), &Descriptor::default())
    }

    /// An exchange that ended with a failure of this kind.
    fn failed_with<T>(kind: FailureKind, request_sent: bool) -> ExchangeOutcome<T> {
        let end = ExchangeEnd::Failed(ProviderFailure::new(kind, "code", "text"));
        ExchangeOutcome {
            end,
            request_sent,
            money_may_have_moved: false,
            moved_before_last: false,
            moved_by_last: false,
            provider_time: Duration::ZERO,
            requests: Vec::new(),
        }
    }

    #[test]
    fn a_declined_query_or_cancel_ends_nothing_and_a_declined_capture_ends_the_payment() {
        use FailureKind::*;
        use PaymentCall::*;
        let answer = |call, kind| {
            let outcome = ExchangeOutcome { money_may_have_moved: true, ..failed_with(kind, true) };
            query(call, outcome, &masks())
        };
        let no_answer = QueryAnswer::NoAnswer("code: text".to_owned());
        for call in [Query, Advance, Cancel] {
            assert_eq!(answer(call, NotFound), QueryAnswer::NotFound);
            for kind in [RefusedRequest, CredentialsRefused, UnreadableAnswer, Temporary, StaleReply, Panicked] {
                assert_eq!(answer(call, kind), no_answer, "{call:?} {kind:?}");
            }
        }
        for call in [Query, Cancel] {
            assert_eq!(answer(call, Declined), no_answer);
        }
        let QueryAnswer::Stated(update) = answer(Advance, Declined) else { panic!("the capture was declined") };
        assert_eq!((update.status, &*update.reason), (ProviderStatus::Failed, "code: text"));
    }

    #[test]
    fn m12_refused_credentials_decline_no_payment() {
        let ending = |kind, moved| {
            create(ExchangeOutcome { money_may_have_moved: moved, ..failed_with(kind, true) }, &masks()).ending
        };
        let never_sent = CreateEnding::NeverSent { reason: "code: text".into() };
        let declined = CreateEnding::Declined { reason: "code: text".into() };
        for moved in [false, true] {
            assert_eq!(ending(FailureKind::CredentialsRefused, moved), never_sent);
            assert_eq!(ending(FailureKind::Declined, moved), declined);
        }
        // Otherwise: any other refusal of a request that left is definite, and too many requests decline nothing.
        assert_eq!(ending(FailureKind::RefusedRequest, true), declined);
        assert_eq!(ending(FailureKind::Temporary, true), CreateEnding::Unknown);
    }

    #[test]
    fn m3_a_create_answer_that_cannot_be_read_is_unknown_and_never_a_decline() {
        for kind in [FailureKind::UnreadableAnswer, FailureKind::Panicked] {
            let sent = ExchangeOutcome { money_may_have_moved: true, ..failed_with(kind, true) };
            let answer = create(sent, &masks());
            assert_eq!((answer.ending, &*answer.unreadable), (CreateEnding::Unknown, "code: text"), "{kind:?}");
            let answer = create(failed_with(kind, true), &masks());
            let never_sent = CreateEnding::NeverSent { reason: "code: text".into() };
            assert_eq!((answer.ending, &*answer.unreadable), (never_sent, ""), "{kind:?}");
        }
    }

    #[test]
    fn a_call_that_the_module_refuses_before_any_request_is_unsupported() {
        use PaymentCall::*;
        let answer = |call, kind, request_sent| query(call, failed_with(kind, request_sent), &masks());
        let no_answer = QueryAnswer::NoAnswer("code: text".to_owned());
        for call in [Query, Advance, Cancel] {
            for kind in [FailureKind::RefusedRequest, FailureKind::NotFound] {
                assert_eq!(answer(call, kind, false), QueryAnswer::Unsupported, "{call:?} {kind:?}");
            }
            assert_eq!(answer(call, FailureKind::RefusedRequest, true), no_answer, "{call:?}");
            for kind in [FailureKind::Temporary, FailureKind::UnreadableAnswer, FailureKind::Panicked] {
                assert_eq!(answer(call, kind, false), no_answer, "{call:?} {kind:?}");
            }
        }
    }

    #[test]
    fn m10_a_verification_that_failed_is_never_a_rejection() {
        let verdict = |kind| verify(failed_with(kind, false), &masks(), true);
        for kind in [
            FailureKind::Temporary,
            FailureKind::CredentialsRefused,
            FailureKind::Panicked,
            FailureKind::Declined,
            FailureKind::RefusedRequest,
            FailureKind::NotFound,
            FailureKind::UnreadableAnswer,
            FailureKind::StaleReply,
        ] {
            assert_eq!(verdict(kind), Verdict::NotWorking("code: text".to_owned()), "{kind:?}");
        }
        for (failure, expected) in [
            (HostFailure::RequestForbidden, Verdict::NeedsNetwork),
            (HostFailure::MoneyForbidden, Verdict::NotWorking(HostFailure::MoneyForbidden.to_string())),
            (HostFailure::TimedOut, Verdict::NotWorking(HostFailure::TimedOut.to_string())),
        ] {
            let end = ExchangeEnd::HostFailed(failure);
            let outcome = ExchangeOutcome { end, ..failed_with(FailureKind::Temporary, false) };
            assert_eq!(verify(outcome, &masks(), true), expected);
        }
        let unsupported =
            ExchangeOutcome { end: ExchangeEnd::Unsupported, ..failed_with(FailureKind::Temporary, false) };
        let undetermined = Verdict::Undetermined("the module cannot read notices".to_owned());
        assert_eq!(verify(unsupported, &masks(), true), undetermined);
    }

    #[test]
    fn a_signed_time_out_of_tolerance_is_a_rejection_by_a_plausible_clock_alone() {
        for (plausible, expected) in
            [(true, Verdict::Rejected("late".to_owned())), (false, Verdict::NotWorking("late".to_owned()))]
        {
            let end = ExchangeEnd::Done(WebhookVerdict::Untimely("late".into()));
            let outcome = ExchangeOutcome { end, ..failed_with(FailureKind::Temporary, false) };
            assert_eq!(verify(outcome, &masks(), plausible), expected);
            let end = ExchangeEnd::Done(WebhookVerdict::Rejected("forged".into()));
            let outcome = ExchangeOutcome { end, ..failed_with(FailureKind::Temporary, false) };
            assert_eq!(verify(outcome, &masks(), plausible), Verdict::Rejected("forged".to_owned()));
        }
    }
}
