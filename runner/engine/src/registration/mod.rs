//! Registering repositories: what is checked, what is sealed, what a person has to enter at the forge.
//!
//! It asks no forge. Follows each forge's page on webhooks:
//! <https://docs.github.com/en/webhooks/using-webhooks/creating-webhooks>, <https://docs.gitea.com/usage/webhooks>,
//! <https://docs.gitlab.com/user/project/integrations/webhooks/>.

mod ports;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;
use workflow::event::Forge;
use workflow::secret::Secret;

use crate::mirror::{RemoteUrl, Transport};
use crate::sealing::random;
use crate::store::StoreError;
use crate::store::audit::{Actor, Audit, Deed};
use crate::store::repositories::{
    FetchToken, NewRepository, Repositories, Repository, SealError, Sealer, fetch_context, hook_context,
};

pub use ports::{MirrorFolders, StoredCredentials};

/// Shortest secret of a hook that is taken.
const SECRET_CHARACTERS_MIN: usize = 16;
/// Random bytes of a generated one.
const SECRET_BYTES: usize = 32;

/// A repository to register, or to change.
#[derive(Debug, Clone)]
pub struct Registration {
    /// What sends its hooks.
    pub forge: Forge,
    /// `owner/name`; on GitLab, Gitea and Forgejo groups may lie in groups.
    pub full_name: String,
    /// Where it is fetched from.
    pub url: RemoteUrl,
    /// The secret of its hook. `None` keeps the one it has, or makes one.
    pub secret: Option<Secret>,
    /// User and token that fetch it. `None` keeps those it has.
    pub fetch: Option<(String, Secret)>,
    /// Who registers it.
    pub by: Actor,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Its number.
    pub id: u64,
    /// The secret, if one was made: nobody can be shown it again.
    pub made: Option<Secret>,
    /// Whether it was registered before.
    pub known: bool,
}

/// Why a repository is not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// The name has a form that no forge gives.
    #[error("`{0}` is no name of a repository: owner/name, of letters, digits, `-`, `_` and `.`")]
    Name(String),
    /// The secret could be guessed.
    #[error("the secret has {0} characters; anybody could guess one of less than {SECRET_CHARACTERS_MIN}")]
    ShortSecret(usize),
    /// A token would not be sent there, or could be read on the way.
    #[error("a token is sent over https only, and {0} is not")]
    TokenNeedsHttps(RemoteUrl),
    /// No secret can be made.
    #[error("make a secret: {0}")]
    Random(#[from] std::io::Error),
    /// Nothing can be sealed.
    #[error("seal a secret: {0}")]
    Sealed(#[from] SealError),
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Registers and forgets.
#[derive(Debug, Clone)]
pub struct Registrar {
    /// Where they are kept.
    pub repositories: Repositories,
    /// Seals secrets.
    pub sealer: Arc<dyn Sealer>,
    /// Remembers who did it.
    pub audit: Audit,
}

impl Registrar {
    /// Registers a repository, or changes one.
    ///
    /// # Errors
    /// It is refused; nothing was written.
    pub async fn add(&self, new: Registration, now: Timestamp) -> Result<Registered, RegistrationError> {
        let Registration { forge, full_name, url, secret, fetch, by } = new;
        if !is_name(forge, &full_name) {
            return Err(RegistrationError::Name(full_name));
        }
        if let Some(short) = secret.as_ref().map(|secret| secret.expose().chars().count())
            && short < SECRET_CHARACTERS_MIN
        {
            return Err(RegistrationError::ShortSecret(short));
        }
        let before = self.repositories.find(forge, &full_name).await?;
        let known = before.is_some();
        // A token goes where it was meant for; another host has to be given one of its own.
        let same_host = before.as_ref().and_then(|before| RemoteUrl::parse(&before.url).ok());
        let same_host = same_host.is_some_and(|before| before.web_host() == url.web_host());
        let (kept, kept_fetch) = before.map(|before| (before.secret, before.fetch)).unzip();
        let made = if secret.is_none() && kept.is_none() { Some(make_secret()?) } else { None };
        let sealed = match secret.as_ref().or(made.as_ref()) {
            Some(secret) => self.sealer.seal(&hook_context(forge, &full_name), secret)?,
            None => kept.unwrap_or_default(),
        };
        let fetch = match fetch {
            Some(_) if url.transport() != Transport::Https => return Err(RegistrationError::TokenNeedsHttps(url)),
            Some((user, token)) => {
                Some(FetchToken { user, token: self.sealer.seal(&fetch_context(forge, &full_name), &token)? })
            }
            None => kept_fetch.flatten().filter(|_| same_host),
        };
        let detail = json!({
            "forge": forge, "url": url.as_str(), "token": fetch.is_some(), "new_secret": secret.is_some() || made.is_some(),
        });
        let target = full_name.clone();
        let row = NewRepository { forge, full_name, url: url.to_string(), secret: sealed, fetch, created_at: now };
        let id = self.repositories.put(row).await?;
        self.audit.record(Deed { actor: by, what: "repository.add", target, detail }).await?;
        Ok(Registered { id, made, known })
    }

    /// Forgets a repository. Its runs stay.
    ///
    /// # Errors
    /// The store said no.
    pub async fn remove(&self, repository: &Repository, by: Actor) -> Result<bool, StoreError> {
        let removed = self.repositories.remove(repository.forge, &repository.full_name).await?;
        if removed {
            let (target, detail) = (repository.full_name.clone(), json!({ "forge": repository.forge }));
            self.audit.record(Deed { actor: by, what: "repository.remove", target, detail }).await?;
        }
        Ok(removed)
    }
}

fn make_secret() -> std::io::Result<Secret> {
    use std::fmt::Write as _;
    let bytes = random::<SECRET_BYTES>()?;
    Ok(Secret::new(bytes.iter().fold(String::new(), |mut text, byte| {
        let _cannot_fail = write!(text, "{byte:02x}");
        text
    })))
}

fn is_name(forge: Forge, full_name: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['-', '.'])
            && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
    };
    let count = full_name.split('/').count();
    let depth = match forge {
        Forge::Github => count == 2,
        Forge::Gitea | Forge::Forgejo | Forge::Gitlab | Forge::Push => (2..=20).contains(&count),
    };
    depth && full_name.len() <= 400 && full_name.split('/').all(plain)
}

