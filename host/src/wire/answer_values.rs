//! The values of answers: those shared with requests as they are written, text, stored objects, what is not known yet, and
//! lists of records as objects or as a table. It knows no record.

use std::borrow::Cow;
use std::iter::Empty;
use std::marker::PhantomData;

use cashier_core::customer_override::OverrideMode;
use cashier_core::ids::{ConfigId, CustomerId, EventId, Login, ManagerId, OperationId, OverrideId, TransactionId};
use cashier_core::money::{Limit, Money};
use cashier_core::status::{
    OperationCmd, OperationReason, OperationStatus, ProcessingStatus, SignatureStatus, Source, TransactionStatus,
    TransactionType,
};
use cashier_core::time::UnixTime;
use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use crate::json_object::{Columns, Described, Schema, answer};
use crate::wire::values::{DecimalText, Flag, Id, LimitAmount, Numbered, PublishedNumber, Time};

/// An amount in an answer: an exact decimal, written as a number.
pub struct ExactAmount(Money);

/// Text in an answer.
pub struct Str<'a>(Cow<'a, str>);

/// A JSON object in an answer, from its stored text; none is the empty object.
pub struct StoredObject<'a>(&'a str);

/// What is not known yet is `null`.
pub struct OrNull<T>(pub Option<T>);

/// Records that are made as they are written, so that a page of them is not held twice.
pub struct Each<I>(I);

/// The same as the rows of a table.
pub struct EachRow<I>(I);

/// A record's values alone.
struct Cells<T>(T);

/// The names of a table's columns.
pub struct ColumnNames<I>(PhantomData<I>);

/// What an [`Each`] goes through.
pub trait Records: Iterator<Item: Columns + Serialize> + Clone {}

impl<I: Iterator<Item: Columns + Serialize> + Clone> Records for I {}

answer! {
    /// A page of records, and how many match in all.
    pub struct Listing<I: Records>(records: I, count: u64) {
        rows: Each<I> = Each(records), "the records of this page";
        count: u64 = count, "how many records match, before the page is taken";
    }

    /// A page of records as a table, and how many match in all.
    pub struct TableForm<I: Records>(records: I, count: u64) {
        structure: ColumnNames<I> = ColumnNames(PhantomData), "the columns in their order";
        rows: EachRow<I> = EachRow(records), "the records of this page, their values in the order of the columns";
        count: u64 = count, "how many records match, before the page is taken";
    }
}

/// A listing of records of one type, for its schema.
pub type ListingOf<T> = Listing<Empty<T>>;

/// A table of records of one type, for its schema.
pub type TableOf<T> = TableForm<Empty<T>>;

macro_rules! schemas {
    ($($type:ty $([$param:ident: $bound:path])? => $schema:expr;)*) => {$(
        impl$(<$param: $bound>)? Described for $type {
            fn schema() -> Schema {
                $schema
            }
        }
    )*};
}

schemas! {
    Str<'_> => Schema::of("string");
    ExactAmount => Schema::of("number");
    StoredObject<'_> => Schema::of("object");
    OrNull<T> [T: Described] => T::schema().or_null();
    Each<I> [I: Records] => Schema::list(I::Item::schema());
    EachRow<I> [I: Records] => Schema::list(row_schema::<I::Item>());
    ColumnNames<I> [I: Records] => Schema::tuple(I::Item::columns().map(|name| Schema::any().with("const", name)));
}

/// The schema of a record's columns as an array.
fn row_schema<T: Columns>() -> Schema {
    let record = T::schema();
    let cell = |name| record.property_schema(name).cloned().unwrap_or(Schema::any());
    Schema::tuple(T::columns().map(cell))
}

macro_rules! writers {
    ($($type:ty $([$param:ident: $bound:path])?: |$value:ident, $serializer:ident| $write:expr;)*) => {$(
        impl$(<$param: $bound>)? Serialize for $type {
            fn serialize<S: Serializer>(&self, $serializer: S) -> Result<S::Ok, S::Error> {
                let Self($value) = self;
                $write
            }
        }
    )*};
}

writers! {
    Id: |id, serializer| serializer.serialize_u64(*id);
    Flag: |flag, serializer| serializer.serialize_u8(u8::from(*flag));
    Time: |time, serializer| serializer.serialize_i64(time.0);
    Numbered<E> [E: PublishedNumber]: |value, serializer| serializer.serialize_u8(value.published());
    DecimalText: |text, serializer| number(text, serializer);
    ExactAmount: |money, serializer| number(&money.to_wire(), serializer);
    LimitAmount: |limit, serializer| number(&limit.to_wire(), serializer);
    Str<'_>: |text, serializer| serializer.serialize_str(text);
    StoredObject<'_>: |text, serializer| match serde_json::from_str::<&RawValue>(text) {
        Ok(object) => object.serialize(serializer),
        Err(_) => serializer.serialize_map(Some(0))?.end(),
    };
    OrNull<T> [T: Serialize]: |value, serializer| value.serialize(serializer);
    Each<I> [I: Records]: |records, serializer| serializer.collect_seq(records.clone());
    EachRow<I> [I: Records]: |records, serializer| serializer.collect_seq(records.clone().map(Cells));
    Cells<T> [T: Columns]: |record, serializer| {
        let mut row = serializer.serialize_seq(None)?;
        record.write_cells(&mut row)?;
        row.end()
    };
}

/// Writes a number by its own text.
fn number<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serde_json::from_str::<&RawValue>(text).map_err(S::Error::custom)?.serialize(serializer)
}

impl<I: Records> Serialize for ColumnNames<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(I::Item::columns())
    }
}

macro_rules! made_from {
    ($($from:ty => $type:ty: |$value:ident| $made:expr;)*) => {$(
        impl<'a> From<$from> for $type {
            fn from($value: $from) -> Self {
                Self($made)
            }
        }
    )*};
}

made_from! {
    &'a str => Str<'a>: |text| Cow::Borrowed(text);
    &'a Box<str> => Str<'a>: |text| Cow::Borrowed(text);
    Cow<'a, str> => Str<'a>: |text| text;
    &'a str => StoredObject<'a>: |text| text;
    &'a Box<str> => StoredObject<'a>: |text| text;
    bool => Flag: |flag| flag;
    UnixTime => Time: |time| time;
    Money => ExactAmount: |money| money;
    &'static str => DecimalText: |text| Cow::Borrowed(text);
    Limit => LimitAmount: |limit| limit;
    TransactionId => Id: |id| id.0;
    OperationId => Id: |id| id.0;
    EventId => Id: |id| id.0;
    ConfigId => Id: |id| id.0;
    OverrideId => Id: |id| id.0;
    CustomerId => Id: |id| id.0;
    ManagerId => Id: |id| id.0;
    Login => Id: |id| id.0;
}

macro_rules! numbered {
    ($($type:ident)*) => {$(
        impl PublishedNumber for $type {
            const VALUES: &'static [Self] = Self::ALL;

            fn published(self) -> u8 {
                self.number()
            }
        }

        impl From<$type> for Numbered<$type> {
            fn from(value: $type) -> Self {
                Self(value)
            }
        }
    )*};
}

numbered! {
    OperationCmd OperationReason OperationStatus OverrideMode ProcessingStatus SignatureStatus Source TransactionStatus
    TransactionType
}
