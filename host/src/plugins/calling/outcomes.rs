//! What the end of an exchange means for a payment, as pure tables: the one place where it is decided whether money may
//! have moved. The rule: a no is believed only in a module's definite words; where a request that moves money may have
//! left without a usable answer, the outcome is unknown.

use std::time::Duration;

use cashier_core::aggregate::CreateEnding;
use cashier_core::notice::Update;
use cashier_provider_sdk::{
    FailureKind, NormalizedStatus, PaymentCreated, ProviderFailure, StatusUpdate, WebhookVerdict,
};

use super::convert::{self, Masks, REASON_LENGTH_MAX};
use super::exchange::{Broken, Ended, Exchanged};
use crate::ports::{CreateAnswer, QueryAnswer, Verdict};

/// How a create call ended.
pub(super) fn create(exchanged: Exchanged<PaymentCreated>, masks: &Masks) -> CreateAnswer {
    let Exchanged { ended, asked: _, moved, provider_time } = exchanged;
    let no_answer = |reason: Box<str>| {
        bare(if moved { CreateEnding::Unknown } else { CreateEnding::NeverSent { reason } }, provider_time)
    };
    match ended {
        Ended::Done(created) => {
            let created = convert::created(created, masks);
            let ending = match created.declined {
                None => CreateEnding::Accepted(created.next),
                Some(reason) => CreateEnding::Declined { reason: or(reason, "declined by the provider") },
            };
            CreateAnswer {
                ending,
                update: created.update,
                refs: created.refs,
                redirect_url: created.redirect_url,
                instructions_json: created.instructions_json,
                provider_time,
            }
        }
        Ended::Failed(failure) => {
            let reason = told(&failure, masks);
            match failure.kind {
                FailureKind::Declined => bare(CreateEnding::Declined { reason }, provider_time),
                // Definite as well, but where nothing that moves money left, the provider was never asked to pay.
                FailureKind::RefusedRequest | FailureKind::NotFound if moved => {
                    bare(CreateEnding::Declined { reason }, provider_time)
                }
                FailureKind::RefusedRequest
                | FailureKind::NotFound
                | FailureKind::UnreadableAnswer
                | FailureKind::Temporary
                | FailureKind::StaleReply
                | FailureKind::Panicked => no_answer(reason),
            }
        }
        Ended::Unsupported => no_answer("the module cannot create payments".into()),
        Ended::Broken(broken) => no_answer(masks.text(&sentence(&broken), REASON_LENGTH_MAX)),
    }
}

fn bare(ending: CreateEnding, provider_time: Duration) -> CreateAnswer {
    CreateAnswer {
        ending,
        update: None,
        refs: Vec::new(),
        redirect_url: "".into(),
        instructions_json: "".into(),
        provider_time,
    }
}

/// What a module made of a notice.
pub(super) fn verify(exchanged: Exchanged<WebhookVerdict>, masks: &Masks) -> Verdict {
    let clean = |text: &str| masks.text(text, REASON_LENGTH_MAX).into_string();
    match exchanged.ended {
        Ended::Done(WebhookVerdict::Verified { updates, acknowledgement }) => {
            let updates = convert::updates(updates, masks);
            let acknowledgement = acknowledgement.map(convert::acknowledgement).transpose();
            match (updates, acknowledgement) {
                (Ok(updates), Ok(acknowledgement)) => Verdict::Verified { updates, acknowledgement },
                (Err(reason), _) | (_, Err(reason)) => Verdict::NotWorking(reason),
            }
        }
        Ended::Done(WebhookVerdict::Rejected(reason)) => Verdict::Rejected(clean(&reason)),
        Ended::Done(WebhookVerdict::Undetermined(reason)) => Verdict::Undetermined(clean(&reason)),
        Ended::Failed(failure) => {
            let reason = told(&failure, masks).into_string();
            match failure.kind {
                FailureKind::Temporary | FailureKind::Panicked => Verdict::NotWorking(reason),
                FailureKind::Declined
                | FailureKind::RefusedRequest
                | FailureKind::NotFound
                | FailureKind::UnreadableAnswer
                | FailureKind::StaleReply => Verdict::Undetermined(reason),
            }
        }
        Ended::Unsupported => Verdict::Undetermined("the module cannot read notices".to_owned()),
        Ended::Broken(broken) => {
            let reason = clean(&sentence(&broken));
            match broken {
                Broken::WouldSend | Broken::WouldMove => Verdict::Undetermined(reason),
                Broken::Call(_)
                | Broken::TooManySteps(_)
                | Broken::Overloaded
                | Broken::BreakerOpen
                | Broken::NotSent(_)
                | Broken::NoAnswer(_)
                | Broken::OutOfTime => Verdict::NotWorking(reason),
            }
        }
    }
}

/// Which question a provider was asked about a payment that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Query,
    Advance,
    Cancel,
}

