//! README.md and docs/measured.md: the two lines a newcomer copies are alone in their blocks and are the ones that are run,
//! and the table of figures has a row for everything that the bench measures. It does not judge the figures.
#![expect(clippy::expect_used, reason = "a test that cannot read a page must fail")]

use std::fs;
use std::process::Command;

use cashier_tests::cashier_process::run;

use crate::markdown::{read, root};

/// The text under a heading of the README, up to the next one of its level.
fn section(heading: &str) -> String {
    let readme = format!("\n{}", read("README.md"));
    let parts: Vec<&str> = readme.split(&format!("\n## {heading}\n")).collect();
    assert_eq!(parts.len(), 2, "the README has one heading `## {heading}`");
    parts.last().and_then(|rest| rest.split("\n## ").next()).expect("a section").to_owned()
}

/// The lines of the first code block under a heading.
fn first_block(heading: &str) -> Vec<String> {
    let text = section(heading);
    let mut lines = text.lines().skip_while(|line| !line.starts_with("```"));
    assert_eq!(lines.next(), Some("```sh"), "{heading} opens with a block for a shell");
    lines.take_while(|line| !line.starts_with("```")).map(str::to_owned).collect()
}

fn only_line(heading: &str) -> String {
    let block = first_block(heading);
    assert_eq!(block.len(), 1, "the first block under {heading} is one line and nothing else: {block:?}");
    let line = block.first().cloned().unwrap_or_default();
    for joint in [";", "|", "\\", "#", "$", "`"] {
        assert!(!line.contains(joint), "steps are joined with && alone: {line}");
    }
    line
}

#[test]
fn the_run_line_is_alone_in_its_block_and_takes_arguments_at_its_end() {
    let line = only_line("Run it");
    let steps: Vec<&str> = line.split(" && ").collect();
    let (last, before) = steps.split_last().expect("a step");
    assert!(before.iter().all(|step| step.starts_with("cargo build ")), "only building comes before: {line}");
    // ` --exit` goes to the program: nothing follows its own command.
    assert!(last.starts_with("cargo run ") && last.ends_with(" -- demo"), "{line}");
    assert!(section("Run it").contains("With ` --exit` it stops"), "the README states what may be appended");
}

#[test]
fn the_test_line_is_alone_in_its_block_and_is_the_one_that_ci_runs() {
    let line = only_line("Test it");
    assert!(line.ends_with("cargo test --workspace"), "all tests: {line}");
    let ci = read(".ci/run");
    let readings: Vec<&str> = ci.lines().filter(|line| line.starts_with("line=$(")).collect();
    let [reading] = readings.as_slice() else { panic!(".ci/run reads the line once: {readings:?}") };
    let script = format!("set -euo pipefail\n{reading}\nprintf %s \"$line\"");
    let read = Command::new("bash").args(["-c", &script]).current_dir(root()).output().expect("bash starts");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    assert_eq!(String::from_utf8_lossy(&read.stdout), line, ".ci/run reads another line");
    assert!(
        ci.contains("bash -c \"$line\"") && ci.contains("exit \"$status\""),
        "it runs the line and exits with its status"
    );
    assert!(ci.contains("export CASHIER_TESTS_MUST_NOT_SKIP=1"), "nothing is skipped there");
    assert!(ci.contains("cargo fmt --all --check") && ci.contains("clippy --workspace --all-targets -- -D warnings"));
}

/// The bench's own table of figures, as `--list` names them: name and file.
fn figures() -> Vec<(String, String)> {
    let source = read("tests/benches/cashier/figures/mod.rs");
    let table = source.split("FIGURES").nth(1).and_then(|rest| rest.split("];").next()).expect("the table of figures");
    let lines = table.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.strip_suffix("::measure),"));
    lines.map(|line| line.split_once("\", ").expect("a name and its file")).map(|(n, f)| (n.into(), f.into())).collect()
}

/// What a figure's file aims at, such as `≤ 400 B`.
fn aims(source: &str) -> Vec<String> {
    let texts = source.split('"').skip(1).step_by(2);
    texts.filter(|text| text.contains(['≤', '≥']) && !text.contains('{')).map(str::to_owned).collect()
}

