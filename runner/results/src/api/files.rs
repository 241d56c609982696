//! Files and folders of a commit: <https://docs.github.com/en/rest/repos/contents>, <https://docs.github.com/en/rest/git/trees>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use git2::{ObjectType, Repository, Tree, TreeEntry, TreeWalkMode, TreeWalkResult};
use serde_json::{Value as Json, json};

use super::ask::{Ask, Refusal, Reply};
use super::{git, html_url, url};
use crate::job::Job;

/// A larger file has no content in JSON, as on GitHub.
const CONTENT_BYTES_MAX: usize = 1024 * 1024;
/// A larger file has none at all, as on GitHub.
const RAW_BYTES_MAX: usize = 100 * 1024 * 1024;
/// Entries of a whole tree, as on GitHub.
const ENTRIES_MAX: usize = 100_000;
/// Characters of a line of base64.
const LINE_CHARS: usize = 60;
/// Modes of entries that are no files.
const SYMLINK: i32 = 0o120_000;

pub(super) fn answer(job: &Job, ask: &Ask, rest: &[&str]) -> Result<Reply, Refusal> {
    let repository = git::open(job)?;
    match rest {
        ["contents", path @ ..] => contents(job, &repository, ask, &path.join("/")),
        ["readme"] => {
            let tree = tree_of(job, &repository, ask)?;
            let name = tree.iter().find_map(|entry| {
                let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
                name.to_lowercase().starts_with("readme").then_some(name)
            });
            contents(job, &repository, ask, &name.ok_or_else(Refusal::not_found)?)
        }
        ["git", "blobs", id] => {
            let blob = repository.find_blob(git::id(id)?).map_err(|error| git::refused(&error))?;
            if ask.raw {
                return Ok(Reply::raw(blob.content().to_vec()));
            }
            let content = encoded(blob.content());
            Ok(Reply::json(json!({ "sha": id, "size": blob.size(), "encoding": "base64", "content": content })))
        }
        ["git", "trees", name @ ..] => {
            let tree = tree_or_commit(&repository, &name.join("/"))?;
            let (entries, cut) = entries(job, &repository, &tree, ask.query("recursive").is_some())?;
            Ok(Reply::json(json!({ "sha": tree.id().to_string(), "tree": entries, "truncated": cut })))
        }
        _ => Err(Refusal::not_here(&ask.path)),
    }
}

fn tree_of<'r>(job: &Job, repository: &'r Repository, ask: &Ask) -> Result<Tree<'r>, Refusal> {
    let commit = git::commit(repository, git::own(job, ask.query("ref")))?;
    commit.tree().map_err(|error| git::refused(&error))
}

fn tree_or_commit<'r>(repository: &'r Repository, name: &str) -> Result<Tree<'r>, Refusal> {
    match git::id(name).ok().and_then(|id| repository.find_tree(id).ok()) {
        Some(tree) => Ok(tree),
        None => git::commit(repository, name)?.tree().map_err(|error| git::refused(&error)),
    }
}

fn contents(job: &Job, repository: &Repository, ask: &Ask, path: &str) -> Result<Reply, Refusal> {
    let tree = tree_of(job, repository, ask)?;
    let reference = git::own(job, ask.query("ref"));
    let path = path.trim_matches('/');
    let folder = if path.is_empty() {
        Some((tree, String::new()))
    } else {
        let entry = tree.get_path(path.as_ref()).map_err(|_| Refusal::not_found())?;
        if entry.kind() != Some(ObjectType::Tree) {
            return file(job, repository, ask, (path, reference), &entry);
        }
        let found = repository.find_tree(entry.id()).map_err(|error| git::refused(&error))?;
        Some((found, format!("{path}/")))
    };
    let Some((folder, before)) = folder else { return Err(Refusal::not_found()) };
    let all: Vec<Json> = folder
        .iter()
        .map(|entry| {
            let path = format!("{before}{}", String::from_utf8_lossy(entry.name_bytes()));
            described(job, repository, (&path, reference), &entry)
        })
        .collect();
    Ok(Reply::json(Json::Array(all)))
}

/// What is known of an entry without its content.
fn described(job: &Job, repository: &Repository, (path, reference): (&str, &str), entry: &TreeEntry<'_>) -> Json {
    let kind = match (entry.kind(), entry.filemode()) {
        (Some(ObjectType::Tree), _) => "dir",
        (Some(ObjectType::Commit), _) => "submodule",
        (_, SYMLINK) => "symlink",
        _ => "file",
    };
    let size = repository.find_blob(entry.id()).map_or(0, |blob| blob.size());
    json!({
        "type": kind, "name": String::from_utf8_lossy(entry.name_bytes()), "path": path, "sha": entry.id().to_string(),
        "size": size, "url": url(job, &format!("/contents/{path}?ref={reference}")),
        "git_url": url(job, &format!("/git/{}s/{}", git::kind(entry.kind()), entry.id())),
        "html_url": html_url(job, &format!("/blob/{reference}/{path}")), "download_url": null,
    })
}

fn file(
    job: &Job,
    repository: &Repository,
    ask: &Ask,
    (path, reference): (&str, &str),
    entry: &TreeEntry<'_>,
) -> Result<Reply, Refusal> {
    let mut value = described(job, repository, (path, reference), entry);
    if value["type"] == "submodule" {
        return Ok(Reply::json(value));
    }
    let blob = repository.find_blob(entry.id()).map_err(|error| git::refused(&error))?;
    if blob.size() > RAW_BYTES_MAX {
        return Err(Refusal::new(hyper::StatusCode::FORBIDDEN, "This API returns blobs up to 100 MB in size."));
    }
    if ask.raw {
        return Ok(Reply::raw(blob.content().to_vec()));
    }
    if value["type"] == "symlink" {
        value["target"] = json!(String::from_utf8_lossy(blob.content()));
    }
    let is_shown = blob.size() <= CONTENT_BYTES_MAX;
    value["encoding"] = json!(if is_shown { "base64" } else { "none" });
    value["content"] = json!(if is_shown { encoded(blob.content()) } else { String::new() });
    Ok(Reply::json(value))
}

/// Base64 in lines, as GitHub gives it.
fn encoded(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let mut lines = String::with_capacity(text.len() + text.len() / LINE_CHARS + 1);
    for line in text.as_bytes().chunks(LINE_CHARS) {
        lines.push_str(&String::from_utf8_lossy(line));
        lines.push('\n');
    }
    lines
}

fn entries(job: &Job, repository: &Repository, tree: &Tree<'_>, deep: bool) -> Result<(Vec<Json>, bool), Refusal> {
    let mut found = Vec::new();
    let mut cut = false;
    let walked = tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
        if found.len() == ENTRIES_MAX {
            cut = true;
            return TreeWalkResult::Abort;
        }
        let kind = git::kind(entry.kind());
        let mut value = json!({
            "path": format!("{folder}{}", String::from_utf8_lossy(entry.name_bytes())), "mode": format!("{:06o}", entry.filemode()),
            "type": kind, "sha": entry.id().to_string(), "url": url(job, &format!("/git/{kind}s/{}", entry.id())),
        });
        if let Ok(blob) = repository.find_blob(entry.id()) {
            value["size"] = json!(blob.size());
        }
        found.push(value);
        if deep { TreeWalkResult::Ok } else { TreeWalkResult::Skip }
    });
    match walked {
        Ok(()) => Ok((found, cut)),
        Err(_) if cut => Ok((found, cut)),
        Err(error) => Err(git::refused(&error)),
    }
}
