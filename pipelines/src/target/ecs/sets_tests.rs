//! Task sets as a target: whole rollouts call by call, the crash matrix, and what is refused before anything is done.

use std::sync::Arc;

use fake_aws::Fault;
use rollout::fact::Found;
use rollout::plan::{Plan, Revision};
use rollout::{Call, Outcome, Weight};
use serde_json::{Value, json};

use super::crash::{Story as Life, killed_at_calls, killed_at_facts};
use super::stage::{IMAGE, Stage, definition, text};
use super::tests::{Story, story_on};
use super::*;

const LIVES: [Life; 2] = [
    Life {
        stage: Stage::with_task_sets,
        outcome: Outcome::Succeeded,
        back_at: None,
        calls: &[
            ("ECS.RegisterTaskDefinition", 1),
            ("ECS.CreateTaskSet", 1),
            ("ELBv2.ModifyListener", 3),
            ("ECS.UpdateServicePrimaryTaskSet", 1),
            ("ECS.DeleteTaskSet", 1),
        ],
    },
    Life {
        stage: Stage::with_task_sets,
        outcome: Outcome::RolledBack,
        back_at: Some(Weight(500)),
        calls: &[
            ("ECS.RegisterTaskDefinition", 1),
            ("ECS.CreateTaskSet", 1),
            ("ELBv2.ModifyListener", 3),
            ("ECS.UpdateServicePrimaryTaskSet", 0),
            ("ECS.DeleteTaskSet", 1),
        ],
    },
];

pub(super) fn begin() -> Story {
    story_on(Stage::with_task_sets())
}

/// Statuses and target groups of the task sets, by the groups' names.
pub(super) fn sets(story: &Story) -> Vec<(String, String)> {
    let input = json!({ "cluster": "shop", "service": "orders" });
    let described = story.fake.call("ECS", "DescribeTaskSets", &input).unwrap();
    let one = |set: &Value| {
        let group = text(set, "/loadBalancers/0/targetGroupArn");
        (group.split('/').nth(1).unwrap().to_owned(), text(set, "/status"))
    };
    let mut all: Vec<_> = described["taskSets"].as_array().unwrap().iter().map(one).collect();
    all.sort();
    all
}

pub(super) fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(group, status)| ((*group).to_owned(), (*status).to_owned())).collect()
}

pub(super) async fn found(story: &Story, subject: Subject) -> Result<Found, CallError> {
    let order = CallOrder { subject, effect: 1, call: Call::Preflight };
    story.target.perform(&order).await.map(|found| serde_json::from_value(found).unwrap())
}

