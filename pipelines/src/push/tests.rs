//! Against the real `docker-registry`, where that program and Docker are: what is pushed once, what is refused, and how long it takes.

use std::time::{Duration, Instant};

use bollard::query_parameters::{BuildImageOptionsBuilder, RemoveImageOptionsBuilder};

use super::*;
use crate::registry::tests::Program;

/// An image of a few bytes with this text in it, made from nothing; gone with this value.
pub(crate) struct Small {
    docker: Docker,
    /// Its name on this machine.
    pub(crate) name: String,
    /// Names that a push gave it.
    pub(crate) more: Vec<String>,
}

impl Small {
    pub(crate) async fn build(name: &str, content: &str) -> Self {
        let docker = Docker::connect().await.expect("Docker runs");
        let mut archive = tar(&[("Dockerfile", "FROM scratch\nCOPY text /text\n"), ("text", content)]);
        archive.extend([0; 1024]);
        let name = format!("{name}:{}", std::process::id());
        let options = BuildImageOptionsBuilder::default().t(&name).build();
        let body = bollard::body_full(archive.into());
        let mut events = Box::pin(docker.client.build_image(options, None, Some(body)));
        while let Some(event) = events.next().await {
            event.expect("it is built");
        }
        drop(events);
        Self { docker, name, more: Vec::new() }
    }

    pub(crate) async fn remove(self) {
        for name in self.more.iter().chain([&self.name]) {
            let options = RemoveImageOptionsBuilder::default().force(true).build();
            // One that was never made cannot be removed.
            let _gone = self.docker.client.remove_image(name, Some(options), None).await;
        }
    }
}

/// Headers and blocks as `ustar` has them; a build needs no more.
fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut all = Vec::new();
    for (name, content) in files {
        let mut head = [0_u8; 512];
        head[..name.len()].copy_from_slice(name.as_bytes());
        head[100..107].copy_from_slice(b"0000644");
        head[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        head[136..147].copy_from_slice(b"00000000000");
        head[148..156].fill(b' ');
        head[156] = b'0';
        head[257..263].copy_from_slice(b"ustar\0");
        head[263..265].copy_from_slice(b"00");
        let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        all.extend(head);
        all.extend(content.as_bytes());
        all.resize(all.len().next_multiple_of(512), 0);
    }
    all
}

