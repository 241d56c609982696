//! `[oidc]` of `pipe.toml`: where people sign in, and what their groups there may do here.

use std::path::PathBuf;

use engine::oidc::{OidcSettings, Provider};
use engine::store::people::{Assignment, Role};
use indexmap::IndexMap;
use serde::Deserialize;
use web::Oidc;
use workflow::secret::Secret;

use crate::exit::Failure;

/// Where browsers come back to, below the server's address.
const CALLBACK: &str = "/login/oidc/callback";

/// The table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OidcTable {
    /// The provider, as its tokens name it.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// A file with what proves that we are it.
    pub client_secret_file: Option<PathBuf>,
    /// What is asked for beside `openid`.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// The claim with the groups of a person.
    #[serde(default)]
    pub groups_claim: String,
    /// What a group may do here.
    #[serde(default)]
    pub roles: IndexMap<String, Roles>,
    /// Which team here a group is.
    #[serde(default)]
    pub teams: IndexMap<String, String>,
}

/// `"viewer"`, a table with where it holds, or a list of both.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Roles {
    /// For all repositories.
    Word(String),
    /// For some.
    One(RoleTable),
    /// Several.
    Many(Vec<Self>),
}

/// A role and where it holds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RoleTable {
    role: String,
    #[serde(default)]
    repository: String,
    #[serde(default)]
    environment: String,
}

fn scopes() -> Vec<String> {
    ["profile", "email", "groups"].map(str::to_owned).to_vec()
}

impl Roles {
    fn read(&self) -> Result<Vec<Assignment>, String> {
        let role = |word: &str| {
            let known = || Role::ALL.map(Role::as_str).join(", ");
            Role::parse(word).ok_or_else(|| format!("`{word}` is no role; roles are {}", known()))
        };
        match self {
            Self::Word(word) => Ok(vec![Assignment::of_all(role(word)?)]),
            Self::One(RoleTable { role: word, repository, environment }) => {
                let (repository, environment) = (repository.clone(), environment.clone());
                let assignment = Assignment { role: role(word)?, repository, environment };
                assignment.problem().map_or(Ok(vec![assignment]), Err)
            }
            Self::Many(all) => Ok(all.iter().map(Self::read).collect::<Result<Vec<_>, _>>()?.concat()),
        }
    }
}

impl OidcTable {
    /// What is wrong with it: the word in question, and why.
    pub fn problem(&self, url: Option<&str>) -> Option<(String, String)> {
        if !url.is_some_and(|url| url.starts_with("https://") || url.starts_with("http://")) {
            let why = "`[oidc]` needs `url` of `[server]`: the provider sends browsers back there";
            return Some(("oidc".to_owned(), why.to_owned()));
        }
        self.roles.iter().find_map(|(group, roles)| Some((group.clone(), roles.read().err()?)))
    }

    /// The provider.
    ///
    /// # Errors
    /// The table cannot be used.
    pub fn open(&self, url: Option<&str>) -> Result<Oidc, Failure> {
        let secret = match &self.client_secret_file {
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text =
                    text.map_err(|error| Failure::usage(format!("cannot read `{}`: {error}", path.display())))?;
                Some(Secret::new(text.trim()))
            }
            None => None,
        };
        let roles = self.roles.iter().map(|(group, roles)| Ok((group.clone(), roles.read()?)));
        let provider = Provider::new(OidcSettings {
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            client_secret: secret,
            redirect: format!("{}{CALLBACK}", url.unwrap_or_default().trim_end_matches('/')),
            scopes: self.scopes.clone(),
            groups_claim: self.groups_claim.clone(),
            roles: roles.collect::<Result<_, String>>().map_err(Failure::usage)?,
            teams: self.teams.clone(),
        });
        provider.map(Oidc::new).map_err(|error| Failure::usage(format!("`[oidc]`: {error}")))
    }
}
