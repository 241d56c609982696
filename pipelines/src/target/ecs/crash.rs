//! The crash matrix of `weighted`: a process that is killed at each fact and at each call, and answers that are lost; the fake's
//! journal has each effect once.

use std::sync::Arc;

use aws::Cloud;
use fake_aws::Fault;
use futures_util::StreamExt as _;
use jiff::SignedDuration;
use rollout::{Outcome, Plan, Schedule, Weight};
use serde_json::{Value, json};

use super::lives::{Counts, Death, Memory, check, live};
use super::stage::{Stage, text};
use super::tests::plan;
use super::*;
use crate::target::{Clouds, Quiet};

/// How many stories go on at a time: they wait more than they work.
const AT_ONCE: usize = 6;
/// Seconds of the virtual clock in a real one: a call that may take fifteen takes half of one on a busy machine.
const SPEED: f64 = 30.0;

/// A rollout to be killed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Story {
    pub(super) stage: fn() -> Stage,
    pub(super) outcome: Outcome,
    pub(super) back_at: Option<Weight>,
    /// What it does at AWS.
    pub(super) calls: &'static [(&'static str, usize)],
}

const STORIES: [Story; 2] = [
    Story {
        stage: Stage::new,
        outcome: Outcome::Succeeded,
        back_at: None,
        calls: &[("ECS.RegisterTaskDefinition", 1), ("ECS.UpdateService", 2), ("ELBv2.ModifyListener", 3)],
    },
    Story {
        stage: Stage::new,
        outcome: Outcome::RolledBack,
        back_at: Some(Weight(500)),
        calls: &[("ECS.RegisterTaskDefinition", 1), ("ECS.UpdateService", 2), ("ELBv2.ModifyListener", 3)],
    },
];

fn to_play(stage: &Stage) -> Plan {
    let steps = "[{ weight: 10, for: 4s }, { weight: 50, for: 4s }, { weight: 100, bake: 4s }]";
    Plan {
        schedule: Schedule::read(steps).unwrap(),
        keep_blue: SignedDuration::from_secs(4),
        tick: SignedDuration::from_secs(2),
        // A busy machine may stand still for seconds, which are minutes here.
        start_timeout: SignedDuration::from_mins(20),
        ..plan(stage)
    }
}

/// A target as a process that has just begun has it, with the keys of the stage.
fn fresh(stage: &Stage) -> impl Fn() -> Arc<dyn Target> {
    let variables = stage.fake.environment();
    let cloud = Cloud::of(None, |name| variables.get(name).map(String::as_str)).unwrap();
    let (clouds, clock) = (Clouds::default(), stage.clock());
    clouds.hold("123456789012", &cloud);
    move || Arc::new(Quiet::new(Weighted::new(clouds.clone(), Arc::clone(&clock)), Arc::clone(&clock)))
}

