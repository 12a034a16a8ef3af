//! `cashier schema`: the JSON Schemas of the API's requests and answers, of the settings file and of the import file.

use std::iter::once;

use clap::Args;
use serde::Serializer;

use super::terminal::{CliError, print_line};
use crate::json_object::{Described, Schema};
use crate::settings::SettingsFile;
use crate::{manager, trading, wire};

/// The version of JSON Schema that they are written in.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// One schema, such as deposit.request or MngGetCashierTransaction.answer; without it all of them by name.
    name: Option<String>,
}

/// Every schema by its name.
pub fn schemas() -> Vec<(String, Schema)> {
    let commands = manager::COMMANDS.iter().flat_map(|command| {
        let named = |part: &str, schema: fn() -> Schema| (format!("{}.{part}", command.name), schema());
        [named("request", command.request), named("answer", command.answer)]
    });
    let files = [("cashier.toml", SettingsFile::schema()), ("roster.json", trading::roster_schema())];
    let own = wire::schema::all().into_iter().chain(files).map(|(name, schema)| (name.to_owned(), schema));
    own.chain(commands).collect()
}

pub(super) fn schema(args: &SchemaArgs) -> Result<(), CliError> {
    let documents = schemas()
        .into_iter()
        .map(|(name, Schema(keywords))| (name, Schema(once(("$schema", DRAFT.into())).chain(keywords).collect())));
    let mut out = Vec::new();
    let written = match &args.name {
        None => serde_json::Serializer::pretty(&mut out).collect_map(documents),
        Some(wanted) => {
            let found = documents.filter(|(name, _)| name == wanted).map(|(_, schema)| schema).next();
            let unknown = || CliError(format!("there is no schema {wanted}; `cashier schema` prints all of them"));
            serde_json::to_writer_pretty(&mut out, &found.ok_or_else(unknown)?)
        }
    };
    written.map_err(|error| CliError(error.to_string()))?;
    print_line(&String::from_utf8_lossy(&out));
    Ok(())
}
