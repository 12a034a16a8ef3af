//! The `Idempotency-Key` header, the other spelling of the body's `idempotency_key` (docs/api/customer.md, idempotency). A key
//! that is given in several places is one key, or the request is refused: whichever was dropped would have been the one
//! that the client repeats its order under.

use cashier_core::lengths::IDEMPOTENCY_KEY_LENGTH_MAX;
use cashier_core::refusal::Refusal;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::wire::values::check_code_text;

const NAME: HeaderName = HeaderName::from_static("idempotency-key");

/// The key of a request: the body's field, the header, or both where they are the same. Empty is none.
pub(super) fn joined(field: Box<str>, headers: &HeaderMap) -> Result<Box<str>, Refusal> {
    let mut key = field;
    for line in headers.get_all(NAME) {
        let given = read(line)?;
        if given.is_empty() || *given == *key {
            continue;
        }
        if !key.is_empty() {
            return Err(Refusal::invalid("Idempotency-Key and idempotency_key are given with different values"));
        }
        key = given.into();
    }
    Ok(key)
}

/// The text of a line, without the quotes in which some clients write it.
fn read(line: &HeaderValue) -> Result<&str, Refusal> {
    let text =
        std::str::from_utf8(line.as_bytes()).map_err(|_| Refusal::invalid("Idempotency-Key must be UTF-8"))?.trim();
    let key = joined_by_proxy(text).unwrap_or_else(|| unquoted(text));
    if key.len() > IDEMPOTENCY_KEY_LENGTH_MAX {
        return Err(Refusal::invalid(format!("Idempotency-Key is longer than {IDEMPOTENCY_KEY_LENGTH_MAX} bytes")));
    }
    check_code_text(key).map_err(|problem| Refusal::invalid(format!("Idempotency-Key {problem}")))?;
    Ok(key)
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text).trim()
}

/// The one key of lines that a proxy joined into one with commas (RFC 9110, 5.3). A key that has commas of its own and
/// repeats nothing stays as it is.
fn joined_by_proxy(text: &str) -> Option<&str> {
    let mut parts = text.split(',').map(unquoted);
    let first = parts.next().filter(|first| !first.is_empty())?;
    parts.all(|part| part == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_in_the_body_in_the_header_and_in_both() {
        let key_of = |field: &str, lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(NAME, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
            joined(field.into(), &headers).map_or_else(|refusal| refusal.message, |key| key.into_string())
        };
        let long = "x".repeat(IDEMPOTENCY_KEY_LENGTH_MAX + 1);
        let different = "Idempotency-Key and idempotency_key are given with different values";
        let table: &[(&str, &[&str], &str)] = &[
            ("", &[], ""),
            ("k", &[], "k"),
            ("", &["k"], "k"),
            ("k", &["k"], "k"),
            ("k", &["\"k\""], "k"),
            ("k", &[""], "k"),
            ("k", &["\"\""], "k"),
            ("", &["k", "k"], "k"),
            ("", &["k", "\"k\"", " k "], "k"),
            ("", &["", "k"], "k"),
            ("k", &["k", "k"], "k"),
            ("", &["schlüssel"], "schlüssel"),
            ("", &["k", "l"], different),
            ("k", &["l"], different),
            ("k", &["K"], different),
            ("k", &["k", "l"], different),
            ("", &["a, a"], "a"),
            ("a", &["a,a", "a"], "a"),
            ("", &["\"a\", \"a\",a"], "a"),
            ("", &["a, b"], "a, b"),
            ("", &["a, a, b"], "a, a, b"),
            ("a", &["a, b"], different),
            ("", &[","], ","),
            ("", &["\""], "\""),
            ("", &["a\tb"], "Idempotency-Key must be one line without blanks around it"),
            ("", &[&long], "Idempotency-Key is longer than 128 bytes"),
        ];
        for (field, lines, expected) in table {
            assert_eq!(key_of(field, lines), *expected, "{field:?} {lines:?}");
        }
        let mut headers = HeaderMap::new();
        headers.append(NAME, HeaderValue::from_bytes(b"\xff").unwrap());
        assert!(joined(Box::default(), &headers).is_err());
    }
}
