//! `cache-mode:`: what a job may do with caches.
//!
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#cache-mode>.

/// What a job may do with caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheMode {
    /// `read`: restore them.
    Read,
    /// `write`: restore and save them.
    Write,
    /// `write-only`: save them.
    WriteOnly,
    /// `none`: neither.
    None,
}

impl CacheMode {
    /// That of a word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::WriteOnly, Self::None].into_iter().find(|mode| mode.word() == name)
    }

    /// As a workflow has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::WriteOnly => "write-only",
            Self::None => "none",
        }
    }

    /// Whether caches may be restored.
    #[must_use]
    pub const fn may_restore(self) -> bool {
        matches!(self, Self::Read | Self::Write)
    }

    /// Whether caches may be saved.
    #[must_use]
    pub const fn may_save(self) -> bool {
        matches!(self, Self::Write | Self::WriteOnly)
    }

    /// What is left of it where no more than `most` may be done.
    #[must_use]
    pub const fn within(self, most: Self) -> Self {
        match (self.may_restore() && most.may_restore(), self.may_save() && most.may_save()) {
            (true, true) => Self::Write,
            (true, false) => Self::Read,
            (false, true) => Self::WriteOnly,
            (false, false) => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CacheMode;

    #[test]
    fn a_called_workflow_may_do_no_more_than_its_caller() {
        for (own, most, expect) in [
            ("write", "read", "read"),
            ("write-only", "read", "none"),
            ("read", "write", "read"),
            ("write", "write-only", "write-only"),
            ("write", "write", "write"),
            ("none", "write", "none"),
        ] {
            let mode = |word| CacheMode::from_name(word).unwrap();
            assert_eq!(mode(own).within(mode(most)).word(), expect, "{own} within {most}");
        }
        assert_eq!(CacheMode::from_name("readonly"), None);
    }
}
