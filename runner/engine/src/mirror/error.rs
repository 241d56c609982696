//! Why a mirror cannot give what was asked, from what git said.
//!
//! Texts of git are shown in part only, without control characters: the other side may write what it likes there.

/// Longest part of git's own words that is shown.
const SHOWN_CHARACTERS_MAX: usize = 300;

/// Why a repository cannot be fetched or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// Its URL is none that is fetched from.
    #[error("the URL of the repository is not used: {0}")]
    Url(#[from] super::UrlError),
    /// Nobody answers there now; later it may be different.
    #[error("the repository cannot be reached: {0}")]
    Unreachable(String),
    /// It took too long and was stopped.
    #[error("fetching took longer than {seconds} s and was stopped")]
    TooSlow {
        /// The limit.
        seconds: u64,
    },
    /// Who we are was not enough.
    #[error("the repository does not let us in, check its token or key: {0}")]
    Denied(String),
    /// There is no repository.
    #[error("there is no repository at this URL: {0}")]
    NotFound(String),
    /// It has no branch and no tag.
    #[error("the repository is empty: it has no commit yet")]
    Empty,
    /// More than this server takes.
    #[error("the repository is larger than {limit} bytes, the limit of this server")]
    TooLarge {
        /// Bytes.
        limit: u64,
    },
    /// More names than this server takes.
    #[error("the repository has more branches and tags than this server takes ({limit} bytes of names)")]
    TooManyRefs {
        /// Bytes of the list.
        limit: u64,
    },
    /// A branch or tag is not there (any more).
    #[error("`{0}` is not in the repository (any more)")]
    NoSuchRef(String),
    /// A commit is not there (any more).
    #[error("commit {0} is not in the repository (any more): its branch was deleted or pushed over")]
    Gone(String),
    /// What was sent is not sound.
    #[error("the repository sent objects that git does not take: {0}")]
    Damaged(String),
    /// Its objects have other names.
    #[error("the repository names its objects by SHA-256, which is not read here yet")]
    ObjectFormat,
    /// Our disk.
    #[error("there is no room for the repository on this machine's disk")]
    NoRoom,
    /// git itself.
    #[error("git cannot be run: {0}")]
    Program(String),
    /// Our copy.
    #[error("the mirror {path}: {reason}")]
    Mirror {
        /// Its folder.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Whatever else git said.
    #[error("git fetch failed: {0}")]
    Failed(String),
}

impl MirrorError {
    /// Whether trying again later may help, though nobody changes anything.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TooSlow { .. } | Self::NoRoom => true,
            Self::Url(_)
            | Self::Denied(_)
            | Self::NotFound(_)
            | Self::Empty
            | Self::TooLarge { .. }
            | Self::TooManyRefs { .. }
            | Self::NoSuchRef(_)
            | Self::Gone(_)
            | Self::Damaged(_)
            | Self::ObjectFormat
            | Self::Program(_)
            | Self::Mirror { .. }
            | Self::Failed(_) => false,
        }
    }

    /// What git meant by its words on standard error (`LC_ALL=C`).
    pub(super) fn of_git(text: &str) -> Self {
        let shown = shown(text);
        let lower = text.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if let Some(name) = text.split("couldn't find remote ref ").nth(1).and_then(|rest| rest.lines().next()) {
            return Self::NoSuchRef(plain(name));
        }
        if has(&["not our ref", "unadvertised object", "no such remote ref"]) {
            return Self::Gone(shown);
        }
        if has(&["no space left on device", "disk quota exceeded"]) {
            return Self::NoRoom;
        }
        if has(&["mismatched algorithms", "unsupported object format", "unknown object format"]) {
            return Self::ObjectFormat;
        }
        if has(&[
            "authentication failed",
            "could not read username",
            "could not read password",
            "unable to get password from user",
            "terminal prompts disabled",
            "permission denied",
            "host key verification failed",
            "returned error: 401",
            "returned error: 403",
            "access denied",
        ]) {
            return Self::Denied(shown);
        }
        if has(&["not found", "does not appear to be a git repository", "does not exist", "no such file or directory"])
        {
            return Self::NotFound(shown);
        }
        if has(&["fsck error", "fsck objects failed", "index-pack failed", "bad object", "did not send all necessary"])
            && !has(&["early eof", "hung up"])
        {
            return Self::Damaged(shown);
        }
        if has(&[
            "could not resolve host",
            "failed to connect",
            "couldn't connect",
            "connection refused",
            "connection reset",
            "connection timed out",
            "connection closed",
            "operation timed out",
            "operation too slow",
            "network is unreachable",
            "no route to host",
            "unable to access",
            "unable to connect",
            "early eof",
            "hung up",
            "returned error: 5",
            "returned error: 429",
            "could not read from remote repository",
        ]) {
            return Self::Unreachable(shown);
        }
        Self::Failed(shown)
    }
}

/// The line that tells most: the first `fatal:` or `error:`, else the last one.
fn shown(text: &str) -> String {
    let telling = |line: &&str| ["fatal:", "error:", "ERROR:", "remote: "].iter().any(|word| line.starts_with(word));
    let line = text.lines().find(telling).or_else(|| text.lines().rfind(|line| !line.trim().is_empty()));
    plain(line.unwrap_or("git said nothing"))
}

fn plain(text: &str) -> String {
    let text: String = text.trim().chars().filter(|letter| !letter.is_control()).collect();
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        Some((cut, _)) => format!("{} …", &text[..cut]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says() {
        for (text, expected) in [
            ("fatal: couldn't find remote ref refs/heads/x\n", "`refs/heads/x` is not in the repository (any more)"),
            (
                "fatal: unable to access 'https://h/a/b/': Could not resolve host: h",
                "the repository cannot be reached: fatal: unable to access 'https://h/a/b/': Could not resolve host: h",
            ),
            (
                "remote: Repository not found.\nfatal: repository 'https://github.com/a/b/' not found",
                "there is no repository at this URL: remote: Repository not found.",
            ),
            (
                "fatal: could not read Username for 'https://h': terminal prompts disabled",
                "the repository does not let us in, check its token or key: fatal: could not read Username for \
                 'https://h': terminal prompts disabled",
            ),
            (
                "fatal: mismatched algorithms: client sha1; server sha256",
                "the repository names its objects by SHA-256, \
                 which is not read here yet",
            ),
            ("\u{1b}[31mwhat\u{7}ever", "git fetch failed: [31mwhatever"),
            ("", "git fetch failed: git said nothing"),
        ] {
            assert_eq!(MirrorError::of_git(text).to_string(), expected);
        }
        let long = MirrorError::of_git(&"x".repeat(1_000)).to_string();
        assert!(long.ends_with(" …") && long.len() < 350, "{long}");
    }
}
