//! The pages of the actions equal what the actions are. `PIPE_WRITE_PAGES=1 cargo test -p pipelines` writes them anew.

use std::fmt::Write as _;
use std::path::Path;

use engine::step::{InputFacts, checkout, report};

use super::*;

fn page(name: &str, description: &str, inputs: &[InputFacts], outputs: &[OutputFacts]) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let mut page = format!("name: {name}\ndescription: {}\ninputs:\n", quoted(description));
    for input in inputs {
        write!(
            page,
            "  {}:\n    description: {}\n    required: {}\n",
            input.name,
            quoted(input.description),
            input.required
        )
        .unwrap();
        if !input.required {
            writeln!(page, "    default: {}", quoted(input.default)).unwrap();
        }
    }
    if !outputs.is_empty() {
        page.push_str("outputs:\n");
    }
    for output in outputs {
        write!(page, "  {}:\n    description: {}\n", output.name, quoted(output.description)).unwrap();
    }
    page.push_str("# Runs inside pipe itself; this page is for readers and editors.\nruns:\n  using: built-in\n");
    page
}

/// Name, folder and description, sorted by name.
const PAGES: &[(&str, &str, &str)] = &[
    ("actions/cache", "cache", "Files of earlier runs; kept at the end of the job"),
    ("actions/cache/restore", "cache-restore", "Files of earlier runs, without keeping any"),
    ("actions/cache/save", "cache-save", "Files for later runs"),
    ("actions/checkout", "checkout", "The repository's files in the workspace, from this machine"),
    ("actions/download-artifact", "download-artifact", "Files that a job of this run, or of another one, left"),
    ("actions/setup-node", "setup-node", "A Node.js that the job has, by its version; for workflows that name it"),
    ("actions/setup-python", "setup-python", "A Python that the job has, by its version; for workflows that name it"),
    ("actions/upload-artifact", "upload-artifact", "Files for later jobs and for people"),
    (
        "aquasecurity/trivy-action",
        "trivy-action",
        "What is wrong with an image or sources; as pipe/scan, for workflows that name it",
    ),
    (
        "aws-actions/amazon-ecr-login",
        "amazon-ecr-login",
        "The job's Docker may push to ECR; for workflows that name it",
    ),
    (
        "aws-actions/amazon-ecs-deploy-task-definition",
        "amazon-ecs-deploy-task-definition",
        "By ECS or CodeDeploy as pipe/deploy-ecs, for workflows that name it",
    ),
    (
        "aws-actions/amazon-ecs-render-task-definition",
        "amazon-ecs-render-task-definition",
        "As pipe/render-task-definition, for workflows that name it",
    ),
    (
        "aws-actions/configure-aws-credentials",
        "configure-aws-credentials",
        "As pipe/aws-credentials, for workflows that name it",
    ),
    (
        "docker/build-push-action",
        "build-push-action",
        "An image from a Dockerfile, into registries; for workflows that name it",
    ),
    ("docker/login-action", "login-action", "The job's Docker may use a registry; for workflows that name it"),
    (
        "docker/setup-buildx-action",
        "setup-buildx-action",
        "Builds run in the engine's own BuildKit; for workflows that name it",
    ),
    ("pipe/approve", "approve", "A job waits until a person says that it goes on"),
    ("pipe/aws-credentials", "aws-credentials", "Keys of AWS for the steps behind it, checked before they see them"),
    ("pipe/changes", "changes", "Which parts of the repository changed since the last green run"),
    (
        "pipe/coverage-report",
        "coverage-report",
        "Which lines tests reach, kept with the run and compared with the last green one",
    ),
    (
        "pipe/deploy-ecs",
        "deploy-ecs",
        "A task definition becomes a service of ECS, a share of the users at a time; it goes back by itself",
    ),
    (
        "pipe/deploy-local",
        "deploy-local",
        "An image behind this machine's proxy, a share of the traffic at a time; it goes back by itself",
    ),
    ("pipe/docker-build", "docker-build", "An image from a Dockerfile, by the engine's BuildKit"),
    ("pipe/health-check", "health-check", "A service, or an image once started, answers as it should"),
    ("pipe/migrate", "migrate", "A database follows the code: expand before a rollout, contract after it"),
    ("pipe/notify", "notify", "People are told what happened, by Slack, Teams, Discord, a hook or mail"),
    ("pipe/probe", "probe", "What a running service gives away, and whether it answers as its description says"),
    ("pipe/push-ecr", "push-ecr", "An image into a repository of ECR, once, by its digest"),
    ("pipe/push-registry", "push-registry", "An image into any registry, once, by its digest"),
    (
        "pipe/render-task-definition",
        "render-task-definition",
        "An image and variables in a task definition of ECS, checked before it is deployed",
    ),
    ("pipe/rollback", "rollback", "A service goes back to what stood before"),
    ("pipe/scan", "scan", "What is wrong with an image or sources, and whether the gate lets it pass"),
    (
        "pipe/terraform",
        "terraform",
        "Infrastructure follows its files: a plan that people read, applied exactly so, and whether it still stands",
    ),
    ("pipe/test-report", "test-report", "Results of tests, kept with the run; failures become annotations"),
];

