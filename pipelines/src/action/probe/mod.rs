//! `pipe/probe`: what a running service gives away, and whether it answers as its description says; by the gate of `pipe/scan`.
//!
//! Asks the given address and nothing else. What a rollout asks of green before users reach it is the same visit, as a hook
//! (`hooks` of `pipe/deploy-local`).

mod hook;
#[cfg(test)]
mod tests;

use std::time::Instant;

use async_trait::async_trait;
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use scanners::policy::Outcome;
use scanners::report::{Format, Terminal};
use workflow::catalogue::{Form, Wrong};

pub(in crate::action) use self::hook::{Asked, check, visit_for_hook};

use super::health_check::probe::Url;
use super::scan::{self, Workspace};
use super::{OutputFacts, input, required};
#[cfg(test)]
use crate::probe::NAMES;
use crate::probe::{Description, Wish, visit};

/// What the readers below take.
const TAKES: Form = Form::Read(judge);

/// Its inputs.
pub const INPUTS: &[InputFacts] = &[
    required(
        "url",
        "Where the service answers: http://host:port/path, or https://; nothing above that path is asked for",
    )
    .form(TAKES),
    input(
        "openapi",
        "",
        "The description of its API: a path of the service (/openapi.json), or a file in the workspace",
    ),
    input("headers", "", "`Name: value`, one a line, for every request, such as Authorization").form(TAKES),
    input("methods", "safe", "safe: only what changes nothing is asked for; all: every operation of the description")
        .form(Form::Words(&["safe", "all"])),
    input("gate", "", "The policy in the workspace; `.pipe/gate.yml` where it is, else what is critical fails"),
    input("severity", "", "What fails without a policy: the lowest of these and all above it, such as HIGH,CRITICAL")
        .form(TAKES),
    input("timeout", "60", "Seconds for all of it; also `500ms`, `2m`").form(TAKES),
    input("request-timeout", "10", "Seconds for one request").form(TAKES),
    input("max-requests", "500", "How many requests at most").form(TAKES),
    input("exit-code", "1", "0: what the gate stops is reported, and the step goes on; else it fails"),
    input("format", "table", "The form of `output`: table, json, sarif, junit or summary")
        .form(Form::Read(|_, text| Wrong::of(scan::inputs::form(text)))),
    input("output", "", "A file in the workspace for the report"),
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new("outcome", "pass, fail or untrusted"),
    OutputFacts::new("failed", "How many findings fail"),
    OutputFacts::new("findings", "How many there are"),
    OutputFacts::new("requests", "How often the service was asked"),
    OutputFacts::new("report", "Path of the report in the workspace, where one was written"),
];

/// All that is wrong with one input, by itself.
fn judge(name: &str, text: &str) -> Vec<Wrong> {
    if name == "url" {
        return Wrong::of(Url::parse(text.trim()));
    }
    let read = Wish::read(&|other| if other == name { text.to_owned() } else { String::new() });
    read.err().unwrap_or_default().into_iter().map(Wrong::new).collect()
}

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProbeAction;

#[async_trait]
impl BuiltInAction for ProbeAction {
    fn name(&self) -> &'static str {
        "pipe/probe"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let failed = ActionError::Failed;
        let text = |name: &str| call.inputs.get(name).map(|text| text.trim().to_owned()).unwrap_or_default();
        let wish = Wish::read(&text).map_err(|all| failed(all.join("\n")))?;
        let url = Url::parse(&text("url")).map_err(failed)?;
        let format = scan::inputs::form(&text("format")).map_err(failed)?;
        let (fails, output) = (text("exit-code") != "0", Some(text("output")).filter(|path| !path.is_empty()));
        let workspace = Workspace::open(call).map_err(failed)?;
        let otherwise = wish.policy().map_err(failed)?;
        let policy = scan::gate(&workspace, wish.gate.as_deref(), &otherwise, call).await.map_err(failed)?;
        let description = description(&workspace, wish.openapi.as_deref(), call).await.map_err(failed)?;
        call.log.line(&format!("Asking {url}")).await;
        let (order, begun) = (wish.order(url, description, policy), Instant::now());
        let visited = tokio::select! {
            visited = visit(&order) => visited.map_err(failed)?,
            () = call.cancel.cancelled() => return Err(ActionError::Cancelled),
        };
        call.log.line(&visited.sentence(begun)).await;
        let scanned = &visited.scanned;
        if let Some(path) = output {
            let report = scanned.report().write(format, Terminal::PLAIN);
            scan::write(call, &path, report).await.map_err(failed)?;
            call.outputs.insert("report".into(), path);
        }
        scan::tell(call, scanned).await;
        call.outputs.insert("requests".into(), visited.asked.to_string());
        match scanned.verdict.outcome {
            Outcome::Pass => Ok(()),
            Outcome::Fail if !fails => Ok(()),
            Outcome::Fail | Outcome::Untrusted => Err(failed(format!("the probe says {}", scanned.verdict.sentence()))),
        }
    }
}

/// A path begins with `/`, a file does not.
async fn description(
    workspace: &Workspace,
    openapi: Option<&str>,
    call: &ActionCall<'_>,
) -> Result<Description, String> {
    let Some(text) = openapi else { return Ok(Description::None) };
    if text.starts_with('/') {
        return Ok(Description::Served(text.to_owned()));
    }
    let read = workspace.text(call, "openapi", text).await;
    let read = read.map_err(|error| format!("the description {text} cannot be read: {error}"))?;
    let read = read.ok_or_else(|| format!("there is no description {text} in the workspace"))?;
    Ok(Description::Text { name: text.to_owned(), bytes: read.into_bytes() })
}

/// The table, for a log.
fn table(scanned: &crate::scan::Scanned) -> String {
    scanned.report().write(Format::Table, Terminal { width: 120, colour: true }).trim_end().to_owned()
}
