//! The `cashier` binary: reads the command line and hands over.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request makes hundreds of small texts and hands them from thread to thread.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cashier_host::cli::run()
}
