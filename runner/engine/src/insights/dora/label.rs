//! What a deployment says of itself: that it takes something back, that it mends in haste, that it puts back what stood
//! there before. From its commits, its branch, the labels of its pull request and the inputs it was started with.

use serde::Serialize;
use serde_json::Value as Json;

/// Why a deployment was made without being planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// It brings a commit that reverts what users had.
    Revert,
    /// Its branch, a branch merged by it, a commit, a label or an input calls it a hotfix.
    Hotfix,
    /// It deploys an older commit again.
    Rollback,
    /// It was started with the input `intent: rework`.
    Intent,
    /// A person said so afterwards.
    Person,
}

impl Label {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Revert => "revert",
            Self::Hotfix => "hotfix",
            Self::Rollback => "rollback",
            Self::Intent => "intent",
            Self::Person => "person",
        }
    }

    /// The label of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Revert, Self::Hotfix, Self::Rollback, Self::Intent, Self::Person]
            .into_iter()
            .find(|it| it.word() == word)
    }

    /// Whether it says that what stood there before it was bad. An incident may have other causes than a deployment.
    #[must_use]
    pub const fn mends(self) -> bool {
        match self {
            Self::Revert | Self::Hotfix | Self::Rollback => true,
            Self::Intent | Self::Person => false,
        }
    }
}

/// A commit, as far as it says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said<'a> {
    /// Its id.
    pub sha: &'a str,
    /// The whole message.
    pub message: &'a str,
}

/// What a deployment is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Signs<'a> {
    /// `github.ref`.
    pub git_ref: &'a str,
    /// Labels of the pull request.
    pub labels: &'a [String],
    /// What it was started with.
    pub inputs: &'a Json,
    /// What it brings.
    pub commits: &'a [Said<'a>],
    /// Whether it brings nothing, and takes away what stood there.
    pub goes_back: bool,
}

impl Signs<'_> {
    /// What they say. What mends comes first.
    #[must_use]
    pub fn label(&self) -> Option<Label> {
        if self.goes_back {
            return Some(Label::Rollback);
        }
        if self.commits.iter().any(|commit| self.reverts(commit)) {
            return Some(Label::Revert);
        }
        let input = |name: &str| self.inputs.get(name);
        let is_hotfix = is_hotfix_branch(self.git_ref)
            || self.labels.iter().any(|label| label.trim().eq_ignore_ascii_case("hotfix"))
            || self.commits.iter().any(|commit| is_hotfix_commit(commit.message))
            || input("hotfix").is_some_and(|value| value == &Json::Bool(true) || value == "true")
            || input("intent").is_some_and(|value| value == "hotfix");
        if is_hotfix {
            return Some(Label::Hotfix);
        }
        input("intent").is_some_and(|value| value == "rework").then_some(Label::Intent)
    }

    /// Whether a commit takes back something that users had: not what came with it, and not another revert, which brings
    /// something again.
    fn reverts(&self, commit: &Said<'_>) -> bool {
        let subject = commit.message.lines().next().unwrap_or_default().trim();
        let Some(reverted) = subject.strip_prefix("Revert \"") else { return false };
        if reverted.starts_with("Revert \"") || reverted.starts_with("Reapply \"") {
            return false;
        }
        let named = commit.message.split_once("This reverts commit ").map(|(_, rest)| {
            rest.split(|c: char| !c.is_ascii_hexdigit()).next().unwrap_or_default().to_ascii_lowercase()
        });
        if let Some(named) = named.filter(|named| named.len() >= 7) {
            return !self.commits.iter().any(|other| other.sha.starts_with(&named));
        }
        let reverted = reverted.strip_suffix('"').unwrap_or(reverted);
        !self.commits.iter().any(|other| other.message.lines().next().is_some_and(|line| line.trim() == reverted))
    }
}

/// `hotfix`, `hotfix/login`, `release/hotfix-3`: a part of the name that is or begins with the word.
fn is_hotfix_branch(name: &str) -> bool {
    name.split('/').any(|part| is_word(part.trim_matches(|c: char| !c.is_ascii_alphanumeric())))
}

