//! `cashier demo`: a newcomer's first look. It builds a small world in a fresh folder, walks a deposit through it from
//! the first question to the credited account, prints every request and answer, and keeps serving.

mod client;
mod walk;
mod world;

use std::path::PathBuf;

use clap::Args;

use super::{CliError, logs, say, serve};

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Stop after the walk; the exit code says whether everything was as it should be.
    #[arg(long)]
    exit: bool,
    /// The folder to build the world in; by default a fresh one among the temporary files.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

pub(super) fn demo(args: &DemoArgs) -> Result<(), CliError> {
    let _writing = logs::start("warn");
    serve::runtime()?.block_on(tell(args))
}

async fn tell(args: &DemoArgs) -> Result<(), CliError> {
    let mut world = world::World::build(args.folder.clone()).await?;
    let told = walk::walk(&world).await;
    match told {
        Ok(()) if args.exit => say("\nThe demo ended as it should."),
        Ok(()) => {
            world.print_try_it()?;
            serve::stop_signal()?.await?;
        }
        Err(_) => say("\nThe demo did not end as it should."),
    }
    world.stop().await;
    told
}