/// What context about a payment brought.
pub(super) fn query(question: Question, exchanged: Exchanged<StatusUpdate>, masks: &Masks) -> QueryAnswer {
    match exchanged.ended {
        Ended::Done(update) => QueryAnswer::Stated(Box::new(convert::update(update, masks))),
        Ended::Unsupported => QueryAnswer::Unsupported,
        Ended::Broken(broken) => QueryAnswer::NoAnswer(masks.text(&sentence(&broken), REASON_LENGTH_MAX).into_string()),
        Ended::Failed(failure) => {
            let reason = told(&failure, masks);
            match (failure.kind, question) {
                // Nobody was asked: the module lacks what it would ask by, such as an id that the provider never told.
                (FailureKind::RefusedRequest | FailureKind::NotFound, _) if !exchanged.asked => {
                    QueryAnswer::Unsupported
                }
                (FailureKind::NotFound, _) => QueryAnswer::NotFound,
                // The capture was refused for good: that is the payment's end. A refused question is not.
                (FailureKind::Declined, Question::Advance) => {
                    QueryAnswer::Stated(Box::new(failed(&failure, &reason, masks)))
                }
                (FailureKind::Declined, Question::Query | Question::Cancel)
                | (
                    FailureKind::RefusedRequest
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

fn failed(failure: &ProviderFailure, reason: &str, masks: &Masks) -> Update {
    let update = StatusUpdate::new(NormalizedStatus::Failed, failure.code.clone());
    convert::update(StatusUpdate { reason: Some(reason.to_owned()), ..update }, masks)
}

fn told(failure: &ProviderFailure, masks: &Masks) -> Box<str> {
    or(masks.text(&failure.to_string(), REASON_LENGTH_MAX), "the provider gave no reason")
}

fn or(text: Box<str>, otherwise: &str) -> Box<str> {
    if text.is_empty() { otherwise.into() } else { text }
}

fn sentence(broken: &Broken) -> String {
    match broken {
        Broken::Call(failure) => failure.to_string(),
        Broken::WouldSend => "the module wants to ask its provider, and this check is made offline".to_owned(),
        Broken::WouldMove => "the module wants to send what may move money while it only may ask".to_owned(),
        Broken::TooManySteps(most) => format!("the module wants to send more than {most} requests"),
        Broken::Overloaded => "too many exchanges with the provider are under way".to_owned(),
        Broken::BreakerOpen => "the provider could not be reached of late and is not asked".to_owned(),
        Broken::NotSent(reason) => format!("the provider was not asked: {reason}"),
        Broken::NoAnswer(reason) => format!("the provider did not answer: {reason}"),
        Broken::OutOfTime => "the exchange with the provider took too long".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use cashier_core::status::ProviderStatus;
    use cashier_provider_sdk::{Descriptor, ProviderConfig};

    use super::*;

    #[test]
    fn a_refused_question_ends_nothing_and_a_refused_capture_ends_the_payment() {
        use FailureKind::*;
        use Question::*;
        let masks = Masks::of(&ProviderConfig::default(), &Descriptor::default());
        let ask = |question, kind| {
            let failure = ProviderFailure::new(kind, "code", "words");
            let ended = Ended::Failed(failure);
            query(question, Exchanged { ended, asked: true, moved: true, provider_time: Duration::ZERO }, &masks)
        };
        for question in [Query, Advance, Cancel] {
            assert_eq!(ask(question, NotFound), QueryAnswer::NotFound);
            for kind in [RefusedRequest, UnreadableAnswer, Temporary, StaleReply, Panicked] {
                assert_eq!(
                    ask(question, kind),
                    QueryAnswer::NoAnswer("code: words".to_owned()),
                    "{question:?} {kind:?}"
                );
            }
        }
        for question in [Query, Cancel] {
            assert_eq!(ask(question, Declined), QueryAnswer::NoAnswer("code: words".to_owned()));
        }
        let QueryAnswer::Stated(update) = ask(Advance, Declined) else { panic!("the capture was refused") };
        assert_eq!((update.status, &*update.reason), (ProviderStatus::Failed, "code: words"));
    }

    #[test]
    fn a_question_that_the_module_refuses_before_anything_is_sent_cannot_be_asked() {
        use Question::*;
        let masks = Masks::of(&ProviderConfig::default(), &Descriptor::default());
        let ask = |question, kind, asked| {
            let ended = Ended::Failed(ProviderFailure::new(kind, "code", "words"));
            query(question, Exchanged { ended, asked, moved: false, provider_time: Duration::ZERO }, &masks)
        };
        let no_answer = QueryAnswer::NoAnswer("code: words".to_owned());
        for question in [Query, Advance, Cancel] {
            for kind in [FailureKind::RefusedRequest, FailureKind::NotFound] {
                assert_eq!(ask(question, kind, false), QueryAnswer::Unsupported, "{question:?} {kind:?}");
            }
            assert_eq!(ask(question, FailureKind::RefusedRequest, true), no_answer, "{question:?}");
            for kind in [FailureKind::Temporary, FailureKind::UnreadableAnswer, FailureKind::Panicked] {
                assert_eq!(ask(question, kind, false), no_answer, "{question:?} {kind:?}");
            }
        }
    }

    #[test]
    fn a_module_that_fails_to_judge_is_told_from_one_that_cannot_tell() {
        let masks = Masks::of(&ProviderConfig::default(), &Descriptor::default());
        let judge =
            |ended| verify(Exchanged { ended, asked: false, moved: false, provider_time: Duration::ZERO }, &masks);
        let failed = |kind| judge(Ended::Failed(ProviderFailure::new(kind, "code", "words")));
        for kind in [FailureKind::Temporary, FailureKind::Panicked] {
            assert_eq!(failed(kind), Verdict::NotWorking("code: words".to_owned()), "{kind:?}");
        }
        for kind in [
            FailureKind::Declined,
            FailureKind::RefusedRequest,
            FailureKind::NotFound,
            FailureKind::UnreadableAnswer,
            FailureKind::StaleReply,
        ] {
            assert_eq!(failed(kind), Verdict::Undetermined("code: words".to_owned()), "{kind:?}");
        }
        assert_eq!(judge(Ended::Unsupported), Verdict::Undetermined("the module cannot read notices".to_owned()));
    }
}
