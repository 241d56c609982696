//! Files to findings: the pass over a block, the rules at each keyword, and what of it is let pass.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::ops::Range;

use super::keywords::Keywords;
use super::{Allow, Pattern, Rule, Rules, allow, generic};
use crate::finding::{Finding, Kind, Place, Subject};

/// What is read at once of a long file.
const BLOCK_BYTES: usize = 4 * 1024 * 1024;
/// What two blocks share, so that nothing is missed that lies across: more than the longest match of our rules.
const OVERLAP_BYTES: usize = 64 * 1024;
/// Where a zero byte says that a file is no text.
const SNIFF_BYTES: usize = 8 * 1024;
/// Most findings of one file; more of them are a list of something else.
const FINDINGS_MAX: usize = 1000;
/// Longest token that begins with a prefix.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Longest line that is looked at for marks.
const LINE_BYTES_MAX: usize = 4096;

/// Rules made ready.
#[derive(Debug)]
pub struct Scanner {
    rules: Vec<(Rule, Option<regex::Regex>)>,
    allow: Vec<Allow>,
    keywords: Keywords,
    /// The rules of each keyword.
    of_keyword: Vec<Vec<usize>>,
    keyword_lengths: Vec<usize>,
    /// Rules without a keyword.
    always: Vec<usize>,
}

/// What was done so far, and memory that is used again for the next file.
#[derive(Debug, Default)]
pub struct Work {
    pub files: u64,
    pub bytes: u64,
    /// Files that are no text, or that are let pass by their path.
    pub skipped: u64,
    block: Vec<u8>,
    marks: Marks,
}

/// One secret in a block.
struct Hit {
    rule: usize,
    secret: Range<usize>,
}

#[derive(Debug, Default)]
struct Marks {
    folded: Vec<u8>,
    /// For rules that look around a keyword: up to where a block is looked at already.
    done: BTreeMap<usize, usize>,
    whole: BTreeSet<usize>,
}

