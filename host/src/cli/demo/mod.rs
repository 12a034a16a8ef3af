//! `cashier demo`: sets up a cashier with a sandbox provider in a fresh folder, makes a deposit from the first request to the
//! credited account, shows what BackOffice does with payments, prints every request and response, and keeps serving.

mod client;
mod environment;
mod second_act;
mod walkthrough;

use std::path::PathBuf;

use clap::Args;

use self::environment::{DemoEnvironment, DemoPlace};
use super::signals::Signals;
use super::terminal::{CliError, LAST_WORDS_MAX, finish_queued, print_queued};
use super::{logs, serve};

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Stop after the last step; the exit code says whether every step succeeded.
    #[arg(long)]
    exit: bool,
    /// The folder to create; by default a fresh one among the temporary files.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// A trading server that has the demo account 2000009 of customer 5, in place of the embedded one.
    #[arg(long, value_name = "URL")]
    trading_server: Option<String>,
    /// The file of its signing secret.
    #[arg(long, value_name = "FILE", default_value = "trading.secret")]
    trading_secret_file: PathBuf,
}

pub(super) fn demo(args: &DemoArgs) -> Result<(), CliError> {
    let _guard = logs::start("warn");
    serve::runtime()?.block_on(run(args))
}

async fn run(args: &DemoArgs) -> Result<(), CliError> {
    // Caught from here on, so that a signal ends every step in order, and what the demo started with it.
    let signals = Signals::catch()?;
    let ended = run_until(args, &signals).await;
    finish_queued(LAST_WORDS_MAX).await;
    ended
}

async fn run_until(args: &DemoArgs, signals: &Signals) -> Result<(), CliError> {
    let stopped = || if args.exit { Err(CliError("a signal ended the demo".to_owned())) } else { Ok(()) };
    let place = DemoPlace {
        folder: args.folder.clone(),
        trading_server: args.trading_server.clone(),
        trading_secret_file: args.trading_secret_file.clone(),
    };
    let Some(environment) = DemoEnvironment::create(&place, signals).await? else { return stopped() };
    let result = tokio::select! {
        result = both_acts(&environment) => result.map(Some),
        _ = signals.next() => Ok(None),
    };
    let result = match result {
        Ok(Some(())) if args.exit => {
            print_queued("\nThe demo ended as it should.");
            Ok(())
        }
        Ok(Some(())) => {
            environment.print_commands();
            // Closing the terminal ends it too: SIGHUP asks a server for its files, which a demo does not change.
            signals.next().await;
            Ok(())
        }
        Ok(None) => stopped(),
        Err(fault) => {
            print_queued("\nThe demo failed.");
            Err(fault)
        }
    };
    let ended = environment.stop().await;
    result.and(ended)
}

async fn both_acts(environment: &DemoEnvironment) -> Result<(), CliError> {
    let first = walkthrough::run(environment).await?;
    second_act::run(environment, &first).await
}
