//! The page on which a deployment is approved: looking changes nothing, what is seen is what is approved, and what others
//! wrote stays text.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use engine::store::RunId;
use engine::store::reports::Reports;
use engine::store::tokens::Scope;
use engine::store::verdicts::{FindingLine, Found, ImageVerdict};
use jiff::Timestamp;
use serde_json::json;
use workflow::model::JobId;
use workflow::run::{Conclusion, JobPath, JobRunKey, Leg, RunEvent, Terms};

use crate::pages::hostile::{TEXTS, check_harmless};
use crate::world::World;

fn waits(environment: &str, reviewers: &[&str]) -> Vec<RunEvent> {
    let leg = Leg {
        name: "Deploy".into(),
        matrix: json!(null),
        continue_on_error: false,
        timeout_ms: 1,
        cancel_timeout_ms: 1,
    };
    let job = JobPath::root(&JobId::new("deploy"));
    let key = JobRunKey::new(job.clone(), None);
    let subject = if environment.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        format!("of-{environment}")
    } else {
        "of-it".to_owned()
    };
    let terms = Terms { required: 2, barred: vec!["mona".into()], subject, ..Terms::default() };
    vec![
        RunEvent::RunStarted,
        RunEvent::JobExpanded { job, matrix: false, legs: vec![leg], fail_fast: true, max_parallel: None },
        RunEvent::ReviewRequested {
            key,
            environment: environment.into(),
            reviewers: reviewers.iter().map(|name| (*name).to_owned()).collect(),
            wait_ms: 0,
            terms,
        },
    ]
}

async fn waiting(world: &World, environment: &str, reviewers: &[&str]) -> RunId {
    let run = world.run("octo/shop", "main").await;
    world.facts(run, 1, &waits(environment, reviewers)).await;
    run
}

