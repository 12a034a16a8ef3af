//! Takes the fields of a JSON object one by one, by name, so that what is missing, wrong, doubled or unknown is refused
//! by its name. Numbers are read from their text; nothing passes through a float.

use std::ops::RangeInclusive;

use cashier_core::ids::ID_MAX;
use cashier_core::lengths::CODE_LENGTH_MAX;
use cashier_core::money::{Currency, Limit, Money};
use cashier_core::refusal::Refusal;
use cashier_core::time::UnixTime;
use serde_json::value::RawValue;

use crate::members::Members;
use crate::wire::object_text;

/// Fields of one object: twice the largest published record (25), so that a full row with additions still fits.
const FIELDS_MAX: usize = 64;

/// Latest moment accepted, 9999-12-31: beyond it calendars of clients break.
const TIME_MAX: i64 = 253_402_300_799;

/// The fields of an object that were not taken yet.
pub struct Fields<'a> {
    entries: Vec<(String, &'a RawValue)>,
}

impl<'a> Fields<'a> {
    /// Reads the outer shape of an object; values are read when taken. `what` names it in the refusal.
    pub fn parse(json: &'a [u8], what: &str) -> Result<Self, Refusal> {
        let fields = Self::parse_open(json, what)?;
        if fields.entries.len() > FIELDS_MAX {
            return Err(Refusal::invalid(format!("{what} has more than {FIELDS_MAX} fields")));
        }
        Ok(fields)
    }

    /// Reads an object whose field names are not ours; its number of fields is bounded by the text's own limit.
    pub fn parse_open(json: &'a [u8], what: &str) -> Result<Self, Refusal> {
        let Members(entries): Members<'a> = serde_json::from_slice(json).map_err(|error| {
            if error.is_data() {
                Refusal::invalid(format!("{what} must be a JSON object"))
            } else {
                Refusal::invalid(format!("{what} is not valid JSON at line {} column {}", error.line(), error.column()))
            }
        })?;
        let mut names: Vec<&str> = entries.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        if let Some(doubled) = names.windows(2).find_map(|pair| pair.first().filter(|first| pair.last() == Some(first)))
        {
            return Err(Refusal::invalid(format!("{} is given twice", shown(doubled))));
        }
        Ok(Self { entries })
    }

    /// The value as written; `null` counts as omitted.
    pub fn value(&mut self, name: &str) -> Option<&'a RawValue> {
        let place = self.entries.iter().position(|(known, _)| known == name)?;
        let (_, value) = self.entries.swap_remove(place);
        (value.get() != "null").then_some(value)
    }

    /// A string of at most `length_max` bytes without control characters other than line ends and tabs.
    pub fn text(&mut self, name: &str, length_max: usize) -> Result<Option<Box<str>>, Refusal> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let text: String =
            serde_json::from_str(value.get()).map_err(|_| Refusal::invalid(format!("{name} must be a string")))?;
        if text.len() > length_max {
            return Err(Refusal::invalid(format!("{name} is longer than {length_max} bytes")));
        }
        if text.chars().any(|letter| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t')) {
            return Err(Refusal::invalid(format!("{name} holds control characters")));
        }
        Ok(Some(text.into_boxed_str()))
    }

    /// A code: at most 64 bytes, on one line, no blanks at its ends.
    pub fn code(&mut self, name: &str) -> Result<Option<Box<str>>, Refusal> {
        self.code_within(name, CODE_LENGTH_MAX)
    }

    /// A code of another length.
    pub fn code_within(&mut self, name: &str, length_max: usize) -> Result<Option<Box<str>>, Refusal> {
        let text = self.text(name, length_max)?;
        if text.as_deref().is_some_and(|text| text.chars().any(char::is_control) || text.trim() != text) {
            return Err(Refusal::invalid(format!("{name} must be one line without blanks around it")));
        }
        Ok(text)
    }

    /// A whole number within a range.
    pub fn whole(&mut self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let read = value.get().parse().ok().filter(|number| range.contains(number));
        let (least, most) = range.into_inner();
        read.map(Some).ok_or_else(|| Refusal::invalid(format!("{name} must be a whole number from {least} to {most}")))
    }

    /// An id; 0 is "none" wherever the wire allows it.
    pub fn id(&mut self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let read = value.get().parse().ok().filter(|id| *id <= ID_MAX);
        read.map(Some).ok_or_else(|| Refusal::invalid(format!("{name} must be a whole number that is an id")))
    }

    /// An id that must be there and not 0.
    pub fn id_required(&mut self, name: &str) -> Result<u64, Refusal> {
        self.id(name)?.filter(|id| *id > 0).ok_or_else(|| missing(name))
    }

    /// 0 or 1.
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, Refusal> {
        Ok(self.whole(name, 0..=1)?.map(|flag| flag == 1))
    }

    /// Unix seconds, 0 for unset.
    pub fn time(&mut self, name: &str) -> Result<Option<UnixTime>, Refusal> {
        Ok(self.whole(name, 0..=TIME_MAX)?.map(UnixTime))
    }

    /// A known currency by its code.
    pub fn currency(&mut self, name: &str) -> Result<Option<Currency>, Refusal> {
        let Some(code) = self.code(name)? else { return Ok(None) };
        let known = Currency::from_code(&code);
        known.map(Some).ok_or_else(|| Refusal::invalid(format!("{name} {} is not a known currency", shown(&code))))
    }

    /// A positive amount of a currency, from the number's own text.
    pub fn amount(&mut self, name: &str, currency: Currency) -> Result<Option<Money>, Refusal> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let money = Money::parse_positive(value.get(), currency);
        money.map(Some).map_err(|error| Refusal::invalid(format!("{name} {error}")))
    }

    /// A limit: a plain decimal of at most eight decimals; 0 is none.
    pub fn limit(&mut self, name: &str) -> Result<Option<Limit>, Refusal> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let limit = Limit::parse(value.get());
        limit.map(Some).map_err(|error| Refusal::invalid(format!("{name} {error}")))
    }

    /// A JSON object written as a string; `""` is the empty object.
    pub fn object_text(&mut self, name: &str, length_max: usize) -> Result<Option<Box<str>>, Refusal> {
        let Some(text) = self.text(name, length_max)? else { return Ok(None) };
        if text.is_empty() {
            return Ok(Some(object_text::EMPTY.into()));
        }
        object_text::check(&text, name)?;
        Ok(Some(text))
    }

    /// Lets a field pass unread: clients that send a whole row back send its read-only fields too.
    pub fn ignore(&mut self, names: &[&str]) {
        self.entries.retain(|(known, _)| !names.contains(&&**known));
    }

    /// Names of the fields that were not taken, for objects whose fields are open.
    pub fn rest(self) -> Vec<(String, &'a RawValue)> {
        self.entries
    }

    /// Refuses whatever was not taken.
    pub fn finish(self) -> Result<(), Refusal> {
        match self.entries.first() {
            None => Ok(()),
            Some((name, _)) => Err(Refusal::invalid(format!("{} is not a field of this request", shown(name)))),
        }
    }
}

