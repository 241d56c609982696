//! Lists, pages and views of runs.

use axum::body::Body;
use serde_json::json;

use crate::world::{World, request};

#[tokio::test]
async fn runs_are_listed_page_by_page() {
    let world = World::new().await;
    for branch in ["main", "dev", "main", "main", "dev"] {
        world.run("octo/shop", branch).await;
    }
    let ids = |answer: &crate::world::Answer| {
        let runs = answer.json()["runs"].as_array().unwrap().clone();
        runs.iter().map(|run| run["id"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let first = world.get("/runs?branch=main&limit=2").await;
    assert_eq!((ids(&first), &first.json()["next"]), (vec![4, 3], &json!(3)));
    let second = world.get("/runs?branch=main&limit=2&cursor=3").await;
    assert_eq!((ids(&second), &second.json()["next"]), (vec![1], &json!(null)));
    let run = &world.get("/runs?limit=1").await.json()["runs"][0];
    assert_eq!(
        (&run["status"], &run["ref"], &run["title"]),
        (&json!("queued"), &json!("refs/heads/dev"), &json!("a change"))
    );
    for query in ["?limit=x", "?unknown=1", "?cursor=-1", "?branch=a&branch=b", "?status=%25"] {
        let answer = world.get(&format!("/runs{query}")).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (400, "request"), "{query}");
    }
    for query in ["?branch=%27%20OR%201=1--", "?sha=%00", "?actor=*", "?workflow=..%2f.."] {
        assert_eq!(world.get(&format!("/runs{query}")).await.json()["runs"], json!([]), "{query}");
    }
}

#[tokio::test]
async fn a_run_has_its_jobs_and_steps() {
    let world = World::new().await;
    let run = world.finished().await;
    let answer = world.get(&format!("/runs/{run}")).await;
    let value = answer.json();
    assert_eq!((&value["status"], &value["conclusion"]), (&json!("completed"), &json!("failure")));
    let job = &value["jobs"][0];
    assert_eq!((&job["id"], &job["key"], &job["name"]), (&json!("1:build"), &json!("build"), &json!("Build it")));
    assert_eq!((&job["runner"], &job["conclusion"]), (&json!("docker: x"), &json!("failure")));
    let steps: Vec<_> =
        job["steps"].as_array().unwrap().iter().map(|step| (&step["name"], &step["conclusion"])).collect();
    assert_eq!(steps, [(&json!("Compile"), &json!("success")), (&json!("Test"), &json!("failure"))]);
    assert_eq!(value["attempts"], json!([{ "id": 1, "attempt": 1 }]));
    let again = request("GET", "/runs/1", &world.admin).header("if-none-match", answer.header("etag"));
    let again = world.send(again.body(Body::empty()).unwrap()).await;
    assert_eq!((again.status.as_u16(), again.text()), (304, ""));
    for path in ["/runs/2", "/runs/0", "/runs/x", "/runs/99999999999999999999"] {
        let answer = world.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (404, "not_found"), "{path}");
    }
}

#[tokio::test]
async fn deliveries_repositories_and_environments_are_listed() {
    let world = World::new().await;
    let number = world.delivery("one", "octo/shop").await;
    let listed = world.get("/deliveries?state=received").await.json();
    assert_eq!((&listed["deliveries"][0]["number"], &listed["next"]), (&json!(number), &json!(null)));
    let whole = world.get(&format!("/deliveries/{number}")).await.json();
    assert_eq!((&whole["payload"]["ref"], &whole["state"]), (&json!("refs/heads/main"), &json!("received")));
    assert_eq!(world.get("/repositories").await.json(), json!({ "repositories": [] }));
    assert_eq!(world.get("/environments").await.json(), json!({ "environments": [] }));
    assert_eq!(world.get("/messages").await.json(), json!({ "messages": [], "next": null }));
    assert_eq!(world.send_json("POST", "/messages/1/retry", &json!({}), &[]).await.status, 404);
    assert_eq!(world.get("/deployments").await.json(), json!({ "deployments": [], "next": null }));
    let body = json!({ "value": "hunter22", "environment": "production", "repository": "octo/shop" });
    assert_eq!(world.send_json("PUT", "/secrets/KEY", &body, &[]).await.status, 201);
    let environments = world.get("/environments").await.json();
    assert_eq!(
        environments["environments"],
        json!([{
            "name": "production", "repository": "octo/shop", "secrets": 1, "variables": 0, "reviewers": [], "wait_minutes": 0,
            "required_reviewers": 0, "prevent_self_review": false, "prevent_author_review": false, "branches": [], "frozen": null,
            "deployed": null, "lag": null, "services": [],
        }])
    );
}
