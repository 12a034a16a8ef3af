//! Host side, module to host: turns owned records into plain results. A code that this host does not know, or a
//! record that contradicts itself, becomes the most cautious result, never a guess. Lists are converted to `Vec`
//! first, because `collect` then reuses their memory.

use cashier_provider_abi::abi_stable::std_types::{ROption, RString, RVec};
use cashier_provider_abi::codes::{
    CapabilityBits, FailureCode, MethodCode, NextCode, PaymentModeCode, ReachCode, SettingBits, SettingCode,
    StatusCode, StepCode, VerdictCode,
};
use cashier_provider_abi::v1::{
    AcknowledgementV1, AmountV1, ConfigErrorV1, CreatedV1, DescriptorV1, DisputeV1, FailureV1, KeepV1, PairV1,
    RefundV1, RequestV1, SettingV1, StepV1, UpdateV1, VerdictV1,
};

use super::PAYMENT_MODE;
use crate::{
    Acknowledgement, Amount, CachePolicy, Capabilities, ConfigError, Descriptor, Dispute, FailureKind, HttpMethod,
    HttpRequest, NextAction, NormalizedStatus, Pairs, PaymentCreated, PaymentMode, ProviderFailure, ProviderRef,
    Refund, RefundReach, SettingKind, SettingSpec, StatusUpdate, Step, Unreadable, WebhookVerdict,
};

pub(crate) fn step<R, T>(record: StepV1<R>, decode: impl FnOnce(R) -> T) -> Step<T> {
    match record.kind {
        StepCode::SEND => match record.send.into_option().and_then(request) {
            Some(request) => Step::Send { request, cache: record.keep.into_option().map(cache) },
            None => malformed("a send step without a usable request"),
        },
        StepCode::DONE => match record.done {
            ROption::RSome(value) => Step::Done(decode(value)),
            ROption::RNone => malformed("a done step without a result"),
        },
        StepCode::FAILED => match record.failed {
            ROption::RSome(failure) => Step::Failed(self::failure(failure)),
            ROption::RNone => malformed("a failed step without a failure"),
        },
        StepCode::UNSUPPORTED => Step::Unsupported,
        StepCode(code) => malformed(&format!("step {code}, which this host does not know")),
    }
}

fn malformed<T>(what: &str) -> Step<T> {
    Step::Failed(ProviderFailure::unreadable(format!("the module returned {what}")))
}

pub(crate) fn descriptor(record: DescriptorV1) -> Descriptor {
    let bits = record.capabilities;
    Descriptor {
        code: record.code.into(),
        name: record.name.into(),
        description: record.description.into(),
        version: record.version.into(),
        payment_mode: match record.payment_mode {
            PaymentModeCode::INSTRUCTIONS => PaymentMode::Instructions,
            PaymentModeCode::EMBEDDED => PaymentMode::Embedded,
            PaymentModeCode(_) => PaymentMode::Redirect,
        },
        methods: texts(record.methods),
        currencies: texts(record.currencies),
        capabilities: Capabilities {
            advance: bits.has(CapabilityBits::ADVANCE),
            query: bits.has(CapabilityBits::QUERY),
            cancel: bits.has(CapabilityBits::CANCEL),
            refund: bits.has(CapabilityBits::REFUND),
            partial_refund: bits.has(CapabilityBits::PARTIAL_REFUND),
        },
        primary_ref_kind: record.primary_ref_kind.into(),
        hosts: texts(record.hosts),
        idempotency_window_seconds: record.idempotency_window_seconds,
        expiry_seconds: record.expiry_seconds,
        settings: record.settings.into_iter().map(setting).collect(),
        webhook_events: texts(record.webhook_events),
    }
}

pub(crate) fn created(record: CreatedV1) -> PaymentCreated {
    PaymentCreated {
        status: status(record.status),
        refs: refs(record.refs),
        next: match record.next {
            NextCode::NONE => NextAction::None,
            NextCode::REDIRECT => NextAction::Redirect { url: record.next_text.into() },
            NextCode::INSTRUCTIONS => NextAction::Instructions { json_text: record.next_text.into() },
            // For an unknown code too: the customer waits, and a status query will report the result.
            NextCode(_) => NextAction::Wait,
        },
        update: record.update.into_option().map(update),
        expires_unix: record.expires_unix.into(),
        bag: pairs(record.bag),
    }
}

