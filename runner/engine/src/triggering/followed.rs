//! Runs that start others: what happens to a run becomes an event `workflow_run`, as a delivery of our own.
//!
//! It only makes the delivery. Which workflows it starts is decided when it is looked at, from the default branch, as
//! with any other event. Follows
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#workflow_run> and
//! <https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_run>.

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};
use workflow::event::{Event, EventName};
use workflow::run::{Conclusion, Recorded, RunEvent};

use super::dispatch;
use crate::github::About;
use crate::service::RunSpec;
use crate::store::RunNumbers;
use crate::store::deliveries::{NewDelivery, ORIGIN_HEADER};
use crate::store::listing::RunListed;

/// How ids of deliveries begin that a run made.
pub(super) const RUN_ID: &str = "workflow_run ";
/// How many runs may follow a first one, each started by the one before: GitHub's number.
const CHAIN_MAX: u64 = 3;
/// Where a payload of ours tells the trust class of the run and how many runs it follows.
const CLASS: &str = "/workflow_run/pipe/trust";
const DEPTH: &str = "/workflow_run/pipe/depth";

/// What happened to a run: GitHub's activity types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// There is something in its log.
    Requested,
    /// The first of its jobs began.
    InProgress,
    /// It is over.
    Completed(Conclusion),
}

impl Activity {
    /// What a fact of a run comes to. `has_begun` is kept from fact to fact, false at first.
    pub(crate) fn of(fact: &Recorded, attempt: u32, has_begun: &mut bool) -> Vec<Self> {
        let mut happened = Vec::new();
        // GitHub: not when a run is run again.
        if fact.seq == 1 && attempt == 1 {
            happened.push(Self::Requested);
        }
        if matches!(fact.event, RunEvent::JobRunStarted { .. }) && !std::mem::replace(has_begun, true) {
            happened.push(Self::InProgress);
        }
        if let RunEvent::RunFinished { conclusion } = &fact.event {
            happened.push(Self::Completed(*conclusion));
        }
        happened
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::InProgress => "in_progress",
            Self::Completed(_) => "completed",
        }
    }

    /// GitHub's status of such a run.
    const fn status(self) -> &'static str {
        match self {
            Self::Requested => "queued",
            Self::InProgress | Self::Completed(_) => self.word(),
        }
    }
}

/// A run as its followers see it.
pub(crate) struct RunSeen<'a> {
    pub(crate) about: &'a About,
    pub(crate) spec: &'a RunSpec,
    pub(crate) numbers: RunNumbers,
    pub(crate) listed: &'a RunListed,
}

/// The delivery of what happened to a run. It is ignored where too many runs follow each other already.
pub(crate) fn seen(run: &RunSeen<'_>, activity: Activity, at: Timestamp, now: Timestamp) -> NewDelivery {
    let body = Json::Object(payload(run, activity, at)).to_string().into_bytes();
    let too_deep = depth(&run.spec.event) >= CHAIN_MAX;
    NewDelivery {
        guid: format!("{RUN_ID}{} {}", run.numbers.id, activity.word()),
        forge: run.spec.forge,
        event: EventName::WorkflowRun.as_str().to_owned(),
        repository: run.spec.repository.clone(),
        received_at: now,
        sha256: Sha256::digest(&body).into(),
        headers: vec![(ORIGIN_HEADER.to_owned(), "run".to_owned())],
        body,
        ignored: too_deep.then(|| format!("{CHAIN_MAX} runs follow each other already: GitHub's limit, and ours")),
    }
}

/// How many runs a run follows, each started by the one before.
fn depth(event: &Event) -> u64 {
    if event.name != EventName::WorkflowRun {
        return 0;
    }
    event.payload.pointer(DEPTH).and_then(Json::as_u64).unwrap_or(0).saturating_add(1)
}

/// The trust class of the run that an event tells of, if it is one of ours.
pub(super) fn class_of_followed(event: &Event) -> Option<&str> {
    event.payload.pointer(CLASS)?.as_str()
}

