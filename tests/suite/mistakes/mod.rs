//! Planted mistakes: workflow files, each with exactly the diagnostics that it must give, and correct ones that must give
//! none.
//!
//! `tests/cases/mistakes/NAME.yml` has its diagnostics in `NAME.expected`: place, severity, code, message, help.
//! `tests/cases/correct/*.yml` must give nothing at all. Called workflows lie in the folder `called` beside them.
//! `PIPE_WRITE_EXPECTED=1` writes the files anew, to be read before they are committed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use workflow::check::check;
use workflow::diagnostic::{Diagnostic, Severity};
use workflow::read::{ReadOptions, WorkflowFiles, read_workflow};
use workflow::source::{SourceFile, SourceMap};

use crate::conformance;

pub(crate) const WRITE_VARIABLE: &str = "PIPE_WRITE_EXPECTED";
const MISTAKES_MIN: usize = 50;
const CORRECT_MIN: usize = 15;

/// What the file of a case is called; places in others begin with their names.
pub(crate) const FILE: &str = "ci.yml";

/// The case that GitHub's parser takes and its server refuses, as we do.
const REFUSED_BY_THE_SERVER: &[&str] = &["events-mapping-all.yml"];

/// Called files and actions, in one folder.
pub(crate) struct Called(pub(crate) PathBuf);

impl WorkflowFiles for Called {
    fn read(&self, reference: &str) -> Option<Result<SourceFile, String>> {
        let path = reference.strip_prefix("./")?;
        let (path_of, name) = (Path::new(path), Path::new(path).file_name()?);
        // Actions are called alike; their folders differ.
        let folder =
            path_of.parent().and_then(Path::file_name).filter(|_| name.as_encoded_bytes().starts_with(b"action."));
        let file = folder.map_or_else(|| self.0.clone(), |folder| self.0.join(folder)).join(name);
        let text = std::fs::read_to_string(file).map_err(|_| format!("`{path}` does not exist"));
        Some(text.map(|text| SourceFile::new(path, text)))
    }
}

pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").join(name)
}

pub(crate) fn files(name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(name)).expect("the folder of cases is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry can be read").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    files
}

/// Diagnostics as an `.expected` file has them.
pub(crate) fn in_lines(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let mut told = String::new();
    for found in diagnostics {
        let severity = match found.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let place = found.span.and_then(|span| sources.locate(span)).map_or_else(
            || "-".to_owned(),
            |(file, start, end)| {
                let file = if file == FILE { String::new() } else { format!("{file}:") };
                format!("{file}{}:{}-{}:{}", start.line, start.column, end.line, end.column)
            },
        );
        writeln!(told, "{place} {severity} {}: {}", found.code.0, found.message).expect("a string takes all");
        if let Some(help) = &found.help {
            writeln!(told, "  help: {help}").expect("a string takes all");
        }
    }
    told
}

/// What a file gives, as an `.expected` file has it, and whether any of it is an error.
fn told(text: String, called: &Called) -> (String, bool) {
    let options = ReadOptions::default();
    let reading = read_workflow(SourceFile::new(FILE, text), called, &options);
    let checked = check(&reading, called, &options, &pipelines::catalogue());
    let told = in_lines(&checked.diagnostics, &checked.sources);
    let is_wrong = checked.diagnostics.iter().any(Diagnostic::is_error);
    (told, is_wrong)
}

#[test]
fn every_planted_mistake_is_told_once_and_where_it_is() {
    let called = Called(folder("mistakes").join("called"));
    let files = files("mistakes");
    let mut failures = String::new();
    for path in &files {
        let (actual, _) = told(std::fs::read_to_string(path).expect("a case can be read"), &called);
        let side = path.with_extension("expected");
        if std::env::var_os(WRITE_VARIABLE).is_some() {
            std::fs::write(&side, &actual).expect("the expectation can be written");
        }
        let expected = std::fs::read_to_string(&side).unwrap_or_default();
        if actual != expected || actual.is_empty() {
            write!(failures, "{}\nexpected:\n{expected}actual:\n{actual}\n", path.display())
                .expect("a string takes all");
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(files.len() >= MISTAKES_MIN, "{} files", files.len());
}

#[test]
fn correct_workflows_give_nothing() {
    let called = Called(folder("correct").join("called"));
    let files = files("correct");
    for path in &files {
        let (actual, _) = told(std::fs::read_to_string(path).expect("a case can be read"), &called);
        assert!(actual.is_empty(), "{}:\n{actual}", path.display());
    }
    assert!(files.len() >= CORRECT_MIN, "{} files", files.len());
}

#[test]
fn what_github_accepts_is_no_error() {
    let Some(cases) = conformance::load::<serde_json::Value>("workflow-reader") else { return };
    let called = Called(folder("no such folder"));
    for case in cases {
        let (file, text) = (case["file"].as_str().unwrap_or_default(), case["workflow"].as_str().unwrap_or_default());
        // Called files are compared by the conformance suite itself.
        let calls = case["reusable"].as_array().is_some_and(|files| !files.is_empty()) || text.contains("uses: ./");
        let is_template = case["kind"] == "template" && case["expected"].get("errors").is_none();
        if is_template && !calls && !REFUSED_BY_THE_SERVER.contains(&file) {
            let (actual, _) = told(text.to_owned(), &called);
            // Jobs without steps are no business of the parser either.
            let is_wrong = |line: &&str| line.contains(" error P") && !line.contains(" error P0417: ");
            let wrong: Vec<_> = actual.lines().filter(is_wrong).collect();
            assert!(wrong.is_empty(), "{file}:\n{actual}");
        }
    }
}