fn is_word(part: &str) -> bool {
    let lower = part.to_ascii_lowercase();
    lower.strip_prefix("hotfix").is_some_and(|rest| rest.chars().next().is_none_or(|c| !c.is_ascii_lowercase()))
}

/// `hotfix: …`, `[hotfix] …`, or the merge of such a branch as git and forges write it.
fn is_hotfix_commit(message: &str) -> bool {
    let subject = message.lines().next().unwrap_or_default().trim();
    let lower = subject.to_ascii_lowercase();
    if ["hotfix:", "hotfix(", "hotfix!:", "[hotfix]"].iter().any(|word| lower.starts_with(word)) {
        return true;
    }
    let merged = if let Some(rest) = subject.strip_prefix("Merge branch '") {
        rest.split('\'').next()
    } else if let Some(rest) = subject.strip_prefix("Merge pull request #") {
        rest.split_once(" from ").map(|(_, branch)| branch)
    } else {
        None
    };
    merged.is_some_and(is_hotfix_branch)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(git_ref: &str, labels: &[&str], inputs: &Json, messages: &[&str], expected: Option<Label>) {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let shas: Vec<String> = (0..messages.len()).map(|at| format!("{:040x}", at + 0xabc_def0)).collect();
        let commits: Vec<Said<'_>> = messages.iter().zip(&shas).map(|(message, sha)| Said { sha, message }).collect();
        let signs = Signs { git_ref, labels: &labels, inputs, commits: &commits, goes_back: false };
        assert_eq!(signs.label(), expected, "{git_ref} {labels:?} {inputs} {messages:?}");
    }

    #[test]
    fn what_deployments_say_of_themselves() {
        let (main, none) = ("refs/heads/main", json!({}));
        check(main, &[], &none, &["Add a cart"], None);
        check(main, &[], &none, &["Revert \"Add a cart\""], Some(Label::Revert));
        check(main, &[], &none, &["Reverting is hard", "Do not revert \"x\""], None);
        check(main, &[], &none, &["Revert \"Revert \"Add a cart\"\""], None);
        check(main, &[], &none, &["Reapply \"Add a cart\""], None);
        // What never reached anybody is no failure of what stands there.
        check(main, &[], &none, &["Add a cart", "Revert \"Add a cart\""], None);
        let of = |sha: &str| format!("Revert \"Add a cart\"\n\nThis reverts commit {sha}.");
        check(main, &[], &none, &["Other words", &of("000000000000000000000000000000000abcdef0")], None);
        check(main, &[], &none, &["Add a cart", &of("1234567890")], Some(Label::Revert));
        check("refs/heads/hotfix/login", &[], &none, &[], Some(Label::Hotfix));
        check("refs/heads/HOTFIX-3", &[], &none, &[], Some(Label::Hotfix));
        check("refs/tags/v1.2/hotfix2", &[], &none, &[], Some(Label::Hotfix));
        check("refs/heads/hotfixture", &[], &none, &[], None);
        check(main, &["bug", "Hotfix"], &none, &[], Some(Label::Hotfix));
        check(main, &["hotfix later"], &none, &[], None);
        check(main, &[], &none, &["Merge pull request #7 from octo/hotfix/login\n\nText"], Some(Label::Hotfix));
        check(main, &[], &none, &["Merge branch 'hotfix-9' into main"], Some(Label::Hotfix));
        check(main, &[], &none, &["Merge branch 'main' of hotfix"], None);
        check(main, &[], &none, &["hotfix(cart): sums"], Some(Label::Hotfix));
        check(main, &[], &none, &["Document hotfixes"], None);
        check(main, &[], &json!({ "hotfix": true }), &[], Some(Label::Hotfix));
        check(main, &[], &json!({ "hotfix": "false" }), &[], None);
        check(main, &[], &json!({ "intent": "rework" }), &[], Some(Label::Intent));
        check(main, &[], &json!(null), &[], None);
        let back = Signs { git_ref: main, labels: &[], inputs: &none, commits: &[], goes_back: true };
        assert_eq!(back.label(), Some(Label::Rollback));
    }
}
