//! Dependencies: each stands once in the root manifest with its reason, and every member takes it from there.

use std::fs;

use crate::source::{holds, root};

/// The names that a member depends on in the product.
pub(crate) fn dependencies(manifest: &str) -> Vec<String> {
    let document = parsed(&text(manifest));
    let table = document.get("dependencies").and_then(|item| item.as_table()).expect("dependencies");
    table.iter().map(|(name, _)| name.to_owned()).collect()
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("a manifest")
}

fn parsed(text: &str) -> toml_edit::DocumentMut {
    text.parse().expect("a TOML manifest")
}

#[test]
fn every_dependency_has_a_reason_and_every_member_takes_it_from_the_workspace() {
    let whole = text("Cargo.toml");
    holds("a dependency has no reason beside it", &without_reason(&whole));
    let document = parsed(&whole);
    let members = document["workspace"]["members"].as_array().expect("members");
    let paths = members.iter().flat_map(|member| manifests(member.as_str().expect("a path")));
    holds("not `workspace = true`", &paths.flat_map(|path| not_inherited(&path, &text(&path))).collect::<Vec<_>>());
}

/// The manifests that a member of the workspace stands for; a path may end in `/*`.
fn manifests(member: &str) -> Vec<String> {
    let Some(folder) = member.strip_suffix("/*") else { return vec![format!("{member}/Cargo.toml")] };
    let entries = fs::read_dir(root().join(folder)).expect("a folder of members");
    let paths = entries.map(|entry| entry.expect("a readable folder").path().join("Cargo.toml"));
    let relative = paths.filter(|path| path.exists()).map(|path| path.strip_prefix(root()).expect("below").to_owned());
    relative.map(|path| path.display().to_string()).collect()
}

/// The workspace's dependencies from elsewhere that have no reason behind them.
fn without_reason(whole: &str) -> Vec<String> {
    let section = whole.split("[workspace.dependencies]").nth(1).expect("dependencies");
    let section = section.split("\n[").next().expect("a section");
    let lines = section.lines().filter(|line| line.contains('=') && !line.trim_start().starts_with('#'));
    lines.filter(|line| !line.contains("path = \"") && !line.contains(" # ")).map(str::to_owned).collect()
}

fn not_inherited(path: &str, manifest: &str) -> Vec<String> {
    let (manifest, mut found) = (parsed(manifest), Vec::new());
    for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(table) = manifest.get(table).and_then(|item| item.as_table()) else { continue };
        let own =
            table.iter().filter(|(_, item)| item.get("workspace").and_then(|value| value.as_bool()) != Some(true));
        found.extend(own.map(|(name, _)| format!("{path}: {name}")));
    }
    found
}

#[test]
fn a_planted_dependency_is_found() {
    let whole =
        "[workspace.dependencies]\nown = { path = \"own\" }\na = \"1\" # a reason\nb = \"2\"\n[profile.dev]\nc = 3\n";
    assert_eq!(without_reason(whole), ["b = \"2\""]);
    let member = "[dependencies]\na.workspace = true\nb = \"2\"\n[dev-dependencies]\nc = { version = \"3\" }\n";
    assert_eq!(not_inherited("x", member), ["x: b", "x: c"]);
}
