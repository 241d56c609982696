//! Tables: what becomes of payloads of other forges.

use serde_json::{Value as Json, json};

use crate::event::{ChangedFiles, Event, Forge};

const NONE: &str = "0000000000000000000000000000000000000000";

fn sha(digit: char) -> String {
    digit.to_string().repeat(40)
}

fn merged(base: &Json, more: &Json) -> Json {
    let mut object = base.as_object().unwrap().clone();
    object.extend(more.as_object().unwrap().clone());
    Json::Object(object)
}

/// `expected` is `event action ref sha repository actor flags`, or the text of the error.
#[track_caller]
fn check(forge: Forge, name: &str, payload: Json, expected: &str) {
    let found = match Event::from_forge(forge, name, payload.clone()) {
        Err(error) => error.to_string(),
        Ok(event) => {
            let sha = event.sha.as_deref().map_or("-", |sha| &sha[..2]);
            let action = event.action.as_deref().unwrap_or("-");
            let flags = [(event.created, "created"), (event.deleted, "deleted"), (event.from_fork(), "fork")];
            let flags: Vec<_> = flags.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
            let (repository, actor) = (&event.repository.full_name, &event.actor.login);
            format!("{} {action} {} {sha} {repository} {actor} {}", event.name, event.git_ref, flags.join("+"))
        }
    };
    assert_eq!(found.trim_end(), expected, "{forge} {name} {payload}");
}

#[test]
fn gitea() {
    let base = json!({
        "secret": "s3cret",
        "repository": { "full_name": "o/r", "default_branch": "trunk", "clone_url": "https://git.test/o/r.git" },
        "sender": { "login": "ada" },
    });
    let with = |more: Json| merged(&base, &more);
    let push = |before: &str, after: &str| with(json!({ "ref": "refs/heads/x", "before": before, "after": after }));
    for forge in [Forge::Gitea, Forge::Forgejo] {
        check(forge, "push", push(&sha('1'), &sha('2')), "push - refs/heads/x 22 o/r ada");
        check(forge, "push", push(NONE, &sha('2')), "push - refs/heads/x 22 o/r ada created");
        check(forge, "push", push(&sha('1'), NONE), "push - refs/heads/x - o/r ada deleted");
        let created = with(json!({ "ref": "v1", "ref_type": "tag", "sha": sha('3') }));
        check(forge, "create", created, "create - refs/tags/v1 33 o/r ada");
        check(forge, "repository", with(json!({})), "event `repository` starts no workflows");
        check(forge, "push", with(json!({})), "payload of `push` lacks `ref`");
    }
    let event = Event::from_forge(Forge::Gitea, "push", push(&sha('1'), &sha('2'))).unwrap();
    assert_eq!(event.payload.get("secret"), None);
    assert_eq!(event.repository.git_url, "https://git.test/o/r.git");
    let pull = |action: &str, head: Json| {
        let head = merged(&json!({ "ref": "topic", "sha": sha('9') }), &head);
        let base = json!({ "ref": "trunk", "sha": sha('8'), "repo_id": 3 });
        with(json!({ "action": action, "number": 9, "pull_request": { "number": 9, "base": base, "head": head } }))
    };
    let gitea = |name: &str, payload: Json, expected: &str| check(Forge::Gitea, name, payload, expected);
    let same = json!({ "repo_id": 3 });
    gitea("pull_request", pull("opened", same.clone()), "pull_request opened refs/pull/9/merge 99 o/r ada");
    gitea("pull_request_sync", pull("synchronized", same), "pull_request synchronize refs/pull/9/merge 99 o/r ada");
    let fork = json!({ "repo_id": 4, "repo": { "full_name": "x/r" } });
    gitea("pull_request", pull("label_updated", fork), "pull_request labeled refs/pull/9/merge 99 o/r ada fork");
    gitea("pull_request", pull("opened", json!({})), "pull_request opened refs/pull/9/merge 99 o/r ada fork");
}

#[test]
fn commits_that_are_left_out_make_files_unknown() {
    let commit = json!({ "id": sha('2'), "message": "m", "added": ["a"], "removed": [], "modified": ["b"] });
    for (total, known) in [(1, true), (2, false)] {
        let payload = json!({
            "repository": { "full_name": "o/r" }, "sender": { "login": "ada" }, "ref": "refs/heads/x",
            "before": sha('1'), "after": sha('2'), "commits": [commit], "total_commits": total,
        });
        let event = Event::from_forge(Forge::Gitea, "push", payload).unwrap();
        let files = ChangedFiles::Known(vec!["a".into(), "b".into()]);
        assert_eq!(event.changed_files, if known { files } else { ChangedFiles::Unknown });
        assert_eq!(event.head_message.as_deref(), Some("m"));
    }
}

