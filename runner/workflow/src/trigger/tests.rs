//! Tables: an `on:` entry, an event, and the reasons.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Value as Json, json};

use super::{TriggerDecision, WhyNot, decide};
use crate::event::{ChangedFiles, Event, GitRef, LocalFacts, local};
use crate::model::{DispatchInput, Filters, InputType, Schedule, Trigger, Triggers, Workflow};
use crate::source::{FileId, Span, Spanned};
use crate::template::{Token, TokenKind};

fn list(items: &[&str]) -> Vec<Spanned<String>> {
    let span = |index: usize| Span::new(FileId(0), u32::try_from(index).unwrap() + 1, 99);
    items.iter().enumerate().map(|(index, item)| Spanned::new((*item).to_owned(), span(index))).collect()
}

fn workflow(event: &str, trigger: Trigger) -> Workflow {
    Workflow {
        path: "ci.yml".to_owned(),
        name: None,
        description: None,
        run_name: None,
        on: Triggers { entries: IndexMap::from([(event.to_owned(), trigger)]), span: Span::default() },
        permissions: None,
        env: None,
        defaults: None,
        concurrency: None,
        jobs: IndexMap::new(),
    }
}

pub(crate) fn facts(git_ref: &str) -> LocalFacts {
    LocalFacts {
        repository: "acme/shop".to_owned(),
        default_branch: "main".to_owned(),
        git_ref: GitRef::parse(git_ref).unwrap(),
        sha: "1".repeat(40),
        before: Some("2".repeat(40)),
        actor: "ada".to_owned(),
        email: "ada@example.org".to_owned(),
        server_url: "https://github.com".to_owned(),
        head_commit: None,
        changed_files: ChangedFiles::Unknown,
        base: "main".to_owned(),
        base_sha: None,
        proposed_files: None,
    }
}

/// `filters` as `branches: a b; paths: c`. `expected` is `runs` or the reasons, joined by `; `.
#[track_caller]
fn check(name: &str, filters: &str, git_ref: &str, payload: Json, files: Option<&str>, expected: &str) {
    let mut written = Filters::default();
    for filter in filters.split(';').map(str::trim).filter(|filter| !filter.is_empty()) {
        let (key, items) = filter.split_once(':').unwrap();
        let items = Some(list(&items.split_whitespace().collect::<Vec<_>>()));
        match key {
            "branches" => written.branches = items,
            "branches-ignore" => written.branches_ignore = items,
            "tags" => written.tags = items,
            "tags-ignore" => written.tags_ignore = items,
            "paths" => written.paths = items,
            "paths-ignore" => written.paths_ignore = items,
            "types" => written.types = items,
            "workflows" => written.workflows = items,
            other => panic!("{other}"),
        }
    }
    let workflow = workflow(name, Trigger { filters: written, ..Trigger::default() });
    let mut event = local::event(name, payload, &facts(git_ref)).unwrap();
    if let Some(files) = files {
        event = event.with_changed_files(ChangedFiles::Known(files.split_whitespace().map(str::to_owned).collect()));
    }
    let actual = match decide(&workflow, &Arc::new(event)) {
        TriggerDecision::Runs { .. } => "runs".to_owned(),
        TriggerDecision::DoesNotRun(reasons) => reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    };
    assert_eq!(actual, expected, "{name} {filters} {git_ref}");
}

const MAIN: &str = "refs/heads/main";
const RUNS: &str = "runs";

#[test]
fn branches_and_tags_of_push() {
    let push = |filters, git_ref, expected| check("push", filters, git_ref, json!({}), None, expected);
    let tag = "refs/tags/v1";
    push("", MAIN, RUNS);
    push("", tag, RUNS);
    push("branches: main", MAIN, RUNS);
    push("branches: main", "refs/heads/feature/x", "`branches: [main]` does not match `feature/x`");
    push("branches: release/** !release/old", "refs/heads/release/1", RUNS);
    push(
        "branches: release/** !release/old",
        "refs/heads/release/old",
        "`branches`: `!release/old` excludes `release/old`",
    );
    push("branches: release/** !release/old release/o*", "refs/heads/release/old", RUNS);
    push("branches: !x", MAIN, "`branches: [!x]` does not match `main`");
    push("branches:", MAIN, "`branches: []` does not match `main`");
    push("branches-ignore: ma*", MAIN, "`branches-ignore: [ma*]` matches `main`");
    push("branches-ignore: x", MAIN, RUNS);
    push("branches: main", tag, "`push` has only `branches` filters, and `refs/tags/v1` is a tag");
    push("branches-ignore: x", tag, "`push` has only `branches` filters, and `refs/tags/v1` is a tag");
    push("tags: v*", MAIN, "`push` has only `tags` filters, and `refs/heads/main` is a branch");
    push("tags: v*", tag, RUNS);
    push("tags-ignore: v*", tag, "`tags-ignore: [v*]` matches `v1`");
    push("branches: main; tags: v2*", MAIN, RUNS);
    push("branches: main; tags: v2*", tag, "`tags: [v2*]` does not match `v1`");
}

