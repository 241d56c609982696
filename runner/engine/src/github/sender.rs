//! Brings reports to a forge: looks before it makes what may be there already, and reads refusals as they are meant.
//!
//! Gitea and Forgejo have GitHub's addresses for statuses and comments and nothing for the rest; GitLab has its own for
//! statuses. See <https://docs.github.com/en/rest>, <https://docs.gitea.com/api/>, <https://docs.gitlab.com/api/commits/>.

mod check;
mod comment;
mod deployment;
mod status;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hyper::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::Value as Json;

use super::client::{Answer, ApiSettings, Client, NoAnswer};
use super::report::{Envelope, Report};
use crate::outbound::OutboundError;
use crate::reporting::{Outcome, Scope, Target};
use crate::store::outbox::{Message, NewMessage, Outbox};

/// How long GitHub is left alone when it says that there was too much and not how long.
const TOO_MUCH: Duration = Duration::from_mins(1);
/// How long a credential that was not taken is not tried again.
const UNAUTHORISED: Duration = Duration::from_mins(5);
/// How long a repository gets no checks after the token was found to lack the right.
const WITHOUT_RIGHT: Duration = Duration::from_hours(1);

/// Which API it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// GitHub, or GitHub Enterprise.
    Github,
    /// Gitea or Forgejo.
    Gitea,
    /// GitLab.
    Gitlab,
}

/// The way to one forge.
#[derive(Debug)]
pub struct Sender {
    name: String,
    flavour: Flavour,
    client: Client,
    /// Kinds that a repository does not take from this credential, and since when that is known.
    without_right: Mutex<HashMap<(String, &'static str), Timestamp>>,
}

impl Sender {
    /// A sender by the target's name in the outbox.
    ///
    /// # Errors
    /// The address is none, or TLS cannot be used.
    pub fn new(name: &str, flavour: Flavour, api: ApiSettings) -> Result<Self, OutboundError> {
        Ok(Self { name: name.to_owned(), flavour, client: Client::new(api)?, without_right: Mutex::default() })
    }

    /// The message that brings a report to the target of this name.
    #[must_use]
    pub fn message(target: &str, envelope: &Envelope) -> NewMessage {
        let (report, place) = (&envelope.report, format!("{} {}", envelope.repository, envelope.commit));
        NewMessage {
            target: target.to_owned(),
            kind: report.kind().to_owned(),
            subject: format!("{place} {}", report.subject()),
            lane: place,
            replaces: !matches!(report, Report::Deployment(_)),
            at_most: None,
            body: serde_json::to_string(envelope).expect("texts and numbers can be written as JSON"),
        }
    }

    /// Whether the credential is known to lack the right.
    fn lacks_right(&self, repository: &str, kind: &'static str) -> bool {
        let known = self.without_right.lock().unwrap_or_else(PoisonError::into_inner);
        let since = known.get(&(repository.to_owned(), kind));
        since.is_some_and(|since| Timestamp::now().duration_since(*since).unsigned_abs() < WITHOUT_RIGHT)
    }

    /// The credential may not do this: said once an hour, then left out, so that statuses go on.
    fn without_right(&self, repository: &str, kind: &'static str, problem: &str) -> Outcome {
        let mut known = self.without_right.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((repository.to_owned(), kind), Timestamp::now());
        let target = &self.name;
        tracing::warn!(target, repository, kind, problem, "the credential may not do this; it is left out for an hour");
        Outcome::Unwanted
    }
}

#[async_trait]
impl Target for Sender {
    async fn send(&self, message: &Message, outbox: &Outbox) -> Outcome {
        let envelope: Envelope = match serde_json::from_str(&message.body) {
            Ok(envelope) => envelope,
            Err(error) => return Outcome::Refused { problem: format!("it cannot be read: {error}"), for_now: false },
        };
        let Some((owner, name)) = envelope.repository.split_once('/').filter(|_| is_safe(&envelope)) else {
            let problem = "its repository or commit is no name".to_owned();
            return Outcome::Refused { problem, for_now: false };
        };
        let attempt = Attempt { sender: self, message, outbox, envelope: &envelope, owner, name };
        let has_all = self.flavour == Flavour::Github;
        let has_comments = has_all || self.flavour == Flavour::Gitea;
        let kind = envelope.report.kind();
        if self.lacks_right(&envelope.repository, kind) {
            return Outcome::Unwanted;
        }
        let sent = match &envelope.report {
            Report::Status(status) if self.flavour == Flavour::Gitlab => status::send_to_gitlab(&attempt, status).await,
            Report::Status(status) => status::send(&attempt, status).await,
            Report::Check(check) if has_all => check::send(&attempt, check).await,
            Report::Deployment(deployment) if has_all => deployment::send(&attempt, deployment).await,
            Report::DeploymentStatus(status) if has_all => deployment::send_status(&attempt, status).await,
            Report::Comment(comment) if has_comments => comment::send(&attempt, comment).await,
            Report::Check(_) | Report::Deployment(_) | Report::DeploymentStatus(_) | Report::Comment(_) => {
                Ok(Outcome::Unwanted)
            }
        };
        match sent {
            Ok(outcome) => outcome,
            // A status is the least that is wanted; a credential that may not even do that is a mistake to be seen.
            Err(Failed { outcome, forbidden: Some(problem) }) => match envelope.report {
                Report::Status(_) => outcome,
                Report::Check(_) | Report::Deployment(_) | Report::DeploymentStatus(_) | Report::Comment(_) => {
                    self.without_right(&envelope.repository, kind, &problem)
                }
            },
            Err(Failed { outcome, forbidden: None }) => outcome,
        }
    }
}

/// Names become parts of addresses.
fn is_safe(envelope: &Envelope) -> bool {
    let part = |text: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !text.is_empty() && text.chars().all(known) && text != "." && text != ".."
    };
    envelope.repository.split('/').all(part)
        && !envelope.commit.is_empty()
        && envelope.commit.chars().all(|c| c.is_ascii_hexdigit())
}

