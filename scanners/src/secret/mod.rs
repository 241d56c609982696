//! Credentials in files: formats that their issuers document, private keys, passwords in addresses and assignments.
//!
//! One pass over a block, folded to lower case, finds keywords; a rule looks only where one of its keywords is. What is
//! found is hidden in every text that leaves this module. Rules are ours or those of a `gitleaks.toml`. Nothing is tried
//! against a service, and no file is opened here.

mod allow;
mod baseline;
mod generic;
mod gitleaks;
mod keywords;
mod rules;
mod scan;
#[cfg(test)]
mod tests;
mod window;

use regex::bytes::Regex;

pub use baseline::{FILE_BYTES_MAX as KNOWN_BYTES_MAX, Known, KnownError};
pub use gitleaks::{ConfigError, read as read_gitleaks};
pub use scan::{Scanner, Work};

use crate::finding::Severity;

/// One kind of credential.
#[derive(Debug, Clone)]
pub struct Rule {
    pub id: String,
    pub description: String,
    pub severity: Severity,
    /// In lower case; at least one is near whatever the rule finds. None: the whole file is looked at.
    pub keywords: Vec<String>,
    pub pattern: Pattern,
    /// The least entropy of the secret, in bits a character; 0 for formats that need none.
    pub entropy: f64,
    pub allow: Vec<Allow>,
}

/// How a rule recognises its secret.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// The keyword begins the secret; the expression is anchored there.
    Prefix(Regex),
    /// The expression has the keyword in each of its matches, and none is longer than this many bytes.
    Window { expression: Regex, bytes_max: usize, group: usize },
    /// Anywhere in a file that has a keyword.
    File { expression: Regex, group: usize },
    /// An assignment to a name that sounds like a secret.
    Assignment,
    /// A password in an address.
    Address,
    /// The path alone tells.
    Path,
}

/// What is let pass.
#[derive(Debug, Clone, Default)]
pub struct Allow {
    pub paths: Vec<regex::Regex>,
    pub expressions: Vec<Regex>,
    pub target: Target,
    /// In lower case.
    pub stop_words: Vec<String>,
    /// All that is stated has to hold, not one.
    pub all: bool,
}

/// What the expressions of an [`Allow`] are held against.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Target {
    #[default]
    Secret,
    Match,
    Line,
}

/// Rules with what is let pass for all of them.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub rules: Vec<(Rule, Option<regex::Regex>)>,
    pub allow: Vec<Allow>,
}

impl Rules {
    /// Ours.
    #[must_use]
    pub fn built_in() -> Self {
        rules::built_in()
    }
}
