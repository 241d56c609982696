//! From a policy file to a [`Policy`], or to everything that is wrong with it, with places and suggestions.
//!
//! A key that is not known is refused: a slip in a gate must not open it. Durations, thresholds and exceptions have their
//! own readers beside this one.

use workflow::diagnostic::{Code, Diagnostic, suggest};
use workflow::source::{FileId, SourceFile, Span};

use super::model::{BaselineMode, BaselineRule, CoverageRule, DATABASE_AGE_MAX, Pattern, Policy, Stance, Threshold};
use super::{ignore, terms};
use crate::finding::{Severity, SeveritySource};
use crate::yaml::{Entry, Node, Value};

/// A policy says something that cannot be followed.
pub(super) const POLICY: Code = Code("P0802");

const GATE_KEYS: [&str; 12] = [
    "fail-on",
    "only-fixed",
    "unknown-severity",
    "grace",
    "baseline",
    "base-image",
    "db-max-age",
    "severity-source",
    "ignore",
    "vex",
    "coverage",
    "description",
];

/// Reads a policy. Spans of problems are in file 0, which is `file`.
///
/// # Errors
/// All problems of the file, in its order.
pub fn read(file: &SourceFile) -> Result<Policy, Vec<Diagnostic>> {
    let mut reader = Reader { file, problems: Vec::new() };
    let policy = match crate::yaml::read(file.text(), FileId(0)) {
        Ok(root) => reader.document(&root),
        Err(problem) => {
            reader.problems.push(*problem);
            Policy::built_in()
        }
    };
    if reader.problems.is_empty() {
        return Ok(policy);
    }
    reader.problems.sort_by_key(|problem| problem.span.map_or(0, |span| span.start));
    Err(reader.problems)
}

/// What is being read, and what is wrong with it so far.
pub(super) struct Reader<'a> {
    pub(super) file: &'a SourceFile,
    pub(super) problems: Vec<Diagnostic>,
}

