//! Ids of jobs and steps: which ones a person may write, and the ones that are made up for steps without.
//!
//! It does not decide what an unnamed step is called, only how a name becomes a free id. Follows
//! <https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions#jobsjob_id>.

use std::collections::{HashMap, HashSet};

/// An id has fewer characters than this.
pub(super) const ID_CHARS_MAX: usize = 100;

/// The ids of one scope: one job, or the steps of one list.
#[derive(Debug, Default)]
pub(super) struct Identifiers {
    /// In lower case: ids differ in more than case.
    taken: HashSet<String>,
    /// By generated id, the number that its next namesake tries first; keeps thousands of `run:` steps linear.
    next: HashMap<String, usize>,
}

impl Identifiers {
    /// Takes an id that the author wrote, or says in GitHub's words why it cannot be one.
    pub(super) fn take(&mut self, id: &str) -> Result<(), String> {
        if !is_well_formed(id) || id.len() >= ID_CHARS_MAX {
            // GitHub's text has the doubled word.
            return Err(format!(
                "The identifier '{id}' is invalid. IDs may only contain alphanumeric characters, '_', and '-'. IDs \
                 must start with a letter or '_' and and must be less than {ID_CHARS_MAX} characters."
            ));
        }
        if id.starts_with("__") {
            return Err(reserved(id));
        }
        if self.taken.insert(id.to_ascii_lowercase()) {
            Ok(())
        } else {
            Err(format!("The identifier '{id}' may not be used more than once within the same scope."))
        }
    }

    /// Makes `__` and a name into a free id: what an id cannot hold becomes `_`, and a namesake gets `_2`, `_3` and so on.
    pub(super) fn generate(&mut self, name: &str) -> String {
        let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
        let name = name.chars().map(|character| if legal(character) { character } else { '_' });
        let base: String = "__".chars().chain(name).collect();
        let key = base.to_ascii_lowercase();
        let mut attempt = self.next.get(&key).copied().unwrap_or(1);
        loop {
            let suffix = if attempt == 1 { String::new() } else { format!("_{attempt}") };
            let kept = base.len().min(ID_CHARS_MAX - suffix.len());
            let candidate = format!("{}{suffix}", &base[..kept]);
            attempt += 1;
            if self.taken.insert(candidate.to_ascii_lowercase()) {
                self.next.insert(key, attempt);
                return candidate;
            }
        }
    }
}

/// What GitHub says about an id that begins with two underscores.
pub(super) fn reserved(id: &str) -> String {
    format!("The identifier '{id}' is invalid. IDs starting with '__' are reserved.")
}

fn is_well_formed(id: &str) -> bool {
    let mut characters = id.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_ids_are_checked_and_unique_without_case() {
        let mut ids = Identifiers::default();
        let long = "a".repeat(100);
        for (id, expected) in [
            ("build", ""),
            ("_", ""),
            ("_a-1", ""),
            ("a__", ""),
            ("BUILD", "may not be used more than once"),
            ("__a", "are reserved"),
            ("", "may only contain"),
            ("-a", "may only contain"),
            ("1a", "may only contain"),
            ("a.b", "may only contain"),
            ("ä", "may only contain"),
            (long.as_str(), "must be less than 100"),
            (&long[..99], ""),
        ] {
            let result = ids.take(id).err().unwrap_or_default();
            assert_eq!(result.is_empty(), expected.is_empty(), "{id}: {result}");
            assert!(result.contains(expected), "{id}: {result}");
        }
    }

    #[test]
    fn generated_ids_are_free_and_short() {
        let mut ids = Identifiers::default();
        ids.take("x").expect("a fresh id");
        for (name, expected) in [
            ("run", "__run"),
            ("run", "__run_2"),
            ("RUN", "__RUN_3"),
            ("run_2", "__run_2_2"),
            ("actions/checkout", "__actions_checkout"),
            ("alpine:3.8", "__alpine_3_8"),
        ] {
            assert_eq!(ids.generate(name), expected);
        }
        let long = "b".repeat(200);
        assert_eq!(ids.generate(&long).len(), 100);
        let second = ids.generate(&long);
        assert!(second.len() == 100 && second.ends_with("b_2"), "{second}");
    }

    #[test]
    fn ten_thousand_namesakes_are_linear() {
        let mut ids = Identifiers::default();
        let last = (0..10_000).map(|_| ids.generate("run")).last();
        assert_eq!(last.as_deref(), Some("__run_10000"));
    }
}
