//! Commits, what differs between them, and the pull request of the event: <https://docs.github.com/en/rest/commits/commits>,
//! <https://docs.github.com/en/rest/pulls/pulls>.

use git2::{Commit, Delta, Diff, DiffFindOptions, DiffOptions, Patch, Repository, Sort};
use serde_json::{Value as Json, json};

use super::ask::{Ask, Refusal, Reply};
use super::{git, html_url, url};
use crate::job::Job;

/// Files of a commit or a comparison that are told, as on GitHub.
const FILES_MAX: usize = 300;
/// Commits of a comparison, as on GitHub.
const COMMITS_MAX: usize = 250;
/// Bytes of a patch; a longer one is left out.
const PATCH_BYTES_MAX: usize = 512 * 1024;

pub(super) fn answer(job: &Job, ask: &Ask, rest: &[&str]) -> Result<Reply, Refusal> {
    let repository = git::open(job)?;
    match rest {
        ["commits"] => history(job, &repository, ask),
        ["commits", id, "pulls"] => {
            let own = pull(job, None).ok().filter(|pull| {
                [&pull["head"]["sha"], &pull["merge_commit_sha"]].iter().any(|sha| sha.as_str() == Some(id))
            });
            Ok(Reply::page(own, ask))
        }
        ["commits", name @ ..] => {
            let commit = git::commit(&repository, &name.join("/"))?;
            whole(job, &repository, &commit).map(Reply::json)
        }
        ["git", "commits", id] => {
            let commit = repository.find_commit(git::id(id)?).map_err(|error| git::refused(&error))?;
            let mut value = plain(&commit);
            value["sha"] = json!(commit.id().to_string());
            value["parents"] = parents(job, &commit);
            Ok(Reply::json(value))
        }
        ["compare", name @ ..] => compare(job, &repository, &name.join("/")),
        ["pulls"] => Ok(Reply::page(pull(job, None).ok().filter(|pull| is_asked_for(ask, pull)), ask)),
        ["pulls", number] => pull(job, Some(number)).map(Reply::json),
        ["pulls", number, "files"] => {
            let (base, head) = ends(&repository, &pull(job, Some(number))?)?;
            let start = merge_base(&repository, &base, &head)?;
            files(job, &repository, Some(&start), &head, usize::MAX).map(|files| Reply::page(files, ask))
        }
        ["pulls", number, "commits"] => {
            let (base, head) = ends(&repository, &pull(job, Some(number))?)?;
            let between = between(&repository, &base, &head)?;
            Ok(Reply::page(between.iter().map(|commit| told(job, commit)), ask))
        }
        _ => Err(Refusal::not_here(&ask.path)),
    }
}

/// The pull request that the event is about.
///
/// # Errors
/// It is about none, or about another one.
pub(super) fn pull(job: &Job, number: Option<&str>) -> Result<Json, Refusal> {
    let pull = &job.facts.github["event"]["pull_request"];
    let is_it = number.is_none_or(|number| pull["number"].as_u64() == number.parse().ok());
    if !pull.is_object() || !is_it {
        return Err(Refusal::not_here("a pull request that the event is not about"));
    }
    Ok(pull.clone())
}

/// Whether a pull request is one of those that a list is asked for.
fn is_asked_for(ask: &Ask, pull: &Json) -> bool {
    let state = ask.query("state").unwrap_or("open");
    let is_state = state == "all" || pull["state"].as_str().unwrap_or("open") == state;
    let is_head = ask.query("head").is_none_or(|head| {
        let (owner, name) = head.split_once(':').map_or((None, head), |(owner, name)| (Some(owner), name));
        let login = pull["head"]["user"]["login"].as_str();
        let is_owner = owner.is_none_or(|owner| login.is_none_or(|login| login.eq_ignore_ascii_case(owner)));
        is_owner && pull["head"]["ref"] == name
    });
    is_state && is_head && ask.query("base").is_none_or(|base| pull["base"]["ref"] == base)
}