pub(crate) fn verdict(record: VerdictV1) -> WebhookVerdict {
    match record.kind {
        VerdictCode::VERIFIED => WebhookVerdict::Verified {
            updates: record.updates.into_vec().into_iter().map(update).collect(),
            event_id: text(record.event_id),
            ignored: Some(record.reason.into_string()).filter(|reason| !reason.is_empty()),
            acknowledgement: record.acknowledgement.into_option().map(acknowledgement),
        },
        VerdictCode::UNREADABLE => {
            let about = record.updates.into_vec().into_iter().next().map(update).unwrap_or_default();
            WebhookVerdict::Unreadable(Unreadable {
                reason: record.reason.into(),
                event_id: text(record.event_id),
                reference: about.reference,
                refs: about.refs,
                acknowledgement: record.acknowledgement.into_option().map(acknowledgement),
            })
        }
        VerdictCode::REJECTED => WebhookVerdict::Rejected(record.reason.into()),
        VerdictCode::UNTIMELY => WebhookVerdict::Untimely(record.reason.into()),
        VerdictCode::UNDETERMINED => WebhookVerdict::Undetermined(record.reason.into()),
        VerdictCode(code) => {
            WebhookVerdict::Undetermined(format!("the module returned verdict {code}, which this host does not know"))
        }
    }
}

pub(crate) fn update(record: UpdateV1) -> StatusUpdate {
    let update = StatusUpdate {
        event_id: text(record.event_id),
        reference: text(record.reference),
        refs: refs(record.refs),
        status: status(record.status),
        payment_id: text(record.payment_id),
        amount: record.amount.into_option().map(amount),
        refund: None,
        dispute: record.dispute.into_option().map(dispute),
        raw_status: record.raw_status.into(),
        reason: text(record.reason),
        sandbox: record.sandbox.into(),
        mode_conflict: record.mode_conflict,
        advance: record.advance,
        bag: pairs(record.bag),
    };
    match record.refund.into_option().map(refund) {
        None => update,
        Some(Ok(refund)) => StatusUpdate { refund: Some(refund), ..update },
        Some(Err(code)) => StatusUpdate {
            status: NormalizedStatus::ManualReview,
            reason: Some(format!("the module returned refund reach {code}, which this host does not know")),
            ..update
        },
    }
}

pub(crate) fn failure(record: FailureV1) -> ProviderFailure {
    ProviderFailure {
        kind: match record.kind {
            FailureCode::DECLINED => FailureKind::Declined,
            FailureCode::REFUSED_REQUEST => FailureKind::RefusedRequest,
            FailureCode::CREDENTIALS_REFUSED => FailureKind::CredentialsRefused,
            FailureCode::NOT_FOUND => FailureKind::NotFound,
            FailureCode::TEMPORARY => FailureKind::Temporary,
            FailureCode::STALE_REPLY => FailureKind::StaleReply,
            FailureCode::PANICKED => FailureKind::Panicked,
            // For an unknown code too: the outcome is unknown.
            FailureCode(_) => FailureKind::UnreadableAnswer,
        },
        code: record.code.into(),
        field: record.field.into(),
        message: record.message.into(),
        retryable: record.retryable,
        retry_after_seconds: record.retry_after_seconds.into(),
    }
}

pub(crate) fn config_error(record: ConfigErrorV1) -> ConfigError {
    ConfigError { field: record.field.into(), message: record.message.into() }
}

fn request(record: RequestV1) -> Option<HttpRequest> {
    Some(HttpRequest {
        method: match record.method {
            MethodCode::GET => HttpMethod::Get,
            MethodCode::POST => HttpMethod::Post,
            MethodCode::PUT => HttpMethod::Put,
            MethodCode::PATCH => HttpMethod::Patch,
            MethodCode::DELETE => HttpMethod::Delete,
            MethodCode(_) => return None,
        },
        url: record.url.into(),
        headers: pairs(record.headers),
        body: record.body.into(),
        safe_to_repeat: record.safe_to_repeat,
    })
}

