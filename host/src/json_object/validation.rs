//! Compares JSON with a schema, for tests: every keyword that the schemas use, and the order of an answer's fields. A
//! keyword that it does not know is a failure.

use serde_json::Value;
use serde_json::value::RawValue;

use super::{Json, Members, Schema};

/// Asserts that an answer has the schema, its fields in the schema's order.
#[track_caller]
pub(crate) fn assert_answer(schema: &Schema, json: &str) {
    assert_eq!(check(schema, json, true), Ok(()), "{json}");
}

/// Asserts that a request, whose fields may stand in any order, has the schema.
#[track_caller]
pub(crate) fn assert_request(schema: &Schema, json: &str) {
    assert_eq!(check(schema, json, false), Ok(()), "{json}");
}

pub(crate) fn check(schema: &Schema, json: &str, ordered: bool) -> Result<(), String> {
    let value: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    for (keyword, expected) in &schema.0 {
        let holds = match (*keyword, expected) {
            ("title" | "description" | "readOnly" | "format" | "$schema" | "pattern", _) => true,
            ("type", Json::Text(kind)) => is_kind(&value, kind),
            ("type", Json::List(kinds)) => {
                kinds.iter().any(|kind| matches!(kind, Json::Text(kind) if is_kind(&value, kind)))
            }
            ("enum", Json::List(known)) => known.iter().any(|known| same(known, &value)),
            ("const", known) => same(known, &value),
            ("minimum", Json::Number(least)) => {
                value.as_i64().map_or(*least < 0 || !value.to_string().starts_with('-'), |number| number >= *least)
            }
            ("maximum", Json::Number(most)) => value.as_i64().is_none_or(|number| number <= *most),
            ("maxLength", Json::Number(most)) => value.as_str().is_none_or(|text| text.chars().count() as i64 <= *most),
            ("minLength", Json::Number(least)) => {
                value.as_str().is_none_or(|text| text.chars().count() as i64 >= *least)
            }
            ("anyOf", Json::List(schemas)) => {
                schemas.iter().any(|one| matches!(one, Json::Object(one) if check(one, json, ordered).is_ok()))
            }
            ("properties", Json::Object(properties)) => return members(schema, properties, json, ordered),
            ("prefixItems", Json::List(items)) => return cells(items, json, ordered),
            ("items", Json::Object(item)) => {
                let items: Vec<&RawValue> = serde_json::from_str(json).map_err(|error| error.to_string())?;
                items.iter().try_for_each(|value| check(item, value.get(), ordered))?;
                true
            }
            _ => return Err(format!("{keyword} is not known here")),
        };
        if !holds {
            return Err(format!("{json} is against {keyword} {expected:?}"));
        }
    }
    Ok(())
}

fn members(schema: &Schema, properties: &Schema, json: &str, ordered: bool) -> Result<(), String> {
    let Members(members) = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let open = schema.get("additionalProperties") == Some(&Json::Flag(true));
    let mut last = None;
    for (name, value) in &members {
        let Some(place) = properties.0.iter().position(|(known, _)| known == name) else {
            if open {
                continue;
            }
            return Err(format!("{name} is not a property"));
        };
        if ordered && last >= Some(place) {
            return Err(format!("{name} is out of order"));
        }
        last = Some(place);
        if let (_, Json::Object(property)) = &properties.0[place] {
            check(property, value.get(), ordered).map_err(|problem| format!("{name}: {problem}"))?;
        }
    }
    let Some(Json::List(required)) = schema.get("required") else {
        return Err("no list of required properties".into());
    };
    let given = |name: &Json| members.iter().any(|(given, _)| *name == Json::from(given.clone()));
    match required.iter().find(|name| !given(name)) {
        Some(name) => Err(format!("{name:?} is missing")),
        None => Ok(()),
    }
}

fn cells(schemas: &[Json], json: &str, ordered: bool) -> Result<(), String> {
    let items: Vec<&RawValue> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    if items.len() != schemas.len() {
        return Err(format!("{} items instead of {}", items.len(), schemas.len()));
    }
    items.iter().zip(schemas).try_for_each(|(item, schema)| match schema {
        Json::Object(schema) => check(schema, item.get(), ordered),
        _ => Err("an item without a schema".into()),
    })
}

fn is_kind(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

fn same(known: &Json, value: &Value) -> bool {
    serde_json::to_value(known).is_ok_and(|known| known == *value)
}

#[test]
fn what_is_against_a_schema_is_found() {
    let row = Schema::object("Row", &["A row."]).property::<u16>("a", "").optional("b", Schema::text(3), "");
    let table = [
        (r#"{"a":1}"#, ""),
        (r#"{"a":1,"b":"abc"}"#, ""),
        (r#"{"b":"abc","a":1}"#, "a is out of order"),
        (r#"{"a":1,"a":1}"#, "a is out of order"),
        (r#"{"b":"abc"}"#, "is missing"),
        (r#"{"a":1,"c":1}"#, "c is not a property"),
        (r#"{"a":-1}"#, "against minimum"),
        (r#"{"a":65536}"#, "against maximum"),
        (r#"{"a":1.5}"#, "against type"),
        (r#"{"a":"1"}"#, "against type"),
        (r#"{"a":1,"b":"abcd"}"#, "against maxLength"),
        ("[]", "against type"),
    ];
    for (json, expected) in table {
        let found = check(&row, json, true).err().unwrap_or_default();
        assert!(if expected.is_empty() { found.is_empty() } else { found.contains(expected) }, "{json}: {found}");
    }
    let pair = Schema::tuple([Schema::one_of(["x", "y"]), Schema::of("null")]);
    assert!(check(&pair, r#"["x",null]"#, true).is_ok() && check(&pair.clone().or_null(), "null", true).is_ok());
    assert!(check(&pair, r#"["z",null]"#, true).is_err() && check(&pair, r#"["x"]"#, true).is_err());
}
