//! Inputs and outputs of `pipe/deploy-local`, as whoever writes a step knows them.

use engine::step::InputFacts;
use workflow::catalogue::{Form, Wrong};

use super::super::deploy::inputs::{
    self, DRY_RUN, ENVIRONMENT, IRREVERSIBLE, hooks, on_active, rollback_on, steps, timeout,
};
use super::inputs::Wish;
use crate::action::{OutputFacts, input, required};

/// Its inputs.
pub const INPUTS: &[InputFacts] = &[
    required("service", "What is deployed: its name in the environment"),
    required("image", "The image, by digest or by a tag, which is resolved to its digest first"),
    required("port", "Port that the service listens on in its container").form(TAKES),
    ENVIRONMENT,
    input("version", "", "For people; empty: the image's tag"),
    input("replicas", "1", "How many containers of it").form(TAKES),
    input("health-path", "/health", "What is asked whether it is healthy: 2xx and 3xx are").form(TAKES),
    input("health-interval", "2s", "The time between two such questions").form(TAKES),
    input("health-threshold", "3", "How often in a row before it counts").form(TAKES),
    input("start-period", "60s", "How long it may take to become healthy").form(TAKES),
    input("proxy-port", "8088", "Where users' requests come in; the same for all services of an environment")
        .form(TAKES),
    input("test-port", "8089", "Where tests reach what comes before users do; empty: nowhere").form(TAKES),
    input("route", "/", "The path that leads to it").form(TAKES),
    input("strip", "false", "Whether that path is taken off before the service sees it").switch(),
    input("env", "", "NAME=value, one a line, for the containers; everybody may see them").form(TAKES),
    input("env-file", "", "A file of the workspace with such lines, which nobody may see"),
    input("secrets", "", "NAME=value, one a line, which nobody may see").form(TAKES),
    input("networks", "", "Networks of Docker that it joins besides pipe-<environment>, with commas"),
    input("volumes", "", "source:path[:ro], one a line"),
    input("read-only", "true", "Whether the containers' files cannot be written, but for `tmpfs`").switch(),
    input("tmpfs", "/tmp", "Folders in memory, one a line"),
    input("user", "", "As whom it runs: uid, uid:gid or a name; empty: the image's"),
    input("cap-add", "", "Capabilities that it needs; all are dropped otherwise"),
    input("memory", "", "Of each container: 256m, 1g; empty: no limit").form(TAKES),
    input("cpus", "", "Processors of each container, such as 1.5; empty: no limit").form(TAKES),
    input("affinity", "none", "Whether a client keeps its colour: none, cookie:NAME or header:NAME").form(TAKES),
    input("drain-timeout", "30s", "How long requests may take once their container gets no new ones").form(TAKES),
    input("stop-timeout", "30s", "From SIGTERM to SIGKILL").form(TAKES),
    input("keep-blue", "60m", "How long the old one stays warm after success").form(TAKES),
    input("dead-blue", "fail", "If what stands is dead: fail, or replace it with nothing to go back to")
        .form(Form::Words(&["fail", "replace"])),
    steps(TAKES),
    input(
        "analysis",
        "",
        "{ metrics: [errors, latency-p95, restarts], max-ratio: 1.2, alpha: 0.05, min-requests: 50, … }",
    )
    .form(TAKES),
    input("alarms", "", "Address of a Prometheus's or Alertmanager's alerts, names of alerts behind it; one a line")
        .form(TAKES),
    rollback_on(TAKES),
    hooks(TAKES),
    on_active(TAKES),
    timeout(TAKES),
    input("tick", "1s", "The time between two looks at both colours").form(TAKES),
    IRREVERSIBLE,
    DRY_RUN,
];

/// What [`Wish::read`] takes.
const TAKES: Form = Form::Read(one);

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new("deployment-id", "Number of the rollout"),
    OutputFacts::new("url", "Where the service answers, as this job reaches it"),
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

/// All that is wrong with one input.
fn one(name: &str, text: &str) -> Vec<Wrong> {
    inputs::one(INPUTS, Wish::gather, "80", (name, text))
}
