//! JSON Schema (draft 2020-12) as JSON text, so that properties stand in their published order. It validates nothing;
//! readers do that by the same description.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::value::RawValue;

/// A schema: the text of a JSON object.
pub type Schema = String;

/// A type that describes itself.
pub trait Described {
    /// Whether an object may lack it.
    const OPTIONAL: bool = false;

    fn schema() -> Schema;

    /// Whether this value is left out of its object.
    fn is_absent(&self) -> bool {
        false
    }
}

/// A type that is described by a table of fields.
pub trait Object {
    const TITLE: &'static str;
    const LINES: &'static [&'static str];
    const FIELDS: &'static [FieldLine];
}

/// One line of such a table.
pub struct FieldLine {
    pub name: &'static str,
    pub text: &'static str,
    /// Whether it stands in the record's table.
    pub is_column: bool,
    pub schema: fn() -> Schema,
    pub is_optional: bool,
}

impl FieldLine {
    pub const fn of<T: Described>(name: &'static str, text: &'static str, is_column: bool) -> Self {
        Self { name, text, is_column, schema: T::schema, is_optional: T::OPTIONAL }
    }
}

impl<T: Object> Described for T {
    fn schema() -> Schema {
        let text = T::LINES.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        object(
            T::TITLE,
            &text,
            T::FIELDS.iter().map(|field| (field.name, (field.schema)(), field.text, field.is_optional)),
        )
    }
}

/// The schema of an object with these properties and no others: name, schema, description, whether it is optional.
pub fn object<'n>(
    title: &str,
    text: &str,
    properties: impl IntoIterator<Item = (&'n str, Schema, &'n str, bool)>,
) -> Schema {
    let (mut written, mut required) = (Vec::new(), Vec::new());
    for (name, schema, text, is_optional) in properties {
        written.push(format!("{}:{}", json(name), with(&schema, "description", text)));
        required.extend((!is_optional).then_some(name));
    }
    let head = with(&with(&with("{}", "title", title), "description", text), "type", "object");
    let head = format!(r#"{},"properties":{{{}}}}}"#, head.strip_suffix('}').unwrap_or(&head), written.join(","));
    with(&with(&head, "required", required), "additionalProperties", false)
}

/// The schema of an object that lets other properties pass.
pub fn open(object: &str) -> Schema {
    object.replacen(r#""additionalProperties":false"#, r#""additionalProperties":true"#, 1)
}

/// The same of an object and of every object within it.
pub fn open_throughout(object: &str) -> Schema {
    object.replace(r#""additionalProperties":false"#, r#""additionalProperties":true"#)
}

/// A value of one type: `integer`, `string`, …
pub fn kind(name: &str) -> Schema {
    with("{}", "type", name)
}

pub fn whole(least: i64, most: i64) -> Schema {
    with(&with(&kind("integer"), "minimum", least), "maximum", most)
}

/// A string. Its bytes are counted, so that no more characters fit either.
pub fn text(length_max: usize) -> Schema {
    with(&kind("string"), "maxLength", length_max)
}

pub fn one_of(values: impl IntoIterator<Item = impl Serialize>) -> Schema {
    with("{}", "enum", values.into_iter().collect::<Vec<_>>())
}

pub fn list(items: &str) -> Schema {
    format!(r#"{{"type":"array","items":{items}}}"#)
}

/// An array of exactly these items.
pub fn tuple(items: &[Schema]) -> Schema {
    format!(r#"{{"type":"array","prefixItems":[{}],"items":false}}"#, items.join(","))
}

/// What one of two schemas describes.
pub fn either(one: &str, other: &str) -> Schema {
    format!(r#"{{"anyOf":[{one},{other}]}}"#)
}

/// The schema with one keyword more.
pub fn with(schema: &str, keyword: &str, value: impl Serialize) -> Schema {
    let begun = schema.strip_suffix('}').unwrap_or(schema);
    let comma = if begun == "{" { "" } else { "," };
    format!("{begun}{comma}{}:{}}}", json(keyword), json(value))
}

fn json(value: impl Serialize) -> String {
    serde_json::to_string(&value).unwrap_or_default()
}

impl<T: Described> Described for Option<T> {
    const OPTIONAL: bool = true;

    fn schema() -> Schema {
        T::schema()
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

/// Tables by names that a person chooses.
impl<T: Object> Described for BTreeMap<String, T> {
    fn schema() -> Schema {
        format!(r#"{{"type":"object","additionalProperties":{}}}"#, T::schema())
    }
}

impl<T: Described> Described for Vec<T> {
    fn schema() -> Schema {
        list(&T::schema())
    }
}

/// Describes types by their schemas.
macro_rules! schemas {
    ($($type:ty $([$param:ident: $bound:path])? => $schema:expr;)*) => {$(
        impl$(<$param: $bound>)? $crate::json_object::Described for $type {
            fn schema() -> $crate::json_object::Schema {
                $schema
            }
        }
    )*};
}

pub(crate) use schemas;

schemas! {
    bool => kind("boolean");
    u16 => kind("integer");
    u32 => kind("integer");
    u64 => kind("integer");
    i64 => kind("integer");
    &str => kind("string");
    Cow<'_, str> => kind("string");
    String => kind("string");
    Box<str> => kind("string");
    PathBuf => kind("string");
    BTreeMap<String, String> => r#"{"type":"object","additionalProperties":{"type":"string"}}"#.to_owned();
    BTreeMap<String, Vec<String>> => format!(r#"{{"type":"object","additionalProperties":{}}}"#, Vec::<String>::schema());
    Box<RawValue> => "{}".to_owned();
}
