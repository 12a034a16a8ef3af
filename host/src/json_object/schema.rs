//! JSON Schema (draft 2020-12) as ordered JSON: properties stand in their published order. It validates nothing; readers
//! do that by the same description.

use std::borrow::Cow;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

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

impl<T: Described> Described for Option<T> {
    const OPTIONAL: bool = true;

    fn schema() -> Schema {
        T::schema()
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Described> Described for Vec<T> {
    fn schema() -> Schema {
        Schema::list(T::schema())
    }
}

/// JSON whose objects keep the order of their members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    Null,
    Flag(bool),
    Number(i64),
    Text(Cow<'static, str>),
    List(Vec<Json>),
    Object(Schema),
}

/// A schema: keywords and their values, in the order in which they were added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema(pub Vec<(&'static str, Json)>);

impl Schema {
    /// Any value.
    pub const fn any() -> Self {
        Self(Vec::new())
    }

    /// A value of one type: `integer`, `string`, …
    pub fn of(kind: &'static str) -> Self {
        Self::any().with("type", kind)
    }

    pub fn whole(least: i64, most: i64) -> Self {
        Self::of("integer").with("minimum", least).with("maximum", most)
    }

    /// A string; bytes are counted, so that no more characters fit either.
    pub fn text(length_max: usize) -> Self {
        Self::of("string").with("maxLength", i64::try_from(length_max).unwrap_or(i64::MAX))
    }

    pub fn list(items: Self) -> Self {
        Self::of("array").with("items", items)
    }

    /// An array of exactly these items.
    pub fn tuple(items: impl IntoIterator<Item = Self>) -> Self {
        let items: Vec<Json> = items.into_iter().map(Json::from).collect();
        Self::of("array").with("prefixItems", items).with("items", false)
    }

    /// One of these texts.
    pub fn one_of(texts: impl IntoIterator<Item = &'static str>) -> Self {
        Self::of("string").with("enum", texts.into_iter().map(Json::from).collect::<Vec<_>>())
    }

    /// An object without properties so far, and without any others.
    pub fn object(title: &'static str, lines: &[&str]) -> Self {
        let text = lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        let schema = Self::any().with("title", title).with("description", text).with("type", "object");
        schema.with("properties", Self::any()).with("required", Vec::new()).with("additionalProperties", false)
    }

    #[must_use]
    pub fn with(mut self, keyword: &'static str, value: impl Into<Json>) -> Self {
        let value = value.into();
        match self.get_mut(keyword) {
            Some(known) => *known = value,
            None => self.0.push((keyword, value)),
        }
        self
    }

    /// Adds a property of a type.
    #[must_use]
    pub fn property<T: Described>(self, name: &'static str, text: &'static str) -> Self {
        let mut object = self.optional(name, T::schema(), text);
        if let (false, Some(Json::List(names))) = (T::OPTIONAL, object.get_mut("required")) {
            names.push(name.into());
        }
        object
    }

    /// Adds a property that may be missing.
    #[must_use]
    pub fn optional(mut self, name: &'static str, schema: Self, text: &'static str) -> Self {
        if let Some(Json::Object(properties)) = self.get_mut("properties") {
            properties.0.push((name, schema.with("description", text).into()));
        }
        self
    }

    /// The same value, or `null`.
    #[must_use]
    pub fn or_null(self) -> Self {
        Self::any().with("anyOf", vec![self.into(), Self::of("null").into()])
    }

    /// The schema of one property of an object.
    pub fn property_schema(&self, name: &str) -> Option<&Self> {
        match self.get("properties") {
            Some(Json::Object(properties)) => match properties.get(name) {
                Some(Json::Object(schema)) => Some(schema),
                _ => None,
            },
            _ => None,
        }
    }

    pub fn get(&self, keyword: &str) -> Option<&Json> {
        self.0.iter().find(|(known, _)| *known == keyword).map(|(_, value)| value)
    }

    fn get_mut(&mut self, keyword: &str) -> Option<&mut Json> {
        self.0.iter_mut().find(|(known, _)| *known == keyword).map(|(_, value)| value)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(members) => members.serialize(serializer),
        }
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(keyword, value)| (keyword, value)))
    }
}

macro_rules! schemas {
    ($($type:ty => $schema:expr;)*) => {$(
        impl Described for $type {
            fn schema() -> Schema {
                $schema
            }
        }
    )*};
}

schemas! {
    bool => Schema::of("boolean");
    u16 => Schema::whole(0, u16::MAX.into());
    u32 => Schema::whole(0, u32::MAX.into());
    u64 => Schema::of("integer").with("minimum", 0);
    i64 => Schema::of("integer");
    String => Schema::of("string");
    PathBuf => Schema::of("string");
    IpAddr => Schema::of("string");
    &RawValue => Schema::any();
}

macro_rules! json_from {
    ($($from:ty => |$value:ident| $json:expr;)*) => {$(
        impl From<$from> for Json {
            fn from($value: $from) -> Self {
                $json
            }
        }
    )*};
}

json_from! {
    bool => |value| Self::Flag(value);
    i64 => |value| Self::Number(value);
    &'static str => |value| Self::Text(value.into());
    String => |value| Self::Text(value.into());
    Vec<Json> => |value| Self::List(value);
    Schema => |value| Self::Object(value);
}
