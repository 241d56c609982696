//! What people do: asked of the port once, kept in the audit log, refused with reasons.

use axum::body::Body;
use serde_json::json;

use crate::world::{World, request};

#[tokio::test]
async fn deeds_are_done_and_kept() {
    let world = World::new().await;
    let over = world.finished().await;
    let run = world.run("octo/shop", "main").await;
    for (path, body, status) in [
        (format!("/runs/{run}/cancel"), json!({}), 202),
        (format!("/runs/{over}/cancel"), json!({}), 409),
        ("/runs/404/cancel".into(), json!({}), 404),
        (format!("/runs/{run}/approve"), json!({}), 201),
        (format!("/runs/{over}/approve"), json!({}), 409),
        (format!("/runs/{run}/rerun"), json!({}), 201),
        (format!("/runs/{run}/rerun"), json!({ "failed": true }), 201),
        (format!("/runs/{run}/rerun"), json!({ "job": "build" }), 201),
        (format!("/runs/{run}/rerun"), json!({ "failed": true, "job": "build" }), 400),
        (format!("/runs/{run}/rerun"), json!({ "filed": true }), 400),
        (format!("/runs/{run}/reviews"), json!({ "state": "approved", "environment": "prod", "comment": "ok" }), 201),
        (format!("/runs/{run}/reviews"), json!({ "state": "rejected" }), 201),
        (format!("/runs/{run}/reviews"), json!({ "state": "approved", "environment": "own" }), 403),
        (format!("/runs/{run}/reviews"), json!({ "state": "perhaps" }), 400),
        (format!("/runs/{run}/reviews"), json!({}), 400),
        (
            "/dispatch".into(),
            json!({ "repository": "octo/shop", "workflow": "ci.yml", "inputs": { "a": "secret!" } }),
            201,
        ),
        ("/dispatch".into(), json!({ "repository": "octo/shop", "event_type": "go" }), 201),
        ("/dispatch".into(), json!({ "repository": "octo/shop" }), 400),
    ] {
        let answer = world.post(&path, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {body}: {}", answer.text());
        assert!(status < 400 || !answer.json()["detail"].as_str().unwrap().is_empty());
    }
    assert_eq!(world.asked.take().len(), 12);
    assert_eq!(
        world.deeds().await,
        [
            "token admin run.cancel octo/shop run 2",
            "token admin run.release octo/shop run 2",
            "token admin run.rerun octo/shop run 2",
            "token admin run.rerun octo/shop run 2",
            "token admin run.rerun octo/shop run 2",
            "token admin run.approve octo/shop run 2",
            "token admin run.reject octo/shop run 2",
            "token admin run.dispatch octo/shop",
            "token admin run.dispatch octo/shop",
        ]
    );
    let audit = world.get("/audit?limit=100").await;
    assert!(audit.json()["entries"].as_array().unwrap().len() >= 8 && !audit.text().contains("secret!"));
    assert_eq!(world.get("/audit?what=run.cancel").await.json()["entries"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_request_sent_again_is_done_once() {
    let world = World::new().await;
    let run = world.run("octo/shop", "main").await;
    let path = format!("/runs/{run}/rerun");
    let key = [("idempotency-key", "one")];
    let first = world.post_with(&path, &json!({}), &key).await;
    let second = world.post_with(&path, &json!({}), &key).await;
    assert_eq!((first.status, first.text()), (second.status, second.text()));
    assert_eq!(world.asked.take().len(), 1);
    assert_eq!(world.post_with(&path, &json!({ "failed": true }), &key).await.status, 422);
    assert_eq!(world.post_with(&path, &json!({}), &[("idempotency-key", "two")]).await.status, 201);
    assert_eq!(world.post_with(&path, &json!({}), &[("idempotency-key", &"x".repeat(300))]).await.status, 400);
    assert_eq!(world.asked.take().len(), 1);
    let refused = world.post_with("/runs/404/rerun", &json!({}), &[("idempotency-key", "three")]).await;
    assert_eq!(refused.status, 404);
    assert_eq!(world.post_with(&path, &json!({}), &[("idempotency-key", "three")]).await.status, 201);
}

#[tokio::test]
async fn t05_secrets_go_in_and_never_out() {
    let world = World::new().await;
    let body = json!({ "value": "hunter22", "repository": "octo/shop" });
    assert_eq!(world.send_json("PUT", "/secrets/token", &body, &[]).await.status, 201);
    assert_eq!(world.send_json("PUT", "/secrets/TOKEN", &body, &[]).await.status, 200);
    let variable = json!({ "value": "eu-west-1" });
    assert_eq!(world.send_json("PUT", "/variables/REGION", &variable, &[]).await.status, 201);
    for path in ["/secrets", "/secrets?repository=octo/shop", "/audit", "/environments"] {
        let answer = world.get(path).await;
        assert!(answer.status.is_success() && !answer.text().contains("hunter22"), "{path}");
    }
    assert_eq!(world.get("/secrets").await.json()["secrets"][0]["version"], 2);
    assert_eq!(world.get("/variables").await.json()["variables"][0]["value"], "eu-west-1");
    for (name, body, status) in [
        ("1A", json!({ "value": "hunter22" }), 422),
        ("GITHUB_X", json!({ "value": "hunter22" }), 422),
        ("A", json!({ "value": "abc" }), 422),
        ("A", json!({ "value": 7 }), 400),
        ("A", json!({ "valve": "hunter22" }), 400),
        ("A", json!({ "value": "hunter22", "branhc": "x" }), 400),
        ("A", json!({ "value": "x".repeat(400_000) }), 413),
    ] {
        let answer = world.send_json("PUT", &format!("/secrets/{name}"), &body, &[]).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
        assert!(!answer.text().contains("hunter22"), "{}", answer.text());
    }
    let remove = async |path: &str| {
        world.send(request("DELETE", path, &world.admin).body(Body::empty()).unwrap()).await.status.as_u16()
    };
    assert_eq!(remove("/secrets/TOKEN").await, 404, "one of a repository is another one");
    assert_eq!(remove("/secrets/TOKEN?repository=octo/shop").await, 200);
    assert_eq!(remove("/secrets/TOKEN?repository=octo/shop").await, 404);
    assert_eq!(remove("/variables/REGION").await, 200);
}

#[tokio::test]
async fn tokens_are_made_shown_once_and_taken_back() {
    let world = World::new().await;
    let wish = json!({ "name": "bot", "scopes": ["runs:read"], "expires_in_days": 1 });
    let made = world.post("/tokens", &wish).await;
    assert_eq!(made.status, 201);
    let token = made.json()["token"].as_str().unwrap().to_owned();
    assert!(world.get_as(&token, "/runs").await.status.is_success());
    assert_eq!(world.get_as(&token, "/tokens").await.status, 403);
    assert!(!world.get("/tokens").await.text().contains(&token));
    for wrong in [
        json!({ "name": "bot", "scopes": [] }),
        json!({ "name": "bot", "scopes": ["runs:raed"] }),
        json!({ "name": "", "scopes": ["admin"] }),
        json!({ "name": "bot", "scopes": ["admin"], "expires_in_days": 400 }),
        json!({ "name": "bot", "scopes": ["admin"], "expires_in_days": -1 }),
    ] {
        assert_eq!(world.post("/tokens", &wrong).await.status, 422, "{wrong}");
    }
    let revoke = request("DELETE", "/tokens/bot", &world.admin).body(Body::empty()).unwrap();
    assert_eq!(world.send(revoke).await.status, 200);
    assert_eq!(world.get_as(&token, "/runs").await.status, 401);
}

#[tokio::test]
async fn a_delivery_is_looked_at_again() {
    let world = World::new().await;
    let number = world.delivery("one", "octo/shop").await;
    let ignored = engine::store::deliveries::DeliveryState::Ignored("no".into());
    world.deliveries.finish(number, ignored).await.unwrap();
    assert_eq!(world.post(&format!("/deliveries/{number}/replay"), &json!({})).await.status, 202);
    assert_eq!(world.get("/deliveries?state=received").await.json()["deliveries"].as_array().unwrap().len(), 1);
    assert_eq!(world.post("/deliveries/99/replay", &json!({})).await.status, 404);
    assert_eq!(world.deeds().await, [format!("token admin delivery.replay octo/shop delivery {number}")]);
}