fn outputs(name: &str) -> Vec<OutputFacts> {
    let facts = |outputs: &[(&'static str, &'static str)]| -> Vec<_> {
        outputs.iter().map(|(name, text)| OutputFacts::new(name, text)).collect()
    };
    let hit = ("cache-hit", "`true` where the key itself was found, `false` where another one was");
    match name {
        "actions/cache" => facts(&[hit]),
        "actions/cache/restore" => facts(&[
            hit,
            ("cache-primary-key", "The key that was asked for"),
            ("cache-matched-key", "The key that was found"),
        ]),
        "actions/checkout" => facts(checkout::OUTPUTS),
        "actions/download-artifact" => facts(&[("download-path", "The folder with the files")]),
        "actions/upload-artifact" => facts(&[
            ("artifact-id", "The artifact's number"),
            ("artifact-url", "Where it is had, where the server knows its address"),
            ("artifact-digest", "SHA-256 of its content"),
        ]),
        "pipe/approve" => approve::OUTPUTS.to_vec(),
        "pipe/aws-credentials" | "aws-actions/configure-aws-credentials" => aws_credentials::OUTPUTS.to_vec(),
        "pipe/push-ecr" => push_ecr::OUTPUTS.to_vec(),
        "pipe/push-registry" => push_registry::OUTPUTS.to_vec(),
        "actions/setup-node" => setup::node::OUTPUTS.to_vec(),
        "actions/setup-python" => setup::python::OUTPUTS.to_vec(),
        "docker/build-push-action" => docker_build::push::OUTPUTS.to_vec(),
        "docker/login-action" => docker_login::OUTPUTS.to_vec(),
        "docker/setup-buildx-action" => docker_buildx::OUTPUTS.to_vec(),
        "aws-actions/amazon-ecr-login" => ecr_login::OUTPUTS.to_vec(),
        "pipe/render-task-definition" | render_task_definition::OFFICIAL => render_task_definition::OUTPUTS.to_vec(),
        "pipe/changes" => changes::OUTPUTS.to_vec(),
        "pipe/coverage-report" => facts(&report::COVERAGE_OUTPUTS),
        "pipe/deploy-ecs" => deploy_ecs::OUTPUTS.to_vec(),
        deploy_task_definition::NAME => deploy_task_definition::OUTPUTS.to_vec(),
        "pipe/deploy-local" => deploy_local::OUTPUTS.to_vec(),
        "pipe/docker-build" => docker_build::OUTPUTS.to_vec(),
        "pipe/health-check" => health_check::OUTPUTS.to_vec(),
        "pipe/migrate" => migrate::OUTPUTS.to_vec(),
        "pipe/notify" => notify::OUTPUTS.to_vec(),
        "pipe/probe" => probe::OUTPUTS.to_vec(),
        "pipe/rollback" => rollback::OUTPUTS.to_vec(),
        "pipe/scan" | "aquasecurity/trivy-action" => scan::OUTPUTS.to_vec(),
        "pipe/terraform" => terraform::OUTPUTS.to_vec(),
        "pipe/test-report" => facts(&report::TEST_OUTPUTS),
        _ => Vec::new(),
    }
}

#[test]
fn pages_equal_actions() {
    let all = built_in();
    assert_eq!(all.names().collect::<Vec<_>>(), PAGES.iter().map(|page| page.0).collect::<Vec<_>>());
    for &(name, folder, description) in PAGES {
        let inputs = all.get(name).unwrap().inputs();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("actions").join(folder).join("action.yml");
        let expected = page(name, description, inputs, &outputs(name));
        assert!(serde_yaml::from_str::<serde_yaml::Value>(&expected).is_ok(), "{expected}");
        if std::env::var_os("PIPE_WRITE_PAGES").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &expected).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), expected, "{}", path.display());
    }
}
