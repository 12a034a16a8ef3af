//! The manager envelope (API.md section 4): `{"command","extID","data","__token"}` in, `{"extID","status","data"}` out.
//! The extID is echoed byte for byte, whatever JSON it is.

use cashier_core::refusal::Refusal;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json_object::{Described, FieldValue, Problem, RequestBody, Schema, answer, request};
use crate::wire::read::parse;
use crate::wire::refusal::RefusalBody;
use crate::wire::values::{AnyJson, Text};
use crate::wire::write;

/// Longest command name; the published ones have fewer than 50 letters.
const COMMAND_LENGTH_MAX: usize = 64;

/// Longest token, in bytes: claims of ours take fewer than 300.
pub const TOKEN_LENGTH_MAX: usize = 4096;

/// Longest extID echoed: clients put counters and UUIDs there.
const EXT_ID_LENGTH_MAX: usize = 4096;

/// The number of an answer that went well.
pub const FINE: u16 = 200;

/// Any JSON that is not too long to be echoed.
#[derive(Debug)]
pub struct ExtId(pub Box<RawValue>);

impl Default for ExtId {
    fn default() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

impl Described for ExtId {
    fn schema() -> Schema {
        Schema::any()
    }
}

impl FieldValue for ExtId {
    fn read(raw: &RawValue) -> Result<Self, Problem> {
        if raw.get().len() > EXT_ID_LENGTH_MAX {
            return Err(format!("is longer than {EXT_ID_LENGTH_MAX} bytes").into());
        }
        Ok(Self(raw.to_owned()))
    }
}

request! {
    /// A manager's request. Names that it does not know pass unread: the platform's clients add their own.
    pub struct Envelope {
        ext_id as "extID": Option<ExtId>, "echoed in the answer; null when there is none";
        command: Text<COMMAND_LENGTH_MAX>, "name of the command";
        data: Option<AnyJson>, "the command's request; {} when there is none";
        token as "__token": Option<Text<TOKEN_LENGTH_MAX>>, "session token; over HTTP it may be in Authorization instead";
    }
}

answer! {
    /// The answer to a manager's request.
    pub struct EnvelopeAnswer<'a>(ext_id: &'a ExtId, result: &'a CommandResult) {
        ext_id as "extID": &'a RawValue = &*ext_id.0, "the request's";
        status: u16 = number(result), "200, or the number of the error";
        data: CommandData<'a> = CommandData(result), "the command's answer, or the error";
    }
}

/// What a command answers: its `data`, or the refusal.
pub type CommandResult = Result<Box<RawValue>, Refusal>;

/// The `data` of an answer.
pub struct CommandData<'a>(&'a CommandResult);

impl Described for CommandData<'_> {
    fn schema() -> Schema {
        Schema::of("object")
    }
}

impl Serialize for CommandData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Ok(data) => data.serialize(serializer),
            Err(refusal) => RefusalBody::new(refusal, None).serialize(serializer),
        }
    }
}

fn number(result: &CommandResult) -> u16 {
    result.as_ref().map_or_else(|refusal| refusal.code.number(), |_| FINE)
}

/// Reads an envelope. The refusal comes with the extID to answer under, as far as it could be read.
pub fn read(json: &[u8]) -> Result<Envelope, (ExtId, Refusal)> {
    let mut members = parse(json, "the message").map_err(|refusal| (ExtId::default(), refusal))?;
    let ext_id = members.get("extID").and_then(|raw| ExtId::read(raw).ok());
    let mut first = None;
    let read = Envelope::take_from(&mut members, &mut |name, problem| {
        first.get_or_insert_with(|| format!("{name} {problem}"));
    });
    read.ok_or_else(|| (ext_id.unwrap_or_default(), Refusal::invalid(first.unwrap_or_default())))
}

/// Wraps the answer of a command, with its number.
pub fn write(ext_id: &ExtId, result: &CommandResult) -> (u16, Vec<u8>) {
    (number(result), write::json(&EnvelopeAnswer::new(ext_id, result)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_reads_with_everything_or_the_least() {
        let json = br#"{"command":"C","extID":{"a":[1.50]},"data":{"id":15},"__token":"t","session":1}"#;
        let read_whole = read(json).map_err(|(_, refusal)| refusal).unwrap();
        let Envelope { ext_id, command, data, token } = read_whole;
        let shown = |ext_id: Option<ExtId>| ext_id.unwrap_or_default().0.get().to_owned();
        let (data, token) = (data.unwrap(), token.unwrap());
        let whole = (shown(ext_id), &*command.0, data.0.get(), &*token.0);
        assert_eq!(whole, (r#"{"a":[1.50]}"#.to_owned(), "C", r#"{"id":15}"#, "t"));
        let Envelope { ext_id, data, token, .. } = read(b"{\"command\":\"C\"}").map_err(|(_, no)| no).unwrap();
        assert_eq!((&*shown(ext_id), data.is_none(), token.is_none()), ("null", true, true));
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
            assert_eq!((answered.0.get(), &*refusal.message), (ext_id, message), "{json}");
        }
        let long = format!("{{\"extID\":\"{}\"}}", "x".repeat(5000));
        assert_eq!(read(long.as_bytes()).err().unwrap().0.0.get(), "null");
    }

    #[test]
    fn answers_carry_the_ext_id_the_number_and_the_data() {
        let json = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let (number, out) = write(&ExtId(json("\"1\"")), &Ok(json("{\"x\":1}")));
        assert_eq!((number, &*out), (200, br#"{"extID":"1","status":200,"data":{"x":1}}"#.as_slice()));
        let (number, out) = write(&ExtId(json("1")), &Err(Refusal::invalid("id is required")));
        let expected = br#"{"extID":1,"status":400,"data":{"error":"INVALID_DATA","message":"id is required"}}"#;
        assert_eq!((number, &*out), (400, expected.as_slice()));
    }
}
