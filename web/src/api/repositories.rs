//! Repositories: which there are, and registering and forgetting them, while the server runs or without one.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use engine::mirror::{MirrorError, Mirrors, Origin, RemoteUrl};
use engine::registration::{Registrar, Registration, RegistrationError, forge_fields, guess_forge};
use engine::store::badges::BadgesFor;
use engine::store::repositories::Repository;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use workflow::event::Forge;
use workflow::secret::Secret;

use super::answer::{self, Body, Query, done, hidden_or_none, store};
use super::not_found;
use crate::access::{self, Allowed};
use crate::site::Site;
use crate::{Problem, StoredSecrets};

/// The user that a token belongs to where nobody says: what GitHub takes for every kind of token.
const TOKEN_USER: &str = "x-access-token";

/// What registers repositories.
#[derive(Debug, Clone)]
pub struct Registry {
    /// The rules, and where they are kept.
    pub registrar: Registrar,
    /// Their copies.
    pub mirrors: Mirrors,
    /// The front door of the server that runs, to know of them at once.
    pub hooks: Option<Arc<StoredSecrets>>,
}

impl Registry {
    /// The front door takes the hooks of what is registered now.
    async fn tell(&self) -> Result<(), Problem> {
        match &self.hooks {
            Some(hooks) => hooks.refresh().await.map_err(|error| answer::unreadable(&error)),
            None => Ok(()),
        }
    }

    /// Why it cannot be fetched now, if so. It is registered all the same: an empty one will have its first push.
    async fn reach(&self, id: u64, url: RemoteUrl) -> Option<String> {
        match self.mirrors.ask(&Origin { id, url }).await {
            Ok(_) => None,
            Err(MirrorError::Empty) => {
                Some("the repository has no commit yet: the first push will be built".to_owned())
            }
            Err(error) => Some(format!("{error}; pushes fail until that is mended")),
        }
    }
}

pub(super) async fn list(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let registered = shared.repositories.all().await.map_err(|error| store(&error))?;
    let newest = shared.listing.repositories().await.map_err(|error| store(&error))?;
    let newest_of = |name: &str| newest.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, run)| run);
    let listed = registered.iter().filter(|repository| allowed.may_see(&repository.full_name)).map(|repository| {
        let mut object = object(repository);
        object["newest_run"] = json!(newest_of(&repository.full_name));
        object
    });
    answer::json(&headers, &json!({ "repositories": listed.collect::<Vec<_>>() }))
}

/// A repository and what is entered at its forge; never secrets.
pub(crate) fn object(repository: &Repository) -> Json {
    let enter = forge_fields(repository.forge).iter().map(|(field, value)| json!([field, value]));
    json!({
        "id": repository.id,
        "forge": repository.forge,
        "full_name": repository.full_name,
        "url": without_password(&repository.url),
        "token": repository.fetch.is_some(),
        "webhook_path": format!("/webhooks/{}", repository.forge),
        "enter": enter.collect::<Vec<_>>(),
    })
}

/// Somebody may have registered `https://user:password@host/`.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    pub(crate) url: String,
    pub(crate) name: Option<String>,
    pub(crate) forge: Option<String>,
    #[serde(default, deserialize_with = "hidden_or_none")]
    pub(crate) secret: Option<Secret>,
    #[serde(default, deserialize_with = "hidden_or_none")]
    pub(crate) token: Option<Secret>,
    pub(crate) token_user: Option<String>,
    #[serde(default)]
    pub(crate) offline: bool,
}

fn registry(shared: &Site) -> Result<&Registry, Problem> {
    let nowhere = "what `pipe run` left here has no repositories; they belong to a server";
    shared.api.registry.as_ref().ok_or_else(|| Problem::new(StatusCode::CONFLICT, "server", nowhere))
}

fn wrong(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "request", detail)
}

pub(super) async fn add(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::Repositories>,
    body: Body,
) -> Result<Response, Problem> {
    let (status, object) = register(&shared, &allowed, body.read()?).await?;
    Ok(done(status, &object))
}

