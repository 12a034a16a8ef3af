//! The host side of the ABI in plain types: open a module, configure an instance, call it. A provider does not use
//! it, but its tests do: `ModuleV1::of` runs a provider through the real ABI without a library file.

use std::error::Error;
use std::fmt;
use std::path::Path;

use cashier_provider_abi::abi_stable::StableAbi;
use cashier_provider_abi::abi_stable::library::{LibraryError, lib_header_from_path};
use cashier_provider_abi::abi_stable::std_types::RStr;
use cashier_provider_abi::v1::{InstanceV1, PaymentV1, ProviderModuleV1Ref, ReplyV1, StepV1, UpdateV1, module_of};
pub use cashier_provider_abi::{CONTRACT, symbols};
use zeroize::Zeroizing;

use crate::boundary::{host_decode as decode, host_encode as encode};
use crate::guard::Guarded;
use crate::layout;
pub use crate::signature::PROVEN_BEFORE;
use crate::{
    ConfigError, Descriptor, HttpReply, PaymentCreated, PaymentOrder, PaymentProvider, PaymentRef, ProviderConfig,
    ProviderFailure, RefundOrder, Secret, StatusUpdate, Step, WebhookNotice, WebhookVerdict,
};

/// A module of contract 1: an opened library that passed the layout check, or a provider linked into this
/// program.
#[derive(Clone, Copy)]
pub struct ModuleV1 {
    root: ProviderModuleV1Ref,
}

impl ModuleV1 {
    /// Opens the library at `path` and checks its layout. The library is never closed.
    ///
    /// The path must be absolute and the file private to this process: opening a truncated file, or one that is
    /// overwritten later, kills the process. Read the plain symbols first; opening runs the library's
    /// constructors.
    ///
    /// # Errors
    /// Why it is not a module of this contract.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let header = lib_header_from_path(path).map_err(OpenError::from)?;
        // A header without layout would be taken at its word, and the records of a call read as what they are not.
        let Some(found) = header.layout() else {
            return Err(OpenError::rebuild("its header says that its layout is not to be checked"));
        };
        header.init_root_module::<ProviderModuleV1Ref>().map(|root| Self { root }).map_err(|error| match error {
            LibraryError::AbiInstability(_) => {
                OpenError::rebuild(layout::difference(ProviderModuleV1Ref::LAYOUT, found))
            }
            other => OpenError::from(other),
        })
    }

    /// A provider linked into this program, behind the same ABI and the same guard.
    pub fn of<P: PaymentProvider>() -> Self {
        Self { root: module_of::<Guarded<P>>() }
    }

    /// The module's description of itself.
    ///
    /// # Errors
    /// `Panicked` if the module panicked.
    pub fn descriptor(&self) -> Result<Descriptor, ProviderFailure> {
        self.root.descriptor()().into_result().map(decode::descriptor).map_err(decode::failure)
    }

    /// An instance with this config.
    ///
    /// # Errors
    /// The setting that cannot work, with the module's message; without a field if the module panicked.
    pub fn configure(&self, config: &ProviderConfig) -> Result<Instance, ConfigError> {
        let bag = encode::pairs(&config.bag);
        let settings = Zeroizing::new(config.settings.to_json_text());
        let previous: Vec<RStr<'_>> =
            config.previous_webhook_secrets.iter().map(|secret: &Secret| encode::text(secret.expose())).collect();
        InstanceV1::configure(self.root, &encode::config(config, &previous, &settings, &bag))
            .map(Instance)
            .map_err(decode::config_error)
    }
}

/// One configured provider. Calls may run on many threads at once. Each is one step of an exchange, takes
/// microseconds and does no I/O. They are those of [`PaymentProvider`]; a panic returns a failure of kind `Panicked`.
pub struct Instance(InstanceV1);

impl Instance {
    /// See [`PaymentProvider::check_order`].
    ///
    /// # Errors
    /// As there; a failure of kind `Panicked` if the module panicked.
    pub fn check_order(&self, order: &PaymentOrder) -> Result<(), ProviderFailure> {
        let bag = encode::pairs(&order.bag);
        self.0.check_order(&encode::order(order, &bag)).map_err(decode::failure)
    }