#[test]
fn every_figure_of_the_bench_is_in_measured_md_beside_its_aim() {
    let mut listed = figures();
    let folder = fs::read_dir(root().join("tests/benches/cashier/figures")).expect("the figures");
    let mut files: Vec<String> = folder
        .filter_map(|entry| entry.expect("readable").file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
        .filter(|name| name != "mod")
        .collect();
    files.sort();
    let mut known: Vec<String> = listed.iter().map(|(_, file)| file.clone()).collect();
    known.sort();
    assert_eq!(known, files, "each figure's file is in the table that --list prints");

    let text = read("docs/measured.md");
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| line.starts_with('|')).skip(2) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [figure, value, limit, _ratio, aim, met] = cells.as_slice() else { panic!("six cells: {line}") };
        assert!(!value.is_empty() && ["yes", "no", "–"].contains(met), "{line}");
        rows.push((*figure, *limit, *aim));
    }
    assert_eq!(text.matches("\n|---|").count(), 1, "one table");
    // Row by row in the order of the list, so that a figure that was taken out or added is missed here.
    let mut measured: Vec<String> = Vec::new();
    for (figure, _, aim) in &rows {
        let prints = |source: &str| source.contains(&format!("\"{figure}\"")) && source.contains(&format!("\"{aim}\""));
        let owners: Vec<&String> = (listed.iter().map(|(_, file)| file))
            .filter(|file| prints(&read(&format!("tests/benches/cashier/figures/{file}.rs"))))
            .collect();
        let [owner] = owners.as_slice() else { panic!("no bench prints the row {figure:?} with {aim:?}: {owners:?}") };
        measured.push((*owner).clone());
    }
    for (name, file) in &listed {
        for aim in aims(&read(&format!("tests/benches/cashier/figures/{file}.rs"))) {
            let has_row = measured.iter().zip(&rows).any(|(owner, (_, _, stated))| owner == file && *stated == aim);
            assert!(has_row, "a figure of {name}, whose aim is {aim}, is not in docs/measured.md");
        }
    }
    measured.dedup();
    let order: Vec<String> = listed.drain(..).map(|(_, file)| file).collect();
    assert_eq!(measured, order, "the rows of docs/measured.md are those of the bench, in its order");
    assert!(text.contains("cargo bench -p cashier-tests --bench cashier"), "how to measure again");
    assert!(text.contains("Measured on "), "the machine is named");
}

#[tokio::test]
async fn the_files_of_serve_for_real_are_accepted_by_the_program() {
    let text = section("What you can do next");
    let blocks = text.split("```sh\n").skip(1).filter_map(|block| block.split("```").next());
    let files: Vec<&str> =
        blocks.filter(|block| block.contains("> session.key") || block.starts_with("cat > ")).collect();
    assert_eq!(files.len(), 4, "keys, cashier.toml, plugins.toml, roster.json: {files:?}");
    let folder = tempfile::tempdir().expect("a folder");
    let made = Command::new("bash").args(["-euc", &files.concat()]).current_dir(folder.path()).status();
    assert!(made.expect("bash starts").success());
    for (command, shown) in [
        (&["trading", "import", "roster.json"][..], vec!["groups: 1 added", "customers: 1 added", "accounts: 1 added"]),
        (&["modules"], vec!["sandbox      ready", "stripe       ready"]),
        (&["token", "--role", "manager", "--id", "1", "--ttl", "8h"], vec!["."]),
    ] {
        let ran = run(folder.path(), &[command, &["--settings", "cashier.toml"]].concat()).await;
        assert!(ran.code == Some(0) && shown.iter().all(|line| ran.out.contains(line)), "{command:?}: {ran:?}");
    }
}

#[test]
fn the_readme_repeats_figures_of_measured_md_unchanged() {
    let page = read("docs/measured.md");
    let text = section("Measured");
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(!rows.is_empty() && text.contains("(docs/measured.md)"), "a short table and a link to the rest");
    for row in rows {
        assert!(page.lines().any(|line| line.starts_with(row)), "docs/measured.md has another figure: {row}");
    }
}
