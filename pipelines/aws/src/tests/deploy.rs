//! ECS, load balancers and CloudWatch: what is asked, and what is done once.

use super::cloud::{cloud, json, json_error, wait};
use super::*;
use crate::{Controller, Fault, Metric, Shares, TargetState, TaskDefinition, TaskSetStatus, TaskSetWish};

const RULE: &str = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener-rule/app/shop/50dc/f2f7/9683";

fn xml(action: &str, inner: &str) -> (&'static str, String) {
    let space = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";
    (
        "200 OK",
        format!("<{action}Response xmlns=\"{space}\"><{action}Result>{inner}</{action}Result></{action}Response>"),
    )
}

fn rule(blue: u32, green: u32) -> (&'static str, String) {
    let group = |name: &str, weight: u32| {
        format!("<member><TargetGroupArn>{name}</TargetGroupArn><Weight>{weight}</Weight></member>")
    };
    let groups = format!("{}{}", group("tg-blue", blue), group("tg-green", green));
    let forward = format!("<ForwardConfig><TargetGroups>{groups}</TargetGroups></ForwardConfig>");
    xml(
        "DescribeRules",
        &format!(
            "<Rules><member><RuleArn>{RULE}</RuleArn><Actions><member><Type>forward</Type><Order>1</Order>{forward}</member></Actions>\
         </member></Rules>"
        ),
    )
}

#[test]
fn weights_are_set_once_and_read_back() {
    let (endpoint, got) = server(vec![rule(100, 0), xml("ModifyRule", ""), rule(900, 100)]);
    let wanted = Shares::of("tg-green", 100, "tg-blue");
    wait(cloud(&endpoint).balancer().share(RULE, &wanted)).unwrap();
    let got: Vec<_> = got.try_iter().collect();
    assert!(got[1].has("Action", "ModifyRule"), "{}", got[1].body);
    let weights = "Actions.member.1.ForwardConfig.TargetGroups.member";
    assert!(
        got[1].has(&format!("{weights}.1.Weight"), "900") && got[1].has(&format!("{weights}.2.Weight"), "100"),
        "{}",
        got[1].body
    );
    let (endpoint, got) = server(vec![rule(900, 100)]);
    wait(cloud(&endpoint).balancer().share(RULE, &wanted)).unwrap();
    assert_eq!(got.try_iter().count(), 1, "what stands is not set again");
    let (endpoint, _got) = server(vec![rule(100, 0), xml("ModifyRule", ""), rule(100, 0)]);
    let other = wait(cloud(&endpoint).balancer().share(RULE, &wanted)).unwrap_err();
    assert!(other.is_for_now && other.words.contains("does somebody else change it"), "{other}");
}

#[test]
fn targets_have_states() {
    let target = |state: &str, more: &str| {
        format!(
            "<member><Target><Id>10.0.0.1</Id><Port>8080</Port></Target><TargetHealth><State>{state}</State>{more}</TargetHealth></member>"
        )
    };
    let why = "<Reason>Target.ResponseCodeMismatch</Reason><Description>Health checks failed with these codes: [500]</Description>";
    let inner = format!(
        "<TargetHealthDescriptions>{}{}</TargetHealthDescriptions>",
        target("healthy", ""),
        target("unhealthy", why)
    );
    let (endpoint, _got) = server(vec![xml("DescribeTargetHealth", &inner)]);
    let targets = wait(cloud(&endpoint).balancer().targets("tg-green")).unwrap();
    assert_eq!((targets[0].state, targets[0].address.as_str()), (TargetState::Healthy, "10.0.0.1:8080"));
    assert_eq!(targets[1].why, "Target.ResponseCodeMismatch: Health checks failed with these codes: [500]");
}

#[test]
fn a_definition_is_registered_as_it_is_written() {
    let file = r#"{"family":"orders","containerDefinitions":[{"name":"app","image":"a@sha256:00","memory":128}]}"#;
    let mut definition = TaskDefinition::parse(file).unwrap();
    definition.tag("pipe:rollout", "7");
    let (endpoint, got) = server(vec![json(r#"{"taskDefinition":{"taskDefinitionArn":"arn:td:8"}}"#)]);
    assert_eq!(wait(cloud(&endpoint).ecs("shop").register(&definition)).unwrap(), "arn:td:8");
    let got = got.recv().unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&got.body).unwrap(), *definition.json());
    assert_eq!(got.header("x-amz-target"), "AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition");
    assert!(
        got.header("authorization").ends_with(&format!("Signature={}", got.signature())),
        "the body that is sent is signed"
    );
    let (endpoint, got) = server(vec![("500 Oh", String::new())]);
    let lost = wait(cloud(&endpoint).ecs("shop").register(&definition)).unwrap_err();
    assert!(lost.is_uncertain && got.try_iter().count() == 1);
}

#[test]
fn what_was_registered_before_a_crash_is_found() {
    let described = |tag: &str| {
        json(&format!(
            r#"{{"taskDefinition":{{"taskDefinitionArn":"arn:td:{tag}","containerDefinitions":[{{"name":"app","image":"a"}}]}},
            "tags":[{{"key":"pipe:rollout","value":"{tag}"}}]}}"#
        ))
    };
    let list = json(r#"{"taskDefinitionArns":["arn:td:9","arn:td:7"]}"#);
    let (endpoint, _got) = server(vec![list.clone(), described("9"), described("7")]);
    let found = wait(cloud(&endpoint).ecs("shop").registered_for("orders", "pipe:rollout", "7")).unwrap().unwrap();
    assert_eq!((found.arn.as_str(), found.tag("pipe:rollout")), ("arn:td:7", Some("7")));
    let (endpoint, _got) = server(vec![list, described("9"), described("8")]);
    assert_eq!(wait(cloud(&endpoint).ecs("shop").registered_for("orders", "pipe:rollout", "7")), Ok(None));
}

