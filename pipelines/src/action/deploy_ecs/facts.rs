//! Inputs and outputs of `pipe/deploy-ecs`, as whoever writes a step knows them. Names follow
//! <https://github.com/aws-actions/amazon-ecs-deploy-task-definition>.

use engine::step::InputFacts;
use rollout::Schedule;
use workflow::catalogue::{Form, Others, Wrong};

use super::super::deploy::inputs::{
    self, DRY_RUN, ENVIRONMENT, IRREVERSIBLE, hooks, on_active, rollback_on, steps, timeout,
};
use super::Strategy;
use super::inputs::{Wish, foreign, uncounted};
use crate::action::{OutputFacts, input, required};

/// Its inputs.
pub const INPUTS: &[InputFacts] = &[
    required("task-definition", "Path of the task definition's JSON, such as `pipe/render-task-definition` writes it"),
    required("cluster", "The cluster's name or ARN"),
    required("service", "What is deployed: the name of the ECS service; for `weighted` that of both together"),
    input(
        "strategy",
        "weighted",
        "weighted: our steps between two services or task sets; codedeploy, ecs-native, rolling: AWS's own",
    )
    .form(Form::Words(Strategy::WORDS)),
    input("image", "", "HOST/NAME@sha256:…, put into the container; empty: as the task definition has it").form(TAKES),
    input("container-name", "", "The container that serves; empty: the first one with a port"),
    ENVIRONMENT,
    input("version", "", "For people; empty: the end of the image's digest"),
    input(
        "services",
        "",
        "For `weighted`: the two ECS services that take turns, or one whose task sets do; empty: <service>-a,<service>-b",
    )
    .form(OF_STRATEGY),
    input("listener-rule", "", "For `weighted`: ARN of the rule, or of the listener, that shares users between them")
        .form(OF_STRATEGY),
    input("test-listener-rule", "", "ARN of the rule that leads tests to what comes; empty: none does")
        .form(OF_STRATEGY),
    input("desired-count", "", "Tasks of what is deployed; empty: as many as what stands has")
        .form(Form::Beside(tasks_of)),
    input(
        "minimum-healthy-percent",
        "",
        "For `rolling`: percent of the tasks that stay healthy; empty: as the service has it",
    )
    .form(OF_STRATEGY),
    input("maximum-percent", "", "For `rolling`: percent of the tasks that run at most; empty: as the service has it")
        .form(OF_STRATEGY),
    input("url", "", "Where users reach it: for scripts, probes and the page of the environment"),
    input("test-url", "", "Where tests reach what comes before users do").form(OF_STRATEGY),
    steps(Form::Beside(steps_of)),
    input("analysis", "", "{ metrics: [errors, restarts], max-ratio: 1.2, alpha: 0.05, min-requests: 50, … }")
        .form(OF_STRATEGY),
    input("alarms", "", "Names of alarms of CloudWatch, with commas: it goes back when one is on"),
    rollback_on(TAKES),
    hooks(TAKES),
    on_active(TAKES),
    input("keep-blue", "", "How long the old one stays warm after success; empty: 60m").form(OF_STRATEGY),
    input("termination-wait", "", "The same, by CodeDeploy's name").form(OF_STRATEGY),
    input("start-period", "10m", "How long it may take to become healthy").form(TAKES),
    timeout(TAKES),
    input("wait-for-minutes", "", "The same as `timeout`, in minutes").form(TAKES),
    input("wait-for-service-stability", "true", "The step always waits for the end").form(TAKES),
    input("tick", "5s", "The time between two looks at both colours").form(TAKES),
    IRREVERSIBLE,
    input("codedeploy-application", "", "For `codedeploy`: its application; empty: AppECS-<cluster>-<service>")
        .form(OF_STRATEGY),
    input("codedeploy-deployment-group", "", "For `codedeploy`: its group; empty: DgpECS-<cluster>-<service>")
        .form(OF_STRATEGY),
    input("codedeploy-appspec", "", "For `codedeploy`: path of the AppSpec, YAML or JSON; empty: one is made")
        .form(OF_STRATEGY),
    input("codedeploy-deployment-config", "", "For `codedeploy`: the configuration's name; empty: by the steps")
        .form(OF_STRATEGY),
    input("codedeploy-deployment-description", "", "For `codedeploy`: for people, beside what `pipe` finds it by")
        .form(OF_STRATEGY),
    input("aws-region", "", "Where; empty: AWS_REGION"),
    input("allowed-account-ids", "", "Accounts that may be changed, with commas; empty: any"),
    DRY_RUN,
];

/// What [`Wish::gather`] takes.
const TAKES: Form = Form::Read(one);

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new("deployment-id", "Number of the rollout"),
    OutputFacts::new("task-definition-arn", "ARN of the task definition that was registered"),
    OutputFacts::new("codedeploy-deployment-id", "Id of the deployment at CodeDeploy, with `strategy: codedeploy`"),
    OutputFacts::new("url", "Where users reach it, as the step was told"),
    OutputFacts::new(
        "color",
        "The colour that has the traffic: `green` is what was deployed, `blue` what stood before",
    ),
    OutputFacts::new("status", "succeeded, rolled-back, rejected or stuck"),
    OutputFacts::new("rollback-reason", "Why it went back or was rejected; empty otherwise"),
    OutputFacts::new("previous-image", "The image that stood before, by digest"),
    OutputFacts::new("final-weight", "Share of the traffic that the deployed image has, in percent"),
    OutputFacts::new("plan-hash", "Digest of the plan: what was approved"),
];

/// The same, of inputs that only some strategies have.
const OF_STRATEGY: Form = Form::Beside(of_strategy);

/// What is wrong with an input by itself, and for the strategy that stands beside it.
fn of_strategy(name: &str, text: &str, others: Others<'_>) -> Vec<Wrong> {
    let mut wrong = one(name, text);
    let strategy = others("strategy").and_then(|word| Strategy::read(word.trim()));
    if let Some(strategy) = strategy.filter(|_| wrong.is_empty() && !text.trim().is_empty()) {
        wrong.extend(foreign(name, strategy));
    }
    wrong
}

/// What is wrong with a count of tasks: by itself, and for the services that stand beside it.
fn tasks_of(name: &str, text: &str, others: Others<'_>) -> Vec<Wrong> {
    let mut wrong = one(name, text);
    let services = others("services").filter(|services| !services.contains("${{"));
    if wrong.is_empty() && !text.trim().is_empty() {
        wrong.extend(services.as_deref().and_then(uncounted));
    }
    wrong
}

/// What is wrong with the steps: by themselves, and for the strategy that stands beside them.
fn steps_of(name: &str, text: &str, others: Others<'_>) -> Vec<Wrong> {
    let mut wrong = one(name, text);
    let shifter = others("strategy").and_then(|word| Strategy::read(word.trim())?.shifter());
    if let (Some(shifter), Ok(schedule), true) = (shifter, Schedule::read(text), wrong.is_empty()) {
        wrong.extend(shifter.parts(&schedule).err().unwrap_or_default().iter().map(inputs::wrong));
    }
    wrong
}

/// All that is wrong with one input.
fn one(name: &str, text: &str) -> Vec<Wrong> {
    inputs::one(INPUTS, |text| Wish::gather(text, false), "x", (name, text))
}
