//! Task sets that a rollout finds: left by one that died, kept by the one before, or made by somebody else.

use fake_aws::Fault;
use rollout::plan::Revision;
use rollout::{Call, Weight};
use serde_json::json;

use super::sets_tests::{begin, found, pairs, refusal, sets, stands};
use super::slots::Slots;
use super::stage::text;
use super::tests::Story;
use super::*;

/// The next rollout of the service.
fn next(story: &Story) -> Subject {
    let subject = story.subject(None);
    Subject { rollout: 8, green: Revision { id: 8, ..subject.green.clone() }, ..subject }
}

async fn do_as(story: &Story, subject: &Subject, call: Call) -> Result<Value, CallError> {
    story.target.perform(&CallOrder { subject: subject.clone(), effect: 1, call }).await
}

/// Somebody shares users between the two places.
fn shared(story: &Story, weights: [u32; 2]) {
    let [one, other] = &story.stage.groups;
    let forward = json!([{ "Type": "forward", "ForwardConfig": { "TargetGroups": [
        { "TargetGroupArn": one, "Weight": weights[0] }, { "TargetGroupArn": other, "Weight": weights[1] },
    ] } }]);
    let input = json!({ "ListenerArn": story.stage.listener, "DefaultActions": forward });
    story.fake.call("ELBv2", "ModifyListener", &input).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_rollout_left_is_ended_once_it_has_no_users() {
    let story = begin();
    let standing = stands(&story).await;
    let blue = Some(&standing);
    story.perform(blue, Call::StartGreen).await.unwrap();
    story.seen(&standing, 2).await;
    story.perform(blue, Call::SetWeight { weight: Weight(100) }).await.unwrap();
    // It died, and nobody goes on with it: whoever comes cannot know which of the two is the better one.
    let mut subject = next(&story);
    let busy = found(&story, subject.clone()).await.unwrap_err();
    for part in ["users are shared between task set", "(90 %)", "(10 %)", "set one of the two to all of them"] {
        assert!(busy.words.contains(part), "{part}\n{busy}");
    }
    shared(&story, [100, 0]);
    subject.blue = found(&story, subject.clone()).await.unwrap().blue;
    story.fake.add_fault("ECS.DeleteTaskSet", 1, Fault::DropResponse);
    story.fake.add_fault("ECS.CreateTaskSet", 1, Fault::DropResponse);
    while let Err(error) = do_as(&story, &subject, Call::StartGreen).await {
        assert!(error.is_transient, "{error}");
    }
    assert_eq!(["ECS.CreateTaskSet", "ECS.DeleteTaskSet"].map(|call| story.fake.effects(call)), [2, 1]);
    let three = [("orders-a", "PRIMARY"), ("orders-b", "ACTIVE"), ("orders-b", "DRAINING")];
    assert_eq!(sets(&story), pairs(&three));
    let seen = story.target.observe(&subject).await.unwrap();
    assert_eq!((seen.green.wanted, seen.blue.unwrap().healthy), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_of_what_ends_are_not_those_of_what_begins_in_its_group() {
    let story = begin();
    let settings = Settings::of(&story.subject(None).plan).unwrap();
    let clients = story.target.0.clients(&settings).unwrap();
    let mut slots = story.target.0.slots(&clients, &settings).await.unwrap();
    assert_eq!(
        slots.both.iter().position(|slot| slot.set.is_some()).map(|at| slots.both[at].group.contains("orders-a")),
        Some(true)
    );
    slots.both.sort_by_key(|slot| slot.set.is_none());
    let serves = slots.both[0].clone();
    let mut ending = serves.set.clone().unwrap();
    (ending.status, ending.id) = (aws::TaskSetStatus::Draining, "ecs-svc/1".to_owned());
    slots.beyond = vec![ending];
    let healthy = |slots: &Slots, running: u32, is_steady: bool, targets: u32| {
        let mut slot = serves.clone();
        let set = slot.set.as_mut().unwrap();
        (set.running, set.is_steady) = (running, is_steady);
        slots.healthy(&slot, targets)
    };
    for ((running, is_steady, targets), own) in [
        // None of the new ones runs yet, and the old ones still answer.
        ((0, false, 2), 0),
        ((2, false, 2), 0),
        ((2, false, 3), 1),
        ((2, true, 2), 2),
    ] {
        assert_eq!(healthy(&slots, running, is_steady, targets), own, "{running} run, {targets} are healthy");
    }
    // The old ones end already and are asked for a moment longer.
    slots.beyond[0].running = 0;
    assert_eq!((healthy(&slots, 0, false, 2), healthy(&slots, 1, false, 2)), (0, 1));
    // In another group, or with nobody who ends, each one counts.
    slots.beyond[0].groups = vec![(slots.both[1].group.clone(), None)];
    assert_eq!(healthy(&slots, 1, false, 2), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rule_says_who_stands_whatever_is_called_primary() {
    let story = begin();
    let theirs = story.stage.task_set(&story.stage.groups[1]);
    story.fake.advance(std::time::Duration::from_secs(300));
    shared(&story, [0, 100]);
    // Users are at somebody's newer task set, and the old one still is the primary one.
    let mut subject = next(&story);
    let blue = found(&story, subject.clone()).await.unwrap().blue;
    subject.blue = blue;
    let started = do_as(&story, &subject, Call::StartGreen).await.unwrap();
    let three = [("orders-a", "ACTIVE"), ("orders-a", "DRAINING"), ("orders-b", "PRIMARY")];
    assert_eq!(sets(&story), pairs(&three));
    let asked = json!({ "cluster": "shop", "service": "orders", "taskSets": [theirs, started["task-set"]] });
    let described = story.fake.call("ECS", "DescribeTaskSets", &asked).unwrap();
    assert_eq!(
        (&described["taskSets"][0]["status"], described["failures"].as_array().map(Vec::len)),
        (&json!("PRIMARY"), Some(0))
    );
    assert!(text(&described, "/taskSets/1/loadBalancers/0/targetGroupArn").contains("orders-a"), "{described}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_back_needs_no_new_task_set_while_the_old_one_is_kept() {
    let story = begin();
    let standing = stands(&story).await;
    let blue = Some(&standing);
    story.perform(blue, Call::StartGreen).await.unwrap();
    story.seen(&standing, 2).await;
    story.perform(blue, Call::SetWeight { weight: Weight::ALL }).await.unwrap();
    story.perform(blue, Call::MakePrimary).await.unwrap();
    let mut back = next(&story);
    back.green = standing.clone();
    let plan = Arc::make_mut(&mut back.plan);
    (plan.reuse, plan.rollback_of) = (Some(standing.clone()), Some(7));
    let there = found(&story, back.clone()).await.unwrap();
    assert!(there.green_is_warm && there.blue.as_ref().is_some_and(|blue| blue.id == 7), "{there:?}");
    back.blue = there.blue;
    let weight = Weight::ALL;
    for call in [Call::SetWeight { weight }, Call::MakePrimary, Call::StopBlue] {
        do_as(&story, &back, call).await.unwrap();
    }
    assert_eq!(sets(&story), pairs(&[("orders-a", "PRIMARY")]));
    let calls = ["ECS.CreateTaskSet", "ECS.DeleteTaskSet", "ECS.UpdateServicePrimaryTaskSet"];
    assert_eq!(calls.map(|call| story.fake.effects(call)), [1, 1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_set_in_two_target_groups_is_not_copied_into_one() {
    let story = begin();
    let input = json!({
        "Name": "inside", "Protocol": "HTTP", "Port": 80, "TargetType": "ip", "VpcId": "vpc-1",
    });
    let group = story.fake.call("ELBv2", "CreateTargetGroup", &input).unwrap();
    let group = text(&group, "/TargetGroups/0/TargetGroupArn");
    let set = json!({
        "cluster": "shop", "service": "orders", "taskDefinition": "orders:1", "launchType": "FARGATE",
        "scale": { "value": 100.0, "unit": "PERCENT" },
        "loadBalancers": [
            { "targetGroupArn": story.stage.groups[1], "containerName": "app", "containerPort": 8080 },
            { "targetGroupArn": group, "containerName": "app", "containerPort": 8080 },
        ],
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    });
    story.fake.call("ECS", "CreateTaskSet", &set).unwrap();
    story.fake.advance(std::time::Duration::from_secs(300));
    shared(&story, [0, 100]);
    let refused = refusal(&story, &|_| {}).await;
    assert!(refused.words.contains("is in target groups orders-b and inside"), "{refused}");
    assert!(refused.words.contains("use two services") && !refused.is_transient, "{refused}");
    assert_eq!(["ECS.CreateTaskSet", "ECS.DeleteTaskSet"].map(|call| story.fake.effects(call)), [0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_gets_users_while_a_definition_is_registered_is_not_ended() {
    let story = begin();
    let standing = stands(&story).await;
    story.perform(Some(&standing), Call::StartGreen).await.unwrap();
    story.seen(&standing, 2).await;
    // Another installation's rollout, as it was found, has no users yet.
    let mut subject = next(&story);
    subject.blue = found(&story, subject.clone()).await.unwrap().blue;
    let asked = "ECS.ListTaskDefinitions";
    let before = story.fake.effects(asked);
    story.fake.add_fault("ECS.RegisterTaskDefinition", 1, Fault::Delay(std::time::Duration::from_secs(1)));
    let meanwhile = async {
        while story.fake.effects(asked) == before {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        shared(&story, [90, 10]);
    };
    let (refused, ()) = tokio::join!(do_as(&story, &subject, Call::StartGreen), meanwhile);
    let refused = refused.unwrap_err();
    assert!(refused.words.contains("has 10 % of the users; it is not touched while it has any"), "{refused}");
    assert_eq!(["ECS.CreateTaskSet", "ECS.DeleteTaskSet"].map(|call| story.fake.effects(call)), [1, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_not_led_to_where_nobody_is() {
    let story = begin();
    let standing = stands(&story).await;
    let blue = Some(&standing);
    let started = story.perform(blue, Call::StartGreen).await.unwrap();
    story.seen(&standing, 2).await;
    story.perform(blue, Call::SetWeight { weight: Weight(100) }).await.unwrap();
    let gone = json!({ "cluster": "shop", "service": "orders", "taskSet": started["task-set"], "force": true });
    story.fake.call("ECS", "DeleteTaskSet", &gone).unwrap();
    let refused = story.perform(blue, Call::SetWeight { weight: Weight(500) }).await.unwrap_err();
    assert!(
        refused.words.contains("somebody has ended the task set that this rollout made") && !refused.is_transient,
        "{refused}"
    );
    // The way back is open.
    story.perform(blue, Call::SetWeight { weight: Weight::NONE }).await.unwrap();
    story.perform(blue, Call::StopGreen).await.unwrap();
    assert_eq!((sets(&story), story.fake.effects("ELBv2.ModifyListener")), (pairs(&[("orders-a", "PRIMARY")]), 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_made_where_the_old_one_stood_is_not_ended_with_it() {
    let story = begin();
    let standing = stands(&story).await;
    let blue = Some(&standing);
    story.perform(blue, Call::StartGreen).await.unwrap();
    story.seen(&standing, 2).await;
    let theirs = story.stage.task_set(&story.stage.groups[0]);
    story.fake.advance(std::time::Duration::from_secs(300));
    for call in [Call::SetWeight { weight: Weight::ALL }, Call::MakePrimary, Call::StopBlue] {
        story.perform(blue, call).await.unwrap();
    }
    let asked = json!({ "cluster": "shop", "service": "orders", "taskSets": [theirs] });
    let described = story.fake.call("ECS", "DescribeTaskSets", &asked).unwrap();
    assert_eq!(text(&described, "/taskSets/0/status"), "ACTIVE");
    assert_eq!(sets(&story), pairs(&[("orders-a", "ACTIVE"), ("orders-b", "PRIMARY")]));
}
