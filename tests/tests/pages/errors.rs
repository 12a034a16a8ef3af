//! Errors of the manager's commands: the line `Errors:` of each command's section against its constant, and those of every command.

use cashier_core::refusal::RefusalCode;
use cashier_host::manager::COMMANDS;
use cashier_host::manager::command::COMMON_ERRORS;

use crate::agree;
use crate::markdown::{manager_pages, read, section};

/// `400 INVALID_DATA · 409 A, B`, in the order of the numbers, and of the codes as the core lists them.
fn line(codes: &[RefusalCode]) -> String {
    let listed = RefusalCode::ALL.iter().filter(|code| codes.contains(code));
    let mut numbers: Vec<(u16, Vec<&str>)> = Vec::new();
    for code in listed {
        match numbers.iter_mut().find(|(number, _)| *number == code.number()) {
            Some((_, texts)) => texts.push(code.text()),
            None => numbers.push((code.number(), vec![code.text()])),
        }
    }
    numbers.sort_by_key(|(number, _)| *number);
    numbers.iter().map(|(number, texts)| format!("{number} {}", texts.join(", "))).collect::<Vec<_>>().join(" · ")
}

/// The paragraph of a section that begins so, on one line and without its full stop.
fn stated(section: &str, begin: &str) -> Option<String> {
    let mut paragraph = section.lines().skip_while(|line| !line.starts_with(begin)).take_while(|line| !line.is_empty());
    let first = paragraph.next()?.strip_prefix(begin)?.to_owned();
    let whole = [first].into_iter().chain(paragraph.map(str::to_owned)).collect::<Vec<_>>().join(" ");
    Some(whole.trim().trim_end_matches('.').to_owned())
}

#[test]
fn the_section_of_every_command_names_the_errors_of_its_own() {
    let page = manager_pages().map(read).collect::<String>();
    let in_page = |name: &str| section(&page, name).and_then(|text| stated(&text, "Errors: ")).unwrap_or_default();
    let lines = |of: &dyn Fn(&str) -> String| {
        COMMANDS.iter().map(|known| format!("{}: {}", known.name, of(known.name))).collect()
    };
    let in_code = |name: &str| {
        let command = COMMANDS.iter().find(|known| known.name == name);
        command.map(|known| line(known.errors)).unwrap_or_default()
    };
    agree("errors of commands", lines(&in_page), lines(&in_code));
}

#[test]
fn the_page_of_the_envelope_names_the_errors_of_every_command() {
    let text = section(&read("docs/api/manager.md"), "Envelope").unwrap_or_default();
    let stated = stated(&text, "Errors of every command: ").unwrap_or_default();
    agree("errors of every command", vec![stated], vec![line(COMMON_ERRORS)]);
}

#[test]
fn a_line_of_errors_is_read_over_its_line_ends_and_ends_with_its_paragraph() {
    let text = "Request: `id*`.\n\nErrors: 404 A ·\n409 B, C.\n\nMore 500 D.\n";
    assert_eq!(stated(text, "Errors: ").as_deref(), Some("404 A · 409 B, C"));
    assert_eq!(stated("no such line", "Errors: "), None);
    let codes = [RefusalCode::Internal, RefusalCode::Duplicate, RefusalCode::ApprovalStale, RefusalCode::InvalidData];
    let expected = "400 INVALID_DATA · 409 RET_ERR_DUPLICATE, APPROVAL_STALE · 500 INTERNAL_ERROR";
    assert_eq!(line(&codes), expected);
}
