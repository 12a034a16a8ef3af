//! Claims contract 1 with an order record that has one field more.

pub mod root;

use abi_stable::library::CheckTypeLayout;

cashier_provider_sdk::export_symbols!(contract = 1, unwinds = cfg!(panic = "unwind"));
cashier_provider_sdk::export_root!(root::header(CheckTypeLayout::Yes));
