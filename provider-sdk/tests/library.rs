//! Real library files: their plain symbols, the layout check, and the same results as in-process.
#![expect(clippy::expect_used, clippy::panic, reason = "a test may panic")]
#![expect(unsafe_code, reason = "the test reads a library's plain symbols as a host does")]

mod echo;

use std::ffi::CStr;
use std::path::PathBuf;

use cashier_provider_abi::symbols::{CONTRACT_VERSION, SDK_VERSION, UNWINDS};
use cashier_provider_sdk::host::ModuleV1;
use cashier_provider_sdk::{FailureKind, PaymentOrder, PaymentProvider, ProviderConfig, ProviderFailure, Step};
use echo::{CANARY, Echo};
use libloading::Library;

#[test]
fn the_root_symbol_has_the_name_that_abi_stable_searches_for() {
    assert_eq!(abi_stable::library::ROOT_MODULE_LOADER_NAME, "_1as_0lib_1header_0root_bmodule_bloader");
}

#[test]
fn the_plain_symbols_state_contract_and_panic_strategy_and_version() {
    assert_eq!(plain_symbols("echo_module"), (1, 1, env!("CARGO_PKG_VERSION").to_owned()));
    assert_eq!(plain_symbols("later_module"), (2, 0, env!("CARGO_PKG_VERSION").to_owned()));
    assert_eq!(plain_symbols("foreign_module").0, 1);
}

#[test]
fn a_library_returns_the_same_as_a_linked_provider() {
    let module = ModuleV1::open(&library("echo_module")).expect("a module of contract 1");
    assert_eq!(module.descriptor(), Ok(Echo::descriptor()));
    let config = ProviderConfig::default();
    let instance = module.configure(&config).expect("a valid config");
    let plain = Echo::configure(&config).expect("a valid config");
    for method in ["redirect", "get", "declined"] {
        let order = PaymentOrder { method: method.into(), ..PaymentOrder::default() };
        assert_eq!(instance.create_payment(&order, &[]), plain.create_payment(&order, &[]));
    }
}

#[test]
fn a_panic_inside_a_library_is_a_failure() {
    let module = ModuleV1::open(&library("echo_module")).expect("a module of contract 1");
    let instance = module.configure(&ProviderConfig::default()).expect("a valid config");
    let order = PaymentOrder { method: "panic".into(), ..PaymentOrder::default() };
    let step = instance.create_payment(&order, &[]);
    assert!(matches!(&step, Step::Failed(ProviderFailure { kind: FailureKind::Panicked, .. })), "{step:?}");
    assert!(!format!("{step:?}").contains(CANARY));
}

#[test]
fn a_library_that_is_not_a_module_is_refused_with_a_short_reason() {
    let foreign = ModuleV1::open(&library("foreign_module")).err().expect("refused");
    assert_eq!(foreign.reason, "its function descriptor has u64 where contract 1 has RResult");
    assert!(foreign.rebuild);

    let rootless = ModuleV1::open(&library("later_module")).err().expect("refused");
    assert_eq!((&*rootless.reason, rootless.rebuild), ("it exports no module root", false));

    let absent = ModuleV1::open(&library("absent")).err().expect("refused");
    assert!(!absent.reason.is_empty());
}

fn plain_symbols(name: &str) -> (u32, u8, String) {
    // SAFETY: the libraries of the examples have no constructors, and these statics have these types.
    unsafe {
        let library = Library::new(library(name)).expect("opens");
        let contract = **library.get::<*const u32>(CONTRACT_VERSION.as_bytes()).expect("contract");
        let unwinds = **library.get::<*const u8>(UNWINDS.as_bytes()).expect("unwinds");
        let version = *library.get::<*const std::ffi::c_char>(SDK_VERSION.as_bytes()).expect("version");
        let version = CStr::from_ptr(version).to_string_lossy().into_owned();
        std::mem::forget(library);
        (contract, unwinds, version)
    }
}

/// The examples folder of `cargo test`, beside the folder of this test binary.
fn library(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    profile.join("examples").join(format!("{}{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX))
}
