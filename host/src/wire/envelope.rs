//! The manager envelope (API.md section 4): `{"command","extID","data","__token"}` in, `{"extID","status","data"}` out.
//! The extID is echoed byte for byte, whatever JSON it is.

use cashier_core::refusal::Refusal;
use serde_json::value::RawValue;

use crate::wire::read::{Fields, missing};
use crate::wire::{refusal, write};

/// Longest command name; the published ones have fewer than 50 letters.
const COMMAND_LENGTH_MAX: usize = 64;

/// Longest token, in bytes: claims of ours take fewer than 300.
pub const TOKEN_LENGTH_MAX: usize = 4096;

/// Longest extID echoed: clients put counters and UUIDs there.
const EXT_ID_LENGTH_MAX: usize = 4096;

/// The number of an answer that went well.
pub const FINE: u16 = 200;

/// A request as read. Names that the envelope does not know pass unread: the platform's clients add their own.
pub struct Envelope<'a> {
    /// `null` when the request has none.
    pub ext_id: &'a str,
    pub command: Box<str>,
    /// `{}` when the request has none.
    pub data: &'a str,
    pub token: Option<Box<str>>,
}

/// Reads an envelope. The refusal comes with the extID to answer under, as far as it could be read.
pub fn read(json: &[u8]) -> Result<Envelope<'_>, (&str, Refusal)> {
    let mut fields = Fields::parse(json, "the message").map_err(|refusal| ("null", refusal))?;
    let ext_id = fields.value("extID").map_or("null", RawValue::get);
    if ext_id.len() > EXT_ID_LENGTH_MAX {
        return Err(("null", Refusal::invalid(format!("extID is longer than {EXT_ID_LENGTH_MAX} bytes"))));
    }
    let mut rest = || {
        let command = fields.text("command", COMMAND_LENGTH_MAX)?.ok_or_else(|| missing("command"))?;
        let data = fields.value("data").map_or("{}", RawValue::get);
        let token = fields.text("__token", TOKEN_LENGTH_MAX)?;
        Ok(Envelope { ext_id, command, data, token })
    };
    rest().map_err(|refusal| (ext_id, refusal))
}

/// Wraps an answer's `data`, which is JSON already.
pub fn write(ext_id: &str, result: &Result<Vec<u8>, Refusal>) -> (u16, Vec<u8>) {
    let (number, length) = match result {
        Ok(data) => (FINE, data.len()),
        Err(refusal) => (refusal.code.number(), refusal.message.len()),
    };
    let mut out = Vec::with_capacity(length + ext_id.len() + 96);
    write::object(&mut out, |fields| {
        fields.raw("extID", ext_id).number("status", number.into()).value("data", |out| match result {
            Ok(data) => out.extend_from_slice(data),
            Err(no) => refusal::write(out, no),
        });
    });
    (number, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_reads_with_everything_or_the_least() {
        let json = br#"{"command":"C","extID":{"a":[1.50]},"data":{"id":15},"__token":"t","session":1}"#;
        let read_whole = read(json).map_err(|(_, refusal)| refusal).unwrap();
        let Envelope { ext_id, command, data, token } = read_whole;
        assert_eq!((ext_id, &*command, data, token.as_deref()), (r#"{"a":[1.50]}"#, "C", r#"{"id":15}"#, Some("t")));
        let Envelope { ext_id, data, token, .. } = read(b"{\"command\":\"C\"}").map_err(|(_, no)| no).unwrap();
        assert_eq!((ext_id, data, token), ("null", "{}", None));
    }

    #[test]
    fn refusals_keep_the_ext_id_where_it_could_be_read() {
        let table = [
            ("{\"extID\":7}", "7", "command is required"),
            ("{\"extID\":\"7\",\"command\":5}", "\"7\"", "command must be a string"),
            ("{\"extID\":7,\"command\":\"C\",\"__token\":5}", "7", "__token must be a string"),
            ("[]", "null", "the message must be a JSON object"),
            ("{\"extID\":7", "null", "the message is not valid JSON at line 1 column 10"),
        ];
        for (json, ext_id, message) in table {
            let (answered, refusal) = read(json.as_bytes()).err().unwrap();
            assert_eq!((answered, &*refusal.message), (ext_id, message), "{json}");
        }
        let long = format!("{{\"extID\":\"{}\"}}", "x".repeat(5000));
        assert_eq!(read(long.as_bytes()).err().unwrap().0, "null");
    }

    #[test]
    fn answers_carry_the_ext_id_the_number_and_the_data() {
        let (number, out) = write("\"1\"", &Ok(b"{\"x\":1}".to_vec()));
        assert_eq!((number, &*out), (200, br#"{"extID":"1","status":200,"data":{"x":1}}"#.as_slice()));
        let (number, out) = write("1", &Err(Refusal::invalid("id is required")));
        let expected = br#"{"extID":1,"status":400,"data":{"error":"INVALID_DATA","message":"id is required"}}"#;
        assert_eq!((number, &*out), (400, expected.as_slice()));
    }
}
