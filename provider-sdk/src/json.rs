//! Reading a provider's JSON without panics: by JSON pointer, absent and null being the same.

use serde_json::Value;

use crate::money::json_text;
use crate::types::ProviderFailure;

/// Readers for a [`Value`]; a pointer is written as in RFC 6901: `/data/object/id`.
pub trait JsonRead {
    /// The value there, or null.
    fn at(&self, pointer: &str) -> &Value;

    /// The text there. Nothing for an empty text or another type.
    fn text_at(&self, pointer: &str) -> Option<&str>;

    /// The text there, or the text of the number there as it was sent.
    fn scalar_at(&self, pointer: &str) -> Option<String>;

    /// The text there.
    ///
    /// # Errors
    /// `UnreadableAnswer` naming the pointer.
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
    fn what_is_absent_null_or_of_another_type_is_nothing() {
        let body = json!({"a": {"text": "x", "empty": "", "null": null, "list": [7]}});
        assert_eq!(body.text_at("/a/text"), Some("x"));
        assert_eq!(body.scalar_at("/a/list/0").as_deref(), Some("7"));
        for pointer in ["/a/empty", "/a/null", "/a/list", "/a/list/1", "/a/b/c", "a", ""] {
            assert_eq!(body.text_at(pointer), None, "{pointer}");
            assert_eq!(body.scalar_at(pointer), None, "{pointer}");
        }
        assert_eq!(body.at("/nowhere"), &Value::Null);
        let error = body.required_text_at("/a/list").expect_err("a list is no text");
        assert_eq!(error.message, "no text at /a/list");
    }
}
