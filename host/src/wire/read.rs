//! Reads a request from JSON text by its description, so that what is missing, wrong, doubled or unknown is refused by
//! its name. Numbers are read from their text; nothing passes through a float.

use cashier_core::refusal::Refusal;

pub use crate::json_object::shown;
use crate::json_object::{Members, Problem, RequestBody, read_members};
use crate::text_file;

/// Fields of one object: twice the largest published record (25), so that a full row with additions still fits.
const FIELDS_MAX: usize = 64;

/// Reads a whole request. `what` names its text in the refusal.
pub fn read<T: RequestBody>(json: &[u8], what: &str) -> Result<T, Refusal> {
    read_members(parse(json, what)?).map_err(Refusal::invalid)
}

/// Reads the outer shape of an object; values are read when taken.
pub fn parse<'a>(json: &'a [u8], what: &str) -> Result<Members<'a>, Refusal> {
    let json = text_file::without_mark(json).map_err(|problem| Refusal::invalid(format!("{what} {problem}")))?;
    let members = members(json).map_err(|problem| Refusal::invalid(format!("{what} {problem}")))?;
    if let Some(doubled) = members.repeated() {
        return Err(Refusal::invalid(format!("{} is given twice", shown(doubled))));
    }
    if members.0.len() > FIELDS_MAX {
        return Err(Refusal::invalid(format!("{what} has more than {FIELDS_MAX} fields")));
    }
    Ok(members)
}

/// Reads a text that must be one JSON object without doubled keys; their number is bounded by the text's own limit.
pub fn check(text: &str) -> Result<Members<'_>, Problem> {
    let members = members(text.as_bytes())?;
    match members.repeated() {
        Some(doubled) => Err(format!("holds {} twice", shown(doubled)).into()),
        None => Ok(members),
    }
}

fn members(json: &[u8]) -> Result<Members<'_>, Problem> {
    serde_json::from_slice(json).map_err(|error| match error.is_data() {
        true => Problem::Borrowed("must be a JSON object"),
        false => format!("is not valid JSON at line {} column {}", error.line(), error.column()).into(),
    })
}

/// The refusal of a required field that is not there, or is empty.
pub fn missing(name: &str) -> Refusal {
    Refusal::invalid(format!("{name} is required"))
}
#[cfg(test)]
mod tests {
    use std::fmt;

    use cashier_core::money::Currency;

    use super::*;
    use crate::json_object::{RequestField, request};
    use crate::wire::values::{Code, DecimalText, Flag, Id, LimitAmount, LoginId, ObjectText, ReadOnly};

    fn message<T>(result: Result<T, Refusal>) -> String {
        result.map_or_else(|refusal| refusal.to_string(), |_| "fine".into())
    }

    #[test]
    fn i4_a_body_may_begin_with_a_byte_order_mark() {
        for body in ["\u{feff}{\"a\":1}", "\u{feff}\r\n{\"a\":1}\r\n", "{\"a\":1}\n"] {
            let members = parse(body.as_bytes(), "body").unwrap();
            assert_eq!(members.get("a").unwrap().get(), "1", "{body:?}");
        }
    }

    #[test]
    fn text_that_is_not_an_object_is_refused_with_its_position() {
        let deep = "[".repeat(100_000);
        let many = format!("{{{}}}", (0..65).map(|n| format!("\"f{n}\":1")).collect::<Vec<_>>().join(","));
        let table: &[(&[u8], &str)] = &[
            (b"", "INVALID_DATA: body is not valid JSON at line 1 column 0"),
            (b"{", "INVALID_DATA: body is not valid JSON at line 1 column 1"),
            (b"\xef\xbb\xbf{", "INVALID_DATA: body is not valid JSON at line 1 column 1"),
            (b"\xff\xfe{\0", "INVALID_DATA: body begins with a UTF-16 byte order mark: save it as UTF-8"),
            (b"{\"a\":1}x", "INVALID_DATA: body is not valid JSON at line 1 column 8"),
            (b"[]", "INVALID_DATA: body must be a JSON object"),
            (b"\"{}\"", "INVALID_DATA: body must be a JSON object"),
            (b"{\"a\":1,\"a\":2}", "INVALID_DATA: a is given twice"),
            (b"{\"a\":1,\"\\u0061\":2}", "INVALID_DATA: a is given twice"),
            (many.as_bytes(), "INVALID_DATA: body has more than 64 fields"),
            (b"{\"a\":null}", "fine"),
        ];
        for (json, expected) in table {
            assert_eq!(message(parse(json, "body")), *expected, "{}", String::from_utf8_lossy(json));
        }
        assert_ne!(message(parse(deep.as_bytes(), "body")), "fine");
        assert_ne!(message(parse(b"{\"a\":\"\xff\"}", "body")), "fine");
    }

