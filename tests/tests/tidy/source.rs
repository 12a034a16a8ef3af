//! The source as the tidy tests read it: each file of the product with its code and its texts separated, comments and test
//! modules cut away. It knows no rule.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A source file.
pub(crate) struct Source {
    pub(crate) path: String,
    /// Lines of code by their number; texts stand in it as `""`.
    pub(crate) code: Vec<(usize, String)>,
    /// What stands between quotes, by the line it begins on.
    pub(crate) texts: Vec<(usize, String)>,
    pub(crate) whole: String,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_path_buf()
}

pub(crate) fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found.retain(|path| path.extension().is_some_and(|ending| ending == "rs"));
    found.sort();
    assert!(!found.is_empty(), "no sources below {folder}: nothing would be checked");
    found.into_iter().map(|path| read(&path)).collect()
}

/// Every file below a folder, what is built apart.
pub(crate) fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a readable folder").path();
        if !path.is_dir() {
            found.push(path);
        } else if path.file_name().is_none_or(|name| name != "target") {
            walk(&path, found);
        }
    }
}

pub(crate) fn read(path: &Path) -> Source {
    let whole = fs::read_to_string(path).expect("a readable source");
    Source::of(&path.strip_prefix(root()).expect("below the root").display().to_string(), &whole)
}

impl Source {
    pub(crate) fn of(path: &str, whole: &str) -> Self {
        let (code, texts) = split(before_tests(path, whole));
        let code = code.lines().enumerate().map(|(at, line)| (at + 1, line.trim_end().to_owned()));
        let code = code.filter(|(_, line)| !line.is_empty()).collect();
        Self { path: path.to_owned(), code, texts, whole: whole.to_owned() }
    }
}

/// What stands before the file's own test module, which must be the last thing in it.
fn before_tests<'s>(path: &str, whole: &'s str) -> &'s str {
    let mut from = 0;
    while let Some(found) = whole[from..].find("\n#[cfg(") {
        let at = from + found + 1;
        let is_for_tests = whole[at..].starts_with("#[cfg(test)]") || whole[at..].starts_with("#[cfg(all(test,");
        let declared = whole[at..].lines().nth(1).unwrap_or_default();
        if is_for_tests && declared.ends_with("mod tests {") {
            let after = whole[at..].split_once("\n}\n").map_or("", |(_, after)| after);
            assert_eq!(after, "", "{path}: code stands behind the test module, where no rule is checked");
            return &whole[..at];
        }
        from = at + 1;
    }
    whole
}

/// The code with empty texts and without comments, and the texts.
fn split(source: &str) -> (String, Vec<(usize, String)>) {
    let (mut code, mut texts) = (String::with_capacity(source.len()), Vec::new());
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let (code_of, taken) = if rest.starts_with("//") {
            (String::new(), rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (String::new(), rest.find("*/").expect("a comment ends") + 2)
        } else if let Some((opening, closing)) = raw_quotes(rest, &code) {
            let inside = rest[opening..].find(&closing).expect("a text ends");
            texts.push((line, rest[opening..opening + inside].to_owned()));
            ("\"\"".to_owned(), opening + inside + closing.len())
        } else if first == '"' {
            let inside = end_of_text(&rest[1..]);
            texts.push((line, rest[1..=inside].to_owned()));
            ("\"\"".to_owned(), inside + 2)
        } else if let Some(length) = quoted_character(rest) {
            ("' '".to_owned(), length)
        } else {
            // As far as nothing can begin that is not code.
            let plain = rest[first.len_utf8()..].find(['"', '\'', '/', 'r', 'b', 'c']);
            let length = plain.map_or(rest.len(), |plain| plain + first.len_utf8());
            (rest[..length].to_owned(), length)
        };
        code.push_str(&code_of);
        // Lines keep their numbers; cut lines stay as empty ones.
        let passed = rest[..taken].matches('\n').count();
        code.push_str(&"\n".repeat(passed - code_of.matches('\n').count()));
        line += passed;
        rest = &rest[taken..];
    }
    (code, texts)
}

