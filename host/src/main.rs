//! The `cashier` binary: reads the command line and hands over.

use std::process::ExitCode;

fn main() -> ExitCode {
    cashier_host::cli::run()
}
