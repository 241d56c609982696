//! What the project ships for AWS: its Terraform is formatted, parses and passes a linter, and its policies allow what our code asks
//! for, and no more.

use std::collections::BTreeSet;
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

/// Operations that a file of the crate `aws` asks for: calls of a client of the SDK, and those of our own by name.
fn asked(file: &str, service: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("pipelines/aws/src").join(file)).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap().split_whitespace().collect::<String>();
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

    let asked = &(&asked("ecs.rs", "ecs") | &asked("balancer.rs", "elasticloadbalancing"))
        | &asked("cloudwatch.rs", "cloudwatch");
    // Only where AWS itself deploys.
    let asked = &asked - &set(&["elasticloadbalancing:DescribeTargetGroups"]);
    assert!(asked.contains("elasticloadbalancing:ModifyRule") && asked.contains("ecs:UpdateService"), "{asked:?}");
    // A definition that is registered has tags and names roles; logs are asked for where a task does not run.
    // What stands keeps a tag in ECR, so that its lifecycle leaves it.
    let beside = set(&["ecs:TagResource", "iam:PassRole", "logs:GetLogEvents"]);
    let kept = set(&["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:PutImage"]);
    assert_eq!(actions("deploy-ecs-weighted.json"), &(&asked | &beside) | &kept);
}

#[test]
fn the_policy_of_rolling_deployments_allows_what_they_ask_for_and_no_more() {
    let rolls = asked("ecs/rolling.rs", "ecs");
    assert!(rolls.contains("ecs:UpdateService") && rolls.contains("ecs:DescribeTasks"), "{rolls:?}");
    // A rolling deployment has no pauses that somebody could end.
    let deployments = &asked("ecs/native.rs", "ecs") - &set(&["ecs:ContinueServiceDeployment"]);
    let looks = set(&["cloudwatch:DescribeAlarms", "elasticloadbalancing:DescribeTargetHealth"]);
    let beside = set(&["ecs:TagResource", "iam:PassRole", "logs:GetLogEvents"]);
    let kept = set(&["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:PutImage"]);
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
