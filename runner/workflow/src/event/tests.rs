//! Tables: payloads and the facts in them; local events and what fills them; the `github` context.

use serde_json::{Map, Value as Json, json};

use super::local::{self, CommitFacts};
use super::{ChangedFiles, Event, EventError, GithubFacts, LocalFacts, github_context};
use crate::trigger::tests::facts;

fn sha(digit: char) -> String {
    digit.to_string().repeat(40)
}

fn with(base: &Json, more: Json) -> Json {
    let mut merged = base.as_object().unwrap().clone();
    merged.extend(more.as_object().unwrap().clone());
    Json::Object(merged)
}

fn payload(more: Json) -> Json {
    let base = json!({
        "repository": { "full_name": "o/r", "default_branch": "trunk", "id": 3, "owner": { "id": 4 } },
        "sender": { "login": "ada", "id": 5 },
    });
    with(&base, more)
}

/// `expected` is `ref sha`.
#[track_caller]
fn check(name: &str, more: Json, expected: &str) {
    let event = Event::parse(name, payload(more.clone())).unwrap();
    let short = event.sha.as_deref().map_or("-", |sha| &sha[..2]);
    assert_eq!(format!("{} {short}", event.git_ref), expected, "{name} {more}");
}

#[test]
fn ref_and_commit_of_each_event() {
    check("push", json!({ "ref": "refs/heads/a/b", "after": sha('1') }), "refs/heads/a/b 11");
    check("push", json!({ "ref": "refs/tags/v1", "after": sha('0') }), "refs/tags/v1 -");
    check("create", json!({ "ref": "v1", "ref_type": "tag" }), "refs/tags/v1 -");
    check("create", json!({ "ref": "b", "ref_type": "branch" }), "refs/heads/b -");
    check("delete", json!({ "ref": "b", "ref_type": "branch" }), "refs/heads/trunk -");
    check("workflow_dispatch", json!({ "ref": "refs/heads/b" }), "refs/heads/b -");
    check("schedule", json!({ "schedule": "* * * * *" }), "refs/heads/trunk -");
    check("issues", json!({ "action": "opened" }), "refs/heads/trunk -");
    check("release", json!({ "release": { "tag_name": "v2" } }), "refs/tags/v2 -");
    check("deployment", json!({ "deployment": { "ref": "b", "sha": sha('2') } }), "refs/heads/b 22");
    check("deployment", json!({ "deployment": { "ref": sha('2'), "sha": sha('2') } }), "refs/heads/trunk 22");
    let group = json!({ "merge_group": { "head_ref": "refs/heads/q/1", "head_sha": sha('3') } });
    check("merge_group", group, "refs/heads/q/1 33");
}

fn pull(more: Json) -> Json {
    let base = json!({
        "number": 9, "merge_commit_sha": sha('7'),
        "base": { "ref": "trunk", "sha": sha('8') },
        "head": { "ref": "topic", "sha": sha('9'), "repo": { "full_name": "o/r" } },
    });
    json!({ "action": "opened", "pull_request": with(&base, more) })
}

#[test]
fn pull_requests() {
    check("pull_request", pull(json!({})), "refs/pull/9/merge 77");
    check("pull_request", pull(json!({ "merge_commit_sha": null })), "refs/pull/9/merge 99");
    check("pull_request", pull(json!({ "merged": true })), "refs/heads/trunk 77");
    check("pull_request_review", pull(json!({})), "refs/pull/9/merge 77");
    check("pull_request_target", pull(json!({})), "refs/heads/trunk 88");
    check("pull_request_target", pull(json!({ "base": { "ref": "old", "sha": sha('8') } })), "refs/heads/trunk -");
    for (name, repository, expected) in [
        ("pull_request", json!({ "full_name": "o/r" }), false),
        ("pull_request", json!({ "full_name": "x/r" }), true),
        ("pull_request", Json::Null, true),
        ("pull_request_target", json!({ "full_name": "x/r" }), false),
    ] {
        let head = json!({ "head": { "ref": "t", "sha": sha('9'), "repo": repository } });
        let event = Event::parse(name, payload(pull(head))).unwrap();
        assert_eq!(event.from_fork(), expected, "{name} {repository}");
        assert_eq!((event.base_ref(), event.head_ref()), (Some("trunk"), Some("t")));
    }
}

#[test]
fn refused_payloads() {
    let refused = |name: &str, payload: Json| Event::parse(name, payload).unwrap_err().to_string();
    assert_eq!(refused("ping", json!({})), "event `ping` starts no workflows");
    assert_eq!(refused("workflow_call", json!({})), "event `workflow_call` starts no workflows");
    assert_eq!(refused("push", json!([])), "payload of `push` is not a JSON object");
    assert_eq!(refused("push", json!({})), "payload of `push` lacks `repository.full_name`");
    assert_eq!(refused("push", payload(json!({}))), "payload of `push` lacks `ref`");
    for (more, path) in [
        (json!({ "ref": "refs/heads/a b" }), "ref"),
        (json!({ "ref": "refs/heads/a/../b" }), "ref"),
        (json!({ "ref": "refs/heads/a", "after": "--upload-pack=x" }), "after"),
        (json!({ "ref": "refs/heads/a", "repository": { "full_name": "../x" } }), "repository.full_name"),
        (json!({ "ref": "refs/heads/a", "repository": { "full_name": "a/b/c" } }), "repository.full_name"),
        (json!({ "ref": "refs/heads/a", "repository": { "full_name": "-a/b" } }), "repository.full_name"),
    ] {
        assert!(matches!(
            Event::parse("push", payload(more)),
            Err(EventError::Unusable { path: found, .. }) if found == path
        ));
    }
}

