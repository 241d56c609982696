//! Task definitions: what is wrong with them, and what changes.

use serde_json::json;

use crate::TaskDefinition;

const FINE: &str = r#"{"family":"orders","networkMode":"awsvpc","requiresCompatibilities":["FARGATE"],"cpu":"256","memory":"512",
    "executionRoleArn":"arn:aws:iam::123456789012:role/x","taskDefinitionArn":"arn:x","revision":7,"status":"ACTIVE","pidMode":null,
    "containerDefinitions":[{"name":"app","image":"a:1","portMappings":[{"containerPort":8080}],"dockerLabels":{"a":"b"},
    "secrets":[{"name":"KEY","valueFrom":"arn:aws:ssm:x"}]},{"name":"side","image":"b:1"}]}"#;

fn flaws(text: &str) -> Vec<String> {
    TaskDefinition::parse(text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn what_aws_shows_is_left_out() {
    let read = TaskDefinition::parse(FINE).unwrap();
    assert_eq!(read.left_out, ["taskDefinitionArn", "revision", "status"]);
    assert!(read.json().get("status").is_none() && read.json().get("pidMode").is_none());
    assert_eq!((read.family(), read.containers().collect::<Vec<_>>()), ("orders", vec!["app", "side"]));
    let described = TaskDefinition::parse(&format!("{{\"taskDefinition\": {FINE}, \"tags\": []}}")).unwrap();
    assert_eq!(described.json(), read.json());
}

#[test]
fn flaws_have_a_path() {
    let check = |from: &str, to: &str, expected: &[&str]| assert_eq!(flaws(&FINE.replace(from, to)), expected, "{to}");
    check(
        "8080}",
        "\"8080\"}",
        &[
            "containerDefinitions[0].portMappings[0].containerPort: `\"8080\"` is no whole number: write it without quotes",
        ],
    );
    check("\"cpu\":\"256\"", "\"cpu\":256", &["cpu: `256` is no text: write it in quotes"]);
    check("awsvpc", "vpc", &["networkMode: `\"vpc\"` is none of bridge, host, awsvpc, none"]);
    check(
        "portMappings",
        "portMapping",
        &["containerDefinitions[0].portMapping: AWS knows no such member; did you mean `portMappings`?"],
    );
    check(
        "portMappings",
        "protMappings",
        &["containerDefinitions[0].protMappings: AWS knows no such member; did you mean `portMappings`?"],
    );
    check(
        "\"valueFrom\"",
        "\"value\"",
        &[
            "containerDefinitions[0].secrets[0].valueFrom: it is missing",
            "containerDefinitions[0].secrets[0].value: AWS knows no such member",
        ],
    );
    check("{\"a\":\"b\"}", "[]", &["containerDefinitions[0].dockerLabels: `[]` is no map"]);
    check("\"memory\":\"512\",", "", &["memory: FARGATE needs it for the whole task"]);
    check(
        "\"side\"",
        "\"app\"",
        &["containerDefinitions[0].name: `app` is there twice", "containerDefinitions[1].name: `app` is there twice"],
    );
    check(
        "\"executionRoleArn\":\"arn:aws:iam::123456789012:role/x\",",
        "",
        &["containerDefinitions[0].secrets: secrets need an `executionRoleArn` that may read them"],
    );
    assert_eq!(flaws("[]"), ["`[]` is no object"]);
    assert!(flaws("{\"family\": \"a\",\n}")[0].starts_with("it is no JSON: trailing comma at line 2"));
}

#[test]
fn a_container_is_changed() {
    let mut read = TaskDefinition::parse(FINE).unwrap();
    read.change("app", |one| drop(one.insert("image".to_owned(), json!("r/orders@sha256:00")))).unwrap();
    assert_eq!(read.image("app"), Some("r/orders@sha256:00"));
    let error = read.change("web", |_| {}).unwrap_err();
    assert_eq!(error[0].to_string(), "containerDefinitions: there is no container `web`; there are app, side");
    read.tag("pipe:deployment", "7");
    read.tag("pipe:deployment", "8");
    assert_eq!(read.json()["tags"], json!([{ "key": "pipe:deployment", "value": "8" }]));
    assert!(TaskDefinition::of(read.json().clone()).is_ok());
}

#[test]
fn a_platform_that_does_not_fit_is_found_before() {
    let mut read = TaskDefinition::parse(FINE).unwrap();
    assert_eq!(read.refuses_platform("linux", "amd64"), None);
    let words = read.refuses_platform("linux", "arm64").unwrap();
    assert!(words.starts_with("the image is for linux/arm64, and tasks of `orders` run on linux/amd64"), "{words}");
    read.set("runtimePlatform", json!({ "cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX" })).unwrap();
    assert_eq!(read.refuses_platform("linux", "arm64"), None);
    assert!(read.refuses_platform("linux", "amd64").is_some());
}
