//! `needs` as a graph: places instead of names, and an order in which everything needed comes first.
//!
//! Linear in jobs and needs but for a heap that keeps file order among jobs that are ready together.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::{JobIndex, Plan};
use crate::diagnostic::{Code, Diagnostic, suggest};
use crate::model::Job;

/// A need that no job has.
pub(super) const UNKNOWN_NEED: Code = Code("P0511");
/// Jobs that wait for each other.
pub const CYCLE: Code = Code("P0512");
/// The longest cycle that a message names in full.
const CYCLE_SHOWN_MAX: usize = 20;

/// The needs of the jobs of one workflow as places in it.
pub(super) fn resolve(jobs: &[&Job]) -> Result<Vec<Vec<usize>>, Vec<Diagnostic>> {
    let places: HashMap<String, usize> =
        jobs.iter().enumerate().map(|(place, job)| (job.id.value.as_str().to_ascii_lowercase(), place)).collect();
    let mut unknown = Vec::new();
    let mut needs = Vec::with_capacity(jobs.len());
    for job in jobs {
        let mut resolved: Vec<usize> = Vec::with_capacity(job.needs.len());
        for need in &job.needs {
            match places.get(&need.value.as_str().to_ascii_lowercase()) {
                Some(place) if resolved.contains(place) => {}
                Some(place) => resolved.push(*place),
                None => {
                    let message = format!("job `{}` needs `{}`, which is no job", job.id.value, need.value);
                    let near = suggest(need.value.as_str(), jobs.iter().map(|job| job.id.value.as_str()));
                    let found = Diagnostic::error(UNKNOWN_NEED, need.span, message);
                    unknown.push(match near {
                        Some(near) => found.help(format!("did you mean `{near}`?")),
                        None => found,
                    });
                }
            }
        }
        needs.push(resolved);
    }
    if unknown.is_empty() { Ok(needs) } else { Err(unknown) }
}

/// The jobs of one workflow, each after those that it needs; else in file order.
pub(super) fn sort(jobs: &[&Job], needs: &[Vec<usize>]) -> Result<Vec<usize>, Vec<Diagnostic>> {
    let mut waiting: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); needs.len()];
    for (place, needed) in needs.iter().enumerate() {
        needed.iter().for_each(|other| dependents[*other].push(place));
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..needs.len()).filter(|place| waiting[*place] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(needs.len());
    while let Some(Reverse(place)) = ready.pop() {
        order.push(place);
        for dependent in &dependents[place] {
            waiting[*dependent] -= 1;
            if waiting[*dependent] == 0 {
                ready.push(Reverse(*dependent));
            }
        }
    }
    if order.len() == needs.len() { Ok(order) } else { Err(vec![cycle(jobs, needs, &waiting)]) }
}

/// The first cycle that one meets by following, from the first job that can never start, needs that can never end.
fn cycle(jobs: &[&Job], needs: &[Vec<usize>], waiting: &[usize]) -> Diagnostic {
    let next = |place: usize| needs[place].iter().copied().find(|need| waiting[*need] > 0);
    let mut step_of: Vec<Option<usize>> = vec![None; needs.len()];
    let mut path = Vec::new();
    let mut at = waiting.iter().position(|count| *count > 0);
    while let Some(place) = at.filter(|place| step_of[*place].is_none()) {
        step_of[place] = Some(path.len());
        path.push(place);
        at = next(place);
    }
    let start = at.and_then(|place| step_of[place]).unwrap_or(0);
    let round = &path[start..];
    let id = |place: &usize| jobs[*place].id.value.as_str();
    let mut names: Vec<&str> = round.iter().take(CYCLE_SHOWN_MAX).map(id).collect();
    if round.len() > CYCLE_SHOWN_MAX {
        names.push("…");
    }
    names.extend(round.first().map(id));
    let first = jobs[round[0]];
    let second = round.get(1).copied().unwrap_or(round[0]);
    let need = first.needs.iter().find(|need| need.value.as_str().eq_ignore_ascii_case(id(&second)));
    let span = need.map_or(first.id.span, |need| need.span);
    Diagnostic::error(CYCLE, span, format!("jobs wait for each other: {}", names.join(" → ")))
        .help("take one of these needs away")
}

impl Plan {
    /// How many needs deep each job lies in its workflow: 0 for one that needs nothing.
    pub(super) fn depths(&self) -> Vec<usize> {
        let mut depths = vec![0; self.jobs.len()];
        for index in &self.order {
            let needed = self.job(*index).needs.iter().map(|JobIndex(need)| depths[*need as usize] + 1).max();
            depths[index.0 as usize] = needed.unwrap_or(0);
        }
        depths
    }
}
