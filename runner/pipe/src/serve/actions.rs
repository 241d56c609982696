//! `[actions]`: where a server has the actions of others from, and the workflows that its own call.

use std::path::{Path, PathBuf};

use engine::actions::{Actions, BuiltInMode, FetchOptions, LocalRepository};
use engine::mirror::RemoteUrl;
use engine::own_file;
use indexmap::IndexMap;
use serde::Deserialize;

use crate::exit::Failure;

/// `[actions]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ActionsTable {
    /// What the names of repositories are put behind; `https://github.com` without it.
    pub server: Option<String>,
    /// Holds a token that may read private repositories of that server.
    pub token_file: Option<PathBuf>,
    /// `owner/repo@ref`, or `owner/repo`, to a folder or bare repository on this machine.
    pub local_repositories: IndexMap<String, PathBuf>,
    /// `usual`, `prefer`, `fallback` or `never`.
    pub builtin_actions: Option<String>,
    /// Nothing is fetched.
    pub offline: bool,
}

impl ActionsTable {
    /// What the form alone does not say: the word that is wrong, and why.
    pub fn problem(&self) -> Option<(String, String)> {
        if let Some(server) = &self.server
            && let Err(reason) = RemoteUrl::parse(&format!("{}/owner/repository", server.trim_end_matches('/')))
        {
            return Some((server.clone(), format!("`{server}` is no server of actions: {reason}")));
        }
        for (name, path) in &self.local_repositories {
            if let Err(message) = local(name, path) {
                return Some((name.clone(), message));
            }
            if path.is_relative() {
                let message =
                    format!("`{}` is no whole path: a server has no folder that it starts from", path.display());
                return Some((path.display().to_string(), message));
            }
        }
        let word = self.builtin_actions.as_ref()?;
        let reason = word.parse::<BuiltInMode>().err()?;
        Some((word.clone(), reason))
    }

    /// What jobs run actions with, and what called workflows are read from.
    ///
    /// # Errors
    /// The token cannot be read, or the folders of the data not be made.
    pub fn open(&self, data: &Path) -> Result<Actions, Failure> {
        let known = FetchOptions::default();
        let of_file = self.token_file.as_ref().map(|path| {
            own_file::secret(path).map_err(|reason| {
                Failure::environment(format!("cannot read `token-file` of `[actions]`, {}: {reason}", path.display()))
            })
        });
        let options = FetchOptions {
            server: self.server.clone().unwrap_or(known.server),
            offline: self.offline,
            local: self.local_repositories.iter().filter_map(|(name, path)| local(name, path).ok()).collect(),
            lock: None,
            token: of_file.transpose()?.or_else(crate::actions::token),
        };
        let built_in = self.builtin_actions.as_ref().and_then(|word| word.parse().ok()).unwrap_or_default();
        crate::actions::open(data, options, built_in)
    }
}

fn local(name: &str, path: &Path) -> Result<LocalRepository, String> {
    let wrong = |_| format!("`{name}` is no repository such as `owner/repo` or `owner/repo@v1`");
    format!("{name}={}", path.display()).parse().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, &str)>) {
        let table: ActionsTable = toml::from_str(text).unwrap();
        let problem = table.problem();
        let got = problem.as_ref().map(|(word, message)| (word.as_str(), message.as_str()));
        assert_eq!(got.map(|got| got.0), expected.map(|expected| expected.0), "{text}");
        assert!(got.zip(expected).is_none_or(|(got, expected)| got.1.contains(expected.1)), "{text}: {got:?}");
    }

    #[test]
    fn what_the_form_does_not_say() {
        check("", None);
        check("server = 'https://git.test'\noffline = true\nbuiltin-actions = 'never'", None);
        check(
            "server = '/srv/actions'\n[local-repositories]\n'octo/say@v1' = '/srv/say'\n'octo/all' = '/srv/all'",
            None,
        );
        let server = "https://ci:x@git.test";
        check(&format!("server = '{server}'"), Some((server, "is no server of actions: it holds a password")));
        check("server = 'git.test'", Some(("git.test", "is no server of actions")));
        check("builtin-actions = 'always'", Some(("always", "is none of usual, prefer, fallback, never")));
        let whole = "is no whole path: a server has no folder that it starts from";
        check("[local-repositories]\n'octo/say@v1' = 'say'", Some(("say", whole)));
        for name in ["octosay", "octo/say/x", "octo/say@"] {
            check(
                &format!("[local-repositories]\n'{name}' = '/say'"),
                Some((name, "is no repository such as `owner/repo`")),
            );
        }
    }

    #[test]
    fn a_token_is_in_a_file_of_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "t\n").unwrap();
        let table = ActionsTable { token_file: Some(path.clone()), ..ActionsTable::default() };
        for (mode, expected) in [(0o600, None), (0o644, Some("others can read it; run `chmod 600` on it"))] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let said = table.open(folder.path()).err().map(|failure| failure.message);
            assert_eq!(said.is_some(), expected.is_some(), "{said:?}");
            assert!(said.unwrap_or_default().contains(expected.unwrap_or_default()));
        }
    }
}
