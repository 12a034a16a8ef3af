//! JSON objects by description: one table per type names its fields, and from it come the serde type, the reader whose
//! sentences name the offending field, the writer and the JSON Schema (docs/decisions/0007). It knows no type of the
//! wire, of an import file or of the settings; those declare theirs with [`request!`], [`answer!`] and [`described!`].

pub mod schema;
pub(crate) mod text;
#[cfg(test)]
pub(crate) mod validation;

use std::borrow::Cow;
use std::fmt;

use cashier_core::card_data::masked;
use cashier_core::printable::is_obeyed;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq};
use serde_json::value::RawValue;

pub use schema::{Described, FieldLine, Object, Schema};

/// What is wrong with a value, as it stands behind the name of its field.
pub type Problem = Cow<'static, str>;

/// Takes the name of a field and its problem.
pub type ProblemSink<'r> = &'r mut dyn FnMut(&str, Problem);

/// A kind of value that a field of a request may hold.
pub trait FieldValue: Described + Sized {
    /// The problem of a required field that is not given.
    const MISSING: &'static str = "is required";

    /// Reads the value from its own text.
    fn read(raw: &RawValue) -> Result<Self, Problem>;

    /// The value, unless it stands for none.
    fn given(self) -> Option<Self> {
        Some(self)
    }
}

/// A field of a request: `T` is required, `Option<T>` is not.
pub trait RequestField: Described + Sized {
    fn fill(raw: Option<&RawValue>) -> Result<Self, Problem>;
}

impl<T: FieldValue> RequestField for T {
    fn fill(raw: Option<&RawValue>) -> Result<Self, Problem> {
        <Option<T>>::fill(raw)?.ok_or(Cow::Borrowed(T::MISSING))
    }
}

impl<T: FieldValue> RequestField for Option<T> {
    fn fill(raw: Option<&RawValue>) -> Result<Self, Problem> {
        let raw = raw.filter(|raw| raw.get() != "null");
        Ok(raw.map(T::read).transpose()?.and_then(T::given))
    }
}

/// An object that is read field by field, in the order of its table.
pub trait RequestBody: Described + Sized {
    /// Takes its fields out of the members and reports every problem; `None` when there was one.
    fn take_from(members: &mut Members<'_>, report: ProblemSink<'_>) -> Option<Self>;
}

/// An answer that is a record: an object, and a row of a table.
pub trait Record: Object + Serialize {
    fn columns() -> impl Iterator<Item = &'static FieldLine> {
        Self::FIELDS.iter().filter(|field| field.is_column)
    }

    fn write_cells<S: SerializeSeq>(&self, row: &mut S) -> Result<(), S::Error>;
}

/// The members of a JSON object as they were written: in their order, repeated names included, each value as its own
/// text.
pub struct Members<'a>(pub Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Takes a field; a problem is reported under its name.
    pub fn take<T: RequestField>(&mut self, name: &str, report: ProblemSink<'_>) -> Option<T> {
        let place = self.0.iter().position(|(known, _)| known == name);
        let raw = place.map(|place| self.0.remove(place).1);
        T::fill(raw).map_err(|problem| report(name, problem)).ok()
    }

    /// A name that is given more than once.
    pub fn repeated(&self) -> Option<&str> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        names.windows(2).find_map(|pair| pair.first().filter(|first| pair.last() == Some(first)).copied())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(ObjectVisitor).map(Self)
    }
}

/// Reads a request from its members, all of which must be its own; the error is the first problem.
pub fn read_members<T: RequestBody>(mut members: Members<'_>) -> Result<T, String> {
    let mut first = None;
    let read = T::take_from(&mut members, &mut |name, problem| {
        first.get_or_insert_with(|| format!("{name} {problem}"));
    });
    match (first, members.0.first()) {
        (None, None) => read.ok_or_else(|| "is not readable".to_owned()),
        (Some(problem), _) => Err(problem),
        (None, Some((name, _))) => Err(format!("{} is not a field of this request", shown(name))),
    }
}

/// serde's way in, from JSON text alone, because values are read from their own text.
pub fn deserialize<'de, T: RequestBody, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let members = Members::deserialize(deserializer)?;
    match members.repeated() {
        Some(name) => Err(D::Error::custom(format!("{} is given twice", shown(name)))),
        None => read_members(members).map_err(D::Error::custom),
    }
}

/// Text of a client's as it is shown back: short, on one line.
pub fn shown(text: &str) -> String {
    /// Enough to recognise a name by; a refusal must not become a mirror for a whole body.
    const SHOWN_MAX: usize = 64;
    let short: String = text.chars().take(SHOWN_MAX).collect();
    // An integrator's mistake may have a card number in any place.
    masked(&short).chars().map(|character| if is_obeyed(character) { '?' } else { character }).collect()
}

/// The name of a field on the wire: the one given with `as`, else its own.
macro_rules! wire_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $name:literal) => {
        $name
    };
}

macro_rules! is_column {
    () => {
        false
    };
    (column) => {
        true
    };
}