#[test]
fn services_are_read() {
    let body = r#"{"services":[{"serviceName":"orders-a","status":"ACTIVE","desiredCount":2,"runningCount":1,"pendingCount":1,
        "taskDefinition":"arn:td:7","deploymentController":{"type":"CODE_DEPLOY"},"loadBalancers":[{"targetGroupArn":"tg-blue"}],
        "deployments":[{"status":"PRIMARY","failedTasks":3,"rolloutState":"FAILED","rolloutStateReason":"circuit breaker"}],
        "events":[{"message":"has started 1 tasks"}]},{"serviceName":"old","status":"INACTIVE","desiredCount":0,"runningCount":0,"pendingCount":0}]}"#;
    let (endpoint, _got) = server(vec![json(body)]);
    let found = wait(cloud(&endpoint).ecs("shop").services(&["orders-a", "old"])).unwrap();
    assert_eq!(found.len(), 1, "a deleted one is none");
    let one = &found[0];
    assert_eq!((one.controller, one.desired, one.running, one.failed), (Controller::CodeDeploy, 2, 1, 3));
    assert_eq!((one.given_up.as_deref(), one.target_groups[0].as_str()), (Some("circuit breaker"), "tg-blue"));
    let (endpoint, _got) = server(vec![json_error("ClusterNotFoundException", "Cluster not found.")]);
    let missing = wait(cloud(&endpoint).ecs("shop").services(&["a"])).unwrap_err();
    assert!(missing.words.starts_with("shop does not exist in eu-central-1"), "{missing}");
}