#[test]
fn gitlab() {
    let project = json!({
        "id": 2, "path_with_namespace": "a/b/c", "default_branch": "trunk", "visibility_level": 0,
        "git_http_url": "https://gitlab.test/a/b/c.git",
    });
    let push = |kind: &str, git_ref: &str, before: &str, after: &str| {
        json!({
            "object_kind": kind, "project": project, "user_username": "ada", "ref": git_ref, "before": before,
            "after": after, "checkout_sha": if after == NONE { Json::Null } else { json!(sha('7')) }, "commits": [],
        })
    };
    let check = |name: &str, payload: Json, expected: &str| check(Forge::Gitlab, name, payload, expected);
    let branch = push("push", "refs/heads/x", &sha('1'), &sha('2'));
    check("Push Hook", branch.clone(), "push - refs/heads/x 77 a/b/c ada");
    check(
        "Tag Push Hook",
        push("tag_push", "refs/tags/v1", NONE, &sha('2')),
        "push - refs/tags/v1 77 a/b/c ada created",
    );
    check("Push Hook", push("push", "refs/heads/x", &sha('1'), NONE), "push - refs/heads/x - a/b/c ada deleted");
    check("Merge Request Hook", branch, "payload of `pull_request` has an unusable `object_kind`");
    check("Pipeline Hook", json!({ "object_kind": "pipeline" }), "event `Pipeline Hook` starts no workflows");
    let other = merged(&project, &json!({ "path_with_namespace": "x/c" }));
    let request = |action: &str, source: &Json, oldrev: Json| {
        json!({
            "object_kind": "merge_request", "project": project, "user": { "username": "ada", "id": 1 },
            "object_attributes": {
                "action": action, "iid": 4, "source_branch": "topic", "target_branch": "trunk", "source": source,
                "target": project, "last_commit": { "id": sha('5') }, "oldrev": oldrev, "merge_commit_sha":
                if action == "merge" { json!(sha('6')) } else { Json::Null },
            },
        })
    };
    for (action, source, oldrev, expected) in [
        ("open", &project, Json::Null, "pull_request opened refs/pull/4/merge 55 a/b/c ada"),
        ("open", &other, Json::Null, "pull_request opened refs/pull/4/merge 55 a/b/c ada fork"),
        ("update", &project, json!(sha('1')), "pull_request synchronize refs/pull/4/merge 55 a/b/c ada"),
        ("update", &project, Json::Null, "pull_request edited refs/pull/4/merge 55 a/b/c ada"),
        ("merge", &project, Json::Null, "pull_request closed refs/heads/trunk 66 a/b/c ada"),
        ("approved", &project, Json::Null, "event `merge request approved` starts no workflows"),
    ] {
        check("Merge Request Hook", request(action, source, oldrev), expected);
    }
    let note = json!({
        "object_kind": "note", "project": project, "user": { "username": "ada" }, "merge_request": { "iid": 4 },
        "object_attributes": { "noteable_type": "MergeRequest", "note": "again", "action": "create" },
    });
    check("Note Hook", note, "issue_comment created refs/heads/trunk - a/b/c ada");
    let release = json!({ "object_kind": "release", "project": project, "tag": "v2", "action": "create" });
    check("Release Hook", release, "release published refs/tags/v2 - a/b/c gitlab");
    let outside = merged(&project, &json!({ "path_with_namespace": "../c" }));
    let hostile = merged(&push("push", "refs/heads/x", &sha('1'), &sha('2')), &json!({ "project": outside }));
    check("Push Hook", hostile, "payload of `push` has an unusable `repository.full_name`");
}

#[test]
fn a_plain_hook_says_little() {
    let payload = json!({
        "repository": { "full_name": "local/shop" }, "ref": "refs/heads/main", "before": NONE, "after": sha('4'),
        "pusher": { "name": "ada" },
    });
    check(Forge::Push, "push", payload.clone(), "push - refs/heads/main 44 local/shop ada created");
    check(Forge::Push, "release", payload, "event `release` starts no workflows");
    check(Forge::Push, "push", json!([]), "payload of `push` is not a JSON object");
    for forge in Forge::ALL {
        assert_eq!(Forge::parse(forge.as_str()), Some(forge));
    }
}
