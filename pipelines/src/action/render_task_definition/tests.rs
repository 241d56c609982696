//! What comes out, and what is refused, with its path in the file.

use engine::step::trial::{Trial, Tried};

use super::*;

const DIGEST: &str = "r.example/shop/orders@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const FILE: &str = r#"{"family":"orders","revision":3,"executionRoleArn":"arn:aws:iam::123456789012:role/x","containerDefinitions":[
    {"name":"app","image":"a:1","environment":[{"name":"A","value":"1"},{"name":"B","value":"2"}]},{"name":"side","image":"b:1"}]}"#;

fn run(name: &'static str, file: &str, inputs: &[(&str, &str)]) -> Tried {
    let scratch = tempfile::tempdir().unwrap();
    let workspace = scratch.path().join("w");
    std::fs::create_dir(&workspace).unwrap();
    std::fs::write(workspace.join("taskdef.json"), file).unwrap();
    let mut trial = Trial::new(scratch.path().to_path_buf(), workspace, scratch.path());
    trial.env.insert("RUNNER_TEMP".into(), "/temp".into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let least = [("task-definition", "taskdef.json"), ("container-name", "app"), ("image", DIGEST)];
    let least = least.iter().filter(|(name, _)| !inputs.iter().any(|(given, _)| given == name));
    let all: Vec<_> = least.chain(inputs).copied().collect();
    runtime.block_on(trial.run(&RenderTaskDefinition { name }, &all))
}

fn error(file: &str, inputs: &[(&str, &str)]) -> String {
    run("pipe/render-task-definition", file, inputs).result.unwrap_err().to_string()
}

#[test]
fn an_image_and_variables_are_put_in() {
    let tried = run(
        "pipe/render-task-definition",
        FILE,
        &[
            ("container-name", "app, side"),
            ("environment-variables", "B=3\nC=x=y"),
            ("secrets", "KEY=arn:aws:secretsmanager:eu-central-1:123456789012:secret:key"),
            ("docker-labels", "team=shop"),
            ("log-configuration-log-driver", "awslogs"),
            ("log-configuration-options", "awslogs-group=orders"),
            ("command", "node server.js"),
            ("task-role-arn", "arn:aws:iam::123456789012:role/task"),
        ],
    );
    assert!(tried.result.is_ok(), "{}", tried.log);
    let path = &tried.outputs["task-definition"];
    assert_eq!((path.as_str(), tried.outputs["family"].as_str()), ("/temp/task-definition-orders-1.json", "orders"));
    let json: Value = serde_json::from_slice(&tried.files[path]).unwrap();
    let app = &json["containerDefinitions"][0];
    assert_eq!(app["image"], DIGEST);
    assert_eq!(
        app["environment"],
        json!([{"name":"A","value":"1"},{"name":"B","value":"3"},{"name":"C","value":"x=y"}])
    );
    assert_eq!(app["secrets"][0]["name"], "KEY");
    assert_eq!(app["logConfiguration"], json!({"logDriver":"awslogs","options":{"awslogs-group":"orders"}}));
    assert_eq!(
        (&app["command"], &json["containerDefinitions"][1]["image"]),
        (&json!(["node", "server.js"]), &json!(DIGEST))
    );
    assert!(json.get("revision").is_none() && json["taskRoleArn"] == "arn:aws:iam::123456789012:role/task");
    assert!(tried.log.contains("`revision` is left out"), "{}", tried.log);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let check = |file: &str, inputs: &[(&str, &str)], words: &str| {
        let error = error(file, inputs);
        assert!(error.contains(words), "{words}\n{error}");
    };
    check("{", &[], "taskdef.json: it is no JSON: EOF while parsing");
    check(&FILE.replace("\"b:1\"", "7"), &[], "taskdef.json: containerDefinitions[1].image: `7` is no text");
    check(FILE, &[("container-name", "web")], "there is no container `web`; there are app, side");
    check(FILE, &[("image", "shop/orders:latest")], "is a tag, which may be another image when it is deployed");
    check(FILE, &[("image", "shop/orders@sha256:12")], "has no whole SHA-256");
    check(FILE, &[("secrets", "KEY=hunter2-plain")], "`KEY` has 13 characters that are no ARN");
    assert!(!error(FILE, &[("secrets", "KEY=hunter2-plain")]).contains("hunter2"));
    check(FILE, &[("environment-variables", "A")], "`environment-variables`: line 1 is not NAME=value");
    check(FILE, &[("secrets", "A=arn:x")], "`A` is among `secrets` too");
    check(FILE, &[("task-definition", "other.json")], "`task-definition: other.json` cannot be read");
    check(FILE, &[("task-definition", "../other.json")], "cannot be read");
}

#[test]
fn the_official_name_takes_tags_with_a_warning() {
    let tried = run(OFFICIAL, FILE, &[("image", "shop/orders:v1"), ("task-definition-family", "x")]);
    assert!(tried.result.is_ok(), "{}", tried.log);
    assert!(tried.log.contains("##[warning]`image: shop/orders:v1` is a tag"), "{}", tried.log);
    let dry = run("pipe/render-task-definition", FILE, &[("dry-run", "true")]);
    assert!(dry.files.is_empty() && dry.log.contains("it would write:") && dry.log.contains(DIGEST), "{}", dry.log);
}
