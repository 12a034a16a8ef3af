//! The module side of the ABI: a provider behind a guard that turns a panic in any entry into a failure and masks
//! secrets in texts for people. It cannot stop endless loops, stack overflows and aborts: worker isolation does.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use cashier_provider_abi::v1::{
    ConfigErrorV1, ConfigV1, CreatedV1, DescriptorV1, EntriesV1, FailureV1, NoticeV1, OrderV1, PaymentV1,
    RefundOrderV1, ReplyV1, StepV1, UpdateV1, VerdictV1,
};

use crate::boundary::{module_decode as decode, module_encode as encode};
use crate::mask::{Mask, Masked};
use crate::signature::{PROVEN_BEFORE, every_byte_is_proven, forget_proofs};
use crate::types::pair;
use crate::{ConfigError, FailureKind, HttpReply, PaymentProvider, ProviderFailure, Step, Unreadable, WebhookVerdict};

/// A provider whose panics are caught and whose secrets are masked.
pub struct Guarded<P: PaymentProvider> {
    /// `None` only while it is dropped.
    provider: Option<P>,
    mask: Mask,
}

impl<P: PaymentProvider> EntriesV1 for Guarded<P> {
    fn descriptor() -> Result<DescriptorV1, FailureV1> {
        guarded("descriptor", || encode::descriptor(P::descriptor()))
            .map_err(|panicked| encode::failure(panicked.into()))
    }

    fn configure(config: &ConfigV1<'_>) -> Result<Self, ConfigErrorV1> {
        guarded("configure", || {
            let config = decode::config(config)?;
            let mask = Mask::of(&config, &P::descriptor());
            match P::configure(&config) {
                Ok(provider) => Ok(Self { provider: Some(provider), mask }),
                Err(error) => Err(mask.config_error(error)),
            }
        })
        .unwrap_or_else(|panicked| Err(panicked.into()))
        .map_err(encode::config_error)
    }

    fn check_order(&self, order: &OrderV1<'_>) -> Result<(), FailureV1> {
        guarded("check_order", || match &self.provider {
            Some(provider) => provider.check_order(&decode::order(order)).map_err(|failure| self.mask.failure(failure)),
            None => Ok(()),
        })
        .unwrap_or_else(|panicked| Err(panicked.into()))
        .map_err(encode::failure)
    }

