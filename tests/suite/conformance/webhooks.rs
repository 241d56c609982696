//! Real payloads of GitHub, Gitea, Forgejo and GitLab: each becomes an event, or is refused for a stated reason.
//!
//! What it does not do: send them to a server (the crate `web` does), and read Bitbucket's, which pipe takes no hooks of.

use std::path::{Path, PathBuf};

use serde_json::Value;
use workflow::event::{Event, EventError, Forge};

/// Events that GitHub sends and no workflow can be started by.
const NO_WORKFLOW_EVENTS: [&str; 1] = ["ping"];

struct Payload {
    event: String,
    path: PathBuf,
}

#[test]
fn payloads_become_events() {
    let folder = super::folder().join("webhooks").join("github");
    if !folder.is_dir() && super::is_optional() {
        eprintln!("conformance webhooks: SKIPPED, {} is no folder", folder.display());
        return;
    }
    super::run("webhooks", &payloads(&folder), |payload| payload.path.display().to_string(), &[], check);
}

fn payloads(folder: &Path) -> Vec<Payload> {
    let mut payloads = Vec::new();
    for event in std::fs::read_dir(folder).expect("the folder of payloads can be listed") {
        let event = event.unwrap();
        for file in std::fs::read_dir(event.path()).unwrap() {
            payloads.push(Payload { event: event.file_name().into_string().unwrap(), path: file.unwrap().path() });
        }
    }
    payloads.sort_by(|left, right| left.path.cmp(&right.path));
    payloads
}

fn check(payload: &Payload) -> Result<(), String> {
    let text = std::fs::read_to_string(&payload.path).map_err(|error| error.to_string())?;
    let json: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let refused = NO_WORKFLOW_EVENTS.contains(&payload.event.as_str());
    match Event::parse(&payload.event, json.clone()) {
        Err(EventError::NoWorkflowEvent(_)) if refused => Ok(()),
        Err(error) => Err(format!("  {error}")),
        Ok(_) if refused => Err("  should have been refused".to_owned()),
        Ok(event) => {
            let same = event.action.as_deref() == json["action"].as_str()
                && Some(event.repository.full_name.as_str()) == json["repository"]["full_name"].as_str()
                && Some(event.actor.login.as_str()) == json["sender"]["login"].as_str()
                && event.git_ref.as_str().starts_with("refs/")
                && *event.payload == json;
            if same { Ok(()) } else { Err(format!("  facts differ from the payload: {event:?}")) }
        }
    }
}

/// Forge, name of the event, file, and `event action ref repository actor` of what it becomes.
const OTHER_FORGES: [(Forge, &str, &str, &str); 12] = [
    (Forge::Github, "push", "github-woodpecker/HookPush", "push - refs/heads/main woodpecker-ci/woodpecker 6543"),
    (Forge::Github, "push", "github-woodpecker/HookTag", "push - refs/tags/the-tag-v1 6543/test_ci_tmp 6543"),
    (
        Forge::Github,
        "pull_request",
        "github-woodpecker/HookPullRequest",
        "pull_request opened refs/pull/1/merge baxterthehacker/public-repo octocat",
    ),
    (Forge::Gitea, "push", "gitea-woodpecker/HookPush", "push - refs/heads/main gordon/hello-world gordon"),
    (Forge::Gitea, "create", "gitea-woodpecker/HookTag", "create - refs/tags/v1.0.0 gordon/hello-world gordon"),
    (
        Forge::Gitea,
        "pull_request",
        "gitea-woodpecker/HookPullRequest",
        "pull_request opened refs/pull/1/merge gordon/hello-world gordon",
    ),
    (Forge::Forgejo, "push", "forgejo-woodpecker/HookPush", "push - refs/heads/main gordon/hello-world gordon"),
    (Forge::Forgejo, "create", "forgejo-woodpecker/HookTag", "create - refs/tags/v1.0.0 gordon/hello-world gordon"),
    (
        Forge::Forgejo,
        "pull_request",
        "forgejo-woodpecker/HookPullRequest",
        "pull_request opened refs/pull/1/merge gordon/hello-world gordon",
    ),
    (Forge::Gitlab, "Push Hook", "gitlab-woodpecker/HookPush", "push - refs/heads/main test/woodpecker test"),
    (Forge::Gitlab, "Tag Push Hook", "gitlab-woodpecker/HookTag", "push - refs/tags/v22 test/woodpecker test"),
    (
        Forge::Gitlab,
        "Merge Request Hook",
        "gitlab-woodpecker/HookPullRequestOpened",
        "pull_request opened refs/pull/3/merge demoaccount2-commits-group/test_ci_tmp real6543",
    ),
];

#[test]
fn payloads_of_other_forges_become_the_same_events() {
    let folder = super::folder().join("webhooks");
    if !folder.is_dir() && super::is_optional() {
        eprintln!("conformance webhooks of other forges: SKIPPED, {} is no folder", folder.display());
        return;
    }
    super::run(
        "webhooks of other forges",
        &OTHER_FORGES,
        |case| case.2.to_owned(),
        &[],
        |(forge, name, file, expected)| {
            let text =
                std::fs::read_to_string(folder.join(format!("{file}.json"))).map_err(|error| error.to_string())?;
            let json: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            let event = Event::from_forge(*forge, name, json).map_err(|error| error.to_string())?;
            let action = event.action.as_deref().unwrap_or("-");
            let (repository, actor) = (&event.repository.full_name, &event.actor.login);
            let found = format!("{} {action} {} {repository} {actor}", event.name, event.git_ref);
            if found == *expected { Ok(()) } else { Err(format!("  {found}")) }
        },
    );
}
