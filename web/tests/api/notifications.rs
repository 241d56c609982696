//! Channels: listed, tried, sent once more, by the API and by their page.

use std::sync::Arc;

use engine::notify::{Audience, Channel, Form, Herald, Occasion};
use engine::store::Database;
use engine::store::outbox::Outbox;
use engine::store::people::Role;
use engine::store::tokens::Scope;
use jiff::Timestamp;
use serde_json::json;

use crate::world::World;

/// Two channels that nobody serves: what is sent waits.
pub(crate) fn herald(database: &Database) -> Herald {
    let channel = |name: &str, form| Channel {
        name: name.into(),
        form,
        place: "hooks.example <b>".into(),
        audience: Audience {
            target: format!("notify {name}"),
            on: Occasion::defaults(),
            repositories: vec!["octo/*".into()],
            per_minute: 20,
            ..Audience::default()
        },
    };
    let channels = vec![channel("team", Form::Slack), channel("ops", Form::Webhook)];
    Herald::new(Outbox::on(database.clone()), channels, Some("https://ci.example".into()), Arc::default())
}

#[tokio::test]
async fn channels_are_listed_and_tried() {
    let world = World::new().await;
    let channels = world.get("/notifications").await.json()["channels"].clone();
    assert_eq!(
        (&channels[0]["name"], &channels[0]["form"], &channels[1]["name"]),
        (&json!("team"), &json!("slack"), &json!("ops"))
    );
    assert_eq!(
        channels[0]["on"],
        json!(["failure", "recovery", "approval", "deployment", "rollback", "budget", "finding"])
    );
    assert_eq!(
        channels[0]["standing"],
        json!({ "open": 0, "given_up": 0, "held": 0, "arrived_at": null, "problem": null })
    );
    let sent = world.post("/notifications/test", &json!({ "channel": "ops" })).await;
    assert_eq!(sent.status, 202, "{}", sent.text());
    let number = sent.json()["sent"][0]["number"].as_u64().unwrap();
    assert_eq!(world.post("/notifications/test", &json!({})).await.json()["sent"].as_array().unwrap().len(), 2);
    assert_eq!(world.post("/notifications/test", &json!({ "channel": "nobody" })).await.status, 404);
    assert_eq!(world.post("/notifications/test", &json!({ "chanel": "ops" })).await.status, 400);
    let told = world.get("/notifications/deliveries?channel=ops&limit=1").await.json();
    assert_eq!(
        (&told["deliveries"][0]["channel"], &told["deliveries"][0]["state"]),
        (&json!("ops"), &json!("waiting"))
    );
    let told = world.get(&format!("/notifications/deliveries?channel=ops&cursor={}", told["next"])).await.json();
    assert_eq!(told["deliveries"].as_array().unwrap().len(), 1);
    // What waits is not sent again; what arrived or was given up is.
    let again = format!("/notifications/deliveries/{number}/redeliver");
    assert_eq!(world.post(&again, &json!({})).await.status, 404);
    let outbox = world.outbox.clone();
    outbox.begin(number).await.unwrap().unwrap();
    outbox.arrived(number, None, Timestamp::now()).await.unwrap();
    assert_eq!(world.get("/messages").await.json()["messages"].as_array().unwrap().len(), 2, "it has been told");
    assert_eq!(world.post(&again, &json!({})).await.status, 202);
    let deeds = world.deeds().await;
    let own: Vec<_> = deeds.iter().filter(|deed| deed.contains("notification.")).collect();
    let redeliver = format!("token admin notification.redeliver {number}");
    assert_eq!(own, ["token admin notification.test ops", "token admin notification.test all", &redeliver]);
}

#[tokio::test]
async fn the_page_tries_and_sends_again() {
    let world = World::new().await;
    world.user("mia", &[(Role::Maintainer, "")]).await;
    let mia = world.browser("mia").await;
    let page = world.open(&mia, "/settings/notifications").await.text().to_owned();
    assert!(page.contains("hooks.example &lt;b&gt;") && page.contains("nothing has arrived yet"), "{page}");
    let fields = |extra: (&'static str, String)| vec![("csrf", mia.csrf.clone()), (extra.0, extra.1)];
    let send = async |path: &str, extra: (&'static str, String)| {
        let fields = fields(extra);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        world.form(path, &mia.cookie, &fields).await.status.as_u16()
    };
    assert_eq!(send("/settings/notifications/test", ("channel", "team".into())).await, 303);
    let page = world.open(&mia, "/settings/notifications").await.text().to_owned();
    assert!(page.contains("Last deliveries") && page.contains("1 on the way"), "{page}");
    let outbox = world.outbox.clone();
    let number = outbox.told(None, None, 1).await.unwrap()[0].id;
    outbox.give_up(number, "404 <script>".into()).await.unwrap();
    let page = world.open(&mia, "/settings/notifications").await.text().to_owned();
    assert!(page.contains("404 &lt;script&gt;") && page.contains("given up"), "{page}");
    assert_eq!(send("/settings/notifications/redeliver", ("number", number.to_string())).await, 303);
    assert_eq!(send("/settings/notifications/redeliver", ("number", "x".into())).await, 404);
    world.user("dora", &[(Role::Developer, "")]).await;
    let dora = world.browser("dora").await;
    assert_eq!(world.open(&dora, "/settings/notifications").await.status, 403);
    let token = world.token("bot", &[Scope::Deliveries], &["octo/shop"]).await;
    assert_eq!(world.get_as(&token, "/notifications").await.status, 403, "channels are about all repositories");
}
