//! The action as a workflow calls it: a real keeper and database, the fake of AWS behind it.

use std::sync::Arc;

use engine::clock::Clock;
use engine::outbound::{Asker, Proxies};
use engine::step::trial::{Trial, Tried};
use engine::store::rollouts::Rollouts;
use engine::store::{Database, Options};
use fake_aws::Fault;
use scanners::attest::{Blob, Manifest, Registry as _};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use workflow::secret::Secret;

use super::*;
use crate::action::job_here::JobHere;
use crate::action::rollback::Rollback;
use crate::deploying::aws_targets;
use crate::registry::{Login, Reference, Remote, digest};
use crate::rollout::Keeper;
use crate::rollout::keeper::Orphans;
use crate::target::Clouds;
use crate::target::ecs::stage::{IMAGE, Stage, definition, text};
use crate::target::local::{Local, Starter};

/// A server's parts, and a job.
pub(in crate::action) struct Place {
    pub(in crate::action) stage: Stage,
    folder: tempfile::TempDir,
    database: Database,
    clock: Arc<dyn Clock>,
    pub(in crate::action) action: DeployEcs,
}

impl Place {
    pub(in crate::action) fn new() -> Self {
        Self::on(Stage::new())
    }

    pub(super) fn on(stage: Stage) -> Self {
        let clock = stage.clock();
        Self::by(stage, clock)
    }

    /// Whose rollouts go by this clock.
    pub(super) fn by(stage: Stage, clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let workspace = folder.path().join("w/r/r");
        std::fs::create_dir_all(&workspace).unwrap();
        std::fs::write(workspace.join("taskdef.json"), definition(IMAGE).to_string()).unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
        Self::of(stage, folder, database, clock)
    }

    fn of(stage: Stage, folder: tempfile::TempDir, database: Database, clock: Arc<dyn Clock>) -> Self {
        let clouds = Clouds::default();
        let targets = aws_targets(&clouds, &clock);
        let keeper =
            Keeper::new(Rollouts::on(database.clone()), folder.path().join("locks"), targets, Arc::clone(&clock));
        let local = Local::new("tests", folder.path().join("state"), Starter::default());
        let action = DeployEcs { deploying: Some(Deploying { keeper, local, clouds }), ..DeployEcs::default() };
        Self { stage, folder, database, clock, action }
    }

    /// As a process that was begun anew: what is written down is known, and no keys are.
    pub(super) async fn anew(self) -> Self {
        let stop = CancellationToken::new();
        stop.cancel();
        self.deploying().keeper.serve(Orphans::CarryOn, stop).await;
        Self::of(self.stage, self.folder, self.database, self.clock)
    }

    fn deploying(&self) -> &Deploying {
        self.action.deploying.as_ref().unwrap()
    }

    /// `pipe/rollback` in another run, with keys or without.
    pub(super) async fn back(&self, step: &str, service: &str, has_keys: bool) -> Tried {
        let Deploying { keeper, clouds, .. } = self.deploying().clone();
        let mut trial = self.trial(step);
        if !has_keys {
            trial.env.retain(|name, _| !name.starts_with("AWS_"));
        }
        trial.run(&Rollback { keeper: Some(keeper), clouds }, &[("service", service)]).await
    }

    pub(in crate::action) fn workspace(&self) -> std::path::PathBuf {
        self.folder.path().join("w/r/r")
    }

    pub(in crate::action) fn trial(&self, step: &str) -> Trial {
        let workspace = self.workspace();
        let mut trial = Trial::new(workspace.clone(), workspace.clone(), self.folder.path());
        trial.workspace.inside = workspace.to_string_lossy().into_owned();
        trial.run.environment = Some("production".to_owned());
        // Another step of another job, by which its rollout is known.
        trial.run.job = step.to_owned();
        trial.job = Some(Arc::new(JobHere::new(workspace)));
        trial.env.extend(self.stage.fake.environment());
        trial
    }

    pub(super) async fn run(&self, step: &str, given: &[(&str, &str)]) -> Tried {
        let mut inputs = vec![
            ("task-definition", "taskdef.json"),
            ("cluster", "shop"),
            ("service", "orders"),
            ("listener-rule", self.stage.listener.as_str()),
            ("steps", "- { weight: 10, for: 1m }\n- { weight: 50, for: 1m }\n- { weight: 100, bake: 1m }"),
        ];
        inputs.retain(|(name, _)| !given.iter().any(|(other, _)| other == name));
        inputs.extend(given);
        self.trial(step).run(&self.action, &inputs).await
    }
}

