//! Statuses and checks of commits: <https://docs.github.com/en/rest/commits/statuses>, <https://docs.github.com/en/rest/checks/runs>.

use hyper::Method;
use serde_json::{Map, Value as Json, json};

use super::ask::{Ask, Refusal, Reply};
use super::told::{Entry, Said, Told};
use super::{git, html_url, issues, url};
use crate::job::Job;

/// What a status may say.
const STATES: [&str; 4] = ["error", "failure", "pending", "success"];
/// Characters of its description, as on GitHub.
const DESCRIPTION_CHARS_MAX: usize = 140;
/// What may be given for a check.
const FIELDS: [&str; 9] =
    ["name", "head_sha", "status", "conclusion", "output", "details_url", "external_id", "started_at", "completed_at"];

pub(super) fn answer(job: &Job, ask: &Ask, rest: &[&str]) -> Result<Reply, Refusal> {
    match (&ask.method, rest) {
        (&Method::POST, ["statuses", name]) => {
            let commit = whole(job, name)?;
            let fields = status(ask)?;
            let (id, told) = Told::say(job, |_| Ok(Said::Status { commit, fields }))?;
            let made = told.statuses.iter().find(|entry| entry.id == id).ok_or_else(Refusal::not_found)?;
            Ok(Reply::created(shown(job, made)))
        }
        (&Method::GET, ["commits", name, "statuses"] | ["statuses", name]) => {
            let (commit, told) = (whole(job, name)?, Told::read(job)?);
            Ok(Reply::page(of(&told, &commit).map(|entry| shown(job, entry)), ask))
        }
        (&Method::GET, ["commits", name, "status"]) => {
            let (commit, told) = (whole(job, name)?, Told::read(job)?);
            Ok(Reply::json(combined(job, &told, &commit)))
        }
        (&Method::POST, ["check-runs"]) => {
            ask.need("name")?;
            let commit = whole(job, ask.need("head_sha")?)?;
            let mut fields = check_fields(ask);
            fields.insert("head_sha".to_owned(), json!(commit));
            let (id, told) = Told::say(job, |_| Ok(Said::Check { fields }))?;
            check(job, &told, id).map(Reply::created)
        }
        (&Method::PATCH, ["check-runs", id]) => {
            let id = id.parse().map_err(|_| Refusal::not_found())?;
            let said =
                |told: &Told| check(job, told, id).and(Ok(Said::CheckChanged { check: id, fields: check_fields(ask) }));
            check(job, &Told::say(job, said)?.1, id).map(Reply::json)
        }
        (&Method::GET, ["check-runs", id]) => {
            let id = id.parse().map_err(|_| Refusal::not_found())?;
            check(job, &Told::read(job)?, id).map(Reply::json)
        }
        (&Method::GET, ["commits", name, "check-runs"]) => {
            let (commit, told) = (whole(job, name)?, Told::read(job)?);
            let of = told.checks.iter().filter(|(_, entry)| entry.fields.get("head_sha") == Some(&json!(commit)));
            let all: Vec<Json> = of.filter_map(|(id, _)| check(job, &told, *id).ok()).collect();
            Ok(Reply::counted(all, "check_runs", ask))
        }
        _ => Err(Refusal::not_here(&ask.path)),
    }
}

/// The id of a commit that the repository has.
fn whole(job: &Job, name: &str) -> Result<String, Refusal> {
    let repository = git::open(job)?;
    let found =
        git::commit(&repository, name).map_err(|_| Refusal::invalid(format!("No commit found for SHA: {name}")))?;
    Ok(found.id().to_string())
}

fn status(ask: &Ask) -> Result<Map<String, Json>, Refusal> {
    let state = ask.need("state")?;
    if !STATES.contains(&state) {
        return Err(Refusal::invalid(format!(
            "Validation Failed: state is not included in the list: {}",
            STATES.join(", ")
        )));
    }
    let text = |name: &str| ask.body.get(name).filter(|value| value.is_string()).cloned().unwrap_or_default();
    let description = text("description");
    if description.as_str().is_some_and(|text| text.chars().count() > DESCRIPTION_CHARS_MAX) {
        return Err(Refusal::invalid(format!(
            "Validation Failed: description is too long (maximum is {DESCRIPTION_CHARS_MAX} characters)"
        )));
    }
    let context = ask.body.get("context").and_then(Json::as_str).unwrap_or("default");
    let fields =
        json!({ "state": state, "context": context, "description": description, "target_url": text("target_url") });
    Ok(fields.as_object().cloned().unwrap_or_default())
}

/// Those of a commit, newest first.
fn of<'a>(told: &'a Told, commit: &'a str) -> impl Iterator<Item = &'a Entry> {
    told.statuses.iter().rev().filter(move |entry| entry.fields.get("sha").and_then(Json::as_str) == Some(commit))
}

fn shown(job: &Job, entry: &Entry) -> Json {
    let mut value = json!({
        "id": entry.id, "creator": issues::speaker(), "created_at": entry.made, "updated_at": entry.changed,
        "url": url(job, &format!("/statuses/{}", entry.fields["sha"].as_str().unwrap_or_default())),
    });
    let fields = entry.fields.iter().filter(|(name, _)| *name != "sha");
    fields.for_each(|(name, field)| value[name.as_str()] = field.clone());
    value
}

/// The newest of each context, and what they make together.
fn combined(job: &Job, told: &Told, commit: &str) -> Json {
    let mut newest: Vec<&Entry> = Vec::new();
    for entry in of(told, commit) {
        if newest.iter().all(|known| known.fields["context"] != entry.fields["context"]) {
            newest.push(entry);
        }
    }
    let any =
        |states: &[&str]| newest.iter().any(|one| states.contains(&one.fields["state"].as_str().unwrap_or_default()));
    let state = match () {
        () if any(&["error", "failure"]) => "failure",
        () if any(&["pending"]) || newest.is_empty() => "pending",
        () => "success",
    };
    let statuses: Vec<Json> = newest.iter().map(|entry| shown(job, entry)).collect();
    json!({ "state": state, "sha": commit, "total_count": statuses.len(), "statuses": statuses })
}

fn check_fields(ask: &Ask) -> Map<String, Json> {
    let given = ask.body.as_object().cloned().unwrap_or_default();
    let mut fields: Map<String, Json> = given.into_iter().filter(|(name, _)| FIELDS.contains(&name.as_str())).collect();
    // Who says how it ended says that it has.
    if fields.contains_key("conclusion") {
        fields.insert("status".to_owned(), json!("completed"));
    }
    fields
}

fn check(job: &Job, told: &Told, id: u64) -> Result<Json, Refusal> {
    let entry = told.checks.get(&id).ok_or_else(Refusal::not_found)?;
    let mut value = json!({
        "id": id, "status": "queued", "conclusion": null, "started_at": entry.made, "completed_at": null,
        "output": { "title": null, "summary": null, "text": null, "annotations_count": 0 },
        "app": { "slug": "github-actions", "name": "GitHub Actions" }, "url": url(job, &format!("/check-runs/{id}")),
        "html_url": html_url(job, &format!("/runs/{id}")),
    });
    entry.fields.iter().for_each(|(name, field)| value[name.as_str()] = field.clone());
    if let Some(annotations) = value["output"]["annotations"].as_array().map(Vec::len) {
        value["output"]["annotations_count"] = json!(annotations);
    }
    Ok(value)
}
