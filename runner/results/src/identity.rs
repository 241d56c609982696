//! Identity tokens of the job: `ACTIONS_ID_TOKEN_REQUEST_URL`, as `@actions/core` asks it, and the two public documents.
//! See <https://github.com/actions/toolkit/blob/main/packages/core/src/oidc-utils.ts>.

use std::sync::Arc;

use engine::issuer::{Issuer, TokenError, TokenFor};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde_json::json;
use workflow::model::PermissionLevel;

use crate::answer::{Answer, json as answer_json};
use crate::job::Job;
use crate::twirp::{Fault, blocking};

/// Where a token is asked for.
pub(crate) const TOKEN: &str = "/oidc/token";
/// Characters of an audience.
const AUDIENCE_CHARS_MAX: usize = 1_000;

/// Who issues tokens of jobs.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Makes them.
    pub issuer: Issuer,
    /// Its name, where it has one that others can reach: `https://ci.example`. Otherwise it is the job's own address.
    pub name: Option<String>,
}

impl Identity {
    fn name(&self, job: &Job) -> String {
        self.name.clone().unwrap_or_else(|| job.facts.origin.clone())
    }
}

/// Why a job gets no token; `None`: it does.
pub(crate) fn refusal(job: &Job) -> Option<&'static str> {
    let given = job.facts.permissions.as_ref().map_or(PermissionLevel::None, |given| given.level("id-token"));
    if job.identity.is_none() {
        return Some("identity tokens are not issued here");
    }
    if given != PermissionLevel::Write {
        return Some("the job may not ask for identity tokens: it needs `permissions: id-token: write`");
    }
    (!job.facts.trusted).then_some("a run of a fork gets no identity tokens, whatever its `permissions:` say")
}

/// The variables of all steps of a job that may ask.
pub(crate) fn variables(job: &Job) -> Vec<(String, String)> {
    if refusal(job).is_some() {
        return Vec::new();
    }
    // Clients add `&audience=`.
    let url = format!("{}{TOKEN}?api-version=2.0", job.facts.origin);
    vec![
        ("ACTIONS_ID_TOKEN_REQUEST_URL".to_owned(), url),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN".to_owned(), job.keys.request.clone()),
    ]
}

/// A token, for whoever has the job's word for it.
pub(crate) async fn token(job: &Arc<Job>, given: Option<&str>, request: &Request<Incoming>) -> Result<Answer, Fault> {
    let given = given.unwrap_or_default();
    let may_ask = job.keys.is_request_token(given);
    if !may_ask && !job.keys.is_token(given) {
        return Err(Fault::unauthenticated());
    }
    if let Some(why) = refusal(job) {
        return Err(Fault::denied(why));
    }
    if !may_ask {
        return Err(Fault::denied("ask with ACTIONS_ID_TOKEN_REQUEST_TOKEN, not with the token of other services"));
    }
    if request.method() != Method::GET {
        return Err(Fault::invalid("a token is got with GET"));
    }
    let query = request.uri().query().unwrap_or_default();
    let asked: Vec<String> = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "audience")
        .map(|(_, value)| value.into_owned())
        .collect();
    let audience = match &asked[..] {
        [] => audience(job),
        [one] if one.is_empty() => audience(job),
        [one] if one.chars().count() <= AUDIENCE_CHARS_MAX => one.clone(),
        [_] => return Err(Fault::invalid(format!("`audience` has more than {AUDIENCE_CHARS_MAX} characters"))),
        [..] => return Err(Fault::invalid("`audience` is given more than once")),
    };
    let job = Arc::clone(job);
    let token = blocking(move || {
        let identity = job.identity.as_ref().ok_or_else(|| Fault::denied("identity tokens are not issued here"))?;
        let whose =
            TokenFor { github: &job.facts.github, environment: job.facts.environment.as_deref(), audience: &audience };
        let token = identity.issuer.token(&identity.name(&job), whose).map_err(|error| match error {
            TokenError::Lacking(lacking) => Fault::denied(lacking.to_string()),
            TokenError::Keys(error) => Fault::internal(error),
        })?;
        // A process that takes the job up hides it too.
        let _long_enough = job.facts.masker.add_signed(token.expose());
        Ok(token)
    });
    let token = token.await?;
    Ok(answer_json(StatusCode::OK, &json!({ "count": 1, "value": token.expose() })))
}

/// Whom a token is for that names nobody, as GitHub has it.
fn audience(job: &Job) -> String {
    let text = |name: &str| job.facts.github[name].as_str().unwrap_or_default();
    let owner = match text("repository_owner") {
        "" => job.facts.repository.name.split('/').next().unwrap_or_default(),
        owner => owner,
    };
    let server = text("server_url");
    format!("{}/{owner}", if server.is_empty() { "https://github.com" } else { server })
}

/// The description of the issuer, and its keys: there is nothing secret in them.
pub(crate) async fn document(job: &Arc<Job>, path: &str) -> Option<Result<Answer, Fault>> {
    let identity = job.identity.clone()?;
    let value = match path {
        engine::issuer::DISCOVERY => Ok(identity.issuer.discovery(&identity.name(job))),
        engine::issuer::JWKS => blocking(move || identity.issuer.jwks().map_err(Fault::internal)).await,
        _ => return None,
    };
    Some(value.map(|value| answer_json(StatusCode::OK, &value)))
}
