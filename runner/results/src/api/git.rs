//! The repository as it lies here, and names of commits in it.

use git2::{Commit, ErrorCode, ObjectType, Oid, Repository, Signature, Time};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::ask::Refusal;
use super::text;
use crate::job::Job;

/// Opens it.
///
/// # Errors
/// There is none: a run in a folder without git.
pub(super) fn open(job: &Job) -> Result<Repository, Refusal> {
    Repository::open(&job.facts.repository.folder).map_err(|error| {
        if error.code() == ErrorCode::NotFound {
            return Refusal::not_here("the content of a folder without git");
        }
        Refusal::broken(error)
    })
}

/// What something of git could not do, as GitHub says it.
pub(super) fn refused(error: &git2::Error) -> Refusal {
    if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec | ErrorCode::Ambiguous) {
        return Refusal::not_found();
    }
    Refusal::broken(error)
}

/// The commit of a branch, a tag, a whole ref or an id. Nothing else names one here: what git understands beyond them is for people.
pub(super) fn commit<'r>(repository: &'r Repository, name: &str) -> Result<Commit<'r>, Refusal> {
    let name = name.strip_prefix("refs/").unwrap_or(name);
    let tries = [
        format!("refs/{name}"),
        format!("refs/heads/{name}"),
        format!("refs/tags/{name}"),
        // A branch that only the server has.
        format!("refs/remotes/origin/{}", name.strip_prefix("heads/").unwrap_or(name)),
    ];
    for full in tries {
        if let Ok(found) = repository.find_reference(&full) {
            return found.peel_to_commit().map_err(|error| refused(&error));
        }
    }
    if name == "HEAD" {
        let head = repository.head().and_then(|head| head.peel_to_commit());
        return head.map_err(|error| refused(&error));
    }
    let is_id = (4..=40).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_id {
        return Err(Refusal::not_found());
    }
    let found = repository.find_object_by_prefix(name, None).map_err(|error| refused(&error))?;
    found.peel_to_commit().map_err(|error| refused(&error))
}

/// An object by its whole id.
pub(super) fn id(text: &str) -> Result<Oid, Refusal> {
    Oid::from_str(text).map_err(|error| refused(&error))
}

/// The branch that a repository has where nobody says which.
pub(super) fn default_branch(job: &Job) -> String {
    let said = job.facts.github["event"]["repository"]["default_branch"].as_str();
    let said = said.filter(|said| !said.is_empty()).map(str::to_owned);
    said.or_else(|| {
        let repository = open(job).ok()?;
        let remote = repository.find_reference("refs/remotes/origin/HEAD").ok();
        let remote = remote.and_then(|remote| remote.symbolic_target().ok().flatten().map(str::to_owned));
        remote.and_then(|remote| remote.strip_prefix("refs/remotes/origin/").map(str::to_owned))
    })
    .unwrap_or_else(|| text(job, "ref_name").to_owned())
}

/// The commit that the run is of, where a request names none.
pub(super) fn own<'a>(job: &'a Job, asked: Option<&'a str>) -> &'a str {
    asked.unwrap_or_else(|| if text(job, "sha").is_empty() { "HEAD" } else { text(job, "sha") })
}

pub(super) fn date(time: Time) -> String {
    Timestamp::from_second(time.seconds()).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn person(who: &Signature<'_>) -> Json {
    json!({
        "name": String::from_utf8_lossy(who.name_bytes()), "email": String::from_utf8_lossy(who.email_bytes()),
        "date": date(who.when()),
    })
}

/// `blob`, `tree`, `commit`.
pub(super) const fn kind(kind: Option<ObjectType>) -> &'static str {
    match kind {
        Some(ObjectType::Tree) => "tree",
        Some(ObjectType::Commit) => "commit",
        Some(ObjectType::Tag) => "tag",
        _ => "blob",
    }
}
