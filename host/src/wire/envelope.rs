//! The manager envelope (API.md section 4): `{"command","extID","data","__token"}` in, `{"extID","status","data"}` out.
//! The extID is echoed byte for byte, whatever JSON it is.

use cashier_core::refusal::Refusal;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::json_object::{FieldValue, RequestBody, answer, request, values};
use crate::wire::answer_values::OrNull;
use crate::wire::pieces::AnswerBody;
use crate::wire::read::parse;
use crate::wire::refusal::RefusalBody;
use crate::wire::values::{AnyJson, Text};
use crate::wire::write::{json, part};

/// Longest command name; the published ones have fewer than 50 characters.
const COMMAND_LENGTH_MAX: usize = 64;

/// Longest token, in bytes: claims of ours take fewer than 300.
pub const TOKEN_LENGTH_MAX: usize = 4096;

/// Longest extID echoed: clients put counters and UUIDs there.
const EXT_ID_LENGTH_MAX: usize = 4096;

/// The status of a successful answer.
pub const SUCCESS: u16 = 200;

/// The status of an answer to a request that waits for a second person.
pub const ACCEPTED: u16 = 202;

/// The answer of a command that was not refused.
pub struct CommandAnswer {
    number: u16,
    data: AnswerBody,
    /// It is sent as it is, without the envelope.
    is_bare: bool,
}

impl CommandAnswer {
    /// The request was accepted and changes nothing yet.
    pub fn accepted(data: Box<RawValue>) -> Self {
        Self { number: ACCEPTED, data: text_of(data), is_bare: false }
    }

    /// An answer that may be written piece by piece.
    pub fn of_body(data: AnswerBody) -> Self {
        Self { number: SUCCESS, data, is_bare: false }
    }

    /// An answer in another form than JSON, which has no envelope.
    pub fn bare(data: AnswerBody) -> Self {
        Self { number: SUCCESS, data, is_bare: true }
    }

    /// Whether it is sent without the envelope.
    pub fn is_bare(&self) -> bool {
        self.is_bare
    }

    /// Its data alone.
    pub fn into_body(self) -> AnswerBody {
        self.data
    }

    /// What is `held` ends once the answer is sent.
    #[must_use]
    pub fn holding(self, held: impl Send + 'static) -> Self {
        Self { data: self.data.holding(held), ..self }
    }

    /// Its length, where it is known.
    pub fn length(&self) -> Option<usize> {
        self.data.length()
    }
}

fn text_of(data: Box<RawValue>) -> AnswerBody {
    String::from(Box::<str>::from(data)).into_bytes().into()
}

impl From<Box<RawValue>> for CommandAnswer {
    fn from(data: Box<RawValue>) -> Self {
        Self { number: SUCCESS, data: text_of(data), is_bare: false }
    }
}

/// What a command answers, or the refusal.
pub type CommandResult = Result<CommandAnswer, Refusal>;

values! {
    /// Any JSON that is short enough to be echoed.
    ExtId(Box<RawValue>), "{}".to_owned(), |raw| match raw.get().len() {
        0..=EXT_ID_LENGTH_MAX => Ok(raw.to_owned()),
        _ => Err(format!("is longer than {EXT_ID_LENGTH_MAX} bytes").into()),
    };
}

request! {
    /// A manager's request. Names that it does not know pass unread: the platform's clients add their own.
    pub struct Envelope {
        command: Text<COMMAND_LENGTH_MAX>, "name of the command";
        ext_id as "extID": Option<ExtId>, "any JSON, echoed in the answer; null when there is none";
        data: Option<AnyJson>, "the command's request; {} when there is none";
        token as "__token": Option<Text<TOKEN_LENGTH_MAX>>, "session token; over HTTP also in Authorization";
    }
}

answer! {
    /// The answer to a manager's request.
    pub struct EnvelopeAnswer<>(ext_id: Option<ExtId>, number: u16, content: Box<RawValue>) {
        ext_id as "extID": OrNull<Box<RawValue>> = OrNull(ext_id.map(|ext_id| ext_id.0)), "the request's";
        status: u16 = number, "200, 202 where a second person must approve, or the number of the error";
        data: Box<RawValue> = content, "the command's answer, or the error";
    }
}

/// The answer of a command that was done.
pub fn success(answer: &impl Serialize) -> CommandResult {
    part(answer).map(Into::into)
}