#[tokio::test]
async fn what_is_approved_is_what_was_seen() {
    let world = World::new().await;
    let run = waiting(&world, "prod", &["admin", "bob"]).await;
    let page = format!("/runs/{run}/review/prod");
    let look = world.browse(&page).await;
    assert_eq!(look.status, StatusCode::OK, "{}", look.text());
    for text in ["value=\"of-prod\"", "2 of <bdi>admin</bdi>, <bdi>bob</bdi>", "Not <bdi>mona</bdi>", "Approve prod"] {
        assert!(look.text().contains(text), "{text}: {}", look.text());
    }
    assert_eq!(world.asked.take(), Vec::<String>::new(), "looking asks for nothing");
    let done = world.submit(&page, "state=approved&subject=of-prod&comment=+fine+&csrf=").await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, format!("/runs/{run}").as_str()));
    assert_eq!(world.asked.take(), [format!("Approve {run} Some(\"prod\") by admin: fine as of-prod")]);
    for wrong in ["state=approved", "state=maybe&subject=x", ""] {
        assert_eq!(world.submit(&page, wrong).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(world.asked.take(), Vec::<String>::new());
    let gone = world.browse(&format!("/runs/{run}/review/staging")).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_may_not_review_sees_why() {
    let world = World::new().await;
    let run = waiting(&world, "prod", &["bob"]).await;
    let page = format!("/runs/{run}/review/prod");
    let look = world.browse(&page).await;
    assert!(look.text().contains("admin is no reviewer of `prod`"), "{}", look.text());
    assert!(!look.text().contains("<form class=\"decide\""), "{}", look.text());
    let viewer = world.token("viewer", &[Scope::RunsRead], &[]).await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let refused = world.send_form(&viewer, &page, "state=approved&subject=of-prod", &form).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let stranger = world.token("stranger", &[Scope::RunsRead, Scope::ReviewsWrite], &["octo/else"]).await;
    let hidden = world.send_form(&stranger, &page, "state=approved&subject=of-prod", &form).await;
    assert_eq!(hidden.status, StatusCode::NOT_FOUND);
    assert_eq!(world.asked.take(), Vec::<String>::new());
    // Refused by the run itself: the page says so and is still there.
    let own = waiting(&world, "own", &["admin"]).await;
    let refused = world.submit(&format!("/runs/{own}/review/own"), "state=approved&subject=of-own").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text().contains("you started it") && refused.text().contains("value=\"of-own\""));
}

#[tokio::test]
async fn what_waits_is_in_the_api() {
    let world = World::new().await;
    let run = waiting(&world, "prod", &["admin", "bob"]).await;
    let answer = world.get(&format!("/runs/{run}/reviews")).await.json();
    let one = &answer["reviews"][0];
    assert_eq!((&one["subject"], &one["missing"], &one["why_not"]), (&json!("of-prod"), &json!(2), &json!(null)));
    assert_eq!(one["changes"]["problem"], "no server has a copy of the repository");
}

#[tokio::test]
async fn what_cannot_be_undone_and_what_scans_said_is_seen_before() {
    let world = World::new().await;
    let run = waiting(&world, "prod", &["admin"]).await;
    let ended = RunEvent::JobRunFinished {
        key: JobRunKey::parse("plan"),
        conclusion: Conclusion::Success,
        outputs: BTreeMap::from([("irreversible".to_owned(), "2_drop.sql (drops table a <b>)".to_owned())]),
        message: None,
    };
    world.facts(run, 4, &[ended]).await;
    let line = |id: &str, severity: &str| FindingLine {
        fingerprint: id.into(),
        id: id.into(),
        subject: "openssl <i>".into(),
        severity: severity.into(),
        fails: false,
    };
    let said = |repository: &str, step, findings| ImageVerdict {
        repository: repository.into(),
        image: "sha256:1".into(),
        target: "shop/orders:2".into(),
        run,
        job: "scan".into(),
        step,
        outcome: "untrusted".into(),
        sentence: "untrusted: <u>".into(),
        advisories: None,
        advisories_at: None,
        policy: "sha256:2".into(),
        policy_name: "gate.yml".into(),
        at: Timestamp::UNIX_EPOCH,
        findings,
        again: false,
    };
    let verdicts = Reports::on(world.database.clone()).verdicts();
    let found = Found { count: 3, worst: vec![line("CVE-1", "high"), line("CVE-2", "low"), line("CVE-3", "low")] };
    verdicts.record(said("octo/shop", 1, Some(found))).await.unwrap();
    verdicts.record(said("octo/else", 2, None)).await.unwrap();
    let page = world.browse(&format!("/runs/{run}/review/prod")).await;
    for text in [
        "This cannot be undone",
        "job plan",
        "2_drop.sql (drops table a &lt;b&gt;)",
        "orders:2",
        "Not to be trusted",
        "untrusted: &lt;u&gt;",
        "1 high, 2 low",
        "no scan of it is known",
    ] {
        assert!(page.text().contains(text), "{text}: {}", page.text());
    }
    let told = world.get(&format!("/runs/{run}/reviews")).await.json();
    let changes = &told["reviews"][0]["changes"];
    assert_eq!(changes["irreversible"], json!([{ "by": "job plan", "words": "2_drop.sql (drops table a <b>)" }]));
    assert_eq!(changes["scans"].as_array().unwrap().len(), 1, "another repository's scans are its own: {changes}");
    let plain = waiting(&world, "prod", &["admin"]).await;
    let page = world.browse(&format!("/runs/{plain}/review/prod")).await;
    assert!(!page.text().contains("cannot be undone") && !page.text().contains("Scans"), "{}", page.text());
}

#[tokio::test]
async fn hostile_names_are_text() {
    let world = World::new().await;
    for text in TEXTS {
        let run = waiting(&world, text, &["admin", text]).await;
        let path: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let page = world.browse(&format!("/runs/{run}/review/{path}")).await;
        assert_eq!(page.status, StatusCode::OK, "{text:?}: {}", page.text());
        check_harmless(page.text(), text);
    }
}