fn payload(run: &RunSeen<'_>, activity: Activity, at: Timestamp) -> Map<String, Json> {
    let RunSeen { about, spec, numbers, listed } = run;
    let (event, facts) = (&spec.event, &spec.event.repository);
    let mut payload = dispatch::base(&spec.repository, &facts.git_url, &facts.default_branch, &event.actor.login);
    // What the forge itself told of it is more than we know.
    if let Some(told) = event.payload.get("repository").filter(|told| told["full_name"].is_string()) {
        payload.insert("repository".to_owned(), told.clone());
    }
    let conclusion = match activity {
        Activity::Completed(conclusion) => Some(conclusion.word()),
        Activity::Requested | Activity::InProgress => None,
    };
    let (head_branch, head_repository) = head(event);
    let message = event.head_message.as_deref();
    let told = json!({
        "id": numbers.first.0, "name": about.workflow, "path": spec.workflow, "event": about.event,
        "display_title": listed.title, "run_number": numbers.number, "run_attempt": numbers.attempt,
        "status": activity.status(), "conclusion": conclusion,
        "head_branch": head_branch, "head_sha": about.commit,
        "head_commit": { "id": about.commit, "message": message },
        "head_repository": head_repository, "repository": payload.get("repository"),
        "pull_requests": pull_requests(event), "referenced_workflows": [],
        "actor": { "login": event.actor.login }, "triggering_actor": { "login": spec.requested_by },
        "created_at": listed.created_at, "run_started_at": listed.created_at, "updated_at": at.to_string(),
        "html_url": about.url,
        "pipe": { "run": numbers.id.0, "depth": depth(event), "trust": spec.trust.as_str() },
    });
    payload.insert("action".to_owned(), json!(activity.word()));
    payload.insert("workflow_run".to_owned(), told);
    payload.insert("workflow".to_owned(), json!({ "name": about.workflow, "path": spec.workflow, "state": "active" }));
    payload
}

/// The branch and the repository that a run's commit is from; a tag by its name.
fn head(event: &Event) -> (&str, Json) {
    let own = || json!({ "full_name": event.repository.full_name, "owner": { "login": event.repository.owner } });
    match &event.pull_request {
        // Of a fork that is gone there is only null.
        Some(pull) if pull.from_fork => (&pull.head_ref, event.payload["pull_request"]["head"]["repo"].clone()),
        Some(pull) => (&pull.head_ref, own()),
        None => (event.git_ref.short(), own()),
    }
}

