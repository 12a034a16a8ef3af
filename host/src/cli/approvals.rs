//! `cashier approvals …`: what waits for a second person at a running server, decided from the host's own shell. Whoever may read
//! the session keys owns the host; that they approved alone is recorded and logged.

use cashier_core::ids::{ID_MAX, ManagerId};
use clap::Subcommand;
use serde_json::{Value, json};

use super::manager_client::{self, SentBy, foreign};
use super::settings_args::SettingsArgs;
use super::terminal::{CliError, print_line};
use crate::manager::approval;

#[derive(Debug, Subcommand)]
pub(super) enum ApprovalsCommand {
    /// List what waits for a second person.
    List {
        #[command(flatten)]
        by: ApprovalArgs,
    },
    /// Approve a change. With `--break-glass` also the one who asked may: one person, alone at night.
    Approve {
        /// The approval.
        approval: u64,
        /// Approve without a second person. It is recorded with the outcome `break glass`, and logged as a security event.
        #[arg(long, required = true)]
        break_glass: bool,
        #[command(flatten)]
        by: ApprovalArgs,
    },
    /// Reject a change.
    Reject {
        /// The approval.
        approval: u64,
        #[command(flatten)]
        by: ApprovalArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct ApprovalArgs {
    /// The manager in whose name the server records it.
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u64).range(1..=ID_MAX))]
    id: u64,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(super) fn approvals(command: &ApprovalsCommand) -> Result<(), CliError> {
    match command {
        ApprovalsCommand::List { by } => {
            let answer = send(by, approval::LIST.name, json!({"orderBy": ["id", "asc"], "limit": 256}))?;
            let rows = answer.get("rows").and_then(Value::as_array).ok_or_else(foreign)?;
            rows.iter().filter(|row| row.get("state").is_some_and(|state| state == "open")).for_each(print);
            Ok(())
        }
        ApprovalsCommand::Approve { approval, break_glass: _, by } => {
            decided(&send(by, approval::APPROVE.name, json!({"id": approval}))?)
        }
        ApprovalsCommand::Reject { approval, by } => {
            decided(&send(by, approval::REJECT.name, json!({"id": approval}))?)
        }
    }
}

/// Always as whoever owns the host: `manager_rights` must not keep them from seeing and rejecting what waits either.
fn send(by: &ApprovalArgs, command: &str, data: Value) -> Result<Value, CliError> {
    let settings = by.settings.read()?;
    let by = SentBy { manager: ManagerId(by.id), break_glass: true };
    let message = json!({"command": command, "data": data}).to_string().into_bytes();
    let answer = manager_client::call(&settings, by, message)?;
    if answer.status == 200 { Ok(answer.data) } else { Err(CliError(answer.message().to_owned())) }
}

fn decided(answer: &Value) -> Result<(), CliError> {
    print(answer.get("approval").ok_or_else(foreign)?);
    Ok(())
}

/// One line.
fn print(row: &Value) {
    let text = |name: &str| match row.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    let about = match text("transaction_id").as_str() {
        "0" => format!("config {}", text("provider_config_id")),
        id => format!("transaction {id} {} {}", text("amount"), text("currency")),
    };
    print_line(&format!(
        "{} {} {} {about} [{}] asked by {} at {}, until {}",
        text("id"),
        text("state"),
        text("command"),
        text("fields"),
        text("asked_by"),
        text("asked_time"),
        text("expires_time")
    ));
}
