"""A check of schemathesis about POST /manager, where every command has one path: the answer is that of the command which was sent.

Read by tests/openapi.rs, which says in the environment which errors every command may have, and what the session may use.
"""

import json
import os

import jsonschema_rs
import schemathesis

COMMON = set(os.environ["COMMON_ERRORS"].split())
# Commands that the session may not use; "*" is every one.
REFUSED = set(os.environ["REFUSED_COMMANDS"].split())
# The numbers with which they are refused.
REFUSALS = {400, 401, 403, 408, 413, 429}

VALIDATORS = {}


def problems(document, name, data):
    """What in `data` does not fit the schema of this name."""
    if name not in VALIDATORS:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        VALIDATORS[name] = jsonschema_rs.validator_for(schema)
    return [f"{error.instance_path}: {error.message}" for error in VALIDATORS[name].iter_errors(data)]


@schemathesis.check
def answer_of_the_command_that_was_sent(ctx, response, case):
    document = case.operation.schema.raw_schema
    commands = document["paths"].get("/manager", {}).get("post", {}).get("x-commands")
    if commands is None or response.request.method != "POST":
        return
    try:
        sent = json.loads(response.request.body)
        answer = response.json()
    except (TypeError, ValueError):
        return
    command = sent.get("command") if isinstance(sent, dict) else None
    number, data = response.status_code, answer["data"]
    if not isinstance(command, str) or command not in commands:
        assert number >= 400, f"no command was sent, and the answer is {number}"
        return
    if command in REFUSED or "*" in REFUSED:
        assert number in REFUSALS, f"{command}: this session may not use it, and the answer is {number}"
    known = commands[command]
    if number >= 400:
        assert number != 503 or data["error"] == "PROVIDER_UNAVAILABLE", f"{command}: {number} {data['error']}"
        allowed = COMMON | set(known["errors"])
        assert data["error"] in allowed, f"{command}: {number} {data['error']} is none of its errors"
        return
    if number == 202:
        assert known["effect"] == "changes", f"{command} changes nothing, and waits for a second person"
    found = problems(document, "approval.answer" if number == 202 else f"{command}.answer", data)
    assert not found, f"{command}: {number}: {found}"
