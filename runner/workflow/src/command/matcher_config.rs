//! Problem matcher files: JSON, checked.
//!
//! Keys that only editors use are ignored. Texts of errors are GitHub's.

use regex::Regex;
use serde_json::{Map, Value};

use super::matcher_regex;

/// Matchers in one file, and patterns in one matcher; GitHub has no bound.
const MATCHERS_MAX: usize = 100;

/// Why a matcher file cannot be used; the step that named it fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// The file is no JSON.
    #[error("the problem matcher file is not valid JSON: {0}")]
    Json(String),
    /// A key has a value of another kind.
    #[error("the problem matcher file needs {expected} at '{key}'")]
    Kind { key: &'static str, expected: &'static str },
    /// A rule for matchers is broken.
    #[error("{0}")]
    Rule(String),
}

/// A matcher that is valid, but with a regular expression that we cannot run. Its problems will not be annotated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("problem matcher '{owner}' is ignored: {reason} in the regular expression '{pattern}'")]
pub struct SkippedMatcher {
    /// Whose matcher it is.
    pub owner: String,
    /// The expression as written.
    pub pattern: String,
    /// What about it is not supported.
    pub reason: String,
}

#[derive(Clone, Debug)]
pub(super) struct MatcherConfig {
    pub(super) owner: String,
    pub(super) severity: String,
    pub(super) from_path: String,
    pub(super) patterns: Vec<PatternConfig>,
}

/// Which group of the expression holds what.
#[derive(Clone, Debug)]
pub(super) struct PatternConfig {
    expression: String,
    pub(super) file: Option<usize>,
    pub(super) line: Option<usize>,
    pub(super) column: Option<usize>,
    pub(super) severity: Option<usize>,
    pub(super) code: Option<usize>,
    pub(super) message: Option<usize>,
    pub(super) from_path: Option<usize>,
    /// `loop`: the pattern may match on many lines, each an annotation.
    pub(super) repeats: bool,
}

type Compiled = (MatcherConfig, Vec<Regex>);

/// Reads a file: the matchers with their expressions, and those that cannot run.
pub(super) fn parse_matchers(json: &[u8]) -> Result<(Vec<Compiled>, Vec<SkippedMatcher>), MatcherError> {
    let json = json.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(json);
    let root: Value = serde_json::from_slice(json).map_err(|error| MatcherError::Json(error.to_string()))?;
    let object =
        |value: &Value, key| value.as_object().cloned().ok_or(MatcherError::Kind { key, expected: "an object" });
    let (mut compiled, mut skipped, mut owners) = (Vec::new(), Vec::new(), Vec::<String>::new());
    for matcher in list(&object(&root, "problemMatcher")?, "problemMatcher")? {
        let matcher = object(&matcher, "problemMatcher")?;
        let patterns = list(&matcher, "pattern")?;
        let config = MatcherConfig {
            owner: text(&matcher, "owner")?,
            severity: text(&matcher, "severity")?,
            from_path: text(&matcher, "fromPath")?,
            patterns: patterns.iter().map(|p| pattern(&object(p, "pattern")?)).collect::<Result<_, _>>()?,
        };
        let expressions = check(&config)?;
        if owners.iter().any(|owner| owner.eq_ignore_ascii_case(&config.owner)) {
            return Err(MatcherError::Rule(format!("Duplicate owner name '{}'", config.owner)));
        }
        owners.push(config.owner.clone());
        match expressions {
            Ok(expressions) => compiled.push((config, expressions)),
            Err(reason) => skipped.push(reason),
        }
    }
    Ok((compiled, skipped))
}

fn list(object: &Map<String, Value>, key: &'static str) -> Result<Vec<Value>, MatcherError> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) if list.len() <= MATCHERS_MAX => Ok(list.clone()),
        Some(_) => Err(MatcherError::Kind { key, expected: "a list of at most 100 objects" }),
    }
}

fn text(object: &Map<String, Value>, key: &'static str) -> Result<String, MatcherError> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(MatcherError::Kind { key, expected: "a string" }),
    }
}

/// A group: 0 and up. A number in quotes counts too, as for GitHub's JSON reader.
fn group(object: &Map<String, Value>, key: &'static str) -> Result<Option<usize>, MatcherError> {
    let number = match object.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    let number = number.ok_or(MatcherError::Kind { key, expected: "an integer" })?;
    let out_of_range = || MatcherError::Rule(format!("The property '{key}' is set to {number} which is out of range"));
    usize::try_from(number).map(Some).map_err(|_| out_of_range())
}

fn pattern(object: &Map<String, Value>) -> Result<PatternConfig, MatcherError> {
    Ok(PatternConfig {
        expression: text(object, "regexp")?,
        file: group(object, "file")?,
        line: group(object, "line")?,
        column: group(object, "column")?,
        severity: group(object, "severity")?,
        code: group(object, "code")?,
        message: group(object, "message")?,
        from_path: group(object, "fromPath")?,
        repeats: match object.get("loop") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(repeats)) => *repeats,
            Some(_) => return Err(MatcherError::Kind { key: "loop", expected: "true or false" }),
        },
    })
}

/// The rules for one matcher. The inner error is an expression that cannot run, which breaks no rule.
fn check(config: &MatcherConfig) -> Result<Result<Vec<Regex>, SkippedMatcher>, MatcherError> {
    let owner = &config.owner;
    let rule = |text: String| Err(MatcherError::Rule(text));
    if owner.is_empty() {
        return rule("Owner must not be empty".to_owned());
    }
    if !["", "error", "warning", "notice"].contains(&config.severity.to_ascii_lowercase().as_str()) {
        return rule(format!("Matcher '{owner}' contains unexpected default severity '{}'", config.severity));
    }
    if config.patterns.is_empty() {
        return rule(format!("Matcher '{owner}' does not contain any patterns"));
    }
    let mut expressions = Ok(Vec::new());
    let mut set: Vec<&str> = Vec::new();
    for (index, pattern) in config.patterns.iter().enumerate() {
        if pattern.repeats && (index == 0 || index + 1 < config.patterns.len()) {
            return rule("Only the last pattern in a multiline matcher may set 'loop'".to_owned());
        }
        if pattern.repeats && pattern.message.is_none() {
            return rule("The loop pattern must set 'message'".to_owned());
        }
        let mut groups = usize::MAX;
        match matcher_regex::compile(&pattern.expression) {
            Ok(expression) => {
                groups = expression.captures_len();
                expressions = expressions.map(|mut all: Vec<Regex>| {
                    all.push(expression);
                    all
                });
            }
            Err(reason) => {
                let (owner, pattern) = (owner.clone(), pattern.expression.clone());
                expressions = Err(SkippedMatcher { owner, pattern, reason });
            }
        }
        for (key, group) in pattern.groups() {
            let Some(group) = group else { continue };
            if set.contains(&key) {
                return rule(format!("The property '{key}' is set twice"));
            }
            if group >= groups {
                return rule(format!("The property '{key}' is set to {group} which is out of range"));
            }
            set.push(key);
        }
    }
    if !set.contains(&"message") {
        return rule("At least one pattern must set 'message'".to_owned());
    }
    Ok(expressions)
}

impl PatternConfig {
    fn groups(&self) -> [(&'static str, Option<usize>); 7] {
        [
            ("file", self.file),
            ("line", self.line),
            ("column", self.column),
            ("severity", self.severity),
            ("code", self.code),
            ("message", self.message),
            ("fromPath", self.from_path),
        ]
    }
}
