//! A rollout as templates show it: words in place of names, shares, lengths of bars.

use engine::store::tokens::Holder;
use jiff::Timestamp;
use rollout::view::{ColourView, EvidenceView, Line, StepState, StepView};
use rollout::{Order, Outcome, Weight};
use serde::Serialize;

use super::words::{cause, digest, figure, name, outcome, phase, picture, short};
use crate::api::rollouts::{ORDERS, Seen};
use crate::pages::filters::{duration, encoded};
use crate::pages::shown::seconds;

/// Length of a whole bar.
const WHOLE: f64 = 1_000.0;
/// Lines of the story that are shown at once; the others open.
const LINES_SHOWN: usize = 12;

/// A rollout.
#[derive(Debug, Serialize)]
pub(in crate::pages) struct Shown {
    pub(in crate::pages) id: u64,
    pub(in crate::pages) environment: String,
    pub(in crate::pages) service: String,
    repository: String,
    run: Option<u64>,
    job: String,
    job_link: String,
    by: String,
    /// Names the picture: `in_progress`, `success` and so on.
    picture: &'static str,
    /// How far it is, in a word or two.
    state: String,
    /// In one word.
    short: &'static str,
    pub(super) is_active: bool,
    pub(super) is_stuck: bool,
    /// Why it goes back or was rejected.
    cause: Option<&'static str>,
    words: String,
    /// For who does not see it; without numbers that change all the time.
    said: String,
    pub(in crate::pages) share: Share,
    blue: Option<Colour>,
    green: Colour,
    steps: Vec<Step>,
    /// Which step goes on.
    step: Option<usize>,
    evidence: Vec<Evidence>,
    timeline: Vec<Line>,
    earlier: Vec<Line>,
    /// What who looks may order.
    orders: Vec<Offer>,
    /// Those that take everything back, each behind a question.
    backs: Vec<Offer>,
    /// What stands may be taken back, or put back.
    again: Option<Again>,
    next_at: Option<Timestamp>,
    blue_until: Option<Timestamp>,
    irreversible: Option<String>,
    rollback_of: Option<u64>,
    plan_hash: String,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    seconds: f64,
}

/// How the requests are split.
#[derive(Debug, Serialize)]
pub(in crate::pages) struct Share {
    /// In thousandths.
    pub(in crate::pages) green: u16,
    blue: u16,
    /// `10 %`.
    pub(in crate::pages) green_words: String,
    blue_words: String,
}

impl Share {
    pub(in crate::pages) fn of(weight: Weight) -> Self {
        let green = weight.0.min(Weight::ALL.0);
        let blue = Weight::ALL.0 - green;
        Self { green, blue, green_words: weight.to_string(), blue_words: Weight(blue).to_string() }
    }
}

#[derive(Debug, Serialize)]
struct Colour {
    version: String,
    commit: String,
    image: String,
    digest: String,
    healthy: u32,
    wanted: u32,
    is_healthy: bool,
    restarts: u64,
    requests: u64,
    errors: u64,
    rate: String,
    in_flight: u64,
    p50: String,
    p95: String,
    trouble: Option<String>,
}

#[derive(Debug, Serialize)]
struct Step {
    weight: String,
    hold: String,
    analyse: bool,
    pause: bool,
    state: &'static str,
    picture: &'static str,
    /// How much of its time is over, in thousandths.
    done: f64,
    started_at: Option<Timestamp>,
    took: Option<f64>,
    words: String,
}

#[derive(Debug, Serialize)]
struct Evidence {
    name: &'static str,
    green: u64,
    blue: u64,
    e_value: String,
    limit: String,
    /// How near it is, in thousandths: both on a scale of factors.
    near: f64,
    verdict: String,
    words: String,
}

#[derive(Debug, Serialize)]
struct Offer {
    word: &'static str,
    label: &'static str,
    picture: &'static str,
    class: &'static str,
}

#[derive(Debug, Serialize)]
struct Again {
    label: String,
    question: String,
    to: Option<u64>,
}

impl Shown {
    /// `is_newest`: no later one of the service went there.
    pub(in crate::pages) fn of(seen: Seen, holder: &Holder, now: Timestamp, is_newest: bool) -> Self {
        let (orders, again) = (offers(&seen, holder), again(&seen, holder, is_newest));
        let (step, is_active) = (seen.step(), seen.is_active());
        let Seen { row, view } = seen;
        let state = view.outcome.map_or_else(|| phase(view.phase), outcome).to_owned();
        let said = match view.outcome {
            Some(_) => format!("{}: {state}. {}", row.service, view.words),
            None => format!("{}: {state}, {} of the traffic goes to {}", row.service, view.weight, name(&view.green)),
        };
        let mut timeline = view.timeline;
        timeline.reverse();
        let earlier = timeline.split_off(timeline.len().min(LINES_SHOWN));
        let (backs, orders) = orders.into_iter().partition::<Vec<_>, _>(|offer| offer.class == "button bad");
        Self {
            picture: picture(view.phase, view.outcome),
            short: short(view.phase, view.outcome),
            cause: view.cause.map(cause),
            is_stuck: view.outcome == Some(Outcome::Stuck),
            share: Share::of(view.weight),
            blue: view.blue.map(Colour::of),
            green: Colour::of(view.green),
            steps: view.steps.into_iter().map(|step| Step::of(step, now)).collect(),
            evidence: view.evidence.into_iter().map(Evidence::of).collect(),
            backs,
            words: view.words,
            next_at: view.next_at,
            blue_until: view.blue_until.filter(|until| *until > now),
            irreversible: view.irreversible,
            rollback_of: view.rollback_of,
            seconds: seconds(view.started_at, view.ended_at.unwrap_or(now)),
            started_at: view.started_at,
            ended_at: view.ended_at,
            by: view.by,
            job_link: encoded(&row.job),
            id: row.id,
            environment: row.environment,
            service: row.service,
            repository: row.repository,
            run: row.run.map(|run| run.0),
            job: row.job,
            plan_hash: row.plan_hash,
            state,
            is_active,
            said,
            step,
            timeline,
            earlier,
            orders,
            again,
        }
    }

