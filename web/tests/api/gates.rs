//! Gates in the middle of jobs: who sees and answers them, what an answer is bound to, and that they stand nowhere as services.

use engine::store::RunId;
use engine::store::people::Role;
use engine::store::rollouts::{Addition, NewRollout, RolloutState};
use engine::store::tokens::Scope;
use jiff::{SignedDuration, Timestamp};
use rollout::Plan;
use rollout::gate::{Asks, TARGET};
use rollout::plan::{Analysis, Inconclusive, OnActive, RollbackOn, Schedule, Step, Weight};
use serde_json::{Value as Json, json};
use workflow::run::RunEvent;

use crate::pages::hostile::{TEXTS, check_harmless};
use crate::rollouts;
use crate::world::{World, ada, course};

/// As `pipe/approve` keeps one.
fn plan(asks: &Asks) -> Plan {
    let zero = SignedDuration::ZERO;
    Plan {
        environment: "production".into(),
        service: "gate:move".into(),
        repository: "octo/shop".into(),
        commit: "1".repeat(40),
        image: String::new(),
        version: "move".into(),
        target: TARGET.into(),
        settings: json!(asks),
        schedule: Schedule::of(vec![Step { weight: Weight::ALL, hold: zero, analyse: false, pause: true }]),
        analysis: Analysis {
            metrics: Vec::new(),
            max_ratio: 1.0,
            alpha: 0.05,
            min_requests: 0,
            inconclusive: Inconclusive::Ask,
            max_extend: zero,
        },
        rollback_on: RollbackOn::ALL,
        on_active: OnActive::Wait,
        hooks: Vec::new(),
        start_timeout: zero,
        timeout: zero,
        keep_blue: zero,
        tick: zero,
        irreversible: None,
        rollback_of: None,
        reuse: None,
    }
}

fn asks(reviewers: &[&str], approvals: usize) -> Asks {
    Asks {
        subject: "Move 1,203 customers?".into(),
        details: "+ 1,203 rows".into(),
        reviewers: reviewers.iter().map(|&name| name.to_owned()).collect(),
        approvals,
        prevent_self_review: true,
    }
}

/// A run with a job in whose middle a gate waits.
async fn ask(world: &World, asks: &Asks) -> (RunId, u64, String) {
    let run = world.run("octo/shop", "main").await;
    world.facts(run, 1, &course()[..5]).await;
    let plan = plan(asks);
    let subject = if asks.subject.is_empty() { "it asks" } else { &asks.subject };
    let mut view = rollouts::view(&json!({
        "service": plan.service, "phase": "paused", "words": subject, "weight": 0, "blue": null,
        "orders": ["promote", "abort"], "plan_hash": plan.hash(), "evidence": [], "next_at": "2999-01-01T00:00:00Z",
        "timeline": [{ "at": "2026-01-01T00:00:00Z", "words": subject, "is_bad": false }],
    }));
    view["steps"].as_array_mut().unwrap().truncate(1);
    let new = NewRollout {
        key: format!("approve {run}"),
        environment: plan.environment.clone(),
        service: plan.service.clone(),
        repository: plan.repository.clone(),
        run: Some(run),
        job: "build".into(),
        actor: "mona".into(),
        plan_hash: plan.hash(),
        fact: json!({ "fact": "planned", "by": "mona", "plan": plan }),
        view,
        at: Timestamp::UNIX_EPOCH,
    };
    let row = world.rollouts.create(new).await.unwrap();
    let facts = vec![(Timestamp::now(), json!({ "fact": "asks" }))];
    let closed =
        Addition { seq: row.seq, token: None, facts, view: row.view, state: RolloutState::Closed, passing: None };
    world.rollouts.append(row.id, closed).await.unwrap();
    (run, row.id, row.plan_hash)
}

async fn orders(world: &World, id: u64) -> Vec<String> {
    let orders = world.rollouts.orders_after(id, 0).await.unwrap();
    orders.iter().map(|order| format!("{} {} {}", order.word, order.actor, order.comment)).collect()
}

