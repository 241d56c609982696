//! Rules as gitleaks has them, for people who have tuned theirs: `gitleaks.toml`.
//!
//! `[extend] useDefault` means our own rules here, since those of gitleaks are not part of pipe. Follows
//! <https://github.com/gitleaks/gitleaks#configuration>.

use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

use super::{Allow, Pattern, Rule, Rules, Target, window};
use crate::finding::Severity;

/// Longest file that is read.
const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Largest compiled expression: gitleaks' own longest take less.
const EXPRESSION_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the file is longer than {FILE_BYTES_MAX} bytes")]
    TooLong,
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    #[error("the rule `{rule}`: {reason}")]
    Rule { rule: String, reason: String },
    #[error("an allow-list: {0}")]
    Allow(String),
    #[error("`extend.path` and `extend.url` are not followed; put the rules into one file")]
    Extend,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    extend: Extend,
    #[serde(default)]
    rules: Vec<Row>,
    allowlist: Option<List>,
    #[serde(default)]
    allowlists: Vec<List>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extend {
    #[serde(default)]
    use_default: bool,
    path: Option<String>,
    url: Option<String>,
    #[serde(default)]
    disabled_rules: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    #[serde(default)]
    description: String,
    regex: Option<String>,
    path: Option<String>,
    #[serde(default)]
    secret_group: usize,
    #[serde(default)]
    entropy: f64,
    #[serde(default)]
    keywords: Vec<String>,
    allowlist: Option<List>,
    #[serde(default)]
    allowlists: Vec<List>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    #[serde(default)]
    condition: String,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    regexes: Vec<String>,
    #[serde(default)]
    regex_target: String,
    #[serde(default)]
    stopwords: Vec<String>,
    /// Only of these rules, where the list is one for all.
    #[serde(default)]
    target_rules: Vec<String>,
}

/// Reads a `gitleaks.toml`.
///
/// # Errors
/// [`ConfigError`]
pub fn read(text: &str) -> Result<Rules, ConfigError> {
    if text.len() > FILE_BYTES_MAX {
        return Err(ConfigError::TooLong);
    }
    let file: File = toml::from_str(text)?;
    if file.extend.path.is_some() || file.extend.url.is_some() {
        return Err(ConfigError::Extend);
    }
    let mut rules = if file.extend.use_default { Rules::built_in() } else { Rules::default() };
    rules.rules.retain(|(rule, _)| !file.extend.disabled_rules.contains(&rule.id));
    for row in file.rules {
        let rule = rule(row)?;
        rules.rules.retain(|(known, _)| known.id != rule.0.id);
        rules.rules.push(rule);
    }
    for list in file.allowlist.into_iter().chain(file.allowlists) {
        let targets = list.target_rules.clone();
        let list = allow(list).map_err(ConfigError::Allow)?;
        if targets.is_empty() {
            rules.allow.push(list);
            continue;
        }
        let of = rules.rules.iter_mut().filter(|(rule, _)| targets.contains(&rule.id));
        of.for_each(|(rule, _)| rule.allow.push(list.clone()));
    }
    Ok(rules)
}

fn rule(row: Row) -> Result<(Rule, Option<regex::Regex>), ConfigError> {
    let wrong = |reason: String| ConfigError::Rule { rule: row.id.clone(), reason };
    let keywords: Vec<String> = row.keywords.iter().map(|word| word.to_ascii_lowercase()).collect();
    let path = row.path.as_deref().map(regex::Regex::new).transpose().map_err(|error| wrong(error.to_string()))?;
    let pattern = match &row.regex {
        Some(expression) => {
            let compiled = compile(expression).map_err(&wrong)?;
            if row.secret_group >= compiled.captures_len() {
                return Err(wrong(format!("its expression has no group {}", row.secret_group)));
            }
            match window::bound(expression, &keywords) {
                Some(bytes_max) => Pattern::Window { expression: compiled, bytes_max, group: row.secret_group },
                None => Pattern::File { expression: compiled, group: row.secret_group },
            }
        }
        None if path.is_some() => Pattern::Path,
        None => return Err(wrong("it has neither `regex` nor `path`".to_owned())),
    };
    let lists = row.allowlist.into_iter().chain(row.allowlists);
    let lists: Result<Vec<Allow>, String> = lists.map(allow).collect();
    let allow = lists.map_err(|reason| ConfigError::Rule { rule: row.id.clone(), reason })?;
    let description = if row.description.is_empty() { row.id.clone() } else { row.description };
    let (id, entropy) = (row.id, row.entropy);
    Ok((Rule { id, description, severity: Severity::High, keywords, pattern, entropy, allow }, path))
}

fn compile(expression: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(expression).size_limit(EXPRESSION_BYTES_MAX).unicode(false).build();
    // What needs Unicode (`\p{…}`) gets it.
    let built = built.or_else(|_| RegexBuilder::new(expression).size_limit(EXPRESSION_BYTES_MAX).build());
    built.map_err(|error| error.to_string())
}

fn allow(list: List) -> Result<Allow, String> {
    let paths: Result<Vec<_>, _> = list.paths.iter().map(|path| regex::Regex::new(path)).collect();
    let expressions: Result<Vec<_>, _> = list.regexes.iter().map(|one| compile(one)).collect();
    Ok(Allow {
        paths: paths.map_err(|error| error.to_string())?,
        expressions: expressions?,
        target: match list.regex_target.as_str() {
            "" | "secret" => Target::Secret,
            "match" => Target::Match,
            "line" => Target::Line,
            other => return Err(format!("`regexTarget` cannot be `{other}`: it is secret, match or line")),
        },
        stop_words: list.stopwords.iter().map(|word| word.to_ascii_lowercase()).collect(),
        all: match list.condition.to_ascii_uppercase().as_str() {
            "" | "OR" | "||" => false,
            "AND" | "&&" => true,
            other => return Err(format!("`condition` cannot be `{other}`: it is AND or OR")),
        },
    })
}
