//! Writes answers as JSON text. What an answer holds is its description's.

use cashier_core::refusal::{Refusal, RefusalCode};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// Bytes of a usual answer, such as a transaction, so that writing it does not reallocate.
const USUAL_LENGTH: usize = 1024;

/// Writes an answer. One that cannot be written is a fault of the server.
pub fn json(answer: &impl Serialize) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::with_capacity(USUAL_LENGTH);
    serde_json::to_writer(&mut out, answer).map_err(|error| not_written(&error))?;
    Ok(out)
}

/// The same as a part of another answer.
pub fn part(answer: &impl Serialize) -> Result<Box<RawValue>, Refusal> {
    to_raw_value(answer).map_err(|error| not_written(&error))
}

fn not_written(error: &serde_json::Error) -> Refusal {
    tracing::error!(%error, "answer was not written as JSON");
    Refusal::new(RefusalCode::Internal, "the answer could not be written")
}

/// Rewrites finished JSON as one line of ASCII with `'` as `\u0027`, as clients of the TCP listener depend on
/// (API.md section 4). Non-ASCII and `'` occur inside strings alone, line ends outside them alone: no parse is needed.
pub fn to_ascii_line(json: &[u8]) -> String {
    let mut out = String::with_capacity(json.len() + json.len() / 16);
    for character in String::from_utf8_lossy(json).chars() {
        match character {
            '\r' | '\n' => out.push(' '),
            plain if plain.is_ascii() && plain != '\'' => out.push(plain),
            escaped => {
                let mut units = [0; 2];
                out.extend(escaped.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_reads_back_as_itself(value in any::<String>()) {
            let out = json(&serde_json::json!({"value": value})).unwrap();
            let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read.get("value").unwrap().as_str().unwrap(), &value);
            let line = to_ascii_line(&out);
            prop_assert!(line.is_ascii() && !line.contains('\'') && !line.contains('\n'));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), read);
        }
    }

    #[test]
    fn a_line_is_ascii_without_apostrophes() {
        let line = to_ascii_line("{\n\"it's\":\"é😀\"}".as_bytes());
        assert_eq!(line, r#"{ "it\u0027s":"\u00e9\ud83d\ude00"}"#);
    }
}
