//! What is told while a rollout goes on: its story in the step's log, then a summary and the step's outputs.

use std::fmt::Write as _;

use bytes::Bytes;
use engine::step::ActionCall;
use rollout::plan::Plan;
use rollout::view::{ColourView, StepState, View};
use rollout::{Outcome, Stage, Weight};

/// Something to tell.
#[derive(Debug)]
pub(in crate::action) enum Told {
    /// How it stands now.
    View(Box<View>),
    /// A script begins.
    Begins(Stage),
    /// A visit begins.
    Visits(Stage),
    /// A script wrote something.
    Output(Bytes),
}

/// How far the story was told.
#[derive(Debug, Default)]
pub(in crate::action) struct Story {
    lines: usize,
    last: String,
    split: String,
}

impl Story {
    /// What is new, line by line.
    pub(in crate::action) fn news(&mut self, view: &View) -> Vec<String> {
        // The oldest lines of a long story may be left out.
        let new = view.timeline.get(self.lines.min(view.timeline.len())..).unwrap_or_default();
        let mut news: Vec<String> = new.iter().map(|line| line.words.clone()).collect();
        self.lines = view.timeline.len();
        let split = split(view);
        if split != self.split && view.outcome.is_none() {
            news.extend(Some(split.clone()).filter(|split| !split.is_empty()));
            self.split = split;
        }
        if news.is_empty() && view.words != self.last && view.outcome.is_none() {
            news.push(view.words.clone());
        }
        view.words.clone_into(&mut self.last);
        news
    }
}

/// Who has which share, once requests are shared.
fn split(view: &View) -> String {
    let Some(blue) = view.blue.as_ref().filter(|_| view.weight > Weight::NONE && view.weight < Weight::ALL) else {
        return String::new();
    };
    format!("blue (rollout {}) {}, green {}", blue.revision.id, blue.weight, view.green.weight)
}

/// The word that outputs and pages have for an end.
pub(in crate::action) const fn status(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::RolledBack => "rolled-back",
        Outcome::Rejected => "rejected",
        Outcome::Stuck => "stuck",
    }
}

/// The step's outputs after the end.
pub(in crate::action) fn outputs(call: &mut ActionCall<'_>, view: &View, url: &str) {
    let has_green = view.outcome == Some(Outcome::Succeeded) || view.weight == Weight::ALL;
    let is_back = matches!(view.outcome, Some(Outcome::RolledBack | Outcome::Rejected | Outcome::Stuck));
    let percent = f64::from(view.weight.0) / 10.0;
    for (name, value) in [
        ("deployment-id", view.id.to_string()),
        ("url", url.to_owned()),
        ("color", if has_green { "green" } else { "blue" }.to_owned()),
        ("status", view.outcome.map_or("", status).to_owned()),
        ("rollback-reason", if is_back { view.words.clone() } else { String::new() }),
        ("previous-image", view.blue.as_ref().map(|blue| blue.revision.image.clone()).unwrap_or_default()),
        ("final-weight", percent.to_string()),
        ("plan-hash", view.plan_hash.clone()),
    ] {
        call.outputs.insert(name.to_owned(), value);
    }
}

/// Markdown for the step's summary.
pub(in crate::action) fn summary(view: &View) -> String {
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', "<br>");
    let title = view.outcome.map_or("goes on", status);
    let mut text =
        format!("### {} to {}: {title}\n\n{}\n\n", cell(&view.service), cell(&view.environment), cell(&view.words));
    text.push_str(
        "| | image | traffic | healthy | requests | errors | p50 | p95 |\n|---|---|---|---|---|---|---|---|\n",
    );
    let blue = view.blue.iter().map(|blue| ("blue", blue));
    for (name, colour) in blue.chain([("green", &view.green)]) {
        row(&mut text, name, colour);
    }
    text.push_str("\n| step | held | | |\n|---|---|---|---|\n");
    for step in &view.steps {
        let state = match step.state {
            StepState::Pending => "not begun",
            StepState::Running => "running",
            StepState::Passed => "passed",
            StepState::Failed => "failed",
            StepState::Skipped => "left out",
        };
        let held = step.started_at.zip(step.ended_at).map(|(from, to)| to.duration_since(from).as_secs_f64());
        let held = held.map_or_else(|| "–".to_owned(), |held| format!("{held:.0} s"));
        let _infallible = writeln!(text, "| {} | {held} | {state} | {} |", step.weight, cell(&step.words));
    }
    text
}

fn row(text: &mut String, name: &str, colour: &ColourView) {
    let time = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1} ms"));
    let version = if colour.revision.version.is_empty() { &colour.revision.image } else { &colour.revision.version };
    let _infallible = writeln!(
        text,
        "| {name} | `{}` | {} | {} of {} | {} | {} | {} | {} |",
        version.replace('|', ""),
        colour.weight,
        colour.healthy,
        colour.wanted,
        colour.requests,
        colour.errors,
        time(colour.p50_ms),
        time(colour.p95_ms)
    );
}

/// The plan for a person, line by line: `own` are those of its target.
pub(in crate::action) fn plan(plan: &Plan, own: Vec<String>) -> Vec<String> {
    let version = if plan.version.is_empty() { String::new() } else { format!(" ({})", plan.version) };
    let mut lines = vec![
        format!("service      {} to {}", plan.service, plan.environment),
        format!("image        {}{version}", plan.image),
    ];
    lines.extend(own);
    for (number, step) in plan.schedule.steps.iter().enumerate() {
        let hold = if step.hold.is_zero() { String::new() } else { format!(" for {:#}", step.hold) };
        let analyse = if step.analyse { ", compared with blue" } else { "" };
        let pause = if step.pause { ", until a person says that it goes on" } else { "" };
        lines.push(format!("step {:<7} {}{hold}{analyse}{pause}", number + 1, step.weight));
    }
    for hook in &plan.hooks {
        lines.push(format!("script       {}: {}", hook.stage.word(), hook.words()));
    }
    if let Some(migration) = &plan.irreversible {
        lines.push(format!("cannot be undone: {migration}; nothing goes back by itself past it"));
    }
    lines.push(format!("plan hash    {}", plan.hash()));
    lines
}
