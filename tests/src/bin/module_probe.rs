//! The probe alone: what `cashier module-probe` does, so that tests of modules need no whole house.

use std::path::Path;
use std::process::ExitCode;

use cashier_host::plugins::probe;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [word, path] if *word == probe::SUBCOMMAND => probe::main(Path::new(path)),
        _ => ExitCode::FAILURE,
    }
}
