//! The host side of the border in plain types: open a module, make an instance, call it. Authors
//! need nothing of this; tests use `ModuleV1::of` to run a provider through the real border
//! without a library file.

use std::error::Error;
use std::fmt;
use std::path::Path;

use cashier_provider_abi::abi_stable::library::{LibraryError, lib_header_from_path};
use cashier_provider_abi::abi_stable::std_types::RStr;
use cashier_provider_abi::v1::{InstanceV1, PaymentV1, ProviderModuleV1Ref, ReplyV1, StepV1, UpdateV1, module_of};
pub use cashier_provider_abi::{CONTRACT, symbols};
use zeroize::Zeroizing;

use crate::border::{lend, take};
use crate::guard::Guarded;
use crate::{
    ConfigError, Descriptor, HttpReply, PaymentCreated, PaymentOrder, PaymentProvider, PaymentRef, ProviderConfig,
    ProviderFailure, RefundOrder, Secret, StatusUpdate, Step, WebhookNotice, WebhookVerdict,
};

/// A module of contract 1: a library that was opened and passed the layout check, or a provider
/// of this very program.
#[derive(Clone, Copy)]
pub struct ModuleV1 {
    root: ProviderModuleV1Ref,
}

impl ModuleV1 {
    /// Opens the library at `path` and checks its layout. The library is never closed.
    ///
    /// The path must be absolute and the file private to this process: opening a truncated file, or
    /// one that is overwritten later, ends the process. Read the plain symbols first; opening runs
    /// the library's constructors.
    ///
    /// # Errors
    /// Why it is no module of this contract.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        lib_header_from_path(path)
            .and_then(|header| header.init_root_module::<ProviderModuleV1Ref>())
            .map(|root| Self { root })
            .map_err(OpenError::from)
    }

    /// A provider of this program behind the same border and the same guard.
    pub fn of<P: PaymentProvider>() -> Self {
        Self { root: module_of::<Guarded<P>>() }
    }

    /// The module's card.
    ///
    /// # Errors
    /// The module panicked.
    pub fn descriptor(&self) -> Result<Descriptor, ProviderFailure> {
        self.root.descriptor()().into_result().map(take::descriptor).map_err(take::failure)
    }

    /// A live instance of one configuration.
    ///
    /// # Errors
    /// The setting that cannot work, in the module's words.
    pub fn configure(&self, config: &ProviderConfig) -> Result<Instance, ConfigError> {
        let bag = lend::pairs(&config.bag);
        let settings = Zeroizing::new(config.settings.to_json_text());
        let previous: Vec<RStr<'_>> =
            config.previous_webhook_secrets.iter().map(|secret: &Secret| lend::text(secret.expose())).collect();
        InstanceV1::configure(self.root, &lend::config(config, &previous, &settings, &bag))
            .map(Instance)
            .map_err(take::config_error)
    }
}

/// One configured provider. Calls may run on many threads at once; each is one step of an
/// exchange, takes microseconds and does no I/O.
pub struct Instance(InstanceV1);

impl Instance {
    pub fn create_payment(&self, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated> {
        let bag = lend::pairs(&order.bag);
        let order = lend::order(order, &bag);
        let step = shown(replies, |replies| self.0.create_payment(&order, replies));
        take::step(step, take::created)
    }

    pub fn normalize_status(&self, notice: &WebhookNotice, replies: &[HttpReply]) -> Step<WebhookVerdict> {
        let headers = lend::pairs(&notice.headers);
        let bag = lend::pairs(&notice.bag);
        let notice = lend::notice(notice, &headers, &bag);
        let step = shown(replies, |replies| self.0.normalize_status(&notice, replies));
        take::step(step, take::verdict)
    }

    pub fn advance_payment(&self, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
        about(payment, replies, |payment, replies| self.0.advance_payment(payment, replies))
    }

    pub fn query_status(&self, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
        about(payment, replies, |payment, replies| self.0.query_status(payment, replies))
    }

    pub fn cancel_payment(&self, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
        about(payment, replies, |payment, replies| self.0.cancel_payment(payment, replies))
    }

    pub fn refund_payment(&self, refund: &RefundOrder, replies: &[HttpReply]) -> Step<StatusUpdate> {
        let bag = lend::pairs(&refund.bag);
        about(&refund.payment, replies, |payment, replies| {
            self.0.refund_payment(&lend::refund(refund, *payment, &bag), replies)
        })
    }
}

fn about(
    payment: &PaymentRef,
    replies: &[HttpReply],
    call: impl FnOnce(&PaymentV1<'_>, &[ReplyV1<'_>]) -> StepV1<UpdateV1>,
) -> Step<StatusUpdate> {
    let refs = lend::refs(&payment.refs);
    let bag = lend::pairs(&payment.bag);
    let payment = lend::payment(payment, &refs, &bag);
    let step = shown(replies, |replies| call(&payment, replies));
    take::step(step, take::update)
}

fn shown<T>(replies: &[HttpReply], call: impl FnOnce(&[ReplyV1<'_>]) -> T) -> T {
    let headers = lend::reply_headers(replies);
    call(&lend::replies(replies, &headers))
}

/// Why a library is no module of this contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenError {
    /// A few lines for a catalog.
    pub reason: String,
    /// Everything the layout check said; hundreds of lines where shapes differ.
    pub detail: String,
}

/// Differences of a layout error that a catalog shows: the first name the cause, what follows
/// repeats it for every record that contains it.
const REASON_PARTS_MAX: usize = 3;

/// Longest difference shown; some quote whole types.
const REASON_PART_CHARS_MAX: usize = 200;

impl From<LibraryError> for OpenError {
    fn from(error: LibraryError) -> Self {
        let detail = error.to_string();
        let reason = match &error {
            LibraryError::AbiInstability(_) => {
                format!("its records are not those of contract 1: {}", layout_differences(&detail))
            }
            LibraryError::GetSymbolError { .. } => "it exports no module root".to_owned(),
            LibraryError::InvalidAbiHeader(_) => "it was built with another border library".to_owned(),
            LibraryError::IncompatibleVersionNumber { expected_version, actual_version, .. } => {
                format!("it was built for border {actual_version}, this host speaks {expected_version}")
            }
            LibraryError::OpenError { .. }
            | LibraryError::ParseVersionError(_)
            | LibraryError::RootModule { .. }
            | LibraryError::InvalidCAbi { .. }
            | LibraryError::Many(_) => first_lines(&detail),
        };
        Self { reason, detail }
    }
}

/// The meaning of a layout error is in the paragraphs that begin with `Error:`.
fn layout_differences(detail: &str) -> String {
    let mut differences: Vec<String> = Vec::new();
    let mut inside = false;
    for line in detail.lines().map(str::trim) {
        if let Some(difference) = line.strip_prefix("Error:") {
            differences.push(difference.to_owned());
            inside = true;
        } else if line.is_empty() {
            inside = false;
        } else if inside && let Some(difference) = differences.last_mut() {
            difference.push(' ');
            difference.push_str(line);
        }
    }
    shortened(differences.iter().map(String::as_str))
}

fn first_lines(detail: &str) -> String {
    shortened(detail.lines())
}

fn shortened<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let parts: Vec<String> = parts
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .take(REASON_PARTS_MAX)
        .map(|part| part.chars().take(REASON_PART_CHARS_MAX).collect())
        .collect();
    parts.join("; ")
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for OpenError {}