/// A story, where its process dies, and which answer is lost.
type Case = (Story, Option<Death>, Option<(&'static str, u64)>);

/// Plays it with this death, or this answer lost; how many deeds were written down.
async fn play(story: Story, death: Option<Death>, lost: Option<(&'static str, u64)>) -> usize {
    let stage = (story.stage)();
    stage.fake.set_speed(SPEED);
    let memory = Memory::new(to_play(&stage), stage.clock().now(), death, story.back_at);
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
    let played = cases.into_iter().map(|(story, death, lost)| tokio::spawn(play(story, death, lost)));
    let mut played = futures_util::stream::iter(played).buffer_unordered(AT_ONCE);
    while let Some(one) = played.next().await {
        one.unwrap();
    }
    count
}

/// From the first share to the last.
pub(crate) async fn a_whole_story(stage: Stage) -> Stage {
    played(&stage, to_play(&stage)).await;
    stage
}

async fn played(stage: &Stage, plan: Plan) {
    stage.fake.set_speed(SPEED);
    let memory = Memory::new(plan, stage.clock().now(), None, None);
    live(stage, &memory, fresh(stage)).await;
    assert_eq!(memory.view().outcome, Some(Outcome::Succeeded), "{:#?}", memory.view().timeline);
}

/// The same by a rule of the listener for users and one for tests; an alarm is watched.
pub(crate) async fn by_rules() -> Stage {
    let stage = Stage::new();
    let call = |service: &str, name: &str, input: Value| stage.fake.call(service, name, &input).unwrap();
    let forward = call("ELBv2", "DescribeListeners", json!({ "ListenerArns": [stage.listener] }));
    let forward = &forward["Listeners"][0]["DefaultActions"];
    let rule = |priority: u32, path: &str| {
        let condition = json!([{ "Field": "path-pattern", "Values": [path] }]);
        let input =
            json!({ "ListenerArn": stage.listener, "Priority": priority, "Conditions": condition, "Actions": forward });
        text(&call("ELBv2", "CreateRule", input), "/Rules/0/RuleArn")
    };
    let (users, tests) = (rule(1, "/orders/*"), rule(2, "/test/*"));
    let alarm = json!({
        "AlarmName": "orders-5xx", "Namespace": "Shop", "MetricName": "Errors", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
    });
    call("CloudWatch", "PutMetricAlarm", alarm);
    let mut plan = to_play(&stage);
    (plan.settings["rule"], plan.settings["test-rule"]) = (json!(users), json!(tests));
    plan.settings["alarms"] = json!(["orders-5xx"]);
    played(&stage, plan).await;
    let described = call("ELBv2", "DescribeRules", json!({ "RuleArns": [users] }));
    let weights = described["Rules"][0]["Actions"][0]["ForwardConfig"]["TargetGroups"].as_array().unwrap().clone();
    assert_eq!(weights.iter().map(|one| &one["Weight"]).collect::<Vec<_>>(), [&json!(0), &json!(100)]);
    // Two for tests, on and off; three shares of users; the listener itself is as it was.
    assert_eq!(["ELBv2.ModifyRule", "ELBv2.ModifyListener"].map(|call| stage.fake.effects(call)), [5, 0]);
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_of_a_listener_is_shifted_as_well() {
    by_rules().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_fact_it_has_each_effect_once() {
    assert!(killed_at_facts(&STORIES).await >= 60);
}

/// Kills the processes of each story at each fact; how many there were.
pub(super) async fn killed_at_facts(stories: &[Story]) -> usize {
    let mut cases = Vec::new();
    for story in stories {
        let deeds = play(*story, None, None).await;
        let deaths = (1..deeds).flat_map(|fact| [Death::BeforeFact(fact), Death::AfterFact(fact)]);
        cases.extend(deaths.map(|death| (*story, Some(death), None)));
    }
    let count = play_all(cases).await;
    println!("{count} deaths at facts");
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_within_each_call_or_without_its_answer_it_has_each_effect_once() {
    assert_eq!(killed_at_calls(&STORIES).await, 36);
}

/// Kills the processes of each story within each call, loses each call's answer, and both; how many there were.
pub(super) async fn killed_at_calls(stories: &[Story]) -> usize {
    let mut cases = Vec::new();
    for story in stories {
        for (operation, count) in story.calls {
            for nth in 1..=*count {
                cases.push((*story, Some(Death::AtCall(operation, nth)), None));
                cases.push((*story, None, Some((*operation, nth as u64))));
                cases.push((*story, Some(Death::AtCall(operation, nth)), Some((*operation, nth as u64))));
            }
        }
    }
    let count = play_all(cases).await;
    println!("{count} deaths and lost answers at calls");
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aws_is_asked_once_a_second_at_most_and_more_seldom_while_nothing_happens() {
    let stage = Stage::new();
    stage.fake.set_speed(20.0);
    let steps = "[{ weight: 10, for: 4m }, { weight: 100 }]";
    let plan = Plan { schedule: Schedule::read(steps).unwrap(), keep_blue: SignedDuration::ZERO, ..to_play(&stage) };
    let memory = Memory::new(plan, stage.clock().now(), None, None);
    live(&stage, &memory, fresh(&stage)).await;
    assert_eq!(memory.view().outcome, Some(Outcome::Succeeded), "{:#?}", memory.view().timeline);
    let journal = stage.fake.journal();
    let is_change = |name: &str| ["Register", "Update", "Modify"].iter().any(|verb| name.starts_with(verb));
    let asked: Vec<i64> = journal.iter().filter(|call| !is_change(&call.operation)).map(|call| call.at).collect();
    // What is on its way may come in a little later than it was sent: windows of ten seconds are looked at.
    let most = asked.iter().map(|at| asked.iter().filter(|other| (*at..*at + 10_000).contains(other)).count()).max();
    println!("{} questions, {most:?} at most in ten seconds", asked.len());
    assert!(most.is_some_and(|most| most <= 11), "{asked:?}");
    let shifted =
        journal.iter().filter(|call| call.operation.starts_with("Modify")).map(|call| call.at).collect::<Vec<_>>();
    let calm = shifted[0] + 120_000..shifted[0] + 180_000;
    let count = asked.iter().filter(|at| calm.contains(at)).count();
    println!("{count} questions in a minute in which nothing changes");
    assert!((10..=32).contains(&count), "{count}");
}