#[test]
fn files_of_a_push() {
    let commits = json!([
        { "added": ["b"], "removed": [], "modified": ["a"] }, { "added": [], "removed": ["b"], "modified": ["c"] },
    ]);
    for (more, expected) in [
        (json!({ "commits": commits }), Some("a b c")),
        (json!({ "commits": commits, "forced": true }), None),
        (json!({ "commits": [] }), None),
        (json!({ "commits": [{ "added": [] }] }), None),
        (json!({}), None),
    ] {
        let event = Event::parse("push", payload(with(&json!({ "ref": "refs/heads/a" }), more.clone()))).unwrap();
        let actual = match &event.changed_files {
            ChangedFiles::Known(files) => Some(files.join(" ")),
            ChangedFiles::Unknown => None,
        };
        assert_eq!(actual.as_deref(), expected, "{more}");
    }
}

fn local_facts() -> LocalFacts {
    let head = CommitFacts { id: sha('1'), message: "Fix it\n\nbody".to_owned(), ..CommitFacts::default() };
    LocalFacts {
        head_commit: Some(head),
        changed_files: ChangedFiles::Known(vec!["a".to_owned()]),
        proposed_files: Some(ChangedFiles::Known(vec!["a".to_owned(), "b".to_owned()])),
        ..facts("refs/heads/topic")
    }
}

#[test]
fn local_events_are_as_rich_as_webhooks() {
    let event = Event::push(&local_facts()).unwrap();
    assert_eq!((event.git_ref.as_str(), event.sha.as_deref()), ("refs/heads/topic", Some(&*sha('1'))));
    assert_eq!((event.before.as_deref(), event.created), (Some(&*sha('2')), false));
    assert_eq!(event.changed_files, ChangedFiles::Known(vec!["a".to_owned()]));
    for (pointer, expected) in [
        ("/head_commit/message", "Fix it\n\nbody"),
        ("/commits/0/id", &*sha('1')),
        ("/repository/full_name", "acme/shop"),
        ("/repository/default_branch", "main"),
        ("/repository/owner/login", "acme"),
        ("/pusher/name", "ada"),
        ("/sender/login", "ada"),
    ] {
        assert_eq!(event.payload.pointer(pointer).and_then(Json::as_str), Some(expected), "{pointer}");
    }
    let first = Event::push(&LocalFacts { before: None, ..local_facts() }).unwrap();
    assert_eq!((first.created, first.before), (true, None));
    let pull = Event::pull_request(&local_facts(), "release").unwrap();
    assert_eq!((pull.base_ref(), pull.head_ref(), pull.from_fork()), (Some("release"), Some("topic"), false));
    assert_eq!((pull.git_ref.as_str(), pull.action.as_deref()), ("refs/pull/1/merge", Some("synchronize")));
    assert_eq!(pull.payload["pull_request"]["title"], "Fix it");
    for (pointer, expected) in [("/user/login", "ada"), ("/base/user/login", "acme"), ("/head/user/login", "acme")] {
        assert_eq!(pull.payload["pull_request"].pointer(pointer).and_then(Json::as_str), Some(expected), "{pointer}");
    }
    assert_eq!(pull.changed_files, ChangedFiles::Known(vec!["a".to_owned()]), "nothing is known of that branch");
    let known = LocalFacts { base: "release".to_owned(), base_sha: Some(sha('3')), ..local_facts() };
    for (facts, base, base_sha) in [(local_facts(), "main", sha('2')), (known, "release", sha('3'))] {
        let pull = Event::pull_request(&facts, base).unwrap();
        assert_eq!(pull.changed_files, ChangedFiles::Known(vec!["a".to_owned(), "b".to_owned()]), "{base}");
        assert_eq!(pull.payload["pull_request"]["base"]["sha"], base_sha, "{base}");
    }
}

/// Every event can be asked for by its name alone.
#[test]
fn every_event_has_a_local_form() {
    for name in super::EventName::ALL.iter().filter(|name| **name != super::EventName::WorkflowCall) {
        let event = local::event(name.as_str(), json!({}), &local_facts()).unwrap();
        assert!(event.sha.is_some(), "{name}");
        assert!(
            name.activities().is_empty() || event.action.is_some_and(|action| name.activities().contains(&&*action))
        );
    }
}

#[test]
fn given_payloads_win_and_are_completed() {
    let given = json!({ "ref": "refs/tags/v9", "repository": { "full_name": "x/y" }, "extra": 1 });
    let event = local::event("push", given, &local_facts()).unwrap();
    assert_eq!((event.git_ref.as_str(), &*event.repository.full_name), ("refs/tags/v9", "x/y"));
    assert_eq!((&event.payload["extra"], &event.payload["repository"]["default_branch"]), (&json!(1), &json!("main")));
    let commits = json!({ "commits": [{ "added": ["z"], "removed": [], "modified": [] }] });
    let event = local::event("push", commits, &local_facts()).unwrap();
    assert_eq!(event.changed_files, ChangedFiles::Known(vec!["z".to_owned()]));
    assert!(local::event("push", json!("x"), &local_facts()).is_err());
}

#[test]
fn the_github_context() {
    let event = Event::parse("pull_request", payload(pull(json!({})))).unwrap();
    let facts = GithubFacts {
        workflow: "CI".to_owned(),
        workflow_path: ".github/workflows/ci.yml".to_owned(),
        run_id: 12,
        run_number: 2,
        run_attempt: 1,
        server_url: "https://github.com".to_owned(),
        workspace: "/w".to_owned(),
        ..GithubFacts::default()
    };
    let mut context: Map<String, Json> = github_context(&event, &facts);
    assert_eq!(context.remove("event"), Some(Json::clone(&event.payload)));
    insta::assert_json_snapshot!(context);
    assert!(github_context(&event, &GithubFacts { token: Some("t".into()), ..facts }).contains_key("token"));
}
