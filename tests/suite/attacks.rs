//! The list of attacks and their tests in docs/attacks.md: that it is whole and that every test in it exists.
//!
//! Whether a test tries what its row says is for people to judge; that it was renamed or removed is found here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// Fewer rows would mean that some were lost.
const ROWS_MIN: usize = 30;
/// Lines above a function in which it may be marked as a test.
const MARK_LINES_MAX: usize = 4;

/// One row: its id, and the tests that try it.
struct Row {
    id: String,
    tests: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The rows of the first table.
fn rows(page: &str) -> Vec<Row> {
    let table = page.split("\n## ").next().unwrap_or_default();
    let cells = table.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = cells.map(|line| line.split(" | ").collect::<Vec<_>>()).filter(|cells| cells[0] != "id");
    rows.map(|cells| {
        assert_eq!(cells.len(), 4, "a row has four cells: {cells:?}");
        Row { id: cells[0].to_owned(), tests: cells[3].split('`').skip(1).step_by(2).map(str::to_owned).collect() }
    })
    .collect()
}

/// Folders of the crates by their names.
fn crates() -> BTreeMap<String, PathBuf> {
    let manifests = ["runner", "pipelines", "scanners", "web", "tests"].into_iter().flat_map(|folder| {
        let walk = WalkDir::new(root().join(folder)).max_depth(2).into_iter().filter_map(Result::ok);
        walk.filter(|entry| entry.file_name() == "Cargo.toml").map(walkdir::DirEntry::into_path)
    });
    let named = manifests.filter_map(|path| {
        let text = std::fs::read_to_string(&path).expect("a manifest can be read");
        let name = text.lines().find_map(|line| line.strip_prefix("name = \""))?.trim_end_matches('"').to_owned();
        Some((name, path.parent()?.to_owned()))
    });
    named.collect()
}

/// Whether a text has a test of this name.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(at, line)| {
        let head = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        let is_it = head.and_then(|head| head.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('));
        let marks = &lines[at.saturating_sub(MARK_LINES_MAX)..at];
        is_it && marks.iter().any(|mark| mark.starts_with("#[test]") || mark.starts_with("#[tokio::test"))
    })
}

/// What is wrong with the name of a test; nothing: it exists.
fn missing(test: &str, crates: &BTreeMap<String, PathBuf>) -> Option<String> {
    if test.starts_with("tests/cases/") {
        return (!root().join(test).exists()).then(|| format!("{test} does not exist"));
    }
    let Some((binary, path)) = test.split_once(' ') else { return Some(format!("{test} is no name of a test")) };
    let Some(folder) = crates.get(binary.split("::").next().unwrap_or_default()) else {
        return Some(format!("{test}: there is no such crate"));
    };
    let mut modules: Vec<_> = path.split("::").collect();
    let name = modules.pop().unwrap_or_default();
    // Tests of a crate's own file stand at its end, in a module that has no file.
    modules.retain(|module| *module != "tests");
    let sources = WalkDir::new(folder).into_iter().filter_map(Result::ok).filter(|entry| {
        let path = entry.path().with_extension("");
        let mut parts = path.iter().filter_map(|part| part.to_str());
        entry.path().extension().is_some_and(|extension| extension == "rs")
            && modules.iter().all(|module| parts.any(|part| part == *module))
    });
    let found = sources
        .map(|entry| std::fs::read_to_string(entry.path()).expect("a source can be read"))
        .any(|text| has_test(&text, name));
    (!found).then(|| format!("{test}: there is no such test"))
}

#[test]
fn every_row_has_its_tests() {
    let page = std::fs::read_to_string(root().join("docs/attacks.md")).expect("the page is there");
    let (rows, crates) = (rows(&page), crates());
    let ids: BTreeSet<_> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids.len(), rows.len(), "an id is there twice");
    assert!(rows.len() >= ROWS_MIN, "{} rows", rows.len());
    let mut problems = Vec::new();
    for Row { id, tests } in &rows {
        let numbered =
            id.strip_prefix(['F', 'I', 'M', 'P', 'Y', 'D']).is_some_and(|number| number.parse::<u8>().is_ok());
        if !numbered {
            problems.push(format!("{id} is no id"));
        }
        if tests.is_empty() {
            problems.push(format!("{id} has no test"));
        }
        problems.extend(tests.iter().filter_map(|test| missing(test, &crates)).map(|why| format!("{id}: {why}")));
    }
    assert!(problems.is_empty(), "docs/attacks.md:\n  {}", problems.join("\n  "));
    let without = page.split("\n## Rows without a test").nth(1).expect("the others are listed");
    let both: Vec<_> = ids.iter().filter(|id| without.contains(&format!("\n| {id} |"))).collect();
    assert!(both.is_empty(), "in both lists: {both:?}");
}

#[test]
fn what_is_gone_is_found() {
    let crates = crates();
    let here = "tests::suite attacks::what_is_gone_is_found";
    assert_eq!(missing(here, &crates), None);
    for gone in [
        "tests::suite attacks::what_was_gone",
        "tests::suite tidy::what_is_gone_is_found",
        "tests::suite attacks::has_test",
        "nobody attacks::what_is_gone_is_found",
        "what_is_gone_is_found",
        "tests/cases/run/none",
    ] {
        assert!(missing(gone, &crates).is_some(), "{gone}");
    }
    let table = "x\n| id | a | b | c |\n|---|---|---|---|\n| F01 | a | b | `x y`, `z` |\n\n## More\n| F02 | d |\n";
    let rows = rows(table);
    assert_eq!((rows.len(), rows[0].id.as_str(), rows[0].tests.join(" ").as_str()), (1, "F01", "x y z"));
}
