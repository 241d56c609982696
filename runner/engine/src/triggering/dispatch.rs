//! Dispatches that a person or a program asks for here: a workflow by hand with its inputs, and `repository_dispatch`.
//!
//! Follows <https://docs.github.com/en/rest/actions/workflows#create-a-workflow-dispatch-event> and
//! <https://docs.github.com/en/rest/repos/repos#create-a-repository-dispatch-event>.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};
use workflow::diagnostic::suggest;
use workflow::event::{Event, EventError, Forge, GitRef};
use workflow::trigger::{TriggerDecision, decide};

use super::{Found, Place, Triggering, complete, workflows};
use crate::mirror::{CommitText, MirrorError, Wanted, default_branch};
use crate::service::{RunSpec, Trust};
use crate::store::StoreError;

/// GitHub's limits of a `repository_dispatch`.
const EVENT_TYPE_CHARACTERS_MAX: usize = 100;
const PAYLOAD_KEYS_MAX: usize = 10;
const PAYLOAD_BYTES_MAX: usize = 64 * 1_024;

/// A workflow to run by hand.
#[derive(Debug, Clone, PartialEq)]
pub struct DispatchOrder {
    /// What the repository lies on; needed only where several forges have one of this name.
    pub forge: Option<Forge>,
    /// `owner/name`, as registered.
    pub repository: String,
    /// The workflow's path, its file's name, or its `name:`.
    pub workflow: String,
    /// A branch or tag, short or full; the default branch where absent.
    pub git_ref: Option<String>,
    /// Inputs by name, texts or typed.
    pub inputs: Map<String, Json>,
    /// Who asks.
    pub actor: String,
}

/// An event of the sender's own kind.
#[derive(Debug, Clone, PartialEq)]
pub struct RepositoryDispatchOrder {
    /// What the repository lies on; needed only where several forges have one of this name.
    pub forge: Option<Forge>,
    /// `owner/name`, as registered.
    pub repository: String,
    /// `types:` of the workflows that it starts.
    pub event_type: String,
    /// `github.event.client_payload`.
    pub client_payload: Map<String, Json>,
    /// Who asks.
    pub actor: String,
}

/// Why there is no run.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// No such repository here.
    #[error("{0} is not registered")]
    NotRegistered(String),
    /// Several forges have one.
    #[error("{0} is registered on several forges; say which one")]
    Ambiguous(String),
    /// The name is no branch's and no tag's.
    #[error("No ref found for: {0}")]
    NoSuchRef(String),
    /// The commit has no such workflow.
    #[error("there is no workflow `{name}` at this commit{}", near(meant.as_ref()))]
    NoSuchWorkflow {
        /// As asked for.
        name: String,
        /// One with a name like it.
        meant: Option<String>,
    },
    /// Its `on:` does not list the event.
    #[error("Workflow does not have 'workflow_dispatch' trigger")]
    NotDispatchable,
    /// Inputs are wrong; one sentence each.
    #[error("{}", .0.join("; "))]
    Refused(Vec<String>),
    /// The file cannot be read; rendered diagnostics.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
    /// The repository cannot be had.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was asked makes no event.
    #[error(transparent)]
    Event(#[from] EventError),
}

fn near(meant: Option<&String>) -> String {
    meant.map_or_else(String::new, |meant| format!(", did you mean `{meant}`?"))
}

impl Triggering {
    /// The run of a workflow that somebody asks for by hand.
    ///
    /// # Errors
    /// There is none, and why; nothing was stored.
    pub async fn dispatch(&self, order: DispatchOrder) -> Result<RunSpec, DispatchError> {
        let place = self.place(order.forge, &order.repository).await?;
        let git_ref = self.wanted_ref(&place, order.git_ref.as_deref()).await?;
        let (repository, actions) = (place.repository.clone(), Arc::clone(&self.actions));
        let reading = self.mirrors.read(place.origin.id, move |git| {
            let commit = CommitText::tip(git, &git_ref)?;
            let mut payload = base(&repository.full_name, &repository.url, &default_branch(git), &order.actor);
            payload.insert("ref".to_owned(), json!(git_ref.as_str()));
            payload.insert("inputs".to_owned(), Json::Object(order.inputs));
            let read = workflows::read(git, &commit.id, &actions)?;
            Ok(dispatched(&repository, &read, &order.workflow, payload, commit))
        });
        reading.await?
    }

    /// The runs that an event of the sender's own kind starts, on the default branch.
    ///
    /// # Errors
    /// It is refused, or the repository cannot be had.
    pub async fn repository_dispatch(
        &self,
        order: RepositoryDispatchOrder,
        now: Timestamp,
    ) -> Result<Found, DispatchError> {
        let refuse = |text: String| Err(DispatchError::Refused(vec![text]));
        let characters = order.event_type.chars().count();
        if characters == 0 || characters > EVENT_TYPE_CHARACTERS_MAX {
            return refuse(format!("event_type must have 1 to {EVENT_TYPE_CHARACTERS_MAX} characters"));
        }
        if order.client_payload.len() > PAYLOAD_KEYS_MAX {
            return refuse(format!("client_payload may have {PAYLOAD_KEYS_MAX} properties"));
        }
        let client_payload = Json::Object(order.client_payload);
        if client_payload.to_string().len() > PAYLOAD_BYTES_MAX {
            return refuse(format!("client_payload may have {PAYLOAD_BYTES_MAX} bytes"));
        }
        let place = self.place(order.forge, &order.repository).await?;
        let branch = self.wanted_ref(&place, None).await?;
        let mut payload = base(&place.repository.full_name, &place.repository.url, branch.short(), &order.actor);
        payload.insert("action".to_owned(), json!(order.event_type));
        payload.insert("branch".to_owned(), json!(branch.short()));
        payload.insert("client_payload".to_owned(), client_payload);
        let event = Event::parse_own("repository_dispatch", Json::Object(payload))?;
        match self.complete(&place, event).await? {
            complete::Completed::Event(event) => Ok(self.start(&place, event, now).await?),
            complete::Completed::Nothing(reason) => Ok(Found::Nothing(reason)),
        }
    }

