//! The commands of the manager listener as one operation: a request is the message of one of them, and `x-commands` names for
//! each what it takes, what it answers, with which errors, and whose sessions may use it.

use cashier_core::refusal::RefusalCode;
use cashier_core::rights::SESSIONS;

use crate::json_object::schema::{one_of, with};
use crate::json_object::text::{array, members, quoted, reference};
use crate::json_object::{Described, Object, Schema};
use crate::manager::COMMANDS;
use crate::manager::command::{COMMON_ERRORS, Command, Effect};
use crate::wire::approval::ApprovalAnswer;
use crate::wire::envelope::Envelope;

/// Every code that some command may be answered, that of an unknown command among them.
pub(super) fn errors() -> Vec<RefusalCode> {
    let of_commands = COMMANDS.iter().flat_map(|command| command.errors);
    COMMON_ERRORS.iter().chain(of_commands).chain(&[RefusalCode::NotFound]).copied().collect()
}

/// Message, request and answer of each command.
pub(super) fn schemas() -> impl Iterator<Item = (String, Schema)> {
    let of_command = |command: &Command| {
        [("message", message(command)), ("request", (command.request)()), ("answer", (command.answer)())]
            .map(|(part, schema)| (format!("{}.{part}", command.name), schema))
    };
    COMMANDS.iter().flat_map(of_command).chain([("approval.answer".to_owned(), ApprovalAnswer::schema())])
}

/// The envelope with the command's name and the command's own request.
fn message(command: &Command) -> Schema {
    let request: serde_json::Value = serde_json::from_str(&(command.request)()).unwrap_or_default();
    // A request without required fields may be left out.
    let needs_data =
        request.get("required").and_then(|required| required.as_array()).is_none_or(|required| !required.is_empty());
    let properties = Envelope::FIELDS.iter().map(|field| {
        let schema = match field.name {
            "command" => one_of([command.name]),
            "data" => reference(&format!("{}.request", command.name)),
            _ => with(&(field.schema)(), "description", field.text),
        };
        (field.name, schema)
    });
    members([
        ("title", quoted(command.name)),
        ("type", quoted("object")),
        ("properties", members(properties)),
        ("required", if needs_data { r#"["command","data"]"# } else { r#"["command"]"# }.to_owned()),
        ("additionalProperties", "true".to_owned()),
    ])
}

/// The message of any command.
pub(super) fn request() -> Schema {
    let messages = COMMANDS.iter().map(|command| (command.name, reference(&format!("{}.message", command.name))));
    let (names, references): (Vec<_>, Vec<_>) = messages.unzip();
    let mapping = names.iter().map(|name| (*name, quoted(&format!("#/components/schemas/{name}.message"))));
    let discriminator = members([("propertyName", quoted("command")), ("mapping", members(mapping))]);
    members([("oneOf", array(references)), ("discriminator", discriminator)])
}

/// What is answered with this number: that of the command which was called.
pub(super) fn answer(number: u16) -> Schema {
    let data = match number {
        202 => reference("approval.answer"),
        _ => members([("anyOf", array(COMMANDS.iter().map(|command| reference(&format!("{}.answer", command.name)))))]),
    };
    enveloped(number, &data)
}

pub(super) fn refusal(number: u16, refusal: &str) -> Schema {
    enveloped(number, refusal)
}

fn enveloped(number: u16, data: &str) -> Schema {
    let properties = members([
        ("extID", with("{}", "description", "the request's")),
        ("status", one_of([number])),
        ("data", data.to_owned()),
    ]);
    members([
        ("type", quoted("object")),
        ("properties", properties),
        ("required", r#"["extID","status","data"]"#.to_owned()),
        ("additionalProperties", "false".to_owned()),
    ])
}

/// Each command: its schemas, its errors beside those of every command, its sessions.
pub(super) fn commands() -> String {
    let described = |command: &Command| {
        let codes = command.errors.iter().map(|code| quoted(code.text()));
        let sessions = SESSIONS.iter().filter(|(_, role)| (command.may)(*role)).map(|(name, _)| quoted(name));
        let effect = match command.effect {
            Effect::Reads => "reads",
            Effect::Changes => "changes",
        };
        let schema = |part: &str| reference(&format!("{}.{part}", command.name));
        members([
            ("effect", quoted(effect)),
            ("request", schema("request")),
            ("answer", schema("answer")),
            ("errors", array(codes)),
            ("sessions", array(sessions)),
        ])
    };
    members(COMMANDS.iter().map(|command| (command.name, described(command))))
}
