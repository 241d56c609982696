//! The action as a workflow calls it: a real keeper and database, the fake of AWS behind it.

use std::sync::Arc;

use engine::clock::Clock;
use engine::step::trial::{Trial, Tried};
use engine::store::rollouts::Rollouts;
use engine::store::{Database, Options};
use fake_aws::Fault;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::action::job_here::JobHere;
use crate::action::rollback::Rollback;
use crate::deploying::aws_targets;
use crate::rollout::Keeper;
use crate::rollout::keeper::Orphans;
use crate::target::Clouds;
use crate::target::ecs::stage::{IMAGE, Stage, definition};
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
        &["`task-definition: none.json` cannot be read"],
    );
    let tag = definition("r.example/orders:2").to_string();
    std::fs::write(place.folder.path().join("w/r/r/tag.json"), tag).unwrap();
    let tag = place.run("v1", &[("task-definition", "tag.json")]).await;
    failed(&tag, &["tag.json: container `app` has the image r.example/orders:2, a tag", "HOST/NAME@sha256:"]);
    failed(&place.run("v1", &[("cluster", "none")]).await, &["rejected", "none does not exist in eu-central-1"]);
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