    pub(super) async fn place(&self, forge: Option<Forge>, repository: &str) -> Result<Place, DispatchError> {
        let forges = Forge::ALL.into_iter().filter(|one| forge.is_none_or(|forge| forge == *one));
        let mut found = None;
        for forge in forges {
            if let Some(known) = self.repositories.find(forge, repository).await?
                && found.replace(known).is_some()
            {
                return Err(DispatchError::Ambiguous(repository.to_owned()));
            }
        }
        let known = found.ok_or_else(|| DispatchError::NotRegistered(repository.to_owned()))?;
        Ok(Place::of(known)?)
    }

    /// A branch or tag by its name, a branch first, as of now.
    pub(super) async fn wanted_ref(&self, place: &Place, name: Option<&str>) -> Result<GitRef, DispatchError> {
        let Some(candidates) = candidates(name) else {
            let facts = self.mirrors.refresh(&place.origin).await?;
            let branch = facts.default_branch.unwrap_or_else(|| "main".to_owned());
            return GitRef::branch(&branch).ok_or(DispatchError::NoSuchRef(branch));
        };
        for candidate in candidates {
            let wanted = Wanted { refs: vec![candidate.clone().into()], ..Wanted::default() };
            match self.mirrors.bring(&place.origin, wanted).await {
                Ok(()) => return Ok(candidate),
                Err(MirrorError::NoSuchRef(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(DispatchError::NoSuchRef(name.unwrap_or_default().to_owned()))
    }
}

/// What a name may mean, a branch first; nothing where the default branch is meant.
pub(super) fn candidates(name: Option<&str>) -> Option<Vec<GitRef>> {
    let name = name?;
    let all = if name.starts_with("refs/") {
        vec![GitRef::parse(name)]
    } else {
        vec![GitRef::branch(name), GitRef::tag(name)]
    };
    Some(all.into_iter().flatten().collect())
}

fn dispatched(
    repository: &crate::store::repositories::Repository,
    read: &[workflows::ReadWorkflow],
    name: &str,
    mut payload: Map<String, Json>,
    commit: CommitText,
) -> Result<RunSpec, DispatchError> {
    let Some(found) = meant(read, name) else {
        let names = read.iter().filter_map(|one| one.path.rsplit('/').next());
        let meant = suggest(name, names).map(str::to_owned);
        return Err(DispatchError::NoSuchWorkflow { name: name.to_owned(), meant });
    };
    let workflow = found.workflow.as_ref().map_err(|told| DispatchError::Invalid(told.clone()))?;
    if !workflow.on.entries.contains_key("workflow_dispatch") {
        return Err(DispatchError::NotDispatchable);
    }
    payload.insert("workflow".to_owned(), json!(found.path));
    let mut event = Event::parse_own("workflow_dispatch", Json::Object(payload))?.with_sha(commit.id);
    event.head_message = Some(commit.message);
    match decide(workflow, &std::sync::Arc::new(event)) {
        TriggerDecision::DoesNotRun(reasons) => {
            Err(DispatchError::Refused(reasons.iter().map(ToString::to_string).collect()))
        }
        TriggerDecision::Runs { event, inputs } => {
            let event = Event::clone(&event);
            let mut spec = RunSpec::new(repository.forge, event, &found.path, found.sources.clone());
            repository.full_name.clone_into(&mut spec.repository);
            spec.inputs = Json::Object(inputs);
            spec.trust = Trust::Trusted;
            Ok(spec)
        }
    }
}

/// By path, then by file name, then by `name:`.
fn meant<'read>(read: &'read [workflows::ReadWorkflow], name: &str) -> Option<&'read workflows::ReadWorkflow> {
    let by_path = read.iter().find(|one| one.path == name.trim_start_matches("./"));
    let by_file = || read.iter().find(|one| one.path.rsplit('/').next() == Some(name));
    let is_named = |one: &&workflows::ReadWorkflow| {
        one.workflow.as_ref().is_ok_and(|workflow| workflow.name.as_ref().is_some_and(|found| found.value == name))
    };
    by_path.or_else(by_file).or_else(|| read.iter().find(is_named))
}

/// What every payload has: the repository, and who sent it.
pub(super) fn base(full_name: &str, url: &str, default_branch: &str, actor: &str) -> Map<String, Json> {
    let (owner, name) = full_name.rsplit_once('/').unwrap_or(("", full_name));
    let page = url.strip_suffix(".git").filter(|url| url.starts_with("http"));
    let repository = json!({
        "name": name, "full_name": full_name, "owner": { "login": owner }, "default_branch": default_branch,
        "html_url": page, "clone_url": url, "git_url": url,
    });
    let mut payload = Map::new();
    payload.insert("repository".to_owned(), repository);
    payload.insert("sender".to_owned(), json!({ "login": actor }));
    payload
}