/// Reads an envelope. The refusal comes with the extID to answer under, as far as it could be read.
pub fn read(json: &[u8]) -> Result<Envelope, (Option<ExtId>, Refusal)> {
    let mut members = parse(json, "the message").map_err(|refusal| (None, refusal))?;
    let ext_id = members.get("extID").map(|raw| ExtId::read(raw).ok());
    let mut first = None;
    let read = Envelope::take_from(&mut members, &mut |name, problem| {
        first.get_or_insert_with(|| format!("{name} {problem}"));
    });
    read.ok_or_else(|| (ext_id.flatten(), Refusal::invalid(first.unwrap_or_default())))
}

/// Wraps the answer of a command, with its number.
pub fn write(ext_id: Option<ExtId>, result: CommandResult) -> (u16, AnswerBody) {
    let (number, data) = match result {
        Ok(CommandAnswer { number, data, is_bare: true }) => return (number, data),
        Ok(CommandAnswer { number, data, is_bare: false }) => (number, data),
        Err(refusal) => (refusal.code.number(), json(&RefusalBody::new(&refusal, None)).unwrap_or_default().into()),
    };
    // The data is the last member, and stands in the place of the null.
    let mut before = json(&EnvelopeAnswer::new(ext_id, number, Box::default())).unwrap_or_default();
    before.truncate(before.len().saturating_sub("null}".len()));
    (number, data.within(before, b"}".to_vec()))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn an_envelope_needs_its_command_alone() {
        let json = br#"{"command":"C","extID":{"a":[1.50]},"data":{"id":15},"__token":"t","session":1}"#;
        let read_whole = read(json).map_err(|(_, refusal)| refusal).unwrap();
        let Envelope { ext_id, command, data, token } = read_whole;
        let shown = |ext_id: Option<ExtId>| ext_id.map_or("null".to_owned(), |ext_id| ext_id.0.get().to_owned());
        let (data, token) = (data.unwrap(), token.unwrap());
        let whole = (shown(ext_id), &*command.0, data.0.get(), &*token.0);
        assert_eq!(whole, (r#"{"a":[1.50]}"#.to_owned(), "C", r#"{"id":15}"#, "t"));
        let Envelope { ext_id, data, token, .. } = read(b"{\"command\":\"C\"}").map_err(|(_, no)| no).unwrap();
        assert_eq!((&*shown(ext_id), data.is_none(), token.is_none()), ("null", true, true));
    }

    #[test]
    fn a_refusal_has_the_ext_id_that_could_be_read() {
        let table = [
            ("{\"extID\":7}", "7", "command is required"),
            ("{\"extID\":\"7\",\"command\":5}", "\"7\"", "command must be a string"),
            ("{\"extID\":7,\"command\":\"C\",\"__token\":5}", "7", "__token must be a string"),
            ("[]", "null", "the message must be a JSON object"),
            ("{\"extID\":7", "null", "the message is not valid JSON at line 1 column 10"),
        ];
        for (json, ext_id, message) in table {
            let (answered, refusal) = read(json.as_bytes()).err().unwrap();
            let answered = answered.map(|ext_id| ext_id.0.get().to_owned());
            assert_eq!((answered.as_deref().unwrap_or("null"), &*refusal.message), (ext_id, message), "{json}");
        }
        let long = format!("{{\"extID\":\"{}\"}}", "x".repeat(5000));
        assert!(read(long.as_bytes()).err().unwrap().0.is_none());
    }

    #[test]
    fn an_answer_has_the_ext_id_the_number_and_the_data() {
        let json = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let write = |ext_id, result| {
            let (number, body) = write(ext_id, result);
            (number, body.collected().now_or_never().unwrap())
        };
        let (number, out) = write(Some(ExtId(json("\"1\""))), Ok(json("{\"x\":1}").into()));
        assert_eq!((number, &*out), (200, br#"{"extID":"1","status":200,"data":{"x":1}}"#.as_slice()));
        let (number, out) = write(Some(ExtId(json("1"))), Err(Refusal::invalid("id is required")));
        let expected = br#"{"extID":1,"status":400,"data":{"error":"INVALID_DATA","message":"id is required"}}"#;
        assert_eq!((number, &*out), (400, expected.as_slice()));
    }
}
