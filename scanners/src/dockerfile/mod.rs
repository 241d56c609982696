//! What a Dockerfile does that it should not: the rules of hadolint and trivy that matter, each under its own name and
//! theirs, so that exceptions written for those keep working.
//!
//! `# hadolint ignore=DL3008` and `# pipe ignore=docker-root` before an instruction are obeyed, with `global` for a whole
//! file. The image itself is not looked at. Follows <https://docs.docker.com/reference/dockerfile/>.

mod commands;
mod image;
mod packages;
mod read;
mod shell;
#[cfg(test)]
mod tests;

pub use read::{Instruction, read};

use crate::finding::{Finding, Kind, Place, Severity, Subject};

/// Longest file that is read.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// What a rule says.
struct Rule {
    id: &'static str,
    /// Its names elsewhere.
    aliases: &'static [&'static str],
    severity: Severity,
}

/// A rule that is broken, and where.
struct Broken {
    rule: &'static Rule,
    line: u32,
    end_line: u32,
    words: String,
}

impl Rule {
    const fn new(id: &'static str, aliases: &'static [&'static str], severity: Severity) -> Self {
        Self { id, aliases, severity }
    }

    fn at(&'static self, instruction: &Instruction, words: impl Into<String>) -> Broken {
        Broken { rule: self, line: instruction.line, end_line: instruction.end_line, words: words.into() }
    }
}

/// Checks a Dockerfile. `file` is its path from the root of the repository.
#[must_use]
pub fn check(file: &str, text: &str) -> Vec<Finding> {
    if text.len() > FILE_BYTES_MAX {
        let words = format!("the file is longer than {FILE_BYTES_MAX} bytes and was not checked");
        let subject =
            Subject::Place(Place { file: file.to_owned(), line: None, end_line: None, column: None, layer: None });
        return vec![Finding::of_rule(Kind::Misconfiguration, "docker-too-long", words, subject, Severity::High)];
    }
    let dockerfile = read::read_file(text);
    let mut broken = image::check(&dockerfile.instructions);
    broken.extend(commands::check(&dockerfile.instructions));
    broken.extend(packages::check(&dockerfile.instructions));
    broken.sort_by_key(|one| (one.line, one.rule.id));
    broken.retain(|one| {
        let names = || std::iter::once(one.rule.id).chain(one.rule.aliases.iter().copied());
        !names().any(|name| dockerfile.is_ignored(name, one.line))
    });
    broken.into_iter().map(|one| finding(file, one)).collect()
}

fn finding(file: &str, broken: Broken) -> Finding {
    let Broken { rule, line, end_line, words } = broken;
    let end_line = (end_line > line).then_some(end_line);
    let place = Place { file: file.to_owned(), line: Some(line), end_line, column: None, layer: None };
    let mut finding = Finding::of_rule(Kind::Misconfiguration, rule.id, words, Subject::Place(place), rule.severity);
    finding.aliases = rule.aliases.iter().map(|alias| (*alias).to_owned()).collect();
    let page = rule.aliases.iter().find(|alias| alias.starts_with("DL"));
    finding.references =
        page.map(|page| format!("https://github.com/hadolint/hadolint/wiki/{page}")).into_iter().collect();
    finding
}
