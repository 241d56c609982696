//! What jobs say to the forge and ask of it again: reactions, lists of issues and pull requests.

use serde_json::{Value as Json, json};
use workflow::model::{PermissionLevel, Permissions};

use crate::api::{Scene, octokit};

/// What `peter-evans/create-or-update-comment` and actions that answer a comment do.
#[tokio::test(flavor = "multi_thread")]
async fn reactions_are_found_again() {
    let scene = Scene::new();
    let given = Some(Permissions::Scopes([("issues".to_owned(), PermissionLevel::Write)].into_iter().collect()));
    let mut facts = scene.facts(given);
    facts.payload = json!({ "issue": { "number": 3, "state": "open" }, "comment": { "id": 77, "body": "/deploy" } });
    let job = scene.world.job(facts).await;
    let ask = async |route: &str, parameters: Json| octokit(&job, route, parameters).await;
    let said = ask("POST /issues/{number}/comments", json!({ "number": 3, "body": "on it" })).await.unwrap();
    let of_event = ask("GET /issues/comments/{id}", json!({ "id": 77 })).await.unwrap();
    assert_eq!(of_event["body"], json!("/deploy"));
    for comment in [&said["id"], &json!(77)] {
        let react = "POST /issues/comments/{id}/reactions";
        let eyes = ask(react, json!({ "id": comment, "content": "eyes" })).await.unwrap();
        let again = ask(react, json!({ "id": comment, "content": "eyes" })).await.unwrap();
        assert_eq!((&eyes["content"], &eyes["id"]), (&json!("eyes"), &again["id"]));
        ask(react, json!({ "id": comment, "content": "rocket" })).await.unwrap();
        let one = json!({ "id": comment, "reaction": eyes["id"] });
        ask("DELETE /issues/comments/{id}/reactions/{reaction}", one.clone()).await.unwrap();
        let left = ask("GET /issues/comments/{id}/reactions", json!({ "id": comment })).await.unwrap();
        let contents: Json = left.as_array().unwrap().iter().map(|one| one["content"].clone()).collect();
        assert_eq!(contents, json!(["rocket"]));
        assert!(ask("DELETE /issues/comments/{id}/reactions/{reaction}", one).await.is_err());
        assert!(ask(react, json!({ "id": comment, "content": "shrug" })).await.is_err());
    }
    assert!(ask("POST /issues/comments/{id}/reactions", json!({ "id": 78, "content": "eyes" })).await.is_err());
    ask("POST /issues/{number}/reactions", json!({ "number": 3, "content": "+1" })).await.unwrap();
    let of_issue = ask("GET /issues/{number}/reactions", json!({ "number": 3 })).await.unwrap();
    assert_eq!(of_issue.as_array().unwrap().len(), 1);
}

/// An action that keeps one issue or pull request up to date finds it by these.
#[tokio::test(flavor = "multi_thread")]
async fn lists_have_what_is_asked_for() {
    let scene = Scene::new();
    let write = PermissionLevel::Write;
    let job = scene.job(&[("issues", write), ("pull-requests", write)]).await;
    let made = async |title: &str, labels: Json| {
        let made = octokit(&job, "POST /issues", json!({ "title": title, "labels": labels })).await.unwrap();
        made["number"].clone()
    };
    let old = made("Old", json!(["ci", "flaky"])).await;
    made("New", json!(["ci"])).await;
    octokit(&job, "PATCH /issues/{number}", json!({ "number": old, "state": "closed" })).await.unwrap();
    let check = async |list: &str, query: Json, expected: Json| {
        let found = octokit(&job, &format!("GET /{list}"), query.clone()).await.unwrap();
        let titles: Json = found.as_array().unwrap().iter().map(|one| one["title"].clone()).collect();
        assert_eq!(titles, expected, "{list} {query}");
    };
    check("issues", json!({}), json!(["New", "A change"])).await;
    check("issues", json!({ "state": "all" }), json!(["New", "Old", "A change"])).await;
    check("issues", json!({ "state": "closed", "labels": "CI,flaky" }), json!(["Old"])).await;
    check("issues", json!({ "labels": "ci,flaky" }), json!([])).await;
    check("issues", json!({ "creator": "app/github-actions" }), json!(["New"])).await;
    check("issues", json!({ "creator": "ada", "state": "all" }), json!([])).await;
    check("pulls", json!({}), json!(["A change"])).await;
    check("pulls", json!({ "head": "o:feature/x", "base": "main" }), json!(["A change"])).await;
    check("pulls", json!({ "head": "o:other" }), json!([])).await;
    check("pulls", json!({ "base": "release" }), json!([])).await;
    check("pulls", json!({ "state": "closed" }), json!([])).await;
}
