//! Pushed to a registry of others, docker-registry and ministack's ECR, and deployed from there by digest: what users get is what was
//! scanned, wherever a tag went meanwhile.

use bollard::query_parameters::{RemoveImageOptionsBuilder, TagImageOptionsBuilder};
use engine::step::BuiltInAction;
use engine::step::trial::Tried;
use serde_json::json;

use super::traffic::Shop;
use crate::action::fake_aws::with_keys;
use crate::action::push_ecr::PushEcr;
use crate::action::push_registry::PushRegistry;
use crate::docker::Docker;
use crate::push::tests::Small;
use crate::registry::tests::{Ministack, Program};
use crate::target::local::tests::world::image;

/// A registry with a repository `shop/orders`, and the action that pushes there.
struct There<'a> {
    action: &'a dyn BuiltInAction,
    host: &'a str,
    /// Inputs of the action that name it.
    inputs: Vec<(&'a str, &'a str)>,
}

impl There<'_> {
    async fn push(&self, name: &str, tag: &str, more: &[(&str, &str)]) -> Tried {
        let scratch = tempfile::tempdir().unwrap();
        let trial = with_keys(&format!("http://{}", self.host), scratch.path());
        let inputs = [&self.inputs[..], &[("image", name), ("tags", tag)], more].concat();
        trial.run(self.action, &inputs).await
    }

    /// Pushes what was scanned, deploys it, and moves tags in between.
    async fn scanned_pushed_and_deployed(&self) {
        let docker = Docker::connect().await.unwrap();
        let (mut bad, name) =
            (Small::build("pipe-bad", self.host).await, format!("pipe-orders-{}", self.host.replace([':', '.'], "-")));
        let tag = async |of: &str| {
            let options = TagImageOptionsBuilder::default().repo(&name).tag("scanned").build();
            docker.client.tag_image(of, Some(options)).await.unwrap();
        };
        let named = format!("{name}:scanned");
        bad.more =
            vec![named.clone(), format!("{}/shop/orders:v2", self.host), format!("{}/shop/orders:v3", self.host)];
        // Somebody moves the tag after the scan: nothing is pushed.
        let scanned = ("scanned-image", image());
        tag(&bad.name).await;
        let moved = self.push(&named, "v2", &[scanned]).await;
        let error = moved.result.unwrap_err().to_string();
        assert!(error.contains("the tag was moved in between. Nothing was pushed"), "{error}");
        tag(image()).await;
        let pushed = self.push(&named, "v2", &[scanned]).await;
        assert!(pushed.result.is_ok(), "{:?}\n{}", pushed.result, pushed.log);
        let by_digest = pushed.outputs["image"].clone();
        assert_eq!(by_digest, format!("{}/shop/orders@{}", self.host, pushed.outputs["digest"]));
        // Another image does not get its tag, unless somebody says so.
        let taken = self.push(&bad.name, "v2", &[]).await.result.unwrap_err().to_string();
        assert!(
            taken.contains("tag `v2` of") && taken.contains("which is another image: nothing was pushed"),
            "{taken}"
        );
        // What is deployed is fetched from there, and not what this machine has.
        let options = || Some(RemoveImageOptionsBuilder::default().force(true).build());
        for gone in [format!("{}/shop/orders:v2", self.host), by_digest.clone()] {
            let _gone = docker.client.remove_image(&gone, options(), None).await;
        }
        assert!(docker.client.inspect_image(&by_digest).await.is_err(), "{by_digest} is still here");
        let mut shop = Shop::open().await;
        let given = [("steps", "- { weight: 50, for: 10s }\n- { weight: 100, bake: 5s }")];
        shop.image = format!("{}/shop/orders:v2", self.host);
        let (by_tag, _, _) = shop.deploy(&[], &given).await;
        let error = by_tag.result.unwrap_err().to_string();
        assert!(error.contains("a tag, which may be another image now than when it was scanned"), "{error}");
        shop.image = by_digest.clone();
        let (tried, answers, _) = shop.deploy(&[], &given).await;
        assert!(tried.result.is_ok(), "{:?}", tried.result);
        assert!(!tried.log.contains("was not asked of its registry"), "{}", tried.log);
        assert_eq!(answers.keys().map(String::as_str).collect::<Vec<_>>(), ["v1", "v2"], "{answers:?}");
        let runs = json!({ "taskDefinition": "orders:2" });
        let runs = shop.place.stage.fake.call("ECS", "DescribeTaskDefinition", &runs).unwrap();
        assert_eq!(runs["taskDefinition"]["containerDefinitions"][0]["image"], by_digest.as_str());
        assert!(docker.client.inspect_image(&by_digest).await.is_ok(), "it was fetched by its digest");
        drop(shop);
        bad.more.push(by_digest);
        bad.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_docker_registry() {
    let Some(registry) = Program::start() else {
        println!(
            "deploy-ecs from_docker_registry: SKIPPED, docker-registry is not installed (Debian's package docker-registry)"
        );
        return;
    };
    let repository = format!("{}/shop/orders", registry.host);
    let inputs = vec![("repository", repository.as_str())];
    There { action: &PushRegistry, host: &registry.host, inputs }.scanned_pushed_and_deployed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_ecr_of_ministack() {
    let Some(ministack) = Ministack::start() else {
        println!("deploy-ecs from_the_ecr_of_ministack: SKIPPED, ministack is not installed (scripts/validators.sh)");
        return;
    };
    let inputs = vec![("repository", "shop/orders"), ("registry", &ministack.host), ("create-repository", "true")];
    There { action: &PushEcr, host: &ministack.host, inputs }.scanned_pushed_and_deployed().await;
}
