//! `needs`: names of jobs that are none, and jobs that wait for each other, each circle once.
//!
//! GitHub reports every job that a circle or an unknown name keeps from starting; here only the causes are told. Linear in
//! jobs and needs.

use std::collections::HashMap;

use super::visit::Visit;
use crate::diagnostic::{Code, Diagnostic, suggest};
use crate::model::Job;

/// As in plans.
const UNKNOWN_NEED: Code = Code("P0511");
/// As in plans.
const CYCLE: Code = Code("P0512");
/// Suggestions compare with every job, so only the first few unknown names get one.
const SUGGESTIONS_MAX: usize = 20;
/// The longest circle that a message names in full.
const CYCLE_SHOWN_MAX: usize = 20;

/// Whether an error of GitHub's reader is about what is checked here.
pub(super) fn covers(message: &str) -> bool {
    (message.starts_with("Job '") && message.contains("' depends on "))
        || message.starts_with("The workflow must contain at least one job with no dependencies")
}

pub(super) fn check(visit: &mut Visit<'_>) {
    let jobs: Vec<&Job> = visit.workflow.jobs.values().collect();
    let by_id: HashMap<String, usize> =
        jobs.iter().enumerate().map(|(index, job)| (job.id.value.as_str().to_ascii_lowercase(), index)).collect();
    let mut edges: Vec<Vec<usize>> = Vec::with_capacity(jobs.len());
    let mut suggestions = 0;
    for job in &jobs {
        let mut known = Vec::with_capacity(job.needs.len());
        for need in &job.needs {
            if let Some(index) = by_id.get(&need.value.as_str().to_ascii_lowercase()) {
                known.push(*index);
                continue;
            }
            if need.value.as_str().is_empty() {
                continue;
            }
            suggestions += 1;
            let others = jobs.iter().map(|other| other.id.value.as_str()).filter(|id| *id != job.id.value.as_str());
            let near = if suggestions > SUGGESTIONS_MAX { None } else { suggest(need.value.as_str(), others) };
            let message = format!("job `{}` needs `{}`, which is no job", job.id.value, need.value);
            let mut found = Diagnostic::error(UNKNOWN_NEED, need.span, message);
            found.github = Some(format!("Job '{}' depends on unknown job '{}'.", job.id.value, need.value));
            let there = near.and_then(|near| visit.workflow.jobs.get(near));
            if let Some(there) = there {
                found = found.related(there.id.span, "this job has a similar name");
            }
            visit.diagnostics.push(found.did_you_mean(near));
        }
        edges.push(known);
    }
    for cycle in cycles(&edges) {
        visit.diagnostics.push(tell(&jobs, &cycle));
    }
}

fn tell(jobs: &[&Job], cycle: &[usize]) -> Diagnostic {
    let first = cycle.iter().enumerate().min_by_key(|(_, job)| **job).map_or(0, |(at, _)| at);
    let round: Vec<usize> = cycle[first..].iter().chain(&cycle[..first]).copied().collect();
    let id = |job: usize| jobs[job].id.value.as_str();
    let mut names: Vec<&str> = round.iter().take(CYCLE_SHOWN_MAX).map(|job| id(*job)).collect();
    if round.len() > CYCLE_SHOWN_MAX {
        names.push("…");
    }
    names.push(id(round[0]));
    let from = jobs[round[0]];
    let to = round.get(1).copied().unwrap_or(round[0]);
    let need = from.needs.iter().find(|need| need.value.as_str().eq_ignore_ascii_case(id(to)));
    let span = need.map_or(from.id.span, |need| need.span);
    let message = if round.len() == 1 {
        format!("job `{}` needs itself", id(round[0]))
    } else {
        format!("jobs wait for each other: {}", names.join(" → "))
    };
    let mut found = Diagnostic::error(CYCLE, span, message).help("take one of these `needs` away");
    found.github = Some("The workflow must contain at least one job with no dependencies.".to_owned());
    for job in round.iter().skip(1).take(CYCLE_SHOWN_MAX) {
        found = found.related(jobs[*job].id.span, "part of the circle");
    }
    found
}

/// Circles that share no job: one for each knot of jobs that wait for each other.
fn cycles(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    // 0 not seen, 1 on the path, 2 done
    let mut state = vec![0_u8; edges.len()];
    let mut in_cycle = vec![false; edges.len()];
    let mut found: Vec<Vec<usize>> = Vec::new();
    for start in 0..edges.len() {
        if state[start] != 0 {
            continue;
        }
        let mut path: Vec<(usize, usize)> = vec![(start, 0)];
        state[start] = 1;
        while let Some((job, next)) = path.last_mut() {
            let Some(target) = edges[*job].get(*next).copied() else {
                state[*job] = 2;
                path.pop();
                continue;
            };
            *next += 1;
            match state[target] {
                0 => {
                    state[target] = 1;
                    path.push((target, 0));
                }
                1 => {
                    let from = path.iter().rposition(|(job, _)| *job == target).unwrap_or(0);
                    let round: Vec<usize> = path[from..].iter().map(|(job, _)| *job).collect();
                    if !round.iter().any(|job| in_cycle[*job]) {
                        round.iter().for_each(|job| in_cycle[*job] = true);
                        found.push(round);
                    }
                }
                _ => {}
            }
        }
    }
    found
}
