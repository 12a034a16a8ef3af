//! The texts of the platform's protocol: one JSON object per line, what a line means, and what is secret in it. Pure; it knows
//! no socket and no command.

use serde_json::Value;
use zeroize::Zeroizing;

use super::server_error::{self, ServerError};

/// `status` of an answer that did what was asked for.
const DONE: i64 = 200;

/// A line of the server, by what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Incoming {
    Answer {
        ext_id: Box<str>,
        outcome: Result<Value, ServerError>,
    },
    Push(PlatformPush),
    /// An error that names no call.
    Unaddressed(ServerError),
    /// Quotes, notices, and anything else that is about no call.
    Ignored,
}

/// An event that the server sends without being asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlatformPush {
    pub(super) event: Box<str>,
    pub(super) data: Value,
}

/// Reads a line without its end. The error says why the connection cannot be trusted any more.
pub(super) fn read(line: &[u8]) -> Result<Incoming, &'static str> {
    // Quotes and notices come by the thousand, and nobody looks at what they hold.
    if line.trim_ascii_start().starts_with(b"[") {
        return Ok(Incoming::Ignored);
    }
    // A text that a person wrote, and the platform cut within a letter, must not take the calls of all others with it.
    let value: Result<Value, _> = serde_json::from_slice(line).or_else(|_| serde_json::from_str(&repaired(line)));
    let members = match value.map_err(|_| "a line is not JSON")? {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err("a line is no message");
        }
    };
    // An event is never an answer, also where it repeats a name of ours.
    if let Some(event) = members.get("event") {
        let data = members.get("data").cloned().unwrap_or_default();
        return Ok(Incoming::Push(PlatformPush { event: event.as_str().unwrap_or_default().into(), data }));
    }
    let ext_id = match members.get("extID") {
        Some(Value::String(text)) => Some(text.as_str().into()),
        Some(Value::Number(number)) => Some(number.to_string().into()),
        Some(_) | None => None,
    };
    let status = members.get("status").and_then(Value::as_i64);
    match (ext_id, status) {
        (Some(ext_id), Some(DONE)) => {
            Ok(Incoming::Answer { ext_id, outcome: Ok(members.get("data").cloned().unwrap_or_default()) })
        }
        (Some(ext_id), _) => {
            Ok(Incoming::Answer { ext_id, outcome: Err(server_error::read(&Value::Object(members), status)) })
        }
        (None, Some(DONE)) => Ok(Incoming::Ignored),
        (None, _) => Ok(Incoming::Unaddressed(server_error::read(&Value::Object(members), status))),
    }
}

/// The same with what is no Unicode replaced: bytes that are no UTF-8, halves of surrogate pairs in escapes, bare control characters.
fn repaired(line: &[u8]) -> String {
    let text: String =
        String::from_utf8_lossy(line).chars().map(|found| if found.is_control() { ' ' } else { found }).collect();
    let (mut whole, mut rest) = (String::with_capacity(text.len()), text.as_str());
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        whole.push_str(before);
        let length = match (surrogate(escape), surrogate(escape.get(6..).unwrap_or_default())) {
            (Some(Surrogate::Lead), Some(Surrogate::Trail)) => 12,
            (Some(Surrogate::Lead | Surrogate::Trail), _) => {
                whole.push_str("\\ufffd");
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            // Cut within the escape.
            (None, _) if escape.starts_with("\\u") && !is_escape(escape) => {
                whole.push_str("\\ufffd");
                rest = escape.get(2..).unwrap_or_default();
                continue;
            }
            // Of any other the character that is escaped, which may be a backslash itself.
            (None, _) => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
        };
        let (kept, behind) = escape.split_at_checked(length).unwrap_or((escape, ""));
        whole.push_str(kept);
        rest = behind;
    }
    whole + rest
}

/// Half of a character beyond the first 65,536, as JSON escapes it.
#[derive(Clone, Copy)]
enum Surrogate {
    Lead,
    Trail,
}

/// Whether a text begins with `\u` and its four digits.
fn is_escape(text: &str) -> bool {
    text.get(2..6).is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// The one that a text begins with.
fn surrogate(text: &str) -> Option<Surrogate> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    match u32::from_str_radix(digits, 16).ok()? {
        0xd800..=0xdbff => Some(Surrogate::Lead),
        0xdc00..=0xdfff => Some(Surrogate::Trail),
        _ => None,
    }
}

