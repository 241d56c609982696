//! Inputs and outputs of `aws-actions/amazon-ecs-deploy-task-definition`, as its own page has them, and which of them cannot be honoured:
//! <https://github.com/aws-actions/amazon-ecs-deploy-task-definition/blob/master/action.yml>.

use engine::step::InputFacts;
use workflow::catalogue::{Form, Wrong};

use crate::action::{OutputFacts, input, required};

/// Longest wait, in minutes, as the official action has it.
pub(super) const MINUTES_MAX: u32 = 360;
/// Why no stand-alone task is run.
const RUN_TASK: &str = "a stand-alone task is no deployment, and nothing could go back from it: run it in a step of its own \
                        (`aws ecs run-task`), or a migration by `pipe/migrate`";
/// Why volumes are not set.
const VOLUMES: &str = "volumes of a service are made with it, not with a deployment that may go back: set them where the service is \
                       made (Terraform, `aws ecs update-service`)";
/// Why tags of tasks are not set.
const TAGS: &str = "how tasks are tagged is the service's own and would stay when a deployment goes back: set it where the service is \
                    made (Terraform, `aws ecs update-service`)";

/// Its inputs.
pub const INPUTS: &[InputFacts] = &[
    required("task-definition", "Path of the task definition's JSON"),
    input("desired-count", "", "Tasks of a service of ECS; empty: as many as it has").form(TAKES),
    input("service", "", "The service; empty: the task definition is only registered"),
    input("cluster", "default", "The cluster's name or ARN"),
    input("wait-for-service-stability", "", "The step always waits for the end").form(TAKES),
    input("wait-for-minutes", "", "How long, 360 at most, without the waits of a deployment group; then it goes back")
        .form(TAKES),
    input("wait-max-delay-seconds", "", "Taken, and of no effect: it looks at its own pace"),
    input("codedeploy-appspec", "", "For CodeDeploy: path of the AppSpec; empty: appspec.yaml, or one is made"),
    input("codedeploy-application", "", "For CodeDeploy: its application; empty: AppECS-<cluster>-<service>"),
    input("codedeploy-deployment-group", "", "For CodeDeploy: its group; empty: DgpECS-<cluster>-<service>"),
    input("codedeploy-deployment-description", "", "For CodeDeploy: for people"),
    input("codedeploy-deployment-config", "", "For CodeDeploy: the configuration's name; empty: as the group has it"),
    input("force-new-deployment", "", "Each deployment registers a revision, so each is a new one").form(TAKES),
    input("service-managed-ebs-volume-name", "", "Refused: volumes are the service's own").form(TAKES),
    input("service-managed-ebs-volume", "", "Refused: volumes are the service's own").form(TAKES),
    input("run-task", "", "Refused: a stand-alone task is a step of its own").form(TAKES),
    input("run-task-container-overrides", "", "Only with `run-task`").form(TAKES),
    input("run-task-security-groups", "", "Only with `run-task`").form(TAKES),
    input("run-task-subnets", "", "Only with `run-task`").form(TAKES),
    input("run-task-assign-public-IP", "", "Only with `run-task`").form(TAKES),
    input("run-task-capacity-provider-strategy", "", "Only with `run-task`").form(TAKES),
    input("run-task-launch-type", "", "Only with `run-task`").form(TAKES),
    input("run-task-started-by", "", "Only with `run-task`").form(TAKES),
    input("run-task-tags", "", "Only with `run-task`").form(TAKES),
    input("run-task-managed-ebs-volume-name", "", "Only with `run-task`").form(TAKES),
    input("run-task-managed-ebs-volume", "", "Only with `run-task`").form(TAKES),
    input("wait-for-task-stopped", "", "Only with `run-task`").form(TAKES),
    input("enable-ecs-managed-tags", "", "Refused: tags of tasks are the service's own").form(TAKES),
    input("propagate-tags", "", "Refused: tags of tasks are the service's own").form(TAKES),
    input("keep-null-value-keys", "", "Taken, and of no effect: the file is registered as it is"),
    input("max-retries", "", "Taken, and of no effect: it tries again as long as it makes sense"),
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new("task-definition-arn", "ARN of the task definition that was registered"),
    OutputFacts::new(
        "codedeploy-deployment-id",
        "Id of the deployment at CodeDeploy, if CodeDeploy deploys the service",
    ),
];

/// What [`wrong`] takes.
const TAKES: Form = Form::Read(wrong);

/// What is wrong with an input, or why it cannot be honoured.
pub(super) fn wrong(name: &str, text: &str) -> Vec<Wrong> {
    let text = text.trim();
    let refused = |why: &str| vec![Wrong::new(format!("`{name}` cannot be honoured: {why}"))];
    let switch = || match text {
        "" | "true" | "false" => Vec::new(),
        _ => vec![Wrong::new(format!("`{name}` must be `true` or `false`, not `{text}`"))],
    };
    let number = |least: u32, most: u32| match text.parse::<u32>() {
        Ok(number) if (least..=most).contains(&number) => Vec::new(),
        _ if text.is_empty() => Vec::new(),
        Ok(_) | Err(_) => vec![Wrong::new(format!("`{name}: {text}` is not a number from {least} to {most}"))],
    };
    match name {
        "desired-count" => number(1, 5_000),
        "wait-for-minutes" => number(1, MINUTES_MAX),
        "wait-for-service-stability" | "force-new-deployment" => switch(),
        // As they are when nobody means them.
        "run-task" | "enable-ecs-managed-tags" if matches!(text, "" | "false") => Vec::new(),
        "propagate-tags" if matches!(text, "" | "NONE") => Vec::new(),
        "run-task" => refused(RUN_TASK),
        "enable-ecs-managed-tags" | "propagate-tags" => refused(TAGS),
        "service-managed-ebs-volume-name" | "service-managed-ebs-volume" if !text.is_empty() => refused(VOLUMES),
        // Without `run-task`, which is refused, they mean nothing; the official action passes over them then.
        _ => Vec::new(),
    }
}