impl Reader<'_> {
    pub(super) fn problem(&mut self, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.problems.push(Diagnostic::error(POLICY, span, message));
        self.problems.last_mut().expect("it was pushed right now")
    }

    pub(super) fn helped(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.problem(span, message).help = Some(help.into());
    }

    /// The line of a place, from 1.
    pub(super) fn line(&self, span: Span) -> u32 {
        self.file.position(span.start).line
    }

    /// The entries of a mapping whose keys are all known; others are named.
    pub(super) fn map<'n>(&mut self, node: &'n Node, what: &str, known: &[&str]) -> &'n [Entry] {
        let Value::Map(entries) = &node.value else {
            self.problem(node.span, format!("{what} has to be a mapping and is {}", node.kind()));
            return &[];
        };
        for entry in entries.iter().filter(|entry| !known.contains(&&*entry.key)) {
            let message = format!("{what} has no key `{}`", entry.key);
            let help = match suggest(&entry.key, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("its keys are {}", known.join(", ")),
            };
            self.helped(entry.key_span, message, help);
        }
        entries
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        match node.words().map(str::trim) {
            Some(words) if !words.is_empty() => Some(words.to_owned()),
            Some(_) => {
                self.problem(node.span, format!("{what} is empty"));
                None
            }
            None => {
                self.problem(node.span, format!("{what} has to be a text and is {}", node.kind()));
                None
            }
        }
    }

    /// One of some words; another is named, with the nearest.
    pub(super) fn word<T: Copy>(&mut self, node: &Node, what: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, what)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| text.eq_ignore_ascii_case(word)) {
            return Some(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let help = match suggest(&text, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("it is one of {}", known.join(", ")),
        };
        self.helped(node.span, format!("{what} cannot be `{text}`"), help);
        None
    }

    fn document(&mut self, root: &Node) -> Policy {
        let mut policy = Policy::built_in();
        policy.name = self.file.name().to_owned();
        policy.digest = super::digest(self.file.text().as_bytes());
        if matches!(root.value, Value::Null) {
            self.helped(root.span, "the policy is empty", "begin with `gate:`, and `fail-on: critical` below it");
            return policy;
        }
        let entries = self.map(root, "a policy", &["gate"]);
        match entries.iter().find(|entry| &*entry.key == "gate") {
            Some(gate) => self.gate(&gate.value, &mut policy),
            None if matches!(root.value, Value::Map(_)) => {
                self.helped(root.span, "a policy needs the key `gate`", "put what is here below `gate:`");
            }
            None => {}
        }
        policy
    }

    fn gate(&mut self, node: &Node, policy: &mut Policy) {
        let entries = self.map(node, "`gate`", &GATE_KEYS);
        if matches!(node.value, Value::Map(_)) && !entries.iter().any(|entry| &*entry.key == "fail-on") {
            let help = "say `fail-on: critical`, or `fail-on: none` for a gate that only reports";
            self.helped(node.span, "`gate` does not say what fails", help);
        }
        for entry in entries {
            let value = &entry.value;
            match &*entry.key {
                "fail-on" => policy.fail_on = self.fail_on(value),
                "only-fixed" => policy.only_fixed = self.boolean(value, "`only-fixed`"),
                "unknown-severity" => policy.unknown_severity = self.stance(value, "`unknown-severity`"),
                "grace" => policy.grace = self.grace(value),
                "baseline" => self.baseline(value, policy),
                "base-image" => policy.base_image = self.stance(value, "`base-image`"),
                "db-max-age" => {
                    policy.database_age_max = terms::duration(self, value, "`db-max-age`").unwrap_or(DATABASE_AGE_MAX);
                }
                "severity-source" => policy.severity_sources = self.severity_sources(value),
                "ignore" => policy.ignores = ignore::list(self, value),
                "vex" => policy.vex = self.patterns(value),
                "coverage" => policy.coverage = Some(self.coverage(value)),
                // `description` is for people; what is unknown was named above.
                _ => {}
            }
        }
    }

    /// The items of a list, or the value itself where one was written without the list.
    fn items(node: &Node) -> &[Node] {
        match &node.value {
            Value::List(items) => items,
            Value::Null | Value::Boolean(_) | Value::Number(..) | Value::Text(_) | Value::Map(_) => {
                std::slice::from_ref(node)
            }
        }
    }

    fn fail_on(&mut self, node: &Node) -> Vec<Threshold> {
        let items = Self::items(node);
        if items.is_empty() {
            self.helped(node.span, "`fail-on` is empty", "write `none` for a gate that only reports");
        }
        if let [only] = items
            && only.words().is_some_and(|words| words.eq_ignore_ascii_case("none"))
        {
            return Vec::new();
        }
        items.iter().filter_map(|item| terms::threshold(self, item)).collect()
    }

    fn boolean(&mut self, node: &Node, what: &str) -> bool {
        if let Value::Boolean(value) = node.value {
            return value;
        }
        self.problem(node.span, format!("{what} has to be true or false and is {}", node.kind()));
        false
    }

    fn stance(&mut self, node: &Node, what: &str) -> Stance {
        let words = [("fail", Stance::Fail), ("warn", Stance::Warn), ("pass", Stance::Pass)];
        self.word(node, what, &words).unwrap_or(Stance::Fail)
    }

    fn grace(&mut self, node: &Node) -> Vec<(Severity, jiff::SignedDuration)> {
        let names = Severity::ALL.map(Severity::as_str);
        let mut grace = Vec::new();
        for entry in self.map(node, "`grace`", &names) {
            let Some(severity) = Severity::ALL.into_iter().find(|severity| severity.as_str() == &*entry.key) else {
                continue;
            };
            let what = format!("the grace of {severity} findings");
            if let Some(time) = terms::duration(self, &entry.value, &what) {
                grace.push((severity, time));
            }
        }
        grace
    }

    fn baseline(&mut self, node: &Node, policy: &mut Policy) {
        let entries = self.map(node, "`baseline`", &["image", "mode", "base-image"]);
        let mut rule = BaselineRule { image: String::new(), mode: BaselineMode::OnlyNew };
        for entry in entries {
            match &*entry.key {
                "image" => rule.image = self.text(&entry.value, "`image`").unwrap_or_default(),
                "mode" => {
                    let words = [("only-new", BaselineMode::OnlyNew), ("show", BaselineMode::Show)];
                    rule.mode = self.word(&entry.value, "`mode`", &words).unwrap_or(rule.mode);
                }
                "base-image" => policy.base_image = self.stance(&entry.value, "`base-image`"),
                _ => {}
            }
        }
        let has = |key: &str| entries.iter().any(|entry| &*entry.key == key);
        if has("image") {
            policy.baseline = Some(rule);
        } else if matches!(node.value, Value::Map(_)) && (has("mode") || !has("base-image")) {
            let help = "name the environment or the digest to compare with: `image: production`";
            self.helped(node.span, "`baseline` does not say with what to compare", help);
        }
    }

    fn severity_sources(&mut self, node: &Node) -> Vec<SeveritySource> {
        let words = [("vendor", SeveritySource::Vendor), ("nvd", SeveritySource::Nvd), ("cvss", SeveritySource::Cvss)];
        let what = "a source of severities";
        let found: Vec<_> = Self::items(node).iter().filter_map(|item| self.word(item, what, &words)).collect();
        if found.is_empty() && self.problems.is_empty() {
            self.helped(node.span, "`severity-source` is empty", "say `[vendor, nvd]`");
        }
        found
    }

    fn patterns(&mut self, node: &Node) -> Vec<Pattern> {
        let mut patterns = Vec::new();
        for item in Self::items(node) {
            if let Some(text) = self.text(item, "a pattern of VEX files") {
                if text.starts_with('/') || text.split('/').any(|part| part == "..") {
                    self.problem(item.span, format!("`{text}` leaves the policy's folder"));
                }
                patterns.push(Pattern { text, line: self.line(item.span) });
            }
        }
        patterns
    }

    fn coverage(&mut self, node: &Node) -> CoverageRule {
        let mut rule = CoverageRule { lines: None, branches: None, each_file: None };
        if let Value::Number(number, _) = &node.value {
            rule.lines = self.percent(node, *number);
            return rule;
        }
        for entry in self.map(node, "`coverage`", &["lines", "branches", "each-file"]) {
            let Value::Number(number, _) = &entry.value.value else {
                let message = format!("`{}` has to be a number of percent and is {}", entry.key, entry.value.kind());
                self.problem(entry.value.span, message);
                continue;
            };
            let percent = self.percent(&entry.value, *number);
            match &*entry.key {
                "lines" => rule.lines = percent,
                "branches" => rule.branches = percent,
                "each-file" => rule.each_file = percent,
                _ => {}
            }
        }
        rule
    }

    fn percent(&mut self, node: &Node, number: f64) -> Option<f64> {
        if (0.0..=100.0).contains(&number) {
            return Some(number);
        }
        self.problem(node.span, format!("{number} is no share: it is from 0 to 100"));
        None
    }
}