/// What a URL's host most likely is; `None` where nobody can tell.
#[must_use]
pub fn guess_forge(url: &RemoteUrl) -> Option<Forge> {
    if url.transport() == Transport::File {
        return Some(Forge::Push);
    }
    let text = url.as_str();
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    // `git@host:path` ends at the colon; a port has a host before it.
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host).to_ascii_lowercase();
    let first = host.split('.').next().unwrap_or_default();
    match (host.as_str(), first) {
        ("github.com", _) | (_, "github") => Some(Forge::Github),
        ("gitlab.com", _) | (_, "gitlab") => Some(Forge::Gitlab),
        ("codeberg.org", _) | (_, "forgejo") => Some(Forge::Forgejo),
        ("gitea.com", _) | (_, "gitea") => Some(Forge::Gitea),
        (_, _) => None,
    }
}

/// What is entered at the forge beside URL and secret: field and value, in the forge's own words.
#[must_use]
pub fn forge_fields(forge: Forge) -> &'static [(&'static str, &'static str)] {
    match forge {
        Forge::Github => &[
            ("Where", "Settings > Webhooks > Add webhook"),
            ("Content type", "application/json"),
            ("SSL verification", "Enable"),
            (
                "Events",
                "Let me select: Pushes, Pull requests, Branch or tag creation, Branch or tag deletion, Releases, \
                 Issue comments, Check runs, Repository dispatches",
            ),
        ],
        Forge::Gitea | Forge::Forgejo => &[
            ("Where", "Settings > Webhooks > Add Webhook > Gitea or Forgejo"),
            ("HTTP Method", "POST"),
            ("POST Content Type", "application/json"),
            ("Trigger On", "Custom Events: Create, Delete, Push, Issue Comment, Pull Request (all), Release"),
            ("Branch filter", "*"),
        ],
        Forge::Gitlab => &[
            ("Where", "Settings > Webhooks > Add new webhook; the secret is entered as `Secret token`"),
            ("Trigger", "Push events (all branches), Tag push events, Comments, Merge request events, Releases events"),
            ("SSL verification", "Enable SSL verification"),
        ],
        Forge::Push => &[("Where", "on the machine with the bare repository, by `pipe hook install`")],
    }
}
