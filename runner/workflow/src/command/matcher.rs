//! Problem matchers: regular expressions that turn lines of a tool's output into annotations.
//!
//! It matches text; whether a path exists and lies in the repository is checked by the engine. Follows
//! <https://github.com/actions/toolkit/blob/main/docs/problem-matchers.md> and the `IssueMatcher` of actions/runner.

use std::borrow::Cow;

use regex::{Captures, Regex};

use super::annotation::{Annotation, AnnotationLevel};
use super::matcher_config::{MatcherConfig, PatternConfig, parse_matchers};

pub use super::matcher_config::{MatcherError, SkippedMatcher};

/// All matchers of a job, the one added last first.
#[derive(Clone, Debug, Default)]
pub struct MatcherSet {
    matchers: Vec<Matcher>,
    /// Owners that were removed: for built-in finders, which nobody added.
    removed: Vec<String>,
}

/// A line that a matcher turned into an annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// Its file is as the tool printed it, below the directory of `fromPath` if the matcher has one.
    pub annotation: Annotation,
    /// The line to show for it in the log, without colours.
    pub shown: String,
}

#[derive(Clone, Debug)]
struct Matcher {
    config: MatcherConfig,
    expressions: Vec<Regex>,
    /// What the patterns but the last have found on the lines before.
    running: Vec<Option<Found>>,
}

/// The texts that the patterns of a matcher have captured so far.
#[derive(Clone, Debug, Default)]
struct Found {
    file: Option<String>,
    line: Option<String>,
    column: Option<String>,
    severity: Option<String>,
    code: Option<String>,
    message: Option<String>,
    from_path: Option<String>,
}

impl MatcherSet {
    /// No matchers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether no line needs to be looked at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.matchers.is_empty()
    }

    /// Adds the matchers of a file; one with the owner of an existing one replaces it. Matchers that need a regular
    /// expression of a kind that we do not have are left out and returned, to be warned about.
    pub fn add(&mut self, json: &[u8]) -> Result<Vec<SkippedMatcher>, MatcherError> {
        let (configs, skipped) = parse_matchers(json)?;
        for (config, _) in &configs {
            self.remove_owner(&config.owner);
        }
        let added = configs.into_iter().map(|(config, expressions)| {
            let running = vec![None; expressions.len() - 1];
            Matcher { config, expressions, running }
        });
        self.matchers.splice(..0, added);
        Ok(skipped)
    }

    /// Removes the matcher of this owner, if there is one.
    pub fn remove_owner(&mut self, owner: &str) {
        self.matchers.retain(|matcher| !matcher.config.owner.eq_ignore_ascii_case(owner));
        self.removed.push(owner.to_ascii_lowercase());
    }

    /// Removes all matchers whose owners a file names.
    pub fn remove_file(&mut self, json: &[u8]) -> Result<(), MatcherError> {
        let (configs, skipped) = parse_matchers(json)?;
        configs.iter().for_each(|(config, _)| self.remove_owner(&config.owner));
        skipped.iter().for_each(|skipped| self.remove_owner(&skipped.owner));
        Ok(())
    }

    /// Whether problems of this tool are found without a matcher: not once there are matchers of the job's own, nor where
    /// one of this owner was removed.
    #[must_use]
    pub fn leaves(&self, owner: &str) -> bool {
        self.matchers.is_empty() && !self.removed.iter().any(|removed| removed == owner)
    }

    /// Forgets lines seen so far; to be called where a step begins.
    pub fn reset(&mut self) {
        self.matchers.iter_mut().for_each(Matcher::reset);
    }

    /// Takes a line of ordinary output. The first matcher that makes an annotation of it wins.
    pub fn feed(&mut self, line: &str) -> Option<Matched> {
        if self.matchers.is_empty() {
            return None;
        }
        let stripped = strip_colours(line);
        for index in 0..self.matchers.len() {
            let Some(found) = self.matchers[index].feed(&stripped) else { continue };
            for (_, other) in self.matchers.iter_mut().enumerate().filter(|(other, _)| *other != index) {
                other.reset();
            }
            if let Some(annotation) = found.annotation() {
                return Some(Matched { annotation, shown: stripped.into_owned() });
            }
        }
        None
    }
}

impl Matcher {
    fn reset(&mut self) {
        self.running.fill(None);
    }

    fn feed(&mut self, line: &str) -> Option<Found> {
        let last = self.expressions.len() - 1;
        // From the last pattern back, so that one line cannot satisfy two patterns that follow each other.
        for index in (0..=last).rev() {
            let before = if index == 0 { None } else { self.running[index - 1].clone() };
            if index > 0 && before.is_none() {
                continue;
            }
            let captures = self.expressions[index].captures(line);
            let pattern = &self.config.patterns[index];
            if index < last {
                self.running[index] = captures.map(|captures| Found::new(before, pattern, &captures));
                continue;
            }
            let Some(captures) = captures else {
                if index > 0 {
                    self.running[index - 1] = None;
                }
                continue;
            };
            let mut found = Found::new(before.clone(), pattern, &captures);
            let repeats = pattern.repeats;
            self.reset();
            if repeats {
                self.running[index - 1] = before;
            }
            let default = |text: &mut Option<String>, default: &str| {
                if text.as_deref().unwrap_or_default().is_empty() && !default.is_empty() {
                    *text = Some(default.to_owned());
                }
            };
            default(&mut found.severity, &self.config.severity);
            default(&mut found.from_path, &self.config.from_path);
            return Some(found);
        }
        None
    }
}

impl Found {
    fn new(before: Option<Self>, pattern: &PatternConfig, captures: &Captures<'_>) -> Self {
        let before = before.unwrap_or_default();
        let text = |found: Option<String>, group: Option<usize>| {
            found.or_else(|| group.map(|group| captures.get(group).map_or("", |text| text.as_str()).to_owned()))
        };
        Self {
            file: text(before.file, pattern.file),
            line: text(before.line, pattern.line),
            column: text(before.column, pattern.column),
            severity: text(before.severity, pattern.severity),
            code: text(before.code, pattern.code),
            message: text(before.message, pattern.message),
            from_path: text(before.from_path, pattern.from_path),
        }
    }

    /// `None` without a message or with a severity that does not exist.
    fn annotation(self) -> Option<Annotation> {
        let level = match self.severity.unwrap_or_default().to_ascii_lowercase().as_str() {
            "" | "error" => AnnotationLevel::Error,
            "warning" => AnnotationLevel::Warning,
            "notice" => AnnotationLevel::Notice,
            _ => return None,
        };
        let filled = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        // Digits only, as for GitHub: no sign, no space.
        let number = |text: Option<String>| {
            text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit())).and_then(|text| text.parse().ok())
        };
        let mut annotation = Annotation::new(level, filled(self.message)?);
        annotation.line = number(self.line);
        annotation.column = number(self.column);
        annotation.code = filled(self.code).map(|code| code.trim().to_owned());
        annotation.file = filled(self.file).map(|file| match filled(self.from_path) {
            Some(from) if !file.starts_with('/') => match from.rsplit_once('/') {
                Some((directory, _)) => format!("{directory}/{file}"),
                None => file,
            },
            Some(_) | None => file,
        });
        Some(annotation)
    }
}

/// The text without `ESC [ digits m`, as GitHub's runner strips it.
#[must_use]
pub fn strip_colours(line: &str) -> Cow<'_, str> {
    if !line.contains("\u{1b}[") {
        return Cow::Borrowed(line);
    }
    let mut parts = line.split("\u{1b}[");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let text = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        out.push_str(text.strip_prefix('m').unwrap_or(text));
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