fn ends<'r>(repository: &'r Repository, pull: &Json) -> Result<(Commit<'r>, Commit<'r>), Refusal> {
    let end = |side: &str| git::commit(repository, pull[side]["sha"].as_str().unwrap_or_default());
    Ok((end("base")?, end("head")?))
}

/// Commits from one on, newest first; `path` keeps those that changed it.
fn history(job: &Job, repository: &Repository, ask: &Ask) -> Result<Reply, Refusal> {
    let from = git::commit(repository, git::own(job, ask.query("sha")))?;
    let mut walk = repository.revwalk().map_err(|error| git::refused(&error))?;
    walk.set_sorting(Sort::TIME).and_then(|()| walk.push(from.id())).map_err(|error| git::refused(&error))?;
    let path = ask.query("path").map(str::to_owned);
    let touched = |commit: &Commit<'_>| {
        let Some(path) = &path else { return true };
        let at = |commit: &Commit<'_>| {
            commit.tree().ok().and_then(|tree| tree.get_path(path.as_ref()).ok().map(|entry| entry.id()))
        };
        let own = at(commit);
        match commit.parent_count() {
            0 => own.is_some(),
            _ => commit.parents().all(|parent| at(&parent) != own),
        }
    };
    let found = walk.filter_map(Result::ok).filter_map(|id| repository.find_commit(id).ok()).filter(touched);
    Ok(Reply::page(found.map(|commit| told(job, &commit)), ask))
}

/// What stands in a commit itself.
fn plain(commit: &Commit<'_>) -> Json {
    json!({
        "author": git::person(&commit.author()), "committer": git::person(&commit.committer()),
        "message": String::from_utf8_lossy(commit.message_bytes()).trim_end_matches('\n'),
        "tree": { "sha": commit.tree_id().to_string() }, "comment_count": 0,
        "verification": { "verified": false, "reason": "unsigned", "signature": null, "payload": null },
    })
}

fn parents(job: &Job, commit: &Commit<'_>) -> Json {
    let parents =
        commit.parent_ids().map(|id| json!({ "sha": id.to_string(), "url": url(job, &format!("/commits/{id}")) }));
    parents.collect()
}

/// A commit as lists have it.
fn told(job: &Job, commit: &Commit<'_>) -> Json {
    let id = commit.id();
    json!({
        "sha": id.to_string(), "node_id": "", "commit": plain(commit), "author": null, "committer": null,
        "parents": parents(job, commit), "url": url(job, &format!("/commits/{id}")),
        "html_url": html_url(job, &format!("/commit/{id}")),
    })
}

/// A commit with its files.
pub(super) fn whole(job: &Job, repository: &Repository, commit: &Commit<'_>) -> Result<Json, Refusal> {
    let before = commit.parent(0).ok();
    let files = files(job, repository, before.as_ref(), commit, FILES_MAX)?;
    let sum = |name: &str| files.iter().filter_map(|file| file[name].as_u64()).sum::<u64>();
    let mut value = told(job, commit);
    value["stats"] = json!({ "additions": sum("additions"), "deletions": sum("deletions"), "total": sum("changes") });
    value["files"] = Json::Array(files);
    Ok(value)
}

fn merge_base<'r>(repository: &'r Repository, base: &Commit<'_>, head: &Commit<'_>) -> Result<Commit<'r>, Refusal> {
    let id = repository.merge_base(base.id(), head.id()).map_err(|error| git::refused(&error))?;
    repository.find_commit(id).map_err(|error| git::refused(&error))
}

/// The commits that the second has and the first has not, oldest first.
fn between<'r>(repository: &'r Repository, base: &Commit<'_>, head: &Commit<'_>) -> Result<Vec<Commit<'r>>, Refusal> {
    let mut walk = repository.revwalk().map_err(|error| git::refused(&error))?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)
        .and_then(|()| walk.push(head.id()))
        .and_then(|()| walk.hide(base.id()))
        .map_err(|error| git::refused(&error))?;
    Ok(walk.filter_map(Result::ok).filter_map(|id| repository.find_commit(id).ok()).collect())
}

