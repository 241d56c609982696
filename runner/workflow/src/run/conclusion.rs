//! How things end.
//!
//! Outcome and conclusion are two words: the outcome is what happened, the conclusion is what counts after
//! `continue-on-error`. See <https://docs.github.com/en/actions/learn-github-actions/contexts#steps-context>.

/// How a step, a job or a run ended, in GitHub's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// All went well.
    Success,
    /// It did not run, since its condition was false.
    Skipped,
    /// Somebody or something stopped it.
    Cancelled,
    /// It failed.
    Failure,
}

impl Conclusion {
    /// The word in contexts and on pages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Failure => "failure",
        }
    }

    /// The worse of the two: failure, then cancelled, then success; skipped counts as nothing.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Skipped, other) => other,
            (this, Self::Skipped) => this,
            (this, other) => this.max(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Conclusion::{Cancelled, Failure, Skipped, Success};

    #[test]
    fn the_worse_one_counts() {
        for (a, b, expected) in [
            (Success, Failure, Failure),
            (Cancelled, Failure, Failure),
            (Success, Cancelled, Cancelled),
            (Skipped, Success, Success),
            (Skipped, Skipped, Skipped),
        ] {
            assert_eq!(a.merge(b), expected);
            assert_eq!(b.merge(a), expected);
        }
    }
}
