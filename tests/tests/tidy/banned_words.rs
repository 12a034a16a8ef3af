//! Words that no source, test or page of this repository uses, each with the term to write in its place. They match whole words
//! and parts of identifiers, in any case, and file names too. This file is the one place that spells them.

use std::collections::BTreeSet;
use std::fs;

use crate::source::{holds, root, walk};

/// Each form of a word, and the terms of the field that take its place.
const BANNED: [(&[&str], &str); 19] = [
    (&["house", "houses"], "the cashier, `Cashier`, the server; the actor is `System`"),
    (&["door", "doors"], "listener, endpoint"),
    (&["room", "rooms"], "module, layer, capacity"),
    (&["hall", "halls"], "connection context"),
    (&["hear", "hears", "heard", "hearing"], "receive, record, apply; the inbox"),
    (&["tell", "tells", "telling", "teller", "told"], "report, answer, distinguish"),
    (&["shelf", "shelves"], "registry"),
    (&["errand", "errands"], "call, exchange"),
    (&["agenda", "agendas"], "backoff, schedule"),
    (&["picture", "pictures"], "snapshot"),
    (&["flights"], "single_flight"),
    (&["undone"], "requeue, reverted, due"),
    (&["suspect", "suspects"], "quarantine, unverified"),
    (&["unproven"], "quarantine, unverified"),
    (&["doubt", "doubts"], "review hold"),
    (&["genuine"], "verified"),
    (&["neighbour", "neighbours"], "the other config, the next row"),
    (&["stranger", "strangers"], "unknown caller, another customer"),
    (&["journey", "journeys"], "flow"),
];

/// Names of published pages or stored files, which keep their spelling: where (nowhere in particular is everywhere), the
/// name, and why.
const UNCHANGED: [(&str, &str, &str); 7] = [
    ("", "HELD_BUT_HEARD", "a published reason code"),
    ("", "HeldButHeard", "the variant of that code"),
    ("", "MngResolveCashierDoubt", "the wire name of a command"),
    ("", "unproven_event", "a table of the landed schema"),
    ("", "unproven_notice", "a table of the landed schema"),
    ("host/core/src/facts.rs", "doubt", "the stored tag of a review hold"),
    ("host/src/strand/tests/round_trip.rs", "doubt", "the stored tag of a review hold"),
];

/// Folders whose texts are read, and the root's own files.
const FOLDERS: [&str; 7] = ["host", "provider-sdk", "providers", "tests", "docs", ".ci", ".cargo"];

const ENDINGS: [&str; 7] = ["rs", "md", "toml", "json", "sql", "txt", "yml"];

/// Not reworded: published pages, schema files that landed, and this list.
const EXCLUDED: [&str; 4] =
    ["docs/published/", "host/src/strand/schema/", "host/src/trading/schema/", "tests/tests/tidy/banned_words.rs"];

#[test]
fn no_text_uses_a_banned_word() {
    let mut paths = Vec::new();
    for folder in FOLDERS.iter().map(|folder| root().join(folder)).filter(|folder| folder.exists()) {
        walk(&folder, &mut paths);
    }
    let own = fs::read_dir(root()).expect("the root").map(|entry| entry.expect("a readable folder").path());
    paths.extend(own.filter(|path| path.is_file()));
    paths.sort();
    let (mut found, mut unchanged) = (Vec::new(), BTreeSet::new());
    for path in paths {
        let name = path.strip_prefix(root()).expect("below the root").display().to_string();
        let is_text =
            path.extension().map_or(name.starts_with(".ci/"), |ending| ENDINGS.iter().any(|of| ending == *of));
        if !is_text || EXCLUDED.iter().any(|excluded| name.starts_with(excluded)) {
            continue;
        }
        found.extend(banned(&name, &name, &mut unchanged).map(|word| format!("{name}: the file's name has {word}")));
        let text = fs::read_to_string(&path).expect("a readable text");
        for (at, line) in text.lines().enumerate() {
            found.extend(banned(&name, line, &mut unchanged).map(|word| format!("{name}:{}: {word}", at + 1)));
        }
    }
    holds("a banned word is used", &found);
    let gone = UNCHANGED.iter().filter(|(place, name, _)| !unchanged.contains(&(*place, *name)));
    holds(
        "listed as unchanged, but no text has it",
        &gone.map(|(place, name, _)| format!("{name} {place}")).collect::<Vec<_>>(),
    );
}

/// The banned words of a line, each with its replacement; names that keep their spelling are noted and passed over.
fn banned(
    path: &str,
    line: &str,
    unchanged: &mut BTreeSet<(&'static str, &'static str)>,
) -> impl Iterator<Item = String> + use<> {
    let mut found = Vec::new();
    for name in line.split(|character: char| !character.is_ascii_alphanumeric() && character != '_') {
        if let Some((place, known, _)) = UNCHANGED.iter().find(|(at, known, _)| *known == name && path.starts_with(at))
        {
            unchanged.insert((place, known));
            continue;
        }
        for part in parts(name) {
            let known = BANNED.iter().find(|(forms, _)| forms.iter().any(|form| part.eq_ignore_ascii_case(form)));
            found.extend(known.map(|(_, instead)| format!("`{name}`; instead: {instead}")));
        }
    }
    found.into_iter()
}

/// The words of an identifier: split at underscores, digits and where a capital begins a word.
fn parts(name: &str) -> Vec<&str> {
    let is_cut = |at: usize| {
        let mut behind = name[at..].chars();
        let (before, here, next) = (name[..at].chars().last(), behind.next(), behind.next());
        let lower = |character: Option<char>| character.is_some_and(|character| character.is_ascii_lowercase());
        here.is_some_and(|here| here.is_ascii_uppercase()) && (lower(before) || lower(next))
    };
    let mut found = Vec::new();
    for piece in name.split(|character: char| character == '_' || character.is_ascii_digit()) {
        let start = piece.as_ptr() as usize - name.as_ptr() as usize;
        let mut from = start;
        for at in start + 1..start + piece.len() {
            if is_cut(at) {
                found.push(&name[from..at]);
                from = at;
            }
        }
        found.push(&name[from..start + piece.len()]);
    }
    found
}

#[test]
fn a_planted_word_is_found() {
    let table = [
        ("the house opens its doors", 2),
        ("struct TestHouse; HTTPDoor::open(House2)", 3),
        ("let house_clock = no_secret_is_told(HOUSE_REQUEST);", 3),
        ("HELD_BUT_HEARD", 0),
        ("\"HELD_BUT_HEARD\", a fact was heard", 1),
        ("the shallow, outdoor greenhouse; bedrooms; a storyteller; warehouses; a retell", 0),
        ("Told, TELLS and teller.", 3),
        ("the stored tag \"doubt\" elsewhere", 1),
    ];
    for (line, expected) in table {
        let found: Vec<String> = banned("host/src/a.rs", line, &mut BTreeSet::new()).collect();
        assert_eq!(found.len(), expected, "{line}: {found:?}");
    }
}
