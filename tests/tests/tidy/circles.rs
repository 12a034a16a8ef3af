//! No circle of files inside any crate: what one file names in another never leads back to it. A parent that only declares
//! and re-exports its children is in no circle; a re-exported name counts for the file that declares it.

use std::collections::{BTreeMap, BTreeSet};

use crate::modules::Crate;
use crate::paths::Kind;
use crate::source::{Source, crates, holds, product, sources};

/// Which names of another file a file uses.
type Arrows = BTreeMap<(usize, usize), BTreeSet<String>>;

#[test]
fn no_circle_of_files_is_inside_any_crate() {
    let files = |folder: &str| if folder.starts_with("tests/") { sources(folder) } else { product(folder) };
    let found: Vec<String> = crates().iter().flat_map(|folder| circles(folder, &files(folder))).collect();
    holds("files of one crate name each other in a circle", &found);
}

/// Each circle of a crate as lines `file -> file: names`.
fn circles(folder: &str, sources: &[Source]) -> Vec<String> {
    let all = Crate::of(folder, sources);
    let arrows = arrows(&all);
    let reached: Vec<BTreeSet<usize>> = (0..all.files.len()).map(|file| reached(&arrows, file)).collect();
    let (mut found, mut done) = (Vec::new(), BTreeSet::new());
    for file in 0..all.files.len() {
        let circle: BTreeSet<usize> =
            reached[file].iter().copied().filter(|other| reached[*other].contains(&file)).collect();
        if circle.is_empty() || !done.insert(circle.clone()) {
            continue;
        }
        found.push(format!("a circle of {} files:", circle.len()));
        for ((from, to), names) in &arrows {
            if circle.contains(from) && circle.contains(to) {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                found.push(format!("  {} -> {}: {}", all.files[*from].0, all.files[*to].0, names.join(", ")));
            }
        }
    }
    found
}

/// The files that a file leads to, over any number of arrows.
fn reached(arrows: &Arrows, from: usize) -> BTreeSet<usize> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(file) = open.pop() {
        open.extend(arrows.keys().filter(|(by, to)| *by == file && found.insert(*to)).map(|(_, to)| *to));
    }
    found
}

fn arrows(all: &Crate) -> Arrows {
    let mut arrows = Arrows::new();
    for (file, (_, names)) in all.files.iter().enumerate() {
        let own = all.module_of_file(file);
        let bare: BTreeSet<&str> = names.bare.iter().map(String::as_str).collect();
        let begins: BTreeSet<&str> =
            names.paths.iter().filter(|path| path.kind == Kind::InPlace).map(|path| path.steps[0].as_str()).collect();
        let mut add = |module: &[String], steps: &[String], may_be_a_child: bool| {
            let Some(target) = all.resolve(module, steps) else { return };
            let (Some(to), Some(item)) = (all.file_of(&target.module), target.item) else { return };
            if to != file && (may_be_a_child || !target.module.starts_with(&own)) {
                arrows.entry((file, to)).or_default().insert(item);
            }
        };
        for path in &names.paths {
            let module = [&own[..], &path.inside].concat();
            let used = path.alias.as_deref().is_some_and(|alias| bare.contains(alias) || begins.contains(alias));
            // A re-export of a child that the parent does not use itself is no arrow.
            let counts = path.kind != Kind::ReExport || used;
            if path.alias.is_some() || path.kind == Kind::InPlace {
                add(&module, &path.steps, counts);
            } else {
                // A glob: each bare name that it offers.
                let from = &path.steps[..path.steps.len() - 1];
                for name in bare.iter().chain(&begins).filter(|name| all.offers(&module, from, name)) {
                    add(&module, &[from, &[(*name).to_owned()]].concat(), counts);
                }
            }
        }
    }
    arrows
}

#[test]
fn a_planted_circle_is_found() {
    let table: [(&[(&str, &str)], &str); 9] = [
        (&[("a.rs", "use crate::b::B; pub struct A;"), ("b.rs", "pub struct B(crate::a::A);")], "a -> b: B; b -> a: A"),
        (&[("a.rs", "use crate::b::B; pub struct A;"), ("b.rs", "pub struct B;")], ""),
        // Over three files.
        (
            &[
                ("a.rs", "use super::b::B; pub struct A;"),
                ("b.rs", "use super::c::C; pub struct B;"),
                ("c.rs", "use super::{a::A}; pub struct C;"),
            ],
            "a -> b: B; b -> c: C; c -> a: A",
        ),
        // A child that names its parent, whose parent uses the child.
        (
            &[("a.rs", "mod b; use self::b::B; pub struct A(B);"), ("a/b.rs", "use super::A; pub struct B;")],
            "a -> a/b: B; a/b -> a: A",
        ),
        (&[("a.rs", "pub mod b; pub use self::b::B; pub struct A;"), ("a/b.rs", "use super::A; pub struct B;")], ""),
        (
            &[("a.rs", "mod b; pub use b::B; pub struct A(B);"), ("a/b.rs", "use super::A; pub struct B;")],
            "a -> a/b: B; a/b -> a: A",
        ),
        // A sibling's item re-exported by the parent is the sibling's.
        (
            &[
                ("a.rs", "mod b; mod c; pub use self::{b::B, c::C};"),
                ("a/b.rs", "use super::C; pub struct B;"),
                ("a/c.rs", "use crate::a::B; pub struct C;"),
            ],
            "a/b -> a/c: C; a/c -> a/b: B",
        ),
        // By the module's name, and by a glob.
        (
            &[("a.rs", "use crate::b; pub struct A; fn f() { b::g() }"), ("b.rs", "use crate::a::*; fn g(a: A) {}")],
            "a -> b: g; b -> a: A",
        ),
        (&[("a.rs", "use crate::b; pub struct A;"), ("b.rs", "use crate::a::*; fn g() {}")], ""),
    ];
    for (files, expected) in table {
        let mut sources = vec![Source::of("src/lib.rs", "")];
        sources.extend(files.iter().map(|(path, text)| Source::of(&format!("src/{path}"), text)));
        let found: Vec<String> = circles("src", &sources)
            .iter()
            .filter_map(|line| line.strip_prefix("  "))
            .map(|line| line.replace("src/", "").replace(".rs", ""))
            .collect();
        assert_eq!(found.join("; "), expected, "{files:?}");
    }
}
