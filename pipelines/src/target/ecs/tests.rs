//! The target against a fake of AWS: a whole rollout, call by call, each with its answer lost once.

use std::sync::Arc;
use std::time::Duration;

use aws::Cloud;
use fake_aws::{Fake, Fault};
use jiff::SignedDuration;
use rollout::fact::Found;
use rollout::plan::{Analysis, Metric, OnActive, Plan, Revision, RollbackOn};
use rollout::{Call, Schedule, Weight};
use serde_json::{Value, json};

use super::lives::ROLLOUT;
use super::stage::{IMAGE, Stage, definition};
use super::*;

/// Of two tasks, judged by errors.
pub(crate) fn plan(stage: &Stage) -> Plan {
    let settings = Settings {
        account: "123456789012".into(),
        region: "eu-central-1".into(),
        cluster: "shop".into(),
        turns: stage.turns.clone(),
        rule: stage.listener.clone(),
        test_rule: None,
        container: "app".into(),
        task_definition: definition(IMAGE),
        tasks: matches!(stage.turns, Turns::Services { .. }).then_some(2),
        alarms: Vec::new(),
    };
    Plan {
        environment: "production".to_owned(),
        service: "orders".to_owned(),
        repository: "acme/shop".to_owned(),
        commit: "1a38bd2".to_owned(),
        image: IMAGE.to_owned(),
        version: "v2".to_owned(),
        target: Weighted::NAME.to_owned(),
        settings: serde_json::to_value(settings).unwrap(),
        schedule: Schedule::default(),
        analysis: Analysis { metrics: vec![Metric::Errors], ..Analysis::default() },
        rollback_on: RollbackOn::ALL,
        on_active: OnActive::Wait,
        hooks: Vec::new(),
        start_timeout: SignedDuration::from_mins(2),
        timeout: SignedDuration::from_hours(2),
        keep_blue: SignedDuration::from_mins(1),
        tick: SignedDuration::from_secs(1),
        irreversible: None,
        rollback_of: None,
        reuse: None,
    }
}

pub(super) struct Story {
    pub(super) stage: Stage,
    pub(super) fake: Arc<Fake>,
    pub(super) target: Weighted,
}

/// Two services of which the first has all users.
fn story() -> Story {
    story_on(Stage::new())
}

pub(super) fn story_on(stage: Stage) -> Story {
    let variables = stage.fake.environment();
    let cloud = Cloud::of(None, |name| variables.get(name).map(String::as_str)).unwrap();
    let clouds = Clouds::default();
    clouds.hold("123456789012", &cloud);
    let target = Weighted::new(clouds, stage.clock());
    Story { fake: Arc::clone(&stage.fake), stage, target }
}

impl Story {
    pub(super) fn subject(&self, blue: Option<Revision>) -> Subject {
        let green = Revision { id: ROLLOUT, image: IMAGE.into(), version: "v2".into(), commit: "1a38bd2".into() };
        Subject { rollout: ROLLOUT, token: 1, plan: Arc::new(plan(&self.stage)), blue, green }
    }

    pub(super) async fn perform(&self, blue: Option<&Revision>, call: Call) -> Result<Value, CallError> {
        self.target.perform(&CallOrder { subject: self.subject(blue.cloned()), effect: 1, call }).await
    }

    /// With the answer of an operation lost: the call is tried again as the driver does, and has one effect.
    pub(super) async fn once(&self, blue: Option<&Revision>, call: Call, operation: &str) -> Value {
        let before = self.fake.effects(operation);
        self.fake.add_fault(operation, 1, Fault::DropResponse);
        let mut tried = self.perform(blue, call.clone()).await;
        for _ in 0..3 {
            match &tried {
                Err(error) if error.is_transient => tried = self.perform(blue, call.clone()).await,
                Ok(_) | Err(_) => break,
            }
        }
        let done = tried.unwrap_or_else(|error| panic!("{call:?}: {error}"));
        assert_eq!(self.fake.effects(operation) - before, 1, "{operation} for {call:?}");
        let order = CallOrder { subject: self.subject(blue.cloned()), effect: 1, call: call.clone() };
        self.fake.clear_faults();
        if !matches!(call, Call::MakePrimary) {
            assert!(self.target.look_up(&order).await.unwrap().is_some(), "{call:?} is found again");
        }
        done
    }

