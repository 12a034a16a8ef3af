//! Reads the module paths of a source file, however they are written: in `use` groups, in place, by `super` as far up as
//! it goes, with `as`, inside inline modules. It does not know which file a path leads to (`modules.rs`) nor which paths
//! are allowed (`layers.rs`, `circles.rs`).

use crate::source::Source;

/// How a path is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// In an expression, a type or an attribute.
    InPlace,
    /// Imported for this file.
    Import,
    /// Imported and visible to other files.
    ReExport,
}

#[derive(Clone, Debug)]
pub(crate) struct WrittenPath {
    pub(crate) line: usize,
    /// The inline modules of the file around it.
    pub(crate) inside: Vec<String>,
    /// Its steps as written, `crate`, `self` and `super` included; a glob ends in `*`.
    pub(crate) steps: Vec<String>,
    /// The name that an import gives it.
    pub(crate) alias: Option<String>,
    pub(crate) kind: Kind,
}

/// What the graph needs of a file.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) paths: Vec<WrittenPath>,
    /// Names that stand alone, outside imports.
    pub(crate) bare: Vec<String>,
    /// Names that the file declares, with the inline modules around each.
    pub(crate) declared: Vec<(Vec<String>, String)>,
    /// Modules declared inside the file.
    pub(crate) inline_modules: Vec<Vec<String>>,
}

const DECLARATIONS: [&str; 8] = ["fn", "struct", "enum", "trait", "type", "union", "const", "static"];

pub(crate) fn names(file: &Source) -> Names {
    let tokens = tokens(file);
    let word = |at: usize| tokens.get(at).map_or("", |(_, word)| word.as_str());
    let (mut found, mut inside, mut opened, mut depth, mut at) = (Names::default(), Vec::new(), Vec::new(), 0, 0);
    while at < tokens.len() {
        let (line, before) = (tokens[at].0, if at == 0 { ";" } else { word(at - 1) });
        match word(at) {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if opened.last() == Some(&depth) {
                    opened.pop();
                    inside.pop();
                }
            }
            "mod" if word(at + 2) == "{" => {
                inside.push(word(at + 1).to_owned());
                found.inline_modules.push(inside.clone());
                opened.push(depth);
                at += 1;
            }
            "use" if [";", "{", "}", "]", ")", "pub"].contains(&before) => {
                let kind = if before == "pub" || before == ")" { Kind::ReExport } else { Kind::Import };
                let mut group = Group { tokens: &tokens, line, inside: &inside, kind, found: &mut found.paths };
                at = group.tree(at + 1, Vec::new());
                continue;
            }
            declaration
                if DECLARATIONS.contains(&declaration)
                    && is_name(word(at + 1))
                    && depth == opened.last().map_or(0, |depth| depth + 1) =>
            {
                found.declared.push((inside.clone(), word(at + 1).to_owned()));
            }
            "macro_rules" => found.declared.push((inside.clone(), word(at + 2).to_owned())),
            name if is_name(name) && !["::", ".", "in"].contains(&before) => {
                let mut steps = vec![name.to_owned()];
                while word(at + 1) == "::" && is_name(word(at + 2)) {
                    steps.push(word(at + 2).to_owned());
                    at += 2;
                }
                if steps.len() > 1 {
                    let (inside, kind) = (inside.clone(), Kind::InPlace);
                    found.paths.push(WrittenPath { line, inside, steps, alias: None, kind });
                } else {
                    found.bare.push(name.to_owned());
                }
            }
            _ => {}
        }
        at += 1;
    }
    // Paths in texts: `#[serde(with = "crate::wire::money")]`.
    for (line, text) in &file.texts {
        let steps: Vec<String> = text.split("::").map(str::to_owned).collect();
        if steps.iter().all(|step| is_name(step)) && ["crate", "self", "super"].contains(&steps[0].as_str()) {
            let (inside, kind) = (Vec::new(), Kind::InPlace);
            found.paths.push(WrittenPath { line: *line, inside, steps, alias: None, kind });
        }
    }
    found
}

/// One `use` statement being read.
struct Group<'t> {
    tokens: &'t [(usize, String)],
    line: usize,
    inside: &'t [String],
    kind: Kind,
    found: &'t mut Vec<WrittenPath>,
}

impl Group<'_> {
    /// Reads one tree of a `use` from `at` and gives where it ends: at the `;`, `,` or `}` behind it.
    fn tree(&mut self, mut at: usize, mut steps: Vec<String>) -> usize {
        loop {
            match self.word(at) {
                "::" => at += 1,
                "{" => {
                    at += 1;
                    while self.word(at) != "}" {
                        at = if self.word(at) == "," { at + 1 } else { self.tree(at, steps.clone()) };
                    }
                    return at + 1;
                }
                ";" | "," | "}" | "as" | "" => break,
                step => {
                    steps.push(step.to_owned());
                    at += 1;
                }
            }
        }
        // `a::self` names `a`; `super::…` inside a group goes up from where the group stands.
        if steps.len() > 1 && steps.last().is_some_and(|step| step == "self") {
            steps.pop();
        }
        let mut alias = steps.last().filter(|step| *step != "*").cloned();
        if self.word(at) == "as" {
            alias = Some(self.word(at + 1).to_owned());
            at += 2;
        }
        let inside = self.inside.to_vec();
        self.found.push(WrittenPath { line: self.line, inside, steps, alias, kind: self.kind });
        at
    }

    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |(_, word)| word.as_str())
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// The words of a file's code, the signs that stand alone, and `::`, each with its line.
pub(crate) fn tokens(file: &Source) -> Vec<(usize, String)> {
    file.code.iter().flat_map(|(at, line)| words(line).into_iter().map(|word| (*at, word))).collect()
}

fn words(line: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), line);
    while let Some(first) = rest.chars().next() {
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        let length = if is_word(first) {
            rest.find(|character| !is_word(character)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        if !first.is_whitespace() {
            found.push(rest[..length].to_owned());
        }
        rest = &rest[length..];
    }
    found
}

#[test]
fn paths_are_read_however_they_are_written() {
    let table = [
        ("use crate::http::reply;", "crate::http::reply"),
        (
            "use crate::{http, flows::{Cashier, webhook as w}, ports};",
            "crate::http crate::flows::Cashier crate::flows::webhook=w crate::ports",
        ),
        ("use crate::{\n    flows::self,\n    strand as disk,\n};", "crate::flows crate::strand=disk"),
        ("let x = crate::app::catalog::<u8>(&y);", "crate::app::catalog"),
        ("use super::super::strand::Strand;", "super::super::strand::Strand"),
        ("pub(super) use child::*;", "child::*"),
        ("let a = <B as super::Trait>::NAME; limits::MAX", "super::Trait limits::MAX"),
        ("#[serde(with = \"super::money\")] struct S;", "super::money"),
        ("pub(super) fn f(self) -> impl Fn() + use<'_> {} pub(in crate::flows) struct S;", ""),
    ];
    for (source, expected) in table {
        let written = names(&Source::of("src/a.rs", source)).paths.into_iter().map(|path| {
            let renamed = path.alias.filter(|alias| path.steps.last() != Some(alias));
            path.steps.join("::") + &renamed.map_or(String::new(), |alias| format!("={alias}"))
        });
        assert_eq!(written.collect::<Vec<_>>().join(" "), expected, "{source}");
    }
    let inline = names(&Source::of("src/a.rs", "mod b { use super::C; } use super::D;")).paths;
    let places: Vec<String> = inline.iter().map(|path| path.inside.join("::")).collect();
    assert_eq!(places, ["b", ""], "a path knows the inline module around it");
}
