//! What the project ships for AWS: its Terraform is formatted, parses and passes a linter, and its policies allow what our code asks
//! for, and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value as Json;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn folder() -> PathBuf {
    root().join("services/infrastructure")
}

/// What a tool says; `None`: it is not here, and that is said.
fn said(test: &str, tool: &Path, arguments: &[&str]) -> Option<Output> {
    match Command::new(tool).args(arguments).current_dir(folder()).env("TF_CLI_CONFIG_FILE", "").output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("infrastructure {test}: SKIPPED, {}: {error} (scripts/validators.sh)", tool.display());
            None
        }
    }
}

#[test]
fn files_are_formatted_and_parse() {
    let arguments = ["fmt", "-check", "-recursive", "-no-color"];
    let Some(output) = said("files_are_formatted_and_parse", Path::new("terraform"), &arguments) else { return };
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
}

#[test]
fn a_linter_finds_nothing_that_has_no_reason() {
    let own = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("validators");
    let validators = std::env::var_os("PIPE_VALIDATORS").map_or(own, PathBuf::from);
    let checkov = validators.join("checkov/bin/checkov");
    let arguments = [
        "-d",
        ".",
        "--framework",
        "terraform",
        "--quiet",
        "--compact",
        "--output",
        "json",
        "--skip-resources-without-violations",
    ];
    let Some(output) = said("a_linter_finds_nothing_that_has_no_reason", &checkov, &arguments) else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    let report: Json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let failed = report["results"]["failed_checks"].as_array().unwrap();
    let failed: Vec<String> = failed.iter().map(|one| format!("{} {}", one["check_id"], one["resource"])).collect();
    assert_eq!(failed, Vec::<String>::new());
    let passed = report["summary"]["passed"].as_u64().unwrap();
    assert!(passed > 200 && report["summary"]["parsing_errors"] == 0, "{}", report["summary"]);
}

/// Every `skip` says why.
#[test]
fn what_is_passed_over_has_a_reason() {
    for entry in walkdir::WalkDir::new(folder()) {
        let entry = entry.unwrap();
        if entry.path().extension().is_none_or(|extension| extension != "tf") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).unwrap();
        for line in text.lines().filter(|line| line.contains("checkov:skip=")) {
            let reason = line.rsplit_once(':').expect("it has a reason").1;
            assert!(reason.split_whitespace().count() >= 4, "{}: {line}", entry.path().display());
        }
    }
}

/// Actions of a policy, such as `ecr:PutImage`.
fn actions(name: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(folder().join("policies").join(name)).unwrap();
    let policy: Json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut found = BTreeSet::new();
    for statement in policy["Statement"].as_array().unwrap() {
        let one = std::slice::from_ref(&statement["Action"]);
        let all = statement["Action"].as_array().map_or(one, Vec::as_slice);
        found.extend(all.iter().map(|action| action.as_str().unwrap().to_owned()));
    }
    found
}

/// Operations that a file of the crate `aws` asks for.
fn asked(file: &str, service: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("pipelines/aws/src").join(file)).unwrap();
    operations(&text.split("#[cfg(test)]").next().unwrap().split_whitespace().collect::<String>(), service)
}

/// Operations in a text without white space: calls of a client of the SDK, and those of our own by name.
fn operations(text: &str, service: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for call in text.split("self.client.").skip(1) {
        let name: String = call.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
        let operation: String =
            name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect::<Vec<_>>().concat();
        found.insert(format!("{service}:{operation}"));
    }
    for call in text.split("self.call(\"").skip(1) {
        found.insert(format!("{service}:{}", call.split('"').next().unwrap()));
    }
    found
}

fn set(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|one| (*one).to_owned()).collect()
}

#[test]
fn policies_allow_what_is_asked_for_and_no_more() {
    let ecr = asked("ecr.rs", "ecr");
    assert!(ecr.contains("ecr:PutImage") && ecr.len() >= 8, "{ecr:?}");
    // What the registry itself asks for while an image is pushed:
    // https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
    let pushed = set(&[
        "ecr:BatchCheckLayerAvailability",
        "ecr:CompleteLayerUpload",
        "ecr:GetDownloadUrlForLayer",
        "ecr:InitiateLayerUpload",
        "ecr:UploadLayerPart",
    ]);
    // A repository that is made has tags: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
    let made = &actions("push-ecr-create.json") - &set(&["ecr:TagResource"]);
    assert_eq!(&actions("push-ecr.json") | &made, &ecr | &pushed);
}

