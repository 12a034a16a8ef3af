//! Claims contract 1 and exports a root whose descriptor lacks a field, as a fork of the ABI crate might.
#![expect(unsafe_code, reason = "a root is erased and read back by type, which the ABI crate otherwise hides")]

use abi_stable::StableAbi;
use abi_stable::library::{CheckTypeLayout, LibHeader, RootModule, RootModuleResult};
use abi_stable::prefix_type::{PrefixRefTrait, WithMetadata};
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RResult, RStr, RString};
use abi_stable::{declare_root_module_statics, staticref};

/// Has the name of the real record and other fields.
#[repr(C)]
#[derive(StableAbi)]
pub struct DescriptorV1 {
    pub code: RString,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = ProviderModuleV1Ref, prefix_fields = ProviderModuleV1Prefix)))]
#[sabi(missing_field(panic))]
pub struct ProviderModuleV1 {
    #[sabi(last_prefix_field)]
    pub descriptor: extern "C" fn() -> RResult<DescriptorV1, RString>,
}

impl RootModule for ProviderModuleV1Ref {
    declare_root_module_statics! {ProviderModuleV1Ref}
    const BASE_NAME: &'static str = "cashier_provider";
    const NAME: &'static str = "cashier_provider";
    const VERSION_STRINGS: VersionStrings = VersionStrings { version: RStr::from_str("1.0.0") };
}

extern "C" fn descriptor() -> RResult<DescriptorV1, RString> {
    RResult::ROk(DescriptorV1 { code: "changed_record".into() })
}

struct Table;

impl Table {
    staticref! {
        const FIELDS: WithMetadata<ProviderModuleV1> = WithMetadata::new(ProviderModuleV1 { descriptor })
    }

    const ROOT: ProviderModuleV1Ref = ProviderModuleV1Ref(Self::FIELDS.as_prefix());
}

extern "C" fn root() -> RootModuleResult {
    // SAFETY: erased as `LibHeader::from_constructor` requires; it is read back as the type named below, or refused.
    RResult::ROk(unsafe { Table::ROOT.to_prefix_ref().cast() })
}

const fn header() -> LibHeader {
    // SAFETY: `root` casts a `ProviderModuleV1Ref`, the type named here.
    unsafe { LibHeader::from_constructor::<ProviderModuleV1Ref>(root, CheckTypeLayout::Yes) }
}

cashier_provider_sdk::export_symbols!(contract = 1, unwinds = cfg!(panic = "unwind"));
cashier_provider_sdk::export_root!(header());
