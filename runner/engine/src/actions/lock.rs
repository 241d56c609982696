//! `.github/pipe.lock`: the commit and the tree that each action was when somebody looked, a line each.
//!
//! Whoever reads a change of that file sees which actions changed. What a commit holds cannot change, so a line is enough to
//! know the files; the tree is there to be compared with what other tools say.

use std::collections::BTreeMap;
use std::path::Path;

use workflow::model::{Step, Uses};

use super::FetchError;
use super::store::ActionStore;
use super::uses::{in_folder, in_steps, of_self};

/// Where it lies in a repository.
pub const LOCK_FILE: &str = ".github/pipe.lock";

/// How a lock begins.
const HEADER: &str = "# Actions of others and the commit and tree that each is. `pipe lock` writes this, `pipe run --locked` goes by it.\n";

/// What is locked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock(BTreeMap<String, Locked>);

/// One action's repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// The commit.
    pub commit: String,
    /// Its tree.
    pub tree: String,
}

/// A lock that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// A line is something else.
    #[error("line {line} of {LOCK_FILE} is not of the form `owner/repo@ref COMMIT TREE`; `pipe lock` writes it anew")]
    Form {
        /// From 1.
        line: usize,
    },
    /// Two lines lock one name to different things, as a merge may leave them.
    #[error("line {line} of {LOCK_FILE} locks `{action}` again, to something else; `pipe lock` writes it anew")]
    Twice {
        /// From 1.
        line: usize,
        /// What both name.
        action: String,
    },
}

impl Lock {
    /// Reads one.
    ///
    /// # Errors
    /// A line is none of a lock, or contradicts one before it.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let mut this = Self::default();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let [action, commit, tree] = words[..] else { return Err(LockError::Form { line: index + 1 }) };
            let is_id = |id: &str| id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !action.contains('@') || !is_id(commit) || !is_id(tree) {
                return Err(LockError::Form { line: index + 1 });
            }
            let locked = Locked { commit: commit.to_lowercase(), tree: tree.to_lowercase() };
            let before = this.0.insert(action.to_owned(), locked.clone());
            if before.is_some_and(|before| before != locked) {
                return Err(LockError::Twice { line: index + 1, action: action.to_owned() });
            }
        }
        Ok(this)
    }

    /// As it stands in the file.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.iter().fold(HEADER.to_owned(), |text, (action, Locked { commit, tree })| {
            format!("{text}{action} {commit} {tree}\n")
        })
    }

    /// What `owner/repo@ref` is.
    #[must_use]
    pub fn get(&self, action: &str) -> Option<&Locked> {
        self.0.get(action)
    }

    /// Each `owner/repo@ref`.
    pub fn actions(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What steps use, what that uses, and so on, with the repositories of called workflows (`calls`); actions of the
    /// repository itself lie below `root`. `is_built_in`: which are part of this program, so that there is nothing to lock.
    ///
    /// # Errors
    /// One of them cannot be had, or is a folder, which nothing can hold.
    pub async fn of(
        store: &ActionStore,
        (calls, steps): (Vec<Uses>, &[&Step]),
        root: &Path,
        is_built_in: impl Fn(&str) -> bool,
    ) -> Result<Self, FetchError> {
        let mut this = Self::default();
        // What is used, and whose `$/` it would be: the repository's own, or that of an action.
        let mut open: Vec<(Uses, Option<(String, String)>)> =
            in_steps(steps.iter().copied()).into_iter().chain(calls).map(|used| (used, None)).collect();
        let mut seen = std::collections::BTreeSet::new();
        while let Some((used, whose)) = open.pop() {
            let used = of_self(used, whose.as_ref());
            if !seen.insert((used.text(), whose.clone())) {
                continue;
            }
            match &used {
                Uses::Local { path } => {
                    let path = path.trim_start_matches("$/").trim_start_matches("./");
                    open.extend(in_folder(root, path).into_iter().map(|used| (used, whose.clone())));
                }
                Uses::Repository { repository, path, reference } => {
                    let name = if path.is_empty() { repository.clone() } else { format!("{repository}/{path}") };
                    if is_built_in(&name) {
                        continue;
                    }
                    let action = format!("{repository}@{reference}");
                    let fetched = store.get(repository, reference).await?;
                    let (Some(commit), Some(tree)) = (fetched.commit.clone(), fetched.tree()) else {
                        return Err(FetchError::Folder { action, path: fetched.folder.display().to_string() });
                    };
                    this.0.insert(action, Locked { commit, tree });
                    let own = Some((repository.clone(), reference.clone()));
                    open.extend(in_folder(&fetched.folder, path).into_iter().map(|used| (used, own.clone())));
                }
                Uses::Docker { .. } | Uses::BuiltIn { .. } => {}
            }
        }
        Ok(this)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_lines() {
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        let text = format!("{HEADER}a/b@v1 {one} {two}\nc/d@main {two} {one}\n");
        let lock = Lock::parse(&text).unwrap();
        assert_eq!((lock.text(), lock.len()), (text, 2));
        assert_eq!(lock.get("a/b@v1").unwrap().tree, two);
        for (wrong, line) in [("x", 1), ("\n\na/b@v1 1 2", 3), (&format!("a/b {one} {two}"), 1)] {
            assert_eq!(Lock::parse(wrong), Err(LockError::Form { line }), "{wrong}");
        }
        let twice = format!("a/b@v1 {one} {two}\na/b@v1 {one} {two}\na/b@v1 {two} {two}\n");
        assert_eq!(Lock::parse(&twice), Err(LockError::Twice { line: 3, action: "a/b@v1".to_owned() }));
    }
}