/// Actions of deployments that AWS asks without a resource: a policy that allows them for some allows them for none. Definitions are
/// registered without one in some of AWS's own tables; what a new one may be is bounded by the roles that may be passed to it.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html> and those of the others
const OF_NO_RESOURCE: [&str; 13] = [
    "cloudwatch:GetMetricData",
    "codedeploy:ContinueDeployment",
    "codedeploy:GetDeploymentTarget",
    "codedeploy:StopDeployment",
    "ecr:GetAuthorizationToken",
    "ecs:CreateTaskSet",
    "ecs:DescribeTaskDefinition",
    "ecs:ListTaskDefinitions",
    "ecs:RegisterTaskDefinition",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeRules",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
];

#[test]
fn what_has_no_resource_is_allowed_for_all_of_them() {
    let mut met = BTreeSet::new();
    for entry in std::fs::read_dir(folder().join("policies")).unwrap() {
        let path = entry.unwrap().path();
        let policy: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for statement in policy["Statement"].as_array().unwrap() {
            let one = std::slice::from_ref(&statement["Action"]);
            let all = statement["Action"].as_array().map_or(one, Vec::as_slice).iter().filter_map(Json::as_str);
            let without: Vec<&str> = all.filter(|action| OF_NO_RESOURCE.contains(action)).collect();
            assert!(without.is_empty() || statement["Resource"] == "*", "{}: {without:?}", path.display());
            met.extend(without.into_iter().map(str::to_owned));
        }
    }
    assert_eq!(met.len(), OF_NO_RESOURCE.len(), "{met:?}");
}

/// Text of files or of all files of a folder below `pipelines/src`, without tests, white space and these files.
fn sources(places: &[&str], without: &[&str]) -> String {
    let mut all = String::new();
    let folder = root().join("pipelines/src");
    for place in places {
        for entry in walkdir::WalkDir::new(folder.join(place)).sort_by_file_name() {
            let entry = entry.unwrap();
            let name = entry.path().strip_prefix(&folder).unwrap().to_string_lossy().into_owned();
            let is_test =
                ["tests.rs", "/tests", "crash.rs", "lives.rs", "stage.rs"].iter().any(|part| name.contains(part));
            if name.ends_with(".rs") && !is_test && !without.contains(&name.as_str()) {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                all.extend(text.split("#[cfg(test)]").next().unwrap().split_whitespace());
            }
        }
    }
    all
}