/// The lengths of `r#"` and its kind at the beginning, and what closes it.
fn raw_quotes(rest: &str, before: &str) -> Option<(usize, String)> {
    let in_a_word = before.ends_with(|before: char| before.is_alphanumeric() || before == '_');
    let hashes_at = ["r", "br", "cr"].into_iter().find(|opening| rest.starts_with(opening) && !in_a_word)?.len();
    let hashes = rest[hashes_at..].chars().take_while(|hash| *hash == '#').count();
    rest[hashes_at + hashes..].starts_with('"').then(|| (hashes_at + hashes + 1, format!("\"{}", "#".repeat(hashes))))
}

/// Where a text ends whose opening quote is behind us.
fn end_of_text(rest: &str) -> usize {
    let mut escaped = false;
    let end = rest.char_indices().find(|(_, character)| {
        let ends = *character == '"' && !escaped;
        escaped = *character == '\\' && !escaped;
        ends
    });
    end.expect("a text ends").0
}

/// The length of a character such as `'"'`; a lifetime is none.
fn quoted_character(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    if inside.starts_with('\\') {
        return inside[2..].find('\'').map(|end| end + 4);
    }
    let quoted = inside.chars().next()?;
    inside[quoted.len_utf8()..].starts_with('\'').then(|| quoted.len_utf8() + 2)
}

/// Files of the product itself: neither test trees nor modules that are declared for tests alone.
pub(crate) fn product(folder: &str) -> Vec<Source> {
    sources(folder).into_iter().filter(|file| !is_test_code(&file.path)).collect()
}

fn is_test_code(path: &str) -> bool {
    static DECLARED: LazyLock<Vec<String>> = LazyLock::new(|| {
        let folders = ["host", "provider-sdk", "providers"].into_iter();
        folders.flat_map(sources).flat_map(|file| test_modules(&file.path, &file.whole)).collect()
    });
    let is_below = |module: &String| path == format!("{module}.rs") || path.starts_with(&format!("{module}/"));
    path.contains("/tests/") || path.starts_with("tests/") || DECLARED.iter().any(is_below)
}

/// The modules in files of their own that a file declares for tests alone, as paths without an ending.
fn test_modules(path: &str, whole: &str) -> Vec<String> {
    let own = path.trim_end_matches(".rs").trim_end_matches("/mod").trim_end_matches("/lib");
    let mut lines = whole.lines().map(str::trim);
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let declared = (line == "#[cfg(test)]").then(|| lines.next()).flatten().and_then(|line| line.strip_suffix(';'));
        if let Some((_, module)) = declared.and_then(|line| line.rsplit_once("mod ")) {
            found.push(format!("{own}/{module}"));
        }
    }
    found
}

/// The source folders of the workspace's crates, the misbehaving modules of the tests apart.
pub(crate) fn crates() -> Vec<String> {
    let text = fs::read_to_string(root().join("Cargo.toml")).expect("the root manifest");
    let document: toml_edit::DocumentMut = text.parse().expect("TOML");
    let members = document["workspace"]["members"].as_array().expect("members").iter();
    let paths = members.map(|member| member.as_str().expect("a path").to_owned());
    paths.filter(|path| !path.ends_with("/*")).map(|path| format!("{path}/src")).collect()
}

/// Asserts that no code line of these files has any of the words.
#[track_caller]
pub(crate) fn absent(rule: &str, files: &[Source], words: &[&str]) {
    holds(rule, &words_in(files, words));
}

/// Each of the words in a code line of these files.
pub(crate) fn words_in(files: &[Source], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (at, line) in &file.code {
            found.extend(
                words.iter().filter(|word| line.contains(**word)).map(|word| format!("{}:{at}: {word}", file.path)),
            );
        }
    }
    found
}

#[track_caller]
pub(crate) fn holds(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}:\n{}", violations.join("\n"));
}

#[test]
fn code_texts_and_comments_are_separated() {
    let source = "let a = \"x // \\\" y\"; // \"no\"\nlet b = r#\"SELECT \"1\"\"#; /* \"\n */ f('\"', b\"z\", 'a);\n";
    let (code, texts) = split(source);
    assert_eq!(code, "let a = \"\"; \nlet b = \"\"; \n f(' ', b\"\", 'a);\n");
    let found: Vec<(usize, &str)> = texts.iter().map(|(line, text)| (*line, &**text)).collect();
    assert_eq!(found, [(1, "x // \\\" y"), (2, "SELECT \"1\""), (3, "z")]);
}
