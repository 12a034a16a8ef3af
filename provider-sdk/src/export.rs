//! `export_provider!` and its two parts: `export_symbols!` for the plain symbols and `export_root!` for the
//! layout-checked root. The parts are public so that a test module can declare another contract or root.

pub use cashier_provider_abi::abi_stable::library::LibHeader;
pub use cashier_provider_abi::symbols::{SDK_VERSION_BYTES_MAX, version_text};
pub use cashier_provider_abi::{CONTRACT, v1};

pub use crate::guard::Guarded;

/// The version of this SDK.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The value of the root symbol of a module with this provider.
pub const fn header<P: crate::PaymentProvider>() -> LibHeader {
    v1::header::<Guarded<P>>()
}

/// Exports one provider from a crate of type `cdylib`. Write it once, at the end of `lib.rs`.
///
/// The crate needs no unsafe code and no dependency but this SDK. The symbols have fixed names: a program that
/// links two provider crates as plain libraries fails to link, unless each exports behind a feature.
#[macro_export]
macro_rules! export_provider {
    ($provider:ty) => {
        $crate::export_symbols!(contract = $crate::export::CONTRACT, unwinds = cfg!(panic = "unwind"));
        $crate::export_root!($crate::export::header::<$provider>());
    };
}

/// Exports the plain symbols only, which the host reads before it checks the layout.
#[macro_export]
macro_rules! export_symbols {
    (contract = $contract:expr, unwinds = $unwinds:expr) => {
        const _: () = {
            #[unsafe(no_mangle)]
            #[allow(non_upper_case_globals)]
            pub static cashier_provider_contract_version: u32 = $contract;

            #[unsafe(no_mangle)]
            #[allow(non_upper_case_globals)]
            pub static cashier_provider_unwinds: u8 = $unwinds as u8;

            #[unsafe(no_mangle)]
            #[allow(non_upper_case_globals)]
            pub static cashier_provider_sdk_version: [u8; $crate::export::SDK_VERSION_BYTES_MAX] =
                $crate::export::version_text($crate::export::SDK_VERSION);
        };
    };
}

/// Exports the layout-checked root only, from an expression of type `LibHeader`.
#[macro_export]
macro_rules! export_root {
    ($header:expr) => {
        const _: () = {
            // The name that abi_stable searches for; a test compares it with that crate's constant.
            #[unsafe(no_mangle)]
            #[allow(non_upper_case_globals)]
            pub static _1as_0lib_1header_0root_bmodule_bloader: $crate::export::LibHeader = $header;
        };
    };
}
