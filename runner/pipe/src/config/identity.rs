//! `[identity]`: which claims make `sub` of identity tokens, in a server's `pipe.toml` and in a user's own settings.
//!
//! It decides whom clouds take a job for, so a repository's own file has it not: whoever wrote that wrote the workflows too.
//! Follows <https://docs.github.com/en/rest/actions/oidc>.

use std::collections::BTreeMap;
use std::ops::Range;

use engine::issuer::{SubjectForm, SubjectKey, Subjects};
use indexmap::IndexMap;
use serde::Deserialize;
use toml::Spanned;
use workflow::diagnostic::suggest;

/// The table.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct IdentityTable {
    /// Of all repositories but those below.
    include_claim_keys: Option<Keys>,
    /// Whether `repo` has ids behind the names, in all repositories but those below that say it.
    use_immutable_subject: bool,
    /// By `owner/name`.
    repositories: IndexMap<Spanned<String>, RepositoryTable>,
}

/// Of one repository.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct RepositoryTable {
    /// GitHub's own form, whatever others have.
    use_default: Option<Spanned<bool>>,
    /// Its own.
    include_claim_keys: Option<Keys>,
    /// Its own.
    use_immutable_subject: Option<bool>,
    /// The ids that it has at its forge, for jobs whose event does not say them.
    owner_id: Option<u64>,
    /// The same.
    repository_id: Option<u64>,
}

type Keys = Spanned<Vec<Spanned<String>>>;

/// What is wrong, where, and what was meant.
pub type Mistake = (Range<usize>, String, Option<String>);

impl IdentityTable {
    /// What the form alone does not say.
    pub fn problem(&self) -> Option<Mistake> {
        let mut seen: Vec<String> = Vec::new();
        // In the order of the file, which the map has not.
        let mut repositories: Vec<_> = self.repositories.iter().collect();
        repositories.sort_by_key(|(name, _)| name.span().start);
        for (name, table) in repositories {
            let text = name.get_ref().to_lowercase();
            if !text.split_once('/').is_some_and(|(owner, name)| !owner.is_empty() && !name.is_empty()) {
                return Some((name.span(), format!("`{}` is no repository: write `owner/name`", name.get_ref()), None));
            }
            if seen.contains(&text) {
                return Some((name.span(), format!("`{}` is there already", name.get_ref()), None));
            }
            seen.push(text);
            let default = table.use_default.as_ref().filter(|default| *default.get_ref());
            if let (Some(default), Some(_)) = (default, &table.include_claim_keys) {
                let words = "GitHub's own form has no `include-claim-keys`: leave one of both out";
                return Some((default.span(), words.to_owned(), None));
            }
        }
        let own = self.repositories.values().map(|table| &table.include_claim_keys);
        own.chain([&self.include_claim_keys]).flatten().find_map(problem_of)
    }

    /// As an issuer takes it.
    pub fn subjects(&self) -> Subjects {
        // Names were looked at when the file was read.
        let plain = |keys: &Keys| -> Vec<_> {
            keys.get_ref().iter().filter_map(|key| SubjectKey::parse(key.get_ref())).collect()
        };
        let common = self.include_claim_keys.as_ref().map(plain).unwrap_or_default();
        let own = |table: &RepositoryTable| SubjectForm {
            keys: match (&table.use_default, &table.include_claim_keys) {
                (_, Some(keys)) => plain(keys),
                (Some(default), None) if *default.get_ref() => Vec::new(),
                (Some(_) | None, None) => common.clone(),
            },
            immutable: table.use_immutable_subject.unwrap_or(self.use_immutable_subject),
            owner_id: table.owner_id,
            repository_id: table.repository_id,
        };
        let repositories: BTreeMap<_, _> =
            self.repositories.iter().map(|(name, table)| (name.get_ref().to_lowercase(), own(table))).collect();
        let all = SubjectForm { keys: common, immutable: self.use_immutable_subject, ..SubjectForm::default() };
        Subjects { all, repositories }
    }
}

fn problem_of(keys: &Keys) -> Option<Mistake> {
    if keys.get_ref().is_empty() {
        let words = "`include-claim-keys` names no claim; without it `sub` is as on GitHub";
        return Some((keys.span(), words.to_owned(), None));
    }
    for (at, key) in keys.get_ref().iter().enumerate() {
        let name = key.get_ref().as_str();
        if name == "repository" {
            return Some((key.span(), "`repository` is called `repo` in `sub`, as on GitHub".to_owned(), None));
        }
        if SubjectKey::parse(name).is_none() {
            let help = suggest(name, SubjectKey::names()).map(|meant| format!("did you mean `{meant}`?"));
            let all = || SubjectKey::names().collect::<Vec<_>>().join(", ");
            let help = help.unwrap_or_else(|| format!("there are {}", all()));
            return Some((key.span(), format!("`{name}` is no claim that `sub` can be made of"), Some(help)));
        }
        if keys.get_ref()[..at].iter().any(|one| one.get_ref() == name) {
            return Some((key.span(), format!("`{name}` is there twice"), None));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_have_their_own_the_common_or_githubs_form() {
        let text = "include-claim-keys = ['repo', 'context', 'actor']\nuse-immutable-subject = true\n\
                    [repositories.'Octo/Shop']\ninclude-claim-keys = ['job_workflow_ref']\n\
                    [repositories.'octo/old']\nuse-default = true\nuse-immutable-subject = false\n\
                    [repositories.'octo/new']\nuse-default = false\nowner-id = 1\nrepository-id = 2";
        let table: IdentityTable = toml::from_str(text).unwrap();
        assert_eq!(table.problem(), None);
        let form = |names: &[&str], immutable: bool| {
            let keys = names.iter().map(|name| SubjectKey::parse(name).unwrap()).collect();
            SubjectForm { keys, immutable, ..SubjectForm::default() }
        };
        let common = form(&["repo", "context", "actor"], true);
        let own = [
            ("octo/new", SubjectForm { owner_id: Some(1), repository_id: Some(2), ..common.clone() }),
            ("octo/old", form(&[], false)),
            ("octo/shop", form(&["job_workflow_ref"], true)),
        ];
        let repositories = own.map(|(name, form)| (name.to_owned(), form)).into();
        assert_eq!(table.subjects(), Subjects { all: common, repositories });
        assert_eq!(toml::from_str::<IdentityTable>("").unwrap().subjects(), Subjects::default());
    }
}
