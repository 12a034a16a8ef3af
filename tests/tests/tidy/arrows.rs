//! Which room of the host names which (ARCHITECTURE.md, "Code map"). Paths are followed however they are written: at the
//! top or in place, in groups, by `super` as far up as it goes.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Source, holds, product, read, root};

/// Rooms, and whom each may name besides itself and the core. Who is not here may name nobody.
const ARROWS: &[(&str, &[&str])] = &[
    // The doors and what they speak to.
    ("http", &["manager", "flows", "wire", "ports"]),
    ("manager", &["flows", "snapshot", "wire", "ports"]),
    ("flows", &["ledger", "snapshot", "ports"]),
    ("ledger", &["ports"]),
    ("snapshot", &["ports"]),
    ("ports", &[]),
    ("wire", &["members"]),
    ("members", &[]),
    // The adapters behind the ports; the files of `bases` are reached through `private_files` and `lock`.
    ("strand", &["ports", "private_files", "lock"]),
    ("plugins", &["ports"]),
    ("trading", &["ports", "private_files", "lock", "members"]),
    ("private_files", &["ports"]),
    ("lock", &["ports", "private_files"]),
    ("system", &["ports"]),
    ("settings", &[]),
    // What an operator types ends in the one file that knows all rooms; the list of modules, the import and the tokens are
    // commands of their own.
    ("cli", &["app", "settings", "ports", "plugins", "trading", "http", "system", "private_files"]),
];

#[test]
fn rooms_name_only_whom_they_may_name() {
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut breaches = Vec::new();
    for file in product("host/src") {
        let Some(room) = room_of(&file.path) else { continue };
        let Some((_, may)) = ARROWS.iter().find(|(known, _)| *known == room) else {
            breaches.push(format!("{}: the room {room} has no line among the arrows", file.path));
            continue;
        };
        for (at, other) in rooms_named(&file) {
            if other != room && !may.contains(&other.as_str()) {
                breaches.push(format!("{}:{at}: {room} names {other}", file.path));
            }
            named.entry(room.clone()).or_default().insert(other);
        }
    }
    holds("a room names one it may not", &breaches);
    let unused = ARROWS.iter().flat_map(|(room, may)| {
        let named = named.remove(*room).unwrap_or_default();
        let gone = may.iter().filter(move |other| !named.contains(**other));
        gone.map(move |other| format!("{room} does not name {other}"))
    });
    holds("an arrow that nobody goes along", &unused.collect::<Vec<_>>());
}

/// The room of a file; the crate's own roots and the file that builds the house know all of them.
fn room_of(path: &str) -> Option<String> {
    let inside = path.strip_prefix("host/src/")?;
    if ["lib.rs", "main.rs", "app.rs"].contains(&inside) {
        return None;
    }
    inside.split(['/', '.']).next().map(str::to_owned)
}

/// Every room that a file names, with the line.
fn rooms_named(file: &Source) -> Vec<(usize, String)> {
    // One line of words, so that groups over several lines are one path.
    let (mut tokens, mut named) = (Vec::new(), Vec::new());
    for (at, line) in &file.code {
        tokens.extend(words(line).into_iter().map(|word| (*at, word)));
    }
    let here = module_of(&file.path);
    let mut rest = tokens.as_slice();
    while let Some(((at, word), behind)) = rest.split_first() {
        rest = behind;
        let next = rest.first().map_or("", |(_, next)| next);
        let base = match (word.as_str(), next) {
            // The crate by another name could be anything.
            ("crate", "as") => vec!["*".to_owned()],
            ("crate", "::") => Vec::new(),
            ("super", "::") => here[..here.len().saturating_sub(1)].to_vec(),
            _ => continue,
        };
        let mut found = Vec::new();
        rest = &rest[follow(rest, base, &mut found)..];
        named.extend(found.into_iter().map(|room| (*at, room)));
    }
    named
}

/// Follows a path from behind its first word and gives the first step below the crate of every end; `*` is all of them.
fn follow(tokens: &[(usize, String)], mut place: Vec<String>, found: &mut Vec<String>) -> usize {
    let mut at = 0;
    while tokens.get(at).is_some_and(|(_, word)| word == "::") {
        at += 1;
        match tokens.get(at).map(|(_, word)| word.as_str()) {
            Some("super") => {
                place.pop();
                at += 1;
            }
            Some("self") => at += 1,
            Some("{") => {
                at += 1;
                while let Some((_, word)) = tokens.get(at).filter(|(_, word)| word != "}") {
                    at += match word.as_str() {
                        "," => 1,
                        _ => follow_one(&tokens[at..], place.clone(), found),
                    };
                }
                return at + 1;
            }
            Some(step) => {
                place.push(step.to_owned());
                at += 1;
            }
            None => break,
        }
    }
    found.push(place.first().cloned().unwrap_or_else(|| "*".to_owned()));
    at
}

