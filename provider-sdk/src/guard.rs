//! The module side of the border: an author's provider behind a guard, so that a panic in any
//! entry becomes an answer and no text that people read quotes a secret. Endless loops, stack overflows and aborts are not caught here; worker
//! isolation is for those.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use cashier_provider_abi::v1::{
    ConfigErrorV1, ConfigV1, CreatedV1, DescriptorV1, EntriesV1, FailureV1, NoticeV1, OrderV1, PaymentV1,
    RefundOrderV1, ReplyV1, StepV1, UpdateV1, VerdictV1,
};

use crate::border::{copy_in, give};
use crate::mask::{Mask, Masked};
use crate::{ConfigError, FailureKind, HttpReply, PaymentProvider, ProviderFailure, Step};

/// An author's provider whose panics, and whose secrets in texts, stay inside.
pub struct Guarded<P: PaymentProvider> {
    /// Empty only while it is being dropped.
    provider: Option<P>,
    mask: Mask,
}

impl<P: PaymentProvider> EntriesV1 for Guarded<P> {
    fn descriptor() -> Result<DescriptorV1, FailureV1> {
        guarded("descriptor", || give::descriptor(P::descriptor())).map_err(|panicked| give::failure(panicked.into()))
    }

    fn configure(config: &ConfigV1<'_>) -> Result<Self, ConfigErrorV1> {
        guarded("configure", || {
            let config = copy_in::config(config)?;
            let mask = Mask::of(&config, &P::descriptor());
            match P::configure(&config) {
                Ok(provider) => Ok(Self { provider: Some(provider), mask }),
                Err(error) => Err(mask.config_error(error)),
            }
        })
        .unwrap_or_else(|panicked| Err(panicked.into()))
        .map_err(give::config_error)
    }

    fn create_payment(&self, order: &OrderV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<CreatedV1> {
        self.enter("create_payment", replies, give::created, |provider, replies| {
            provider.create_payment(&copy_in::order(order), replies)
        })
    }

    fn normalize_status(&self, notice: &NoticeV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<VerdictV1> {
        self.enter("normalize_status", replies, give::verdict, |provider, replies| {
            provider.normalize_status(&copy_in::notice(notice), replies)
        })
    }

    fn advance_payment(&self, payment: &PaymentV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1> {
        self.enter("advance_payment", replies, give::update, |provider, replies| {
            provider.advance_payment(&copy_in::payment(payment), replies)
        })
    }

    fn query_status(&self, payment: &PaymentV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1> {
        self.enter("query_status", replies, give::update, |provider, replies| {
            provider.query_status(&copy_in::payment(payment), replies)
        })
    }

    fn cancel_payment(&self, payment: &PaymentV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1> {
        self.enter("cancel_payment", replies, give::update, |provider, replies| {
            provider.cancel_payment(&copy_in::payment(payment), replies)
        })
    }

    fn refund_payment(&self, refund: &RefundOrderV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1> {
        self.enter("refund_payment", replies, give::update, |provider, replies| {
            provider.refund_payment(&copy_in::refund(refund), replies)
        })
    }
}

impl<P: PaymentProvider> Guarded<P> {
    /// One entry: copy in, call, give back, all of it inside the guard.
    fn enter<T: Masked, R>(
        &self,
        entry: &'static str,
        replies: &[ReplyV1<'_>],
        give: impl Fn(T) -> R,
        call: impl FnOnce(&P, &[HttpReply]) -> Step<T>,
    ) -> StepV1<R> {
        guarded(entry, || {
            let step = match &self.provider {
                Some(provider) => call(provider, &copy_in::replies(replies)),
                None => Step::Unsupported,
            };
            give::step(self.mask.step(step), &give)
        })
        .unwrap_or_else(|panicked| give::step(Step::Failed(panicked.into()), &give))
    }
}

impl<P: PaymentProvider> Drop for Guarded<P> {
    fn drop(&mut self) {
        let provider = self.provider.take();
        // A panic while an instance is let go concerns nobody: nothing waits for an answer.
        let _ = guarded("release", || drop(provider));
    }
}

/// A panic that was caught. What the panic said is not kept: it may quote a secret.
struct Panicked {
    entry: &'static str,
    /// File and line of the panic.
    place: String,
}

impl Panicked {
    fn message(&self) -> String {
        format!("the module panicked in {} at {}", self.entry, self.place)
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
    /// Where the latest panic of a guarded call on this thread happened.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

fn guarded<T>(entry: &'static str, call: impl FnOnce() -> T) -> Result<T, Panicked> {
    keep_panics_quiet();
    DEPTH.set(DEPTH.get().saturating_add(1));
    let outcome = catch_unwind(AssertUnwindSafe(call));
    DEPTH.set(DEPTH.get().saturating_sub(1));
    outcome.map_err(|payload| {
        discard(payload);
        Panicked { entry, place: PLACE.take() }
    })
}

/// The usual hook prints what a panic says to standard error, secrets included. Inside a guarded
/// call only the place is kept; outside, the hook that was there before still speaks.
fn keep_panics_quiet() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if DEPTH.get() == 0 {
                return before(panic);
            }
            let place = panic.location().map_or_else(String::new, |at| format!("{}:{}", at.file(), at.line()));
            PLACE.set(place);
        }));
    });
}

/// A payload's own drop may panic again; such a payload is left in memory.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}