#[test]
fn a_task_set_is_made_like_another_one_and_problems_say_whose_they_are() {
    let wish = TaskSetWish {
        service: "orders".into(),
        like: "ecs-svc/1".into(),
        task_definition: "arn:td:8".into(),
        group: "tg-green".into(),
        container: "app".into(),
        external_id: "pipe:7-1a2b".into(),
        token: "pipe:0123".into(),
    };
    let like = r#"{"taskSets":[{"id":"ecs-svc/1","status":"PRIMARY","taskDefinition":"arn:td:7","scale":{"value":50,"unit":"PERCENT"},
        "launchType":"FARGATE","platformVersion":"1.4.0","capacityProviderStrategy":[{"capacityProvider":"FARGATE_SPOT","weight":1}],
        "networkConfiguration":{"awsvpcConfiguration":{"subnets":["subnet-1"],"securityGroups":["sg-1"]}},
        "loadBalancers":[{"targetGroupArn":"tg-blue","containerName":"old","containerPort":8080}],
        "tags":[{"key":"team","value":"shop"}]}]}"#;
    let (endpoint, got) = server(vec![json(like), json(r#"{"taskSet":{"id":"ecs-svc/2"}}"#)]);
    assert_eq!(wait(cloud(&endpoint).ecs("shop").create_task_set(&wish)).unwrap(), "ecs-svc/2");
    let made = got.try_iter().last().unwrap();
    assert_eq!(made.header("x-amz-target"), "AmazonEC2ContainerServiceV20141113.CreateTaskSet");
    let expected = serde_json::json!({
        "cluster": "shop", "service": "orders", "taskDefinition": "arn:td:8", "externalId": "pipe:7-1a2b", "clientToken": "pipe:0123",
        "scale": { "value": 100.0, "unit": "PERCENT" }, "platformVersion": "1.4.0",
        "capacityProviderStrategy": [{ "capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0 }],
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"], "securityGroups": ["sg-1"] } },
        "loadBalancers": [{ "targetGroupArn": "tg-green", "containerName": "app", "containerPort": 8080 }],
        "tags": [{ "key": "team", "value": "shop" }],
    });
    let mut body: serde_json::Value = serde_json::from_str(&made.body).unwrap();
    // What is nothing may be said or not.
    body["capacityProviderStrategy"][0]["base"] = serde_json::json!(0);
    assert_eq!(body, expected, "capacity providers are there, so no launch type is");
    for (code, message, fault, words) in [
        ("AccessDeniedException", "no", Fault::Permission, "may not do `ecs:DeleteTaskSet` on ecs-svc/2"),
        ("ThrottlingException", "slow", Fault::Aws, "AWS asks to come back later"),
        ("ServiceNotActiveException", "Service was not ACTIVE.", Fault::Request, "AWS refused `ecs:DeleteTaskSet`"),
    ] {
        let answers = if fault == Fault::Aws { 6 } else { 1 };
        let (endpoint, _got) = server(vec![json_error(code, message); answers]);
        let problem = wait(cloud(&endpoint).ecs("shop").delete_task_set("orders", "ecs-svc/2")).unwrap_err();
        assert!(problem.fault == fault && problem.words.contains(words), "{words}\n{problem:?}");
        assert_eq!(problem.is_for_now, fault == Fault::Aws);
    }
    let (endpoint, _got) = server(vec![json_error("TaskSetNotFoundException", "gone")]);
    wait(cloud(&endpoint).ecs("shop").delete_task_set("orders", "ecs-svc/2")).unwrap();
    let (endpoint, got) = server(vec![("500 Oh", String::new())]);
    let lost = wait(cloud(&endpoint).ecs("shop").set_primary("orders", "ecs-svc/2")).unwrap_err();
    assert!(lost.is_uncertain && got.try_iter().count() == 1, "what may have been done is not done again unseen");
    let service = r#"{"services":[{"serviceName":"orders","status":"ACTIVE","desiredCount":3,"runningCount":3,"pendingCount":0,
        "deploymentController":{"type":"EXTERNAL"},"taskSets":[{"id":"ecs-svc/1","status":"PRIMARY","taskDefinition":"arn:td:7",
        "scale":{"value":50,"unit":"PERCENT"},"runningCount":2,"pendingCount":0,"stabilityStatus":"STEADY_STATE",
        "loadBalancers":[{"targetGroupArn":"tg-blue","containerPort":8080}]}]}]}"#;
    let (endpoint, _got) = server(vec![json(service)]);
    let found = wait(cloud(&endpoint).ecs("shop").services(&["orders"])).unwrap().remove(0);
    let set = &found.task_sets[0];
    assert_eq!((found.controller, set.status, set.is_steady), (Controller::External, TaskSetStatus::Primary, true));
    assert_eq!((set.desired, set.is_whole, set.running), (2, false, 2));
    assert_eq!(set.groups, [("tg-blue".to_owned(), Some(8080))]);
}

#[test]
fn alarms_and_sums_come_as_json() {
    let alarms =
        r#"{"MetricAlarms":[{"AlarmName":"orders-5xx","StateValue":"ALARM"},{"AlarmName":"slow","StateValue":"OK"}]}"#;
    let (endpoint, got) = server(vec![json(alarms)]);
    let watch = cloud(&endpoint).cloudwatch();
    let names = ["orders-5xx".to_owned(), "slow".to_owned()];
    assert_eq!(wait(watch.firing(&names)).unwrap(), ["orders-5xx"]);
    let first = got.recv().unwrap();
    assert_eq!(first.header("x-amz-target"), "GraniteServiceVersion20100801.DescribeAlarms");
    assert!(first.header("authorization").contains("/eu-central-1/monitoring/aws4_request"));
    assert!(first.header("authorization").ends_with(&format!("Signature={}", first.signature())));
    let missing = wait(watch.firing(&["absent".to_owned()])).unwrap_err();
    assert_eq!(missing.words, "there is no alarm `absent` in eu-central-1");
    let page = |more: &str| {
        json(&format!(r#"{{"MetricDataResults":[{{"Id":"m0","Values":[3,4.5]}},{{"Id":"m1","Values":[]}}]{more}}}"#))
    };
    let (endpoint, got) = server(vec![json_error("Throttling", "slow"), page(r#","NextToken":"n""#), page("")]);
    let metric = |name: &str| Metric {
        namespace: "AWS/ApplicationELB".into(),
        name: name.into(),
        dimensions: vec![("TargetGroup".into(), "t".into())],
    };
    let from = std::time::SystemTime::now();
    let sums =
        wait(cloud(&endpoint).cloudwatch().sums(&[metric("RequestCount"), metric("HTTPCode_Target_5XX_Count")], from));
    assert_eq!(sums.unwrap(), [15.0, 0.0]);
    assert!(got.try_iter().last().unwrap().body.contains("\"NextToken\":\"n\""));
    let (endpoint, _got) = server(vec![json_error("AccessDenied", "no")]);
    let denied = wait(cloud(&endpoint).cloudwatch().firing(&names)).unwrap_err();
    assert!(denied.words.contains("may not do `cloudwatch:DescribeAlarms`"), "{denied}");
}
