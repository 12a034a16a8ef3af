//! The pages state what the code does: each test compares a page with the code's own tables, or with the rest of the pages.
//! A row that one side has and the other lacks fails, in either direction.

#[path = "pages/constants.rs"]
mod constants;
#[path = "pages/contract.rs"]
mod contract;
#[path = "pages/errors.rs"]
mod errors;
#[path = "pages/fields.rs"]
mod fields;
#[path = "pages/limits.rs"]
mod limits;
#[path = "pages/links.rs"]
mod links;
#[path = "pages/markdown.rs"]
mod markdown;
#[path = "pages/operation.rs"]
mod operation;
#[path = "pages/readme.rs"]
mod readme;

use std::collections::BTreeMap;

/// One sentence for each entry that one side has more often than the other.
pub(crate) fn differences(page: &[String], code: &[String]) -> Vec<String> {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    page.iter().for_each(|entry| counts.entry(entry).or_default().0 += 1);
    code.iter().for_each(|entry| counts.entry(entry).or_default().1 += 1);
    let sentence = |(entry, (page, code)): (&str, (usize, usize))| match (page, code) {
        (0, _) => Some(format!("the page lacks: {entry}")),
        (_, 0) => Some(format!("the code lacks, or it is marked as built: {entry}")),
        _ if page != code => Some(format!("listed {page} times, in the code {code} times: {entry}")),
        _ => None,
    };
    counts.into_iter().filter_map(sentence).collect()
}

/// Fails unless both sides have the same entries.
#[track_caller]
pub(crate) fn agree(what: &str, page: Vec<String>, code: Vec<String>) {
    assert!(!code.is_empty(), "{what}: the code has none, so nothing is compared");
    let found = differences(&page, &code);
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn a_missing_a_surplus_and_a_repeated_entry_are_reported() {
    let list = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>();
    assert!(differences(&list(&["b", "a"]), &list(&["a", "b"])).is_empty());
    let found = differences(&list(&["a", "surplus", "twice", "twice"]), &list(&["a", "missing", "twice"]));
    assert_eq!(
        found,
        [
            "the page lacks: missing",
            "the code lacks, or it is marked as built: surplus",
            "listed 2 times, in the code 1 times: twice"
        ]
    );
}
