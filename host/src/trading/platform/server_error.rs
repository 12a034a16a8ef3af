//! Errors of the platform: what one says of the call that it answers, and what of its text may be shown. Pure; lines are `messages`'.

use serde_json::Value;

/// `status` of a synchronous call that the server stopped waiting for; it may still happen.
const SYNC_TIMEOUT_STATUS: i64 = 504;

/// What the server answers instead of doing a thing that it is asked too often.
const TOO_OFTEN: [i64; 4] = [8, 22, 141, 429];

/// Length of what is kept of a text of the server: a sentence for an operator, or the reason of a refusal.
const PLATFORM_WORDS_MAX: usize = 200;

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
    /// Anything else that it states by a status or code that says no.
    Stated,
    /// The same with a status that says neither yes nor no: 201 or 202, 500 or 503, or none at all. A question has no answer; whatever
    /// was to be done may have been, or may be yet.
    Undecided,
    /// Neither a success nor an error that can be read.
    Unreadable,
}

/// Statuses of calls that were received, of a server that failed within one, and return codes of one that was done: beside a status
/// that is no success nobody says whether it is.
fn says_neither(number: i64) -> bool {
    matches!(number, 0 | 1 | 200..=299 | 500..=599)
}

/// Code and text stand at the top or in `data`; no page states under which names.
pub(super) fn read(message: &Value, status: Option<i64>) -> ServerError {
    let places = || [Some(message), message.get("data")].into_iter().flatten();
    let (code, text) =
        (["retcode", "code", "error_code", "error"], ["error", "message", "text", "reason", "description"]);
    let codes = || places().flat_map(|place| code.iter().filter_map(|name| place.get(name)?.as_i64()));
    let text = places().find_map(|place| text.iter().find_map(|name| place.get(name)?.as_str()));
    let text = text.or_else(|| message.get("data").and_then(Value::as_str)).unwrap_or_default();
    let numbers = || status.into_iter().chain(codes());
    let code = codes().next().or(status);
    let was_received = status.is_some_and(|status| (200..=299).contains(&status));
    let kind = if numbers().any(|number| number == SYNC_TIMEOUT_STATUS) || text == "SYNC_TIMEOUT" {
        ServerErrorKind::SyncTimeout
    } else if numbers().any(|number| TOO_OFTEN.contains(&number)) && !was_received {
        ServerErrorKind::TooOften
    } else if code.is_none() && text.is_empty() {
        ServerErrorKind::Unreadable
    } else if code.is_none() || numbers().any(says_neither) {
        ServerErrorKind::Undecided
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
    /// Whether a question was answered by an error that is about it, or about the call as such: another question may be answered.
    pub(super) fn says_no_or_nothing(&self) -> bool {
        match self.kind {
            ServerErrorKind::Stated | ServerErrorKind::Undecided => true,
            ServerErrorKind::SyncTimeout | ServerErrorKind::TooOften | ServerErrorKind::Unreadable => false,
        }
    }

    /// Whether a list of codes and texts has it.
    pub(super) fn is_named(&self, names: &[Box<str>]) -> bool {
        let code = self.code.map(|code| code.to_string());
        names.iter().any(|name| **name == *self.text || code.as_deref() == Some(name))
    }

    /// The same without what must never be shown, should the server repeat a part of it.
    pub(super) fn without(mut self, secret: &str) -> Self {
        let runs = secret.as_bytes().windows(SECRET_RUN);
        // A part that is shorter than a run.
        let parts = secret.split('.').filter(|part| part.len() >= SECRET_PART).map(str::as_bytes);
        let mut shown = runs.chain(parts).chain([secret.as_bytes()]);
        let text = self.text.as_bytes();
        if shown.any(|part| !part.is_empty() && text.windows(part.len()).any(|known| known == part)) {
            self.text = "(a text that repeats the token)".into();
        }
        self
    }
}

/// As much of a token in a row that a text repeats is taken for the token: no word of a sentence is in it, and what is left of the
/// characters of a signature cannot be guessed.
const SECRET_RUN: usize = 12;

/// The shortest part between two points that counts as one of a JWT.
const SECRET_PART: usize = 6;

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

#[cfg(test)]
mod tests {
    use super::super::messages::{Incoming, read};
    use super::*;

    fn kind(line: &str) -> Option<ServerErrorKind> {
        match read(line.as_bytes()) {
            Ok(Incoming::Answer { outcome: Err(error), .. } | Incoming::Unaddressed(error)) => Some(error.kind),
            Ok(_) | Err(_) => None,
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
            (r#"{"extID":"x","status":13}"#, Some(Stated)),
            (r#"{"extID":"x","data":{"code":13}}"#, Some(Stated)),
            (r#"{"extID":"x","status":201,"data":{"order":7}}"#, Some(Undecided)),
            (r#"{"extID":"x","status":202,"data":{"code":8}}"#, Some(Undecided)),
            (r#"{"extID":"x","status":500,"error":"INTERNAL"}"#, Some(Undecided)),
            (r#"{"extID":"x","status":400,"data":{"code":503}}"#, Some(Undecided)),
            (r#"{"extID":"x","status":503,"data":{"code":8}}"#, Some(TooOften)),
            (r#"{"extID":"x","error":"INTERNAL"}"#, Some(Undecided)),
            (r#"{"extID":"x","retcode":0,"message":"OK"}"#, Some(Undecided)),
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
    fn a_text_that_repeats_a_part_of_the_token_is_not_shown() {
        let error = |text: &str| ServerError { code: None, text: text.into(), kind: ServerErrorKind::Stated };
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJDQU5BUlkiOjEyMzQ1Njc4OTB9.c2lnbmF0dXJlQ0FOQVJZ";
        let parts = token.split('.').map(|part| format!("bad part {part}."));
        let runs = (0..token.len() - 11).map(|at| format!("invalid segment {}", &token[at..at + 12]));
        for text in parts.chain(runs).chain([format!("bad token {token}!")]) {
            assert_eq!(error(&text).without(token).to_string(), "(a text that repeats the token)", "{text}");
        }
        // Parts that are shorter than a run.
        assert_eq!(error("no shorty").without("a.shorty.b").to_string(), "(a text that repeats the token)");
        for text in ["bad token", "invalid segment eyJhbGciOiJ", ""] {
            assert_eq!(&*error(text).without(token).text, text);
        }
    }
}
