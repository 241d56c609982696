//! Rollouts: seen by who may see them, ordered by who may deploy there, refused with words, taken back after their end.

use engine::store::RunId;
use engine::store::rollouts::{Addition, NewRollout, RolloutState, Rollouts};
use engine::store::tokens::Scope;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::world::World;

fn colour(version: &str, id: u64, weight: u16, requests: u64, errors: u64) -> Json {
    json!({
        "revision": {
            "id": id, "image": format!("shop/orders@sha256:{}", version.repeat(32)), "version": version,
            "commit": version.repeat(20),
        },
        "weight": weight, "wanted": 2, "healthy": 2, "restarts": 0, "requests": requests, "errors": errors, "in_flight": 1,
        "p50_ms": 12.5, "p95_ms": 40.0, "trouble": null,
    })
}

/// At 10 % of three steps; `more` replaces fields.
pub(crate) fn view(more: &Json) -> Json {
    let step = |weight: u16, state: &str| {
        json!({
            "weight": weight, "hold_seconds": 300.0, "state": state, "started_at": "2026-01-01T00:00:10Z", "ended_at": null,
            "analyse": true, "pause": false, "words": "",
        })
    };
    let mut view = json!({
        "id": 0, "environment": "production", "service": "orders", "repository": "octo/shop", "by": "ada", "phase": "holding",
        "outcome": null, "cause": null, "words": "v2 has 10 % of the traffic", "weight": 100,
        "blue": colour("v1", 0, 900, 1_800, 9), "green": colour("v2", 1, 100, 200, 7),
        "steps": [step(100, "running"), step(500, "pending"), step(1_000, "pending")],
        "evidence": [{
            "metric": "errors", "e_value": 3.2, "limit": 50.0, "green_events": 7, "blue_events": 9, "verdict": "inconclusive",
            "words": "green has 7 of the 16 errors at 10 % of the traffic",
        }],
        "timeline": [{ "at": "2026-01-01T00:00:00Z", "words": "asked for by ada <b>", "is_bad": false }],
        "orders": ["promote", "promote-full", "pause", "abort"], "next_at": null, "blue_until": null, "irreversible": null,
        "rollback_of": null, "plan_hash": "abc", "started_at": "2026-01-01T00:00:00Z", "ended_at": null,
    });
    for (name, value) in more.as_object().unwrap() {
        view[name] = value.clone();
    }
    view
}

pub(crate) async fn begin(rollouts: &Rollouts, key: &str, more: &Json) -> u64 {
    let view = view(more);
    let text = |name: &str| view[name].as_str().unwrap().to_owned();
    let new = NewRollout {
        key: key.to_owned(),
        environment: text("environment"),
        service: text("service"),
        repository: text("repository"),
        run: Some(RunId(1)),
        job: "build".into(),
        actor: "ada".into(),
        plan_hash: "abc".into(),
        fact: json!({ "fact": "planned", "by": "ada" }),
        view,
        at: Timestamp::UNIX_EPOCH,
    };
    rollouts.create(new).await.unwrap().id
}

pub(crate) async fn end(rollouts: &Rollouts, id: u64, outcome: &str) {
    let row = rollouts.get(id).await.unwrap().unwrap();
    let mut view = row.view;
    view["phase"] = "ended".into();
    view["outcome"] = outcome.into();
    view["words"] = format!("it is {outcome}").into();
    view["ended_at"] = "2026-01-01T00:15:00Z".into();
    view["orders"] = json!([]);
    let facts = vec![(Timestamp::now(), json!({ "fact": "ended" }))];
    let addition = Addition { seq: row.seq, token: None, facts, view, state: RolloutState::Closed, passing: None };
    rollouts.append(id, addition).await.unwrap();
}

#[tokio::test]
async fn they_are_seen_by_who_may_see_them() {
    let world = World::new().await;
    world.finished().await;
    let rollouts = &world.rollouts;
    let id = begin(rollouts, "a", &json!({})).await;
    let other = begin(rollouts, "b", &json!({ "repository": "octo/till", "service": "till" })).await;
    let bound = world.token("bound", &[Scope::RunsRead], &["octo/shop"]).await;
    let one = world.get(&format!("/rollouts/{id}")).await.json();
    assert_eq!((&one["view"]["id"], &one["step"], &one["state"]), (&json!(id), &json!(0), &json!("active")));
    assert_eq!(one["may_order"], json!(["promote", "promote-full", "pause", "abort"]));
    assert_eq!(world.get_as(&bound, &format!("/rollouts/{id}")).await.json()["may_order"], json!([]));
    for path in
        [format!("/rollouts/{other}"), format!("/rollouts/{other}/changes"), format!("/rollouts/{other}/events")]
    {
        assert_eq!(world.get_as(&bound, &path).await.status, 404, "{path}");
    }
    for (query, expected) in [
        ("", vec![other, id]),
        ("?service=till", vec![other]),
        ("?environment=PRODUCTION&newest=true", vec![id, other]),
        ("?newest=true&service=orders", vec![id]),
        ("?open=false", vec![]),
        ("?run=1&limit=1", vec![other]),
    ] {
        let listed = world.get(&format!("/rollouts{query}")).await.json();
        let ids: Vec<_> =
            listed["rollouts"].as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect();
        assert_eq!(ids, expected, "{query}");
    }
    let listed = world.get_as(&bound, "/rollouts").await.json();
    assert_eq!(listed["rollouts"].as_array().unwrap().len(), 1);
    let changes = world.get(&format!("/rollouts/{id}/changes")).await.json();
    assert_eq!((&changes["old"]["version"], &changes["new"]["version"]), (&json!("v1"), &json!("v2")));
    assert!(changes["problem"].is_string() && changes["no_plan"].is_string(), "{changes}");
    world.stop.cancel();
    assert_eq!(world.get(&format!("/rollouts/{id}/events")).await.status, 200);
}

