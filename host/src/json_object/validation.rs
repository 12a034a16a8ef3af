//! Compares JSON with a schema, for tests: every keyword that the schemas use, and the order of an answer's fields. A
//! keyword that it does not know is a failure.

use serde_json::Value;
use serde_json::value::RawValue;

use super::{Members, schema};

/// Asserts that an answer has the schema, its fields in the schema's order.
#[track_caller]
pub(crate) fn assert_answer(schema: &str, json: &str) {
    assert_eq!(check(schema, json, true), Ok(()), "{json}");
}

/// Asserts that a request, whose fields may stand in any order, has the schema.
#[track_caller]
pub(crate) fn assert_request(schema: &str, json: &str) {
    assert_eq!(check(schema, json, false), Ok(()), "{json}");
}

fn check(schema: &str, json: &str, ordered: bool) -> Result<(), String> {
    let value: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let length = value.as_str().map(|text| text.chars().count() as i64);
    let keywords = members(schema);
    for (keyword, expected) in &keywords.0 {
        let stated: Value = serde_json::from_str(expected.get()).unwrap();
        let bound = stated.as_i64().unwrap_or_default();
        let holds = match keyword.as_str() {
            "title" | "description" | "readOnly" | "format" | "pattern" | "required" | "additionalProperties" => true,
            "type" if stated.is_array() => stated.as_array().unwrap().iter().any(|kind| is_kind(&value, kind)),
            "type" => is_kind(&value, &stated),
            "enum" => stated.as_array().unwrap().contains(&value),
            "minimum" => value.as_i64().map_or(!json.starts_with('-'), |number| number >= bound),
            "maximum" => value.as_i64().is_none_or(|number| number <= bound),
            "maxLength" => length.is_none_or(|length| length <= bound),
            "minLength" => length.is_none_or(|length| length >= bound),
            "maxItems" => i64::try_from(list(json).len()).is_ok_and(|length| length <= bound),
            "anyOf" => list(expected.get()).iter().any(|one| check(one.get(), json, ordered).is_ok()),
            "items" if stated.is_boolean() => true,
            "items" => {
                list(json).iter().try_for_each(|item| check(expected.get(), item.get(), ordered))?;
                true
            }
            "prefixItems" => {
                let (items, schemas) = (list(json), list(expected.get()));
                let mut pairs = items.iter().zip(&schemas);
                pairs.try_for_each(|(item, schema)| check(schema.get(), item.get(), ordered))?;
                items.len() == schemas.len()
            }
            "properties" => {
                check_members(&keywords, &members(expected.get()), &members(json), ordered)?;
                true
            }
            _ => return Err(format!("{keyword} is not known here")),
        };
        if !holds {
            return Err(format!("{json} is against {keyword} {stated}"));
        }
    }
    Ok(())
}

fn check_members(schema: &Members, properties: &Members, object: &Members, ordered: bool) -> Result<(), String> {
    let mut last = None;
    for (name, value) in &object.0 {
        let Some(place) = properties.0.iter().position(|(known, _)| known == name) else {
            match schema.get("additionalProperties").map(RawValue::get) {
                Some("true") => continue,
                _ => return Err(format!("{name} is not a property")),
            }
        };
        if ordered && last >= Some(place) {
            return Err(format!("{name} is out of order"));
        }
        last = Some(place);
        check(properties.0[place].1.get(), value.get(), ordered).map_err(|problem| format!("{name}: {problem}"))?;
    }
    let required: Vec<String> = serde_json::from_str(schema.get("required").unwrap().get()).unwrap();
    match required.into_iter().find(|name| object.get(name).is_none()) {
        Some(name) => Err(format!("{name} is missing")),
        None => Ok(()),
    }
}

fn members(json: &str) -> Members<'_> {
    serde_json::from_str(json).unwrap()
}

fn list(json: &str) -> Vec<&RawValue> {
    serde_json::from_str(json).unwrap()
}

fn is_kind(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
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

#[test]
fn a_violation_of_a_schema_is_found() {
    let properties = [("a", schema::whole(0, 65535), "", false), ("b", schema::text(3), "", true)];
    let row = schema::object("Row", "A row.", properties);
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
    let pair = schema::tuple(&[schema::one_of(["x", "y"]), schema::kind("null")]);
    assert!(check(&pair, r#"["x",null]"#, true).is_ok());
    assert!(check(&schema::either(&pair, &schema::kind("null")), "null", true).is_ok());
    assert!(check(&pair, r#"["z",null]"#, true).is_err() && check(&pair, r#"["x"]"#, true).is_err());
}
