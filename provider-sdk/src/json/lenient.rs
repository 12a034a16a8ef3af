//! Parses JSON field by field: a field that cannot be read is marked in its place, so that it costs only those who need it.
//! `serde_json` reads the leaves, but it stops at the first bad one, so the structure is read here.

use serde_json::{Map, Value};

/// Objects and lists nested deeper than this are marked and not read; providers nest fewer than ten.
const DEPTH_MAX: usize = 64;

/// The only key of a mark. No provider writes a NUL in a key.
const MARK: &str = "\u{0}unreadable";

/// The value of a body, which may begin with a byte order mark and end with NULs or blanks.
///
/// # Errors
/// The offset at which it stops being JSON.
pub(super) fn parse(body: &[u8]) -> Result<Value, usize> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let length = body.iter().rposition(|byte| !is_blank(*byte) && *byte != 0).map_or(0, |last| last.saturating_add(1));
    let mut parser = Parser { body: body.get(..length).unwrap_or_default(), at: 0 };
    let value = parser.value(0)?;
    parser.skip_blanks();
    match marked(&value) {
        Some(_) => Err(0),
        None if parser.at < length => Err(parser.at),
        None => Ok(value),
    }
}

/// What was sent in place of a value that cannot be read, for people; `None` for a readable value.
pub(super) fn marked(value: &Value) -> Option<&str> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object.get(MARK)?.as_str()
}

fn mark(sent: &[u8]) -> Value {
    let text = String::from_utf8_lossy(sent).into_owned();
    Value::Object(Map::from_iter([(MARK.to_owned(), Value::String(text))]))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

struct Parser<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, usize> {
        self.skip_blanks();
        match self.peek() {
            Some(b'{' | b'[') if depth >= DEPTH_MAX => self.skip_nested(),
            Some(b'{') => self.object(depth.saturating_add(1)),
            Some(b'[') => self.list(depth.saturating_add(1)),
            Some(b'"') => {
                let quoted = self.quoted()?;
                Ok(serde_json::from_slice(quoted).map_or_else(|_| mark(inner(quoted)), Value::String))
            }
            Some(_) | None => self.bare(),
        }
    }

    /// A key written twice with two values is marked: nobody can say which one is meant.
    fn object(&mut self, depth: usize) -> Result<Value, usize> {
        let mut members = Map::new();
        self.at = self.at.saturating_add(1);
        if self.takes(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.skip_blanks();
            let quoted = self.quoted()?;
            let key =
                serde_json::from_slice(quoted).unwrap_or_else(|_| String::from_utf8_lossy(inner(quoted)).into_owned());
            self.expect(b':')?;
            let value = self.value(depth)?;
            match members.get_mut(&key) {
                None => {
                    members.insert(key, value);
                }
                Some(first) if *first == value => {}
                Some(first) => *first = mark(b"written twice"),
            }
            if self.takes(b'}') {
                return Ok(Value::Object(members));
            }
            self.expect(b',')?;
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, usize> {
        let mut values = Vec::new();
        self.at = self.at.saturating_add(1);
        if self.takes(b']') {
            return Ok(Value::Array(values));
        }
        loop {
            values.push(self.value(depth)?);
            if self.takes(b']') {
                return Ok(Value::Array(values));
            }
            self.expect(b',')?;
        }
    }

    /// A number, `true`, `false`, `null`, or whatever stands there, such as `NaN`.
    fn bare(&mut self) -> Result<Value, usize> {
        let rest = self.body.get(self.at..).unwrap_or_default();
        let ends = |byte: &u8| is_blank(*byte) || matches!(byte, b',' | b':' | b']' | b'}' | b'[' | b'{' | b'"');
        let token = rest.get(..rest.iter().position(ends).unwrap_or(rest.len())).unwrap_or_default();
        if token.is_empty() {
            return Err(self.at);
        }
        self.at = self.at.saturating_add(token.len());
        Ok(serde_json::from_slice(token).unwrap_or_else(|_| mark(token)))
    }

    /// A string with its quotes, whatever is between them.
    fn quoted(&mut self) -> Result<&'a [u8], usize> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(start);
        }
        self.at = start.saturating_add(1);
        loop {
            let step = match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => 2,
                Some(_) => 1,
                None => return Err(start),
            };
            self.at = self.at.saturating_add(step);
        }
        self.at = self.at.saturating_add(1);
        Ok(self.body.get(start..self.at).unwrap_or_default())
    }

    /// Passes over an object or list without recursion.
    fn skip_nested(&mut self) -> Result<Value, usize> {
        let start = self.at;
        let mut open = 0_usize;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.quoted()?;
                    continue;
                }
                Some(b'{' | b'[') => open = open.saturating_add(1),
                Some(b'}' | b']') => open = open.saturating_sub(1),
                Some(_) => {}
                None => return Err(start),
            }
            self.at = self.at.saturating_add(1);
            if open == 0 {
                return Ok(mark(b"nested too deeply"));
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(is_blank) {
            self.at = self.at.saturating_add(1);
        }
    }

    fn takes(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let found = self.peek() == Some(byte);
        if found {
            self.at = self.at.saturating_add(1);
        }
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), usize> {
        if self.takes(byte) { Ok(()) } else { Err(self.at) }
    }
}

