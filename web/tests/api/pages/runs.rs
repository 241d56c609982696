//! The list of runs and the page of one: what they show, and that what others wrote stays text.

use axum::http::StatusCode;
use engine::store::tokens::Scope;
use serde_json::json;

use crate::pages::hostile::{TEXTS, check_harmless, run_named};
use crate::world::World;

#[tokio::test]
async fn a_server_without_runs_says_what_to_do() {
    let world = World::new().await;
    let page = world.browse("/").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    assert!(page.text().contains("pipe repo add"), "{}", page.text());
}

#[tokio::test]
async fn runs_are_listed_filtered_and_paged() {
    let world = World::new().await;
    for number in 0..60 {
        world.run("octo/shop", if number % 2 == 0 { "main" } else { "side" }).await;
    }
    let page = world.browse("/").await;
    assert_eq!(page.text().matches("id=\"run-").count(), 50, "{}", page.text());
    assert!(page.text().contains("?before=11\""), "{}", page.text());
    let rest = world.browse("/?before=11").await;
    assert_eq!(rest.text().matches("id=\"run-").count(), 10);
    let side = world.browse("/?branch=side&status=&actor=").await;
    assert_eq!(side.text().matches("id=\"run-").count(), 30);
    let none = world.browse("/?branch=nowhere").await;
    assert!(none.text().contains("No run matches"), "{}", none.text());
    let other = world.token("other", &[Scope::RunsRead], &["octo/else"]).await;
    let hidden = world.get_of(&other, "/", &[("accept", "text/html")]).await;
    assert!(!hidden.text().contains("id=\"run-"), "{}", hidden.text());
    let gone = world.get_of(&other, "/runs/1", &[("accept", "text/html")]).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_run_has_its_jobs_and_buttons() {
    let world = World::new().await;
    let run = world.finished().await;
    let page = world.browse(&format!("/runs/{run}")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    for text in
        ["Build it", "in <strong><bdi>Test</bdi></strong>", "Re-run all", "Re-run failed", "a change", "docker: x"]
    {
        assert!(page.text().contains(text), "{text}: {}", page.text());
    }
    let viewer = world.token("viewer", &[Scope::RunsRead], &[]).await;
    let page = world.get_of(&viewer, &format!("/runs/{run}"), &[("accept", "text/html")]).await;
    assert!(!page.text().contains("Re-run"), "{}", page.text());
}

#[tokio::test]
async fn buttons_do_what_the_api_does() {
    let world = World::new().await;
    let run = world.finished().await;
    let again = world.submit(&format!("/runs/{run}/rerun"), "which=failed").await;
    assert_eq!((again.status, again.header("location")), (StatusCode::SEE_OTHER, "/runs/99"));
    let job = world.submit(&format!("/runs/{run}/rerun"), "job=build").await;
    assert_eq!(job.status, StatusCode::SEE_OTHER);
    let refused = world.submit(&format!("/runs/{run}/cancel"), "").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text().contains("the run is over"), "{}", refused.text());
    let asked = world.asked.take();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(asked[1].contains("Job(\"build\")"), "{asked:?}");
    let viewer = world.token("viewer", &[Scope::RunsRead], &[]).await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = world.send_form(&viewer, &format!("/runs/{run}/cancel"), "", &form).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let json = [("content-type", "application/json")];
    let answer = world.send_form(&world.admin, &format!("/runs/{run}/cancel"), "{}", &json).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn what_others_wrote_stays_text() {
    let world = World::new().await;
    for text in TEXTS {
        let run = run_named(&world, text).await;
        let page = world.browse(&format!("/runs/{run}")).await;
        assert_eq!(page.status, StatusCode::OK, "{text:?}");
        check_harmless(page.text(), text);
    }
    check_harmless(world.browse("/").await.text(), "list");
    let query = json!(TEXTS[0]).to_string();
    let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    check_harmless(world.browse(&format!("/?branch={query}&actor={query}&workflow={query}")).await.text(), "query");
}
