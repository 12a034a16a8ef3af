//! The texts of the platform's protocol: one JSON object per line, what a line means, and what is secret in it. Pure; it knows
//! no socket and no command.

use serde_json::Value;
use zeroize::Zeroizing;

/// `status` of an answer that did what was asked for.
const DONE: i64 = 200;

/// `status` of a synchronous call that the server stopped waiting for; it may still happen.
const SYNC_TIMEOUT_STATUS: i64 = 504;

/// What the server answers instead of doing a thing that it is asked too often.
const TOO_OFTEN: [i64; 4] = [8, 22, 141, 429];

/// Length of what is kept of a text of the server: a sentence for an operator, or the reason of a refusal.
const PLATFORM_WORDS_MAX: usize = 200;

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

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerError {
    pub(super) code: Option<i64>,
    pub(super) text: Box<str>,
    pub(super) kind: ServerErrorKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerErrorKind {
    /// The call may still take effect.
    SyncTimeout,
    TooOften,
    /// Anything else that it states.
    Stated,
    /// Neither a success nor an error that can be read.
    Unreadable,
}

/// Reads a line without its end. The error says why the connection cannot be trusted any more.
pub(super) fn read(line: &[u8]) -> Result<Incoming, &'static str> {
    let value: Value = serde_json::from_slice(line).map_err(|_| "a line is not JSON")?;
    let members = match value {
        Value::Array(_) => return Ok(Incoming::Ignored),
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Err("a line is no message"),
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
        (Some(ext_id), _) => Ok(Incoming::Answer { ext_id, outcome: Err(error(&Value::Object(members), status)) }),
        (None, Some(DONE)) => Ok(Incoming::Ignored),
        (None, _) => Ok(Incoming::Unaddressed(error(&Value::Object(members), status))),
    }
}

/// Code and text stand at the top or in `data`; no page states under which names.
fn error(message: &Value, status: Option<i64>) -> ServerError {
    let places = || [Some(message), message.get("data")].into_iter().flatten();
    let (code, text) =
        (["retcode", "code", "error_code", "error"], ["error", "message", "text", "reason", "description"]);
    let codes = || places().flat_map(|place| code.iter().filter_map(|name| place.get(name)?.as_i64()));
    let text = places().find_map(|place| text.iter().find_map(|name| place.get(name)?.as_str()));
    let text = text.or_else(|| message.get("data").and_then(Value::as_str)).unwrap_or_default();
    let numbers = || status.into_iter().chain(codes());
    let code = codes().next().or(status);
    let kind = if numbers().any(|number| number == SYNC_TIMEOUT_STATUS) || text == "SYNC_TIMEOUT" {
        ServerErrorKind::SyncTimeout
    } else if numbers().any(|number| TOO_OFTEN.contains(&number)) {
        ServerErrorKind::TooOften
    } else if code.is_none() && text.is_empty() {
        ServerErrorKind::Unreadable
    } else {
        ServerErrorKind::Stated
    };
    ServerError { code, text: shown(text), kind }
}

/// A text of the server as a log line or an operation's reason may have it.
fn shown(text: &str) -> Box<str> {
    let kept = text.chars().take(PLATFORM_WORDS_MAX);
    kept.map(|character| if character.is_control() { ' ' } else { character }).collect::<String>().into()
}

impl ServerError {
    /// Whether a list of codes and texts has it.
    pub(super) fn is_named(&self, names: &[Box<str>]) -> bool {
        let code = self.code.map(|code| code.to_string());
        names.iter().any(|name| **name == *self.text || code.as_deref() == Some(name))
    }

    /// The same without what must never be shown, should the server repeat it.
    pub(super) fn without(mut self, secret: &str) -> Self {
        // The text may have been cut inside of it.
        let is_part = |text: &str| {
            secret.len() >= SECRET_PART && secret.get(..SECRET_PART).is_some_and(|part| text.contains(part))
        };
        if self.text.contains(secret) || is_part(&self.text) {
            self.text = "(a text that repeats the token)".into();
        }
        self
    }
}

/// As much of a token that a text repeats is taken for the token: the beginning of every JWT is shorter.
const SECRET_PART: usize = 24;

impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code, &*self.text) {
            (Some(code), "") => write!(f, "code {code}"),
            (Some(code), text) => write!(f, "{text} (code {code})"),
            (None, "") => f.write_str("an answer without status, code and text"),
            (None, text) => f.write_str(text),
        }
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

    fn kind(line: &str) -> Option<ServerErrorKind> {
        match read(line.as_bytes()) {
            Ok(Incoming::Answer { outcome: Err(error), .. } | Incoming::Unaddressed(error)) => Some(error.kind),
            Ok(_) | Err(_) => None,
        }
    }

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
    fn errors_are_read_at_the_top_and_in_data() {
        use ServerErrorKind::*;
        let table = [
            (r#"{"extID":"x","status":504}"#, Some(SyncTimeout)),
            (r#"{"extID":"x","status":400,"data":{"error":"SYNC_TIMEOUT"}}"#, Some(SyncTimeout)),
            (r#"{"extID":"x","status":400,"data":{"code":8}}"#, Some(TooOften)),
            (r#"{"extID":"x","status":400,"retcode":141,"error":"often"}"#, Some(TooOften)),
            (r#"{"extID":"x","status":22}"#, Some(TooOften)),
            (r#"{"extID":"x","status":400,"error":"INVALID_DATA"}"#, Some(Stated)),
            (r#"{"status":401,"message":"who are you"}"#, Some(Stated)),
            (r#"{"extID":"x"}"#, Some(Unreadable)),
            (r#"{"extID":"x","status":200}"#, None),
        ];
        for (line, expected) in table {
            assert_eq!(kind(line), expected, "{line}");
        }
        let Ok(Incoming::Answer { outcome: Err(error), .. }) =
            read(br#"{"extID":"x","status":400,"data":{"code":13,"message":"NO\nMONEY"}}"#)
        else {
            panic!("an error")
        };
        assert_eq!(error.to_string(), "NO MONEY (code 13)");
    }

    #[test]
    fn what_is_no_message_ends_the_connection() {
        for garbage in ["", "nonsense", "{\"extID\":", "7", "\"text\"", "null", "{}{}"] {
            assert!(read(garbage.as_bytes()).is_err(), "{garbage}");
        }
    }

    #[test]
    fn a_text_that_repeats_the_token_is_not_shown() {
        let error = |text: &str| ServerError { code: None, text: text.into(), kind: ServerErrorKind::Stated };
        let token = "eyJhbGciOiJIUzI1NiJ9.CANARYCANARY.signature";
        for text in [format!("bad token {token}!"), "bad token eyJhbGciOiJIUzI1NiJ9.CANA".to_owned()] {
            assert!(!error(&text).without(token).to_string().contains("CANA"), "{text}");
        }
        assert_eq!(error("bad token").without(token).to_string(), "bad token");
    }
}
