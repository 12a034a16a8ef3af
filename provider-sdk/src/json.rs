//! Reads a provider's JSON by JSON pointer, without panics. Null is the same as absent, and a field that cannot be read
//! (half of a surrogate pair, bytes that are not UTF-8, `NaN`, a key written twice, nesting beyond 64) fails where it is
//! needed and nowhere else: a customer's odd name must not make an amount unreadable.

use serde_json::Value;

use crate::money::json_text;
use crate::types::ProviderFailure;

mod lenient;

/// The JSON of a body; numbers keep the text they were sent in. [`HttpReply::json`](crate::HttpReply::json) and
/// [`WebhookNotice::json`](crate::WebhookNotice::json) call it.
///
/// # Errors
/// `UnreadableAnswer` with the offset at which the body stops being JSON. It does not quote the body, which may contain
/// secrets.
pub fn parse(body: &[u8]) -> Result<Value, ProviderFailure> {
    lenient::parse(body).map_err(|at| ProviderFailure::unreadable(format!("not JSON at byte {at} of {}", body.len())))
}

/// Readers for a [`Value`] of [`parse`]. Pointers follow RFC 6901, such as `/data/object/id`. Read every field that decides
/// about a payment by one that returns a `Result`.
pub trait JsonRead {
    /// The value at `pointer`, or null. A field that cannot be read is an object with an unusual key here.
    fn at(&self, pointer: &str) -> &Value;

    /// The value at `pointer`, or null.
    ///
    /// # Errors
    /// `UnreadableAnswer` with the pointer, if the value cannot be read.
    fn readable_at(&self, pointer: &str) -> Result<&Value, ProviderFailure>;

    /// The string at `pointer`; `None` if it is absent, empty or of another type.
    ///
    /// # Errors
    /// As [`JsonRead::readable_at`].
    fn text_at(&self, pointer: &str) -> Result<Option<&str>, ProviderFailure>;

    /// The string at `pointer`.
    ///
    /// # Errors
    /// `UnreadableAnswer` with the pointer, if it is absent, empty, of another type or cannot be read.
    fn required_text_at(&self, pointer: &str) -> Result<&str, ProviderFailure>;

    /// The string at `pointer`, or the number there as it was sent; `None` if it is absent, empty or of another type.
    ///
    /// # Errors
    /// As [`JsonRead::readable_at`].
    fn scalar_at(&self, pointer: &str) -> Result<Option<String>, ProviderFailure>;

    /// The flag at `pointer`; `None` if it is absent.
    ///
    /// # Errors
    /// `UnreadableAnswer` with the pointer, if it is of another type or cannot be read.
    fn flag_at(&self, pointer: &str) -> Result<Option<bool>, ProviderFailure>;

    /// The string at `pointer` for people only, such as a message: as it was sent where it cannot be read.
    fn note_at(&self, pointer: &str) -> Option<&str>;
}

impl JsonRead for Value {
    fn at(&self, pointer: &str) -> &Value {
        static ABSENT: Value = Value::Null;
        self.pointer(pointer).unwrap_or(&ABSENT)
    }

    fn readable_at(&self, pointer: &str) -> Result<&Value, ProviderFailure> {
        // A value inside one that cannot be read is not absent.
        let parents = pointer.match_indices('/').filter_map(|(end, _)| pointer.get(..end));
        let unreadable = |path: &str| lenient::marked(self.at(path)).is_some();
        if parents.chain([pointer]).any(unreadable) {
            return Err(ProviderFailure::unreadable(format!("{pointer} cannot be read")));
        }
        Ok(self.at(pointer))
    }

    fn text_at(&self, pointer: &str) -> Result<Option<&str>, ProviderFailure> {
        Ok(self.readable_at(pointer)?.as_str().filter(|text| !text.is_empty()))
    }

    fn required_text_at(&self, pointer: &str) -> Result<&str, ProviderFailure> {
        self.text_at(pointer)?.ok_or_else(|| ProviderFailure::unreadable(format!("no text at {pointer}")))
    }

    fn scalar_at(&self, pointer: &str) -> Result<Option<String>, ProviderFailure> {
        Ok(json_text(self.readable_at(pointer)?).filter(|text| !text.is_empty()))
    }

    fn flag_at(&self, pointer: &str) -> Result<Option<bool>, ProviderFailure> {
        match self.readable_at(pointer)? {
            Value::Null => Ok(None),
            Value::Bool(flag) => Ok(Some(*flag)),
            Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                Err(ProviderFailure::unreadable(format!("{pointer} is not a flag")))
            }
        }
    }

    fn note_at(&self, pointer: &str) -> Option<&str> {
        let value = self.at(pointer);
        value.as_str().or_else(|| lenient::marked(value)).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn absent_null_and_mistyped_values_read_as_none() {
        let body = json!({"a": {"text": "x", "empty": "", "null": null, "list": [7]}});
        assert_eq!(body.text_at("/a/text"), Ok(Some("x")));
        assert_eq!(body.scalar_at("/a/list/0"), Ok(Some("7".to_owned())));
        for pointer in ["/a/empty", "/a/null", "/a/list", "/a/list/1", "/a/b/c", "a", ""] {
            assert_eq!(body.text_at(pointer), Ok(None), "{pointer}");
            assert_eq!(body.scalar_at(pointer), Ok(None), "{pointer}");
            assert_eq!(body.note_at(pointer), None, "{pointer}");
        }
        assert_eq!(body.at("/nowhere"), &Value::Null);
        let error = body.required_text_at("/a/list").expect_err("a list is not a string");
        assert_eq!(error.message, "no text at /a/list");
        assert_eq!(json!({"live": true}).flag_at("/live"), Ok(Some(true)));
        assert_eq!(body.flag_at("/a/null"), Ok(None));
        assert_eq!(body.flag_at("/a/text").expect_err("a text is not a flag").message, "/a/text is not a flag");
    }

    #[test]
    fn m2_a_field_that_cannot_be_read_fails_where_it_is_needed_and_nowhere_else() {
        let body = br#"{"id": "p1", "bad": {"name": "caf\ud83d", "sum": NaN}, "twice": 1, "twice": 2}"#;
        let body = parse(body).expect("JSON");
        assert_eq!(body.required_text_at("/id"), Ok("p1"));
        for pointer in ["/bad/name", "/bad/name/first", "/bad/sum", "/twice"] {
            let message = format!("{pointer} cannot be read");
            assert_eq!(body.text_at(pointer).expect_err(pointer).message, message);
            assert_eq!(body.scalar_at(pointer).expect_err(pointer).message, message);
            assert_eq!(body.flag_at(pointer).expect_err(pointer).message, message);
            assert_eq!(body.required_text_at(pointer).expect_err(pointer).message, message);
        }
        assert_eq!(body.note_at("/bad/name"), Some(r"caf\ud83d"));
        assert_eq!(body.text_at("/bad/other"), Ok(None));
    }

    #[test]
    fn a_body_that_is_not_json_is_refused_without_quoting_it() {
        let error = parse(b"<html>sk_live_1</html>").expect_err("not JSON");
        assert_eq!(error.message, "not JSON at byte 0 of 22");
    }
}
