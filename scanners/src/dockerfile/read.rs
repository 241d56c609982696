//! From the text of a Dockerfile to its instructions, with here-documents and what comments ask to ignore.

use std::collections::{BTreeMap, BTreeSet};

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Its first line, from 1.
    pub line: u32,
    pub end_line: u32,
    /// In capitals.
    pub keyword: String,
    /// What follows, its lines joined by blanks.
    pub rest: String,
    /// The bodies of its here-documents, each line with its break.
    pub heredoc: String,
    /// Which stage it belongs to, from 0; none before the first `FROM`.
    pub stage: Option<usize>,
}

impl Instruction {
    /// The first line of its here-documents that says something: what builders write into an image's history.
    #[must_use]
    pub(crate) fn document(&self) -> Option<&str> {
        let mut lines = self.heredoc.lines().map(str::trim);
        lines.find(|line| !line.is_empty() && !line.starts_with('#'))
    }
}

/// A file that was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Dockerfile {
    pub(super) instructions: Vec<Instruction>,
    /// Names that comments before an instruction ask to ignore, by its line.
    ignored: BTreeMap<u32, BTreeSet<String>>,
    everywhere: BTreeSet<String>,
}

impl Dockerfile {
    pub(super) fn is_ignored(&self, name: &str, line: u32) -> bool {
        self.everywhere.contains(name) || self.ignored.get(&line).is_some_and(|names| names.contains(name))
    }
}

/// Reads a Dockerfile. Whatever stands there is read as something: what is no instruction has an odd keyword.
#[must_use]
pub(super) fn read_file(text: &str) -> Dockerfile {
    let escape = escape(text);
    let mut file = Dockerfile::default();
    let mut pending = BTreeSet::new();
    let mut stage: Option<usize> = None;
    let mut lines = (1_u32..).zip(text.lines()).peekable();
    while let Some((line, first)) = lines.next() {
        let trimmed = first.trim();
        if let Some(comment) = trimmed.strip_prefix('#') {
            ignore(comment, &mut pending, &mut file.everywhere);
            continue;
        }
        if trimmed.is_empty() {
            continue;
        }
        let mut whole = String::new();
        let mut end_line = line;
        let mut part = trimmed;
        while let Some(begun) = part.strip_suffix(escape) {
            whole.push_str(begun.trim_end());
            whole.push(' ');
            // Comments and empty lines within are passed over.
            match lines.find(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
                Some((number, next)) => (part, end_line) = (next.trim(), number),
                None => part = "",
            }
        }
        whole.push_str(part);
        let (keyword, rest) = whole.split_once(char::is_whitespace).unwrap_or((&whole, ""));
        let keyword = keyword.to_ascii_uppercase();
        let mut heredoc = String::new();
        if matches!(keyword.as_str(), "RUN" | "COPY" | "ADD") {
            for (end, strips) in heredocs(rest) {
                for (number, line) in lines.by_ref() {
                    end_line = number;
                    let line = if strips { line.trim_start_matches('\t') } else { line };
                    if line.trim_end() == end {
                        break;
                    }
                    heredoc.push_str(line);
                    heredoc.push('\n');
                }
            }
        }
        if keyword == "FROM" {
            stage = Some(stage.map_or(0, |stage| stage + 1));
        }
        file.ignored.insert(line, std::mem::take(&mut pending));
        let rest = rest.trim().to_owned();
        file.instructions.push(Instruction { line, end_line, keyword, rest, heredoc, stage });
    }
    file
}

/// Reads the instructions of a Dockerfile.
#[must_use]
pub fn read(text: &str) -> Vec<Instruction> {
    read_file(text).instructions
}

/// `hadolint ignore=DL3008,DL3009`, `hadolint global ignore=…`, and the same with `pipe`.
fn ignore(comment: &str, pending: &mut BTreeSet<String>, everywhere: &mut BTreeSet<String>) {
    let comment = comment.trim();
    let Some(words) = ["hadolint", "pipe"].iter().find_map(|tool| comment.strip_prefix(tool)) else { return };
    let words = words.trim_start();
    let (words, set) = match words.strip_prefix("global") {
        Some(words) => (words.trim_start(), everywhere),
        None => (words, pending),
    };
    if let Some(names) = words.strip_prefix("ignore").and_then(|rest| rest.trim_start().strip_prefix('=')) {
        let is_separator = |c: char| c == ',' || c.is_whitespace();
        set.extend(names.split(is_separator).filter(|name| !name.is_empty()).map(str::to_owned));
    }
}

/// `# escape=` at the top.
fn escape(text: &str) -> char {
    let directives = text.lines().take_while(|line| line.starts_with('#')).filter_map(|line| line[1..].split_once('='));
    let escape = directives.filter(|(key, _)| key.trim().eq_ignore_ascii_case("escape")).map(|(_, value)| value.trim());
    escape.last().filter(|value| *value == "`").map_or('\\', |_| '`')
}

/// The words that end the here-documents of an instruction, and whether leading tabs go: `<<EOF`, `<<-"EOF"`.
fn heredocs(rest: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for word in rest.split_whitespace() {
        // `<<<` is a here-string, and `1<<2` a number.
        let Some((before, after)) = word.split_once("<<") else { continue };
        if after.starts_with('<') || !before.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let (name, strips) = after.strip_prefix('-').map_or((after, false), |name| (name, true));
        let name: String = name.chars().filter(|c| !matches!(c, '"' | '\'')).collect();
        let name: String = name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
            found.push((name, strips));
        }
    }
    found
}
