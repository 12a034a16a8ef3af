//! SQL stands in `strand` and `trading` alone. Texts that begin like a statement are found; a sentence for people is not one.

use crate::source::{Source, absent, holds, product};

/// The layers that speak SQL.
const WITH_SQL: [&str; 2] = ["host/src/strand", "host/src/trading"];

/// How a statement begins, and what else is in it.
const STATEMENTS: [(&str, &str); 14] = [
    ("SELECT ", ""),
    ("INSERT ", "INTO "),
    ("REPLACE INTO ", ""),
    ("UPDATE ", " SET "),
    ("DELETE FROM ", ""),
    ("CREATE TABLE ", ""),
    ("CREATE INDEX ", ""),
    ("CREATE UNIQUE ", ""),
    ("ALTER TABLE ", ""),
    ("DROP TABLE ", ""),
    ("PRAGMA ", ""),
    ("BEGIN IMMEDIATE", ""),
    ("WITH ", "SELECT "),
    ("VACUUM", ""),
];

#[test]
fn sql_stays_in_strand_and_trading() {
    let mut outside = product("host/core/src");
    let others = product("host/src").into_iter();
    outside.extend(others.filter(|file| !WITH_SQL.iter().any(|layer| file.path.starts_with(layer))));
    absent("strand and trading alone reach a database", &outside, &["rusqlite", "include_str!"]);
    holds("strand and trading alone speak SQL", &statements_in(&outside));
    // A check that sees nothing where SQL stands would see nothing elsewhere.
    let inside: Vec<Source> = WITH_SQL.into_iter().flat_map(product).collect();
    let texts = || inside.iter().flat_map(|file| file.texts.iter().map(|(_, text)| text.as_str()));
    for word in ["SELECT", "INSERT", "UPDATE", "DELETE", "PRAGMA", "BEGIN"] {
        assert!(
            texts().any(|text| text.starts_with(word) && is_statement(text)),
            "no {word} is seen where statements stand"
        );
    }
}

fn statements_in(files: &[Source]) -> Vec<String> {
    let texts = files.iter().flat_map(|file| file.texts.iter().map(move |(at, text)| (file, at, text)));
    let found = texts.filter(|(_, _, text)| is_statement(text));
    found.map(|(file, at, text)| format!("{}:{at}: {text}", file.path)).collect()
}

fn is_statement(text: &str) -> bool {
    let upper = text.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase();
    let whole = |(begins, has): &(&str, &str)| upper.starts_with(begins) && upper.contains(has);
    // A sentence for people may begin with such a word as well; a statement is not written with a capital alone.
    let in_one_case = |(begins, _): &(&str, &str)| {
        let first = begins.trim().split(' ').next().unwrap_or_default();
        text.trim_start().starts_with(first) || text.trim_start().starts_with(&first.to_lowercase())
    };
    STATEMENTS.iter().any(|statement| whole(statement) && in_one_case(statement))
}

#[test]
fn a_planted_statement_is_found() {
    let table = [
        ("let q = \"SELECT id FROM transaction_row\";", true),
        ("let q = \"\n    update config\n    set enabled = 0\";", true),
        ("let q = r#\"DELETE FROM config\"#;", true),
        ("let q = \"Update the config and set a limit\";", false),
        ("// SELECT id FROM transaction_row", false),
        ("let q = \"select\";", false),
    ];
    for (text, expected) in table {
        assert_eq!(!statements_in(&[Source::of("a.rs", text)]).is_empty(), expected, "{text}");
    }
}