#[test]
fn paths() {
    let push = |filters, git_ref, files, expected| check("push", filters, git_ref, json!({}), Some(files), expected);
    push("paths: src/**", MAIN, "README.md src/a.rs", RUNS);
    push("paths: src/**", MAIN, "README.md", "`paths: [src/**]` does not match `README.md`");
    push("paths: src/**", MAIN, "a b c d e", "`paths: [src/**]` does not match `a`, `b`, `c` and 2 more");
    push("paths: src/**", MAIN, "", "`paths: [src/**]` does not match an empty list of changed files");
    push("paths: src/** !src/doc/**", MAIN, "src/doc/x", "`paths: [src/**, !src/doc/**]` does not match `src/doc/x`");
    push("paths: src/** !src/doc/**", MAIN, "src/doc/x src/y", RUNS);
    push("paths-ignore: docs/**", MAIN, "docs/a", "`paths-ignore: [docs/**]` matches `docs/a`");
    push("paths-ignore: docs/**", MAIN, "docs/a b", RUNS);
    push("paths-ignore: docs/**", MAIN, "", RUNS);
    push("paths: src/**", "refs/tags/v1", "README.md", RUNS);
    push(
        "branches: x; paths: src/**",
        MAIN,
        "a",
        "`branches: [x]` does not match `main`; `paths: [src/**]` does not match `a`",
    );
    check("push", "paths: src/**", MAIN, json!({}), None, RUNS);
    check(
        "pull_request",
        "paths: src/**",
        "refs/heads/x",
        json!({}),
        Some("a"),
        "`paths: [src/**]` does not match `a`",
    );
}

#[test]
fn events_and_activity_types() {
    let action = |name, filters, action: &str, expected| {
        check(name, filters, "refs/heads/x", json!({ "action": action }), None, expected);
    };
    for opening in ["opened", "synchronize", "reopened"] {
        action("pull_request", "", opening, RUNS);
    }
    action(
        "pull_request",
        "",
        "labeled",
        "activity type `labeled` of `pull_request`: without `types`, the event starts on `opened`, `synchronize`, `reopened`",
    );
    action("pull_request", "types: labeled", "labeled", RUNS);
    action(
        "pull_request",
        "types: closed",
        "opened",
        "activity type `opened` of `pull_request`: `types` starts on `closed`",
    );
    action("pull_request", "branches: main", "opened", RUNS);
    action("pull_request", "branches: x", "opened", "`branches: [x]` does not match `main`");
    action("issues", "", "pinned", RUNS);
    action(
        "release",
        "types: published",
        "created",
        "activity type `created` of `release`: `types` starts on `published`",
    );
    let payload = json!({ "action": "go" });
    check("repository_dispatch", "types: go", MAIN, payload, None, RUNS);
    let run = json!({ "action": "completed", "workflow_run": { "name": "CI", "head_branch": "x" } });
    check("workflow_run", "workflows: CI", MAIN, run.clone(), None, RUNS);
    check("workflow_run", "workflows: Other", MAIN, run.clone(), None, "`workflows: [Other]` does not match `CI`");
    check("workflow_run", "branches: main", MAIN, run, None, "`branches: [main]` does not match `x`");
}

