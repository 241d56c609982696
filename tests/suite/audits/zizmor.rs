//! The same files under zizmor (<https://docs.zizmor.sh/>), offline: where the two differ is written down with the reason.
//!
//! `scripts/validators.sh` installs it below the target folder, or where `PIPE_VALIDATORS` says; without it this is skipped by name.
//! `tests/cases/audits/zizmor.differences` has a line each: whose finding, file, line, audit, and why it stands alone. Only audits that both
//! have are compared line by line; those that only zizmor has are in docs/compatibility.md.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use super::{audited, pedantic};
use crate::mistakes::{FILE, WRITE_VARIABLE, files, folder};
use workflow::check::audits::{audit_named, audit_of};

/// What is said of a key and what of its value is the same finding.
const LINES_APART_MAX: u64 = 2;

/// `FILE LINE AUDIT`.
type Finding = (String, u64, String);

fn program() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?.ancestors().nth(3)?.join("validators");
    let tools = std::env::var_os("PIPE_VALIDATORS").map_or(own, PathBuf::from);
    let program = tools.join("python/bin/zizmor");
    if program.exists() {
        return Some(program);
    }
    eprintln!("audits zizmor: SKIPPED, {} is not there (scripts/validators.sh)", program.display());
    None
}

/// What zizmor finds in a file, of the audits that both have.
fn theirs(program: &PathBuf, path: &std::path::Path, name: &str) -> BTreeSet<Finding> {
    let output = Command::new(program)
        .args(["--offline", "--no-config", "--persona=auditor", "--format=json", "--no-exit-codes", "--quiet"])
        .arg(path)
        .output()
        .expect("zizmor runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let line = |found: &serde_json::Value| {
        let places = found["locations"].as_array().cloned().unwrap_or_default();
        let main = places.iter().find(|place| place["symbolic"]["kind"] == "Primary").or_else(|| places.first())?;
        main["concrete"]["location"]["start_point"]["row"].as_u64()
    };
    let finding = |found: serde_json::Value| {
        let id = found["ident"].as_str().unwrap_or_default().to_owned();
        (name.to_owned(), line(&found).map_or(0, |row| row + 1), id)
    };
    let is_shared = |(_, _, id): &Finding| audit_named(id).is_some_and(|audit| audit.id == id);
    found.into_iter().filter(|found| found["ignored"] != true).map(finding).filter(is_shared).collect()
}

fn ours(text: &str, name: &str) -> BTreeSet<Finding> {
    let (sources, found) = audited(text, &pedantic());
    let finding = |found: &workflow::diagnostic::Diagnostic| {
        let (file, start, _) = sources.locate(found.span?)?;
        let audit = audit_of(found.code)?;
        (file == FILE).then(|| (name.to_owned(), u64::from(start.line), audit.id.to_owned()))
    };
    found.iter().filter_map(finding).collect()
}

#[test]
fn differences_from_zizmor_are_known() {
    let Some(program) = program() else { return };
    let mut lines = BTreeSet::new();
    for path in files("audits") {
        let name = path.file_stem().and_then(|name| name.to_str()).expect("names are text").to_owned();
        let text = std::fs::read_to_string(&path).expect("a case can be read");
        let (theirs, mut ours) = (theirs(&program, &path, &name), ours(&text, &name));
        // What is in the same line first, so that a neighbour is not taken for it.
        let (same, apart): (Vec<Finding>, Vec<Finding>) =
            theirs.into_iter().partition(|finding| ours.contains(finding));
        same.iter().for_each(|finding| {
            ours.remove(finding);
        });
        for (file, line, id) in apart {
            let near = |(_, other, theirs): &&Finding| *theirs == id && other.abs_diff(line) <= LINES_APART_MAX;
            match ours.iter().find(near).cloned() {
                Some(found) => {
                    ours.remove(&found);
                }
                None => {
                    lines.insert(format!("zizmor {file}:{line} {id}"));
                }
            }
        }
        lines.extend(ours.into_iter().map(|(file, line, id)| format!("pipe {file}:{line} {id}")));
    }
    let side = folder("audits").join("zizmor.differences");
    let known = std::fs::read_to_string(&side).unwrap_or_default();
    let why =
        |line: &str| known.lines().find_map(|known| known.strip_prefix(line)?.strip_prefix(": ")).map(str::to_owned);
    if std::env::var_os(WRITE_VARIABLE).is_some() {
        let text: String =
            lines.iter().map(|line| format!("{line}: {}\n", why(line).unwrap_or_else(|| "TODO".to_owned()))).collect();
        std::fs::write(&side, text).expect("it can be written");
        return;
    }
    let known: BTreeSet<String> =
        known.lines().filter_map(|line| line.split_once(": ")).map(|(at, _)| at.to_owned()).collect();
    assert_eq!(lines, known, "what differs, and what {} has", side.display());
}
