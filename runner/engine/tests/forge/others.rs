//! Gitea, Forgejo and GitLab: statuses, and comments where the API is GitHub's.

use engine::github::{Credentials, Envelope, Flavour};
use serde_json::json;
use workflow::secret::Secret;

use super::fake::Fault;
use super::world::{World, story};

#[tokio::test]
async fn other_forges_get_what_they_have() {
    for (flavour, repository, comments, states) in [
        (Flavour::Gitea, "mona/shop", 1, json!(["pending", "success"])),
        (Flavour::Gitlab, "group/sub/shop", 0, json!(["running", "success"])),
    ] {
        let world = World::new().await;
        world.fake.state().faults.insert(0, Fault::ResetBefore);
        let (_worker, stop) = world.work(world.sender(flavour, Credentials::Token(Secret::new("t")))).await;
        for report in story() {
            world.put(&[Envelope { repository: repository.into(), ..report }]).await;
            world.settled().await;
        }
        let seen = world.fake.state().seen();
        let place = format!("{repository} {} CI (push)", "c".repeat(40));
        assert_eq!(seen["statuses"][place], states, "{seen}");
        assert_eq!(seen["comments"].as_array().unwrap().len(), comments);
        assert_eq!((&seen["checks"], &seen["deployments_made"]), (&json!([]), &json!(0)));
        assert_eq!(world.outbox.depth().await.unwrap().given_up, 0);
        stop.cancel();
    }
}
