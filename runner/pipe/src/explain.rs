//! `pipe explain CODE`: a paragraph and an example for every code.
//!
//! The texts are docs/diagnostics.md, which is both a page and the registry: a heading a code.

use std::io::Write;

use workflow::check::audits;
use workflow::diagnostic::suggest;

use crate::args::{ExplainArgs, Global};
use crate::exit::{Exit, Failure};
use crate::terminal::{self, Terminal};

const PAGE: &str = include_str!("../../../docs/diagnostics.md");

/// What is said about a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    code: &'static str,
    title: &'static str,
    text: &'static str,
}

/// The entries in the order of the page: `## P0001: title`, then the text.
fn entries() -> impl Iterator<Item = Entry> {
    PAGE.split("\n## ").skip(1).filter_map(|section| {
        let (heading, text) = section.split_once('\n')?;
        let (code, title) = heading.split_once(": ")?;
        Some(Entry { code, title: title.trim(), text: text.split("\n# ").next().unwrap_or(text).trim() })
    })
}

/// A code in a few words.
pub fn title(code: &str) -> Option<&'static str> {
    entries().find(|entry| entry.code == code).map(|entry| entry.title)
}

/// Runs the command.
pub fn run(args: &ExplainArgs, global: &Global) -> Result<Exit, Failure> {
    let terminal = Terminal::stdout(global.color);
    let mut output = terminal::results();
    match &args.code {
        None => {
            for entry in entries() {
                writeln!(output, "{}  {}", terminal.bold(entry.code), entry.title)?;
            }
        }
        Some(wanted) => {
            let entry = find(wanted)?;
            writeln!(output, "{}\n\n{}", terminal.bold(&format!("{}: {}", entry.code, entry.title)), entry.text)?;
        }
    }
    output.flush()?;
    Ok(Exit::Success)
}

fn find(wanted: &str) -> Result<Entry, Failure> {
    let upper = audits::audit_named(wanted).map_or_else(|| wanted.to_uppercase(), |audit| audit.code.0.to_owned());
    let code = if upper.starts_with('P') { upper } else { format!("P{upper:0>4}") };
    entries().find(|entry| entry.code == code).ok_or_else(|| {
        let ids = audits::AUDITS.iter().map(|audit| audit.id);
        let near = suggest(&code, entries().map(|entry| entry.code)).or_else(|| suggest(wanted, ids));
        let help =
            near.map_or_else(|| "`pipe explain` lists all codes".to_owned(), |near| format!("did you mean `{near}`?"));
        Failure::usage(format!("there is no code `{wanted}`")).help(help)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Codes in the sources of a folder: `Code("P0001")`.
    fn used(folder: &Path, codes: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                used(&path, codes);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let parts = text.split("Code(\"").skip(1).filter_map(|rest| rest.split_once('"'));
                codes.extend(parts.map(|(code, _)| code.to_owned()).filter(|code| code.starts_with('P')));
            }
        }
    }

    #[test]
    fn every_code_is_explained_once() {
        let mut codes = BTreeSet::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for folder in ["runner/workflow/src", "runner/engine/src", "runner/pipe/src", "pipelines/src", "scanners/src"] {
            used(&root.join(folder), &mut codes);
        }
        let explained: Vec<&str> = entries().map(|entry| entry.code).collect();
        let missing: Vec<&String> = codes.iter().filter(|code| !explained.contains(&code.as_str())).collect();
        assert!(missing.is_empty(), "docs/diagnostics.md lacks {missing:?}");
        let mut sorted = explained.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted, explained, "codes are sorted and unique");
        for entry in entries() {
            assert!(entry.text.contains("```"), "{} has an example", entry.code);
        }
    }

    #[test]
    fn codes_are_found_as_people_type_them() {
        assert_eq!(find("p0001").unwrap().code, "P0001");
        assert_eq!(find("1").unwrap().code, "P0001");
        assert_eq!(find("P9999").unwrap_err().exit, Exit::Usage);
    }
}
