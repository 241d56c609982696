//! Whose entries of caches a run may use and write: refs, and whether its code is trusted.
//!
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/dependency-caching>, and goes further: code
//! that anybody may have written writes for nobody but itself.

use std::collections::HashSet;

use workflow::model::CacheMode;

/// The scopes of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheScopes {
    /// Where it writes.
    pub own: String,
    /// Where it reads, its own first.
    pub readable: Vec<String>,
    /// Why it may not write at all.
    pub refused: Option<String>,
}

/// What the scopes of a run depend on.
#[derive(Debug, Clone, Copy)]
pub struct RunOfCaches<'a> {
    /// Its event.
    pub event: &'a str,
    /// Its ref, whole.
    pub git_ref: &'a str,
    /// The branch that a pull request is for, or nothing.
    pub base_ref: &'a str,
    /// The repository's default branch.
    pub default_branch: &'a str,
    /// Whether its code may have been written by anybody.
    pub trusted: bool,
    /// Whether its event is of a fork.
    pub fork: bool,
    /// `cache-mode:` of the job, where it has one.
    pub mode: Option<CacheMode>,
}

impl CacheScopes {
    /// Those of a run.
    #[must_use]
    pub fn of(run: RunOfCaches<'_>) -> Self {
        let RunOfCaches { event, git_ref, base_ref, default_branch, trusted, fork, mode } = run;
        let own = if trusted { git_ref.to_owned() } else { format!("untrusted {git_ref}") };
        let branch = |name: &str| if name.is_empty() { String::new() } else { format!("refs/heads/{name}") };
        let mut readable = vec![own.clone(), branch(base_ref), branch(default_branch)];
        let mut seen = HashSet::new();
        readable.retain(|scope| !scope.is_empty() && seen.insert(scope.clone()));
        readable.retain(|_| mode.is_none_or(CacheMode::may_restore));
        let by_mode = mode.filter(|mode| !mode.may_save());
        let refused = (fork && event != "pull_request")
            .then(|| format!("an event of a fork (`{event}`) may not write to the caches of this repository"))
            .or_else(|| by_mode.map(|mode| format!("`cache-mode: {}` lets this job save no cache", mode.word())));
        Self { own, readable, refused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f08_f11_what_a_fork_writes_nobody_else_reads() {
        let run = RunOfCaches {
            event: "pull_request",
            git_ref: "refs/pull/1/merge",
            base_ref: "main",
            default_branch: "main",
            trusted: false,
            fork: true,
            mode: None,
        };
        let fork = CacheScopes::of(run);
        assert_eq!(fork.own, "untrusted refs/pull/1/merge");
        assert_eq!(fork.readable, ["untrusted refs/pull/1/merge", "refs/heads/main"]);
        let main = CacheScopes::of(RunOfCaches {
            event: "push",
            git_ref: "refs/heads/main",
            base_ref: "",
            trusted: true,
            fork: false,
            ..run
        });
        assert_eq!(main.readable, ["refs/heads/main"]);
        assert!(fork.refused.is_none() && main.refused.is_none());
        // A branch of a fork may be called as ours is.
        let posing = CacheScopes::of(RunOfCaches { git_ref: "refs/heads/main", ..run });
        assert!(!main.readable.contains(&posing.own));
        assert!(CacheScopes::of(RunOfCaches { event: "pull_request_target", ..run }).refused.is_some());
    }

    #[test]
    fn a_mode_takes_away() {
        let run = |mode| RunOfCaches {
            event: "push",
            git_ref: "refs/heads/main",
            base_ref: "",
            default_branch: "main",
            trusted: true,
            fork: false,
            mode: CacheMode::from_name(mode),
        };
        for (mode, reads, writes) in [
            ("", true, true),
            ("read", true, false),
            ("write", true, true),
            ("write-only", false, true),
            ("none", false, false),
        ] {
            let scopes = CacheScopes::of(run(mode));
            assert_eq!((!scopes.readable.is_empty(), scopes.refused.is_none()), (reads, writes), "{mode}");
        }
        let fork = CacheScopes::of(RunOfCaches { event: "pull_request_target", fork: true, ..run("write") });
        assert!(fork.refused.is_some(), "a mode gives nothing that the run has not");
    }
}
