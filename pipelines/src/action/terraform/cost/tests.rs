//! Plans as Terraform's JSON has them.

use serde_json::json;

use super::*;

fn prices() -> Prices {
    Prices::read(SHIPPED).unwrap()
}

fn resource(kind: &str, name: &str, before: Json, after: Json) -> Json {
    json!({
        "address": format!("{kind}.{name}"), "mode": "managed", "type": kind, "name": name,
        "change": {"actions": ["update"], "before": before, "after": after, "after_unknown": {}},
    })
}

fn plan(resources: &[Json]) -> Json {
    json!({
        "resource_changes": resources,
        "variables": {"region": {"value": "us-east-1"}},
        "configuration": {
            "provider_config": {"aws": {"expressions": {"region": {"references": ["var.region"]}}}},
            "root_module": {"resources": [{
                "type": "aws_ecs_service", "name": "web",
                "expressions": {"task_definition": {"references": ["aws_ecs_task_definition.web.arn", "aws_ecs_task_definition.web"]}},
            }]},
        },
    })
}

fn cost(resources: &[Json]) -> Cost {
    Cost::of(&plan(resources), &prices(), None, None)
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < CENT
}

#[test]
fn a_month_of_the_shop() {
    let service = |count: u32| json!({"launch_type": "FARGATE", "desired_count": count});
    let task = |cpu: &str| json!({"cpu": cpu, "memory": "512", "runtime_platform": []});
    let database = |multi: bool| json!({"engine": "postgres", "instance_class": "db.t4g.micro", "multi_az": multi, "allocated_storage": 20, "storage_type": "gp3"});
    let all = [
        resource("aws_ecs_service", "web", service(1), service(2)),
        resource("aws_ecs_task_definition", "web", task("256"), task("256")),
        resource("aws_lb", "this", Json::Null, json!({"load_balancer_type": "application"})),
        resource("aws_nat_gateway", "this", json!({}), Json::Null),
        resource("aws_db_instance", "this", database(false), database(true)),
        resource("aws_cloudwatch_log_group", "a", Json::Null, json!({})),
        resource("aws_cloudwatch_log_group", "b", Json::Null, json!({})),
        resource("aws_iam_role", "task", Json::Null, json!({})),
        resource("aws_db_instance", "big", Json::Null, json!({"engine": "postgres", "instance_class": "db.r7g.large"})),
    ];
    let cost = cost(&all);
    // A quarter of a CPU and half a GB: 0.01012 + 0.0022225 an hour.
    let one_task = (0.25 * 0.04048 + 0.5 * 0.004445) * 730.0;
    assert!(near(one_task, 9.01), "{one_task}");
    let before = one_task + 0.045 * 730.0 + 0.016 * 730.0 + 20.0 * 0.115;
    let after = 2.0 * one_task + 0.0225 * 730.0 + 2.0 * (0.016 * 730.0 + 20.0 * 0.115);
    assert!(near(cost.before, before) && near(cost.after, after), "{cost:?}");
    assert_eq!(cost.lines[0].what, "2 × 0.25 vCPU, 0.5 GB on Fargate");
    assert_eq!(
        cost.words(),
        "55.84 → 62.41 USD a month (+6.57), without 2 × aws_cloudwatch_log_group (by usage, or not in the table), aws_db_instance (no \
         price of postgres on db.r7g.large)"
    );
    let markdown = cost.markdown();
    assert!(markdown.contains("| `aws_nat_gateway.this` | NAT gateway, idle | 32.85 | 0.00 |"), "{markdown}");
    assert!(markdown.contains("Not priced: 2 × aws_cloudwatch_log_group"), "{markdown}");
    assert!(markdown.contains("List prices of us-east-1 as of 2026-06"), "{markdown}");
}

#[test]
fn what_is_not_known_is_named() {
    let one = |kind: &str, values: Json| {
        let cost = cost(&[resource(kind, "web", Json::Null, values)]);
        assert!(near(cost.after, 0.0), "{cost:?}");
        cost.unpriced.keys().map(|(_, why)| why.clone()).collect::<Vec<_>>().join("; ")
    };
    let spot = json!({"desired_count": 1, "capacity_provider_strategy": [{"capacity_provider": "FARGATE_SPOT"}]});
    assert_eq!(one("aws_ecs_service", spot), "spot capacity has no fixed price");
    assert_eq!(one("aws_ecs_service", json!({"launch_type": "EC2", "desired_count": 1})), "it does not run on Fargate");
    assert_eq!(one("aws_ecs_service", json!({"launch_type": "FARGATE", "desired_count": 0})), "");
    let lost = json!({"launch_type": "FARGATE", "desired_count": 1});
    assert_eq!(one("aws_ecs_service", lost), "its task definition is not in the plan");
    assert_eq!(one("aws_vpc_endpoint", json!({"vpc_endpoint_type": "Gateway"})), "");
    assert_eq!(one("aws_lb", json!({"load_balancer_type": "gateway"})), "no price of gateway load balancer, idle");
    let elsewhere =
        Cost::of(&plan(&[resource("aws_eip", "a", Json::Null, json!({}))]), &prices(), Some("mars-1"), None);
    assert_eq!(elsewhere.words(), "0.00 → 0.00 USD a month (±0.00), without aws_eip (no prices of its region)");
}

#[test]
fn other_regions_have_what_is_known_of_them() {
    let of = |region: &str| {
        let made = [
            resource("aws_nat_gateway", "a", Json::Null, json!({})),
            resource("aws_lb", "shop", Json::Null, json!({"load_balancer_type": "application"})),
        ];
        Cost::of(&plan(&made), &prices(), Some(region), None)
    };
    for (region, month) in [("us-west-2", 32.85), ("us-east-2", 32.85), ("ap-southeast-1", 43.07)] {
        let cost = of(region);
        assert!(near(cost.after, month), "{region}: {}", cost.after);
        assert!(cost.words().contains("without aws_lb"), "{region}: {}", cost.words());
    }
    assert!(of("sa-east-1").words().contains("aws_nat_gateway (no prices of its region)"));
}

#[test]
fn services_find_their_task_definition_in_modules() {
    let address = "module.app[\"a.b\"].module.web[0]";
    let mut web =
        resource("aws_ecs_service", "this", Json::Null, json!({"launch_type": "FARGATE", "desired_count": 1}));
    let mut task = resource("aws_ecs_task_definition", "this", Json::Null, json!({"cpu": 1024, "memory": 2048}));
    web["module_address"] = address.into();
    task["module_address"] = address.into();
    let mut plan = plan(&[web, task]);
    plan["configuration"]["root_module"] = json!({"module_calls": {"app": {"module": {"module_calls": {"web": {"module": {
        "resources": [{"type": "aws_ecs_service", "name": "this", "expressions": {"task_definition": {"references": [
            "aws_ecs_task_definition.this.arn"]}}}]}}}}}}});
    let cost = Cost::of(&plan, &prices(), None, None);
    assert!(near(cost.after, (0.04048 + 2.0 * 0.004445) * 730.0), "{cost:?}");
}

#[test]
fn tables_are_checked() {
    assert!(Prices::read("{}").unwrap_err().contains("missing field `currency`"));
    assert!(Prices::read(&SHIPPED.replace("\"as-of\"", "\"as-off\"")).unwrap_err().contains("unknown field `as-off`"));
}