fn cache(record: KeepV1) -> CachePolicy {
    CachePolicy { name: record.name.into(), ttl_seconds: record.seconds }
}

fn acknowledgement(record: AcknowledgementV1) -> Acknowledgement {
    Acknowledgement { status: record.status, headers: pairs(record.headers), body: record.body.into() }
}

fn refund(record: RefundV1) -> Result<Refund, u8> {
    let reach = match record.reach {
        ReachCode::DELTA => RefundReach::Delta,
        ReachCode::TOTAL_SO_FAR => RefundReach::TotalSoFar,
        ReachCode(code) => return Err(code),
    };
    Ok(Refund { id: text(record.id), amount: amount(record.amount), reach, requested: text(record.requested) })
}

fn dispute(record: DisputeV1) -> Dispute {
    Dispute { id: record.id.into(), amount: record.amount.into_option().map(amount) }
}

fn status(code: StatusCode) -> NormalizedStatus {
    match code {
        StatusCode::PENDING => NormalizedStatus::Pending,
        StatusCode::CONFIRMED => NormalizedStatus::Confirmed,
        StatusCode::FAILED => NormalizedStatus::Failed,
        StatusCode::CANCELLED => NormalizedStatus::Cancelled,
        StatusCode::REFUNDED => NormalizedStatus::Refunded,
        StatusCode::CHARGEBACK => NormalizedStatus::Chargeback,
        StatusCode::CHARGEBACK_REVERSED => NormalizedStatus::ChargebackReversed,
        StatusCode::MANUAL_REVIEW => NormalizedStatus::ManualReview,
        StatusCode::IN_REVIEW => NormalizedStatus::InReview,
        StatusCode::REFUND_FAILED => NormalizedStatus::RefundFailed,
        StatusCode(_) => NormalizedStatus::Unknown,
    }
}

fn setting(record: SettingV1) -> SettingSpec {
    SettingSpec {
        key: record.key.into(),
        label: record.label.into(),
        kind: match record.kind {
            SettingCode::INTEGER => SettingKind::Integer,
            SettingCode::FLAG => SettingKind::Flag,
            SettingCode::URL => SettingKind::Url,
            SettingCode::CHOICE => SettingKind::Choice(texts(record.choices)),
            SettingCode(_) => SettingKind::Text,
        },
        secret: record.bits.has(SettingBits::SECRET),
        required: record.bits.has(SettingBits::REQUIRED),
        endpoint: record.bits.has(SettingBits::ENDPOINT),
        default: text(record.default),
        payment_modes: record.bag.into_vec().into_iter().filter_map(payment_mode).collect(),
    }
}

/// A value of a setting with the way of paying that it means; another pair, or a way of a later contract, is none.
fn payment_mode(pair: PairV1) -> Option<(String, PaymentMode)> {
    let mode = PaymentMode::from_name(pair.name.as_str().strip_prefix(PAYMENT_MODE)?)?;
    Some((pair.value.into(), mode))
}

fn amount(record: AmountV1) -> Amount {
    Amount { minor: record.minor, exponent: record.exponent, currency: record.currency.into() }
}

fn refs(records: RVec<PairV1>) -> Vec<ProviderRef> {
    records
        .into_vec()
        .into_iter()
        .map(|pair| ProviderRef { kind: pair.name.into(), value: pair.value.into() })
        .collect()
}

fn pairs(records: RVec<PairV1>) -> Pairs {
    records.into_vec().into_iter().map(|pair| (pair.name.into(), pair.value.into())).collect()
}

fn texts(texts: RVec<RString>) -> Vec<String> {
    texts.into_vec().into_iter().map(RString::into_string).collect()
}

fn text(text: ROption<RString>) -> Option<String> {
    text.into_option().map(RString::into_string)
}