#[tokio::test]
async fn what_is_asked_is_seen_and_answered() {
    let world = World::new().await;
    let (run, id, plan) = ask(&world, &asks(&["admin", "bob"], 2)).await;
    let page = format!("/runs/{run}/gates/{id}");
    let look = world.browse(&page).await;
    assert_eq!(look.status, 200, "{}", look.text());
    let shown = [
        "Move 1,203 customers?",
        "+ 1,203 rows",
        &plan,
        "2 of <bdi>admin</bdi>, <bdi>bob</bdi>",
        "Not <bdi>mona</bdi>",
    ];
    for text in shown.iter().chain(&["value=\"approved\"", "value=\"rejected\""]) {
        assert!(look.text().contains(text), "{text}: {}", look.text());
    }
    // Where people look all day; and nowhere as a service that stands.
    let link = format!("href=\"{page}\"");
    for path in ["/".to_owned(), format!("/runs/{run}"), "/environments/production".to_owned()] {
        let text = world.browse(&path).await;
        assert!(text.text().contains(&link), "{path}: {}", text.text());
    }
    assert!(!world.browse("/environments").await.text().contains("gate:"));
    let other = world.browse(&format!("/rollouts/{id}")).await;
    assert_eq!((other.status.as_u16(), other.header("location")), (303, page.as_str()));
    assert_eq!(orders(&world, id).await, [""; 0], "looking orders nothing");
    let done = world.submit(&page, &format!("state=approved&comment=+go+&plan={plan}")).await;
    assert_eq!((done.status.as_u16(), done.header("location")), (303, page.as_str()));
    assert_eq!(orders(&world, id).await, ["promote admin go"]);
    let after = world.browse(&page).await;
    for text in
        ["1 more", "approved it", "an approval of admin does not count: they did so before", "value=\"rejected\""]
    {
        assert!(after.text().contains(text), "{text}: {}", after.text());
    }
    assert!(!after.text().contains("value=\"approved\""), "{}", after.text());
    assert!(!world.browse("/").await.text().contains(&link), "it waits for another one");
    assert_eq!(
        world.deeds().await,
        [format!("token admin rollout.promote octo/shop rollout {id} of gate:move to production")]
    );
}

#[tokio::test]
async fn an_answer_is_to_what_was_seen_by_who_may() {
    let world = World::new().await;
    let (run, id, plan) = ask(&world, &asks(&["bob"], 1)).await;
    let page = format!("/runs/{run}/gates/{id}");
    let form = [("content-type", "application/x-www-form-urlencoded"), ("accept", "text/html")];
    // Who may deploy there may reject; whose approval does not count is told so.
    let refused = world.submit(&page, &format!("state=approved&plan={plan}")).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("does not count at gate:move: asked are bob"), "{}", refused.text());
    for (fields, status) in [
        (format!("state=maybe&plan={plan}"), 400),
        ("state=rejected".to_owned(), 400),
        ("state=rejected&plan=sha256:other".to_owned(), 409),
        (format!("state=rejected&plan={plan}&comment={}", "x".repeat(5_000)), 400),
    ] {
        assert_eq!(world.submit(&page, &fields).await.status.as_u16(), status, "{fields}");
    }
    assert_eq!(world.browse(&format!("/runs/{run}/gates/77")).await.status, 404);
    let other = world.run("octo/shop", "main").await;
    assert_eq!(
        world.submit(&format!("/runs/{other}/gates/{id}"), &format!("state=rejected&plan={plan}")).await.status,
        404
    );
    let plain = rollouts::begin(&world.rollouts, "a", &json!({})).await;
    let body = format!("state=rejected&plan={plan}");
    assert_eq!(world.submit(&format!("/runs/1/gates/{plain}"), &body).await.status, 404, "a rollout is no gate");
    let viewer = world.token("viewer", &[Scope::RunsRead], &[]).await;
    assert_eq!(world.send_form(&viewer, &page, &body, &form).await.status, 403);
    let seen = world.get_of(&viewer, &page, &[("accept", "text/html")]).await;
    assert!(seen.status == 200 && !seen.text().contains("<form class=\"decide\""), "{}", seen.text());
    let stranger = world.token("stranger", &[Scope::RunsRead, Scope::Deploy], &["octo/else"]).await;
    assert_eq!(world.send_form(&stranger, &page, &body, &form).await.status, 404);
    assert_eq!(orders(&world, id).await, [""; 0]);
    // Each person is one order, however fast they are.
    let bob = world.token("bob", &[Scope::RunsRead, Scope::Deploy], &["octo/shop"]).await;
    for _ in 0..2 {
        let answer = world.send_form(&bob, &page, &format!("state=approved&plan={plan}&comment=yes"), &form).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
    }
    assert_eq!(orders(&world, id).await, ["promote bob yes"]);
}

