//! Foreign truth: other people's answers, read from `$PIPE_CONFORMANCE` (default `../shared/conformance` beside the
//! project), each compared with ours.
//!
//! A suite is a file of JSON lines and a function that checks one of them. The report counts passed, failed and
//! listed-as-different and shows each failure in full. What it does not do: know any suite's format.

mod expressions;
mod github_form;
mod webhooks;
mod workflow_reader;

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde_json::Value;

const FOLDER_VARIABLE: &str = "PIPE_CONFORMANCE";
const OPTIONAL_VARIABLE: &str = "PIPE_CONFORMANCE_OPTIONAL";

/// A case where we mean to differ, and why. A listed case that passes fails the suite: the list must stay true.
pub(crate) struct Different {
    /// The case's own name.
    pub(crate) case: &'static str,
    /// One sentence.
    pub(crate) reason: &'static str,
}

/// The folder of all suites.
pub(crate) fn folder() -> PathBuf {
    let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/conformance"));
    std::env::var_os(FOLDER_VARIABLE).map_or_else(default, PathBuf::from)
}

/// Whether a suite that is absent is skipped.
pub(crate) fn is_optional() -> bool {
    std::env::var(OPTIONAL_VARIABLE).is_ok_and(|value| value == "1")
}

/// The cases of `<folder>/<suite>/cases.jsonl`. None where the file is absent and `PIPE_CONFORMANCE_OPTIONAL=1`.
pub(crate) fn load<Case: DeserializeOwned>(suite: &str) -> Option<Vec<Case>> {
    let path = folder().join(suite).join("cases.jsonl");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if is_optional() => {
            eprintln!("conformance {suite}: SKIPPED, {} cannot be read: {error}", path.display());
            return None;
        }
        Err(error) => panic!(
            "conformance {suite}: {} cannot be read: {error}. Point {FOLDER_VARIABLE} at the folder that holds \
             {suite}/cases.jsonl, or set {OPTIONAL_VARIABLE}=1 to go without.",
            path.display()
        ),
    };
    let cases = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(|(index, line)| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{}:{}: {error}", path.display(), index + 1))
    });
    Some(cases.collect())
}

/// Checks every case and prints the report.
///
/// # Panics
/// If a case fails that is not listed as different, or one passes that is.
pub(crate) fn run<Case>(
    suite: &str,
    cases: &[Case],
    name: impl Fn(&Case) -> String,
    different: &[Different],
    check: impl Fn(&Case) -> Result<(), String>,
) {
    let (mut passed, mut failed, mut listed) = (0, 0, 0);
    let mut report = String::new();
    for case in cases {
        let name = name(case);
        let entry = different.iter().find(|different| different.case == name);
        match (check(case), entry) {
            (Ok(()), None) => passed += 1,
            (Ok(()), Some(_)) => {
                failed += 1;
                writeln!(report, "FAILED {name}: listed as different, but it agrees; take it off the list").unwrap();
            }
            (Err(_), Some(entry)) => {
                listed += 1;
                writeln!(report, "DIFFERENT {name}: {}", entry.reason).unwrap();
            }
            (Err(failure), None) => {
                failed += 1;
                writeln!(report, "FAILED {name}\n{failure}").unwrap();
            }
        }
    }
    eprintln!("{report}conformance {suite}: {passed} passed, {failed} failed, {listed} listed as different");
    assert!(!cases.is_empty(), "conformance {suite}: no case was found");
    assert_eq!(failed, 0, "conformance {suite}: {failed} of {} cases failed, see above", cases.len());
}

/// Equal values; numbers by value, whether written `1` or `1.0`. The order of names does not count.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, value)| right.get(name).is_some_and(|other| same(value, other)))
        }
        (left, right) => left == right,
    }
}
