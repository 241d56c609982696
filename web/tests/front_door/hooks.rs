//! Hooks of each forge, as it signs and names them, and what is kept of them; the secrets in the store.

use std::sync::Arc;

use engine::store::deliveries::DeliveryState;
use engine::store::repositories::{NewRepository, Repositories, SealError, Sealer, hook_context};
use engine::store::{Database, Options};
use serde_json::json;
use web::{HookError, HookSecrets as _, StoredSecrets};
use workflow::event::Forge;
use workflow::secret::Secret;

use crate::world::{Post, REPOSITORY, Setup, World, push_payload, secret_of, signature};

#[tokio::test]
async fn each_forge_signs_in_its_own_way() {
    let world = World::start(Setup::default()).await;
    let push = |forge: &str| push_payload(REPOSITORY, forge).to_string().into_bytes();
    let hex = |body: &[u8]| signature(&secret_of(REPOSITORY), body).replace("sha256=", "");
    let gitlab = json!({
        "object_kind": "push", "ref": "refs/heads/main", "before": "1".repeat(40), "after": "2".repeat(40),
        "user_username": "ada", "project": { "path_with_namespace": REPOSITORY, "default_branch": "main" },
    });
    let gitlab = gitlab.to_string().into_bytes();
    let post = |forge: &str, body: &[u8], headers: &[(&str, &str)]| {
        let bare = Post { path: format!("/webhooks/{forge}"), headers: Vec::new(), body: body.to_vec() };
        headers.iter().fold(bare.with("Content-Type", "application/json"), |post, (name, value)| post.with(name, value))
    };
    let (gitea, forgejo, plain) = (push("gitea"), push("forgejo"), push("push"));
    for (request, guid) in [
        (
            post(
                "gitea",
                &gitea,
                &[("X-Gitea-Event", "push"), ("X-Gitea-Delivery", "1"), ("X-Gitea-Signature", &hex(&gitea))],
            ),
            "1",
        ),
        (
            post(
                "forgejo",
                &forgejo,
                &[("X-Forgejo-Event", "push"), ("X-Forgejo-Delivery", "2"), ("X-Forgejo-Signature", &hex(&forgejo))],
            ),
            "2",
        ),
        (
            post(
                "gitlab",
                &gitlab,
                &[
                    ("X-Gitlab-Event", "Push Hook"),
                    ("Idempotency-Key", "3"),
                    ("X-Gitlab-Token", &secret_of(REPOSITORY)),
                ],
            ),
            "3",
        ),
        (
            post(
                "push",
                &plain,
                &[("X-Pipe-Delivery", "4"), ("X-Pipe-Signature-256", &signature(&secret_of(REPOSITORY), &plain))],
            ),
            "4",
        ),
    ] {
        let answer = world.post(&request).await;
        assert_eq!(answer.status, 202, "{}: {}", request.path, answer.body);
        assert_eq!(world.list().await[0].guid, guid);
    }
    let wrong = post("gitlab", &gitlab, &[("X-Gitlab-Event", "Push Hook"), ("X-Gitlab-Token", "wrong")]);
    assert_eq!(world.post(&wrong).await.status, 401);
    let confused =
        post("gitlab", &gitlab, &[("X-Gitlab-Event", "Note Hook"), ("X-Gitlab-Token", &secret_of(REPOSITORY))]);
    assert_eq!(world.post(&confused).await.status, 400);
}

#[tokio::test]
async fn nothing_that_proves_anything_is_kept() {
    let world = World::start(Setup::default()).await;
    let ping = json!({ "zen": "Design for failure.", "repository": { "full_name": REPOSITORY } }).to_string();
    let request = Post::github("ping", "p", ping.as_bytes()).with("User-Agent", "GitHub-Hookshot/1");
    let answer = world.post(&request).await;
    let reason = "event `ping` starts no workflows";
    assert_eq!(answer.json(), json!({ "status": "ignored", "delivery": 1, "reason": reason }));
    let kept = world.deliveries.show(1).await.unwrap().unwrap();
    assert_eq!(kept.delivery.state, DeliveryState::Ignored(reason.to_owned()));
    assert_eq!(kept.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["content-type", "user-agent"]);
    assert_eq!(kept.body, ping.as_bytes());
}

/// Not secret at all, but bound to its place.
#[derive(Debug)]
struct Marked;

impl Sealer for Marked {
    fn seal(&self, context: &str, secret: &Secret) -> Result<Vec<u8>, SealError> {
        Ok(format!("{context}={}", secret.expose()).into_bytes())
    }

    fn open(&self, context: &str, sealed: &[u8]) -> Result<Secret, SealError> {
        let text = std::str::from_utf8(sealed).map_err(|error| SealError(error.to_string()))?;
        let secret = text.strip_prefix(&format!("{context}=")).ok_or_else(|| SealError("not for this place".into()))?;
        Ok(Secret::new(secret))
    }
}

#[tokio::test]
async fn secrets_come_from_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let repositories = Repositories::on(Database::open(&folder.path().join("x.db"), Options::SERVER).unwrap());
    let put = |name: &str, context: &str, secret: &str| {
        repositories.put(NewRepository {
            forge: Forge::Github,
            full_name: name.into(),
            url: "https://github.com/octo/shop.git".into(),
            secret: Marked.seal(context, &Secret::new(secret)).unwrap(),
            fetch: None,
            created_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        })
    };
    put("Octo/Shop", &hook_context(Forge::Github, "octo/shop"), "s").await.unwrap();
    let secrets = StoredSecrets::load(repositories.clone(), Arc::new(Marked)).await.unwrap();
    let found = secrets.find(Forge::Github, "octo/SHOP").await.unwrap().unwrap();
    assert_eq!((found.repository.as_str(), found.secret.expose()), ("Octo/Shop", "s"));
    assert!(secrets.find(Forge::Gitea, "octo/shop").await.unwrap().is_none());
    put("octo/b", &hook_context(Forge::Github, "octo/b"), "").await.unwrap();
    assert!(matches!(secrets.refresh().await, Err(HookError::Empty { .. })), "an empty secret is none");
    assert!(secrets.find(Forge::Github, "octo/shop").await.unwrap().is_some(), "the old ones stay");
    put("octo/b", &hook_context(Forge::Github, "octo/c"), "s").await.unwrap();
    assert!(matches!(secrets.refresh().await, Err(HookError::Sealed { .. })), "sealed for another place");
}