/// Registers a repository; the one answer that holds its secret.
pub(crate) async fn register(
    shared: &Site,
    allowed: &Allowed<access::Repositories>,
    wish: Wish,
) -> Result<(StatusCode, Json), Problem> {
    allowed.of_all()?;
    let shown = without_password(&wish.url);
    let url = RemoteUrl::parse(&wish.url).map_err(|error| wrong(format!("`{shown}` cannot be used: {error}")))?;
    let forge = match &wish.forge {
        Some(name) => Some(forge(name)?),
        None => guess_forge(&url),
    };
    let forge = forge.ok_or_else(|| {
        wrong(format!(
            "nobody can tell what kind of forge {url} is: say github, gitea, forgejo, gitlab, or push for a plain \
             repository with our own hook"
        ))
    })?;
    let full_name = wish.name.or_else(|| url.full_name());
    let full_name =
        full_name.ok_or_else(|| wrong(format!("{url} does not tell the name of the repository: give owner/name")))?;
    let user = wish.token_user.unwrap_or_else(|| TOKEN_USER.to_owned());
    let new = Registration {
        forge,
        full_name: full_name.clone(),
        url: url.clone(),
        secret: wish.secret,
        fetch: wish.token.map(|token| (user, token)),
        by: allowed.actor.clone(),
    };
    let registry = registry(shared)?;
    let registered = registry.registrar.add(new, Timestamp::now()).await.map_err(|error| refused(&error))?;
    registry.tell().await?;
    let warning = if wish.offline { None } else { registry.reach(registered.id, url).await };
    let found = shared.repositories.find(forge, &full_name).await.map_err(|error| store(&error))?;
    let mut object = found.as_ref().map(object).unwrap_or_default();
    object["known"] = registered.known.into();
    object["warning"] = json!(warning);
    // The one answer that holds it; nobody can be shown it again.
    object["secret"] = json!(registered.made.as_ref().map(Secret::expose));
    let status = if registered.known { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, object))
}

fn forge(name: &str) -> Result<Forge, Problem> {
    Forge::parse(name).ok_or_else(|| wrong(format!("`{name}` is no forge: github, gitea, forgejo, gitlab or push")))
}

fn refused(error: &RegistrationError) -> Problem {
    match error {
        RegistrationError::Name(_) | RegistrationError::ShortSecret(_) | RegistrationError::TokenNeedsHttps(_) => {
            wrong(error.to_string())
        }
        RegistrationError::Random(_) | RegistrationError::Sealed(_) => answer::unreadable(error),
        RegistrationError::Store(error) => store(error),
    }
}

/// Who may see the badges of a repository.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BadgesWish {
    pub(crate) name: String,
    /// `people`, `token` or `everybody`.
    #[serde(rename = "for")]
    pub(crate) who: BadgesFor,
}

pub(super) async fn put_badges(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::Repositories>,
    body: Body,
) -> Result<Response, Problem> {
    Ok(done(StatusCode::OK, &set_badges(&shared, &allowed, body.read()?).await?))
}

/// Says who may see badges; the one answer that holds a token of them.
pub(crate) async fn set_badges(
    shared: &Site,
    allowed: &Allowed<access::Repositories>,
    wish: BadgesWish,
) -> Result<Json, Problem> {
    let all = shared.repositories.all().await.map_err(|error| store(&error))?;
    let found = all.iter().find(|one| one.full_name.eq_ignore_ascii_case(&wish.name));
    let found = found.filter(|one| allowed.may_see(&one.full_name));
    let name = &found.ok_or_else(|| not_found(format!("`{}` is not registered", wish.name)))?.full_name;
    let token = shared.badges.set(name, wish.who, allowed.actor.clone()).await.map_err(|error| store(&error))?;
    let token = token.as_ref().map(Secret::expose);
    let query = token.map(|token| format!("?token={token}")).unwrap_or_default();
    let path = format!("/badge/{name}/WORKFLOW.svg{query}");
    Ok(json!({ "name": name, "for": wish.who, "token": token, "path": path }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    name: String,
    forge: Option<String>,
}

pub(super) async fn remove(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::Repositories>,
    Query(which): Query<Which>,
) -> Result<Response, Problem> {
    Ok(done(StatusCode::OK, &forget(&shared, &allowed, &which.name, which.forge.as_deref()).await?))
}

/// Forgets a repository; its runs stay.
pub(crate) async fn forget(
    shared: &Site,
    allowed: &Allowed<access::Repositories>,
    name: &str,
    forge_name: Option<&str>,
) -> Result<Json, Problem> {
    allowed.of_all()?;
    let forge = forge_name.map(forge).transpose()?;
    let all = shared.repositories.all().await.map_err(|error| store(&error))?;
    let same =
        |one: &&Repository| one.full_name.eq_ignore_ascii_case(name) && forge.is_none_or(|forge| one.forge == forge);
    let found: Vec<&Repository> = all.iter().filter(same).collect();
    let [one] = found.as_slice() else {
        let forges: Vec<_> = found.iter().map(|one| one.forge.as_str()).collect();
        return Err(if forges.is_empty() {
            not_found(format!("`{name}` is not registered"))
        } else {
            wrong(format!("`{name}` is registered on several forges: {}; say which", forges.join(", ")))
        });
    };
    let registry = registry(shared)?;
    registry.registrar.remove(one, allowed.actor.clone()).await.map_err(|error| store(&error))?;
    registry.tell().await?;
    registry.mirrors.remove(one.id).await.map_err(|error| answer::unreadable(&error))?;
    Ok(json!({ "removed": one.full_name, "forge": one.forge }))
}
