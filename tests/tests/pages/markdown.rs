//! The pages as text: their tables, headings and anchors. It knows nothing of the code.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot read a page must fail")]

use std::fs;
use std::path::{Path, PathBuf};

/// Every page whose tables are compared; API.md is the index of the others.
pub(crate) const PAGES: &[&str] = &[
    "docs/API.md",
    "docs/api/conventions.md",
    "docs/api/customer.md",
    "docs/api/manager.md",
    "docs/api/manager-approvals.md",
    "docs/api/manager-configs.md",
    "docs/api/manager-duties.md",
    "docs/api/manager-events.md",
    "docs/api/manager-explanations.md",
    "docs/api/manager-transactions.md",
    "docs/api/webhooks.md",
    "docs/life-of-a-transaction.md",
    "docs/reasons.md",
    "docs/settings.md",
];

/// The pages of the manager API, each command with a section in one of them.
pub(crate) fn manager_pages() -> impl Iterator<Item = &'static str> {
    PAGES.iter().copied().filter(|page| page.starts_with("docs/api/manager"))
}

/// What the pages write where the code does not do it yet.
pub(crate) const NOT_BUILT: &str = "not built yet";

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_path_buf()
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A table, with the heading it is under.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) heading: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// The cells of the named columns, row by row.
    pub(crate) fn columns<const N: usize>(&self, names: [&str; N]) -> Vec<[String; N]> {
        let places = names.map(|name| {
            let place = self.header.iter().position(|known| known == name);
            place.unwrap_or_else(|| panic!("the table under {} has no column {name}: {:?}", self.heading, self.header))
        });
        let cell = |row: &Vec<String>, place: usize| {
            row.get(place).cloned().unwrap_or_else(|| panic!("a cell is missing under {}: {row:?}", self.heading))
        };
        self.rows.iter().map(|row| places.map(|place| cell(row, place))).collect()
    }
}

/// The tables of `text` whose first column has this name.
pub(crate) fn tables(text: &str, first: &str) -> Vec<Table> {
    let (mut tables, mut heading, mut inside) = (Vec::<Table>::new(), String::new(), false);
    for line in text.lines() {
        if let Some(title) = line.strip_prefix('#') {
            heading = title.trim_start_matches('#').trim().to_owned();
        }
        if !line.starts_with('|') {
            inside = false;
        } else if !inside {
            inside = true;
            tables.push(Table { heading: heading.clone(), header: cells(line), rows: Vec::new() });
        } else if !line.starts_with("|---")
            && let Some(table) = tables.last_mut()
        {
            table.rows.push(cells(line));
        }
    }
    tables.retain(|table| table.header.first().is_some_and(|name| name == first));
    tables
}

/// The one table of a page whose first column has this name.
pub(crate) fn table(page: &str, first: &str) -> Table {
    let mut found = tables(&read(page), first);
    assert_eq!(found.len(), 1, "{page} has one table whose first column is {first}");
    found.pop().expect("a table")
}

fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| plain(cell.trim())).collect()
}

/// A cell without code marks, bold marks and the target of a link.
pub(crate) fn plain(cell: &str) -> String {
    let mut text = cell.replace(['`', '*'], "");
    while let Some((before, rest)) = text.split_once("](") {
        let (label_at, after) = (before.rfind('[').unwrap_or(0), rest.split_once(')').map_or("", |(_, after)| after));
        text = format!("{}{}{after}", &before[..label_at], before[label_at..].trim_start_matches('['));
    }
    text
}

/// The text under each heading that equals `heading`, up to the next heading of any level.
pub(crate) fn section(text: &str, heading: &str) -> Option<String> {
    let mut lines =
        text.lines().skip_while(|line| line.trim_start_matches('#').trim() != heading || !line.starts_with('#'));
    lines.next()?;
    Some(lines.take_while(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n"))
}

/// Every place of a page that a link may lead to: its headings as GitHub names them, and explicit anchors.
pub(crate) fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(slug);
    let explicit = text.split("<a id=\"").skip(1).filter_map(|rest| rest.split('"').next().map(str::to_owned));
    headings.chain(explicit).collect()
}

fn slug(heading: &str) -> String {
    let title = plain(heading.trim_start_matches('#').trim()).to_lowercase();
    let slug = title.chars().filter(|sign| sign.is_alphanumeric() || matches!(sign, ' ' | '-' | '_'));
    slug.map(|sign| if sign == ' ' { '-' } else { sign }).collect()
}

#[test]
fn a_table_is_read_with_its_heading_and_without_marks() {
    let text = "## One `x`\n\n| Name | Built |\n|---|---|\n| [`a`](b.md#c) d | **yes** |\n\n| Other |\n|---|\n";
    let found = tables(text, "Name");
    assert_eq!(found.len(), 1);
    let table = found.first().expect("a table");
    assert_eq!((&*table.heading, table.columns(["Built", "Name"])), ("One `x`", vec![["yes".into(), "a d".into()]]));
    assert_eq!(anchors("## GET /x?y=\n<a id=\"case-1\"></a>"), ["get-xy", "case-1"]);
}
