//! Module side, module to host: moves a provider's results into owned records, without copying texts and bodies.

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

pub(crate) fn step<T, R>(step: Step<T>, encode: impl FnOnce(T) -> R) -> StepV1<R> {
    let mut record = StepV1 {
        kind: StepCode::UNSUPPORTED,
        send: ROption::RNone,
        keep: ROption::RNone,
        done: ROption::RNone,
        failed: ROption::RNone,
        bag: RVec::new(),
    };
    match step {
        Step::Send { request, cache } => {
            record.kind = StepCode::SEND;
            record.send = ROption::RSome(self::request(request));
            record.keep = cache.map(self::cache).into();
        }
        Step::Done(value) => {
            record.kind = StepCode::DONE;
            record.done = ROption::RSome(encode(value));
        }
        Step::Failed(failure) => {
            record.kind = StepCode::FAILED;
            record.failed = ROption::RSome(self::failure(failure));
        }
        Step::Unsupported => {}
    }
    record
}

pub(crate) fn descriptor(descriptor: Descriptor) -> DescriptorV1 {
    DescriptorV1 {
        code: descriptor.code.into(),
        name: descriptor.name.into(),
        description: descriptor.description.into(),
        version: descriptor.version.into(),
        payment_mode: match descriptor.payment_mode {
            PaymentMode::Redirect => PaymentModeCode::REDIRECT,
            PaymentMode::Instructions => PaymentModeCode::INSTRUCTIONS,
            PaymentMode::Embedded => PaymentModeCode::EMBEDDED,
        },
        methods: texts(descriptor.methods),
        currencies: texts(descriptor.currencies),
        capabilities: capabilities(descriptor.capabilities),
        primary_ref_kind: descriptor.primary_ref_kind.into(),
        hosts: texts(descriptor.hosts),
        idempotency_window_seconds: descriptor.idempotency_window_seconds,
        expiry_seconds: descriptor.expiry_seconds,
        settings: descriptor.settings.into_iter().map(setting).collect(),
        webhook_events: texts(descriptor.webhook_events),
        bag: RVec::new(),
    }
}

pub(crate) fn created(created: PaymentCreated) -> CreatedV1 {
    let (next, next_text) = match created.next {
        NextAction::Redirect { url } => (NextCode::REDIRECT, url),
        NextAction::Instructions { json_text } => (NextCode::INSTRUCTIONS, json_text),
        NextAction::Wait => (NextCode::WAIT, String::new()),
        NextAction::None => (NextCode::NONE, String::new()),
    };
    CreatedV1 {
        status: status(created.status),
        refs: refs(created.refs),
        next,
        next_text: next_text.into(),
        update: created.update.map(update).into(),
        expires_unix: created.expires_unix.into(),
        bag: pairs(created.bag),
    }
}

pub(crate) fn verdict(verdict: WebhookVerdict) -> VerdictV1 {
    let blank = |kind, reason: String| VerdictV1 {
        kind,
        updates: RVec::new(),
        event_id: ROption::RNone,
        acknowledgement: ROption::RNone,
        reason: reason.into(),
        bag: RVec::new(),
    };
    match verdict {
        WebhookVerdict::Verified { updates, event_id, ignored, acknowledgement } => VerdictV1 {
            updates: updates.into_iter().map(update).collect(),
            event_id: text(event_id),
            acknowledgement: acknowledgement.map(self::acknowledgement).into(),
            ..blank(VerdictCode::VERIFIED, ignored.unwrap_or_default())
        },
        WebhookVerdict::Unreadable(Unreadable { reason, event_id, reference, refs, acknowledgement }) => VerdictV1 {
            updates: [update(StatusUpdate { reference, refs, ..StatusUpdate::default() })].into_iter().collect(),
            event_id: text(event_id),
            acknowledgement: acknowledgement.map(self::acknowledgement).into(),
            ..blank(VerdictCode::UNREADABLE, reason)
        },
        WebhookVerdict::Rejected(reason) => blank(VerdictCode::REJECTED, reason),
        WebhookVerdict::Untimely(reason) => blank(VerdictCode::UNTIMELY, reason),
        WebhookVerdict::Undetermined(reason) => blank(VerdictCode::UNDETERMINED, reason),
    }
}

pub(crate) fn update(update: StatusUpdate) -> UpdateV1 {
    UpdateV1 {
        event_id: text(update.event_id),
        reference: text(update.reference),
        refs: refs(update.refs),
        status: status(update.status),
        payment_id: text(update.payment_id),
        amount: update.amount.map(amount).into(),
        refund: update.refund.map(refund).into(),
        dispute: update.dispute.map(dispute).into(),
        raw_status: update.raw_status.into(),
        reason: text(update.reason),
        sandbox: update.sandbox.into(),
        mode_conflict: update.mode_conflict,
        advance: update.advance,
        bag: pairs(update.bag),
    }
}

pub(crate) fn failure(failure: ProviderFailure) -> FailureV1 {
    FailureV1 {
        kind: match failure.kind {
            FailureKind::Declined => FailureCode::DECLINED,
            FailureKind::RefusedRequest => FailureCode::REFUSED_REQUEST,
            FailureKind::CredentialsRefused => FailureCode::CREDENTIALS_REFUSED,
            FailureKind::NotFound => FailureCode::NOT_FOUND,
            FailureKind::UnreadableAnswer => FailureCode::UNREADABLE_ANSWER,
            FailureKind::Temporary => FailureCode::TEMPORARY,
            FailureKind::StaleReply => FailureCode::STALE_REPLY,
            FailureKind::Panicked => FailureCode::PANICKED,
        },
        code: failure.code.into(),
        field: failure.field.into(),
        message: failure.message.into(),
        retryable: failure.retryable,
        retry_after_seconds: failure.retry_after_seconds.into(),
        bag: RVec::new(),
    }
}

