//! What a module must be able to do, in records: the kit implements it over an author's trait.

use abi_stable::StableAbi;

use super::{
    ConfigErrorV1, ConfigV1, CreatedV1, DescriptorV1, FailureV1, NoticeV1, OrderV1, PaymentV1, RefundOrderV1, ReplyV1,
    StepV1, UpdateV1, VerdictV1,
};

/// One configured provider behind the border.
///
/// No function may unwind, dropping included: a panic that reaches the border aborts the process.
pub trait EntriesV1: Sized + Send + Sync + 'static {
    /// The module's card.
    ///
    /// # Errors
    /// The failure of a module that cannot even say who it is.
    fn descriptor() -> Result<DescriptorV1, FailureV1>;

    /// A live instance of one configuration.
    ///
    /// # Errors
    /// The setting that cannot work.
    fn configure(config: &ConfigV1<'_>) -> Result<Self, ConfigErrorV1>;

    fn create_payment(&self, order: &OrderV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<CreatedV1>;

    fn normalize_status(&self, notice: &NoticeV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<VerdictV1>;

    fn advance_payment(&self, payment: &PaymentV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1>;

    fn query_status(&self, payment: &PaymentV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1>;

    fn cancel_payment(&self, payment: &PaymentV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1>;

    fn refund_payment(&self, refund: &RefundOrderV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1>;
}

/// An instance as it crosses the border: a pointer that only its own module can read.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy)]
pub struct HandleV1(pub(super) *mut ());
