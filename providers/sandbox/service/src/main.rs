//! The sandbox payment service as a program: reads the command line, prints its address, runs until a stop signal.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use cashier_sandbox_service::switch::Switch;
use cashier_sandbox_service::{SandboxService, SandboxSettings, ServiceSecret};
use clap::Parser;

/// A payment provider for tests: merchant API, hosted page, signed webhooks, and a switch for every failure.
/// Moves no money and keeps everything in memory only.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Options {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8900")]
    listen: SocketAddr,
    /// Bearer key of the merchant and control API
    #[arg(long, env = "SANDBOX_API_KEY", hide_env_values = true, conflicts_with = "api_key_file")]
    api_key: Option<String>,
    /// File that holds the bearer key (blanks and line ends around it are ignored)
    #[arg(long)]
    api_key_file: Option<PathBuf>,
    /// File that holds the secret which signs webhooks (blanks and line ends around it are ignored)
    #[arg(long)]
    webhook_secret_file: PathBuf,
    /// Name shown on the payment page
    #[arg(long, default_value = "Sandbox merchant")]
    merchant: String,
    /// Start of payment URLs, where browsers reach the service under another name
    #[arg(long)]
    public_url: Option<String>,
    /// Let other machines reach the service
    #[arg(long)]
    allow_remote_listen: bool,
    /// Let webhooks go to other machines
    #[arg(long)]
    allow_remote_notify: bool,
    /// Delays before the second, third … webhook attempt, in milliseconds
    #[arg(long, value_delimiter = ',', default_value = "1000,5000,30000,120000")]
    retry_delays_ms: Vec<u64>,
    /// A switch for every payment, such as webhook_twice or create_slow:500; repeatable
    #[arg(long = "default-switch", value_name = "SWITCH")]
    default_switches: Vec<Switch>,
    /// Stop when standard input ends, as a pipe does when the program at its other end has gone
    #[arg(long)]
    end_with_input: bool,
}

const EXAMPLES: &str = "\
Try it:
  printf whsec_try_me > /tmp/webhook-secret
  cashier-sandbox-service --api-key sk_try_me --webhook-secret-file /tmp/webhook-secret

  curl http://127.0.0.1:8900/v1/payments -H 'Authorization: Bearer sk_try_me' -H 'Idempotency-Key: 1' \\
    -d '{\"reference\":\"order-15\",\"amount\":\"250.00\",\"currency\":\"EUR\",\"switches\":[\"webhook_twice\"]}'

  curl http://127.0.0.1:8900/_control/switches -H 'Authorization: Bearer sk_try_me'     # all switches

RUST_LOG=debug logs more.";

fn main() -> ExitCode {
    let options = Options::parse();
    let log = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(log)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| runtime.block_on(run(options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; then the error cannot be reported.
            let _ = writeln!(std::io::stderr(), "cashier-sandbox-service: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let end_with_input = options.end_with_input;
    let running = SandboxService::start(settings(options)?).await?;
    // Before the address is printed: a signal sent right after it must stop the service, not kill it.
    let stop = stop_signal()?;
    writeln!(std::io::stdout(), "listening on http://{}", running.addr())?;
    tokio::select! {
        () = stop => {}
        () = end_of_input(), if end_with_input => {}
    }
    running.stop().await;
    Ok(())
}

/// Resolves when nothing more can be read; what is read is dropped.
async fn end_of_input() {
    let (done, ended) = tokio::sync::oneshot::channel();
    // A thread of its own: the runtime would wait for one of its own that still reads.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = done.send(());
    });
    let _ = ended.await;
}

fn settings(options: Options) -> Result<SandboxSettings, Box<dyn Error>> {
    let api_key = match (options.api_key, options.api_key_file) {
        (Some(key), _) => ServiceSecret::new(trimmed(&key)),
        (None, Some(file)) => read_secret(&file)?,
        (None, None) => return Err("give --api-key, --api-key-file or SANDBOX_API_KEY".into()),
    };
    Ok(SandboxSettings {
        listen: options.listen,
        merchant: options.merchant,
        public_url: options.public_url,
        allow_remote_listen: options.allow_remote_listen,
        allow_remote_notify: options.allow_remote_notify,
        retry_delays: options.retry_delays_ms.into_iter().map(Duration::from_millis).collect(),
        default_switches: options.default_switches,
        ..SandboxSettings::new(api_key, read_secret(&options.webhook_secret_file)?)
    })
}

fn read_secret(file: &Path) -> Result<ServiceSecret, Box<dyn Error>> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    Ok(ServiceSecret::new(trimmed(&text)))
}

/// A secret without the blanks, line ends and byte order mark that its file or variable has around it.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|character: char| character.is_whitespace() || character == '\u{feff}')
}

#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(windows)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
