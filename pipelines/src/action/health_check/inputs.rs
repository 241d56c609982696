//! Inputs of `pipe/health-check`, checked.

use engine::step::{ActionCall, InputFacts};
use regex::Regex;
use workflow::catalogue::{Form, Wrong};

use super::super::{OutputFacts, input, switch};
use super::pace::{self, Pace};
use super::probe::{Answer, Url};

/// What the readers below take.
const TAKES: Form = Form::Read(judge);

/// All that is wrong with one input, by itself.
fn judge(name: &str, text: &str) -> Vec<Wrong> {
    let text = text.trim();
    match name {
        "url" => Wrong::of(Url::parse(text)),
        "port" => Wrong::of(port(text)),
        "env" => Wrong::of(variables(text)),
        "expected-status" => Wrong::of(statuses(text)),
        "expected-body" => Wrong::of(Body::read(text)),
        "timeout" | "interval" => Wrong::of(pace::duration(name, text)),
        "retries" => Wrong::of(pace::retries(text)),
        "backoff" => Wrong::of(pace::backoff(text)),
        "healthy-threshold" => Wrong::of(threshold(text)),
        _ => Vec::new(),
    }
}

/// Its inputs.
pub const INPUTS: &[InputFacts] = &[
    input("url", "", "What to ask: http://host:port/path, or https://").form(TAKES),
    input("image", "", "An image to start and ask, instead of `url`"),
    input("port", "", "Port that the image listens on").form(TAKES),
    input("path", "/health", "What to ask the image for; unused with `url`"),
    input("env", "", "NAME=value, one a line, for the container").form(TAKES),
    input("read-only", "true", "Whether the container's files cannot be written, but for /tmp").switch(),
    input("expected-status", "200", "Statuses that are healthy: `200`, `200-299`, `200,204`").form(TAKES),
    input("expected-body", "", "Text that the answer must hold, or `/regular expression/`").form(TAKES),
    input("timeout", "60", "Seconds until it has failed; also `500ms`, `2m`. With `retries` of each attempt, and 5")
        .form(TAKES),
    input("interval", "1", "Seconds between two attempts").form(TAKES),
    input(
        "retries",
        "",
        "So many attempts at most, instead of a time for all of them; the first healthy one is enough",
    )
    .form(TAKES),
    input("backoff", "", "With `retries`: the pause after attempt n is this number to the power of n, in seconds")
        .form(TAKES),
    input("healthy-threshold", "2", "How often in a row it must be healthy; with `retries` 1").form(TAKES),
    input("dry-run", "false", "Only say what would be asked").switch(),
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new("status", "HTTP status of the last answer; empty when there was none"),
    OutputFacts::new("attempts", "How often it was asked"),
    OutputFacts::new("duration-ms", "Milliseconds from the start to the last answer"),
    OutputFacts::new("plan-hash", "SHA-256 of what is asked and how often"),
];

/// What to check.
#[derive(Debug)]
pub(super) enum Target {
    Url(Url),
    Image { image: String, port: u16 },
}

/// A check to do.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) target: Target,
    pub(super) path: String,
    pub(super) env: Vec<String>,
    pub(super) read_only: bool,
    statuses: Vec<(u16, u16)>,
    body: Option<Body>,
    pub(super) pace: Pace,
    pub(super) healthy_threshold: u32,
    pub(super) dry_run: bool,
}

#[derive(Debug)]
enum Body {
    Holds(String),
    Matches(Regex),
}

impl Order {
    pub(super) fn of(call: &ActionCall<'_>) -> Result<Self, String> {
        let text = |name: &str| call.inputs.get(name).map_or("", |value| value.trim());
        let target = match (text("url"), text("image")) {
            ("", "") => return Err("pipe/health-check needs `url`, or `image` and `port`".into()),
            (url, "") => Target::Url(Url::parse(url)?),
            ("", image) => Target::Image { image: image.to_owned(), port: port(text("port"))? },
            (_, _) => return Err("pipe/health-check takes `url` or `image`, not both".into()),
        };
        let body = Body::read(text("expected-body"))?;
        let env = variables(text("env"))?;
        let path = text("path");
        let pace = Pace::of(call)?;
        let is_default = |name: &str| call.defaulted.iter().any(|one| one == name);
        let healthy = match &pace {
            Pace::Attempts { .. } if is_default("healthy-threshold") => "1",
            Pace::Attempts { .. } | Pace::Until { .. } => text("healthy-threshold"),
        };
        Ok(Self {
            target,
            path: if path.starts_with('/') { path.to_owned() } else { format!("/{path}") },
            env,
            // What is not written is `true`.
            read_only: text("read-only").is_empty() || switch(call, "read-only")?,
            statuses: statuses(text("expected-status"))?,
            body,
            pace,
            dry_run: switch(call, "dry-run")?,
            healthy_threshold: threshold(healthy)?,
        })
    }

    /// Whether an answer is healthy; either way a sentence for the log.
    pub(super) fn judge(&self, answer: &Result<Answer, String>) -> Result<String, String> {
        let answer = answer.as_ref().map_err(Clone::clone)?;
        let text = format!("HTTP {}", answer.status);
        if !self.statuses.iter().any(|(from, to)| (*from..=*to).contains(&answer.status)) {
            return Err(format!("{text}: {}", answer.start()));
        }
        let fits = match &self.body {
            None => true,
            Some(Body::Holds(part)) => answer.body.contains(part.as_str()),
            Some(Body::Matches(regex)) => regex.is_match(&answer.body),
        };
        if fits { Ok(text) } else { Err(format!("{text}, but not the expected body: {}", answer.start())) }
    }
}

impl Body {
    fn read(text: &str) -> Result<Option<Self>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        Ok(Some(match text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            Some(pattern) => Self::Matches(Regex::new(pattern).map_err(|error| format!("`expected-body`: {error}"))?),
            None => Self::Holds(text.to_owned()),
        }))
    }
}

fn port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| format!("`port` must be a number from 1 to 65535, not `{text}`"))
}

fn threshold(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("`healthy-threshold` must be a number above 0, not `{text}`"))
}

fn variables(text: &str) -> Result<Vec<String>, String> {
    let lines: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    match lines.iter().find(|line| !line.contains('=')) {
        Some(bad) => Err(format!("`env`: `{bad}` is not NAME=value")),
        None => Ok(lines),
    }
}

fn statuses(text: &str) -> Result<Vec<(u16, u16)>, String> {
    let bad = || format!("`expected-status` must be like 200, 200-299 or 200,204, not `{text}`");
    text.split(',')
        .map(|part| {
            let (from, to) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
            Ok((from.trim().parse().map_err(|_| bad())?, to.trim().parse().map_err(|_| bad())?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_that_are_healthy() {
        assert_eq!(statuses("200, 204-206"), Ok(vec![(200, 200), (204, 206)]));
        assert!(statuses("ok").is_err());
    }
}