/// The line of a request, with the token. `data` is JSON already.
pub(super) fn request(command: &str, data: &str, ext_id: &str, token: &str) -> Zeroizing<Vec<u8>> {
    let quoted = |text: &str| Zeroizing::new(Value::from(text).to_string());
    let (command, ext_id, token) = (quoted(command), quoted(ext_id), quoted(token));
    let parts: [&str; 9] =
        ["{\"command\":", &command, ",\"data\":", data, ",\"extID\":", &ext_id, ",\"__token\":", &token, "}\r\n"];
    // Of its final size from the start: a buffer that grows would leave copies of the token behind.
    let mut line = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| line.extend_from_slice(part.as_bytes()));
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_one_line_with_the_token() {
        let line = request("GetGroups", "{\"a\":1}", "x-1", "tok\"en");
        let expected = "{\"command\":\"GetGroups\",\"data\":{\"a\":1},\"extID\":\"x-1\",\"__token\":\"tok\\\"en\"}\r\n";
        assert_eq!(std::str::from_utf8(&line).unwrap(), expected);
    }

    #[test]
    fn a_pushed_message_is_never_an_answer() {
        let push = read(br#"{"event":"trade:event","extID":"x-1","status":200,"type":1,"data":{"login":7}}"#).unwrap();
        assert_eq!(push, Incoming::Push(PlatformPush { event: "trade:event".into(), data: json!({"login": 7}) }));
        assert_eq!(read(br#"["t",{"extID":"x-1","status":200}]"#), Ok(Incoming::Ignored));
        assert_eq!(read(br#"{"status":200,"data":{}}"#), Ok(Incoming::Ignored));
    }

    #[test]
    fn an_answer_is_done_by_its_status_alone() {
        let done = |line: &str| matches!(read(line.as_bytes()), Ok(Incoming::Answer { outcome: Ok(_), .. }));
        assert!(done(r#"{"extID":"x","status":200,"data":{}}"#) && done(r#"{"extID":5,"status":200}"#));
        for not in [
            r#"{"extID":"x","data":{}}"#,
            r#"{"extID":"x","status":"200"}"#,
            r#"{"extID":"x","status":201}"#,
            r#"{"extID":null,"status":200}"#,
        ] {
            assert!(!done(not), "{not}");
        }
    }

    #[test]
    fn what_is_no_message_ends_the_connection() {
        for garbage in ["", "nonsense", "{\"extID\":", "7", "\"text\"", "null", "{}{}"] {
            assert!(read(garbage.as_bytes()).is_err(), "{garbage}");
        }
    }

    #[test]
    fn texts_that_are_no_clean_unicode_are_read() {
        let comment = |line: &[u8]| match read(line) {
            Ok(Incoming::Answer { outcome: Ok(data), .. }) => data.as_str().unwrap().to_owned(),
            other => panic!("{}: {other:?}", String::from_utf8_lossy(line)),
        };
        let line = |text: &[u8]| [br#"{"extID":"x","status":200,"data":""#, text, br#""}"#].concat();
        let table: [(&[u8], &str); 9] = [
            (b"d1:1 M\xc3", "d1:1 M\u{fffd}"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            (br"d1:1 \ud83d", "d1:1 \u{fffd}"),
            (br"\ude00 x", "\u{fffd} x"),
            (br"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
            (br"\ud83d\u0041\ud83", "\u{fffd}A\u{fffd}d83"),
            (br"\ud83d\ude00 \u00e4", "\u{1f600} \u{e4}"),
            (br"\\ud83d \ud83d", "\\ud83d \u{fffd}"),
            (b"a\tb\x01 \xc3", "a b  \u{fffd}"),
        ];
        for (text, expected) in table {
            assert_eq!(comment(&line(text)), expected, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_pushed_list_is_not_read_at_all() {
        for line in [&br#"["t",{"s":"\ud83d"}]"#[..], b"[\"n\",\"\xc3", b" [[[[", b"[{\"extID\":\"x\",\"status\":200}]"]
        {
            assert_eq!(read(line), Ok(Incoming::Ignored), "{}", String::from_utf8_lossy(line));
        }
    }
}
