//! What a user did wrong: where, what is wrong, what to do about it, and a code to look up.
//!
//! One root cause gives one diagnostic. A diagnostic says nothing about how it is shown; the terminal, JSON, SARIF and
//! the web page each have their own form.

use crate::source::Span;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The workflow cannot run.
    Error,
    /// It runs, but likely not as meant.
    Warning,
    /// Good to know.
    Note,
}

/// A stable code, `P` and four digits, that `pipe explain` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Code(pub &'static str);

/// One finding in a user's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code, such as `P0103`.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// Where; `None` when it concerns a file as a whole (named in the message) or no file.
    pub span: Option<Span>,
    /// A few words shown beside the marker, such as ``did you mean `runs-on`?``.
    pub label: Option<String>,
    /// What to do.
    pub help: Option<String>,
    /// Other places that matter, each with a few words.
    pub related: Vec<(Span, String)>,
    /// What GitHub says about it, where it refuses the file for this.
    pub github: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: Code, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, span, message)
    }

    /// A warning at a place.
    pub fn warning(code: Code, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, span, message)
    }

    /// Any severity.
    pub fn new(code: Code, severity: Severity, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            message: message.into(),
            span: span.into(),
            label: None,
            help: None,
            related: Vec::new(),
            github: None,
        }
    }

    /// Adds the words beside the marker.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a question for the one that was likely meant, if there is one.
    #[must_use]
    pub fn did_you_mean(self, meant: Option<&str>) -> Self {
        match meant {
            Some(meant) => self.help(format!("did you mean `{meant}`?")),
            None => self,
        }
    }

    /// Adds another place.
    #[must_use]
    pub fn related(mut self, span: Span, words: impl Into<String>) -> Self {
        self.related.push((span, words.into()));
        self
    }

    /// Whether it keeps the workflow from running.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The candidate nearest to `word`, if one is near enough to be what was meant: an edit distance (with transpositions)
/// of at most 2, or a third of the longer word's length. Case and `-`/`_` differences count as nothing.
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(word);
    candidates
        .into_iter()
        .filter(|candidate| *candidate != word)
        .map(|candidate| (strsim::damerau_levenshtein(&folded, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| {
            let length = folded.chars().count().max(candidate.chars().count());
            *distance <= (length / 3).clamp(1, 4).max(usize::from(length > 3) * 2) && *distance < length
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn fold(word: &str) -> String {
    word.chars().filter(|c| *c != '-' && *c != '_').flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_near_or_absent() {
        let jobs = ["build", "test", "deploy-production", "lint"];
        for (word, expected) in [
            ("biuld", Some("build")),
            ("tset", Some("test")),
            ("Build", Some("build")),
            ("deploy_production", Some("deploy-production")),
            ("deployproductoin", Some("deploy-production")),
            ("zzz", None),
            ("x", None),
            ("completely-else", None),
        ] {
            assert_eq!(suggest(word, jobs), expected, "{word}");
        }
    }
}
