//! The function table that a module exports, built from `EntriesV1`, and the safe instance that the host holds.
//! All unsafe code of the ABI is in this file.
#![expect(unsafe_code, reason = "an instance crosses the ABI as a pointer; this file creates, reads and frees it")]
#![expect(clippy::result_large_err, reason = "a failure crosses the ABI by value, once for each failed call")]

use abi_stable::library::{CheckTypeLayout, LibHeader, RootModule, RootModuleResult};
use abi_stable::prefix_type::{PrefixRefTrait, WithMetadata};
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RResult, RSlice};
use abi_stable::{StableAbi, declare_root_module_statics, package_version_strings, staticref};

use super::{
    ConfigErrorV1, ConfigV1, CreatedV1, DescriptorV1, EntriesV1, FailureV1, HandleV1, NoticeV1, OrderV1, PaymentV1,
    RefundOrderV1, ReplyV1, StepV1, UpdateV1, VerdictV1,
};

/// The root of a module of contract 1. It never gets another field: a host with one more field in its table would
/// refuse every module built before. The functions are those of [`EntriesV1`].
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = ProviderModuleV1Ref, prefix_fields = ProviderModuleV1Prefix)))]
#[sabi(missing_field(panic))]
pub struct ProviderModuleV1 {
    /// [`EntriesV1::descriptor`]
    pub descriptor: extern "C" fn() -> RResult<DescriptorV1, FailureV1>,
    /// [`EntriesV1::configure`]
    pub configure: extern "C" fn(&ConfigV1<'_>) -> RResult<HandleV1, ConfigErrorV1>,
    /// [`EntriesV1::check_order`]
    pub check_order: unsafe extern "C" fn(HandleV1, &OrderV1<'_>) -> RResult<(), FailureV1>,
    /// [`EntriesV1::create_payment`]
    pub create_payment: unsafe extern "C" fn(HandleV1, &OrderV1<'_>, RSlice<'_, ReplyV1<'_>>) -> StepV1<CreatedV1>,
    /// [`EntriesV1::normalize_status`]
    pub normalize_status: unsafe extern "C" fn(HandleV1, &NoticeV1<'_>, RSlice<'_, ReplyV1<'_>>) -> StepV1<VerdictV1>,
    /// [`EntriesV1::advance_payment`]
    pub advance_payment: unsafe extern "C" fn(HandleV1, &PaymentV1<'_>, RSlice<'_, ReplyV1<'_>>) -> StepV1<UpdateV1>,
    /// [`EntriesV1::query_status`]
    pub query_status: unsafe extern "C" fn(HandleV1, &PaymentV1<'_>, RSlice<'_, ReplyV1<'_>>) -> StepV1<UpdateV1>,
    /// [`EntriesV1::cancel_payment`]
    pub cancel_payment: unsafe extern "C" fn(HandleV1, &PaymentV1<'_>, RSlice<'_, ReplyV1<'_>>) -> StepV1<UpdateV1>,
    /// [`EntriesV1::refund_payment`]
    pub refund_payment: unsafe extern "C" fn(HandleV1, &RefundOrderV1<'_>, RSlice<'_, ReplyV1<'_>>) -> StepV1<UpdateV1>,
    /// Drops the instance; the handle must not be used again.
    #[sabi(last_prefix_field)]
    pub release: unsafe extern "C" fn(HandleV1),
}

impl RootModule for ProviderModuleV1Ref {
    declare_root_module_statics! {ProviderModuleV1Ref}
    const BASE_NAME: &'static str = "cashier_provider";
    const NAME: &'static str = "cashier_provider";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// An instance, on the host's side. Calls are safe: the pointer is passed only to functions of the module that
/// created it, and is released once.
pub struct InstanceV1 {
    module: ProviderModuleV1Ref,
    handle: HandleV1,
}

// SAFETY: the handle points to a type that implements `EntriesV1`, which is `Send + Sync`; a
// module reaches us only through `module_of` or a layout-checked root that it created.
unsafe impl Send for InstanceV1 {}
// SAFETY: as above; every entry takes the instance by shared reference.
unsafe impl Sync for InstanceV1 {}

impl InstanceV1 {
    /// Creates an instance of `module` with this config.
    ///
    /// # Errors
    /// The setting that cannot work, with the module's message.
    pub fn configure(module: ProviderModuleV1Ref, config: &ConfigV1<'_>) -> Result<Self, ConfigErrorV1> {
        let handle = module.configure()(config).into_result()?;
        Ok(Self { module, handle })
    }

    /// See [`EntriesV1::check_order`].
    ///
    /// # Errors
    /// As there.
    pub fn check_order(&self, order: &OrderV1<'_>) -> Result<(), FailureV1> {
        // SAFETY: the handle came from this module's `configure` and lives until drop.
        unsafe { self.module.check_order()(self.handle, order) }.into_result()
    }

    /// See [`EntriesV1::create_payment`].
    pub fn create_payment(&self, order: &OrderV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<CreatedV1> {
        // SAFETY: as in `check_order`.
        unsafe { self.module.create_payment()(self.handle, order, RSlice::from_slice(replies)) }
    }

    /// See [`EntriesV1::normalize_status`].
    pub fn normalize_status(&self, notice: &NoticeV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<VerdictV1> {
        // SAFETY: as in `check_order`.
        unsafe { self.module.normalize_status()(self.handle, notice, RSlice::from_slice(replies)) }
    }

    /// See [`EntriesV1::advance_payment`].
    pub fn advance_payment(&self, payment: &PaymentV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1> {
        // SAFETY: as in `check_order`.
        unsafe { self.module.advance_payment()(self.handle, payment, RSlice::from_slice(replies)) }
    }

    /// See [`EntriesV1::query_status`].
    pub fn query_status(&self, payment: &PaymentV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1> {
        // SAFETY: as in `check_order`.
        unsafe { self.module.query_status()(self.handle, payment, RSlice::from_slice(replies)) }
    }

    /// See [`EntriesV1::cancel_payment`].
    pub fn cancel_payment(&self, payment: &PaymentV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1> {
        // SAFETY: as in `check_order`.
        unsafe { self.module.cancel_payment()(self.handle, payment, RSlice::from_slice(replies)) }
    }

    /// See [`EntriesV1::refund_payment`].
    pub fn refund_payment(&self, refund: &RefundOrderV1<'_>, replies: &[ReplyV1<'_>]) -> StepV1<UpdateV1> {
        // SAFETY: as in `check_order`.
        unsafe { self.module.refund_payment()(self.handle, refund, RSlice::from_slice(replies)) }
    }
}

impl Drop for InstanceV1 {
    fn drop(&mut self) {
        // SAFETY: the handle came from this module's `configure`, and this is its last use.
        unsafe { self.module.release()(self.handle) }
    }
}

/// The function table of a module whose instances are `E`.
pub fn module_of<E: EntriesV1>() -> ProviderModuleV1Ref {
    Table::<E>::ROOT
}

/// The value of the root symbol of a module whose instances are `E`.
pub const fn header<E: EntriesV1>() -> LibHeader {
    // SAFETY: `root` casts a `ProviderModuleV1Ref`, the type named here.
    unsafe { LibHeader::from_constructor::<ProviderModuleV1Ref>(root::<E>, CheckTypeLayout::Yes) }
}

extern "C" fn root<E: EntriesV1>() -> RootModuleResult {
    // SAFETY: erased as `LibHeader::from_constructor` requires; it is read back as the same type.
    RResult::ROk(unsafe { module_of::<E>().to_prefix_ref().cast() })
}

/// The entries of `E` as C functions.
struct Table<E>(E);

impl<E: EntriesV1> Table<E> {
    staticref! {
        const FIELDS: WithMetadata<ProviderModuleV1> = WithMetadata::new(ProviderModuleV1 {
            descriptor: Self::descriptor,
            configure: Self::configure,
            check_order: Self::check_order,
            create_payment: Self::create_payment,
            normalize_status: Self::normalize_status,
            advance_payment: Self::advance_payment,
            query_status: Self::query_status,
            cancel_payment: Self::cancel_payment,
            refund_payment: Self::refund_payment,
            release: Self::release,
        })
    }

    const ROOT: ProviderModuleV1Ref = ProviderModuleV1Ref(Self::FIELDS.as_prefix());

    extern "C" fn descriptor() -> RResult<DescriptorV1, FailureV1> {
        E::descriptor().into()
    }

    extern "C" fn configure(config: &ConfigV1<'_>) -> RResult<HandleV1, ConfigErrorV1> {
        E::configure(config).map(|instance| HandleV1(Box::into_raw(Box::new(instance)).cast())).into()
    }

    /// # Safety
    /// The handle was created by `configure` of this table and is not yet released.
    unsafe fn instance<'a>(handle: HandleV1) -> &'a E {
        // SAFETY: the caller's promise.
        unsafe { &*handle.0.cast() }
    }

    unsafe extern "C" fn check_order(handle: HandleV1, order: &OrderV1<'_>) -> RResult<(), FailureV1> {
        // SAFETY: the host passes what `configure` returned, until `release`.
        unsafe { Self::instance(handle) }.check_order(order).into()
    }

    unsafe extern "C" fn create_payment(
        handle: HandleV1,
        order: &OrderV1<'_>,
        replies: RSlice<'_, ReplyV1<'_>>,
    ) -> StepV1<CreatedV1> {
        // SAFETY: as in `check_order`.
        unsafe { Self::instance(handle) }.create_payment(order, replies.as_slice())
    }

    unsafe extern "C" fn normalize_status(
        handle: HandleV1,
        notice: &NoticeV1<'_>,
        replies: RSlice<'_, ReplyV1<'_>>,
    ) -> StepV1<VerdictV1> {
        // SAFETY: as in `check_order`.
        unsafe { Self::instance(handle) }.normalize_status(notice, replies.as_slice())
    }

    unsafe extern "C" fn advance_payment(
        handle: HandleV1,
        payment: &PaymentV1<'_>,
        replies: RSlice<'_, ReplyV1<'_>>,
    ) -> StepV1<UpdateV1> {
        // SAFETY: as in `check_order`.
        unsafe { Self::instance(handle) }.advance_payment(payment, replies.as_slice())
    }

    unsafe extern "C" fn query_status(
        handle: HandleV1,
        payment: &PaymentV1<'_>,
        replies: RSlice<'_, ReplyV1<'_>>,
    ) -> StepV1<UpdateV1> {
        // SAFETY: as in `check_order`.
        unsafe { Self::instance(handle) }.query_status(payment, replies.as_slice())
    }

    unsafe extern "C" fn cancel_payment(
        handle: HandleV1,
        payment: &PaymentV1<'_>,
        replies: RSlice<'_, ReplyV1<'_>>,
    ) -> StepV1<UpdateV1> {
        // SAFETY: as in `check_order`.
        unsafe { Self::instance(handle) }.cancel_payment(payment, replies.as_slice())
    }

    unsafe extern "C" fn refund_payment(
        handle: HandleV1,
        refund: &RefundOrderV1<'_>,
        replies: RSlice<'_, ReplyV1<'_>>,
    ) -> StepV1<UpdateV1> {
        // SAFETY: as in `check_order`.
        unsafe { Self::instance(handle) }.refund_payment(refund, replies.as_slice())
    }

    unsafe extern "C" fn release(handle: HandleV1) {
        // SAFETY: made by `Box::into_raw` in `configure`; the host releases it once.
        drop(unsafe { Box::<E>::from_raw(handle.0.cast()) });
    }
}