#[tokio::test]
async fn orders_are_kept_once_and_refused_with_words() {
    let world = World::new().await;
    let rollouts = &world.rollouts;
    let id = begin(rollouts, "a", &json!({})).await;
    let path = format!("/rollouts/{id}/orders");
    for (body, status) in [
        (json!({ "order": "pause", "comment": "lunch", "step": 0 }), 202),
        // Pressed twice.
        (json!({ "order": "pause", "step": 0 }), 202),
        (json!({ "order": "promote", "step": 1 }), 409),
        (json!({ "order": "resume" }), 409),
        (json!({ "order": "deploy" }), 400),
        (json!({ "order": "pause", "why": "?" }), 400),
        (json!({}), 400),
        (json!({ "order": "pause", "comment": "x".repeat(5_000) }), 400),
    ] {
        let answer = world.post(&path, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.text());
    }
    let refused = world.post(&path, &json!({ "order": "resume" })).await.json();
    let detail = refused["detail"].as_str().unwrap();
    assert!(
        detail.contains("v2 has 10 %") && detail.contains("it takes promote, promote-full, pause, abort"),
        "{detail}"
    );
    let orders = rollouts.orders_after(id, 0).await.unwrap();
    let told: Vec<_> = orders.iter().map(|order| format!("{} {} {}", order.word, order.actor, order.comment)).collect();
    assert_eq!(told, ["pause admin lunch"]);
    let key = [("idempotency-key", "one")];
    let first = world.post_with(&path, &json!({ "order": "promote" }), &key).await;
    let again = world.post_with(&path, &json!({ "order": "promote" }), &key).await;
    assert_eq!((first.status.as_u16(), first.text()), (202, again.text()));
    end(rollouts, id, "succeeded").await;
    let over = world.post(&path, &json!({ "order": "abort" })).await;
    assert!(over.status == 409 && over.text().contains("it has ended"), "{}", over.text());
    assert_eq!(world.post("/rollouts/77/orders", &json!({ "order": "abort" })).await.status, 404);
    assert_eq!(
        world.deeds().await,
        [
            "token admin rollout.pause octo/shop rollout 1 of orders to production",
            "token admin rollout.promote octo/shop rollout 1 of orders to production",
        ]
    );
}

#[tokio::test]
async fn what_stands_is_taken_back() {
    let world = World::new().await;
    let rollouts = &world.rollouts;
    let first = begin(rollouts, "a", &json!({})).await;
    let back = "/environments/production/rollback";
    // As long as it goes on it is the same rollout.
    let answer = world.post(back, &json!({ "comment": "no" })).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["rollout"]), (202, &json!(first)));
    assert_eq!(world.post(back, &json!({ "to": 1 })).await.status, 409);
    end(rollouts, first, "succeeded").await;
    assert_eq!(world.asked.take(), [""; 0]);
    let answer = world.post(back, &json!({ "service": "Orders", "comment": "bad" })).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (201, json!({ "rollout": 97, "order": null })));
    assert_eq!(world.asked.take(), ["rollback octo/shop orders production None by admin: bad"]);
    assert_eq!(world.post(back, &json!({ "to": first })).await.status, 201);
    begin(rollouts, "b", &json!({ "service": "till" })).await;
    let several = world.post(back, &json!({})).await;
    assert!(several.status == 422 && several.text().contains("orders, till"), "{}", several.text());
    assert_eq!(world.post(back, &json!({ "service": "none" })).await.status, 404);
    assert_eq!(world.post(back, &json!({ "service": "orders", "to": 2 })).await.status, 422);
    assert_eq!(world.post("/environments/none/rollback", &json!({})).await.status, 404);
}