#[track_caller]
pub(in crate::action) fn failed(tried: &Tried, expected: &[&str]) {
    let error = tried.result.as_ref().expect_err(&tried.log).to_string();
    for part in expected {
        assert!(error.contains(part), "{part}\n{error}\n{}", tried.log);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_says_each_call_and_makes_none() {
    let place = Place::new();
    let dry = place.run("v1", &[("dry-run", "true"), ("allowed-account-ids", "123456789012")]).await;
    assert!(dry.result.is_ok(), "{:?}\n{}", dry.result, dry.log);
    for part in [
        "services     orders-a and orders-b in cluster shop, one of them gets as many tasks as what stands",
        "step 1       10 % for 1m",
        "plan hash    sha256:",
        "1. ecs:RegisterTaskDefinition family=orders image=r.example/orders@sha256:aaaa",
        "2. ecs:UpdateService cluster=shop service=orders-b taskDefinition=orders:<new> desiredCount=2",
        "3. elasticloadbalancing:ModifyListener listener=arn:aws:elasticloadbalancing:",
        "=900,arn:aws:elasticloadbalancing:",
        "6. ecs:UpdateService cluster=shop service=orders-a desiredCount=0 (after 1h)",
    ] {
        assert!(dry.log.contains(part), "{part}\n{}", dry.log);
    }
    let journal = place.stage.fake.journal();
    let changes =
        journal.iter().filter(|call| !call.operation.starts_with("Describe") && call.operation != "GetCallerIdentity");
    assert_eq!(changes.count(), 0, "{journal:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_of_task_sets_says_each_call_and_makes_none() {
    let place = Place::on(Stage::with_task_sets());
    let dry = place.run("v1", &[("dry-run", "true"), ("services", "orders")]).await;
    assert!(dry.result.is_ok(), "{:?}\n{}", dry.result, dry.log);
    for part in [
        "task sets    of orders in orders-a and orders-b in cluster shop, one of them gets as many tasks as what stands",
        "2. ecs:CreateTaskSet cluster=shop service=orders taskDefinition=orders:<new> scale=100% targetGroup=arn:aws:",
        "3. elasticloadbalancing:ModifyListener listener=arn:aws:elasticloadbalancing:",
        "6. ecs:UpdateServicePrimaryTaskSet cluster=shop service=orders primaryTaskSet=<new>",
        "7. ecs:DeleteTaskSet cluster=shop service=orders taskSet=ecs-svc/",
        "force=true (after 1h)",
    ] {
        assert!(dry.log.contains(part), "{part}\n{}", dry.log);
    }
    let changes = ["ECS.RegisterTaskDefinition", "ECS.CreateTaskSet", "ELBv2.ModifyListener"];
    assert_eq!(changes.map(|call| place.stage.fake.effects(call)), [0; 3]);
    // Two groups take turns: one is too few.
    let one = json!([{ "Type": "forward", "TargetGroupArn": place.stage.groups[0] }]);
    let one = json!({ "ListenerArn": place.stage.listener, "DefaultActions": one });
    place.stage.fake.call("ELBv2", "ModifyListener", &one).unwrap();
    let lone = place.run("v1", &[("services", "orders")]).await;
    failed(&lone, &["forwards to 1 target group (arn:aws:", "let it forward to both"]);
    let counted = place.run("v1", &[("services", "orders"), ("desired-count", "3")]).await;
    failed(&counted, &["`desired-count` is not for task sets"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_before_anything_is_done() {
    let place = Place::new();
    failed(
        &place.run("v1", &[("stragety", "rolling")]).await,
        &["has no input `stragety`", "did you mean `strategy`?"],
    );
    let wrong = place.run("v1", &[("strategy", "canary"), ("cluster", "")]).await;
    failed(&wrong, &["`cluster`"]);
    failed(
        &place.run("v1", &[("allowed-account-ids", "210987654321")]).await,
        &["are of account 123456789012", "nothing was done"],
    );
    failed(
        &place.run("v1", &[("task-definition", "none.json")]).await,
        &["`task-definition: none.json` cannot be read: there is no such file in the workspace"],
    );
    let tag = definition("r.example/orders:2").to_string();
    std::fs::write(place.folder.path().join("w/r/r/tag.json"), tag).unwrap();
    let tag = place.run("v1", &[("task-definition", "tag.json")]).await;
    failed(&tag, &["tag.json: container `app` has the image r.example/orders:2, a tag", "HOST/NAME@sha256:"]);
    failed(&place.run("v1", &[("cluster", "none")]).await, &["rejected", "none does not exist in eu-central-1"]);
    failed(&place.run("v1", &[("aws-region", "mars")]).await, &["`mars` is no region"]);
    let elsewhere = place.run("v1", &[("aws-region", "us-east-1")]).await;
    failed(&elsewhere, &["`listener-rule: arn:", "is in eu-central-1, and the step is in us-east-1"]);
    let mut wrong = definition(IMAGE);
    wrong["containerDefinitions"][0]["portMappings"][0]["containerPort"] = json!("eighty");
    std::fs::write(place.folder.path().join("w/r/r/wrong.json"), wrong.to_string()).unwrap();
    let wrong = place.run("v1", &[("task-definition", "wrong.json")]).await;
    failed(&wrong, &["wrong.json: containerDefinitions[0].portMappings[0].containerPort"]);
    place.stage.fake.add_fault("STS.GetCallerIdentity", 1, Fault::ExpiredToken);
    failed(&place.run("v1", &[]).await, &["expired"]);
    let mut trial = place.trial("v1");
    trial.env.retain(|name, _| !name.contains("KEY"));
    let inputs = [
        ("task-definition", "taskdef.json"),
        ("cluster", "a"),
        ("service", "b"),
        ("listener-rule", place.stage.listener.as_str()),
    ];
    let nobody = trial.run(&place.action, &inputs);
    failed(&nobody.await, &["AWS_ACCESS_KEY_ID"]);
    let changes = ["ECS.RegisterTaskDefinition", "ECS.UpdateService", "ELBv2.ModifyListener"];
    assert_eq!(changes.map(|call| place.stage.fake.effects(call)), [0; 3]);
}

/// Puts an image of this configuration, or a list of platforms, into the fake's registry; its name by digest.
pub(in crate::action) async fn stored(place: &Place, manifest: impl FnOnce(&Blob) -> Value, config: Value) -> String {
    let fake = &place.stage.fake;
    let host = fake.endpoint().trim_start_matches("http://").to_owned();
    let variables = fake.environment();
    let cloud = Cloud::of(None, |name| variables.get(name).map(String::as_str)).unwrap();
    let key = cloud.ecr(None).login(&[]).await.unwrap().remove(0);
    let login = Login { user: key.user, password: Secret::new(&*key.password) };
    let bytes = serde_json::to_vec(&config).unwrap();
    let config = Blob { digest: digest(&bytes), bytes };
    let manifest = manifest(&config);
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let manifest = Manifest { media_type: text(&manifest, "/mediaType"), digest: digest(&bytes), bytes };
    let name = Reference { host, repository: "shop/orders".to_owned(), reference: manifest.digest.clone() };
    let image = format!("{}@{}", name.name(), manifest.digest);
    let mut there = Remote::new(Asker::by(Proxies::default()).unwrap(), Handle::current(), &name, Some(login));
    let put = tokio::task::spawn_blocking(move || {
        there.put_blob(&config).unwrap();
        there.put_manifest(&manifest.digest, &manifest).unwrap();
    });
    put.await.unwrap();
    image
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_for_another_platform_is_found_in_its_registry() {
    let place = Place::new();
    place.stage.fake.call("ECR", "CreateRepository", &json!({ "repositoryName": "shop/orders" })).unwrap();
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let one = |config: &Blob| {
        let config = json!({ "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.digest, "size": config.bytes.len() });
        json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": [] })
    };
    let arm = stored(&place, one, json!({ "os": "linux", "architecture": "arm64" })).await;
    let intel = stored(&place, one, json!({ "os": "linux", "architecture": "amd64" })).await;
    let listed = |platforms: Vec<Value>| {
        let (digest, size) = (intel.split_once('@').unwrap().1.to_owned(), 1);
        let entry = move |platform| json!({ "mediaType": kind, "digest": digest, "size": size, "platform": platform });
        let all: Vec<Value> = platforms.into_iter().map(entry).collect();
        move |_: &Blob| json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": all })
    };
    let platform = |os: &str, architecture: &str| json!({ "os": os, "architecture": architecture });
    let none = stored(&place, listed(vec![platform("linux", "arm64"), platform("linux", "s390x")]), json!({})).await;
    let both = stored(
        &place,
        listed(vec![platform("linux", "arm64"), platform("linux", "amd64"), platform("unknown", "unknown")]),
        json!({}),
    )
    .await;
    let missing = format!("{}@sha256:{}", arm.split_once('@').unwrap().0, "0".repeat(64));
    for strategy in ["weighted", "codedeploy", "ecs-native"] {
        for (image, words) in [
            (
                &arm,
                &[
                    "the image is for linux/arm64, and tasks of `orders` run on linux/amd64",
                    "\"cpuArchitecture\": \"ARM64\"",
                ][..],
            ),
            (&none, &["the image is for linux/arm64, linux/s390x, and tasks", "Build it for linux/amd64"]),
            (&missing, &["the registry has no image", "CannotPullContainerError"]),
        ] {
            let mut given = vec![("image", image.as_str()), ("strategy", strategy), ("steps", "")];
            if strategy != "weighted" {
                given.push(("listener-rule", ""));
            }
            failed(&place.run("platform", &given).await, words);
        }
    }
    for image in [&intel, &both] {
        let dry = place.run("platform", &[("image", image.as_str()), ("dry-run", "true")]).await;
        assert!(
            dry.result.is_ok() && !dry.log.contains("was not asked of its registry"),
            "{:?}\n{}",
            dry.result,
            dry.log
        );
    }
    // Who may not read it is told so, and ECS finds out.
    place.stage.fake.add_fault("ECR.GetAuthorizationToken", 1, Fault::AccessDenied);
    let dry = place.run("platform", &[("image", arm.as_str()), ("dry-run", "true")]).await;
    assert!(
        dry.result.is_ok() && dry.log.contains("may not do `ecr:GetAuthorizationToken`"),
        "{:?}\n{}",
        dry.result,
        dry.log
    );
}