#[test]
fn pushes_and_pull_requests_that_start_nothing() {
    let zeros = "0".repeat(40);
    check("push", "", MAIN, json!({ "deleted": true, "after": zeros }), None, "the push deleted `refs/heads/main`");
    let skip = json!({ "head_commit": { "message": "x [ci skip]" } });
    check("push", "", MAIN, skip.clone(), None, "the head commit's message has `[ci skip]`");
    check("pull_request", "", MAIN, skip.clone(), None, "the head commit's message has `[ci skip]`");
    check("pull_request_target", "", MAIN, skip, None, RUNS);
    let conflict = json!({ "pull_request": { "mergeable": false } });
    check("pull_request", "", MAIN, conflict.clone(), None, "the pull request has a merge conflict");
    check("pull_request_target", "", MAIN, conflict, None, RUNS);
}

#[test]
fn unlisted_events_and_schedules() {
    let event = Arc::new(Event::push(&facts(MAIN)).unwrap());
    let decision = decide(&workflow("schedule", Trigger::default()), &event);
    let TriggerDecision::DoesNotRun(reasons) = decision else { panic!("{decision:?}") };
    assert_eq!(reasons[0].to_string(), "`on` lists `schedule`, not `push`");
    let cron = Spanned::new("0 1 * * *".to_owned(), Span::default());
    let trigger = Trigger { schedule: vec![Schedule { cron, timezone: None }], ..Trigger::default() };
    for (line, expected) in [("0 1 * * *", true), ("0 2 * * *", false)] {
        let event = Event::schedule(&facts(MAIN), line).unwrap();
        assert_eq!(decide(&workflow("schedule", trigger.clone()), &Arc::new(event)).runs(), expected, "{line}");
    }
}

fn dispatch_trigger() -> Trigger {
    let input = |kind, required, default: Option<TokenKind>, options: &[&str]| DispatchInput {
        span: Span::default(),
        description: None,
        required,
        kind,
        default: default.map(|kind| Token::new(kind, Span::default())),
        options: list(options),
    };
    let dispatch_inputs = IndexMap::from([
        (
            "target".to_owned(),
            input(InputType::Choice, true, Some(TokenKind::String("test".into())), &["test", "prod"]),
        ),
        ("dry".to_owned(), input(InputType::Boolean, false, Some(TokenKind::Boolean(true)), &[])),
        ("count".to_owned(), input(InputType::Number, false, Some(TokenKind::Number(3.0)), &[])),
        ("version".to_owned(), input(InputType::String, true, None, &[])),
        ("note".to_owned(), input(InputType::String, false, None, &[])),
    ]);
    Trigger { dispatch_inputs, ..Trigger::default() }
}

fn dispatch(given: Json) -> Result<(Json, Json), Vec<WhyNot>> {
    let event = local::event("workflow_dispatch", json!({ "inputs": given }), &facts(MAIN)).unwrap();
    match decide(&workflow("workflow_dispatch", dispatch_trigger()), &Arc::new(event)) {
        TriggerDecision::Runs { event, inputs } => Ok((Json::Object(inputs), event.payload["inputs"].clone())),
        TriggerDecision::DoesNotRun(reasons) => Err(reasons),
    }
}

#[test]
fn accepted_inputs_have_two_forms() {
    assert_eq!(
        dispatch(json!({ "version": "1.2" })).unwrap(),
        (
            json!({ "target": "test", "dry": true, "count": 3, "version": "1.2", "note": "" }),
            json!({ "target": "test", "dry": "true", "count": "3", "version": "1.2", "note": "" }),
        )
    );
    assert_eq!(
        dispatch(json!({ "version": "v", "dry": "false", "COUNT": "2.5", "target": "prod" })).unwrap().0,
        json!({ "target": "prod", "dry": false, "count": 2.5, "version": "v", "note": "" })
    );
}

#[test]
fn wrong_inputs_are_all_named() {
    let given = json!({ "versoin": "1", "dry": "maybe", "count": "x", "target": "moon" });
    let reasons = dispatch(given).unwrap_err();
    assert!(reasons.iter().all(WhyNot::is_input_error));
    let texts: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "unexpected input `versoin`, did you mean `version`?",
            "input `target` is `moon`, but must be one of `test`, `prod`",
            "input `dry` is `maybe`, but must be `true` or `false`",
            "input `count` is `x`, but must be a number",
            "required input `version` not provided",
        ]
    );
    let reasons = dispatch(json!({ "version": "x".repeat(70_000) })).unwrap_err();
    assert_eq!(reasons[0].to_string(), "the inputs hold 70000 characters, at most 65535 are allowed");
}