    /// See [`PaymentProvider::create_payment`].
    pub fn create_payment(&self, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated> {
        let bag = encode::pairs(&order.bag);
        let order = encode::order(order, &bag);
        let step = with_replies(replies, |replies| self.0.create_payment(&order, replies));
        decode::step(step, decode::created)
    }

    /// See [`PaymentProvider::normalize_status`].
    pub fn normalize_status(&self, notice: &WebhookNotice, replies: &[HttpReply]) -> Step<WebhookVerdict> {
        self.normalize_shared(notice, &notice.body, replies)
    }

    /// The same with `body` in the place of the notice's own, so that notices for several instances share one body.
    pub fn normalize_shared(&self, notice: &WebhookNotice, body: &[u8], replies: &[HttpReply]) -> Step<WebhookVerdict> {
        let headers = encode::pairs(&notice.headers);
        let bag = encode::pairs(&notice.bag);
        let notice = encode::notice(notice, body, &headers, &bag);
        let step = with_replies(replies, |replies| self.0.normalize_status(&notice, replies));
        decode::step(step, decode::verdict)
    }

    /// See [`PaymentProvider::advance_payment`].
    pub fn advance_payment(&self, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
        call_about(payment, replies, |payment, replies| self.0.advance_payment(payment, replies))
    }

    /// See [`PaymentProvider::query_status`].
    pub fn query_status(&self, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
        call_about(payment, replies, |payment, replies| self.0.query_status(payment, replies))
    }

    /// See [`PaymentProvider::cancel_payment`].
    pub fn cancel_payment(&self, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
        call_about(payment, replies, |payment, replies| self.0.cancel_payment(payment, replies))
    }

    /// See [`PaymentProvider::refund_payment`].
    pub fn refund_payment(&self, refund: &RefundOrder, replies: &[HttpReply]) -> Step<StatusUpdate> {
        let bag = encode::pairs(&refund.bag);
        call_about(&refund.payment, replies, |payment, replies| {
            self.0.refund_payment(&encode::refund(refund, *payment, &bag), replies)
        })
    }
}

fn call_about(
    payment: &PaymentRef,
    replies: &[HttpReply],
    call: impl FnOnce(&PaymentV1<'_>, &[ReplyV1<'_>]) -> StepV1<UpdateV1>,
) -> Step<StatusUpdate> {
    let refs = encode::refs(&payment.refs);
    let bag = encode::pairs(&payment.bag);
    let payment = encode::payment(payment, &refs, &bag);
    let step = with_replies(replies, |replies| call(&payment, replies));
    decode::step(step, decode::update)
}

fn with_replies<T>(replies: &[HttpReply], call: impl FnOnce(&[ReplyV1<'_>]) -> T) -> T {
    let headers = encode::reply_headers(replies);
    call(&encode::replies(replies, &headers))
}

/// Why a library is not a module of this contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenError {
    /// One short line for lists of modules.
    pub reason: String,
    /// Whether a build against this version of the SDK would be accepted.
    pub rebuild: bool,
}

/// Longest reason in the loader's words; it may quote names from the file.
const REASON_CHARS_MAX: usize = 200;

impl OpenError {
    fn rebuild(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), rebuild: true }
    }
}

impl From<LibraryError> for OpenError {
    fn from(error: LibraryError) -> Self {
        match &error {
            LibraryError::AbiInstability(_) => Self::rebuild("its records are not those of contract 1"),
            LibraryError::InvalidAbiHeader(_) => Self::rebuild("it was built with another version of abi_stable"),
            LibraryError::IncompatibleVersionNumber { expected_version, actual_version, .. } => Self::rebuild(format!(
                "it was built for ABI version {actual_version}, this host supports {expected_version}"
            )),
            LibraryError::InvalidCAbi { .. } => Self::rebuild("its C types are not those of this machine"),
            LibraryError::GetSymbolError { .. } => {
                Self { reason: "it exports no module root".to_owned(), rebuild: false }
            }
            LibraryError::OpenError { .. }
            | LibraryError::ParseVersionError(_)
            | LibraryError::RootModule { .. }
            | LibraryError::Many(_) => {
                let text = error.to_string();
                let line = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
                Self { reason: line.chars().take(REASON_CHARS_MAX).collect(), rebuild: false }
            }
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for OpenError {}