impl Scanner {
    /// Makes rules ready.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let mut words: Vec<String> = rules.rules.iter().flat_map(|(rule, _)| rule.keywords.iter().cloned()).collect();
        words.sort_unstable();
        words.dedup();
        let with = |word: &String| {
            let all = rules.rules.iter().enumerate();
            all.filter(|(_, (rule, _))| rule.keywords.contains(word)).map(|(number, _)| number).collect()
        };
        let of_keyword = words.iter().map(with).collect();
        let numbered = rules.rules.iter().enumerate();
        let always = numbered.filter(|(_, (rule, _))| rule.keywords.is_empty()).map(|(number, _)| number).collect();
        Self {
            keywords: Keywords::new(&words),
            of_keyword,
            keyword_lengths: words.iter().map(String::len).collect(),
            always,
            allow: rules.allow,
            rules: rules.rules,
        }
    }

    /// Looks at one file, block by block. `path` is from the root of the repository or image.
    ///
    /// # Errors
    /// It could not be read.
    pub fn scan(
        &self,
        path: &str,
        mut file: impl Read,
        layer: Option<usize>,
        work: &mut Work,
    ) -> io::Result<Vec<Finding>> {
        work.files += 1;
        let mut findings = self.by_path(path, layer);
        if self.allow.iter().any(|allow| allow.lets_file(path)) {
            work.skipped += 1;
            return Ok(findings);
        }
        let Work { bytes, skipped, block, marks, .. } = work;
        block.clear();
        let (mut lines_before, mut kept) = (0_u64, 0_usize);
        let mut seen: BTreeSet<(String, String)> = BTreeSet::new();
        loop {
            if lines_before == 0 && kept == 0 {
                // Of what is no text the beginning is enough.
                *bytes += file.by_ref().take(SNIFF_BYTES as u64).read_to_end(block)? as u64;
                if is_binary(block) {
                    *skipped += 1;
                    return Ok(findings);
                }
            }
            let left = (BLOCK_BYTES - block.len()) as u64;
            if block.len() >= SNIFF_BYTES {
                *bytes += file.by_ref().take(left).read_to_end(block)? as u64;
            }
            let is_last = block.len() < BLOCK_BYTES;
            for hit in self.hits(path, block, marks) {
                if findings.len() >= FINDINGS_MAX {
                    return Ok(findings);
                }
                let finding = self.finding(path, block, &hit, lines_before, layer);
                // The overlap is looked at twice.
                let place = finding.place().map(|place| format!("{:?}:{:?}", place.line, place.column));
                if seen.insert((finding.id.clone(), place.unwrap_or_default())) {
                    findings.push(finding);
                }
            }
            if is_last {
                return Ok(findings);
            }
            let cut = block.len() - OVERLAP_BYTES;
            // Whole lines, so that columns stay right.
            let cut = memchr::memrchr(b'\n', &block[..cut]).map_or(cut, |at| at + 1);
            lines_before += memchr::memchr_iter(b'\n', &block[..cut]).count() as u64;
            block.drain(..cut);
            kept = block.len();
        }
    }

    /// What the path alone tells.
    fn by_path(&self, path: &str, layer: Option<usize>) -> Vec<Finding> {
        let tells = |(rule, of): &&(Rule, Option<regex::Regex>)| {
            matches!(rule.pattern, Pattern::Path) && of.as_ref().is_some_and(|of| of.is_match(path))
        };
        let found = self.rules.iter().filter(tells);
        let found = found.filter(|_| !self.allow.iter().any(|allow| allow.lets_file(path)));
        found.map(|(rule, _)| secret(rule, path, None, None, layer, rule.description.clone())).collect()
    }

    fn hits(&self, path: &str, text: &[u8], marks: &mut Marks) -> Vec<Hit> {
        let mut hits = Vec::new();
        marks.done.clear();
        marks.whole.clear();
        let Marks { folded, done, whole } = marks;
        self.keywords.find(text, folded, |keyword, at| {
            for number in &self.of_keyword[keyword] {
                let (rule, of) = &self.rules[*number];
                if of.as_ref().is_some_and(|of| !of.is_match(path)) {
                    continue;
                }
                let length = self.keyword_lengths[keyword];
                match &rule.pattern {
                    Pattern::Prefix(expression) => {
                        if is_inside_word(text, at) {
                            continue;
                        }
                        let end = (at + TOKEN_BYTES_MAX).min(text.len());
                        let found = expression.find(&text[at..end]).map(|found| at..at + found.end());
                        hits.extend(
                            found.filter(|found| is_ended(text, found.end)).map(|secret| Hit { rule: *number, secret }),
                        );
                    }
                    Pattern::Window { expression, bytes_max, group } => {
                        let done = done.entry(*number).or_default();
                        let from = at.saturating_sub(*bytes_max).max(*done);
                        let to = (at + length + bytes_max + 8).min(text.len());
                        let found = super::window::find(expression, *group, text, from..to);
                        *done = found.last().map_or(*done, |last| last.end);
                        hits.extend(found.into_iter().map(|secret| Hit { rule: *number, secret }));
                    }
                    Pattern::File { .. } => {
                        whole.insert(*number);
                    }
                    Pattern::Assignment => {
                        let found = generic::assigned(text, at, length);
                        hits.extend(found.map(|secret| Hit { rule: *number, secret }));
                    }
                    Pattern::Address => {
                        hits.extend(generic::in_address(text, at).map(|secret| Hit { rule: *number, secret }));
                    }
                    Pattern::Path => {}
                }
            }
        });
        for number in whole.iter().chain(&self.always) {
            let (rule, of) = &self.rules[*number];
            if let Pattern::File { expression, group } = &rule.pattern
                && of.as_ref().is_none_or(|of| of.is_match(path))
            {
                let found = super::window::find(expression, *group, text, 0..text.len());
                hits.extend(found.into_iter().map(|secret| Hit { rule: *number, secret }));
            }
        }
        self.chosen(path, text, hits)
    }

    /// Those that are not let pass; of several rules at one place the one with a format of its own.
    fn chosen(&self, path: &str, text: &[u8], mut hits: Vec<Hit>) -> Vec<Hit> {
        hits.retain(|hit| self.is_secret(path, text, hit));
        let is_generic = |rule: usize| matches!(self.rules[rule].0.pattern, Pattern::Assignment | Pattern::Address);
        hits.sort_by_key(|hit| (is_generic(hit.rule), hit.secret.start, hit.rule, hit.secret.end));
        let mut taken: Vec<Range<usize>> = Vec::new();
        hits.retain(|hit| {
            let overlaps = |other: &Range<usize>| hit.secret.start < other.end && other.start < hit.secret.end;
            let is_free = !taken.iter().any(overlaps);
            if is_free {
                taken.push(hit.secret.clone());
            }
            is_free
        });
        hits.sort_by_key(|hit| hit.secret.start);
        hits
    }

    fn is_secret(&self, path: &str, text: &[u8], hit: &Hit) -> bool {
        let rule = &self.rules[hit.rule].0;
        let secret = &text[hit.secret.clone()];
        if rule.entropy > 0.0 && generic::entropy(secret) < rule.entropy {
            return false;
        }
        let is_made_up = match rule.pattern {
            Pattern::Assignment | Pattern::Address => allow::is_placeholder(secret) || allow::is_shown(secret),
            Pattern::Prefix(_) | Pattern::Window { .. } => allow::is_shown(secret),
            Pattern::File { .. } | Pattern::Path => false,
        };
        let line = line(text, hit.secret.start);
        let is_let = |allow: &Allow| allow.lets(path, secret, secret, line);
        !is_made_up && !allow::is_marked(line) && !rule.allow.iter().chain(&self.allow).any(is_let)
    }

    fn finding(&self, path: &str, text: &[u8], hit: &Hit, lines_before: u64, layer: Option<usize>) -> Finding {
        let rule = &self.rules[hit.rule].0;
        let before = &text[..hit.secret.start];
        let line = lines_before + memchr::memchr_iter(b'\n', before).count() as u64 + 1;
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&text[line_start..hit.secret.start]).chars().count() + 1;
        let summary = format!("{}: {}", rule.description, hidden(&text[hit.secret.clone()]));
        let (line, column) = (u32::try_from(line).ok(), u32::try_from(column).ok());
        secret(rule, path, line, column, layer, summary)
    }
}

