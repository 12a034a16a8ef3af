//! `cashier demo`: sets up a cashier with a sandbox provider in a fresh folder, makes a deposit from the first request to the
//! credited account, prints every request and response, and keeps serving.

mod client;
mod environment;
mod walkthrough;

use std::path::PathBuf;

use clap::Args;

use self::environment::DemoEnvironment;
use super::signals::Signals;
use super::terminal::{CliError, print_line};
use super::{logs, serve};

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Stop after the deposit; the exit code says whether every step succeeded.
    #[arg(long)]
    exit: bool,
    /// The folder to create; by default a fresh one among the temporary files.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

pub(super) fn demo(args: &DemoArgs) -> Result<(), CliError> {
    let _guard = logs::start("warn");
    serve::runtime()?.block_on(run(args))
}

async fn run(args: &DemoArgs) -> Result<(), CliError> {
    let environment = DemoEnvironment::create(args.folder.clone()).await?;
    let result = walkthrough::run(&environment).await;
    match result {
        Ok(()) if args.exit => print_line("\nThe demo ended as it should."),
        Ok(()) => {
            environment.print_commands();
            // Closing the terminal ends it too: SIGHUP asks a server for its files, which a demo does not change.
            Signals::catch()?.next().await;
        }
        Err(_) => print_line("\nThe demo failed."),
    }
    environment.stop().await;
    result
}