    #[test]
    fn each_kind_of_value_is_read_exactly_or_refused_by_name() {
        let usd = Currency::from_code("USD").unwrap();
        fn take<T: RequestField, S: fmt::Debug>(json: &str, value: impl Fn(T) -> Result<S, Refusal>) -> String {
            let json = format!("{{\"x\":{json}}}");
            let mut members = parse(json.as_bytes(), "body").unwrap();
            let mut problem = String::new();
            let read = members.take::<T>("x", &mut |name, what| problem = format!("{name} {what}"));
            let Some(read) = read else { return problem };
            value(read).map_or_else(|refusal| refusal.message, |value| format!("{value:?}"))
        }
        let take = |json: &str, kind: &str| match kind {
            "id" => take(json, |read: Option<Id>| Ok(read.map(|id| id.0))),
            "id*" => take(json, |read: LoginId| Ok(read.0)),
            "flag" => take(json, |read: Option<Flag>| Ok(read.map(|flag| flag.0))),
            "code" => take(json, |read: Option<Code<64>>| Ok(read.map(|code| code.0))),
            "usd" => take(json, |read: Option<DecimalText>| read.map(|amount| amount.of("x", usd)).transpose()),
            "limit" => take(json, |read: Option<LimitAmount>| Ok(read.map(|limit| limit.0.to_wire()))),
            "object" => take(json, |read: Option<ObjectText<16>>| Ok(read.map(|object| object.0))),
            _ => unreachable!(),
        };
        let table = [
            ("id", "15", "Some(15)"),
            ("id", "9007199254740992", "x must be a whole number that is an id"),
            ("id", "-1", "x must be a whole number that is an id"),
            ("id", "1.0", "x must be a whole number that is an id"),
            ("id", "1e3", "x must be a whole number that is an id"),
            ("id", "\"15\"", "x must be a whole number that is an id"),
            ("id", "null", "None"),
            ("id*", "0", "x is required"),
            ("flag", "1", "Some(true)"),
            ("flag", "true", "x must be a whole number from 0 to 1"),
            ("flag", "2", "x must be a whole number from 0 to 1"),
            ("code", "\"card\"", "Some(\"card\")"),
            ("code", "\" card\"", "x must be one line without blanks around it"),
            ("code", "\"a\\u0000\"", "x holds control characters"),
            ("code", "\"a\\u202eb\"", "x holds characters that cannot be seen"),
            ("code", "\"a\\u2066\"", "x holds characters that cannot be seen"),
            ("code", "\"a\\u009b\"", "x holds control characters"),
            ("code", "\"a\\u2028b\"", "x must be one line without blanks around it"),
            ("code", "\"\\ud800\"", "x must be a string"),
            ("code", "5", "x must be a string"),
            ("usd", "250.0", "Some(250.0 USD)"),
            ("usd", "250", "Some(250.0 USD)"),
            ("usd", "0.1000000000000000055", "x has more decimals than its currency"),
            ("usd", "2.5e2", "x is not a plain decimal number"),
            ("usd", "\"250.0\"", "x is not a plain decimal number"),
            ("usd", "0", "x must be greater than zero"),
            ("usd", "-5", "x must be greater than zero"),
            ("usd", "[1]", "x is not a plain decimal number"),
            ("limit", "25.50", "Some(\"25.5\")"),
            ("limit", "1e9", "x is not a plain decimal number"),
            ("object", "\"\"", "Some(\"{}\")"),
            ("object", "\"[1]\"", "x must be a JSON object"),
            ("object", "\"{\\\"a\\\":\\\"01234567890\\\"}\"", "x is longer than 16 bytes"),
            ("object", "{}", "x must be a string"),
        ];
        for (kind, json, expected) in table {
            assert_eq!(take(json, kind), expected, "{kind} {json}");
        }
    }

    request! {
        /// One field that passes unread.
        struct OneField { a: Option<ReadOnly>, "any"; }
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        assert!(read::<OneField>(b"{\"a\":1}", "body").unwrap().a.is_some());
        assert_eq!(
            message(read::<OneField>(b"{\"a\":1,\"success_ulr\":\"x\"}", "body")),
            "INVALID_DATA: success_ulr is not a field of this request"
        );
        let by_serde = serde_json::from_str::<OneField>("{\"success_ulr\":\"x\"}").err().unwrap().to_string();
        assert!(by_serde.starts_with("success_ulr is not a field of this request"), "{by_serde}");
    }
}