/// A quoted string without its quotes.
fn inner(quoted: &[u8]) -> &[u8] {
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn valid_json_reads_as_serde_json_reads_it() {
        let texts = [
            r#"{"a": [1, 2.50, -0, 1e400, "x\n\u00e9\ud83d\ude00"], "b": {"c": null, "d": true}, "e": [], "f": {}}"#,
            r#" [ "\\", "\"", "" , [[]] ] "#,
            "7",
            r#""text""#,
            "null",
        ];
        for text in texts {
            assert_eq!(parse(text.as_bytes()).ok(), serde_json::from_str(text).ok(), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused_where_it_stops() {
        let texts = [
            "",
            " ",
            "{",
            "[",
            "[1",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "\"open",
            "{}{}",
            "{} x",
            "<html>",
            "NaN",
            "\"caf\\ud83d\"",
            "{\"a\":\"open}",
            "]",
            "{\"a\" 1}",
        ];
        for text in texts {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn only_what_cannot_be_read_is_marked() {
        let bodies: [&[u8]; 10] = [
            br#"{"bad": "caf\ud83d", "good": 1}"#,
            b"{\"bad\": \"caf\xe9\", \"good\": 1}",
            b"{\"bad\": \"a\x01b\", \"good\": 1}",
            b"{\"bad\": \"a\nb\", \"good\": 1}",
            br#"{"bad": "a\x41", "good": 1}"#,
            br#"{"bad": "\u12", "good": 1}"#,
            br#"{"bad": NaN, "good": 1}"#,
            br#"{"bad": 01, "good": 1}"#,
            br#"{"bad": 1, "good": 1, "bad": 2}"#,
            br#"{"bad": 1, "good": 1, "\u0062ad": 2}"#,
        ];
        for body in bodies {
            let value = parse(body).unwrap_or_else(|at| panic!("{} at {at}", String::from_utf8_lossy(body)));
            assert_eq!(value["good"], json!(1));
            assert!(marked(&value["bad"]).is_some(), "{value}");
            assert!(marked(&value["good"]).is_none() && marked(&value).is_none(), "{value}");
        }
    }

    #[test]
    fn a_byte_order_mark_a_trailing_nul_and_bad_keys_do_not_matter() {
        let wrapped = parse(b"\xef\xbb\xbf{\"a\": 1, \"\\ud83d\": 2, \"\xff\": 3, \"a\": 1}\r\n\0\0");
        assert_eq!(wrapped.map(|value| value["a"].clone()), Ok(json!(1)));
    }

    #[test]
    fn nesting_is_read_to_a_depth_and_skipped_beyond() {
        for depth in [1, 64, 65, 1_000, 200_000] {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            let text = format!(r#"{{"deep": {open}"]}}"{close}, "good": 1}}"#);
            let value = parse(text.as_bytes()).unwrap_or_else(|at| panic!("{depth} at {at}"));
            assert_eq!(value["good"], json!(1), "{depth}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&body);
        }

        #[test]
        fn no_text_of_json_bytes_makes_the_parser_panic(text in r#"[\[\]{}",:\\u0-9a-f ]{0,200}"#) {
            let parsed = parse(text.as_bytes());
            if let Ok(strict) = serde_json::from_str::<Value>(&text) {
                prop_assert!(parsed.is_ok(), "{strict}");
            }
        }
    }
}
