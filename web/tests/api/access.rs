//! No page without a token and its scope; what a token may not see is not there.

use axum::body::Body;
use engine::store::tokens::Scope;
use serde_json::{Value as Json, json};

use crate::world::{World, request};

/// Every method and page of the reference, with the scope that it says it needs.
async fn pages(world: &World) -> Vec<(String, String, Option<Scope>)> {
    let document = world.get_as("", "/openapi.json").await.json();
    let mut pages = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let text = operation["description"].as_str().unwrap_or_default();
            let scope = text.split('`').nth(1).map(|word| Scope::parse(word).unwrap());
            let is_for_all = text == "Needs no scope.";
            assert_eq!(scope.is_none() && !is_for_all, operation["security"] == json!([]), "{path}");
            let path = path.strip_prefix("/api/v1").unwrap();
            pages.push((method.to_uppercase(), filled(path, operation), scope));
        }
    }
    pages
}

/// The path with something in place of its parameters.
fn filled(path: &str, operation: &Json) -> String {
    let names = path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap());
    let listed: Vec<_> = operation["parameters"].as_array().unwrap().iter().filter(|one| one["in"] == "path").collect();
    assert_eq!(names.clone().collect::<Vec<_>>(), listed.iter().map(|one| &one["name"]).collect::<Vec<_>>());
    names.fold(path.to_owned(), |path, name| path.replace(&format!("{{{name}}}"), "7"))
}

#[tokio::test]
async fn the_reference_is_of_the_form() {
    let world = World::new().await;
    let answer = world.get_as("", "/openapi.json").await;
    let document = answer.json();
    assert_eq!((answer.status.as_u16(), &document["openapi"]), (200, &json!("3.1.0")));
    let mut ids = std::collections::BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
            assert!(operation["responses"]["default"].is_object() && operation["summary"].is_string());
        }
    }
    assert!(ids.len() >= 26, "{}", ids.len());
    let again = request("GET", "/openapi.json", "").header("if-none-match", answer.header("etag"));
    assert_eq!(world.send(again.body(Body::empty()).unwrap()).await.status, 304);
}

#[tokio::test]
async fn every_page_asks_for_a_token_with_its_scope() {
    let world = World::new().await;
    for (method, path, scope) in pages(&world).await {
        let Some(scope) = scope else { continue };
        let send = async |token: &str| world.send(request(&method, &path, token).body(Body::empty()).unwrap()).await;
        let answer = send("").await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (401, "token"), "{method} {path}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert_eq!(send("pipe_0000").await.status, 401);
        let others: Vec<_> = Scope::ALL.into_iter().filter(|one| *one != scope && *one != Scope::Admin).collect();
        let answer = send(&world.token("others", &others, &[]).await).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (403, "scope"), "{method} {path}");
        assert!(answer.text().contains(scope.as_str()));
        let answer = send(&world.token("right", &[scope], &[]).await).await;
        assert!(!matches!(answer.status.as_u16(), 401 | 403 | 405 | 500..), "{method} {path}: {}", answer.text());
    }
}

#[tokio::test]
async fn tricks_with_paths_and_headers_open_nothing() {
    let world = World::new().await;
    world.finished().await;
    for path in [
        "//runs",
        "/runs/",
        "/runs;x",
        "/RUNS",
        "/runs/../runs",
        "/%72uns",
        "/runs%2f1",
        "/./runs",
        "/runs/1/../1",
        "/runs/1%2fevents",
        "/runs.json",
        "/openapi.json/../runs",
        "/openapi.json;/runs",
        "/runs?token=x",
        "/runs/%31",
    ] {
        let answer = world.send(request("GET", path, "").body(Body::empty()).unwrap()).await;
        assert!(matches!(answer.status.as_u16(), 401 | 404 | 400), "{path}: {}", answer.status);
        assert!(!answer.text().contains("octo/shop"), "{path}");
    }
    for value in ["", "Bearer", "Bearer ", "Basic eDp5", "Token x", "bearer pipe_x", &world.admin] {
        let request = request("GET", "/runs", "").header("authorization", value);
        assert_eq!(world.send(request.body(Body::empty()).unwrap()).await.status, 401, "{value}");
    }
    let twice = request("GET", "/runs", &world.admin).header("authorization", "Bearer x");
    assert_eq!(world.send(twice.body(Body::empty()).unwrap()).await.status, 401);
    let form = request("POST", "/runs/1/cancel", &world.admin).header("content-type", "text/plain");
    assert_eq!(world.send(form.body(Body::from("{}")).unwrap()).await.status, 415);
    let method = request("GET", "/runs/1/cancel", &world.admin).header("x-http-method-override", "POST");
    assert_eq!(world.send(method.body(Body::empty()).unwrap()).await.status, 405);
    assert_eq!(world.asked.take(), [""; 0]);
}

#[tokio::test]
async fn what_is_of_other_repositories_is_not_there() {
    let world = World::new().await;
    let (own, other) = (world.run("a/b", "main").await, world.finished().await);
    let (delivery, _) = (world.delivery("1", "octo/shop").await, world.delivery("22", "a/b").await);
    let all: Vec<_> = Scope::ALL.into_iter().collect();
    let token = world.token("some", &all, &["A/B"]).await;
    let listed = world.get_as(&token, "/runs").await.json();
    assert_eq!(listed["runs"].as_array().unwrap().iter().map(|run| &run["id"]).collect::<Vec<_>>(), [&json!(own)]);
    assert_eq!(world.get_as(&token, "/runs?repository=octo/shop").await.json()["runs"], json!([]));
    for path in [
        format!("/runs/{other}"),
        format!("/runs/{other}/events"),
        format!("/jobs/{other}:build/log"),
        format!("/jobs/{other}:build/log/raw"),
        format!("/deliveries/{delivery}"),
    ] {
        assert_eq!(world.get_as(&token, &path).await.status, 404, "{path}");
    }
    for path in ["cancel", "rerun", "reviews"].map(|what| format!("/runs/{other}/{what}")) {
        let body = if path.ends_with("reviews") { r#"{"state":"approved"}"# } else { "{}" };
        let request = request("POST", &path, &token).header("content-type", "application/json");
        assert_eq!(world.send(request.body(Body::from(body)).unwrap()).await.status, 404, "{path}");
    }
    assert_eq!(world.get_as(&token, "/deliveries").await.json()["deliveries"].as_array().unwrap().len(), 1);
    for path in ["/audit", "/tokens"] {
        assert_eq!(world.get_as(&token, path).await.status, 403, "{path}");
    }
    assert_eq!(world.asked.take(), [""; 0]);
    let secret = json!({ "value": "hunter22" });
    let put = request("PUT", "/secrets/A", &token).header("content-type", "application/json");
    assert_eq!(world.send(put.body(Body::from(secret.to_string())).unwrap()).await.status, 403, "one for all");
}