pub(super) async fn stands(story: &Story) -> Revision {
    found(story, story.subject(None)).await.unwrap().blue.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_rollout_has_each_effect_once_though_answers_are_lost() {
    let story = begin();
    let standing = stands(&story).await;
    assert_eq!((standing.id, standing.image.as_str()), (0, "r.example/orders:1"));
    let blue = Some(&standing);
    let before = story.fake.effects("ECS.CreateTaskSet");
    story.fake.add_fault("ECS.CreateTaskSet", 1, Fault::DropResponse);
    let started = story.once(blue, Call::StartGreen, "ECS.RegisterTaskDefinition").await;
    assert!(text(&started, "/task-set").starts_with("ecs-svc/"), "{started}");
    assert_eq!(story.fake.effects("ECS.CreateTaskSet") - before, 1);
    assert_eq!(sets(&story), pairs(&[("orders-a", "PRIMARY"), ("orders-b", "ACTIVE")]));
    let seen = story.seen(&standing, 2).await;
    assert_eq!((seen.weight, seen.green.wanted, seen.blue.unwrap().healthy), (Some(Weight::NONE), 2, 2));
    // It is like the one that stands, in the other group.
    let input =
        json!({ "cluster": "shop", "service": "orders", "taskSets": [started["task-set"]], "include": ["TAGS"] });
    let made = story.fake.call("ECS", "DescribeTaskSets", &input).unwrap()["taskSets"][0].clone();
    assert_eq!(made["networkConfiguration"]["awsvpcConfiguration"]["subnets"], json!(["subnet-1"]));
    assert_eq!((&made["tags"][0]["value"], &made["launchType"]), (&json!("shop"), &json!("FARGATE")));
    assert!(text(&made, "/externalId").starts_with("pipe:7-"), "{made}");

    for weight in [100, 500, 1_000].map(Weight) {
        story.once(blue, Call::SetWeight { weight }, "ELBv2.ModifyListener").await;
        assert_eq!(story.seen(&standing, 2).await.weight, Some(weight));
    }
    let refused = story.perform(blue, Call::StopGreen).await.unwrap_err();
    assert!(refused.words.contains("(target group orders-b) has 100 % of the users"), "{refused}");
    story.once(blue, Call::MakePrimary, "ECS.UpdateServicePrimaryTaskSet").await;
    assert_eq!(sets(&story), pairs(&[("orders-a", "ACTIVE"), ("orders-b", "PRIMARY")]));
    story.once(blue, Call::StopBlue, "ECS.DeleteTaskSet").await;
    assert_eq!(sets(&story), pairs(&[("orders-b", "PRIMARY")]));

    // The next one finds what was deployed, and takes the group that is free.
    let next = Subject { rollout: 8, green: Revision { id: 8, ..story.subject(None).green }, ..story.subject(None) };
    let blue = found(&story, next.clone()).await.unwrap().blue.unwrap();
    assert_eq!((blue.id, blue.image.as_str(), blue.version.as_str()), (7, IMAGE, "v2"));
    let next = Subject { blue: Some(blue), ..next };
    story.target.perform(&CallOrder { subject: next, effect: 1, call: Call::StartGreen }).await.unwrap();
    assert_eq!(sets(&story), pairs(&[("orders-a", "ACTIVE"), ("orders-b", "PRIMARY")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_without_users_gives_way_to_the_next_one() {
    let story = begin();
    let standing = stands(&story).await;
    let blue = Some(&standing);
    story.perform(blue, Call::StartGreen).await.unwrap();
    story.seen(&standing, 2).await;
    story.perform(blue, Call::SetWeight { weight: Weight::ALL }).await.unwrap();
    story.perform(blue, Call::MakePrimary).await.unwrap();
    // The old one is still kept when the next one comes.
    let next = Subject { rollout: 8, green: Revision { id: 8, ..story.subject(None).green }, ..story.subject(None) };
    let blue = found(&story, next.clone()).await.unwrap().blue;
    let next = Subject { blue, ..next };
    story.target.perform(&CallOrder { subject: next, effect: 1, call: Call::StartGreen }).await.unwrap();
    let there = sets(&story);
    assert!(there.contains(&("orders-a".into(), "DRAINING".into())), "{there:?}");
    assert!(there.contains(&("orders-a".into(), "ACTIVE".into())), "{there:?}");
    assert_eq!(story.fake.effects("ECS.DeleteTaskSet"), 1);
    // Whoever was to end it finds that it is gone, and touches nothing else.
    story.fake.advance(std::time::Duration::from_secs(60));
    story.perform(Some(&standing), Call::StopBlue).await.unwrap();
    assert_eq!(sets(&story), pairs(&[("orders-a", "ACTIVE"), ("orders-b", "PRIMARY")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_back_is_ended_and_users_stay_where_they_were() {
    let story = begin();
    let standing = stands(&story).await;
    let blue = Some(&standing);
    story.perform(blue, Call::StartGreen).await.unwrap();
    story.seen(&standing, 2).await;
    story.perform(blue, Call::SetWeight { weight: Weight(100) }).await.unwrap();
    story.once(blue, Call::SetWeight { weight: Weight::NONE }, "ELBv2.ModifyListener").await;
    story.once(blue, Call::StopGreen, "ECS.DeleteTaskSet").await;
    assert_eq!(sets(&story), pairs(&[("orders-a", "PRIMARY")]));
    let seen = story.target.observe(&story.subject(Some(standing.clone()))).await.unwrap();
    assert_eq!((seen.weight, seen.blue.unwrap().healthy), (Some(Weight::NONE), 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_do_not_start_are_counted_and_told() {
    let story = begin();
    let standing = stands(&story).await;
    story.fake.break_start("sha256", 3);
    story.perform(Some(&standing), Call::StartGreen).await.unwrap();
    story.fake.advance(std::time::Duration::from_secs(30));
    let seen = story.target.observe(&story.subject(Some(standing.clone()))).await.unwrap();
    let trouble = seen.green.trouble.unwrap();
    assert!(trouble.contains("ended with exit code 3") && trouble.contains("task set ecs-svc/"), "{trouble}");
    assert!(seen.green.restarts >= 2, "{}", seen.green.restarts);
    let blue = seen.blue.unwrap();
    assert_eq!((blue.restarts, blue.healthy, blue.trouble), (0, 2, None));
}

fn scaled(story: &Story, desired: u32) {
    let input = json!({ "cluster": "shop", "service": "orders", "desiredCount": desired });
    story.fake.call("ECS", "UpdateService", &input).unwrap();
}

pub(super) async fn refusal(story: &Story, change: &dyn Fn(&mut Plan)) -> CallError {
    let mut subject = story.subject(None);
    change(Arc::make_mut(&mut subject.plan));
    found(story, subject).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_is_said_before() {
    let story = begin();
    let plain = json!({
        "cluster": "shop", "serviceName": "plain", "taskDefinition": "orders:1", "desiredCount": 0, "launchType": "FARGATE",
        "loadBalancers": [{ "targetGroupArn": story.stage.groups[0], "containerName": "app", "containerPort": 8080 }],
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    });
    story.fake.call("ECS", "CreateService", &plain).unwrap();
    let port = |plan: &mut Plan| {
        plan.settings["task-definition"]["containerDefinitions"][0]["portMappings"][0]["containerPort"] = json!(9090);
    };
    let of_services = |plan: &mut Plan| {
        let settings = plan.settings.as_object_mut().unwrap();
        settings.retain(|member, _| member != "task-sets-of" && member != "target-groups");
        settings.insert("services".to_owned(), json!(["orders", "plain"]));
    };
    let group = story.stage.groups[0].clone();
    type Change<'a> = &'a dyn Fn(&mut Plan);
    for (change, words) in [
        (
            &(|plan: &mut Plan| plan.settings["task-sets-of"] = json!("plain")) as Change<'_>,
            "service plain has the deployment controller ECS, and task sets need EXTERNAL",
        ),
        (&of_services, "service orders has the deployment controller EXTERNAL: write `services: orders` alone"),
        (&|plan| plan.settings["task-sets-of"] = json!("none"), "there is no service `none` in cluster shop"),
        (
            &|plan| plan.settings["target-groups"] = json!([group, "arn:x:targetgroup/c/1"]),
            "does not forward to target group c",
        ),
        (
            &|plan| plan.settings["account"] = json!("210987654321"),
            "the credentials for account 210987654321 are not known",
        ),
        (&|plan| plan.settings["cluster"] = json!("none"), "none does not exist in eu-central-1"),
        (&port, "serves at port 8080, and container `app` of the task definition has no such port"),
    ] {
        let error = refusal(&story, change).await;
        // Keys may still come.
        let is_for_now = words.starts_with("the credentials");
        assert!(error.words.contains(words) && error.is_transient == is_for_now, "{words}\n{error}");
    }
    story.fake.add_fault("ECS.DescribeServices", 1, Fault::AccessDenied);
    let denied = refusal(&story, &|_| {}).await;
    assert!(denied.words.contains("may not do `ecs:DescribeServices`") && !denied.is_transient, "{denied}");
    scaled(&story, 0);
    let nobody = refusal(&story, &|_| {}).await;
    assert!(nobody.words.contains("nothing of service orders serves: orders-a with 100 %"), "{nobody}");
    assert_eq!(["ECS.CreateTaskSet", "ECS.DeleteTaskSet"].map(|call| story.fake.effects(call)), [0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn task_sets_of_somebody_else_are_not_touched() {
    let story = begin();
    let theirs = story.stage.task_set(&story.stage.groups[1]);
    let busy = refusal(&story, &|_| {}).await;
    for part in [theirs.as_str(), "was made by somebody else after what stands", "`aws ecs delete-task-set --force"] {
        assert!(busy.words.contains(part) && !busy.is_transient, "{part}\n{busy}");
    }
    let third = story.stage.task_set(&story.stage.groups[1]);
    let words = refusal(&story, &|_| {}).await.words;
    assert!(words.contains("has a task set beside the two that take turns"), "{words}");
    assert!([&theirs, &third].iter().any(|id| words.contains(id.as_str())), "{words}");
    // A rollout of another installation that is ahead.
    let story = begin();
    let mut ahead = definition(IMAGE);
    ahead["tags"] = json!([{ "key": "pipe:rollout", "value": "9" }]);
    story.fake.call("ECS", "RegisterTaskDefinition", &ahead).unwrap();
    let set = json!({
        "cluster": "shop", "service": "orders", "taskDefinition": "orders:2", "launchType": "FARGATE",
        "loadBalancers": [{ "targetGroupArn": story.stage.groups[1], "containerName": "app", "containerPort": 8080 }],
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    });
    story.fake.call("ECS", "CreateTaskSet", &set).unwrap();
    let busy = refusal(&story, &|_| {}).await;
    assert!(busy.words.contains("was made by rollout 9 of another installation of pipe"), "{busy}");
    assert_eq!(story.fake.effects("ECS.DeleteTaskSet"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_set_that_was_scaled_is_put_right_and_not_made_again() {
    let story = begin();
    let standing = stands(&story).await;
    let started = story.perform(Some(&standing), Call::StartGreen).await.unwrap();
    let half = json!({
        "cluster": "shop", "service": "orders", "taskSet": started["task-set"], "scale": { "value": 50.0, "unit": "PERCENT" },
    });
    story.fake.call("ECS", "UpdateTaskSet", &half).unwrap();
    let before = ["ECS.UpdateTaskSet", "ECS.CreateTaskSet"].map(|call| story.fake.effects(call));
    let again = story.perform(Some(&standing), Call::StartGreen).await.unwrap();
    assert_eq!(again["task-set"], started["task-set"]);
    let after = ["ECS.UpdateTaskSet", "ECS.CreateTaskSet"].map(|call| story.fake.effects(call));
    assert_eq!((after[0] - before[0], after[1] - before[1]), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_fact_it_has_each_effect_once() {
    assert!(killed_at_facts(&LIVES).await >= 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_within_each_call_or_without_its_answer_it_has_each_effect_once() {
    assert_eq!(killed_at_calls(&LIVES).await, 39);
}
