//! A rollout as people see it.

use jiff::Timestamp;

use super::{Rollout, Station, after, words};
use crate::analysis::latency::percentile_ms;
use crate::fact::Outcome;
use crate::observation::Side;
use crate::order::Order;
use crate::plan::{Revision, Weight};
use crate::view::{ColourView, Phase, StepState, StepView, View};

pub(super) fn view(rollout: &Rollout, now: Timestamp) -> View {
    let plan = &rollout.plan;
    let weight = weight(rollout);
    let seen = rollout.seen.as_ref();
    let blue = rollout.found.blue.as_ref();
    let rest = Weight(Weight::ALL.0 - weight.0.min(Weight::ALL.0));
    View {
        id: rollout.id,
        environment: plan.environment.clone(),
        service: plan.service.clone(),
        repository: plan.repository.clone(),
        by: rollout.by.clone(),
        phase: phase(rollout),
        outcome: rollout.outcome(),
        cause: rollout.cause.as_ref().map(|(cause, _)| *cause),
        words: sentence(rollout),
        weight,
        blue: blue.map(|blue| colour(blue.clone(), rest, seen.and_then(|seen| seen.blue.as_ref()))),
        green: colour(rollout.green(), weight, seen.map(|seen| &seen.green)),
        steps: steps(rollout),
        evidence: rollout.judge.evidence(),
        timeline: rollout.timeline.clone(),
        orders: orders(rollout),
        next_at: next_at(rollout, now),
        blue_until: rollout.blue_until(),
        irreversible: plan.irreversible.clone(),
        rollback_of: plan.rollback_of,
        plan_hash: rollout.plan_hash.clone(),
        started_at: rollout.began_at,
        ended_at: rollout.end.as_ref().map(|end| end.at),
    }
}

/// While it is being changed, what was seen last.
fn weight(rollout: &Rollout) -> Weight {
    let seen = rollout.seen.as_ref().and_then(|seen| seen.weight);
    rollout.stands.or(seen).unwrap_or(Weight::NONE)
}

fn colour(revision: Revision, weight: Weight, side: Option<&Side>) -> ColourView {
    let none = Side::default();
    let side = side.unwrap_or(&none);
    ColourView {
        revision,
        weight,
        wanted: side.wanted,
        healthy: side.healthy,
        restarts: side.restarts,
        requests: side.counters.requests,
        errors: side.counters.errors,
        in_flight: side.in_flight,
        p50_ms: percentile_ms(&side.counters.latency, 0.5),
        p95_ms: percentile_ms(&side.counters.latency, 0.95),
        trouble: side.trouble.clone(),
    }
}

fn steps(rollout: &Rollout) -> Vec<StepView> {
    let schedule = rollout.plan.schedule.steps.iter();
    let step = |(index, (step, course)): (usize, (&crate::plan::Step, &super::Course))| StepView {
        weight: step.weight,
        hold_seconds: rollout.hold(index).as_secs_f64(),
        // What is left out is known before it is passed over.
        state: match course.state {
            StepState::Pending if rollout.is_left_out(index) => StepState::Skipped,
            StepState::Pending | StepState::Running | StepState::Passed | StepState::Failed | StepState::Skipped => {
                course.state
            }
        },
        started_at: course.started_at,
        ended_at: course.ended_at,
        analyse: step.analyse,
        pause: step.pause,
        words: course.words.clone(),
    };
    schedule.zip(&rollout.steps).enumerate().map(step).collect()
}

fn phase(rollout: &Rollout) -> Phase {
    if rollout.end.is_none() && !rollout.station.is_back() && (rollout.question.is_some() || rollout.paused.is_some()) {
        return Phase::Paused;
    }
    match rollout.station {
        Station::Lock => Phase::Waiting,
        Station::Preflight | Station::Hook(crate::Stage::BeforeInstall) => Phase::Preflight,
        Station::Start | Station::Healthy | Station::Hook(crate::Stage::AfterInstall) => Phase::Starting,
        Station::Test
        | Station::Hook(
            crate::Stage::AfterAllowTestTraffic | crate::Stage::BeforeAllowTraffic | crate::Stage::OnRollback,
        ) => Phase::Testing,
        Station::Shift(_) => Phase::Shifting,
        Station::Hold(_) | Station::Hook(crate::Stage::AfterAllowTraffic) => Phase::Holding,
        Station::TestOff | Station::Primary | Station::Finish => Phase::Finalising,
        Station::BackWeight | Station::BackHook | Station::BackTest | Station::BackStop | Station::BackFinish => {
            Phase::RollingBack
        }
        Station::Stuck | Station::Keep | Station::Done | Station::Closed => Phase::Ended,
    }
}