/// The refusal of a required field that is not there, or is empty.
pub fn missing(name: &str) -> Refusal {
    Refusal::invalid(format!("{name} is required"))
}

/// Text of the asker's as it is shown back: short, on one line.
pub fn shown(text: &str) -> String {
    /// Enough to recognise a name by; a refusal must not become a mirror for a whole body.
    const SHOWN_MAX: usize = 64;
    let plain = text.chars().map(|letter| if letter.is_control() { '?' } else { letter });
    plain.take(SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said<T>(result: Result<T, Refusal>) -> String {
        result.map_or_else(|refusal| refusal.to_string(), |_| "fine".into())
    }

    #[test]
    fn what_is_no_object_is_refused_with_its_place() {
        let deep = "[".repeat(100_000);
        let many = format!("{{{}}}", (0..65).map(|n| format!("\"f{n}\":1")).collect::<Vec<_>>().join(","));
        let table: &[(&[u8], &str)] = &[
            (b"", "INVALID_DATA: body is not valid JSON at line 1 column 0"),
            (b"{", "INVALID_DATA: body is not valid JSON at line 1 column 1"),
            (b"{\"a\":1}x", "INVALID_DATA: body is not valid JSON at line 1 column 8"),
            (b"\xef\xbb\xbf{}", "INVALID_DATA: body is not valid JSON at line 1 column 1"),
            (b"[]", "INVALID_DATA: body must be a JSON object"),
            (b"\"{}\"", "INVALID_DATA: body must be a JSON object"),
            (b"{\"a\":1,\"a\":2}", "INVALID_DATA: a is given twice"),
            (b"{\"a\":1,\"\\u0061\":2}", "INVALID_DATA: a is given twice"),
            (many.as_bytes(), "INVALID_DATA: body has more than 64 fields"),
            (b"{\"a\":null}", "fine"),
        ];
        for (json, expected) in table {
            assert_eq!(said(Fields::parse(json, "body")), *expected, "{}", String::from_utf8_lossy(json));
        }
        assert_ne!(said(Fields::parse(deep.as_bytes(), "body")), "fine");
        assert_ne!(said(Fields::parse(b"{\"a\":\"\xff\"}", "body")), "fine");
    }

    #[test]
    fn each_kind_of_value_is_taken_exactly_or_refused_by_name() {
        let usd = Currency::from_code("USD").unwrap();
        let take = |json: &str, kind: &str| {
            let json = format!("{{\"x\":{json}}}");
            let mut fields = Fields::parse(json.as_bytes(), "body").unwrap();
            match kind {
                "id" => fields.id("x").map(|read| format!("{read:?}")),
                "id*" => fields.id_required("x").map(|read| format!("{read:?}")),
                "flag" => fields.flag("x").map(|read| format!("{read:?}")),
                "code" => fields.code("x").map(|read| format!("{read:?}")),
                "usd" => fields.amount("x", usd).map(|read| format!("{read:?}")),
                "limit" => fields.limit("x").map(|read| format!("{:?}", read.map(Limit::to_wire))),
                "object" => fields.object_text("x", 16).map(|read| format!("{read:?}")),
                _ => unreachable!(),
            }
            .unwrap_or_else(|refusal| refusal.message)
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

    #[test]
    fn what_nobody_took_is_refused_by_name() {
        let mut fields = Fields::parse(b"{\"a\":1,\"success_ulr\":\"x\"}", "body").unwrap();
        fields.ignore(&["a"]);
        assert_eq!(said(fields.finish()), "INVALID_DATA: success_ulr is not a field of this request");
    }
}
