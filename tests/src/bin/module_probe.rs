//! The module probe alone, as `cashier module-probe` runs it, so that tests of modules need not start the cashier.

use std::path::Path;
use std::process::ExitCode;

use cashier_host::plugins::probe;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [subcommand, path] if *subcommand == probe::SUBCOMMAND => probe::main(Path::new(path)),
        _ => ExitCode::FAILURE,
    }
}
