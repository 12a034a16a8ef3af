//! Objects within an answer, and lists of them. Members that are not known are passed over: the server may be newer. It knows no call.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::values::code;
use crate::json_object::schema::{list, open};
use crate::json_object::{Described, FieldValue, Members, Problem, RequestBody, Schema};
use crate::wire::roster::GroupEntry;

/// Groups of one answer, and postings of one page: more do not fit into the largest answer.
pub const ANSWER_ROWS_MAX: usize = 20_000;

/// An object within an answer.
pub struct StatedRow<T>(pub T);

impl<T: RequestBody> Described for StatedRow<T> {
    fn schema() -> Schema {
        open(&T::schema())
    }
}

impl<T: RequestBody> FieldValue for StatedRow<T> {
    const MISSING: &'static str = "is missing";

    fn read(raw: &RawValue) -> Result<Self, Problem> {
        read_row(raw.get()).map(Self).map_err(Cow::Owned)
    }
}

/// Objects within an answer, each read by itself: one that cannot be read leaves the others readable.
pub struct StatedRows<T>(pub Vec<Result<T, UnreadRow>>);

/// An object that is not what it must be: what is wrong with it, and the object as it was stated.
#[derive(Debug)]
pub struct UnreadRow {
    pub problem: String,
    pub stated: Box<RawValue>,
}

impl<T: RequestBody> Described for StatedRows<T> {
    fn schema() -> Schema {
        list(&StatedRow::<T>::schema())
    }
}

impl<T: RequestBody> FieldValue for StatedRows<T> {
    const MISSING: &'static str = "is missing";

    fn read(raw: &RawValue) -> Result<Self, Problem> {
        let unread = |row: &RawValue, problem| UnreadRow { problem, stated: row.to_owned() };
        let read = |row: &RawValue| read_row(row.get()).map_err(|problem| unread(row, problem));
        Ok(Self(rows(raw)?.into_iter().map(read).collect()))
    }
}

fn rows(raw: &RawValue) -> Result<Vec<&RawValue>, Problem> {
    let rows: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| Cow::Borrowed("must be an array"))?;
    match rows.len() {
        0..=ANSWER_ROWS_MAX => Ok(rows),
        _ => Err(Cow::Owned(format!("has more than {ANSWER_ROWS_MAX} rows"))),
    }
}

/// The groups, each read by itself: one in a currency that the cashier does not know leaves the others readable. The error names it.
pub struct StatedGroups(pub Vec<Result<GroupEntry, String>>);

impl Described for StatedGroups {
    fn schema() -> Schema {
        list(&StatedRow::<GroupEntry>::schema())
    }
}

impl FieldValue for StatedGroups {
    const MISSING: &'static str = "is missing";

    fn read(raw: &RawValue) -> Result<Self, Problem> {
        let named = |at: usize, row: &RawValue| {
            let members: Option<Members<'_>> = serde_json::from_str(row.get()).ok();
            let name = members.and_then(|members| members.get("group").and_then(|name| code(name.get())));
            name.map_or_else(|| format!("[{at}]"), |name| format!("group {name}"))
        };
        let read = |(at, row): (usize, &&RawValue)| {
            read_row(row.get()).map_err(|problem| format!("{}: {problem}", named(at, row)))
        };
        Ok(Self(rows(raw)?.iter().enumerate().map(read).collect()))
    }
}

fn read_row<T: RequestBody>(json: &str) -> Result<T, String> {
    let members: Members<'_> = serde_json::from_str(json).map_err(|_| "must be an object".to_owned())?;
    read_known(members)
}

/// Reads an object of which only the known members matter.
pub fn read_known<T: RequestBody>(mut members: Members<'_>) -> Result<T, String> {
    if members.repeated().is_some() {
        return Err("has a member twice".to_owned());
    }
    let mut first = None;
    let read = T::take_from(&mut members, &mut |name, problem| {
        first.get_or_insert_with(|| format!("{name} {problem}"));
    });
    first.map_or_else(|| read.ok_or_else(|| "is not readable".to_owned()), Err)
}
