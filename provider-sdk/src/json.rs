//! Reads a provider's JSON by JSON pointer, without panics. Null is the same as absent.

use serde_json::Value;

use crate::money::json_text;
use crate::types::ProviderFailure;

/// Readers for a [`Value`]. Pointers follow RFC 6901, such as `/data/object/id`.
pub trait JsonRead {
    /// The value at `pointer`, or null.
    fn at(&self, pointer: &str) -> &Value;

    /// The string at `pointer`; `None` if it is empty or of another type.
    fn text_at(&self, pointer: &str) -> Option<&str>;

    /// The string at `pointer`, or the number there as it was sent; `None` if it is empty or of another type.
    fn scalar_at(&self, pointer: &str) -> Option<String>;

    /// The string at `pointer`.
    ///
    /// # Errors
    /// `UnreadableAnswer` with the pointer, if it is absent, empty or of another type.
    fn required_text_at(&self, pointer: &str) -> Result<&str, ProviderFailure>;
}

impl JsonRead for Value {
    fn at(&self, pointer: &str) -> &Value {
        static ABSENT: Value = Value::Null;
        self.pointer(pointer).unwrap_or(&ABSENT)
    }

    fn text_at(&self, pointer: &str) -> Option<&str> {
        self.at(pointer).as_str().filter(|text| !text.is_empty())
    }

    fn scalar_at(&self, pointer: &str) -> Option<String> {
        json_text(self.at(pointer)).filter(|text| !text.is_empty())
    }

    fn required_text_at(&self, pointer: &str) -> Result<&str, ProviderFailure> {
        self.text_at(pointer).ok_or_else(|| ProviderFailure::unreadable(format!("no text at {pointer}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn absent_null_and_mistyped_values_read_as_none() {
        let body = json!({"a": {"text": "x", "empty": "", "null": null, "list": [7]}});
        assert_eq!(body.text_at("/a/text"), Some("x"));
        assert_eq!(body.scalar_at("/a/list/0").as_deref(), Some("7"));
        for pointer in ["/a/empty", "/a/null", "/a/list", "/a/list/1", "/a/b/c", "a", ""] {
            assert_eq!(body.text_at(pointer), None, "{pointer}");
            assert_eq!(body.scalar_at(pointer), None, "{pointer}");
        }
        assert_eq!(body.at("/nowhere"), &Value::Null);
        let error = body.required_text_at("/a/list").expect_err("a list is not a string");
        assert_eq!(error.message, "no text at /a/list");
    }
}