/// A client of the crate `aws`: names that hold one or make one, its service in policies, its files.
type Client = (&'static [&'static str], &'static str, &'static [&'static str]);

const CLIENTS: [Client; 5] = [
    (&["ecs"], "ecs", &["ecs.rs", "ecs/native.rs", "ecs/task_sets.rs"]),
    (&["deploys", "codedeploy"], "codedeploy", &["codedeploy/mod.rs", "codedeploy/group.rs"]),
    (&["balancer"], "elasticloadbalancing", &["balancer.rs"]),
    (&["watch", "cloudwatch"], "cloudwatch", &["cloudwatch.rs"]),
    (&["ecr"], "ecr", &["ecr.rs"]),
];

/// For each function of a client what it asks for, itself or by another one.
fn functions((_, service, files): &Client) -> BTreeMap<String, BTreeSet<String>> {
    let is_word = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let mut bodies = BTreeMap::<String, String>::new();
    for file in *files {
        let text = std::fs::read_to_string(root().join("pipelines/aws/src").join(file)).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap().to_owned();
        for part in text.split("fn ").skip(1) {
            let name: String = part.chars().take_while(is_word).collect();
            // Functions outside may have the name of one of a client.
            bodies.entry(name).or_default().extend(part.split_whitespace());
        }
    }
    let direct = |body: &String| operations(body, service);
    let mut found: BTreeMap<String, BTreeSet<String>> =
        bodies.iter().map(|(name, body)| (name.clone(), direct(body))).collect();
    for _ in 0..bodies.len() {
        let before = found.clone();
        for (name, body) in &bodies {
            let called = before.iter().filter(|(other, _)| body.contains(&format!("self.{other}(")));
            let more: Vec<String> = called.flat_map(|(_, asked)| asked.clone()).collect();
            found.get_mut(name).unwrap().extend(more);
        }
    }
    found
}

/// Whether a function is called at something with one of these names, or at what a function of such a name gives.
fn is_called(text: &str, function: &str, receivers: &[&str]) -> bool {
    let ends = |before: &str| {
        receivers
            .iter()
            .any(|name| before.strip_suffix(name).is_some_and(|rest| !rest.ends_with(char::is_alphanumeric)))
    };
    let call = format!(".{function}(");
    text.match_indices(&call).any(|(at, _)| {
        let before = &text[..at];
        let mut depth = 0;
        let opens = before.char_indices().rev().find(|(_, c)| {
            depth += i32::from(*c == ')') - i32::from(*c == '(');
            depth <= 0
        });
        ends(before) || (before.ends_with(')') && opens.is_some_and(|(at, _)| ends(&before[..at])))
    })
}

/// What a strategy asks AWS for, by its sources.
fn asked_by(places: &[&str], without: &[&str]) -> BTreeSet<String> {
    let shared = ["target/revisions.rs", "target/sides.rs", "target/keeping.rs"];
    let text = sources(&[&shared, places].concat(), without);
    let mut asked = BTreeSet::new();
    for client in &CLIENTS {
        let functions = functions(client).into_iter().filter(|(name, _)| is_called(&text, name, client.0));
        asked.extend(functions.flat_map(|(_, operations)| operations));
    }
    if text.contains(".logs().last(") {
        asked.insert("logs:GetLogEvents".to_owned());
    }
    asked
}

#[test]
fn each_strategy_may_do_what_it_asks_for_and_no_more() {
    // A definition that is registered has tags and names roles. What an image is for is read as a pull would do.
    let beside = set(&["ecs:TagResource", "iam:PassRole", "ecr:GetDownloadUrlForLayer"]);
    // https://github.com/aws-actions/amazon-ecs-deploy-task-definition#permissions: CodeDeploy keeps what it is told to deploy.
    let revision = set(&["codedeploy:RegisterApplicationRevision"]);
    let by_weights = &["target/ecs", "target/troubles.rs", "action/deploy_ecs/weighted.rs"][..];
    for (name, places, without, more, some) in [
        ("weighted", by_weights, "target/ecs/sets.rs", set(&[]), "ecs:UpdateService"),
        ("task-sets", by_weights, "target/ecs/services.rs", set(&[]), "ecs:UpdateServicePrimaryTaskSet"),
        (
            "codedeploy",
            &["target/codedeploy", "action/deploy_ecs/by_codedeploy.rs"],
            "",
            revision,
            "codedeploy:StopDeployment",
        ),
        ("native", &["target/native", "action/deploy_ecs/by_ecs.rs"], "", set(&[]), "ecs:ContinueServiceDeployment"),
    ] {
        let asked = asked_by(places, &[without]);
        assert!(asked.contains(some) && asked.contains("ecs:RegisterTaskDefinition"), "{name}: {asked:?}");
        assert_eq!(actions(&format!("deploy-ecs-{name}.json")), &(&asked | &beside) | &more, "{name}");
    }
}

#[test]
fn the_policy_of_rolling_deployments_allows_what_they_ask_for_and_no_more() {
    let rolls = asked("ecs/rolling.rs", "ecs");
    assert!(rolls.contains("ecs:UpdateService") && rolls.contains("ecs:DescribeTasks"), "{rolls:?}");
    // A rolling deployment has no pauses that somebody could end.
    let deployments = &asked("ecs/native.rs", "ecs") - &set(&["ecs:ContinueServiceDeployment"]);
    let looks = set(&["cloudwatch:DescribeAlarms", "elasticloadbalancing:DescribeTargetHealth"]);
    let beside = set(&["ecs:TagResource", "iam:PassRole", "logs:GetLogEvents"]);
    // What stands keeps a tag, and what an image is for is read as a pull would do.
    let kept = set(&[
        "ecr:BatchGetImage",
        "ecr:DescribeImages",
        "ecr:GetAuthorizationToken",
        "ecr:GetDownloadUrlForLayer",
        "ecr:PutImage",
    ]);
    let all = [asked("ecs.rs", "ecs"), rolls, deployments, looks, beside, kept];
    assert_eq!(actions("deploy-ecs-rolling.json"), all.into_iter().flatten().collect());
}

#[test]
fn roles_are_for_the_jobs_of_one_repository() {
    let text = std::fs::read_to_string(folder().join("modules/access/main.tf")).unwrap();
    assert!(!text.contains("StringLike"), "a pattern would let others in");
    for purpose in ["push ", "deploy ", "plan ", "apply "] {
        let line = text.lines().find(|line| line.trim_start().starts_with(purpose) && line.contains('=')).unwrap();
        assert!(line.contains("\"${local.from}:") && !line.contains('*'), "{line}");
    }
}
