//! Rollouts to a target in memory, carried as by a server, and steps that take them back.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use engine::clock::{Clock as _, SystemClock};
use engine::step::trial::{Trial, Tried};
use engine::store::rollouts::Rollouts;
use engine::store::{Database, Options};
use jiff::SignedDuration;
use rollout::plan::{Analysis, Inconclusive, OnActive, RollbackOn, Schedule, Step, Weight};
use rollout::simulated::World;
use rollout::{Observation, Plan};

use super::*;
use crate::rollout::{Asked, Subject, Target};

#[derive(Debug)]
struct InMemory(Mutex<World>);

impl InMemory {
    fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Target for InMemory {
    async fn perform(&self, order: &CallOrder) -> Result<Value, CallError> {
        let CallOrder { subject, effect, call } = order;
        let names = (subject.rollout, *effect);
        let reuse = subject.plan.reuse.as_ref();
        let done = self.with(|world| world.perform(names, call, subject.blue.as_ref(), &subject.green, reuse));
        done.map_err(CallError::last)
    }

    async fn look_up(&self, _order: &CallOrder) -> Result<Option<Value>, CallError> {
        Ok(None)
    }

    async fn observe(&self, subject: &Subject) -> Result<Observation, CallError> {
        let (blue, green) = (subject.blue.as_ref().map(|blue| blue.id), subject.green.id);
        Ok(self.with(|world| {
            world.advance(SystemClock.now());
            world.observe(blue, green)
        }))
    }
}

struct Place {
    keeper: Keeper,
    trial: Trial,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rollouts = Rollouts::on(Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap());
        let mut world = World::new(SystemClock.now(), None);
        world.next.healthy_after = Some(0.0);
        let target: Arc<dyn Target> = Arc::new(InMemory(Mutex::new(world)));
        let targets = BTreeMap::from([("memory", target)]);
        let keeper = Keeper::new(rollouts, folder.path().join("locks"), targets, Arc::new(SystemClock));
        let mut trial = Trial::new(folder.path().to_path_buf(), folder.path().join("w"), folder.path());
        trial.run.environment = Some("production".into());
        Self { keeper, trial, _folder: folder }
    }

    /// Brings a version, to its end.
    async fn deploy(&self, version: &str, irreversible: Option<&str>) {
        let plan = Plan { irreversible: irreversible.map(str::to_owned), ..plan(version) };
        let asked = Asked { key: version.into(), plan, run: None, job: "deploy".into(), by: "kim".into() };
        let id = self.keeper.ask(asked).await.unwrap();
        let end = self.keeper.attend(id, Arc::new(NoScripts), CancellationToken::new(), |_: &View| {}).await.unwrap();
        assert_eq!(end.outcome, Some(Outcome::Succeeded), "{}", end.words);
    }

    async fn run(&self, inputs: &[(&str, &str)]) -> Tried {
        self.trial.run(&Rollback { keeper: Some(self.keeper.clone()), ..Rollback::default() }, inputs).await
    }
}

fn plan(version: &str) -> Plan {
    let (none, minute) = (SignedDuration::ZERO, SignedDuration::from_mins(1));
    let step = Step { weight: Weight::ALL, hold: none, analyse: false, pause: false };
    Plan {
        environment: "production".into(),
        service: "shop".into(),
        repository: "local/repository".into(),
        commit: format!("commit of {version}"),
        image: format!("shop@sha256:{version}"),
        version: version.into(),
        target: "memory".into(),
        settings: Value::Null,
        schedule: Schedule::of(vec![step]),
        analysis: Analysis {
            metrics: Vec::new(),
            max_ratio: 1.2,
            alpha: 0.05,
            min_requests: 0,
            inconclusive: Inconclusive::Promote,
            max_extend: none,
        },
        rollback_on: RollbackOn { failure: true, alarm: true, analysis: true, cancel: true },
        on_active: OnActive::Wait,
        hooks: Vec::new(),
        start_timeout: minute,
        timeout: minute,
        keep_blue: SignedDuration::from_hours(1),
        tick: SignedDuration::from_millis(10),
        irreversible: None,
        rollback_of: None,
        reuse: None,
    }
}

fn error(tried: &Tried) -> String {
    tried.result.as_ref().expect_err(&tried.log).to_string()
}

const SHOP: (&str, &str) = ("service", "shop");

#[tokio::test]
async fn what_stood_before_stands_again() {
    let place = Place::new();
    place.deploy("v1", None).await;
    place.deploy("v2", None).await;
    let dry = place.run(&[SHOP, ("dry-run", "true")]).await;
    assert!(
        dry.log.contains("Dry run: shop in production would go back from v2 to v1 (shop@sha256:v1)\nPlan sha256:"),
        "{}",
        dry.log
    );
    let tried = place.run(&[SHOP]).await;
    assert!(tried.result.is_ok(), "{}", tried.log);
    let out = |name: &str| tried.outputs[name].as_str();
    assert_eq!(
        (out("status"), out("version"), out("image"), out("deployment-id")),
        ("succeeded", "v1", "shop@sha256:v1", "3")
    );
    assert_eq!(out("plan-hash"), dry.outputs["plan-hash"]);
    assert!(tried.log.contains("Rollout 3 takes shop in production back"), "{}", tried.log);
}

#[tokio::test]
async fn a_step_that_is_taken_up_asks_once() {
    let place = Place::new();
    place.deploy("v1", None).await;
    place.deploy("v2", None).await;
    let first = place.run(&[SHOP]).await;
    assert!(first.result.is_ok(), "{}", first.log);
    let again = Trial { again: true, ..place.trial };
    let again = again.run(&Rollback { keeper: Some(place.keeper.clone()), ..Rollback::default() }, &[SHOP]).await;
    assert_eq!(again.outputs.get("deployment-id").map(String::as_str), Some("3"), "{}", again.log);
}

#[tokio::test]
async fn what_cannot_be_undone_is_refused() {
    let place = Place::new();
    let nothing = "nothing was deployed of shop in production yet, so there is nothing to take back";
    assert_eq!(error(&place.run(&[SHOP]).await), nothing);
    place.deploy("v1", None).await;
    assert!(error(&place.run(&[SHOP]).await).contains("had nothing before"));
    place.deploy("v2", Some("3_drop.sql (drops table a)")).await;
    let text = error(&place.run(&[SHOP]).await);
    assert!(text.contains("the migration `3_drop.sql (drops table a)` of rollout 2 cannot be undone"), "{text}");
    let dry = place.run(&[SHOP, ("dry-run", "true")]).await;
    assert!(dry.result.is_ok() && dry.log.contains("cannot go back: the migration"), "{}", dry.log);
}

#[tokio::test]
async fn inputs_are_checked() {
    let place = Place::new();
    let check = async |inputs: &[(&str, &str)], expect: &str| assert_eq!(error(&place.run(inputs).await), expect);
    check(&[], "pipe/rollback needs the input `service`").await;
    check(&[SHOP, ("too", "1")], "pipe/rollback has no input `too`; did you mean `to`?").await;
    let number = "`to` must be the number of a rollout, as `pipe deploy history` has it, not `v1`";
    check(&[SHOP, ("to", "v1")], number).await;
    let nowhere = place.trial.run(&Rollback::default(), &[SHOP]).await;
    assert_eq!(error(&nowhere), "pipe/rollback knows of no rollouts here: run it by a server (`pipe serve`)");
}
