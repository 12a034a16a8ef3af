//! `cashier schema`: the JSON Schemas of the API's requests and answers, of the settings file and of the import file.

use clap::Args;

use super::terminal::{CliError, print_line};
use crate::http::openapi;
use crate::json_object::{Described, Schema};
use crate::settings::SettingsFile;
use crate::{manager, trading, wire};

/// How a schema begins: with the version of JSON Schema that it is written in.
const DRAFT: &str = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","#;

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// One schema, such as deposit.request or MngGetCashierTransaction.answer, or the OpenAPI document of a listener:
    /// openapi.customer, openapi.manager or openapi.watch, or of a broker's own trading server: openapi.trading_server;
    /// without it all schemas by name.
    name: Option<String>,
}

/// Every schema by its name.
pub fn schemas() -> Vec<(String, Schema)> {
    let commands = manager::COMMANDS.iter().flat_map(|command| {
        [("request", command.request), ("answer", command.answer)]
            .map(|(part, schema)| (format!("{}.{part}", command.name), schema()))
    });
    let files = [("cashier.toml", SettingsFile::schema()), ("roster.json", wire::roster::schema())];
    let own = wire::schema::all().into_iter().chain(files).map(|(name, schema)| (name.to_owned(), schema));
    own.chain(commands).map(|(name, schema)| (name, schema.replacen('{', DRAFT, 1))).collect()
}

pub(super) fn schema(args: &SchemaArgs) -> Result<(), CliError> {
    let document = args.name.as_deref().and_then(|name| match name.strip_prefix("openapi.")? {
        "trading_server" => Some(trading::http::openapi::document()),
        listener => openapi::of(listener),
    });
    if let Some(document) = document {
        print_line(document.trim_end());
        return Ok(());
    }
    let mut known = schemas();
    let Some(wanted) = &args.name else {
        let named: Vec<String> = known.iter().map(|(name, schema)| format!("\"{name}\":{schema}")).collect();
        print_line(&format!("{{{}}}", named.join(",\n")));
        return Ok(());
    };
    known.retain(|(name, _)| name == wanted);
    let unknown = || CliError(format!("there is no schema {wanted}; `cashier schema` prints all of them"));
    print_line(&known.pop().ok_or_else(unknown)?.1);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_schema_has_its_own_name_and_is_json() {
        let known = schemas();
        let mut names: Vec<&String> = known.iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), known.len());
        for (name, schema) in &known {
            let read: Value = serde_json::from_str(schema).unwrap();
            assert!(read["$schema"].is_string() && is_object(&read), "{name}: {schema}");
        }
    }

    /// One object, or one of several.
    fn is_object(schema: &Value) -> bool {
        let one_of_several = || schema["anyOf"].as_array().is_some_and(|all| all.iter().all(is_object));
        schema["properties"].is_object() || one_of_several()
    }
}