fn sentence(rollout: &Rollout) -> String {
    if let Some(end) = &rollout.end {
        return end.words.clone();
    }
    let why = || rollout.cause.as_ref().map(|(_, words)| words.as_str()).unwrap_or_default();
    if !rollout.station.is_back() {
        if let Some(question) = &rollout.question {
            return question.words.clone();
        }
        if let Some(who) = &rollout.paused {
            return format!("paused by {who}");
        }
    }
    match rollout.station {
        Station::Lock => rollout.behind.map_or_else(|| "waits for its turn".to_owned(), words::waits),
        Station::Preflight => "looks whether it can be done".to_owned(),
        Station::Hook(stage) => format!("the scripts of {} run", stage.word()),
        Station::Start => "green is being started".to_owned(),
        Station::Healthy => match rollout.seen.as_ref().map(|seen| &seen.green) {
            Some(green) => format!("{} of {} containers of green are healthy", green.healthy, green.wanted),
            None => "green is becoming healthy".to_owned(),
        },
        Station::Test => "green is being opened for tests".to_owned(),
        Station::Shift(step) => format!("green gets {} of the traffic", rollout.plan.schedule.steps[step].weight),
        Station::Hold(step) => {
            let (step, course) = (&rollout.plan.schedule.steps[step], &rollout.steps[step]);
            match course.extended {
                true => course.words.clone(),
                false => format!("green has {} of the traffic for {}", step.weight, words::time(step.hold)),
            }
        }
        Station::TestOff | Station::Primary | Station::Finish => "green becomes what stands".to_owned(),
        Station::BackWeight | Station::BackHook | Station::BackTest | Station::BackStop | Station::BackFinish => {
            match rollout.has_shifted {
                true => format!("goes back: {}", why()),
                false => format!("is given up: {}", why()),
            }
        }
        Station::Stuck | Station::Keep | Station::Done | Station::Closed => String::new(),
    }
}

/// What may be ordered now.
fn orders(rollout: &Rollout) -> Vec<Order> {
    if let Some(end) = &rollout.end {
        return match (end.outcome, rollout.station) {
            (Outcome::Stuck, Station::Stuck) => vec![Order::Rollback, Order::Abort],
            (Outcome::Succeeded, _) => vec![Order::Rollback],
            (Outcome::Stuck | Outcome::RolledBack | Outcome::Rejected, _) => Vec::new(),
        };
    }
    if rollout.station.is_back() || rollout.stopped_by.is_some() {
        return Vec::new();
    }
    // Who paces itself hears nobody but who takes it back.
    let is_paced = rollout.plan.schedule.is_paced_by_target;
    let is_held = matches!(rollout.station, Station::Hold(_)) && !is_paced;
    let mut orders = Vec::new();
    if is_held || rollout.question.is_some() {
        orders.push(Order::Promote);
    }
    let is_last = is_paced || rollout.promoted_full.is_some() || rollout.is_at_once();
    if !is_last && rollout.station != Station::Lock && rollout.step_here() < rollout.last_step() {
        orders.push(Order::PromoteFull);
    }
    match rollout.paused.is_some() || rollout.question.is_some() {
        true => orders.push(Order::Resume),
        false if is_paced => {}
        false => orders.push(Order::Pause),
    }
    orders.extend([Order::Abort, Order::Rollback]);
    orders
}

fn next_at(rollout: &Rollout, now: Timestamp) -> Option<Timestamp> {
    let Station::Hold(step) = rollout.station else { return None };
    if rollout.paused.is_some() || rollout.question.is_some() {
        return None;
    }
    let until = after(rollout.steps[step].started_at?, rollout.hold(step));
    (until > now).then_some(until)
}
