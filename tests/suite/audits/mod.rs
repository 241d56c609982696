//! Workflows with doors that are open, each with exactly the findings that audits must give, and what zizmor says of the same files.
//!
//! `tests/cases/audits/NAME.yml` has its findings in `NAME.expected`: place, severity, code, message, help; those that only
//! `--pedantic` tells begin with `pedantic`. `PIPE_WRITE_EXPECTED=1` writes the files anew, to be read before they are committed.
//! Actions of the repository lie in the folder `called` beside them.

mod zizmor;

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use workflow::check::audits::{self, AUDITS, Beside, Level, Levels};
use workflow::check::check;
use workflow::diagnostic::{Diagnostic, Severity};
use workflow::read::{ReadOptions, read_workflow};
use workflow::source::{SourceFile, SourceMap};

use crate::mistakes::{Called, FILE, WRITE_VARIABLE, files, folder, in_lines};

/// The one action that the repository of the cases has locked.
const LOCKED: &str = "someone/locked@v3";

/// What a file gives with these levels.
fn audited(text: &str, levels: &Levels) -> (SourceMap, Vec<Diagnostic>) {
    let (options, called) = (ReadOptions::default(), Called(folder("audits").join("called")));
    let reading = read_workflow(SourceFile::new(FILE, text), &called, &options);
    let mut checked = check(&reading, &called, &options, &pipelines::catalogue());
    let Some(workflow) = &reading.workflow else {
        panic!("{text}\n{}", in_lines(&checked.diagnostics, &checked.sources))
    };
    let locked = HashSet::from([LOCKED.to_owned()]);
    let beside = Beside { files: &called, options: &options, locked: &locked };
    let found = audits::audit(workflow, &mut checked.sources, beside);
    levels.settle(&mut checked.diagnostics, found, &checked.sources);
    (checked.sources, checked.diagnostics)
}

fn pedantic() -> Levels {
    let mut levels = Levels::default();
    levels.pedantic = true;
    levels
}

/// As an `.expected` file has it.
fn told(text: &str) -> String {
    let (_, plain) = audited(text, &Levels::default());
    let (sources, all) = audited(text, &pedantic());
    let mut told = String::new();
    for found in &all {
        let prefix = if plain.contains(found) { "" } else { "pedantic " };
        write!(told, "{prefix}{}", in_lines(std::slice::from_ref(found), &sources)).expect("a string takes all");
    }
    told
}

#[test]
fn every_open_door_is_told_and_no_other() {
    let (mut failures, mut seen) = (String::new(), BTreeSet::new());
    for path in files("audits") {
        let text = std::fs::read_to_string(&path).expect("a case can be read");
        let actual = told(&text);
        seen.extend(audited(&text, &pedantic()).1.into_iter().map(|found| found.code.0));
        let side = path.with_extension("expected");
        if std::env::var_os(WRITE_VARIABLE).is_some() {
            std::fs::write(&side, &actual).expect("the expectation can be written");
        }
        let expected = std::fs::read_to_string(&side).unwrap_or_else(|_| "there is no expectation".to_owned());
        if actual != expected {
            write!(failures, "{}\nexpected:\n{expected}actual:\n{actual}\n", path.display())
                .expect("a string takes all");
        }
    }
    assert!(failures.is_empty(), "{failures}");
    let unseen: Vec<_> = AUDITS.iter().filter(|audit| !seen.contains(audit.code.0)).map(|audit| audit.id).collect();
    assert!(unseen.is_empty(), "no case has {unseen:?}");
}

#[test]
fn levels_say_what_becomes_of_findings() {
    let text = std::fs::read_to_string(folder("audits").join("unpinned-uses.yml")).expect("a case can be read");
    for (level, expected) in [
        (Level::Deny, Some(Severity::Error)),
        (Level::Warn, Some(Severity::Warning)),
        (Level::Note, Some(Severity::Note)),
        (Level::Allow, None),
    ] {
        let mut levels = Levels::default();
        levels.set("unpinned-uses", level).expect("there is that audit");
        let found = audited(&text, &levels).1;
        assert!(found.iter().all(|found| Some(found.severity) == expected), "{level:?}: {found:?}");
        assert_eq!(found.is_empty(), expected.is_none(), "{level:?}");
        levels.pedantic = true;
        let errors = audited(&text, &levels).1.into_iter().filter(Diagnostic::is_error).count();
        assert_eq!(
            errors,
            if level == Level::Deny { found.len() } else { 0 },
            "what is only for pedants is never denied"
        );
    }
    let unknown = Levels::default().set("unpined-uses", Level::Deny).expect_err("there is no such audit");
    assert!(unknown.to_string().contains("did you mean `unpinned-uses`?"), "{unknown}");
}

#[test]
fn the_pipelines_that_are_shipped_have_no_open_door() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let entries = std::fs::read_dir(root.join("pipelines")).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    let workflows: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .filter(|path| std::fs::read_to_string(path).expect("it can be read").contains("\njobs:"))
        .collect();
    assert!(workflows.len() >= 4, "{workflows:?}");
    for path in workflows {
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let (sources, found) = audited(&text, &Levels::default());
        let found: Vec<Diagnostic> = found.into_iter().filter(|found| audits::audit_of(found.code).is_some()).collect();
        assert!(found.is_empty(), "{}:\n{}", path.display(), in_lines(&found, &sources));
    }
}
