//! The dispatch form, deliveries, badges and the feed.

use axum::http::StatusCode;
use engine::store::repositories::{NewRepository, Repositories};
use serde_json::{Value as Json, json};
use workflow::event::Forge;

use crate::pages::hostile::{TEXTS, check_harmless};
use crate::world::World;

async fn register(world: &World) {
    let new = NewRepository {
        forge: Forge::Github,
        full_name: "octo/shop".into(),
        url: "https://example.org/octo/shop.git".into(),
        secret: Vec::new(),
        fetch: None,
        created_at: jiff::Timestamp::now(),
    };
    Repositories::on(world.deliveries.database().clone()).put(new).await.unwrap();
}

#[tokio::test]
async fn a_form_has_a_field_for_each_input() {
    let world = World::new().await;
    register(&world).await;
    let page = world.browse("/dispatch?repository=octo%2Fshop").await;
    let text = page.text();
    assert_eq!(page.status, StatusCode::OK, "{text}");
    for part in [
        "name=\"input.version\" value=\"1.2\"",
        "type=\"checkbox\" id=\"i2\" name=\"input.dry\" value=\"true\" checked",
        "<option value=\"green\" selected>green</option>",
        "type=\"number\"",
        "the version &lt;b&gt;",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    check_harmless(text, "dispatch");
    let wrong = world.browse("/dispatch?repository=octo%2Fshop&ref=nowhere").await;
    assert!(wrong.text().contains("No ref found for: nowhere"), "{}", wrong.text());
    let fields = "repository=octo%2Fshop&ref=refs%2Fheads%2Fmain&workflow=.github%2Fworkflows%2Fdeploy.yml\
                  &input.version=2&input.dry=false&input.dry=true&other=x";
    let answer = world.submit("/dispatch", fields).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/runs/98"));
    let asked = world.asked.take().join("\n");
    assert!(asked.contains("\"version\": String(\"2\")") && asked.contains("\"dry\": String(\"true\")"), "{asked}");
    assert!(!asked.contains("other"), "{asked}");
    assert_eq!(world.submit("/dispatch", "workflow=x").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn deliveries_are_listed_shown_and_looked_at_again() {
    let world = World::new().await;
    let number = world.delivery("guid-<script>", "octo/shop").await;
    let list = world.browse("/deliveries").await;
    assert!(list.text().contains(&format!("/deliveries/{number}")), "{}", list.text());
    let page = world.browse(&format!("/deliveries/{number}")).await;
    check_harmless(page.text(), "delivery");
    assert!(page.text().contains("refs/heads/main"), "{}", page.text());
    let again = world.submit(&format!("/deliveries/{number}/replay"), "").await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    assert_eq!(world.browse("/deliveries/999").await.status, StatusCode::NOT_FOUND);
    assert!(world.deeds().await.iter().any(|deed| deed.contains("delivery.replay")));
}

#[tokio::test]
async fn badges_and_the_feed_are_pictures_and_text_of_runs() {
    let world = World::new().await;
    let run = world.finished().await;
    let badge = world.browse("/badge/octo/shop/ci.svg").await;
    assert_eq!((badge.status, badge.header("content-type")), (StatusCode::OK, "image/svg+xml"));
    assert!(badge.text().contains("<title>ci: failing</title>"), "{}", badge.text());
    assert!(world.browse("/badge/octo/shop/none.svg").await.text().contains("no runs"));
    for text in TEXTS {
        let workflow: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let badge = world.browse(&format!("/badge/octo/shop/{workflow}.svg")).await;
        check_harmless(badge.text(), text);
    }
    let feed = world.browse("/runs.atom").await;
    assert_eq!(feed.header("content-type"), "application/atom+xml; charset=utf-8");
    assert!(feed.text().contains(&format!("<link href=\"/runs/{run}\"/>")), "{}", feed.text());
    assert!(feed.text().contains("failure: a change (ci.yml #1)"), "{}", feed.text());
}

/// Without a session: the same answer for what is not shown and for what is not there.
#[tokio::test]
async fn badges_are_shown_to_others_where_the_repository_says_so() {
    let world = World::new().await;
    world.finished().await;
    register(&world).await;
    let seen = async |path: &str| {
        let answer = world.get_of("", path, &[]).await;
        let text = answer.text().replace(path.split('?').next().unwrap(), "PATH");
        (answer.status, answer.header("cache-control").to_owned(), text)
    };
    let none = seen("/badge/octo/none/ci.svg").await;
    assert_eq!(none.0, StatusCode::NOT_FOUND);
    assert_eq!(seen("/badge/octo/shop/ci.svg").await, none);
    let set = async |who: &str| {
        let body = json!({ "name": "octo/shop", "for": who });
        world.send_json("PUT", "/repositories/badges", &body, &[]).await
    };
    let made = set("token").await;
    let path = made.json()["path"].as_str().unwrap().replace("WORKFLOW", "ci");
    assert!(path.starts_with("/badge/octo/shop/ci.svg?token="), "{path}");
    let (status, kept, text) = seen(&path).await;
    assert!(status == StatusCode::OK && kept.starts_with("public") && text.contains("ci: failing"), "{text}");
    for wrong in ["/badge/octo/shop/ci.svg", "/badge/octo/shop/ci.svg?token=", "/badge/octo/shop/none.svg?token=0"] {
        assert_eq!(seen(wrong).await, none, "{wrong}");
    }
    assert_eq!(set("everybody").await.json()["token"], Json::Null);
    assert_eq!(seen("/badge/octo/shop/ci.svg").await.0, StatusCode::OK);
    // By the page; and it says so.
    let answer = world.submit("/settings/repositories/badges", "name=octo%2Fshop&for=people").await;
    assert!(answer.text().contains("are for who is signed in"), "{}", answer.text());
    assert_eq!(seen("/badge/octo/shop/ci.svg").await, none);
    assert_eq!(set("nobody").await.status, StatusCode::BAD_REQUEST);
    let other = json!({ "name": "octo/none", "for": "everybody" });
    assert_eq!(world.send_json("PUT", "/repositories/badges", &other, &[]).await.status, StatusCode::NOT_FOUND);
    let deeds = world.deeds().await;
    assert_eq!(deeds.iter().filter(|deed| deed.ends_with("repository.badges octo/shop")).count(), 3, "{deeds:?}");
}
