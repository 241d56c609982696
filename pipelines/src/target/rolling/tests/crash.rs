//! The crash matrix of `rolling`: a process that is killed at each fact and at each call, and answers that are lost; the fake's
//! journal has each effect once.

use std::sync::Arc;

use aws::Cloud;
use fake_aws::Fault;
use futures_util::StreamExt as _;
use jiff::SignedDuration;
use rollout::{Outcome, Plan, Weight};

use super::super::{Rolling, Settings};
use crate::rollout::Target;
use crate::target::ecs::lives::{Counts, Death, Memory, check, live};
use crate::target::ecs::stage::{IMAGE, Stage, definition};
use crate::target::paced::Parts;
use crate::target::{Clouds, Quiet};

/// How many stories go on at a time: they wait more than they work.
const AT_ONCE: usize = 8;
/// Seconds of the virtual clock in a real one: a call that may take fifteen has time on a busy machine.
const SPEED: f64 = 12.0;

/// A rollout to be killed.
#[derive(Debug, Clone, Copy)]
struct Story {
    outcome: Outcome,
    back_at: Option<Weight>,
    /// Whether its image ends at once.
    is_broken: bool,
    /// Whether ECS listens to an alarm when all is there, and so does not complete for a while.
    listens: bool,
    /// What it does at AWS.
    calls: &'static [(&'static str, usize)],
}

const STORIES: [Story; 3] = [
    Story {
        outcome: Outcome::Succeeded,
        back_at: None,
        is_broken: false,
        listens: false,
        calls: &[("ECS.RegisterTaskDefinition", 1), ("ECS.UpdateService", 1), ("ECS.StopServiceDeployment", 0)],
    },
    // A person takes it back while ECS has not completed it.
    Story {
        outcome: Outcome::RolledBack,
        back_at: Some(Weight(1)),
        is_broken: false,
        listens: true,
        calls: &[("ECS.RegisterTaskDefinition", 1), ("ECS.UpdateService", 1), ("ECS.StopServiceDeployment", 1)],
    },
    // The circuit breaker takes it back.
    Story {
        outcome: Outcome::Rejected,
        back_at: None,
        is_broken: true,
        listens: false,
        calls: &[("ECS.RegisterTaskDefinition", 1), ("ECS.UpdateService", 1), ("ECS.StopServiceDeployment", 0)],
    },
];

/// One task at a time: while one is new the other one is old.
fn plan(stage: &Stage, alarms: &[&str]) -> Plan {
    let settings = Settings {
        account: "123456789012".into(),
        region: "eu-central-1".into(),
        cluster: "shop".into(),
        service: "orders-a".into(),
        container: "app".into(),
        task_definition: definition(IMAGE),
        tasks: None,
        minimum_healthy_percent: Some(50),
        maximum_percent: Some(100),
        alarms: alarms.iter().map(|name| (*name).to_owned()).collect(),
        overrides_alarms: !alarms.is_empty(),
    };
    Plan {
        target: Rolling::NAME.to_owned(),
        settings: serde_json::to_value(settings).unwrap(),
        schedule: Parts::One.schedule(SignedDuration::from_secs(4), false),
        keep_blue: SignedDuration::ZERO,
        start_timeout: SignedDuration::from_mins(20),
        tick: SignedDuration::from_secs(2),
        ..crate::target::ecs::tests::plan(stage)
    }
}

/// A target as a process that has just begun has it, with the keys of the stage.
fn fresh(stage: &Stage) -> impl Fn() -> Arc<dyn Target> {
    let variables = stage.fake.environment();
    let cloud = Cloud::of(None, |name| variables.get(name).map(String::as_str)).unwrap();
    let (clouds, clock) = (Clouds::default(), stage.clock());
    clouds.hold("123456789012", &cloud);
    move || Arc::new(Quiet::new(Rolling::new(clouds.clone(), Arc::clone(&clock)), Arc::clone(&clock)))
}

/// A story, where its process dies, and which answer is lost.
type Case = (Story, Option<Death>, Option<(&'static str, u64)>);

/// Plays it with this death, or this answer lost; how many deeds were written down.
async fn play((story, death, lost): Case) -> usize {
    let stage = Stage::new();
    stage.fake.set_speed(SPEED);
    if story.is_broken {
        stage.fake.break_start(IMAGE, 3);
    }
    let alarms: &[&str] = if story.listens { &["orders-5xx"] } else { &[] };
    if story.listens {
        let alarm = serde_json::json!({
            "AlarmName": "orders-5xx", "Namespace": "Shop", "MetricName": "Errors", "Statistic": "Sum", "Period": 60,
            "EvaluationPeriods": 5, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
        });
        stage.fake.call("CloudWatch", "PutMetricAlarm", &alarm).unwrap();
    }
    let memory = Memory::new(plan(&stage, alarms), stage.clock().now(), death, story.back_at);
    if let Some((operation, nth)) = lost {
        stage.fake.add_fault(operation, nth, Fault::DropResponse);
    }
    let lives = live(&stage, &memory, fresh(&stage)).await;
    let what = format!("{:?}, {death:?}, {lost:?}, {lives} lives", story.outcome);
    let expected: Counts = story.calls.to_vec();
    check(&stage, &memory, story.outcome, &expected, &what);
    assert_eq!(lives, if death.is_some() { 2 } else { 1 }, "{what}");
    let weight = if story.outcome == Outcome::Succeeded { Weight::ALL } else { Weight::NONE };
    assert_eq!(memory.view().weight, weight, "{what}");
    memory.deeds()
}

async fn play_all(cases: Vec<Case>) -> usize {
    let count = cases.len();
    let mut played =
        futures_util::stream::iter(cases.into_iter().map(|case| tokio::spawn(play(case)))).buffer_unordered(AT_ONCE);
    while let Some(one) = played.next().await {
        one.unwrap();
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_fact_it_has_each_effect_once() {
    let mut cases = Vec::new();
    for story in STORIES {
        let deeds = play((story, None, None)).await;
        let deaths = (1..deeds).flat_map(|fact| [Death::BeforeFact(fact), Death::AfterFact(fact)]);
        cases.extend(deaths.map(|death| (story, Some(death), None)));
    }
    let count = play_all(cases).await;
    println!("{count} deaths at facts");
    assert!(count >= 60, "{count}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_within_each_call_or_without_its_answer_it_has_each_effect_once() {
    let mut cases = Vec::new();
    for story in STORIES {
        for (operation, count) in story.calls {
            for nth in 1..=*count {
                cases.push((story, Some(Death::AtCall(operation, nth)), None));
                cases.push((story, None, Some((*operation, nth as u64))));
                cases.push((story, Some(Death::AtCall(operation, nth)), Some((*operation, nth as u64))));
            }
        }
    }
    let count = play_all(cases).await;
    println!("{count} deaths and lost answers at calls");
    assert_eq!(count, 21);
}
