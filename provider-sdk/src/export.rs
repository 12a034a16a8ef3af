//! `export_provider!` and the two macros it is made of: the plain symbols, and the root behind them.
//! The lower two exist so that a test module can claim another contract or export another root.

pub use cashier_provider_abi::abi_stable::library::LibHeader;
pub use cashier_provider_abi::symbols::{SDK_VERSION_BYTES_MAX, version_text};
pub use cashier_provider_abi::{CONTRACT, v1};

pub use crate::guard::Guarded;

/// The version of this kit.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the root symbol of a module with this provider holds.
pub const fn header<P: crate::PaymentProvider>() -> LibHeader {
    v1::header::<Guarded<P>>()
}

/// Exports one provider from a crate of type `cdylib`. Write it once, at the end of `lib.rs`.
///
/// The crate needs no unsafe code and no dependency but this kit. Its symbols have fixed names: a
/// program that links two provider crates as plain libraries does not link, unless each puts its
/// export behind a feature.
#[macro_export]
macro_rules! export_provider {
    ($provider:ty) => {
        $crate::export_symbols!(contract = $crate::export::CONTRACT, unwinds = cfg!(panic = "unwind"));
        $crate::export_root!($crate::export::header::<$provider>());
    };
}

/// Exports the plain symbols alone: what the module says before its layout is trusted.
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

/// Exports the layout-checked root alone: an expression of type `LibHeader`.
#[macro_export]
macro_rules! export_root {
    ($header:expr) => {
        const _: () = {
            // The one name the border library looks for; a test compares it with that library's own.
            #[unsafe(no_mangle)]
            #[allow(non_upper_case_globals)]
            pub static _1as_0lib_1header_0root_bmodule_bloader: $crate::export::LibHeader = $header;
        };
    };
}
