//! The limits of the pages against the constants of the product, both ways: each row's value is that of the constant it
//! names, and each limit that a caller or an operator can meet has a row.
use crate::constants::{Constant, constants, product_files};
use crate::markdown::{PAGES, read, tables};

/// Limits that no caller and no operator meets, with their values and why.
const INTERNAL: [(&str, i128, &str); 15] = [
    ("HEAD_BYTES_MAX", 64 * 1024, "what stands before the rows of our own lists"),
    ("SHOWN_MAX", 64, "how much of a refused text a message repeats"),
    ("LOGGED_PATH_MAX", 128, "how much of a path a log line has"),
    ("HOLDER_BYTES_MAX", 64, "the note in a lock file"),
    ("EXPECTED_MAX", 4_000_000, "memory reserved at the start"),
    ("REPEATED_LENGTH_MIN", 4, "how rows are packed"),
    ("BATCH_MAX", 1024, "postings under one sync; more form the next batch"),
    ("QUEUE_MAX", 8192, "postings that wait for the embedded trading server; its callers are bounded before"),
    ("STATEMENTS_MAX", 32, "prepared statements that SQLite keeps"),
    ("READERS_MAX", 4, "threads that read rows at the start"),
    ("READS_MAX", 4096, "reads of stored rows that wait; their callers are bounded before"),
    ("EVENTS_PAGE_MAX", 1000, "stored events read at once"),
    ("TEXTS_AT_ONCE_MAX", 64, "transactions whose texts one statement reads"),
    ("TEXT_CACHE_BYTES_MAX", 16 * 1024 * 1024, "texts kept in memory; others are read again"),
    ("IDLE_WAIT_MAX", 20, "how long a used connection may take to become reusable"),
];

/// A row of a page: the constant that it names and the value that it states.
#[derive(Debug, Clone)]
struct Row {
    place: String,
    constant: String,
    value: String,
}

fn rows() -> Vec<Row> {
    let of_page = |page: &&'static str| {
        let found =
            tables(&read(page), "Limit").into_iter().flat_map(|table| table.columns(["Limit", "Value", "Constant"]));
        let page = *page;
        found.map(move |[limit, value, constant]| Row { place: format!("{page}: {limit}"), constant, value })
    };
    PAGES.iter().flat_map(of_page).collect()
}

/// A stated value in bytes, milliseconds or a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stated {
    Bytes(i128),
    Milliseconds(i128),
    Count(i128),
}

impl Stated {
    /// `128 KiB`, `5 s`, `120`, `10^15` or `2^53 - 1`.
    fn parse(text: &str) -> Option<Self> {
        let power = |text: &str| match text.split_once('^') {
            Some((base, exponent)) => base.parse::<i128>().ok()?.checked_pow(exponent.parse().ok()?),
            None => text.parse().ok(),
        };
        if let Some((left, right)) = text.split_once(" - ") {
            return Some(Self::Count(power(left)? - power(right)?));
        }
        let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
        let number = power(number)?;
        let stated = match unit {
            "" => Self::Count(number),
            "bytes" => Self::Bytes(number),
            "KiB" => Self::Bytes(number * 1024),
            "MiB" => Self::Bytes(number * 1024 * 1024),
            "ms" => Self::Milliseconds(number),
            "s" => Self::Milliseconds(number * 1000),
            "min" => Self::Milliseconds(number * 60_000),
            "h" => Self::Milliseconds(number * 3_600_000),
            "days" => Self::Milliseconds(number * 86_400_000),
            _ => return None,
        };
        Some(stated)
    }

    fn is(self, constant: &Constant) -> bool {
        match self {
            Self::Bytes(bytes) if constant.name.contains("_KIB_") => bytes == constant.value * 1024,
            Self::Bytes(number) | Self::Count(number) => !constant.is_duration && number == constant.value,
            Self::Milliseconds(number) if constant.is_duration => number == constant.value,
            Self::Milliseconds(number) => number == constant.value * 1000,
        }
    }
}

/// Whether a constant bounds something by its name; others may be in a page and need not.
fn is_a_limit(name: &str) -> bool {
    ["_MAX", "_MIN", "PER_MINUTE"].iter().any(|ending| name.ends_with(ending))
}

/// What the pages lack and what they state wrongly.
fn differences(rows: &[Row], constants: &[Constant], internal: &[(&str, i128, &str)]) -> Vec<String> {
    let mut found = Vec::new();
    let states = |row: &Row, constant: &Constant| {
        row.constant == constant.name && Stated::parse(&row.value).is_some_and(|stated| stated.is(constant))
    };
    for row in rows {
        let known: Vec<i128> = constants.iter().filter(|one| one.name == row.constant).map(|one| one.value).collect();
        if !constants.iter().any(|constant| states(row, constant)) {
            found
                .push(format!("{} is {} in the page, {} is {known:?} in the code", row.place, row.value, row.constant));
        }
    }
    let exempt = |one: &Constant| internal.iter().any(|(name, value, _)| *name == one.name && *value == one.value);
    for constant in constants.iter().filter(|constant| is_a_limit(&constant.name) && !exempt(constant)) {
        if !rows.iter().any(|row| states(row, constant)) {
            found.push(format!("no page states {} = {} ({})", constant.name, constant.value, constant.file));
        }
    }
    for (name, value, _) in internal {
        if !constants.iter().any(|constant| constant.name == *name && constant.value == *value) {
            found.push(format!("{name} = {value} is called internal and is not in the code"));
        }
    }
    found
}

#[test]
fn every_limit_of_the_pages_is_that_of_the_code_and_every_limit_of_the_code_is_in_a_page() {
    let mut files = product_files(&["host/src", "host/core/src"]);
    files.retain(|(path, _)| !path.starts_with("host/src/cli/demo"));
    let constants = constants(&files);
    assert!(constants.len() > 80, "{} constants were read: the reading of them is broken", constants.len());
    let found = differences(&rows(), &constants, &INTERNAL);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_wrong_value_a_missing_row_and_a_stale_exemption_are_reported() {
    let constant =
        |name: &str, value, is_duration| Constant { file: "a.rs".into(), name: name.into(), value, is_duration };
    let code = [constant("BODY_MAX", 2048, false), constant("WAIT_MAX", 5000, true), constant("OTHER_MAX", 7, false)];
    let row =
        |constant: &str, value: &str| Row { place: "page: it".into(), constant: constant.into(), value: value.into() };
    let right = [row("BODY_MAX", "2 KiB"), row("WAIT_MAX", "5 s"), row("OTHER_MAX", "7")];
    assert!(differences(&right, &code, &[]).is_empty());
    assert!(differences(&right[..2], &code, &[("OTHER_MAX", 7, "why")]).is_empty());
    let wrong = [row("BODY_MAX", "2 KiB"), row("WAIT_MAX", "6 s"), row("GONE_MAX", "1")];
    assert_eq!(
        differences(&wrong, &code, &[("STALE_MAX", 1, "why")]),
        [
            "page: it is 6 s in the page, WAIT_MAX is [5000] in the code",
            "page: it is 1 in the page, GONE_MAX is [] in the code",
            "no page states WAIT_MAX = 5000 (a.rs)",
            "no page states OTHER_MAX = 7 (a.rs)",
            "STALE_MAX = 1 is called internal and is not in the code",
        ]
    );
}
