//! Jobs in time: where the bar of each lies, and which ones made the run as long as it is.

use std::collections::HashMap;

use jiff::Timestamp;
use workflow::plan::Plan;

use super::graph::planned_id;
use crate::pages::shown::{Run, ShownJob, seconds};

/// Length of the whole in parts of a bar.
const WHOLE: f64 = 1_000.0;
/// Shortest bar that can be seen.
const BAR_MIN: f64 = 3.0;

/// Gives each job its bar, and marks the critical path: from the job that ended last back through what it waited for.
pub(super) fn lay_out(jobs: &mut [ShownJob], run: &Run, plan: Option<&Plan>, now: Timestamp) {
    let begun = run.run.created_at.parse::<Timestamp>().unwrap_or(now);
    let ended = jobs.iter().filter_map(|job| job.finished_at.or(job.started_at.map(|_| now))).max().unwrap_or(now);
    let whole = seconds(begun, ended).max(0.001);
    for job in jobs.iter_mut() {
        let Some(started) = job.started_at else { continue };
        let from = (seconds(begun, started) / whole * WHOLE).min(WHOLE - BAR_MIN);
        let length = seconds(started, job.finished_at.unwrap_or(now)) / whole * WHOLE;
        job.bar = Some((from.round(), length.max(BAR_MIN).min(WHOLE - from).round()));
    }
    if let Some(plan) = plan.filter(|_| run.is_over && jobs.len() > 1) {
        mark(jobs, plan);
    }
}

fn mark(jobs: &mut [ShownJob], plan: &Plan) {
    let mut last_of: HashMap<String, usize> = HashMap::new();
    for (place, job) in jobs.iter().enumerate().filter(|(_, job)| job.finished_at.is_some() && job.started_at.is_some())
    {
        let last = last_of.entry(planned_id(&job.key)).or_insert(place);
        if jobs[*last].finished_at < job.finished_at {
            *last = place;
        }
    }
    let mut at = last_of.values().copied().max_by_key(|place| (jobs[*place].finished_at, std::cmp::Reverse(*place)));
    while let Some(place) = at {
        jobs[place].is_critical = true;
        let needs = plan.find(&planned_id(&jobs[place].key)).map(|index| plan.job(index).needs.as_slice());
        let before = needs.unwrap_or_default().iter().filter_map(|need| last_of.get(plan.job(*need).id.as_str()));
        at = before.copied().max_by_key(|place| jobs[*place].finished_at);
    }
}