pub(crate) fn config_error(error: ConfigError) -> ConfigErrorV1 {
    ConfigErrorV1 { field: error.field.into(), message: error.message.into(), bag: RVec::new() }
}

fn request(request: HttpRequest) -> RequestV1 {
    RequestV1 {
        method: match request.method {
            HttpMethod::Get => MethodCode::GET,
            HttpMethod::Post => MethodCode::POST,
            HttpMethod::Put => MethodCode::PUT,
            HttpMethod::Patch => MethodCode::PATCH,
            HttpMethod::Delete => MethodCode::DELETE,
        },
        url: request.url.into(),
        headers: pairs(request.headers),
        body: request.body.into(),
        safe_to_repeat: request.safe_to_repeat,
        bag: RVec::new(),
    }
}

fn cache(policy: CachePolicy) -> KeepV1 {
    KeepV1 { name: policy.name.into(), seconds: policy.ttl_seconds }
}

fn acknowledgement(acknowledgement: Acknowledgement) -> AcknowledgementV1 {
    AcknowledgementV1 {
        status: acknowledgement.status,
        headers: pairs(acknowledgement.headers),
        body: acknowledgement.body.into(),
    }
}

fn refund(refund: Refund) -> RefundV1 {
    RefundV1 {
        id: text(refund.id),
        amount: amount(refund.amount),
        reach: match refund.reach {
            RefundReach::Delta => ReachCode::DELTA,
            RefundReach::TotalSoFar => ReachCode::TOTAL_SO_FAR,
        },
        requested: text(refund.requested),
    }
}

fn dispute(dispute: Dispute) -> DisputeV1 {
    DisputeV1 { id: dispute.id.into(), amount: dispute.amount.map(amount).into() }
}

fn status(status: NormalizedStatus) -> StatusCode {
    match status {
        NormalizedStatus::Unknown => StatusCode::UNKNOWN,
        NormalizedStatus::Pending => StatusCode::PENDING,
        NormalizedStatus::Confirmed => StatusCode::CONFIRMED,
        NormalizedStatus::Failed => StatusCode::FAILED,
        NormalizedStatus::Cancelled => StatusCode::CANCELLED,
        NormalizedStatus::Refunded => StatusCode::REFUNDED,
        NormalizedStatus::Chargeback => StatusCode::CHARGEBACK,
        NormalizedStatus::ChargebackReversed => StatusCode::CHARGEBACK_REVERSED,
        NormalizedStatus::ManualReview => StatusCode::MANUAL_REVIEW,
        NormalizedStatus::InReview => StatusCode::IN_REVIEW,
        NormalizedStatus::RefundFailed => StatusCode::REFUND_FAILED,
    }
}

fn capabilities(capabilities: Capabilities) -> CapabilityBits {
    CapabilityBits::NONE
        .with(CapabilityBits::ADVANCE, capabilities.advance)
        .with(CapabilityBits::QUERY, capabilities.query)
        .with(CapabilityBits::CANCEL, capabilities.cancel)
        .with(CapabilityBits::REFUND, capabilities.refund)
        .with(CapabilityBits::PARTIAL_REFUND, capabilities.partial_refund)
}

fn setting(setting: SettingSpec) -> SettingV1 {
    let (kind, choices) = match setting.kind {
        SettingKind::Text => (SettingCode::TEXT, Vec::new()),
        SettingKind::Integer => (SettingCode::INTEGER, Vec::new()),
        SettingKind::Flag => (SettingCode::FLAG, Vec::new()),
        SettingKind::Url => (SettingCode::URL, Vec::new()),
        SettingKind::Choice(choices) => (SettingCode::CHOICE, choices),
    };
    SettingV1 {
        key: setting.key.into(),
        label: setting.label.into(),
        kind,
        choices: texts(choices),
        bits: SettingBits::NONE
            .with(SettingBits::SECRET, setting.secret)
            .with(SettingBits::REQUIRED, setting.required)
            .with(SettingBits::ENDPOINT, setting.endpoint),
        default: text(setting.default),
        bag: setting.payment_modes.into_iter().map(|(value, mode)| payment_mode(mode, value)).collect(),
    }
}

/// A host that does not know the pair shows the descriptor's mode.
fn payment_mode(mode: PaymentMode, value: String) -> PairV1 {
    PairV1 { name: format!("{PAYMENT_MODE}{}", mode.as_str()).into(), value: value.into() }
}

fn amount(amount: Amount) -> AmountV1 {
    AmountV1 { minor: amount.minor, exponent: amount.exponent, currency: amount.currency.into() }
}

fn refs(refs: Vec<ProviderRef>) -> RVec<PairV1> {
    refs.into_iter().map(|id| PairV1 { name: id.kind.into(), value: id.value.into() }).collect()
}

fn pairs(pairs: Pairs) -> RVec<PairV1> {
    pairs.into_iter().map(|(name, value)| PairV1 { name: name.into(), value: value.into() }).collect()
}

fn texts(texts: Vec<String>) -> RVec<RString> {
    texts.into_iter().map(RString::from).collect()
}

fn text(text: Option<String>) -> ROption<RString> {
    text.map(RString::from).into()
}
