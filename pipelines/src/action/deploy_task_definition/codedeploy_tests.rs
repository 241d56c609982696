//! The action on a service of CodeDeploy, with what its own page has for that, and with images that are named by tags.

use engine::step::trial::Tried;
use scanners::attest::Blob;
use serde_json::{Value, json};

use super::super::deploy_ecs::paced::fast_place;
use super::super::deploy_ecs::tests::{Place, failed, stored};
use super::*;
use crate::target::ecs::stage::{definition, text};

/// As people write it, with another container that has a port before the one that gets the requests.
const FILE: &str = "version: 0.0\nresources:\n  - TargetService:\n      type: AWS::ECS::Service\n      properties:\n        \
                    taskDefinition: <TASK_DEFINITION>\n        loadBalancerInfo: { containerName: app, containerPort: 8080 }\n\
                    hooks:\n  - AfterAllowTestTraffic: smoke\n";
const SERVICE: &str = "by-codedeploy";

async fn run(place: &Place, given: &[(&str, &str)]) -> Tried {
    let mut inputs = vec![("task-definition", "taskdef.json"), ("cluster", "shop"), ("service", SERVICE)];
    inputs.retain(|(name, _)| !given.iter().any(|(other, _)| other == name));
    inputs.extend(given);
    place.trial("deploy").run(&DeployTaskDefinition { deploys: place.action.clone() }, &inputs).await
}

/// An image in the fake's registry; its name by the tag `2`, and by its digest.
async fn tagged(place: &Place) -> [String; 2] {
    let call = |name: &str, input: Value| place.stage.fake.call("ECR", name, &input).unwrap();
    call("CreateRepository", json!({ "repositoryName": "shop/orders" }));
    let manifest = |config: &Blob| {
        let config = json!({ "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.digest, "size": config.bytes.len() });
        json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [] })
    };
    let image = stored(place, manifest, json!({ "os": "linux", "architecture": "amd64" })).await;
    let (name, digest) = image.split_once('@').unwrap();
    let ids = json!([{ "imageDigest": digest }]);
    let found = call("BatchGetImage", json!({ "repositoryName": "shop/orders", "imageIds": ids }));
    let manifest = found["images"][0]["imageManifest"].clone();
    call("PutImage", json!({ "repositoryName": "shop/orders", "imageManifest": manifest, "imageTag": "2" }));
    [format!("{name}:2"), image]
}

