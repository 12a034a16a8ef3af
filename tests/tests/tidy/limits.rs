//! Numbers have names: what bounds a queue, a body, a page, a wait or a cache is a constant with its reason beside it, and
//! published numbers are the discriminants of enums. Values in the settings of a module or of the egress are fields.

use crate::source::{Source, holds, product};

/// What takes a bound, and whether the bound is its last argument.
const BOUNDED: [&str; 16] = [
    "channel(",
    "channel::<",
    "Semaphore::new(",
    "Limited::new(",
    "content_length_limit(",
    "with_capacity_limit(",
    "buffer_unordered(",
    "buffered(",
    "busy_timeout(",
    "set_prepared_statement_cache_capacity(",
    "max_buf_size(",
    "max_headers(",
    "Duration::from_secs(",
    "Duration::from_millis(",
    "Duration::from_micros(",
    "Duration::new(",
];

/// What is no constant, and why.
const FIELDS: [(&str, &str, &str); 4] = [
    (
        "host/src/plugins/limits.rs",
        "call: Duration::from_secs(2),",
        "a field with its reason that plugins.toml may set",
    ),
    ("host/src/plugins/limits.rs", "exchange: Duration::from_secs(30),", "the same"),
    (
        "host/src/plugins/egress/http_client/dial.rs",
        "Self { connect_deadline: ",
        "a field with its reason that a test may set",
    ),
    (
        "host/src/plugins/calling/reply_cache.rs",
        "let empty = || CacheSlot { fetch: Arc::new(Semaphore::new(1))",
        "one holder: a lock, not a limit",
    ),
];

#[test]
fn every_bound_of_a_queue_a_body_or_a_wait_is_a_named_constant() {
    let (mut found, mut fields) = (Vec::new(), Vec::new());
    for folder in ["host/src", "host/core/src", "provider-sdk/src", "providers/sandbox/src", "providers/stripe/src"] {
        for file in product(folder) {
            for (at, line) in nameless_bounds(&file) {
                match FIELDS.iter().find(|(path, field, _)| file.path == *path && line.trim().starts_with(field)) {
                    Some(field) => fields.push(*field),
                    None => found.push(format!("{}:{at}: {}", file.path, line.trim())),
                }
            }
        }
    }
    holds("a bound has no name and no reason", &found);
    assert_eq!(fields.len(), FIELDS.len(), "each of them is there: {fields:?}");
}

/// Lines that bound something by a number as it is, outside a constant.
fn nameless_bounds(file: &Source) -> Vec<(usize, &str)> {
    let mut in_constant = false;
    let mut found = Vec::new();
    for (at, line) in &file.code {
        let begins = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        let begins = begins.trim_start_matches("pub(super) ");
        in_constant |= begins.starts_with("const ") || begins.starts_with("static ");
        let has_number = |(after, _): &(&str, usize)| {
            let arguments = after.split([')', ';']).next().unwrap_or_default();
            arguments
                .split([',', '(', ' ', '<', '>'])
                .any(|word| word.starts_with(|digit: char| digit.is_ascii_digit()))
        };
        let bounded = BOUNDED.iter().filter_map(|word| Some((line.split_once(word)?.1, at.to_owned())));
        if !in_constant && bounded.into_iter().any(|bound| has_number(&bound)) {
            found.push((*at, line.as_str()));
        }
        in_constant &= !line.ends_with(';') && !line.ends_with('}');
    }
    found
}

#[test]
fn a_planted_bound_without_a_name_is_found() {
    let table = [
        ("let (a, b) = mpsc::channel(64);", true),
        ("let (a, b) = mpsc::channel(QUEUE_MAX);", false),
        ("let (a, b) = sync_channel::<Question>(8);", true),
        ("let (a, b) = oneshot::channel();", false),
        ("clock.sleep(Duration::from_secs(5)).await;", true),
        ("clock.sleep(Duration::from_secs(pause)).await;", false),
        ("const PAUSE: Duration = Duration::from_secs(60 * 60);", false),
        ("pub(super) const PAUSE: Duration =", false),
        ("Semaphore::new(16 * 1024)", true),
        ("Limited::new(body, 1024)", true),
        ("Limited::new(body, ANSWER_BYTES_MAX)", false),
    ];
    for (line, expected) in table {
        assert_eq!(!nameless_bounds(&Source::of("a.rs", line)).is_empty(), expected, "{line}");
    }
}

