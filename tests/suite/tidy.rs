//! Tidiness as a test: sizes, head comments, no `unwrap`, dependencies with a sentence and a budget, no machine's paths.
//!
//! It reads the files that git knows, so what is not committed and not ignored counts too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest file of Rust, in lines.
const FILE_LINES_MAX: usize = 400;
/// Longest function, in lines from its `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;
/// Most packages in the lock file: 400, and 30 that only the SDK of AWS brings.
const PACKAGES_MAX: usize = 430;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(ending: &str) -> Vec<(String, String)> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files of the project");
    let names = String::from_utf8(listed.stdout).expect("file names are UTF-8");
    let found: Vec<_> = names
        .lines()
        .filter(|name| name.ends_with(ending))
        .filter_map(|name| Some((name.to_owned(), std::fs::read_to_string(root().join(name)).ok()?)))
        .collect();
    assert!(!found.is_empty(), "no {ending} files were found: is this a checkout?");
    found
}

fn report(what: &str, problems: &[String]) {
    assert!(problems.is_empty(), "{what}:\n  {}", problems.join("\n  "));
}

#[test]
fn every_file_says_what_it_is_for_and_is_one_idea() {
    let mut problems = Vec::new();
    for (name, text) in files(".rs") {
        let head = text.lines().find(|line| !line.starts_with("#!") && !line.is_empty());
        if !head.is_some_and(|line| line.starts_with("//!")) {
            problems.push(format!("{name} does not open with //!"));
        }
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            problems.push(format!("{name} has {lines} lines, more than {FILE_LINES_MAX}"));
        }
    }
    report("files", &problems);
}

#[test]
fn functions_fit_a_screen() {
    let mut problems = Vec::new();
    for (name, text) in files(".rs") {
        let lines: Vec<_> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            if !is_function(code) || code.ends_with([';', '}']) {
                continue;
            }
            let close = format!("{}}}", &line[..line.len() - code.len()]);
            let Some(length) = lines[number..].iter().position(|line| *line == close) else { continue };
            if length >= FUNCTION_LINES_MAX {
                problems.push(format!("{name}:{} has {} lines: {code}", number + 1, length + 1));
            }
        }
    }
    report(&format!("functions longer than {FUNCTION_LINES_MAX} lines"), &problems);
}

fn is_function(code: &str) -> bool {
    let words: Vec<_> = code.split_whitespace().take(6).collect();
    let before = words.iter().position(|word| *word == "fn");
    before.is_some_and(|at| {
        words[..at]
            .iter()
            .all(|word| word.starts_with("pub") || matches!(*word, "const" | "async" | "super)" | "crate)"))
    })
}

#[test]
fn nothing_is_unwrapped_or_left_to_do() {
    let mut problems = Vec::new();
    let all = files(".rs");
    for (name, text) in &all {
        if is_for_tests(name, &all) || name.contains("/examples/") {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let code = code.split("#[cfg(test)]\npub(super) mod ").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let before_comment = line.split("//").next().unwrap_or_default();
            for word in [".unwrap()", "todo!(", "unimplemented!(", "dbg!(", "#[allow("] {
                if before_comment.contains(word) {
                    problems.push(format!("{name}:{}: {word}", number + 1));
                }
            }
        }
    }
    report("not in code outside tests", &problems);
}

/// Files of tests, and modules that are compiled for tests only.
fn is_for_tests(name: &str, all: &[(String, String)]) -> bool {
    if name.contains("/tests/") || name.starts_with("tests/") || name.ends_with("tests.rs") {
        return true;
    }
    // The file's own module, and those whose folder it lies in.
    Path::new(name).ancestors().any(|path| {
        let (Some(folder), Some(module)) = (path.parent(), path.file_stem().and_then(|stem| stem.to_str())) else {
            return false;
        };
        let declaration = format!("mod {module};");
        let declared = |text: &str| {
            text.split("#[cfg(test)]")
                .skip(1)
                .any(|after| after.trim_start().lines().next().unwrap_or_default().trim_end().ends_with(&declaration))
        };
        all.iter().any(|(other, text)| Path::new(other).parent() == Some(folder) && declared(text))
    })
}

#[test]
fn dependencies_are_few_and_explained() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the workspace has a manifest");
    let table = manifest.split("[workspace.dependencies]").nth(1).expect("it lists dependencies");
    let unexplained: Vec<_> = table
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter(|line| line.contains(" = ") && !line.contains("path = ") && !line.contains(" # "))
        .map(str::to_owned)
        .collect();
    report("dependencies without a sentence", &unexplained);
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("the lock file is committed");
    let packages: BTreeSet<_> = lock.lines().filter(|line| line.starts_with("name = ")).collect();
    assert!(packages.len() <= PACKAGES_MAX, "{} packages are locked, more than {PACKAGES_MAX}", packages.len());
    for banned in ["\"serde_yml\"", "\"tokio-tar\"", "\"openssl-sys\""] {
        assert!(!lock.contains(&format!("name = {banned}")), "{banned} must not be used (see CONVENTIONS.md)");
    }
}

#[test]
fn the_core_does_no_input_or_output() {
    let manifest = std::fs::read_to_string(root().join("runner/workflow/Cargo.toml")).expect("the core has a manifest");
    let dependencies =
        manifest.split("[dependencies]").nth(1).unwrap_or_default().split('[').next().unwrap_or_default();
    for banned in ["tokio", "bollard", "git2", "rusqlite", "nix", "tempfile"] {
        assert!(!dependencies.contains(banned), "the core must not depend on {banned}");
    }
    let mut problems = Vec::new();
    for (name, text) in files(".rs") {
        if !name.starts_with("runner/workflow/src/") || name.contains("tests") {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in
            ["std::fs", "std::net", "std::env", "std::process", "std::time::SystemTime", "Timestamp::now", "async fn"]
        {
            if code.lines().any(|line| line.split("//").next().unwrap_or_default().contains(word)) {
                problems.push(format!("{name}: {word}"));
            }
        }
    }
    report("the core uses", &problems);
}
