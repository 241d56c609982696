//! Issues, their comments and labels; a pull request is one too: <https://docs.github.com/en/rest/issues>.

use hyper::Method;
use serde_json::{Map, Value as Json, json};

use super::ask::{Ask, Refusal, Reply};
use super::told::{Entry, Said, Subject, Told};
use super::{html_url, reactions, url};
use crate::job::Job;

/// Characters of a body, as on GitHub.
const BODY_CHARS_MAX: usize = 65_536;
/// What may be given for an issue.
const FIELDS: [&str; 8] = ["title", "body", "state", "state_reason", "labels", "assignees", "milestone", "type"];

pub(super) fn answer(job: &Job, ask: &Ask, rest: &[&str]) -> Result<Reply, Refusal> {
    match (&ask.method, rest) {
        (&Method::GET, ["issues"]) => {
            let told = Told::read(job)?;
            let own = event_number(job).and_then(|number| issue(job, &told, number).ok());
            let made = told.issues.keys().rev().filter_map(|number| issue(job, &told, *number).ok());
            Ok(Reply::page(made.chain(own).filter(|issue| is_asked_for(ask, issue)), ask))
        }
        (&Method::POST, ["issues"]) => {
            ask.need("title")?;
            let (id, told) = Told::say(job, |_| Ok(Said::Issue { fields: fields(ask)? }))?;
            issue(job, &told, id).map(Reply::created)
        }
        (_, ["issues", "comments", id, "reactions", rest @ ..]) => {
            let id = parse(id)?;
            if !Told::read(job)?.comments.contains_key(&id) && event_comment(job, id).is_none() {
                return Err(Refusal::not_found());
            }
            reactions::answer(job, ask, Subject::Comment(id), rest)
        }
        (_, ["issues", number, "reactions", rest @ ..]) => {
            reactions::answer(job, ask, Subject::Issue(parse(number)?), rest)
        }
        (method, ["issues", "comments", rest @ ..]) => comment(job, ask, method, rest),
        (&Method::GET, ["issues", number]) => issue(job, &Told::read(job)?, parse(number)?).map(Reply::json),
        (&Method::PATCH, ["issues", number]) => {
            let number = parse(number)?;
            let (_, told) = Told::say(job, |told| {
                issue(job, told, number)?;
                Ok(Said::IssueChanged { issue: number, fields: fields(ask)? })
            })?;
            issue(job, &told, number).map(Reply::json)
        }
        (&Method::GET, ["issues", number, "comments"]) => {
            let (told, number) = (Told::read(job)?, parse(number)?);
            let of = told.comments.values().filter(|entry| entry.fields.get("issue") == Some(&json!(number)));
            Ok(Reply::page(of.map(|entry| shown(job, entry)), ask))
        }
        (&Method::POST, ["issues", number, "comments"]) => {
            let issue = parse(number)?;
            let (id, told) = Told::say(job, |_| Ok(Said::Comment { issue, body: body(ask)? }))?;
            told.comments.get(&id).map(|entry| Reply::created(shown(job, entry))).ok_or_else(Refusal::not_found)
        }
        (method, ["issues", number, "labels", rest @ ..]) => labels(job, ask, method, (parse(number)?, rest)),
        _ => Err(Refusal::not_here(&ask.path)),
    }
}

fn parse(number: &str) -> Result<u64, Refusal> {
    number.parse().ok().filter(|number| *number > 0).ok_or_else(Refusal::not_found)
}

/// The issue or pull request that the event is about.
fn event(job: &Job) -> &Json {
    let event = &job.facts.github["event"];
    if event["issue"].is_object() { &event["issue"] } else { &event["pull_request"] }
}

fn event_number(job: &Job) -> Option<u64> {
    event(job)["number"].as_u64()
}

/// The comment that the event is about.
fn event_comment(job: &Job, id: u64) -> Option<Json> {
    let event = &job.facts.github["event"];
    let is_it = event["issue"].is_object() && event["comment"]["id"].as_u64() == Some(id);
    is_it.then(|| event["comment"].clone())
}

/// Whether an issue is one of those that a list is asked for.
fn is_asked_for(ask: &Ask, issue: &Json) -> bool {
    let state = ask.query("state").unwrap_or("open");
    let is_state = state == "all" || issue["state"].as_str().unwrap_or("open") == state;
    let is_creator = ask.query("creator").is_none_or(|creator| {
        // What an app has made is asked for so.
        let creator = creator.strip_prefix("app/").map_or_else(|| creator.to_owned(), |app| format!("{app}[bot]"));
        issue["user"]["login"].as_str().is_some_and(|login| login.eq_ignore_ascii_case(&creator))
    });
    let labels = names(&issue["labels"]);
    let has = |wanted: &str| labels.iter().any(|label| label.eq_ignore_ascii_case(wanted.trim()));
    is_state && is_creator && ask.query("labels").is_none_or(|wanted| wanted.split(',').all(has))
}

fn fields(ask: &Ask) -> Result<Map<String, Json>, Refusal> {
    if ask.body.get("body").is_some_and(Json::is_string) {
        body(ask)?;
    }
    let given = ask.body.as_object().cloned().unwrap_or_default();
    Ok(given.into_iter().filter(|(name, _)| FIELDS.contains(&name.as_str())).collect())
}

fn body(ask: &Ask) -> Result<String, Refusal> {
    let text = ask.need("body")?;
    if text.chars().count() > BODY_CHARS_MAX {
        return Err(Refusal::invalid(format!(
            "Validation Failed: body is too long (maximum is {BODY_CHARS_MAX} characters)"
        )));
    }
    Ok(text.to_owned())
}