#[test]
fn no_queue_is_endless() {
    let files: Vec<Source> = ["host/src", "host/core/src", "provider-sdk/src"].into_iter().flat_map(product).collect();
    assert_eq!(endless(&files), Vec::<&str>::new());
}

fn endless(files: &[Source]) -> Vec<&str> {
    let has = |file: &&Source| file.code.iter().any(|(_, line)| line.contains("unbounded_channel"));
    files.iter().filter(has).map(|file| file.path.as_str()).collect()
}

#[test]
fn every_limit_says_why_it_is_what_it_is() {
    let files: Vec<Source> = ["host/src", "host/core/src"].into_iter().flat_map(product).collect();
    let (without_reason, counted) = limits_without_reason(&files);
    holds("a limit without its reason", &without_reason);
    assert!(counted > 60, "the limits are found: {counted}");
}

/// Limits that no comment explains, and how many limits there are.
fn limits_without_reason(files: &[Source]) -> (Vec<String>, usize) {
    let (mut found, mut counted) = (Vec::new(), 0);
    for file in files {
        let lines: Vec<&str> = file.whole.lines().collect();
        for (at, line) in file.code.iter().filter(|(_, line)| is_limit(line)) {
            counted += 1;
            // The reason stands at its end or above it; limits that follow each other share one, and a limit that only a
            // function knows is explained with the function.
            let before = lines[..at - 1].iter().rev();
            let above = before
                .map(|line| line.trim())
                .find(|line| !is_limit(line) && !line.starts_with("#[") && !line.contains("fn "));
            if !lines[at - 1].contains("// ") && !above.is_some_and(|line| line.starts_with("//")) {
                found.push(format!("{}:{at}: {}", file.path, line.trim()));
            }
        }
    }
    (found, counted)
}

/// A constant whose name states that it bounds something.
fn is_limit(line: &str) -> bool {
    let Some((_, declared)) = line.split_once("const ") else { return false };
    let name = declared.split(':').next().unwrap_or_default();
    let endings = ["_MAX", "_PAUSE", "_WAIT", "_PATIENCE", "_DEADLINE", "_SECONDS", "_MIN"];
    endings.iter().any(|ending| name.ends_with(ending))
}

/// The numbers that pages publish as statuses.
const STATUSES: [&str; 19] = [
    "200", "201", "202", "204", "400", "401", "402", "403", "404", "405", "408", "409", "411", "413", "415", "422",
    "429", "500", "503",
];

#[test]
fn published_statuses_are_written_once_in_the_core() {
    let layers = ["host/src/wire", "host/src/manager", "host/src/flows", "host/src/ledger", "host/src/strand"];
    let files: Vec<Source> = layers.into_iter().flat_map(product).collect();
    holds("a status stands as a bare number", &bare_statuses(&files));
}

fn bare_statuses(files: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (at, line) in file.code.iter().filter(|(_, line)| !line.contains("const ")) {
            let words = line.split(|character: char| !character.is_alphanumeric() && character != '_');
            let mut numbers = words.map(|word| word.trim_end_matches("u16").trim_end_matches('_'));
            if numbers.any(|number| STATUSES.contains(&number)) {
                found.push(format!("{}:{at}: {}", file.path, line.trim()));
            }
        }
    }
    found
}

#[test]
fn a_planted_limit_queue_or_status_is_found() {
    let limits = "const QUEUE_MAX: usize = 8;\n/// A reason.\nconst ROWS_MAX: usize = 9;\nconst PAGE_MAX: u8 = 1;\n\nfn f() {}\nconst LAST_WAIT: u8 = 2; // a reason\n";
    let (found, counted) = limits_without_reason(&[Source::of("a.rs", limits)]);
    assert_eq!((found, counted), (vec!["a.rs:1: const QUEUE_MAX: usize = 8;".to_owned()], 4));
    let queues = [Source::of("a.rs", "mpsc::unbounded_channel()"), Source::of("b.rs", "mpsc::channel(QUEUE_MAX)")];
    assert_eq!(endless(&queues), ["a.rs"]);
    let statuses = "reply(404);\nreply(404_u16);\nreply(\"404\");\nconst NOT_FOUND: u16 = 404;\nlet row_404 = 4040;\n";
    let found = bare_statuses(&[Source::of("a.rs", statuses)]);
    assert_eq!(found, ["a.rs:1: reply(404);", "a.rs:2: reply(404_u16);"]);
}
