//! No two types of the product share a name, so that a search for a name finds one type. A pair that mirrors each other on
//! both sides of a boundary is listed with the reason.

use std::collections::{BTreeMap, BTreeSet};

use crate::paths::tokens;
use crate::source::{Source, crates, holds, product};

/// Names that several types may have, and why.
const TWINS: &[(&str, &str)] = &[
    ("Acknowledgement", "the SDK's, and the port's that `convert` makes of it"),
    ("NextAction", "the SDK's, and the core's that `convert` makes of it"),
    ("ProviderConfig", "the core's row, and what the SDK shows of it to a module"),
    ("ProviderRef", "the SDK's, and the core's that `convert` makes of it"),
    ("Secret", "the core's sealed setting, and the SDK's that a module is lent"),
];

const DECLARATIONS: [&str; 5] = ["struct", "enum", "union", "trait", "type"];

#[test]
fn no_two_product_types_share_a_name() {
    let files: Vec<Source> = crates().iter().flat_map(|folder| product(folder)).collect();
    let known: BTreeSet<&str> = TWINS.iter().map(|(name, _)| *name).collect();
    let found = twins(&files);
    let unlisted = found.iter().filter(|(name, _)| !known.contains(name.as_str()));
    let unlisted = unlisted.map(|(name, at)| format!("{name}: {}", at.join(", ")));
    let gone =
        known.iter().filter(|name| !found.contains_key(**name)).map(|name| format!("{name}: listed, but unique"));
    holds("types share a name", &unlisted.chain(gone).collect::<Vec<_>>());
}

/// Names with more than one type, and where each is declared.
fn twins(files: &[Source]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let macros = declaring_macros(files);
    for file in files {
        for (line, name) in types(file, &macros) {
            found.entry(name).or_default().push(format!("{}:{line}", file.path));
        }
    }
    found.retain(|_, places| places.len() > 1);
    found
}

/// The types that a file declares: by a keyword, or in the list that one of these macros takes at the top of the file.
fn types(file: &Source, macros: &BTreeSet<String>) -> Vec<(usize, String)> {
    let tokens = tokens(file);
    let word = |at: usize| tokens.get(at).map_or("", |(_, word)| word.as_str());
    let is_type = |at: usize| word(at).starts_with(|first: char| first.is_uppercase());
    let (mut found, mut depth, mut in_macro) = (Vec::new(), 0, false);
    for (at, (line, token)) in tokens.iter().enumerate() {
        let declared = match token.as_str() {
            "{" => {
                in_macro |= depth == 0 && at > 1 && word(at - 1) == "!" && macros.contains(word(at - 2));
                depth += 1;
                continue;
            }
            "}" => {
                depth -= 1;
                in_macro &= depth > 0;
                continue;
            }
            // Deeper down it is a member of a trait.
            "type" if depth > 0 => continue,
            declaration if DECLARATIONS.contains(&declaration) => at + 1,
            _ if in_macro && depth == 1 && ["{", "}", "]", ";"].contains(&word(at - 1)) => at,
            _ => continue,
        };
        let is_listed = ["{", "(", ";"].contains(&word(at + 1));
        if is_type(declared) && (declared > at || is_listed) {
            found.push((*line, word(declared).to_owned()));
        }
    }
    found
}

/// The macros whose rules declare types by names that they take.
fn declaring_macros(files: &[Source]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for tokens in files.iter().map(tokens) {
        let (mut depth, mut rules) = (0, None);
        for (at, (_, token)) in tokens.iter().enumerate() {
            let next = |by: usize| tokens.get(at + by).map_or("", |(_, word)| word.as_str());
            match (token.as_str(), &rules) {
                ("macro_rules", None) => rules = Some((depth, next(2).to_owned())),
                ("{", _) => depth += 1,
                ("}", _) => {
                    depth -= 1;
                    rules = rules.filter(|(opened, _)| *opened < depth);
                }
                (declaration, Some((_, name))) if DECLARATIONS.contains(&declaration) && next(1) == "$" => {
                    found.insert(name.clone());
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn planted_twins_are_found() {
    let table = [
        ("struct Books;", "enum Books {}", "Books"),
        ("pub(crate) trait Store {}", "mod deep { pub union Store { a: u8 } }", "Store"),
        ("pub type Line = u8;", "fn f() { struct Line; }", "Line"),
        (
            "ids! { /// doc\n Login; Seq; }",
            "macro_rules! ids { ($($a:ident)*) => { struct $a; } } struct Seq(u64);",
            "Seq",
        ),
        (
            "macro_rules! numbered { ($a:ident) => { enum $a {} } } numbered! { #[doc] Status { Ok = 0, } Kind { Status = 1, } }",
            "struct Status;",
            "Status",
        ),
        // Members of traits, variants, uses and macros that write types by name are no declarations.
        ("impl A for B { type Error = u8; }", "struct Error;", ""),
        ("enum E { Books }", "struct Books; use a::Books;", ""),
        ("macro_rules! ids { ($a:ident) => { struct $a; } } ids! { Money = 1 \"money\", }", "struct Money;", ""),
        ("macro_rules! m { ($a:ident) => { const $a: u8; } } m! { Books { a } }", "struct Books;", ""),
        ("macro_rules! m { ($name:ident) => { struct $name; } }", "struct name;", ""),
        ("struct Books;", "// struct Books;\n#[cfg(test)]\nmod tests {\n struct Books;\n}\n", ""),
    ];
    for (one, other, expected) in table {
        let found = twins(&[Source::of("a.rs", one), Source::of("b.rs", &format!("\n{other}"))]);
        assert_eq!(found.into_keys().collect::<Vec<_>>().join(" "), expected, "{one} {other}");
    }
}
