//! Problems that common tools print, found in a step's output without a matcher: compilers, linters, tracebacks.
//!
//! Not GitHub's: there a workflow has to add a matcher for each tool. What is found is a guess, so it is kept narrow: a
//! whole line of a known form that names a file and a line. Whether the file exists, and whether the step failed at all, is
//! the engine's to ask. Output passes at the speed of a search for a few words (`ANCHORS`); only a line that has one is
//! looked at. Owners of the same tools' matchers are named as in <https://github.com/actions/toolkit/blob/main/docs/problem-matchers.md>.

mod open;
mod rules;

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use self::open::Open;
use super::annotation::{Annotation, AnnotationLevel};
use super::matcher::strip_colours;

/// Problems of one level that a step has at most; GitHub shows ten.
const FOUND_MAX: usize = 50;

/// Longest line that is looked at, in bytes.
const LINE_BYTES_MAX: usize = 2_000;

/// How much of the output before a line is known to its rule, in bytes.
const BEFORE_BYTES_MAX: usize = 4_096;

/// What a line must hold that says something of a problem. The first one in the text is asked for, since only then is it
/// looked for in blocks of bytes at once; for the one that ends first every byte is a step of a machine.
static ANCHORS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let mut builder = AhoCorasick::builder();
    let anchors = builder.match_kind(MatchKind::LeftmostFirst).build([
        "--> ",
        "panicked at ",
        ": error: ",
        ": fatal error: ",
        ": warning: ",
        " TS",
        "  error  ",
        "  warning  ",
        "\x1b[31merror\x1b[39m",
        "\x1b[33mwarning\x1b[39m",
        ", Error - ",
        ", Warning - ",
        ".go:",
        ".py:",
        "Traceback (most recent call last):",
    ]);
    anchors.expect("a few short texts")
});

/// A problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The tool, as its matcher is owned.
    pub owner: &'static str,
    /// What it says, at the place that counts if its file is one of the repository.
    pub annotation: Annotation,
    /// Other places, the next best first: the callers in a traceback.
    pub others: Vec<(String, u32)>,
}

impl Problem {
    fn new(owner: &'static str, level: AnnotationLevel, message: &str, file: &str, line: &str) -> Self {
        let mut annotation = Annotation::new(level, message.trim());
        annotation.file = Some(file.to_owned());
        annotation.line = line.parse().ok();
        Self { owner, annotation, others: Vec::new() }
    }
}

/// Looks at the output of a step.
#[derive(Debug, Default)]
pub struct ProblemFinder {
    /// The end of what was looked at.
    before: Vec<u8>,
    /// Something that goes on over several lines.
    open: Option<Open>,
    found: Vec<Problem>,
}

impl ProblemFinder {
    /// Looks at some whole lines.
    pub fn look(&mut self, text: &[u8]) {
        let mut at = 0;
        while at < text.len() {
            if let Some(mut open) = self.open.take() {
                let end = line_end(text, at);
                match open.take(&line(&text[at..end])) {
                    open::Step::On => self.open = Some(open),
                    open::Step::Over(problem) => self.keep(problem),
                    // What ends one may begin another.
                    open::Step::Not => {
                        self.line(text, at, end);
                    }
                }
                at = end;
                continue;
            }
            let Some(hit) = ANCHORS.find(&text[at..]) else { break };
            let start =
                memchr::memrchr2(b'\n', b'\r', &text[at..at + hit.start()]).map_or(at, |before| at + before + 1);
            let end = line_end(text, at + hit.end());
            self.line(text, start, end);
            at = end;
        }
        let rest = &text[text.len().saturating_sub(BEFORE_BYTES_MAX)..];
        let kept = BEFORE_BYTES_MAX - rest.len();
        self.before.drain(..self.before.len().saturating_sub(kept));
        self.before.extend_from_slice(rest);
    }

    /// Forgets the lines before: another step begins, or something was printed that is no whole line.
    pub fn reset(&mut self) {
        self.before.clear();
        self.open = None;
    }

    /// What was found since the last call.
    pub fn take(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.found)
    }

    fn line(&mut self, text: &[u8], start: usize, end: usize) {
        if end - start > LINE_BYTES_MAX {
            return;
        }
        let own = line(&text[start..end]);
        if let Some(open) = Open::begin(&own) {
            self.open = Some(open);
            return;
        }
        let before = || lines_before(&text[..start]).chain(lines_before(&self.before));
        if let Some(problem) = rules::find(&own, before) {
            self.keep(problem);
        }
    }

    fn keep(&mut self, problem: Problem) {
        let level = problem.annotation.level;
        let same_level = self.found.iter().filter(|found| found.annotation.level == level).count();
        if same_level < FOUND_MAX && !self.found.contains(&problem) {
            self.found.push(problem);
        }
    }
}

fn line_end(text: &[u8], from: usize) -> usize {
    memchr::memchr2(b'\n', b'\r', &text[from..]).map_or(text.len(), |end| from + end + 1)
}

/// A line without its ending and its colours.
fn line(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let text = String::from_utf8_lossy(bytes);
    strip_colours(text.trim_end_matches(['\n', '\r'])).into_owned()
}

/// Lines, the last first.
fn lines_before(text: &[u8]) -> impl Iterator<Item = String> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let lines = (!text.is_empty()).then(|| text.rsplit(|byte| *byte == b'\n'));
    lines.into_iter().flatten().map(line)
}

#[cfg(test)]
mod tests;
