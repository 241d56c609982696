//! Task sets with real containers and real requests: to the end, back by analysis and by an alarm, and one deployment after another.

use serde_json::{Value, json};

use super::traffic::{Shop, ask, does_not_start, goes_back_by_alarm, goes_back_by_analysis, goes_to_the_end};
use crate::target::ecs::stage::{Stage, text};

/// Calls that change task sets.
const CHANGES: [&str; 3] = ["ECS.CreateTaskSet", "ECS.DeleteTaskSet", "ECS.UpdateServicePrimaryTaskSet"];

async fn open() -> Shop {
    Shop::on(Stage::of_task_sets).await
}

fn changes(shop: &Shop) -> [usize; 3] {
    CHANGES.map(|call| shop.place.stage.fake.effects(call))
}

/// Statuses and target groups of the task sets that do not end.
fn sets(shop: &Shop) -> Vec<(String, String)> {
    let asked = json!({ "cluster": "shop", "service": "orders" });
    let described = shop.place.stage.fake.call("ECS", "DescribeTaskSets", &asked).unwrap();
    let one = |set: &Value| {
        let group = text(set, "/loadBalancers/0/targetGroupArn");
        (group.split('/').nth(1).unwrap().to_owned(), text(set, "/status"))
    };
    let mut all: Vec<_> = described["taskSets"].as_array().unwrap().iter().map(one).collect();
    all.retain(|(_, status)| status != "DRAINING");
    all.sort();
    all
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(group, status)| ((*group).to_owned(), (*status).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_fifty_all_without_a_failed_request() {
    let shop = open().await;
    goes_to_the_end(&shop, "orders").await;
    assert_eq!(changes(&shop), [1, 0, 1]);
    assert_eq!(shop.place.stage.fake.effects("ECS.UpdateService"), 0);
    assert_eq!(sets(&shop), pairs(&[("orders-a", "ACTIVE"), ("orders-b", "PRIMARY")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_one_takes_the_group_of_what_is_still_kept() {
    let shop = open().await;
    let steps = "- { weight: 50, for: 10s }\n- { weight: 100, bake: 10s }";
    let mut answered = Vec::new();
    for version in ["v2", "v3"] {
        let given = [("steps", steps), ("analysis", "{ metrics: [restarts] }"), ("services", "orders")];
        let (tried, answers, _) = shop.deploy_as(version, &[], &given).await;
        assert!(tried.result.is_ok(), "{:?}", tried.result);
        answered.push(answers.into_keys().collect::<Vec<_>>());
    }
    // What was kept of v1 ended in the group that v3 came into: nobody met it there, and nobody met nobody.
    assert_eq!(answered, [["v1", "v2"], ["v2", "v3"]]);
    assert_eq!(changes(&shop), [2, 1, 2]);
    assert_eq!(sets(&shop), pairs(&[("orders-a", "PRIMARY"), ("orders-b", "ACTIVE")]));
    assert_eq!(ask(&shop.address).await.as_deref(), Ok("v3"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_go_back_by_analysis() {
    let shop = open().await;
    goes_back_by_analysis(&shop, "orders").await;
    assert_eq!(changes(&shop), [1, 1, 0]);
    assert_eq!(sets(&shop), pairs(&[("orders-a", "PRIMARY")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_goes_back() {
    let shop = open().await;
    goes_back_by_alarm(&shop, "orders").await;
    assert_eq!(changes(&shop), [1, 1, 0]);
    assert_eq!(sets(&shop), pairs(&[("orders-a", "PRIMARY")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_start_is_told_with_the_end_of_its_log() {
    let shop = open().await;
    does_not_start(&shop, "orders").await;
    assert_eq!(changes(&shop), [1, 1, 0]);
    assert_eq!(sets(&shop), pairs(&[("orders-a", "PRIMARY")]));
}
