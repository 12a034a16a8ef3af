//! A library that declares contract 1 and exports a root with another layout; `tests/library.rs` checks that the
//! layout check refuses it.

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::sabi_types::VersionStrings;

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = ProviderModuleV1Ref, prefix_fields = ProviderModuleV1Prefix)))]
#[sabi(missing_field(panic))]
pub struct ProviderModuleV1 {
    #[sabi(last_prefix_field)]
    pub descriptor: extern "C" fn() -> u64,
}

impl RootModule for ProviderModuleV1Ref {
    abi_stable::declare_root_module_statics! {ProviderModuleV1Ref}
    const BASE_NAME: &'static str = "cashier_provider";
    const NAME: &'static str = "cashier_provider";
    const VERSION_STRINGS: VersionStrings = VersionStrings::new("1.0.0");
}

#[abi_stable::export_root_module]
fn root() -> ProviderModuleV1Ref {
    ProviderModuleV1 { descriptor }.leak_into_prefix()
}

extern "C" fn descriptor() -> u64 {
    7
}

cashier_provider_sdk::export_symbols!(contract = 1, unwinds = true);