    fn create_payment(&self, order: &OrderV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<CreatedV1> {
        self.enter("create_payment", replies, encode::created, |provider, replies| {
            provider.create_payment(&decode::order(order), replies)
        })
    }

    fn normalize_status(&self, notice: &NoticeV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<VerdictV1> {
        guarded("normalize_status", || {
            let notice = decode::notice(notice);
            forget_proofs(pair(&notice.bag, PROVEN_BEFORE).is_some());
            let normalize = || match &self.provider {
                Some(provider) => provider.normalize_status(&notice, &decode::replies(replies)),
                None => Step::Unsupported,
            };
            let step = guarded("normalize_status", normalize).unwrap_or_else(|panicked| Step::Failed(panicked.into()));
            encode::step(self.mask.step(understood(step, every_byte_is_proven())), encode::verdict)
        })
        .unwrap_or_else(|panicked| encode::step(Step::Failed(panicked.into()), encode::verdict))
    }

    fn advance_payment(&self, payment: &PaymentV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1> {
        self.enter("advance_payment", replies, encode::update, |provider, replies| {
            provider.advance_payment(&decode::payment(payment), replies)
        })
    }

    fn query_status(&self, payment: &PaymentV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1> {
        self.enter("query_status", replies, encode::update, |provider, replies| {
            provider.query_status(&decode::payment(payment), replies)
        })
    }

    fn cancel_payment(&self, payment: &PaymentV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1> {
        self.enter("cancel_payment", replies, encode::update, |provider, replies| {
            provider.cancel_payment(&decode::payment(payment), replies)
        })
    }

    fn refund_payment(&self, refund: &RefundOrderV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1> {
        self.enter("refund_payment", replies, encode::update, |provider, replies| {
            provider.refund_payment(&decode::refund(refund), replies)
        })
    }
}

impl<P: PaymentProvider> Guarded<P> {
    /// One entry: decode, call, mask and encode, all inside the guard.
    fn enter<T: Masked, R>(
        &self,
        entry: &'static str,
        replies: &[ReplyV1<'_>],
        encode: impl Fn(T) -> R,
        call: impl FnOnce(&P, &[HttpReply]) -> Step<T>,
    ) -> StepV1<R> {
        guarded(entry, || {
            let step = match &self.provider {
                Some(provider) => call(provider, &decode::replies(replies)),
                None => Step::Unsupported,
            };
            encode::step(self.mask.step(step), &encode)
        })
        .unwrap_or_else(|panicked| encode::step(Step::Failed(panicked.into()), &encode))
    }
}

/// What a webhook's step means by what was proven: a failure or panic over proven bytes is an authentic webhook that was
/// not understood, and nothing is called authentic without that proof.
fn understood(step: Step<WebhookVerdict>, proven: bool) -> Step<WebhookVerdict> {
    match step {
        Step::Failed(failure) if proven => match failure.kind {
            FailureKind::Declined
            | FailureKind::RefusedRequest
            | FailureKind::NotFound
            | FailureKind::UnreadableAnswer
            | FailureKind::Panicked => {
                Step::Done(WebhookVerdict::Unreadable(Unreadable { reason: failure.message, ..Unreadable::default() }))
            }
            FailureKind::CredentialsRefused | FailureKind::Temporary | FailureKind::StaleReply => Step::Failed(failure),
        },
        Step::Done(WebhookVerdict::Unreadable(unreadable)) if !proven => {
            Step::Failed(ProviderFailure::unreadable(unreadable.reason))
        }
        step @ (Step::Send { .. } | Step::Done(_) | Step::Failed(_) | Step::Unsupported) => step,
    }
}

impl<P: PaymentProvider> Drop for Guarded<P> {
    fn drop(&mut self) {
        let provider = self.provider.take();
        // No caller waits for a result here, so a panic is dropped.
        let _ = guarded("release", || drop(provider));
    }
}

/// A caught panic. Its message is dropped, because it may quote a secret.
struct Panicked {
    entry: &'static str,
    /// File and line of the panic.
    location: String,
}

impl Panicked {
    fn message(&self) -> String {
        format!("the module panicked in {} at {}", self.entry, self.location)
    }
}

impl From<Panicked> for ProviderFailure {
    fn from(panicked: Panicked) -> Self {
        Self::new(FailureKind::Panicked, "panicked", panicked.message())
    }
}

impl From<Panicked> for ConfigError {
    fn from(panicked: Panicked) -> Self {
        Self::new("", panicked.message())
    }
}

thread_local! {
    /// How many guarded calls this thread is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// The location of the latest panic in a guarded call on this thread.
    static LOCATION: RefCell<String> = const { RefCell::new(String::new()) };
}

fn guarded<T>(entry: &'static str, call: impl FnOnce() -> T) -> Result<T, Panicked> {
    silence_panic_hook();
    DEPTH.set(DEPTH.get().saturating_add(1));
    let outcome = catch_unwind(AssertUnwindSafe(call));
    DEPTH.set(DEPTH.get().saturating_sub(1));
    outcome.map_err(|payload| {
        discard(payload);
        Panicked { entry, location: LOCATION.take() }
    })
}

/// The default hook prints a panic's message to standard error, secrets included. Inside a guarded call this
/// hook only stores the location; outside, it calls the previous hook.
fn silence_panic_hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if DEPTH.get() == 0 {
                return previous(panic);
            }
            let location = panic.location().map_or_else(String::new, |at| format!("{}:{}", at.file(), at.line()));
            LOCATION.set(location);
        }));
    });
}

/// Dropping a payload may panic again; the second payload is leaked.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}