fn secret(
    rule: &Rule,
    path: &str,
    line: Option<u32>,
    column: Option<u32>,
    layer: Option<usize>,
    summary: String,
) -> Finding {
    let place = Place { file: path.to_owned(), line, end_line: None, column, layer };
    Finding::of_rule(Kind::Secret, &rule.id, summary, Subject::Place(place), rule.severity)
}

/// As much of a secret as tells it from others: its first characters and two bytes of its digest.
pub(super) fn hidden(secret: &[u8]) -> String {
    let shown = if secret.len() >= 20 { 4 } else { 0 };
    let begin = String::from_utf8_lossy(&secret[..shown]).into_owned();
    format!("{begin}… ({} characters, #{})", secret.len(), &crate::policy::digest(secret)[7..11])
}

fn is_binary(block: &[u8]) -> bool {
    memchr::memchr(0, &block[..block.len().min(SNIFF_BYTES)]).is_some()
}

/// Whether a token at this place would be the end of a longer word.
fn is_inside_word(text: &[u8], at: usize) -> bool {
    at > 0 && (text[at - 1].is_ascii_alphanumeric() || text[at - 1] == b'_')
}

fn is_ended(text: &[u8], at: usize) -> bool {
    !text.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// The line around a place, cut where it is very long.
fn line(text: &[u8], at: usize) -> &[u8] {
    let from = at.saturating_sub(LINE_BYTES_MAX);
    let to = (at + LINE_BYTES_MAX).min(text.len());
    let start = memchr::memrchr(b'\n', &text[from..at]).map_or(from, |found| from + found + 1);
    let end = memchr::memchr(b'\n', &text[at..to]).map_or(to, |found| at + found);
    &text[start..end]
}
