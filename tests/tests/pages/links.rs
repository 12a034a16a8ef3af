//! The pages among themselves: every link leads somewhere, every case is where the index says, and every section or case
//! that the code cites exists.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot read a page must fail")]

use std::fs;
use std::path::Path;

use crate::agree;
use crate::markdown::{PAGES, anchors, read, root, table};

const CASES: std::ops::RangeInclusive<u32> = 1..=179;
const SECTIONS: std::ops::RangeInclusive<u32> = 1..=9;
const WEBHOOK_RULES: std::ops::RangeInclusive<u32> = 1..=8;

/// The targets of the links of a text.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// Every page below a folder of the repository, the published ones apart.
fn pages(folder: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(folder)).expect("a folder") {
        let entry = entry.expect("a readable folder");
        let path = Path::new(folder).join(entry.file_name()).display().to_string();
        let is_folder = entry.file_type().expect("a type").is_dir();
        match path.as_str() {
            _ if !is_folder && path.ends_with(".md") => found.push(path),
            "docs" | "providers" => pages(&path, found),
            _ if is_folder && !folder.is_empty() && path != "docs/published" => pages(&path, found),
            _ => {}
        }
    }
}

#[test]
fn every_link_leads_to_a_page_and_a_place_in_it() {
    let (mut broken, mut all) = (Vec::new(), Vec::new());
    pages("", &mut all);
    assert!(PAGES.iter().chain(&["README.md"]).all(|page| all.iter().any(|known| known == page)), "{all:?}");
    for page in &all {
        let text = read(page);
        for target in targets(&text).filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(page.as_str()).parent().expect("a folder");
            let path = if file.is_empty() { root().join(page) } else { root().join(folder).join(file) };
            match fs::read_to_string(&path) {
                Err(_) if path.is_dir() => {}
                Ok(linked) if anchor.is_empty() || anchors(&linked).iter().any(|known| known == anchor) => {}
                Ok(_) => broken.push(format!("{page}: no place {target}")),
                Err(_) => broken.push(format!("{page}: no page {target}")),
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_case_is_in_the_index_and_once_in_the_pages() {
    let numbers: Vec<String> = CASES.map(|number| number.to_string()).collect();
    let index = table("docs/API.md", "Case").columns(["Case"]).into_iter().map(|[case]| case);
    agree("the index of cases", index.collect(), numbers.clone());
    let linked = read("docs/API.md");
    let linked = targets(&linked).filter_map(|target| Some(target.split_once("#case-")?.1.to_owned()));
    agree("the links of the index of cases", linked.collect(), numbers.clone());
    let texts: Vec<String> = PAGES.iter().map(|page| read(page)).collect();
    let in_pages = texts.iter().flat_map(|text| text.split("<a id=\"case-").skip(1));
    let in_pages = in_pages.map(|rest| {
        let (number, rest) = rest.split_once('"').expect("an anchor ends");
        assert!(rest.starts_with(&format!("></a>**Case {number}.**")), "case {number} does not begin with its number");
        number.to_owned()
    });
    agree("the cases in the pages", in_pages.collect(), numbers);
}

#[test]
fn the_index_has_every_section_and_the_webhook_page_every_rule() {
    let (index, webhooks) = (read("docs/API.md"), read("docs/api/webhooks.md"));
    for section in SECTIONS {
        assert_eq!(index.matches(&format!("\n## {section}. ")).count(), 1, "section {section}");
    }
    for rule in WEBHOOK_RULES {
        assert_eq!(webhooks.matches(&format!("\n**Rule {rule}. ")).count(), 1, "webhook rule {rule}");
    }
}

/// The numbers behind each `word` of a text, such as `sections 3, 4 and 6`.
fn cited(text: &str, word: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for rest in text.split(word).skip(1) {
        let numbers = rest.trim_start_matches(['s', ' ']);
        let end =
            numbers.find(|sign: char| !(sign.is_ascii_digit() || " ,and".contains(sign))).unwrap_or(numbers.len());
        let each = numbers[..end].split([' ', ',']).filter_map(|number| number.parse::<u32>().ok());
        found.extend(each);
    }
    found
}

#[test]
fn every_page_section_case_and_rule_that_the_code_cites_exists() {
    let mut files = Vec::new();
    for folder in ["host", "provider-sdk", "providers", "tests"] {
        walk(&root().join(folder), &mut files);
    }
    let mut citations = 0;
    for path in files {
        let source = fs::read_to_string(&path).unwrap_or_default();
        for page in source.split("docs/").skip(1).filter_map(|rest| Some(rest.split_once(".md")?.0)) {
            let is_path = page.chars().all(|sign| sign.is_ascii_alphanumeric() || "-_/".contains(sign));
            assert!(!is_path || root().join(format!("docs/{page}.md")).exists(), "{}: no page {page}", path.display());
        }
        // A citation may go on in the next line of a comment.
        let text: Vec<&str> = source.lines().map(|line| line.trim().trim_start_matches(['/', '!']).trim()).collect();
        for rest in text.join(" ").split(".md").skip(1) {
            let end = rest.find([')', '.']).unwrap_or(rest.len());
            let citation = &rest[..end];
            let within = [("section", SECTIONS), ("case", CASES), ("rule", WEBHOOK_RULES)];
            for (word, known) in within {
                for number in cited(citation, word) {
                    citations += 1;
                    assert!(known.contains(&number), "{}: there is no {word} {number}: {citation}", path.display());
                }
            }
        }
    }
    assert!(citations > 10, "{citations} citations were found: the reading of them is broken");
}

fn walk(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            walk(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn citations_are_read_in_all_their_forms() {
    assert_eq!(cited("section 3, webhook rule 7", "section"), [3]);
    assert_eq!(cited("sections 3, 4 and 6", "section"), [3, 4, 6]);
    assert_eq!(cited("section 4, override resolution; section 3, GET", "section"), [4, 3]);
    assert_eq!(cited("section 3, webhook rule 7", "rule"), [7]);
}
