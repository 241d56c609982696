//! A full git ref and its kind: branch, tag, pull request.
//!
//! It does not check the whole of git's ref format, only that the name is one that can be passed on safely.
//! Follows <https://git-scm.com/docs/git-check-ref-format>.

use std::fmt;
use std::sync::Arc;

/// Longest ref that is taken.
const REF_LENGTH_MAX: usize = 1_000;

/// A full ref such as `refs/heads/main`, `refs/tags/v1`, `refs/pull/3/merge`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct GitRef(Arc<str>);

/// What a ref names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GitRefKind {
    /// `refs/heads/…`.
    Branch,
    /// `refs/tags/…`.
    Tag,
    /// `refs/pull/…`.
    PullRequest,
    /// Any other.
    Other,
}

impl GitRef {
    /// Takes a full ref. `None` if it does not start with `refs/`, or holds what no ref may hold (`..`, a control
    /// character, a space, one of `~^:?*[\`), or is longer than 1,000 bytes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.starts_with("refs/") && is_safe(text)).then(|| Self(Arc::from(text)))
    }

    /// The ref of a branch. `None` as for [`GitRef::parse`].
    #[must_use]
    pub fn branch(name: &str) -> Option<Self> {
        Self::parse(&format!("refs/heads/{name}"))
    }

    /// The ref of a tag. `None` as for [`GitRef::parse`].
    #[must_use]
    pub fn tag(name: &str) -> Option<Self> {
        Self::parse(&format!("refs/tags/{name}"))
    }

    /// The merge ref of a pull request.
    #[must_use]
    pub fn pull_merge(number: u64) -> Self {
        Self(Arc::from(format!("refs/pull/{number}/merge")))
    }

    /// The whole ref.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it names.
    #[must_use]
    pub fn kind(&self) -> GitRefKind {
        match self.0.split('/').nth(1) {
            Some("heads") => GitRefKind::Branch,
            Some("tags") => GitRefKind::Tag,
            Some("pull") => GitRefKind::PullRequest,
            Some(_) | None => GitRefKind::Other,
        }
    }

    /// `github.ref_name`: without `refs/heads/`, `refs/tags/` or `refs/pull/`.
    #[must_use]
    pub fn short(&self) -> &str {
        ["refs/heads/", "refs/tags/", "refs/pull/"]
            .iter()
            .find_map(|prefix| self.0.strip_prefix(prefix))
            .unwrap_or(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for GitRef {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a ref of an unusable form"))
    }
}

impl fmt::Display for GitRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_safe(text: &str) -> bool {
    let forbidden = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    text.len() <= REF_LENGTH_MAX
        && !text.contains(forbidden)
        && !text.contains("..")
        && !text.contains("@{")
        && !text.ends_with(['/', '.'])
        && !text.split('/').any(|part| part.is_empty() || part.starts_with('.') || part.ends_with(".lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_short_names() {
        for (text, kind, short) in [
            ("refs/heads/main", GitRefKind::Branch, "main"),
            ("refs/heads/feature/x", GitRefKind::Branch, "feature/x"),
            ("refs/tags/v1.2", GitRefKind::Tag, "v1.2"),
            ("refs/pull/7/merge", GitRefKind::PullRequest, "7/merge"),
            ("refs/notes/x", GitRefKind::Other, "refs/notes/x"),
        ] {
            let git_ref = GitRef::parse(text).unwrap();
            assert_eq!((git_ref.kind(), git_ref.short()), (kind, short), "{text}");
        }
    }

    #[test]
    fn refs_that_git_refuses_are_refused() {
        for text in [
            "main",
            "refs/heads/",
            "refs/heads/a..b",
            "refs/heads/a b",
            "refs/heads/a\nb",
            "refs/heads//a",
            "refs/heads/.a",
            "refs/heads/a.lock",
            "refs/heads/a~1",
            "refs/heads/a:b",
            "refs/heads/a@{1}",
        ] {
            assert_eq!(GitRef::parse(text), None, "{text}");
        }
    }
}