/// `base...head`: what head has beyond where both parted.
fn compare(job: &Job, repository: &Repository, names: &str) -> Result<Reply, Refusal> {
    let (base, head) = names.split_once("...").ok_or_else(Refusal::not_found)?;
    let (base, head) = (git::commit(repository, base)?, git::commit(repository, head)?);
    let start = merge_base(repository, &base, &head)?;
    let (ahead, behind) = repository.graph_ahead_behind(head.id(), base.id()).map_err(|error| git::refused(&error))?;
    let status = match (ahead, behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let commits: Vec<Json> =
        between(repository, &base, &head)?.iter().take(COMMITS_MAX).map(|one| told(job, one)).collect();
    Ok(Reply::json(json!({
        "status": status, "ahead_by": ahead, "behind_by": behind, "total_commits": ahead, "commits": commits,
        "base_commit": told(job, &base), "merge_base_commit": told(job, &start),
        "files": files(job, repository, Some(&start), &head, FILES_MAX)?,
        "url": url(job, &format!("/compare/{names}")), "html_url": html_url(job, &format!("/compare/{names}")),
    })))
}

/// What differs, file by file.
fn files(
    job: &Job,
    repository: &Repository,
    before: Option<&Commit<'_>>,
    after: &Commit<'_>,
    max: usize,
) -> Result<Vec<Json>, Refusal> {
    let diff = || {
        let old = before.map(Commit::tree).transpose()?;
        let mut options = DiffOptions::new();
        let mut diff = repository.diff_tree_to_tree(old.as_ref(), Some(&after.tree()?), Some(&mut options))?;
        diff.find_similar(Some(DiffFindOptions::new().renames(true)))?;
        Ok::<_, git2::Error>(diff)
    };
    let diff = diff().map_err(|error| git::refused(&error))?;
    (0..diff.deltas().len().min(max)).map(|at| file(job, &diff, at, after)).collect()
}

fn file(job: &Job, diff: &Diff<'_>, at: usize, after: &Commit<'_>) -> Result<Json, Refusal> {
    let delta = diff.get_delta(at).ok_or_else(Refusal::not_found)?;
    let name = |file: git2::DiffFile<'_>| String::from_utf8_lossy(file.path_bytes().unwrap_or_default()).into_owned();
    let (old, new) = (name(delta.old_file()), name(delta.new_file()));
    let status = match delta.status() {
        Delta::Added => "added",
        Delta::Deleted => "removed",
        Delta::Renamed => "renamed",
        Delta::Copied => "copied",
        Delta::Typechange => "changed",
        Delta::Modified
        | Delta::Unmodified
        | Delta::Ignored
        | Delta::Untracked
        | Delta::Unreadable
        | Delta::Conflicted => "modified",
    };
    let mut patch = Patch::from_diff(diff, at).map_err(|error| git::refused(&error))?;
    let (_, added, removed) =
        patch.as_ref().map_or(Ok((0, 0, 0)), Patch::line_stats).map_err(|error| git::refused(&error))?;
    let id = if status == "removed" { delta.old_file().id() } else { delta.new_file().id() };
    let mut value = json!({
        "sha": id.to_string(), "filename": new, "status": status, "additions": added, "deletions": removed,
        "changes": added + removed, "contents_url": url(job, &format!("/contents/{new}?ref={}", after.id())),
        "blob_url": html_url(job, &format!("/blob/{}/{new}", after.id())),
    });
    if matches!(status, "renamed" | "copied") {
        value["previous_filename"] = json!(old);
    }
    if let Some(text) = patch.as_mut().and_then(|patch| patch.to_buf().ok()) {
        let text = String::from_utf8_lossy(&text);
        // GitHub leaves the head of the patch out, and the patch of a binary or very large file.
        if let Some(start) = text.find("\n@@ ").filter(|_| text.len() <= PATCH_BYTES_MAX) {
            value["patch"] = json!(text[start + 1..].trim_end_matches('\n'));
        }
    }
    Ok(value)
}