    pub(super) async fn seen(&self, blue: &Revision, healthy: u32) -> Observation {
        let subject = self.subject(Some(blue.clone()));
        for _ in 0..200 {
            let seen = self.target.observe(&subject).await.unwrap();
            if seen.green.healthy >= healthy {
                return seen;
            }
            self.fake.advance(Duration::from_secs(5));
        }
        panic!("green does not become healthy");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_rollout_has_each_effect_once_though_answers_are_lost() {
    let stage = story();
    let found: Found = serde_json::from_value(stage.perform(None, Call::Preflight).await.unwrap()).unwrap();
    let standing = found.blue.unwrap();
    assert_eq!((standing.id, standing.image.as_str(), found.green_is_warm), (0, "r.example/orders:1", false));
    let blue = Some(&standing);

    stage.fake.add_fault("ECS.UpdateService", 1, Fault::DropResponse);
    let started = stage.once(blue, Call::StartGreen, "ECS.RegisterTaskDefinition").await;
    assert_eq!(started["service"], "orders-b");
    assert_eq!(stage.fake.effects("ECS.UpdateService"), 1);
    let seen = stage.seen(&standing, 2).await;
    assert_eq!((seen.weight, seen.green.wanted, seen.blue.unwrap().healthy), (Some(Weight::NONE), 2, 2));

    for weight in [100, 500, 1_000].map(Weight) {
        stage.once(blue, Call::SetWeight { weight }, "ELBv2.ModifyListener").await;
        assert_eq!(stage.seen(&standing, 2).await.weight, Some(weight));
    }
    let refused = stage.perform(blue, Call::StopGreen).await.unwrap_err();
    assert!(refused.words.contains("orders-b has 100 % of the users"), "{refused}");
    stage.perform(blue, Call::MakePrimary).await.unwrap();
    stage.once(blue, Call::StopBlue, "ECS.UpdateService").await;

    // The next one finds what was deployed, by its own tag.
    let found: Found = serde_json::from_value(
        stage
            .target
            .perform(&CallOrder {
                subject: Subject { rollout: 8, ..stage.subject(None) },
                effect: 1,
                call: Call::Preflight,
            })
            .await
            .unwrap(),
    )
    .unwrap();
    let stands = found.blue.unwrap();
    assert_eq!((stands.id, stands.image.as_str(), stands.version.as_str()), (ROLLOUT, IMAGE, "v2"));
}

/// Two installations count alike: what one deployed under a number is not taken for the other's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_of_another_installation_is_not_ours() {
    let stage = story();
    let found: Found = serde_json::from_value(stage.perform(None, Call::Preflight).await.unwrap()).unwrap();
    let blue = found.blue.as_ref();
    stage.perform(blue, Call::StartGreen).await.unwrap();
    stage.seen(blue.unwrap(), 2).await;
    stage.perform(blue, Call::SetWeight { weight: Weight::ALL }).await.unwrap();
    let other = |change: &dyn Fn(&mut Plan)| {
        let mut subject = stage.subject(None);
        change(Arc::make_mut(&mut subject.plan));
        CallOrder { subject, effect: 1, call: Call::Preflight }
    };
    let refused = stage.target.perform(&other(&|plan| plan.version = "v3".into())).await.unwrap_err();
    assert!(!refused.is_transient && refused.words.contains("rollout 7 of another installation"), "{refused}");
    // Its own it knows.
    stage.target.perform(&other(&|_| ())).await.unwrap();
    // A definition of the same number with another plan is not used.
    let registered = stage.fake.effects("ECS.RegisterTaskDefinition");
    let mut subject = stage.subject(blue.cloned());
    Arc::make_mut(&mut subject.plan).version = "v3".into();
    let stop =
        CallOrder { subject: stage.subject(blue.cloned()), effect: 1, call: Call::SetWeight { weight: Weight::NONE } };
    stage.target.perform(&stop).await.unwrap();
    stage.perform(blue, Call::StopGreen).await.unwrap();
    stage.target.perform(&CallOrder { subject, effect: 1, call: Call::StartGreen }).await.unwrap();
    assert_eq!(stage.fake.effects("ECS.RegisterTaskDefinition"), registered + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_users_set_an_alarm_off_is_seen_after_it() {
    let stage = story();
    let alarm = json!({
        "AlarmName": "orders-5xx", "Namespace": "Shop", "MetricName": "Errors", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
    });
    stage.fake.call("CloudWatch", "PutMetricAlarm", &alarm).unwrap();
    let mut subject = stage.subject(None);
    Arc::make_mut(&mut subject.plan).settings["alarms"] = json!(["orders-5xx"]);
    stage.target.observe(&subject).await.unwrap();
    let asked: Vec<String> = stage.fake.journal().into_iter().map(|call| call.operation).collect();
    assert_eq!(asked[..3], ["DescribeAlarms", "DescribeServices", "DescribeListeners"], "{asked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_back_leaves_users_where_they_were() {
    let stage = story();
    let found: Found = serde_json::from_value(stage.perform(None, Call::Preflight).await.unwrap()).unwrap();
    let blue = found.blue.as_ref();
    stage.perform(blue, Call::StartGreen).await.unwrap();
    stage.seen(blue.unwrap(), 2).await;
    stage.perform(blue, Call::SetWeight { weight: Weight(100) }).await.unwrap();
    stage.once(blue, Call::SetWeight { weight: Weight::NONE }, "ELBv2.ModifyListener").await;
    stage.once(blue, Call::StopGreen, "ECS.UpdateService").await;
    let seen = stage.target.observe(&stage.subject(blue.cloned())).await.unwrap();
    assert_eq!((seen.weight, seen.blue.unwrap().healthy), (Some(Weight::NONE), 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_is_said_before() {
    let stage = story();
    let preflight = async |change: &dyn Fn(&mut Plan)| {
        let mut subject = stage.subject(None);
        change(Arc::make_mut(&mut subject.plan));
        stage.target.perform(&CallOrder { subject, effect: 1, call: Call::Preflight }).await.unwrap_err()
    };
    for (member, value, words) in [
        ("cluster", json!("none"), "none does not exist in eu-central-1"),
        ("services", json!(["orders-a", "orders-c"]), "there is no service `orders-c` in cluster shop"),
        ("account", json!("210987654321"), "the credentials for account 210987654321 are not known"),
        ("alarms", json!(["absent"]), "there is no alarm `absent`"),
    ] {
        let error = preflight(&|plan| plan.settings[member] = value.clone()).await;
        assert!(error.words.contains(words), "{words}\n{error}");
    }
    let tag = preflight(&|plan| plan.image = "r.example/orders:1".to_owned()).await;
    assert!(tag.words.contains("is named by a tag"), "{tag}");
    stage.fake.add_fault("ECS.DescribeServices", 1, Fault::AccessDenied);
    let denied = preflight(&|_| {}).await;
    assert!(denied.words.contains("may not do `ecs:DescribeServices`") && !denied.is_transient, "{denied}");
}