fn with_sidecar(image: &str) -> String {
    let mut json = definition(image);
    let sidecar = json!({ "name": "proxy", "image": "r.example/proxy:1", "portMappings": [{ "containerPort": 9000 }] });
    json["containerDefinitions"].as_array_mut().unwrap().insert(0, sidecar);
    json.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_of_codedeploy_is_deployed_by_it_with_the_image_that_a_tag_means_now() {
    let place = fast_place();
    let fake = &place.stage.fake;
    fake.set_function("smoke", Some(true));
    let [by_tag, by_digest] = tagged(&place).await;
    std::fs::write(place.workspace().join("taskdef.json"), with_sidecar(&by_tag)).unwrap();
    std::fs::write(place.workspace().join("appspec.yaml"), FILE).unwrap();
    let given = [
        ("codedeploy-application", "AppECS-shop-by-codedeploy"),
        ("codedeploy-deployment-group", "DgpECS-shop-by-codedeploy"),
        ("codedeploy-deployment-description", "by hand"),
        ("codedeploy-deployment-config", "CodeDeployDefault.ECSAllAtOnce"),
        ("wait-for-service-stability", "true"),
        ("wait-for-minutes", "5"),
        ("desired-count", "7"),
    ];
    let tried = run(&place, &given).await;
    assert!(tried.result.is_ok(), "{:?}\n{}", tried.result, tried.log);
    assert!(tried.log.contains("`desired-count` has no effect"), "{}", tried.log);
    let (id, arn) = (&tried.outputs["codedeploy-deployment-id"], &tried.outputs["task-definition-arn"]);
    let found = fake.call("CodeDeploy", "GetDeployment", &json!({ "deploymentId": id })).unwrap();
    let info = &found["deploymentInfo"];
    assert!(text(info, "/description").starts_with("by hand [pipe:"), "{info:#}");
    assert_eq!(info["deploymentConfigName"], "CodeDeployDefault.ECSAllAtOnce");
    let spec: Value = serde_json::from_str(&text(info, "/revision/appSpecContent/content")).unwrap();
    let properties = &spec["Resources"][0]["TargetService"]["Properties"];
    assert_eq!(
        (&properties["TaskDefinition"], &spec["Hooks"]),
        (&json!(arn), &json!([{ "AfterAllowTestTraffic": "smoke" }]))
    );
    assert_eq!(fake.function_calls().len(), 1);
    let described = fake.call("ECS", "DescribeTaskDefinition", &json!({ "taskDefinition": arn })).unwrap();
    let containers = &described["taskDefinition"]["containerDefinitions"];
    let images = [&containers[0]["image"], &containers[1]["image"]];
    assert_eq!(
        images,
        [&json!("r.example/proxy:1"), &json!(by_digest)],
        "the one that gets the requests, by its digest"
    );
    let service = json!({ "cluster": "shop", "services": [SERVICE] });
    let service = fake.call("ECS", "DescribeServices", &service).unwrap()["services"][0].clone();
    assert_eq!(service["desiredCount"], 2);
    assert_eq!((fake.effects("CodeDeploy.CreateDeployment"), fake.effects("ECS.UpdateService")), (1, 0));
}

/// Names as the official action has them, and an AppSpec that is made, since there is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_written_is_as_with_the_official_action() {
    let place = fast_place();
    let tried = run(&place, &[]).await;
    assert!(tried.result.is_ok(), "{:?}\n{}", tried.result, tried.log);
    let id = &tried.outputs["codedeploy-deployment-id"];
    let found = place.stage.fake.call("CodeDeploy", "GetDeployment", &json!({ "deploymentId": id })).unwrap();
    let info = &found["deploymentInfo"];
    let names = [&info["applicationName"], &info["deploymentGroupName"], &info["deploymentConfigName"]];
    let usual =
        ["AppECS-shop-by-codedeploy", "DgpECS-shop-by-codedeploy", "CodeDeployDefault.ECSCanary10Percent5Minutes"];
    assert_eq!(names, usual.each_ref().map(|name| json!(name)).each_ref());
    let spec: Value = serde_json::from_str(&text(info, "/revision/appSpecContent/content")).unwrap();
    let balanced = &spec["Resources"][0]["TargetService"]["Properties"]["LoadBalancerInfo"];
    assert_eq!(balanced, &json!({ "ContainerName": "app", "ContainerPort": 8080 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_said_before_anything_is_done() {
    let place = fast_place();
    let file = |name: &str, text: &str| std::fs::write(place.workspace().join(name), text).unwrap();
    file("broken.yaml", "version: 0.0\nResources: [{ TargetService: {} }]\n");
    file("hooks.yaml", &FILE.replace("AfterAllowTestTraffic", "Install"));
    file("other.yaml", &FILE.replace("containerName: app", "containerName: web"));
    for (given, parts) in [
        (&[("codedeploy-appspec", "none.yaml")][..], &["`codedeploy-appspec: none.yaml` cannot be read"][..]),
        (
            &[("codedeploy-appspec", "broken.yaml")],
            &["broken.yaml: Resources[0].TargetService.Properties.LoadBalancerInfo.ContainerName: missing"],
        ),
        (&[("codedeploy-appspec", "hooks.yaml")], &["hooks.yaml: Hooks[0]: no function can be called at `Install`"]),
        (&[("codedeploy-appspec", "other.yaml")], &["other.yaml", "`web`"]),
        (&[("codedeploy-application", "other")], &["other"]),
        (&[("codedeploy-application", "other"), ("wait-for-minutes", "5")], &["other"]),
        (&[("codedeploy-deployment-group", "other")], &["other"]),
        (&[("codedeploy-deployment-config", "Mine")], &["Mine"]),
    ] {
        failed(&run(&place, given).await, parts);
    }
    let [by_tag, _] = tagged(&place).await;
    file("taskdef.json", &definition(&format!("{}:3", by_tag.strip_suffix(":2").unwrap())).to_string());
    failed(&run(&place, &[]).await, &["there is no image", ":3: was it pushed there"]);
    file("taskdef.json", &definition("ghcr.io/acme/orders:2").to_string());
    failed(&run(&place, &[]).await, &["ghcr.io/acme/orders:2 is named by a tag", "not ECR"]);
    let changes = ["ECS.RegisterTaskDefinition", "ECS.UpdateService", "CodeDeploy.CreateDeployment"];
    assert_eq!(changes.map(|call| place.stage.fake.effects(call)), [0; 3]);
}

#[test]
fn waits_of_the_group_come_on_top() {
    let group = |waits, keeps| Group { waits, keeps, ..Group::default() };
    for (minutes, group, expected) in
        [(5, group(Some(30), Some(60)), 95), (5, group(None, None), 5), (300, group(Some(30), Some(60)), 360)]
    {
        assert_eq!(waits(minutes, &group), expected);
    }
}
