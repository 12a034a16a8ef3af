//! A root of contract 1 whose order has one field more, as a fork of the ABI crate might. The header's flag is the
//! caller's: `unchecked_layout` uses the same file.
#![expect(unsafe_code, reason = "a root is erased and read back by type, which the ABI crate otherwise hides")]

use abi_stable::StableAbi;
use abi_stable::library::{CheckTypeLayout, LibHeader, RootModule, RootModuleResult};
use abi_stable::prefix_type::{PrefixRefTrait, WithMetadata};
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RResult, RSlice, RStr};
use abi_stable::{declare_root_module_statics, staticref};
use cashier_provider_abi::v1::{AmountRefV1, ConfigErrorV1, ConfigV1, DescriptorV1, FailureV1, HandleV1, PairRefV1};

/// The real record with one more field before its last.
#[repr(C)]
#[derive(StableAbi)]
pub struct OrderV1<'a> {
    pub reference: RStr<'a>,
    pub amount: AmountRefV1<'a>,
    pub customer_id: RStr<'a>,
    pub login: RStr<'a>,
    pub brand: RStr<'a>,
    pub country: RStr<'a>,
    pub locale: RStr<'a>,
    pub ip: RStr<'a>,
    pub method: RStr<'a>,
    pub idempotency_key: RStr<'a>,
    pub notify_url: RStr<'a>,
    pub success_url: RStr<'a>,
    pub failure_url: RStr<'a>,
    pub metadata_json: RStr<'a>,
    pub description: RStr<'a>,
    pub now_unix: i64,
    pub nonce: RStr<'a>,
    pub coupon: RStr<'a>,
    pub bag: RSlice<'a, PairRefV1<'a>>,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = ProviderModuleV1Ref, prefix_fields = ProviderModuleV1Prefix)))]
#[sabi(missing_field(panic))]
pub struct ProviderModuleV1 {
    pub descriptor: extern "C" fn() -> RResult<DescriptorV1, FailureV1>,
    pub configure: extern "C" fn(&ConfigV1<'_>) -> RResult<HandleV1, ConfigErrorV1>,
    #[sabi(last_prefix_field)]
    pub check_order: unsafe extern "C" fn(HandleV1, &OrderV1<'_>) -> RResult<(), FailureV1>,
}

impl RootModule for ProviderModuleV1Ref {
    declare_root_module_statics! {ProviderModuleV1Ref}
    const BASE_NAME: &'static str = "cashier_provider";
    const NAME: &'static str = "cashier_provider";
    const VERSION_STRINGS: VersionStrings = VersionStrings { version: RStr::from_str("1.0.0") };
}

extern "C" fn descriptor() -> RResult<DescriptorV1, FailureV1> {
    RResult::RErr(failure())
}

extern "C" fn configure(_config: &ConfigV1<'_>) -> RResult<HandleV1, ConfigErrorV1> {
    std::process::abort()
}

unsafe extern "C" fn check_order(_handle: HandleV1, _order: &OrderV1<'_>) -> RResult<(), FailureV1> {
    RResult::RErr(failure())
}

/// Nothing calls a module that is refused.
fn failure() -> FailureV1 {
    std::process::abort()
}

struct Table;

impl Table {
    staticref! {
        const FIELDS: WithMetadata<ProviderModuleV1> =
            WithMetadata::new(ProviderModuleV1 { descriptor, configure, check_order })
    }

    const ROOT: ProviderModuleV1Ref = ProviderModuleV1Ref(Self::FIELDS.as_prefix());
}

extern "C" fn root() -> RootModuleResult {
    // SAFETY: erased as `LibHeader::from_constructor` requires; it is refused before it is read back.
    RResult::ROk(unsafe { Table::ROOT.to_prefix_ref().cast() })
}

pub(crate) const fn header(check: CheckTypeLayout) -> LibHeader {
    // SAFETY: `root` casts a `ProviderModuleV1Ref`, the type named here.
    unsafe { LibHeader::from_constructor::<ProviderModuleV1Ref>(root, check) }
}
