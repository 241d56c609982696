//! What is no secret although it looks like one: examples of documentation, placeholders, files of digests.

use regex::bytes::Regex;

use super::{Allow, Target};

/// Marks in a line by which a person lets it pass.
const MARKS: [&[u8]; 2] = [b"pipe:allow-secret", b"gitleaks:allow"];
/// In lower case: whatever has one of these in it was made to be read.
const PLACEHOLDERS: [&str; 24] = [
    "example",
    "changeme",
    "change-me",
    "change_me",
    "placeholder",
    "dummy",
    "your_",
    "your-",
    "yourpass",
    "xxxx",
    "redacted",
    "sample",
    "insert",
    "replace",
    "fake",
    "not-a-real",
    "notreal",
    "secret_here",
    "password_here",
    "todo",
    "0123456789",
    "123456",
    "abcdef",
    "test",
];

/// Files whose contents are digests, pictures or generated.
const PATHS: &str = r"(?i)(^|/)(go\.sum|package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|poetry\.lock|uv\.lock|Pipfile\.lock|Cargo\.lock|Gemfile\.lock|composer\.lock|gradle\.lockfile|\.git/.*)$|\.(svg|png|jpe?g|gif|ico|woff2?|ttf|eot|pdf|map|min\.(js|css))$";

pub(super) fn built_in() -> Allow {
    Allow { paths: vec![regex::Regex::new(PATHS).expect("it is a constant")], ..Allow::default() }
}

/// Whether a text was made to be read: for generic rules, whose findings may be anything.
pub(super) fn is_placeholder(secret: &[u8]) -> bool {
    let lower = String::from_utf8_lossy(secret).to_ascii_lowercase();
    let is_one = PLACEHOLDERS.iter().any(|word| lower.contains(word));
    is_one || lower.contains("${") || lower.contains("{{") || lower.starts_with(['<', '$', '%', '@', '*'])
}

/// Whether a token is one that documentation shows (`AKIAIOSFODNN7EXAMPLE`), or one character over and over.
pub(super) fn is_shown(secret: &[u8]) -> bool {
    let upper = secret.to_ascii_uppercase();
    let most = secret.iter().map(|byte| secret.iter().filter(|other| *other == byte).count()).max().unwrap_or(0);
    memchr::memmem::find(&upper, b"EXAMPLE").is_some() || secret.len() >= 8 && most * 10 >= secret.len() * 6
}

/// Whether somebody marked the line.
pub(super) fn is_marked(line: &[u8]) -> bool {
    MARKS.iter().any(|mark| memchr::memmem::find(line, mark).is_some())
}

impl Allow {
    /// Whether a file is let pass as a whole.
    pub(super) fn lets_file(&self, path: &str) -> bool {
        let is_alone = self.expressions.is_empty() && self.stop_words.is_empty();
        (is_alone || !self.all) && self.paths.iter().any(|expression| expression.is_match(path))
    }

    /// Whether a finding is let pass.
    pub(super) fn lets(&self, path: &str, secret: &[u8], matched: &[u8], line: &[u8]) -> bool {
        let text = match self.target {
            Target::Secret => secret,
            Target::Match => matched,
            Target::Line => line,
        };
        let lower = secret.to_ascii_lowercase();
        let has = |word: &String| memchr::memmem::find(&lower, word.as_bytes()).is_some();
        let stated = [
            (!self.paths.is_empty()).then(|| self.paths.iter().any(|expression| expression.is_match(path))),
            (!self.expressions.is_empty()).then(|| self.expressions.iter().any(|one: &Regex| one.is_match(text))),
            (!self.stop_words.is_empty()).then(|| self.stop_words.iter().any(has)),
        ];
        let mut stated = stated.into_iter().flatten().peekable();
        if stated.peek().is_none() {
            return false;
        }
        if self.all { stated.all(|holds| holds) } else { stated.any(|holds| holds) }
    }
}
