//! `cashier schema`: the JSON Schemas of the API's requests and answers, of the settings file and of the import file.

use clap::Args;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::terminal::{CliError, print_line};
use crate::json_object::{Described, Members, Schema};
use crate::settings::SettingsFile;
use crate::{manager, trading, wire};

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// One schema, such as deposit.request or MngGetCashierTransaction.answer; without it all of them by name.
    name: Option<String>,
}

/// Every schema by its name.
pub fn schemas() -> Vec<(String, Schema)> {
    let commands = manager::COMMANDS.iter().flat_map(|command| {
        [("request", command.request), ("answer", command.answer)]
            .map(|(part, schema)| (format!("{}.{part}", command.name), schema()))
    });
    let files = [("cashier.toml", SettingsFile::schema()), ("roster.json", trading::roster_schema())];
    let own = wire::schema::all().into_iter().chain(files).map(|(name, schema)| (name.to_owned(), schema));
    own.chain(commands).collect()
}

pub(super) fn schema(args: &SchemaArgs) -> Result<(), CliError> {
    let mut known = schemas();
    let text = match &args.name {
        Some(wanted) => {
            known.retain(|(name, _)| name == wanted);
            let found = known.pop().map(|(_, schema)| schema);
            found
                .ok_or_else(|| CliError(format!("there is no schema {wanted}; `cashier schema` prints all of them")))?
        }
        None => {
            let named = known.iter().map(|(name, schema)| format!("\"{name}\":{schema}"));
            format!("{{{}}}", named.collect::<Vec<_>>().join(","))
        }
    };
    let pretty = serde_json::from_str::<&RawValue>(&text).and_then(|json| serde_json::to_string_pretty(&Pretty(json)));
    print_line(&pretty.map_err(|error| CliError(error.to_string()))?);
    Ok(())
}

/// JSON text to be indented, its members in their order.
struct Pretty<'a>(&'a RawValue);

impl Serialize for Pretty<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.get();
        if let Ok(Members(members)) = serde_json::from_str(text) {
            return serializer.collect_map(members.into_iter().map(|(name, value)| (name, Pretty(value))));
        }
        match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(items) => serializer.collect_seq(items.into_iter().map(Pretty)),
            Err(_) => self.0.serialize(serializer),
        }
    }
}