/// One member of a group: its first word, and the path behind it.
fn follow_one(tokens: &[(usize, String)], mut place: Vec<String>, found: &mut Vec<String>) -> usize {
    match tokens.first().map(|(_, word)| word.as_str()) {
        Some("self") => {}
        Some("super") => drop(place.pop()),
        Some(step) => place.push(step.to_owned()),
        None => {}
    }
    let mut at = 1 + follow(&tokens[1..], place, found);
    // `as` and the name it gives.
    if tokens.get(at).is_some_and(|(_, word)| word == "as") {
        at += 2;
    }
    at
}

/// The words of a line and the signs of a path.
fn words(line: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), line);
    while let Some(letter) = rest.chars().next() {
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let length = if is_word(letter) {
            rest.find(|letter| !is_word(letter)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            letter.len_utf8()
        };
        if !letter.is_whitespace() {
            found.push(rest[..length].to_owned());
        }
        rest = &rest[length..];
    }
    found
}

/// The module that a file of the host is, such as `["flows", "webhook"]`.
fn module_of(path: &str) -> Vec<String> {
    let inside = path.strip_prefix("host/src/").unwrap_or(path).trim_end_matches(".rs").trim_end_matches("/mod");
    inside.split('/').map(str::to_owned).collect()
}

#[test]
fn paths_are_followed_however_they_are_written() {
    let table = [
        ("use crate::http::reply;", "http"),
        ("use crate::{http, flows::{House, webhook as w}, ports};", "http flows flows ports"),
        ("use crate::{\n    flows::self,\n    strand as disk,\n};", "flows strand"),
        ("let x = crate::app::catalog(&y);", "app"),
        ("use super::reply;", "flows"),
        ("use super::super::strand::Strand;", "strand"),
        ("use super::{super::{wire, plugins::Plugins}, House};", "wire plugins flows"),
        ("use crate::*;", "*"),
        ("use super::super::*;", "*"),
        ("use crate as house;", "*"),
        ("use std::{fs, net}; pub(super) fn f(self) {} pub(crate) struct S;", ""),
    ];
    for (source, expected) in table {
        let code = source.lines().enumerate().map(|(at, line)| (at, line.to_owned())).collect();
        let path = "host/src/flows/webhook.rs".to_owned();
        let file = Source { path, code, texts: Vec::new(), whole: String::new() };
        let found: Vec<String> = rooms_named(&file).into_iter().map(|(_, room)| room).collect();
        assert_eq!(found.join(" "), expected, "{source}");
    }
}

/// Who sees both sides of the module border, and why besides the translators.
const TRANSLATORS: [(&str, &str); 5] = [
    ("host/src/plugins/calling/convert/from_module.rs", "translates what a module said"),
    ("host/src/plugins/calling/convert/to_module.rs", "translates what a module is shown"),
    (
        "host/src/plugins/calling/outcomes.rs",
        "how an exchange that did not end well is told, from the module's failure to the core's ending",
    ),
    (
        "host/src/plugins/calling/gateway.rs",
        "takes the core's row and order, and drives the instance with what `convert` made of them",
    ),
    (
        "host/src/plugins/loading/library.rs",
        "holds a descriptor against the core's lengths and its reserved code before it is trusted",
    ),
];

#[test]
fn only_the_translators_name_core_and_sdk() {
    let names =
        |file: &Source, words: &[&str]| file.code.iter().any(|(_, line)| words.iter().any(|word| line.contains(word)));
    let files = product("host");
    let both = files.iter().filter(|file| {
        names(file, &["cashier_core"]) && names(file, &["cashier_provider_sdk", "cashier_provider_abi"])
    });
    let found: BTreeSet<&str> = both.map(|file| file.path.as_str()).collect();
    let known: BTreeSet<&str> = TRANSLATORS.iter().map(|(path, _)| *path).collect();
    assert_eq!(found, known, "core and SDK meet in `plugins/calling/convert`; each further place has its reason here");
    let elsewhere: Vec<Source> = files.into_iter().filter(|file| !file.path.starts_with("host/src/plugins")).collect();
    crate::source::absent("the border is the plugin host's", &elsewhere, &["cashier_provider_"]);
}

#[test]
fn the_program_knows_the_command_line_and_nothing_else() {
    let main = read(&root().join("host/src/main.rs"));
    assert!(main.whole.lines().count() < 60, "main.rs hands over; it does not work");
    let named: BTreeSet<&str> = (main.code.iter())
        .filter_map(|(_, line)| {
            line.split("cashier_host::").nth(1)?.split(|letter: char| !letter.is_alphanumeric()).next()
        })
        .collect();
    assert_eq!(named, BTreeSet::from(["cli"]), "main hands over to the command line");
}
