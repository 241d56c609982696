//! Events that come late: pushes whose ref has gone on since, events of a pull request that has gone on.
//!
//! Forges send hooks side by side and again after a failure, so that an older one may come after a newer one. What is newer
//! is not a matter of when it came: a push is older than another one if that one's commit is where the ref is now, if
//! `before` leads from the other one back to it, or if the other one's commit has it among its ancestors. A late event
//! still makes its runs; they know which runs are newer, and give way to them in concurrency groups.

use std::collections::HashSet;

use git2::{Oid, Repository as Git};
use jiff::Timestamp;
use serde_json::Value as Json;
use workflow::event::{Event, EventName, GitRef};

use super::{Place, Triggering};
use crate::mirror::{CommitText, MirrorError, Wanted};
use crate::store::{RefOf, RunId, StoreError};

/// Where an event stands among others of its ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// Behind none of these runs.
    Newest,
    /// Behind these runs, newest first.
    Behind(Vec<RunId>),
    /// Its ref is gone.
    Gone,
}

/// An event, as far as its order matters.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    sha: String,
    before: Option<String>,
    /// Of a pull request: its number, what happened, when.
    pull: Option<(u64, String, Option<Timestamp>)>,
}

impl Seen {
    fn of(event: &Event) -> Option<Self> {
        let text = |pointer: &str| event.payload.pointer(pointer).and_then(Json::as_str);
        let pull = event.pull_request.as_ref().map(|pull| {
            let at = text("/pull_request/updated_at").or_else(|| text("/object_attributes/updated_at"));
            (pull.number, event.action.clone().unwrap_or_default(), at.and_then(|at| at.parse().ok()))
        });
        let head = event.pull_request.as_ref().and_then(|pull| pull.head_sha.clone());
        Some(Self { sha: head.or_else(|| event.sha.clone())?, before: event.before.clone(), pull })
    }
}

impl Triggering {
    /// Where an event stands whose commit is in the mirror.
    pub(super) async fn order(&self, place: &Place, event: &Event) -> Result<Order, StoreError> {
        let is_push = event.name == EventName::Push;
        if !is_push && !matches!(event.name, EventName::PullRequest | EventName::PullRequestTarget) {
            return Ok(Order::Newest);
        }
        let Some(this) = Seen::of(event) else { return Ok(Order::Newest) };
        let mut tip = None;
        if is_push {
            tip = self.tip(place, &event.git_ref).await;
            if tip.as_ref() != Some(&this.sha) {
                // The mirror may be older than the event.
                if self.is_gone(place, &event.git_ref).await.unwrap_or(false) {
                    return Ok(Order::Gone);
                }
                tip = self.tip(place, &event.git_ref).await;
            }
            if tip.as_ref() == Some(&this.sha) {
                return Ok(Order::Newest);
            }
        }
        let others = self.others(place, event).await?;
        if others.is_empty() {
            return Ok(Order::Newest);
        }
        let compared = self.mirrors.read(place.origin.id, move |git| {
            let all: Vec<&Seen> = others.iter().map(|(_, seen)| seen).collect();
            let newer = others.iter().filter(|(_, other)| is_newer(git, other, &this, &all, tip.as_deref()));
            Ok(newer.map(|(run, _)| *run).collect::<Vec<_>>())
        });
        // What cannot be compared is taken as it came.
        let newer = compared.await.unwrap_or_default();
        Ok(if newer.is_empty() { Order::Newest } else { Order::Behind(newer) })
    }

    /// Whether a ref is in the remote repository no more; asks it.
    pub(super) async fn is_gone(&self, place: &Place, name: &GitRef) -> Result<bool, MirrorError> {
        let wanted = Wanted { refs: vec![name.clone().into()], ..Wanted::default() };
        match self.mirrors.bring(&place.origin, wanted).await {
            Ok(()) => Ok(false),
            Err(MirrorError::NoSuchRef(_) | MirrorError::Empty) => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn tip(&self, place: &Place, name: &GitRef) -> Option<String> {
        let name = name.clone();
        let tip = self.mirrors.read(place.origin.id, move |git| CommitText::tip(git, &name)).await;
        tip.ok().map(|commit| commit.id)
    }

    /// The runs of the same ref by the same kind of event that were made before.
    async fn others(&self, place: &Place, event: &Event) -> Result<Vec<(RunId, Seen)>, StoreError> {
        let repository = place.repository.full_name.clone();
        let of = RefOf { forge: place.repository.forge, repository, git_ref: event.git_ref.to_string() };
        let mut others = Vec::new();
        for run in self.store.runs_of_ref(of, event.name.as_str()).await? {
            let spec = self.store.spec(run).await?;
            others.extend(spec.and_then(|spec| Some((run, Seen::of(&spec.event)?))));
        }
        Ok(others)
    }
}

/// Whether `other` happened after `this`.
fn is_newer(git: &Git, other: &Seen, this: &Seen, all: &[&Seen], tip: Option<&str>) -> bool {
    if let (Some((number, action, at)), Some((of, was, since))) = (&other.pull, &this.pull) {
        return number == of
            && match (at, since) {
                (Some(at), Some(since)) if at != since => at > since,
                // A second has room for several; what is closed is not opened, and gets no commits.
                _ => {
                    (action == "closed" && matches!(was.as_str(), "opened" | "synchronize"))
                        || is_descendant(git, &other.sha, &this.sha)
                }
            };
    }
    if other.sha == this.sha || leads_to(this, all).contains(other.sha.as_str()) {
        return false;
    }
    tip == Some(other.sha.as_str())
        || leads_to(other, all).contains(this.sha.as_str())
        || is_descendant(git, &other.sha, &this.sha)
}

/// The commits that a ref had before a push, as far as pushes tell.
fn leads_to<'a>(push: &'a Seen, all: &[&'a Seen]) -> HashSet<&'a str> {
    let (mut known, mut open) = (HashSet::new(), vec![push.before.as_deref()]);
    while let Some(next) = open.pop() {
        let Some(sha) = next.filter(|sha| known.insert(*sha)) else { continue };
        open.extend(all.iter().filter(|one| one.sha == sha).map(|one| one.before.as_deref()));
    }
    known
}

fn is_descendant(git: &Git, newer: &str, older: &str) -> bool {
    let ids = Oid::from_str(newer).and_then(|newer| Ok((newer, Oid::from_str(older)?)));
    ids.and_then(|(newer, older)| git.graph_descendant_of(newer, older)).unwrap_or(false)
}
