//! An event completed by what only the repository knows: the commit, the merge of a pull request, the changed files, the
//! message of the head commit.

use std::collections::HashSet;
use std::sync::Arc;

use git2::Repository as Git;
use serde_json::{Value as Json, json};
use workflow::event::{ChangedFiles, Event, EventName, Forge, GitRef, GitRefKind, PullRequestFacts};

use super::{Place, Triggering};
use crate::mirror::{CommitText, Compared, Merged, MirrorError, RefPair, Wanted, default_branch};

/// What became of it.
#[expect(clippy::large_enum_variant, reason = "it lives for a moment")]
pub(super) enum Completed {
    /// Its `sha` is a commit of the mirror.
    Event(Event),
    /// It starts nothing, and why.
    Nothing(String),
}

impl Triggering {
    /// Fetches what an event is about and completes it.
    pub(super) async fn complete(&self, place: &Place, event: Event) -> Result<Completed, MirrorError> {
        self.mirrors.bring(&place.origin, wanted(place.repository.forge, &event)).await?;
        if let Some(before) = before(&event) {
            // Without it nobody knows what changed, which only lets more workflows run.
            let wanted = Wanted { commits: vec![before], ..Wanted::default() };
            if let Err(error) = self.mirrors.bring(&place.origin, wanted).await {
                tracing::debug!(%error, repository = place.repository.full_name, "the commit before a push is gone");
            }
        }
        let completed = self.mirrors.read(place.origin.id, move |repository| complete(repository, event));
        completed.await
    }
}

/// What has to be in the mirror for an event.
fn wanted(forge: Forge, event: &Event) -> Wanted {
    let commits: Vec<String> = match &event.pull_request {
        Some(pull) if is_of_pull(event) => pull.head_sha.iter().cloned().collect(),
        Some(_) | None => event.sha.iter().cloned().collect(),
    };
    let Some(pull) = event.pull_request.as_ref().filter(|_| is_of_pull(event)) else {
        return Wanted { refs: vec![event.git_ref.clone().into()], commits, ..Wanted::default() };
    };
    let base = GitRef::branch(&pull.base_ref).map(RefPair::from);
    let number = pull.number;
    let here = GitRef::parse(&format!("refs/pull/{number}/head"));
    let there = match forge {
        Forge::Gitlab => GitRef::parse(&format!("refs/merge-requests/{number}/head")),
        Forge::Github | Forge::Gitea | Forge::Forgejo | Forge::Push => here.clone(),
    };
    let head = there.zip(here).map(|(there, here)| RefPair { there, here });
    let merge = (forge == Forge::Github).then(|| GitRef::pull_merge(number).into());
    Wanted { refs: base.into_iter().chain(head).collect(), optional: merge.into_iter().collect(), commits }
}

/// Whether the run is for the pull request itself, not for a branch that it was merged into.
fn is_of_pull(event: &Event) -> bool {
    event.git_ref.kind() == GitRefKind::PullRequest
}

/// The commit to compare a push with.
fn before(event: &Event) -> Option<String> {
    let is_push = event.name == EventName::Push && event.git_ref.kind() != GitRefKind::Tag && !event.created;
    event.before.clone().filter(|_| is_push)
}

fn complete(repository: &Git, mut event: Event) -> Result<Completed, MirrorError> {
    name_default_branch(repository, &mut event);
    if let Some(pull) = event.pull_request.clone().filter(|_| is_of_pull(&event)) {
        return complete_pull(repository, event, &pull);
    }
    // Of a push exactly what was pushed, of anything else the last commit.
    let commit = match &event.sha {
        Some(sha) => CommitText::read(repository, sha)?,
        None => CommitText::tip(repository, &event.git_ref)?,
    };
    if event.name == EventName::Push {
        event.changed_files = changed_by_push(repository, &event, &commit.id)?;
        event.head_message.get_or_insert(commit.message);
    }
    event.sha = Some(commit.id);
    Ok(Completed::Event(event))
}

fn complete_pull(repository: &Git, mut event: Event, pull: &PullRequestFacts) -> Result<Completed, MirrorError> {
    let base = GitRef::branch(&pull.base_ref).ok_or_else(|| MirrorError::NoSuchRef(pull.base_ref.clone()))?;
    let base = CommitText::tip(repository, &base)?;
    let head = match &pull.head_sha {
        Some(sha) => CommitText::read(repository, sha)?,
        None => return Ok(Completed::Nothing("the payload does not tell the head of the pull request".to_owned())),
    };
    let closed = event.payload.pointer("/pull_request/state").and_then(Json::as_str) == Some("closed");
    let sha = match Merged::of(repository, pull.number, &base.id, &head.id)? {
        Merged::Commit(sha) => sha,
        Merged::Conflict if closed => head.id.clone(),
        Merged::Conflict => {
            let text = format!("pull request {} has a merge conflict with `{}`", pull.number, pull.base_ref);
            return Ok(Completed::Nothing(text));
        }
    };
    event.changed_files = Compared::PullRequest { base: base.id, head: head.id }.files(repository)?;
    event.head_message = Some(head.message);
    event.sha = Some(sha);
    Ok(Completed::Event(event))
}

fn changed_by_push(repository: &Git, event: &Event, after: &str) -> Result<ChangedFiles, MirrorError> {
    if event.git_ref.kind() == GitRefKind::Tag {
        return Ok(ChangedFiles::Unknown);
    }
    let after = after.to_owned();
    let compared = match &event.before {
        Some(before) if !event.created => Compared::Push { before: before.clone(), after },
        Some(_) | None => {
            Compared::NewBranch { after, oldest: oldest_told(repository, event), git_ref: event.git_ref.to_string() }
        }
    };
    match compared.files(repository)? {
        // What the payload tells is better than nothing.
        ChangedFiles::Unknown => Ok(event.changed_files.clone()),
        known @ ChangedFiles::Known(_) => Ok(known),
    }
}

/// The oldest commit that a push brought, if its payload tells all of them: the only one whose parent it does not name.
/// Forges list them in different orders.
fn oldest_told(repository: &Git, event: &Event) -> Option<String> {
    if event.changed_files == ChangedFiles::Unknown {
        return None;
    }
    let commits = event.payload.get("commits")?.as_array()?;
    let ids: HashSet<&str> = commits.iter().filter_map(|commit| commit.get("id")?.as_str()).collect();
    let is_oldest = |id: &&&str| {
        let commit = CommitText::read(repository, id);
        commit.is_ok_and(|commit| commit.parents.iter().all(|parent| !ids.contains(parent.as_str())))
    };
    let mut oldest = ids.iter().filter(is_oldest);
    let first = oldest.next()?;
    oldest.next().is_none().then(|| (*first).to_owned())
}

/// A plain hook does not know its repository's default branch; the mirror does.
fn name_default_branch(repository: &Git, event: &mut Event) {
    if event.payload.pointer("/repository/default_branch").is_some_and(Json::is_string) {
        return;
    }
    event.repository.default_branch = default_branch(repository);
    let name = json!(event.repository.default_branch);
    if let Some(Json::Object(facts)) = Arc::make_mut(&mut event.payload).get_mut("repository") {
        facts.insert("default_branch".to_owned(), name);
    }
}
