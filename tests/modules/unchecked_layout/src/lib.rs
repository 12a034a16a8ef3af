//! Claims contract 1 with another order record and a header that says that its layout is not to be checked.

#[path = "../../grown_record/src/root.rs"]
pub mod root;

use abi_stable::library::CheckTypeLayout;

cashier_provider_sdk::export_symbols!(contract = 1, unwinds = cfg!(panic = "unwind"));
cashier_provider_sdk::export_root!(root::header(CheckTypeLayout::No));