/// One attempt at one message.
struct Attempt<'a> {
    sender: &'a Sender,
    message: &'a Message,
    outbox: &'a Outbox,
    envelope: &'a Envelope,
    owner: &'a str,
    name: &'a str,
}

/// An attempt that went no further.
struct Failed {
    outcome: Outcome,
    /// What was said where the credential lacks a right.
    forbidden: Option<String>,
}

impl From<Outcome> for Failed {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, forbidden: None }
    }
}

impl Attempt<'_> {
    async fn get(&self, path: &str) -> Result<Json, Failed> {
        self.request(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: &Json) -> Result<Json, Failed> {
        self.request(Method::POST, path, Some(body)).await
    }

    async fn patch(&self, path: &str, body: &Json) -> Result<Json, Failed> {
        self.request(Method::PATCH, path, Some(body)).await
    }

    /// The body of an answer that is none of a refusal.
    async fn request(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Json, Failed> {
        match self.sender.client.request(method, self.owner, self.name, path, body).await {
            Ok(answer) if answer.status.is_success() => Ok(answer.body),
            Ok(answer) => Err(refused(&answer)),
            Err(NoAnswer::Unreachable(problem)) => {
                Err(Outcome::Later { problem, after: None, scope: Scope::Lane, uncertain: true }.into())
            }
            Err(NoAnswer::Unauthorised { status, after, problem }) => {
                // Nothing was sent. An installation that is missing may be made; until then others are not held up.
                let after =
                    after.or_else(|| status.is_some_and(|status| status.is_client_error()).then_some(UNAUTHORISED));
                Err(Outcome::Later { problem, after, scope: Scope::Owner, uncertain: false }.into())
            }
        }
    }

    /// `/repos/OWNER/NAME` and what follows.
    fn repository_path(&self, rest: &str) -> String {
        format!("/repos/{}/{}{rest}", self.owner, self.name)
    }

    /// What the forge calls what messages of this subject made, as far as we were told.
    async fn remote(&self) -> Result<Option<String>, Failed> {
        let known = self.outbox.remote(&self.message.target, &self.message.subject).await;
        known.map_err(|error| {
            let problem = error.to_string();
            Outcome::Later { problem, after: None, scope: Scope::Lane, uncertain: false }.into()
        })
    }
}

/// What a refusal means.
fn refused(answer: &Answer) -> Failed {
    let problem = answer.problem();
    let asked = answer.asked_delay(Timestamp::now());
    let message = answer.body["message"].as_str().unwrap_or_default().to_ascii_lowercase();
    let too_much = asked.is_some() || message.contains("rate limit") || message.contains("abuse detection");
    let later = |after, scope, uncertain| Outcome::Later { problem: problem.clone(), after, scope, uncertain }.into();
    match answer.status {
        StatusCode::TOO_MANY_REQUESTS => later(asked.or(Some(TOO_MUCH)), Scope::Owner, false),
        StatusCode::FORBIDDEN if too_much => later(asked.or(Some(TOO_MUCH)), Scope::Owner, false),
        StatusCode::FORBIDDEN => {
            Failed { outcome: Outcome::Refused { problem: problem.clone(), for_now: false }, forbidden: Some(problem) }
        }
        StatusCode::UNAUTHORIZED => later(asked.or(Some(UNAUTHORISED)), Scope::Owner, false),
        StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::LOCKED => later(asked, Scope::Lane, true),
        status if status.is_server_error() => {
            // A server that says when to come back means everybody.
            let scope = if asked.is_some() { Scope::Owner } else { Scope::Lane };
            later(asked, scope, true)
        }
        // A commit that was pushed a moment ago may not be known everywhere.
        StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => {
            Outcome::Refused { problem: problem.clone(), for_now: true }.into()
        }
        _ => Outcome::Refused { problem: problem.clone(), for_now: false }.into(),
    }
}

/// A text as a part of an address.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The number or text by which the forge names a thing.
fn id_of(thing: &Json) -> Option<String> {
    match &thing["id"] {
        Json::Number(id) => Some(id.to_string()),
        Json::String(id) => Some(id.clone()),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}
