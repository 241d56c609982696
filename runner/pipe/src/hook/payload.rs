//! What a server is told of one pushed ref: GitHub's payload of a push, as far as a plain repository knows it.
//!
//! Commits are told all or none, so that nobody takes a part for the whole.
//! Follows <https://docs.github.com/en/webhooks/webhook-events-and-payloads#push>.

use git2::{Commit, Delta, Oid, Repository, Sort};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

/// More commits are not told.
const COMMITS_MAX: usize = 50;
/// More files of one commit are not told, and then no commit is.
const FILES_MAX: usize = 3_000;
/// Refs of one push that are told.
pub const REFS_MAX: usize = 200;

/// One line of what git tells the hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    pub before: String,
    pub after: String,
    pub name: String,
}

/// Branches and tags of a push; other refs are nobody's business.
pub fn read(text: &str) -> Vec<Pushed> {
    let line = |line: &str| {
        let mut parts = line.splitn(3, ' ');
        let (before, after, name) = (parts.next()?, parts.next()?, parts.next()?);
        let is_told = name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
        is_told.then(|| Pushed { before: before.to_owned(), after: after.to_owned(), name: name.to_owned() })
    };
    text.lines().filter_map(line).take(REFS_MAX).collect()
}

/// The payload. `at` makes a second push of the same commit another one.
pub fn payload(git: &Repository, pushed: &Pushed, full_name: &str, pusher: &str, at: Timestamp) -> Json {
    let commits = told(git, pushed).unwrap_or_default();
    let head = Oid::from_str(&pushed.after).ok().and_then(|id| git.find_object(id, None).ok()?.peel_to_commit().ok());
    let (owner, name) = full_name.rsplit_once('/').unwrap_or(("", full_name));
    let zero = |id: &str| id.bytes().all(|byte| byte == b'0');
    let forced = !zero(&pushed.before) && !zero(&pushed.after) && !is_forward(git, pushed);
    json!({
        "ref": pushed.name,
        "before": pushed.before,
        "after": pushed.after,
        "created": zero(&pushed.before),
        "deleted": zero(&pushed.after),
        "forced": forced,
        "repository": {
            "name": name, "full_name": full_name, "owner": { "login": owner }, "default_branch": default_branch(git),
            "pushed_at": at.as_millisecond(),
        },
        "pusher": { "name": pusher },
        "sender": { "login": pusher },
        "commits": commits,
        "head_commit": head.and_then(|head| commit(git, &head)),
    })
}

fn default_branch(git: &Repository) -> Option<String> {
    let head = git.find_reference("HEAD").ok()?;
    Some(head.symbolic_target().ok()??.strip_prefix("refs/heads/")?.to_owned())
}

fn is_forward(git: &Repository, pushed: &Pushed) -> bool {
    let ids = Oid::from_str(&pushed.before).and_then(|before| Ok((before, Oid::from_str(&pushed.after)?)));
    ids.and_then(|(before, after)| git.graph_descendant_of(after, before)).unwrap_or(true)
}

/// The commits that came, the oldest first; none if they are many or cannot be told.
fn told(git: &Repository, pushed: &Pushed) -> Option<Vec<Json>> {
    let mut walk = git.revwalk().ok()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE).ok()?;
    walk.push(Oid::from_str(&pushed.after).ok().filter(|id| *id != Oid::ZERO_SHA1)?).ok()?;
    match Oid::from_str(&pushed.before).ok().filter(|id| *id != Oid::ZERO_SHA1) {
        Some(before) => walk.hide(before).ok()?,
        None => {
            for other in git.references_glob("refs/heads/*").ok()?.flatten() {
                if other.name().is_ok_and(|name| name != pushed.name)
                    && let Some(id) = other.target()
                {
                    walk.hide(id).ok()?;
                }
            }
        }
    }
    let ids: Vec<Oid> = walk.take(COMMITS_MAX + 1).flatten().collect();
    if ids.len() > COMMITS_MAX {
        return None;
    }
    ids.iter().map(|id| commit(git, &git.find_commit(*id).ok()?)).collect()
}

fn commit(git: &Repository, commit: &Commit<'_>) -> Option<Json> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let parent = commit.parent(0).ok().and_then(|parent| parent.tree().ok());
    let diff = git.diff_tree_to_tree(parent.as_ref(), Some(&commit.tree().ok()?), None).ok()?;
    if diff.deltas().len() > FILES_MAX {
        return None;
    }
    let (mut added, mut removed, mut modified) = (Vec::new(), Vec::new(), Vec::new());
    for delta in diff.deltas() {
        let path = delta.new_file().path_bytes().or_else(|| delta.old_file().path_bytes()).map(text)?;
        if delta.status() == Delta::Added {
            added.push(path);
        } else if delta.status() == Delta::Deleted {
            removed.push(path);
        } else {
            modified.push(path);
        }
    }
    let time = Timestamp::from_second(commit.time().seconds()).unwrap_or_default();
    let person =
        |who: &git2::Signature<'_>| json!({ "name": text(who.name_bytes()), "email": text(who.email_bytes()) });
    Some(json!({
        "id": commit.id().to_string(),
        "tree_id": commit.tree_id().to_string(),
        "message": text(commit.message_bytes()).trim_end(),
        "timestamp": time.to_string(),
        "author": person(&commit.author()),
        "committer": person(&commit.committer()),
        "added": added, "removed": removed, "modified": modified,
    }))
}
