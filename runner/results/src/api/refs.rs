//! Branches, tags and refs: <https://docs.github.com/en/rest/branches/branches>, <https://docs.github.com/en/rest/git/refs>.

use git2::{Reference, Repository};
use serde_json::{Value as Json, json};

use super::ask::{Ask, Refusal, Reply};
use super::{commits, git, url};
use crate::job::Job;

pub(super) fn answer(job: &Job, ask: &Ask, rest: &[&str]) -> Result<Reply, Refusal> {
    let repository = git::open(job)?;
    match rest {
        ["branches"] => Ok(Reply::page(short(job, &repository, "heads")?, ask)),
        ["tags"] => Ok(Reply::page(short(job, &repository, "tags")?, ask)),
        ["branches", name @ ..] => {
            let name = name.join("/");
            let commit = git::commit(&repository, &format!("heads/{name}"))?;
            let commit = commits::whole(job, &repository, &commit)?;
            Ok(Reply::json(
                json!({ "name": name, "commit": commit, "protected": false, "protection": { "enabled": false } }),
            ))
        }
        ["git", "tags", id] => {
            let tag = repository.find_tag(git::id(id)?).map_err(|error| git::refused(&error))?;
            let object = json!({ "sha": tag.target_id().to_string(), "type": git::kind(tag.target_type()) });
            Ok(Reply::json(json!({
                "sha": id, "tag": String::from_utf8_lossy(tag.name_bytes()), "object": object,
                "message": String::from_utf8_lossy(tag.message_bytes().unwrap_or_default()),
                "tagger": tag.tagger().map(|who| git::person(&who)),
            })))
        }
        ["git", "ref", name @ ..] => {
            let name = format!("refs/{}", name.join("/"));
            let found = repository.find_reference(&name).map_err(|error| git::refused(&error))?;
            shown(job, &found).map(Reply::json).ok_or_else(Refusal::not_found)
        }
        ["git", _, name @ ..] => {
            let start = format!("refs/{}", name.join("/"));
            Ok(Reply::page(below(&repository, &start)?.iter().filter_map(|found| shown(job, found)), ask))
        }
        _ => Err(Refusal::not_here(&ask.path)),
    }
}

/// The refs whose names begin so, in the order of their names; never those of a remote.
fn below<'r>(repository: &'r Repository, start: &str) -> Result<Vec<Reference<'r>>, Refusal> {
    let all = repository.references().map_err(|error| git::refused(&error))?;
    let mut found: Vec<_> = all.filter_map(Result::ok).filter(|one| is_ours(one.name_bytes(), start)).collect();
    found.sort_by(|one, other| one.name_bytes().cmp(other.name_bytes()));
    Ok(found)
}

fn is_ours(name: &[u8], start: &str) -> bool {
    name.starts_with(start.as_bytes()) && (name.starts_with(b"refs/heads/") || name.starts_with(b"refs/tags/"))
}

fn shown(job: &Job, found: &Reference<'_>) -> Option<Json> {
    let name = String::from_utf8_lossy(found.name_bytes()).into_owned();
    let found = found.resolve().ok()?;
    let id = found.target()?;
    let kind = found.peel(git2::ObjectType::Any).ok().and_then(|object| object.kind());
    Some(json!({
        "ref": name, "url": url(job, &format!("/git/{name}")),
        "object": { "sha": id.to_string(), "type": git::kind(kind), "url": url(job, &format!("/git/{}s/{id}", git::kind(kind))) },
    }))
}

/// Names with their commits.
fn short(job: &Job, repository: &Repository, folder: &str) -> Result<Vec<Json>, Refusal> {
    let start = format!("refs/{folder}/");
    let of = |found: &Reference<'_>| {
        let name = String::from_utf8_lossy(found.name_bytes()).strip_prefix(&start)?.to_owned();
        let id = found.peel_to_commit().ok()?.id().to_string();
        let commit = json!({ "sha": id, "url": url(job, &format!("/commits/{id}")) });
        Some(json!({ "name": name, "commit": commit, "protected": false }))
    };
    Ok(below(repository, &start)?.iter().filter_map(of).collect())
}