fn push(image: &str, host: &str, tags: &[&str]) -> Push {
    Push {
        image: image.to_owned(),
        must_be: None,
        host: host.to_owned(),
        repository: "shop/orders".to_owned(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        may_move: false,
        login: None,
        keeps_name: true,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_is_pushed_once_and_its_tags_stay() {
    let Some(registry) = Program::start() else {
        println!("SKIPPED: docker-registry is not installed");
        return;
    };
    let (docker, host) = (Docker::connect().await.expect("Docker runs"), registry.host.clone());
    let mut one = Small::build("pipe-push-one", "one").await;
    let mut two = Small::build("pipe-push-two", "two").await;
    one.more = ["v1", "sha-1", "latest"].map(|tag| format!("{host}/shop/orders:{tag}")).to_vec();
    two.more = ["v2", "moved"].map(|tag| format!("{host}/shop/orders:{tag}")).to_vec();

    let first = push(&one.name, &host, &["v1", "sha-1"]).run(&docker, |_| {}).await.unwrap();
    assert!(first.digest.starts_with("sha256:") && !first.was_there && first.os == "linux");
    let begun = Instant::now();
    let again = push(&one.name, &host, &["v1", "sha-1"]).run(&docker, |_| {}).await.unwrap();
    assert!(again.was_there && again.digest == first.digest);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    // A tag more is no second push.
    let more = push(&one.name, &host, &["v1", "latest"]).run(&docker, |_| {}).await.unwrap();
    assert!(more.was_there && more.digest == first.digest);

    let taken = push(&two.name, &host, &["v2", "v1"]).run(&docker, |_| {}).await.unwrap_err();
    let name = format!("{host}/shop/orders");
    assert_eq!(taken, PushError::TagTaken { tag: "v1".into(), name, digest: first.digest.clone() });
    let unmoved = push(&one.name, &host, &["v2"]);
    assert!(!unmoved.run(&docker, |_| {}).await.unwrap_err_is_taken(), "nothing of the refused push is there");

    let moving = Push { may_move: true, ..push(&two.name, &host, &["v2"]) };
    let second = moving.run(&docker, |_| {}).await.unwrap();
    assert_ne!(second.digest, first.digest, "the tag was taken where that is allowed");
    let scanned = Push { must_be: Some(second.id.clone()), ..push(&one.name, &host, &["v3"]) };
    let moved = scanned.run(&docker, |_| {}).await.unwrap_err();
    assert!(moved.to_string().contains("the tag was moved in between. Nothing was pushed"), "{moved}");
    let missing = push("pipe-push-none:1", &host, &["v1"]).run(&docker, |_| {}).await.unwrap_err();
    assert_eq!(missing, PushError::NoImage("pipe-push-none:1".into()));
    one.remove().await;
    two.remove().await;
}

/// Names in the engine are those that were there before the push, whatever they meant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_do_not_stay_mean_again_what_they_did() {
    let Some(registry) = Program::start() else {
        println!("SKIPPED: docker-registry is not installed");
        return;
    };
    let (docker, host) = (Docker::connect().await.expect("Docker runs"), registry.host.clone());
    let mut one = Small::build("pipe-push-name-one", "one").await;
    let two = Small::build("pipe-push-name-two", "two").await;
    let id = async |name: &str| docker.client.inspect_image(name).await.ok().and_then(|found| found.id);
    let (of_one, of_two) = (id(&one.name).await, id(&two.name).await);
    let names = ["a", "b", "c"].map(|name| format!("{host}/shop/{name}"));
    one.more = names.each_ref().map(|name| format!("{name}:v1")).to_vec();
    // The first means nothing, the second another image, the third this one.
    for (image, name) in [(&two.name, &names[1]), (&one.name, &names[2])] {
        let options = bollard::query_parameters::TagImageOptionsBuilder::default().repo(name).tag("v1").build();
        docker.client.tag_image(image, Some(options)).await.unwrap();
    }
    for name in ["a", "b", "c"] {
        let one = push(&one.name, &host, &["v1"]);
        let push = Push { keeps_name: false, repository: format!("shop/{name}"), ..one };
        assert!(!push.run(&docker, |_| {}).await.unwrap().was_there, "{name}");
    }
    let means = [id(&one.more[0]).await, id(&one.more[1]).await, id(&one.more[2]).await];
    assert_eq!(means, [None, of_two, of_one.clone()]);
    // An image that has no other name would be gone with it.
    let options = || Some(RemoveImageOptionsBuilder::default().noprune(true).build());
    docker.client.remove_image(&one.more[2], options(), None).await.unwrap();
    let newer = Small::build("pipe-push-name-one", "newer").await;
    let alone = of_one.clone().unwrap();
    let push = Push { keeps_name: false, repository: "shop/d".to_owned(), ..push(&alone, &host, &["v1"]) };
    push.run(&docker, |_| {}).await.unwrap();
    assert_eq!(id(&alone).await, of_one, "it is there");
    newer.remove().await;
    one.more.push(format!("{host}/shop/d:v1"));
    one.remove().await;
    two.remove().await;
}

trait Taken {
    fn unwrap_err_is_taken(self) -> bool;
}

impl Taken for Result<Pushed, PushError> {
    fn unwrap_err_is_taken(self) -> bool {
        matches!(self, Err(PushError::TagTaken { .. }))
    }
}

#[tokio::test]
async fn nobody_there_is_said() {
    let docker = Docker::connect().await.expect("Docker runs");
    let image = Small::build("pipe-push-nobody", "x").await;
    let failed = push(&image.name, "127.0.0.1:1", &["v1"]).run(&docker, |_| {}).await.unwrap_err();
    assert!(failed.to_string().starts_with("the registry 127.0.0.1:1 cannot be asked: "), "{failed}");
    image.remove().await;
}

#[test]
fn what_the_engine_says_is_explained() {
    for (said, words) in [
        ("no basic auth credentials", "does not let this name push"),
        ("name unknown: The repository with name 'x' does not exist", "write `create-repository: true`"),
        (
            "tag invalid: The image tag 'v1' already exists and cannot be overwritten because the repository is immutable",
            "is never moved",
        ),
        ("something else", "r.example/a:v1 was not pushed: something else"),
    ] {
        let text = explained("r.example/a", "v1", said);
        assert!(text.contains(words) && text.contains(said), "{text}");
    }
    assert!(may_pass("unexpected EOF") && !may_pass("denied"));
}
