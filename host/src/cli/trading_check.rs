//! `cashier trading check`: asks a broker's own trading server whether it keeps the protocol, and prints a line for each promise.

use std::path::PathBuf;
use std::sync::Arc;

use cashier_core::ids::{CustomerId, ID_MAX, Login};
use cashier_core::money::Currency;
use cashier_core::operation::OperationKey;
use clap::Args;

use super::serve;
use super::terminal::{CliError, print_line};
use crate::system::{SystemClock, SystemEntropy};
use crate::trading::http::{
    self, CheckReport, CheckedAccount, HttpServerSettings, PromiseLine, PromiseSeen, SigningSecrets,
};

/// The account is posted to: take a test copy of the server, whose postings no cashier compares with its books.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The URL of the trading server, as the settings would have it.
    #[arg(long, value_name = "URL")]
    server: String,
    /// The file with its secrets: `whsec_…`, one a line.
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
    /// A test account. Its balance is the same afterwards.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=ID_MAX))]
    login: u64,
    /// The customer who owns it.
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u64).range(1..=ID_MAX))]
    customer: u64,
    /// The currency that it must have; by default the one that the server states.
    #[arg(long, value_name = "CODE", value_parser = currency)]
    currency: Option<Currency>,
    /// Post to an account of real money: for a moment it has more than its own.
    #[arg(long)]
    real_account: bool,
    /// The key that an earlier check of the same account ended with: it and the three behind it must be known as they were.
    #[arg(long, value_name = "KEY", value_parser = known_key)]
    known_key: Option<OperationKey>,
    /// Trust the certificates of this PEM file instead of the public roots.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Allow plain HTTP to another machine.
    #[arg(long)]
    plain_http: bool,
}

fn currency(code: &str) -> Result<Currency, &'static str> {
    Currency::from_code(code).ok_or("is no currency code such as USD")
}

fn known_key(text: &str) -> Result<OperationKey, &'static str> {
    OperationKey::read(text).filter(|key| key.parts().is_some()).ok_or("is no key that a check ended with")
}

pub(super) fn check(args: &CheckArgs) -> Result<(), CliError> {
    let secrets = SigningSecrets::read(&args.secret_file).map_err(CliError)?;
    let settings = HttpServerSettings {
        url: args.server.as_str().into(),
        secrets,
        ca_file: args.ca_file.clone(),
        plain_http_allowed: args.plain_http,
        instance: None,
        instance_file: None,
    };
    let account = CheckedAccount {
        login: Login(args.login),
        customer: CustomerId(args.customer),
        currency: args.currency,
        real_allowed: args.real_account,
        known_key: args.known_key.clone(),
    };
    let checking = http::check(settings, &account, Arc::new(SystemClock::new()), Arc::new(SystemEntropy));
    let CheckReport { lines, key } = serve::runtime()?.block_on(checking)?;
    lines.iter().for_each(|line| print_line(&row(line)));
    if let Some(key) = key {
        print_line(&format!("the next check of this server takes --known-key {key}"));
    }
    let broken = lines.iter().filter(|line| matches!(line.seen, PromiseSeen::Broken(_))).count();
    if broken > 0 {
        let are = if broken == 1 { "is" } else { "are" };
        return Err(CliError(format!("{broken} of {} promises {are} broken", lines.len())));
    }
    let kept = lines.iter().filter(|line| line.seen == PromiseSeen::Kept).count();
    print_line(&match lines.len() - kept {
        0 => format!("{kept} promises are kept"),
        not_checked => format!("{kept} promises are kept, {not_checked} not checked"),
    });
    Ok(())
}

fn row(PromiseLine { promise, seen }: &PromiseLine) -> String {
    match seen {
        PromiseSeen::Kept => format!("kept    {promise}"),
        PromiseSeen::Broken(problem) => format!("BROKEN  {promise}\n        {problem}"),
        PromiseSeen::NotChecked(missing) => format!("        {promise}\n        not checked: {missing}"),
    }
}