#[tokio::test]
async fn an_environment_is_listed_once() {
    let world = World::new().await;
    let rollouts = &world.rollouts;
    let first = begin(rollouts, "a", &json!({})).await;
    end(rollouts, first, "succeeded").await;
    begin(rollouts, "b", &json!({ "environment": "Production", "service": "till" })).await;
    let body = json!({ "value": "hunter22", "environment": "PRODUCTION" });
    assert_eq!(world.send_json("PUT", "/secrets/KEY", &body, &[]).await.status, 201);
    let listed = world.get("/environments?by=name").await.json();
    let [one] = listed["environments"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    let stands: Vec<_> =
        one["stands"].as_array().unwrap().iter().map(|it| &it["rolled"]["revision"]["version"]).collect();
    assert_eq!((stands, &one["secrets"]), (vec![&json!("v2"), &json!("v1")], &json!(1)));
    let whole = world.get("/environments/production").await.json();
    assert_eq!(whole["rollouts"].as_array().unwrap().len(), 2, "{whole}");
    assert_eq!(world.get("/environments/none").await.status, 404);
    assert_eq!(world.get("/environments?by=colour").await.status, 400);
    let page = world.browse("/environments").await;
    assert_eq!(page.text().matches("href=\"/environments/").count(), 2, "{}", page.text());
    assert!(page.text().contains("by <bdi>ada</bdi>"), "{}", page.text());
}

/// Also while something else is on its way, or went back.
#[tokio::test]
async fn what_stands_says_since_when_and_who_brought_it() {
    let world = World::new().await;
    let rollouts = &world.rollouts;
    let first = begin(rollouts, "a", &json!({})).await;
    let rolled = async || {
        let whole = world.get("/environments?by=name").await.json();
        let rolled = &whole["environments"][0]["stands"][0]["rolled"];
        json!([rolled["revision"]["version"], rolled["since"], rolled["brought_by"], rolled["by"]])
    };
    assert_eq!(rolled().await, json!(["v1", null, null, "ada"]), "nobody knows who brought the first one");
    end(rollouts, first, "succeeded").await;
    assert_eq!(rolled().await, json!(["v2", "2026-01-01T00:15:00Z", "ada", "ada"]));
    let next = json!({ "by": "eve", "blue": colour("v2", 1, 900, 10, 0), "green": colour("v3", 2, 100, 10, 0) });
    let second = begin(rollouts, "b", &next).await;
    assert_eq!(rolled().await, json!(["v2", "2026-01-01T00:15:00Z", "ada", "eve"]));
    end(rollouts, second, "rolled-back").await;
    assert_eq!(rolled().await, json!(["v2", "2026-01-01T00:15:00Z", "ada", "eve"]));
}

#[tokio::test]
async fn pages_show_what_goes_on() {
    let world = World::new().await;
    world.finished().await;
    let rollouts = &world.rollouts;
    let id = begin(rollouts, "a", &json!({})).await;
    for (path, texts) in [
        (
            "/environments/production",
            &["10 %", "900", "Promote fully", "Abort", "7 of the 16 errors", "ada &lt;b&gt;"][..],
        ),
        ("/rollouts/1", &["What it changes", "v1v1v1", "Evidence so far", "Yes, abort"]),
        ("/runs/1", &["#service-1", "10 %"]),
    ] {
        let page = world.browse(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text());
        for text in texts {
            assert!(page.text().contains(text), "{path} has no {text}: {}", page.text());
        }
    }
    let viewer = world.token("viewer", &[Scope::RunsRead], &[]).await;
    let page = world.get_of(&viewer, "/environments/production", &[("accept", "text/html")]).await;
    assert!(page.status == 200 && !page.text().contains("name=\"order\""), "{}", page.text());
    let form = [("content-type", "application/x-www-form-urlencoded"), ("accept", "text/html")];
    let refused = world.send_form(&viewer, "/rollouts/1/order", "order=promote", &form).await;
    assert_eq!(refused.status, 403);
    let answer =
        world.submit("/rollouts/1/order", "order=promote&step=0&back=environment&environment=production").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/environments/production#service-1"));
    let late = world.submit("/rollouts/1/order", "order=promote&step=2").await;
    assert!(late.status == 409 && late.text().contains("has gone on since you looked"), "{}", late.text());
    end(rollouts, id, "stuck").await;
    let page = world.browse("/environments/production").await;
    assert!(page.text().contains("Stuck: a person must look") && page.text().contains("role=\"alert\""));
    let second = begin(rollouts, "b", &json!({})).await;
    end(rollouts, second, "succeeded").await;
    let page = world.browse("/environments/production").await;
    assert!(
        page.text().contains("Yes, roll back") && page.text().contains("action=\"/environments/production/rollback\"")
    );
    let answer = world.submit("/environments/production/rollback", "service=orders&comment=why&to=").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/environments/production#service-97"));
    assert_eq!(world.asked.take(), ["rollback octo/shop orders production None by admin: why"]);
}