/// GitHub names those of the repository itself only.
fn pull_requests(event: &Event) -> Json {
    let own = event.pull_request.as_ref().filter(|pull| !pull.from_fork);
    let told = own.map(|pull| {
        json!({
            "number": pull.number,
            "head": { "ref": pull.head_ref, "sha": pull.head_sha },
            "base": { "ref": pull.base_ref, "sha": pull.base_sha },
        })
    });
    Json::Array(told.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;
    use workflow::event::Forge;
    use workflow::run::{EVENT_VERSION, JobRunKey};

    use super::*;
    use crate::service::Trust;
    use crate::store::{RunId, RunStatus};

    fn fact(seq: u64, event: RunEvent) -> Recorded {
        Recorded { v: EVENT_VERSION, seq, at: Timestamp::UNIX_EPOCH, event }
    }

    #[test]
    fn facts_are_what_happened_to_a_run() {
        let started = |job: &str| RunEvent::JobRunStarted { key: JobRunKey::parse(job) };
        let finished = || RunEvent::RunFinished { conclusion: Conclusion::Failure };
        let course = [RunEvent::RunStarted, started("a"), started("b"), finished()];
        let told = |attempt: u32, course: &[RunEvent]| {
            let mut has_begun = false;
            let facts = (1..).zip(course).map(|(seq, event)| fact(seq, event.clone()));
            let words = facts.flat_map(|fact| Activity::of(&fact, attempt, &mut has_begun));
            words.map(|activity| format!("{}/{}", activity.word(), activity.status())).collect::<Vec<_>>()
        };
        let (begun, over) = ("in_progress/in_progress", "completed/completed");
        assert_eq!(told(1, &course), ["requested/queued", begun, over]);
        assert_eq!(told(2, &course), [begun, over], "a second attempt is not requested");
        assert_eq!(told(1, &[finished()]), ["requested/queued", over], "refused at once");
    }

    /// A run of an event, and the delivery of its end.
    fn ended(name: &str, more: &Json, trust: Trust) -> NewDelivery {
        let mut payload = json!({
            "repository": { "full_name": "o/r", "default_branch": "main", "id": 7 }, "sender": { "login": "ada" },
        });
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let event = Event::parse(name, payload).unwrap();
        let mut spec = RunSpec::new(Forge::Github, event, ".github/workflows/ci.yml", IndexMap::new());
        spec.trust = trust;
        let about = About {
            run: 9,
            attempt: 1,
            repository: "o/r".into(),
            commit: "c".repeat(40),
            workflow: "CI".into(),
            event: name.into(),
            forge: "github".into(),
            git_ref: "refs/heads/main".into(),
            pull_request: None,
            from_fork: trust == Trust::Fork,
            url: Some("https://ci.example/runs/9".into()),
            problems: Vec::new(),
        };
        let row = spec.row("2026-01-01T00:00:00Z".into());
        let listed = RunListed {
            id: RunId(9),
            repository: row.repository,
            workflow: row.workflow,
            number: 4,
            attempt: 1,
            event: row.event,
            git_ref: row.git_ref,
            sha: row.sha,
            actor: row.actor,
            title: "first".into(),
            trust: row.trust,
            status: RunStatus::Completed,
            conclusion: None,
            created_at: row.started_at,
            finished_at: None,
            rerun_of: None,
            reason: None,
            is_latest: true,
        };
        let numbers = RunNumbers { id: RunId(9), first: RunId(8), number: 4, attempt: 1 };
        let run = RunSeen { about: &about, spec: &spec, numbers, listed: &listed };
        seen(&run, Activity::Completed(Conclusion::Success), Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH)
    }

    fn event_of(delivery: &NewDelivery) -> Event {
        Event::parse_own(&delivery.event, serde_json::from_slice(&delivery.body).unwrap()).unwrap()
    }

    #[test]
    fn the_payload_is_that_of_github() {
        let delivery = ended("push", &json!({ "ref": "refs/heads/topic/x" }), Trust::Trusted);
        assert_eq!((delivery.guid.as_str(), delivery.ignored.as_deref()), ("workflow_run 9 completed", None));
        let event = event_of(&delivery);
        assert_eq!((event.action.as_deref(), event.git_ref.as_str()), (Some("completed"), "refs/heads/main"));
        assert_eq!(event.sha, None, "it runs at the tip of the default branch");
        let run = &event.payload["workflow_run"];
        for (key, expected) in [
            ("id", json!(8)),
            ("name", json!("CI")),
            ("path", json!(".github/workflows/ci.yml")),
            ("event", json!("push")),
            ("display_title", json!("first")),
            ("run_number", json!(4)),
            ("status", json!("completed")),
            ("conclusion", json!("success")),
            ("head_branch", json!("topic/x")),
            ("head_sha", json!("c".repeat(40))),
            ("html_url", json!("https://ci.example/runs/9")),
            ("actor", json!({ "login": "ada" })),
            ("pipe", json!({ "run": 9, "depth": 0, "trust": "trusted" })),
        ] {
            assert_eq!(run[key], expected, "{key}");
        }
        assert_eq!((&event.payload["workflow"]["name"], &event.payload["repository"]["id"]), (&json!("CI"), &json!(7)));
    }

    #[test]
    fn pull_requests_are_told_with_their_head() {
        let pull = |head: Json| {
            json!({ "action": "opened", "pull_request": {
                "number": 5, "base": { "ref": "main", "sha": "b".repeat(40) },
                "head": { "ref": "topic", "sha": "c".repeat(40), "repo": head },
            }})
        };
        let own = event_of(&ended("pull_request", &pull(json!({ "full_name": "o/r" })), Trust::Trusted));
        let run = &own.payload["workflow_run"];
        assert_eq!((&run["head_branch"], &run["pull_requests"][0]["number"]), (&json!("topic"), &json!(5)));
        let fork = event_of(&ended("pull_request", &pull(json!({ "full_name": "x/r" })), Trust::Fork));
        let run = &fork.payload["workflow_run"];
        assert_eq!((&run["head_repository"]["full_name"], &run["pull_requests"]), (&json!("x/r"), &json!([])));
        assert_eq!(run["pipe"]["trust"], "fork");
        let gone = event_of(&ended("pull_request", &pull(Json::Null), Trust::Fork));
        assert_eq!(gone.payload["workflow_run"]["head_repository"], Json::Null);
    }

    #[test]
    fn three_follow_and_the_class_goes_along() {
        let mut delivery = ended("push", &json!({ "ref": "refs/heads/main" }), Trust::Fork);
        for depth in 0..=4 {
            let event = event_of(&delivery);
            assert_eq!(event.payload.pointer(DEPTH), Some(&json!(depth)));
            assert_eq!(delivery.ignored.is_some(), depth >= 3, "{depth}");
            assert_eq!(class_of_followed(&event), Some("fork"));
            assert_eq!(crate::triggering::TrustPolicy::default().of(&event), Trust::Fork);
            delivery = ended("workflow_run", &event.payload, Trust::Fork);
        }
    }
}