    /// The job that did it.
    pub(in crate::pages) fn job(&self) -> &str {
        &self.job
    }

    /// How far it is, with the share; only the share where there is room for so many characters only.
    pub(in crate::pages) fn beside(&self, characters: usize) -> String {
        let whole = format!("{} · {}", self.share.green_words, self.short);
        if whole.chars().count() <= characters { whole } else { self.share.green_words.clone() }
    }
}

fn offers(seen: &Seen, holder: &Holder) -> Vec<Offer> {
    let may = seen.orders_of(holder);
    // Taking back what has succeeded has a form of its own.
    let is_over = seen.view.outcome == Some(Outcome::Succeeded);
    let offers = ORDERS.into_iter().filter(|order| !is_over && may.contains(order)).map(|order| {
        let (label, picture, class) = match order {
            Order::Promote => ("Promote", "play", "button main"),
            Order::PromoteFull => ("Promote fully", "up", "button"),
            Order::Pause => ("Pause", "s-waiting", "button"),
            Order::Resume => ("Resume", "play", "button main"),
            Order::Abort => ("Abort", "stop", "button bad"),
            Order::Rollback => ("Roll back", "again", "button bad"),
        };
        Offer { word: order.word(), label, picture, class }
    });
    offers.collect()
}

/// What has ended well can be taken back, or, once something else stands, put back.
fn again(seen: &Seen, holder: &Holder, is_newest: bool) -> Option<Again> {
    let may = holder.may_deploy(&seen.row.repository, &seen.row.environment);
    if !may || seen.is_active() || seen.view.outcome != Some(Outcome::Succeeded) {
        return None;
    }
    let green = name(&seen.view.green);
    if !is_newest {
        let question = format!("All of the traffic goes to {green} again.");
        return Some(Again { label: format!("Put {green} back"), question, to: Some(seen.row.id) });
    }
    let blue = seen.view.blue.as_ref()?;
    let question = format!("All of the traffic goes to {} again.", name(blue));
    Some(Again { label: "Roll back".to_owned(), question, to: None })
}

impl Colour {
    fn of(colour: ColourView) -> Self {
        let milliseconds = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |ms| duration(ms / 1_000.0));
        let rate = if colour.requests == 0 {
            "–".to_owned()
        } else {
            format!("{:.2} %", colour.errors as f64 / colour.requests as f64 * 100.0)
        };
        Self {
            rate,
            p50: milliseconds(colour.p50_ms),
            p95: milliseconds(colour.p95_ms),
            version: name(&colour),
            digest: digest(&colour.revision.image),
            is_healthy: colour.healthy >= colour.wanted,
            commit: colour.revision.commit,
            image: colour.revision.image,
            healthy: colour.healthy,
            wanted: colour.wanted,
            restarts: colour.restarts,
            requests: colour.requests,
            errors: colour.errors,
            in_flight: colour.in_flight,
            trouble: colour.trouble,
        }
    }
}

impl Step {
    fn of(step: StepView, now: Timestamp) -> Self {
        let (state, picture) = match step.state {
            StepState::Pending => ("To come", "queued"),
            StepState::Running => ("Goes on", "in_progress"),
            StepState::Passed => ("Passed", "success"),
            StepState::Failed => ("Failed", "failure"),
            StepState::Skipped => ("Left out", "skipped"),
        };
        let took = step.started_at.map(|from| seconds(from, step.ended_at.unwrap_or(now)));
        let part =
            |took: f64| if step.hold_seconds > 0.0 { (took / step.hold_seconds).min(1.0) * WHOLE } else { WHOLE };
        let done = match step.state {
            StepState::Passed => WHOLE,
            StepState::Running | StepState::Failed => took.map_or(0.0, part),
            StepState::Pending | StepState::Skipped => 0.0,
        };
        Self {
            weight: step.weight.to_string(),
            hold: duration(step.hold_seconds),
            analyse: step.analyse,
            pause: step.pause,
            state,
            picture,
            // In steps of a hundredth, so that a page is not sent again for less than one can see.
            done: (done / 10.0).round() * 10.0,
            started_at: step.started_at,
            took: took.filter(|_| step.ended_at.is_some()),
            words: step.words,
        }
    }
}

impl Evidence {
    fn of(evidence: EvidenceView) -> Self {
        let name = match evidence.metric {
            rollout::plan::Metric::Errors => "Errors",
            rollout::plan::Metric::LatencyP95 => "Slow requests",
            rollout::plan::Metric::Restarts => "Restarts",
        };
        let near = if evidence.limit > 1.0 { evidence.e_value.max(1.0).ln() / evidence.limit.ln() } else { 0.0 };
        Self {
            name,
            green: evidence.green_events,
            blue: evidence.blue_events,
            e_value: figure(evidence.e_value),
            limit: figure(evidence.limit),
            near: (near.clamp(0.0, 1.0) * WHOLE).round(),
            verdict: evidence.verdict,
            words: evidence.words,
        }
    }
}
