//! The graph that `needs:` makes: every job can start some day, or the error says which wait keeps it from that.
//!
//! The order in which jobs run is not decided here (`plan`). Linear in jobs and needs. Follows
//! <https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions#jobsjob_idneeds>.

use std::collections::HashMap;

use super::checks::Checks;
use crate::diagnostic::suggest;
use crate::source::Span;

/// Suggestions compare with every job, so only the first few unknown names get one.
const SUGGESTIONS_MAX: usize = 10;

/// The longest cycle that a message names in full.
const CYCLE_SHOWN_MAX: usize = 20;

/// A job, as far as the graph sees it.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    /// Its id.
    pub(super) id: &'a str,
    /// Whom it waits for, as written, and where that is.
    pub(super) needs: Vec<(&'a str, Span)>,
}

/// Records what keeps jobs from starting. `jobs_span` is the value of `jobs:`.
pub(super) fn check(checks: &mut Checks<'_>, jobs: &[Waiting<'_>], jobs_span: Span) {
    let graph = Graph::new(jobs);
    if jobs.iter().all(|job| !job.needs.is_empty()) {
        let help = graph.cycles(&vec![true; jobs.len()]).into_iter().flatten().next();
        let message = "The workflow must contain at least one job with no dependencies.";
        checks.error_with_help(jobs_span, message, help.map(|cycle| format!("these wait for each other: {cycle}")));
        return;
    }
    let stuck = graph.stuck();
    let cycles = graph.cycles(&stuck);
    let mut suggestions = 0;
    for (index, job) in jobs.iter().enumerate().filter(|(index, _)| stuck[*index]) {
        for ((need, span), target) in job.needs.iter().zip(&graph.edges[index]) {
            match target {
                Some(target) if stuck[*target] => {
                    let message = format!(
                        "Job '{}' depends on job '{need}' which creates a cycle in the dependency graph.",
                        job.id
                    );
                    let help = cycles[*target].as_ref().map(|cycle| format!("these wait for each other: {cycle}"));
                    checks.error_with_help(*span, message, help);
                }
                Some(_) => {}
                None => {
                    suggestions += 1;
                    let near = if suggestions > SUGGESTIONS_MAX { None } else { graph.suggest(need) };
                    let message = format!("Job '{}' depends on unknown job '{need}'.", job.id);
                    checks.error_with_help(*span, message, near.map(|near| format!("did you mean `{near}`?")));
                }
            }
        }
    }
}

struct Graph<'a> {
    jobs: &'a [Waiting<'a>],
    /// By job, the jobs that its needs name; `None` for a name that no job has.
    edges: Vec<Vec<Option<usize>>>,
}

impl<'a> Graph<'a> {
    fn new(jobs: &'a [Waiting<'a>]) -> Self {
        let by_id: HashMap<String, usize> =
            jobs.iter().enumerate().map(|(index, job)| (job.id.to_ascii_lowercase(), index)).collect();
        let edges = jobs
            .iter()
            .map(|job| job.needs.iter().map(|(need, _)| by_id.get(&need.to_ascii_lowercase()).copied()).collect());
        Self { jobs, edges: edges.collect() }
    }

    /// By job, whether it can never start.
    fn stuck(&self) -> Vec<bool> {
        let mut open: Vec<usize> = self.edges.iter().map(Vec::len).collect();
        let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); self.jobs.len()];
        for (index, edges) in self.edges.iter().enumerate() {
            edges.iter().flatten().for_each(|target| waiting[*target].push(index));
        }
        let mut ready: Vec<usize> = (0..self.jobs.len()).filter(|index| open[*index] == 0).collect();
        while let Some(done) = ready.pop() {
            for index in &waiting[done] {
                open[*index] -= 1;
                if open[*index] == 0 {
                    ready.push(*index);
                }
            }
        }
        open.into_iter().map(|open| open > 0).collect()
    }

    /// By job, the cycle that one reaches from it by always following the first need that is stuck too. Every job is
    /// walked over once.
    fn cycles(&self, stuck: &[bool]) -> Vec<Option<String>> {
        let next = |index: usize| self.edges[index].iter().flatten().copied().find(|target| stuck[*target]);
        let mut found: Vec<Option<String>> = vec![None; self.jobs.len()];
        let mut walk_of: Vec<Option<usize>> = vec![None; self.jobs.len()];
        for start in (0..self.jobs.len()).filter(|index| stuck[*index]) {
            let mut path = Vec::new();
            let mut at = Some(start);
            while let Some(index) = at.filter(|index| walk_of[*index].is_none()) {
                walk_of[index] = Some(start);
                path.push(index);
                at = next(index);
            }
            let Some(end) = at else { continue };
            let cycle = match path.iter().position(|index| *index == end) {
                Some(position) if walk_of[end] == Some(start) => Some(self.show(&path[position..])),
                Some(_) | None => found[end].clone(),
            };
            for index in path {
                found[index].clone_from(&cycle);
            }
        }
        found
    }

    fn show(&self, cycle: &[usize]) -> String {
        let names = cycle.iter().take(CYCLE_SHOWN_MAX).map(|index| self.jobs[*index].id);
        let mut shown = names.collect::<Vec<_>>().join(" → ");
        if cycle.len() > CYCLE_SHOWN_MAX {
            shown.push_str(" → …");
        }
        if let Some(first) = cycle.first() {
            shown.push_str(" → ");
            shown.push_str(self.jobs[*first].id);
        }
        shown
    }

    fn suggest(&self, need: &str) -> Option<&'a str> {
        suggest(need, self.jobs.iter().map(|job| job.id))
    }
}