/// Declares newtypes: what a value holds, its schema, how its text is read, and what else of [`FieldValue`] it sets.
macro_rules! values {
    ($($(#[$meta:meta])* $name:ident$(<$max:ident>)?($inner:ty), $schema:expr, |$raw:ident| $read:expr $(, {$($more:tt)*})?;)*) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name$(<const $max: usize>)?(pub $inner);

        impl$(<const $max: usize>)? $crate::json_object::Described for $name$(<$max>)? {
            fn schema() -> $crate::json_object::Schema {
                $schema
            }
        }

        impl$(<const $max: usize>)? $crate::json_object::FieldValue for $name$(<$max>)? {
            fn read($raw: &serde_json::value::RawValue) -> Result<Self, $crate::json_object::Problem> {
                $read.map(Self)
            }

            $($($more)*)?
        }

        impl$(<const $max: usize>)? From<$name$(<$max>)?> for $inner {
            fn from(value: $name$(<$max>)?) -> Self {
                value.0
            }
        }
    )*};
}

/// Declares a struct and describes it: `field: Type, "description";`.
macro_rules! described {
    ($(#[doc = $doc:literal])+ [$($attribute:meta),*]
    $vis:vis struct $name:ident<$($lt:lifetime)? $($param:ident: $bound:path)?> {
        $($(#[$meta:meta])* $field:ident $(as $wire:literal)?: $type:ty, $text:literal $(, $column:ident)?;)*
    }) => {
        $(#[doc = $doc])+
        $(#[$attribute])*
        $vis struct $name<$($lt)? $($param: $bound)?> { $(#[doc = $text] $(#[$meta])* pub $field: $type,)* }

        impl<$($lt)? $($param: $bound)?> $crate::json_object::Object for $name<$($lt)? $($param)?> {
            const TITLE: &'static str = stringify!($name);
            const LINES: &'static [&'static str] = &[$($doc),+];
            const FIELDS: &'static [$crate::json_object::FieldLine] = &[$($crate::json_object::FieldLine::of::<$type>(
                $crate::json_object::wire_name!($field $($wire)?), $text, $crate::json_object::is_column!($($column)?),
            ),)*];
        }
    };
}

/// Declares requests: structs that are read through their table, from members or by serde. They may hold secrets, so they
/// have no Debug.
macro_rules! request {
    ($($(#[doc = $doc:literal])+ $vis:vis struct $name:ident {
        $($field:ident $(as $wire:literal)?: $type:ty, $text:literal;)*
    })+) => {$(
        $crate::json_object::described! {
            $(#[doc = $doc])+ [] $vis struct $name<> { $($field $(as $wire)?: $type, $text;)* }
        }

        impl $crate::json_object::RequestBody for $name {
            #[allow(unused_variables, reason = "an object may have no fields")]
            fn take_from(
                members: &mut $crate::json_object::Members<'_>,
                report: $crate::json_object::ProblemSink<'_>,
            ) -> Option<Self> {
                $(let $field = members.take::<$type>($crate::json_object::wire_name!($field $($wire)?), report);)*
                Some(Self { $($field: $field?,)* })
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::json_object::deserialize(deserializer)
            }
        }
    )+};
}

/// Declares answers: structs with what they are made from, and how each field follows from it:
/// `field: Type = value, "description";`. A field that is `None` is left out; one marked `column` stands in the
/// record's table.
macro_rules! answer {
    ($($(#[doc = $doc:literal])+
    $vis:vis struct $name:ident<$($lt:lifetime)? $($param:ident: $bound:path)?>($($arg:ident: $arg_type:ty),*) {
        $($field:ident $(as $wire:literal)?: $type:ty = $value:expr, $text:literal $(, $column:ident)?;)*
    })+) => {$(
        $crate::json_object::described! {
            $(#[doc = $doc])+ [derive(serde::Serialize), serde(bound = "")]
            $vis struct $name<$($lt)? $($param: $bound)?> {$(
                #[serde(skip_serializing_if = "crate::json_object::Described::is_absent")] $(#[serde(rename = $wire)])?
                $field $(as $wire)?: $type, $text $(, $column)?;
            )*}
        }

        impl<$($lt)? $($param: $bound)?> $name<$($lt)? $($param)?> {
            #[allow(clippy::new_without_default, reason = "an answer made from nothing is a constant, not a default")]
            pub fn new($($arg: $arg_type),*) -> Self {
                Self { $($field: $value,)* }
            }
        }

        impl<$($lt)? $($param: $bound)?> $crate::json_object::Record for $name<$($lt)? $($param)?> {
            #[allow(unused_variables, reason = "a record may have no columns")]
            fn write_cells<S: serde::ser::SerializeSeq>(&self, row: &mut S) -> Result<(), S::Error> {
                $($(
                    let _: &str = stringify!($column);
                    row.serialize_element(&self.$field)?;
                )?)*
                Ok(())
            }
        }
    )+};
}

pub(crate) use {answer, described, is_column, request, values, wire_name};