/// A01: under whichever of their names they started the run, and with whichever word.
#[tokio::test]
async fn a01_who_started_the_run_does_not_answer_under_another_name() {
    let world = World::new().await;
    let (run, id, plan) = ask(&world, &asks(&[], 1)).await;
    let page = format!("/runs/{run}/gates/{id}");
    world.user("lovelace", &[(Role::Admin, "")]).await;
    world.entrance.people.link("lovelace", "github:Mona", ada(), Timestamp::now()).await.unwrap();
    let browser = world.browser("lovelace").await;
    let seen = world.open(&browser, &page).await;
    assert!(seen.text().contains("they started the run, as mona"), "{}", seen.text());
    let fields = [("csrf", browser.csrf.as_str()), ("state", "approved"), ("plan", &plan)];
    let refused = world.form(&page, &browser.cookie, &fields).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("they started the run, as mona"), "{}", refused.text());
    assert_eq!(orders(&world, id).await, [""; 0]);
    world.user("bob", &[(Role::Admin, "")]).await;
    let browser = world.browser("bob").await;
    let fields = [("csrf", browser.csrf.as_str()), ("state", "approved"), ("plan", &plan)];
    assert_eq!(world.form(&page, &browser.cookie, &fields).await.status, 303);
    assert_eq!(orders(&world, id).await, ["promote bob "]);
}

#[tokio::test]
async fn gates_are_in_the_api() {
    let world = World::new().await;
    let (run, id, plan) = ask(&world, &asks(&[], 1)).await;
    for path in ["/runs".to_owned(), format!("/runs/{run}"), format!("/runs/{run}/reviews")] {
        let answer = world.get(&path).await.json();
        let gate = &answer["gates"][0];
        let told = json!([gate["id"], gate["service"], gate["job"], gate["plan"], gate["why_not"], gate["missing"]]);
        assert_eq!(told, json!([id, "gate:move", "build", plan, null, 1]), "{path}: {answer}");
    }
    let path = format!("/rollouts/{id}/orders");
    let stale = world.post(&path, &json!({ "order": "promote", "plan": "sha256:other" })).await;
    assert_eq!((stale.status.as_u16(), stale.problem()), (409, "plan".to_owned()));
    assert_eq!(world.post(&path, &json!({ "order": "promote", "plan": plan })).await.status, 202);
    let gates = world.get(&format!("/runs/{run}")).await.json()["gates"].clone();
    assert_eq!((&gates[0]["why_not"], &gates[0]["missing"]), (&json!("it is decided"), &json!(0)));
    // A run that is over asks nobody, whatever became of its step.
    let end = [RunEvent::RunFinished { conclusion: workflow::run::Conclusion::Cancelled }];
    world.facts(run, 6, &end).await;
    assert_eq!(world.get("/runs").await.json()["gates"], Json::Array(Vec::new()));
    let page = world.browse(&format!("/runs/{run}/gates/{id}")).await;
    assert!(page.text().contains("nobody is asked any more"), "{}", page.text());
}

#[tokio::test]
async fn hostile_questions_are_text() {
    let world = World::new().await;
    for &text in TEXTS {
        let asks = Asks { subject: text.into(), details: text.into(), ..asks(&[text], 1) };
        let (run, id, _) = ask(&world, &asks).await;
        for path in [format!("/runs/{run}/gates/{id}"), format!("/runs/{run}")] {
            let page = world.browse(&path).await;
            assert_eq!(page.status, 200, "{text:?}: {}", page.text());
            check_harmless(page.text(), text);
        }
        let ended = world.rollouts.get(id).await.unwrap().unwrap();
        let mut view = ended.view;
        (view["outcome"], view["words"]) = ("rejected".into(), text.into());
        let facts = vec![(Timestamp::now(), json!({ "fact": "ended" }))];
        let addition =
            Addition { seq: ended.seq, token: None, facts, view, state: RolloutState::Closed, passing: None };
        world.rollouts.append(id, addition).await.unwrap();
        check_harmless(world.browse(&format!("/runs/{run}")).await.text(), text);
    }
}
