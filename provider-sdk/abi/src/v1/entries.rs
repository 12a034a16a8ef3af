//! The functions of a module in terms of records. The SDK implements them over the author's trait.
#![expect(clippy::result_large_err, reason = "a failure crosses the ABI by value, once for each failed call")]

use abi_stable::StableAbi;

use super::{
    ConfigErrorV1, ConfigV1, CreatedV1, DescriptorV1, FailureV1, NoticeV1, OrderV1, PaymentV1, RefundOrderV1, ReplyV1,
    StepV1, UpdateV1, VerdictV1,
};

/// One configured provider behind the ABI.
///
/// No function may unwind, `drop` included: a panic that reaches the ABI boundary aborts the process.
pub trait EntriesV1: Sized + Send + Sync + 'static {
    /// The module's description of itself.
    ///
    /// # Errors
    /// A failure of kind `PANICKED`.
    fn descriptor() -> Result<DescriptorV1, FailureV1>;

    /// An instance with one config.
    ///
    /// # Errors
    /// The setting that cannot work.
    fn configure(config: &ConfigV1<'_>) -> Result<Self, ConfigErrorV1>;

    /// Whether an order can be paid; asked before it exists.
    ///
    /// # Errors
    /// A failure of kind `REFUSED_REQUEST` that names the field; any other kind leaves the question open.
    fn check_order(&self, order: &OrderV1<'_>) -> Result<(), FailureV1>;

    /// One step of creating a payment; `replies` are those of the exchange so far.
    fn create_payment(&self, order: &OrderV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<CreatedV1>;

    /// One step of verifying a webhook and mapping it to updates.
    fn normalize_status(&self, notice: &NoticeV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<VerdictV1>;

    /// One step of the call that an update with `advance` requires.
    fn advance_payment(&self, payment: &PaymentV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1>;

    /// One step of querying a payment's status.
    fn query_status(&self, payment: &PaymentV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1>;

    /// One step of cancelling an unpaid payment.
    fn cancel_payment(&self, payment: &PaymentV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1>;

    /// One step of a refund.
    fn refund_payment(&self, refund: &RefundOrderV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1>;
}

/// An instance as it crosses the ABI: a pointer that only its own module dereferences.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy)]
pub struct HandleV1(pub(super) *mut ());
