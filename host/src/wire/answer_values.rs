//! The values of answers: those shared with requests as they are written, exact amounts, stored objects, what is not
//! known yet, and lists of records as objects or as a table. It knows no record.

use std::iter::Empty;

use cashier_core::customer_override::OverrideMode;
use cashier_core::money::Money;
use cashier_core::status::{
    OperationCmd, OperationReason, OperationStatus, ProcessingStatus, SignatureStatus, Source, TransactionStatus,
    TransactionType,
};
use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use crate::json_object::schema::{either, kind, list, schemas, tuple};
use crate::json_object::{Described, Record, answer};
use crate::wire::values::{DecimalText, Flag, Id, LimitAmount, Numbered, PublishedNumber, Time};

/// An exact amount, written as a number.
pub struct ExactAmount(pub Money);

/// A JSON object from its stored text; without any, the empty object.
pub struct StoredObject<'a>(pub &'a str);

/// What is not known yet is `null`.
pub struct OrNull<T>(pub Option<T>);

/// Records that are made as they are written, so that a page of them is not held twice.
pub struct Each<I>(I);

/// The same as the rows of a table.
pub struct EachRow<I>(I);

/// Records alone, as a list of objects.
pub fn rows<I: Records>(records: I) -> Each<I> {
    Each(records)
}

/// The same as rows of a table.
pub fn table_rows<I: Records>(records: I) -> EachRow<I> {
    EachRow(records)
}

/// A record's columns alone.
struct Cells<T>(T);

/// What an [`Each`] goes through.
pub trait Records: Iterator<Item: Record> + Clone {}

impl<I: Iterator<Item: Record> + Clone> Records for I {}

answer! {
    /// A page of records, and how many match in all.
    pub struct Listing<I: Records>(records: I, count: u64) {
        rows: Each<I> = Each(records), "records of this page";
        count: u64 = count, "matching records before pagination";
    }

    /// A page of records as a table, and how many match in all.
    pub struct TableForm<I: Records>(records: I, count: u64) {
        structure: Vec<&'static str> = I::Item::columns().map(|column| column.name).collect(), "names of the columns";
        rows: EachRow<I> = EachRow(records), "records of this page, each as an array in the order of the columns";
        count: u64 = count, "matching records before pagination";
    }
}

/// A listing and a table of records of one type, for their schemas.
pub type ListingOf<T> = Listing<Empty<T>>;
pub type TableOf<T> = TableForm<Empty<T>>;

schemas! {
    ExactAmount => kind("number");
    StoredObject<'_> => kind("object");
    OrNull<T> [T: Described] => either(&T::schema(), &kind("null"));
    Each<I> [I: Records] => list(&I::Item::schema());
    EachRow<I> [I: Records] => list(&tuple(&I::Item::columns().map(|column| (column.schema)()).collect::<Vec<_>>()));
}

macro_rules! written {
    ($($type:ty $([$param:ident: $bound:path])?: |$value:ident, $serializer:ident| $write:expr;)*) => {$(
        impl$(<$param: $bound>)? Serialize for $type {
            fn serialize<S: Serializer>(&self, $serializer: S) -> Result<S::Ok, S::Error> {
                let Self($value) = self;
                $write
            }
        }
    )*};
}

written! {
    Id: |id, serializer| serializer.serialize_u64(*id);
    Flag: |flag, serializer| serializer.serialize_u8(u8::from(*flag));
    Time: |time, serializer| serializer.serialize_i64(time.0);
    Numbered<E> [E: PublishedNumber]: |value, serializer| serializer.serialize_u8(value.published());
    DecimalText: |text, serializer| number(text, serializer);
    ExactAmount: |money, serializer| number(&money.to_wire(), serializer);
    LimitAmount: |limit, serializer| number(&limit.to_wire(), serializer);
    StoredObject<'_>: |text, serializer| match serde_json::from_str::<&RawValue>(text) {
        Ok(object) => object.serialize(serializer),
        Err(_) => serializer.serialize_map(Some(0))?.end(),
    };
    OrNull<T> [T: Serialize]: |value, serializer| value.serialize(serializer);
    Each<I> [I: Records]: |records, serializer| serializer.collect_seq(records.clone());
    EachRow<I> [I: Records]: |records, serializer| serializer.collect_seq(records.clone().map(Cells));
    Cells<T> [T: Record]: |record, serializer| {
        let mut row = serializer.serialize_seq(None)?;
        record.write_cells(&mut row)?;
        row.end()
    };
}

/// Writes a number by its own text.
fn number<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serde_json::from_str::<&RawValue>(text).map_err(S::Error::custom)?.serialize(serializer)
}

macro_rules! published {
    ($($type:ident)*) => {$(
        impl PublishedNumber for $type {
            const VALUES: &'static [Self] = Self::ALL;

            fn published(self) -> u8 {
                self.number()
            }
        }
    )*};
}

published! {
    OperationCmd OperationReason OperationStatus OverrideMode ProcessingStatus SignatureStatus Source TransactionStatus
    TransactionType
}
