//! A run as events: whole, from every place on, and while it goes on.

use axum::body::Body;
use futures_util::StreamExt as _;
use serde_json::Value as Json;
use tower::ServiceExt as _;

use crate::world::{World, course, request};

/// Ids and objects of a stream.
fn parse(text: &str) -> Vec<(String, Json)> {
    let events = text.split("\n\n").filter(|event| event.contains("data: ") && !event.contains("event: end"));
    let field =
        |event: &str, name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    events.map(|event| (field(event, "id: "), serde_json::from_str(&field(event, "data: ")).unwrap())).collect()
}

/// What an event is, without its time.
fn short(event: &Json) -> String {
    let text = event["text"].as_str().map(|text| format!(" {text}")).unwrap_or_default();
    format!("{}{text}", event["type"].as_str().unwrap())
}

async fn whole(world: &World, query: &str, last: Option<&str>) -> Vec<(String, Json)> {
    let mut request = request("GET", &format!("/runs/1/events{query}"), &world.admin);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert!(answer.text().ends_with("event: end\ndata: {}\n\n"), "{}", answer.text());
    parse(answer.text())
}

const COURSE: [&str; 17] = [
    "run_created",
    "run_started",
    "job_expanded",
    "job_run_started",
    "job_run_placed",
    "log pulling",
    "log placed",
    "step_started",
    "log one",
    "log two",
    "log \u{fc}ber",
    "step_finished",
    "step_started",
    "log no line feed",
    "step_finished",
    "job_run_finished",
    "run_finished",
];

#[tokio::test]
async fn a_run_that_is_over_comes_whole_and_in_order() {
    let world = World::new().await;
    world.finished().await;
    let events = whole(&world, "", None).await;
    assert_eq!(events.iter().map(|(_, event)| short(event)).collect::<Vec<_>>(), COURSE);
    assert!(events.iter().all(|(id, event)| !id.is_empty() && event["v"] == 1 && event["run"] == 1));
    let facts = whole(&world, "?logs=false", None).await;
    assert_eq!(facts.len(), 11);
    assert_eq!(whole(&world, "?job=other", None).await.len(), 11);
    assert_eq!(whole(&world, "?job=build", None).await.len(), 17);
}

#[tokio::test]
async fn from_every_place_on_the_rest_comes() {
    let world = World::new().await;
    world.finished().await;
    let events = whole(&world, "", None).await;
    for (at, (id, _)) in events.iter().enumerate() {
        let rest: Vec<_> = whole(&world, "", Some(id)).await.iter().map(|(_, event)| short(event)).collect();
        assert_eq!(rest, COURSE[at + 1..], "after {id}");
    }
    let answer = world.get("/runs/1/events?after=nonsense").await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (400, "request"));
}

#[tokio::test]
async fn what_happens_comes_while_it_happens() {
    let world = World::new().await;
    let run = world.run("octo/shop", "main").await;
    let course = course();
    world.facts(run, 1, &course[..5]).await;
    let request = request("GET", "/runs/1/events", &world.admin).body(Body::empty()).unwrap();
    let mut stream = world.routes.clone().oneshot(request).await.unwrap().into_body().into_data_stream();
    let mut text = String::new();
    let mut until = async |what: &str| {
        while !text.contains(what) {
            let bytes = stream.next().await.expect("the stream goes on").unwrap();
            text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        text.clone()
    };
    until("step_started").await;
    world.log(run, "build", Some(0), "one\nhal");
    until("\"text\":\"one\"").await;
    world.log(run, "build", Some(0), "one\nhalf\nlast");
    assert!(!until("\"text\":\"half\"").await.contains("last"));
    world.facts(run, 6, &course[5..]).await;
    let all = until("event: end").await;
    assert!(all.find("\"text\":\"last\"") < all.find("step_finished"), "{all}");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams() {
    let world = World::new().await;
    world.run("octo/shop", "main").await;
    let request = request("GET", "/runs/1/events", &world.admin).body(Body::empty()).unwrap();
    let mut stream = world.routes.clone().oneshot(request).await.unwrap().into_body().into_data_stream();
    assert!(stream.next().await.unwrap().unwrap().starts_with(b"retry: 1000\nid: 0\ndata: "));
    world.stop.cancel();
    assert!(stream.next().await.is_none());
}
