//! The named constants of the product, with their values computed from the source. It knows no page.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot read the source must fail")]

use std::fs;
use std::path::Path;

use crate::markdown::root;

/// A numeric constant. A duration counts in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Constant {
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) value: i128,
    pub(crate) is_duration: bool,
}

/// Path and text of every product file below the folders, test modules cut away.
pub(crate) fn product_files(folders: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    folders.iter().for_each(|folder| walk(&root().join(folder), &mut found));
    let of_tests = |path: &str| path.contains("/tests") || path.contains("test_") || path.ends_with("testing.rs");
    found.retain(|(path, _)| !of_tests(path));
    found.sort();
    found
}

fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).expect("a readable file");
            let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
            found.push((path.strip_prefix(root()).expect("below the root").display().to_string(), text));
        }
    }
}

/// The numeric constants of these files; what is computed by a function is none.
pub(crate) fn constants(files: &[(String, String)]) -> Vec<Constant> {
    let code = |text: &str| {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("//"));
        lines.collect::<Vec<_>>().join(" ")
    };
    let files: Vec<(&str, String)> = files.iter().map(|(file, text)| (&**file, code(text))).collect();
    let mut written: Vec<(&str, &str, &str)> = Vec::new();
    for (file, code) in &files {
        for (_, declared) in code.split(';').filter_map(|statement| statement.rsplit_once("const ")) {
            let Some((left, value)) = declared.split_once(" = ") else { continue };
            let Some((name, _)) = left.split_once(": ") else { continue };
            if name.bytes().all(|sign| sign.is_ascii_uppercase() || sign.is_ascii_digit() || sign == b'_') {
                written.push((file, name, value));
            }
        }
    }
    let value_of = |file: &str, name: &str| {
        let same = written.iter().filter(|(_, known, _)| *known == name);
        let (_, _, value) = same.clone().find(|(known, _, _)| *known == file).or_else(|| same.clone().next())?;
        Some(*value)
    };
    let read = |(file, name, value): &(&str, &str, &str)| {
        let (inner, scale, is_duration) = duration(value);
        let value = evaluate(inner, &|other| value_of(file, other), 0)?;
        Some(Constant { file: (*file).to_owned(), name: (*name).to_owned(), value: value * scale, is_duration })
    };
    written.iter().filter_map(read).collect()
}

/// What is inside `Duration::from_secs(…)` or `from_millis`, and how many milliseconds one of it is.
fn duration(value: &str) -> (&str, i128, bool) {
    for (maker, scale) in [("Duration::from_secs(", 1000), ("Duration::from_millis(", 1)] {
        if let Some(inner) = value.strip_prefix(maker).and_then(|rest| rest.strip_suffix(')')) {
            return (inner, scale, true);
        }
    }
    (value, 1, false)
}

/// Computes sums, products and shifts of numbers and other constants; nothing else.
fn evaluate<'s>(text: &'s str, value_of: &dyn Fn(&str) -> Option<&'s str>, depth: usize) -> Option<i128> {
    let text = text.trim();
    // The operator that binds weakest is taken first, from the right, outside parentheses.
    for operators in [["<<"].as_slice(), &["+", "-"], &["*"]] {
        let mut open = 0;
        for (at, sign) in text.char_indices().rev() {
            match sign {
                ')' => open += 1,
                '(' => open -= 1,
                _ => {}
            }
            let Some(operator) =
                operators.iter().find(|operator| open == 0 && at > 0 && text[at..].starts_with(**operator))
            else {
                continue;
            };
            let left = evaluate(&text[..at], value_of, depth)?;
            let right = evaluate(&text[at + operator.len()..], value_of, depth)?;
            return match *operator {
                "<<" => left.checked_shl(u32::try_from(right).ok()?),
                "+" => left.checked_add(right),
                "-" => left.checked_sub(right),
                _ => left.checked_mul(right),
            };
        }
    }
    if let Some(inside) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        return evaluate(inside, value_of, depth);
    }
    if let Ok(number) = text.replace('_', "").parse() {
        return Some(number);
    }
    // Constants that name each other in a circle do not compile; the depth only bounds a misreading.
    let name = text.rsplit("::").next()?;
    if depth > 8 { None } else { evaluate(value_of(name)?, value_of, depth + 1) }
}

#[test]
fn constants_are_computed_from_their_text() {
    let source = "/// const NOT: u8 = 1;\npub const A_MAX: usize = 16 * 1024;\nconst B: u64 = (1 << 53) - 1;\n\
        pub(super) const C: Duration =\n    Duration::from_secs(2 * 60);\nconst D: usize = 2 * crate::x::A_MAX + 1;\n\
        const E: &str = \"x\";\nconst F: usize = made();\n";
    let found = constants(&[("a.rs".into(), source.into())]);
    let found: Vec<(&str, i128, bool)> = found.iter().map(|one| (&*one.name, one.value, one.is_duration)).collect();
    let expected =
        [("A_MAX", 16_384, false), ("B", 9_007_199_254_740_991, false), ("C", 120_000, true), ("D", 32_769, false)];
    assert_eq!(found, expected);
}