/// Who speaks with the token of a job.
pub(super) fn speaker() -> Json {
    json!({ "login": "github-actions[bot]", "id": 41_898_282, "type": "Bot" })
}

/// An issue as it stands: of the event, or made here.
fn issue(job: &Job, told: &Told, number: u64) -> Result<Json, Refusal> {
    let mut value = match told.issues.get(&number) {
        Some(made) => {
            let mut value = json!({
                "state": "open", "user": speaker(), "body": null, "labels": [], "assignees": [],
                "created_at": made.made, "updated_at": made.changed,
            });
            made.fields.iter().for_each(|(name, field)| value[name.as_str()] = field.clone());
            value
        }
        None if event_number(job) == Some(number) => {
            let mut value = event(job).clone();
            if event(job)["head"].is_object() {
                value["pull_request"] = json!({ "url": url(job, &format!("/pulls/{number}")) });
            }
            value
        }
        None => return Err(Refusal::not_here("an issue that the event is not about")),
    };
    for (name, field) in told.changed.get(&number).into_iter().flatten() {
        value[name.as_str()] = field.clone();
    }
    let labels = names(&value["labels"]);
    value["labels"] = told.labels.get(&number).unwrap_or(&labels).iter().map(|name| label(name)).collect();
    for (name, of) in
        [("id", json!(number)), ("number", json!(number)), ("url", json!(url(job, &format!("/issues/{number}"))))]
    {
        value[name] = of;
    }
    value["html_url"] = json!(html_url(job, &format!("/issues/{number}")));
    Ok(value)
}

fn shown(job: &Job, entry: &Entry) -> Json {
    let issue = &entry.fields["issue"];
    json!({
        "id": entry.id, "node_id": "", "body": entry.fields["body"], "user": speaker(), "created_at": entry.made,
        "updated_at": entry.changed, "author_association": "NONE",
        "url": url(job, &format!("/issues/comments/{}", entry.id)), "issue_url": url(job, &format!("/issues/{issue}")),
        "html_url": html_url(job, &format!("/issues/{issue}#issuecomment-{}", entry.id)),
    })
}

/// `issues/comments…`.
fn comment(job: &Job, ask: &Ask, method: &Method, rest: &[&str]) -> Result<Reply, Refusal> {
    let [id] = rest else {
        if rest.is_empty() && method == Method::GET {
            return Ok(Reply::page(Told::read(job)?.comments.values().map(|entry| shown(job, entry)), ask));
        }
        return Err(Refusal::not_here(&ask.path));
    };
    let id = parse(id)?;
    let there = |told: &Told| told.comments.get(&id).map(|entry| shown(job, entry)).ok_or_else(Refusal::not_found);
    match *method {
        Method::GET => match (there(&Told::read(job)?), event_comment(job, id)) {
            (Err(_), Some(comment)) => Ok(Reply::json(comment)),
            (found, _) => found.map(Reply::json),
        },
        Method::PATCH => {
            let said = |told: &Told| there(told).and(Ok(Said::CommentChanged { comment: id, body: body(ask)? }));
            there(&Told::say(job, said)?.1).map(Reply::json)
        }
        Method::DELETE => {
            Told::say(job, |told| there(told).and(Ok(Said::CommentRemoved { comment: id })))?;
            Ok(Reply::nothing())
        }
        _ => Err(Refusal::not_here(&ask.path)),
    }
}

fn label(name: &str) -> Json {
    json!({ "id": 0, "name": name, "color": "ededed", "default": false, "description": null })
}

/// Names of labels, given as texts or as GitHub tells them.
fn names(labels: &Json) -> Vec<String> {
    let name = |label: &Json| label.as_str().or_else(|| label["name"].as_str()).map(str::to_owned);
    labels.as_array().into_iter().flatten().filter_map(name).collect()
}

/// `issues/N/labels…`.
fn labels(job: &Job, ask: &Ask, method: &Method, (number, rest): (u64, &[&str])) -> Result<Reply, Refusal> {
    let standing = |told: &Told| match told.labels.get(&number) {
        Some(labels) => labels.clone(),
        None => issue(job, told, number).map_or(Vec::new(), |issue| names(&issue["labels"])),
    };
    let list = |labels: &[String]| Json::Array(labels.iter().map(|name| label(name)).collect());
    if (method, rest.is_empty()) == (&Method::GET, true) {
        return Ok(Reply::page(standing(&Told::read(job)?).iter().map(|name| label(name)), ask));
    }
    let given = names(if ask.body.is_array() { &ask.body } else { &ask.body["labels"] });
    let said = |told: &Told| {
        let mut labels = standing(told);
        match (method.as_str(), rest) {
            ("POST", []) => labels.extend(given.into_iter().filter(|name| !standing(told).contains(name))),
            ("PUT", []) => labels = given,
            ("DELETE", []) => labels.clear(),
            ("DELETE", [name]) => {
                let before = labels.len();
                labels.retain(|label| !label.eq_ignore_ascii_case(name));
                if labels.len() == before {
                    return Err(Refusal::new(hyper::StatusCode::NOT_FOUND, "Label does not exist"));
                }
            }
            _ => return Err(Refusal::not_here(&ask.path)),
        }
        Ok(Said::Labels { issue: number, labels })
    };
    let (_, told) = Told::say(job, said)?;
    if (method, rest.is_empty()) == (&Method::DELETE, true) {
        return Ok(Reply::nothing());
    }
    Ok(Reply::json(list(&standing(&told))))
}
