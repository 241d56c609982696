//! Real payloads of four forges, signed and posted: accepted, or ignored for a reason that is told; and refused when
//! forged, replayed, cut or written again.
//!
//! Bitbucket's three are for a door that there is not: they are refused with the names of those there are.

use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use serde_json::Value as Json;
use workflow::event::Forge;

use crate::world::{Known, Post, Setup, World, secret_of, signature};

/// Payloads that are posted side by side.
const AT_ONCE: usize = 16;

pub(crate) struct Payload {
    pub(crate) path: PathBuf,
    pub(crate) forge: Option<Forge>,
    pub(crate) event: String,
    pub(crate) body: Vec<u8>,
}

fn folder() -> PathBuf {
    let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/conformance"));
    std::env::var_os("PIPE_CONFORMANCE").map_or_else(default, PathBuf::from).join("webhooks")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|ending| ending == "json") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn payload(path: PathBuf) -> Payload {
    let inside = path.strip_prefix(folder()).unwrap().to_path_buf();
    let parts: Vec<_> = inside.iter().map(|part| part.to_str().unwrap()).collect();
    let kind = parts.last().unwrap().trim_start_matches("Hook").trim_end_matches(".json");
    let (forge, event) = match (parts[0], kind) {
        ("github", _) => (Some(Forge::Github), parts[1]),
        ("github-woodpecker", "PullRequest") => (Some(Forge::Github), "pull_request"),
        ("github-woodpecker", _) => (Some(Forge::Github), "push"),
        ("gitlab-woodpecker", "Push") => (Some(Forge::Gitlab), "Push Hook"),
        ("gitlab-woodpecker", "Tag") => (Some(Forge::Gitlab), "Tag Push Hook"),
        ("gitlab-woodpecker", _) => (Some(Forge::Gitlab), "Merge Request Hook"),
        (gitea @ ("gitea-woodpecker" | "forgejo-woodpecker"), kind) => {
            let forge = if gitea.starts_with("gitea") { Forge::Gitea } else { Forge::Forgejo };
            let event = match kind {
                "Push" => "push",
                "Tag" => "create",
                _ => "pull_request",
            };
            (Some(forge), event)
        }
        _ => (None, "push"),
    };
    let event = event.to_owned();
    Payload { body: std::fs::read(&path).unwrap(), path, forge, event }
}

/// All payloads; none where the corpus is absent and that is allowed, which a test has to say.
pub(crate) fn payloads() -> Vec<Payload> {
    if !folder().is_dir() && std::env::var("PIPE_CONFORMANCE_OPTIONAL").is_ok_and(|value| value == "1") {
        return Vec::new();
    }
    files(&folder()).into_iter().map(payload).collect()
}

pub(crate) fn repository(forge: Forge, body: &[u8]) -> String {
    let json: Json = serde_json::from_slice(body).unwrap();
    let (outer, inner) = forge.repository_keys();
    json[outer][inner].as_str().unwrap_or("octo-org/of-an-organization").to_owned()
}

fn post(forge: Forge, event: &str, id: &str, secret: &str, body: &[u8]) -> Post {
    let signed = signature(secret, body);
    let bare = Post { path: format!("/webhooks/{forge}"), headers: Vec::new(), body: body.to_vec() };
    let bare = bare.with("Content-Type", "application/json");
    let named =
        |prefix: &str| bare.clone().with(&format!("X-{prefix}-Event"), event).with(&format!("X-{prefix}-Delivery"), id);
    match forge {
        Forge::Github => named("GitHub").with("X-Hub-Signature-256", &signed),
        Forge::Gitea => named("Gitea").with("X-Gitea-Signature", &signed["sha256=".len()..]),
        Forge::Forgejo => named("Forgejo").with("X-Forgejo-Signature", &signed["sha256=".len()..]),
        Forge::Push => named("Pipe").with("X-Pipe-Signature-256", &signed),
        Forge::Gitlab => bare.with("X-Gitlab-Event", event).with("Idempotency-Key", id).with("X-Gitlab-Token", secret),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_payloads() {
    let payloads = payloads();
    if payloads.is_empty() {
        eprintln!("SKIPPED real_payloads: {} is no folder", folder().display());
        return;
    }
    let known = payloads.iter().filter_map(|payload| Some((payload.forge?, repository(payload.forge?, &payload.body))));
    let known = known.fold(Known::default(), |known, (forge, name)| known.add(forge, &name));
    let world = World::start(Setup { known, ..Setup::default() }).await;
    let all = payloads.iter().enumerate().map(|(number, payload)| check(&world, number, payload));
    let outcomes: Vec<_> = futures_util::stream::iter(all).buffer_unordered(AT_ONCE).collect().await;
    let count = |outcome| outcomes.iter().filter(|found| **found == outcome).count();
    let (accepted, ignored) = (count(Outcome::Accepted), count(Outcome::Ignored));
    let no_door = count(Outcome::NoDoor);
    assert_eq!(world.list().await.len(), accepted + ignored, "one row each, and none of what was refused");
    eprintln!("corpus: {accepted} accepted, {ignored} ignored for a reason, {no_door} of a forge without a door");
    assert_eq!(accepted + ignored + no_door, payloads.len());
    assert!(payloads.len() >= 100 && no_door == 3, "{}", payloads.len());
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Accepted,
    Ignored,
    NoDoor,
}

/// One payload in all its forms.
async fn check(world: &World, number: usize, Payload { path, forge, event, body }: &Payload) -> Outcome {
    let name = path.display();
    let Some(forge) = *forge else {
        let answer = world.post(&post(Forge::Github, event, "b", "x", body).at("/webhooks/bitbucket")).await;
        assert!(answer.status == 404 && answer.body.contains("hooks are taken from github"), "{name}");
        return Outcome::NoDoor;
    };
    let secret = secret_of(&repository(forge, body));
    let id = format!("corpus-{number}");
    let right = post(forge, event, &id, &secret, body);
    let forged = post(forge, event, &id, "another secret", body);
    assert_eq!(world.post(&forged).await.status, 401, "{name} forged");
    let cut = Post { body: body[..body.len() / 2].to_vec(), ..right.clone() };
    // GitLab signs nothing: its token is all there is, so only what cannot be read is refused.
    let cut_status = if forge == Forge::Gitlab { 400 } else { 401 };
    assert_eq!(world.post(&cut).await.status, cut_status, "{name} cut");
    if forge != Forge::Gitlab {
        let again = serde_json::to_vec(&serde_json::from_slice::<Json>(body).unwrap()).unwrap();
        let again = Post { body: [b" ".as_slice(), &again].concat(), ..right.clone() };
        assert_eq!(world.post(&again).await.status, 401, "{name} written again");
    }
    let answer = world.post(&right).await;
    assert_eq!(answer.status, 202, "{name}: {}", answer.body);
    assert_eq!(world.post(&right).await.status, 200, "{name} replayed");
    let other_id = post(forge, event, &format!("{id}-again"), &secret, body);
    assert_eq!(world.post(&other_id).await.status, 200, "{name} replayed under another id");
    match answer.json()["status"].as_str() {
        Some("accepted") => Outcome::Accepted,
        Some("ignored") => {
            assert!(answer.json()["reason"].as_str().is_some_and(|reason| reason.starts_with("event `")), "{name}");
            Outcome::Ignored
        }
        other => panic!("{name}: {other:?}"),
    }
}
