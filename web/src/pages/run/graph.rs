//! The graph of a run: crate `workflow` says where the boxes are, the jobs say what happened in them.
//!
//! A line is left out where a longer way says the same, so that what is drawn can be read.

use std::collections::BTreeSet;

use engine::store::RunId;
use serde::Serialize;
use workflow::plan::{JobIndex, Plan, layout};

use crate::pages::filters::{duration, plain};
use crate::pages::rollout::Shown;
use crate::pages::shown::ShownJob;

/// How bad each word is, the worst first: a box with many legs shows the worst.
const WORST: [&str; 7] = ["failure", "waiting", "in_progress", "queued", "cancelled", "success", "skipped"];

/// How far a split bar is from the sides of its box, and its upper edge from the box's lower one.
const SPLIT_INSET: f64 = 8.0;
const SPLIT_BELOW: f64 = 3.0;
/// What of a box is not for the text in its second line, and the width of a character there.
const BESIDE_INSET: f64 = 34.0;
const BESIDE_WIDTH: f64 = 5.8;

#[derive(Debug, Serialize)]
pub(super) struct Graph {
    width: f64,
    height: f64,
    nodes: Vec<Node>,
    lines: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Node {
    x: f64,
    y: f64,
    w: f64,
    h: f64,
    label: String,
    is_group: bool,
    word: String,
    /// How many legs are over, of how many; or how long it took.
    beside: String,
    link: String,
    /// How the traffic is split by a rollout of the job.
    split: Option<Split>,
}

/// A bar at the lower edge of a box.
#[derive(Debug, Serialize)]
struct Split {
    x: f64,
    y: f64,
    blue: f64,
    green: f64,
}

impl Split {
    fn of(rollout: &Shown, node: &workflow::plan::Node) -> Self {
        let whole = node.w - 2.0 * SPLIT_INSET;
        let green = whole * f64::from(rollout.share.green) / 1_000.0;
        Self { x: node.x + SPLIT_INSET, y: node.y + node.h - SPLIT_BELOW, blue: whole - green, green }
    }
}

#[derive(Debug, Serialize)]
struct Line {
    path: String,
    is_critical: bool,
}

/// The id in the plan of what a job run is one of: `a(0)/b(12)` is of `a/b`.
pub(crate) fn planned_id(key: &str) -> String {
    let segments = key.split('/').map(|segment| segment.split_once('(').map_or(segment, |(id, _)| id));
    segments.collect::<Vec<_>>().join("/")
}

pub(super) fn draw(plan: &Plan, jobs: &[ShownJob], rollouts: &[Shown], run: RunId) -> Graph {
    let layout = layout(plan);
    let of = |index: JobIndex| {
        let id = plan.job(index).id.as_str();
        jobs.iter().filter(move |job| planned_id(&job.key) == id)
    };
    let node = |node: &workflow::plan::Node| {
        let legs: Vec<&ShownJob> = of(node.job).collect();
        let worst = WORST.into_iter().find(|word| legs.iter().any(|job| job.word == *word));
        let word = worst.unwrap_or(if node.is_skipped { "skipped" } else { "queued" }).to_owned();
        let (link, beside) = match legs.as_slice() {
            [] => (String::new(), String::new()),
            [job] if job.calls => (format!("#job-{}", job.link), String::new()),
            [job] => {
                let took = job.seconds.filter(|_| job.is_over).map(duration).unwrap_or_default();
                (format!("/runs/{run}/jobs/{}", job.link), took)
            }
            [first, ..] => {
                let failed = legs.iter().filter(|job| job.word == "failure").count();
                let over = legs.iter().filter(|job| job.is_over).count();
                let beside = if failed > 0 { format!("{failed} failed") } else { format!("{over}/{}", legs.len()) };
                (format!("#job-{}", first.link), beside)
            }
        };
        let label = plain(&node.label);
        // The newest: a job may roll out several services, one after the other.
        let rollout = rollouts.iter().rev().find(|rollout| legs.iter().any(|job| job.key == rollout.job()));
        let beside =
            rollout.map_or(beside, |rollout| rollout.beside(((node.w - BESIDE_INSET) / BESIDE_WIDTH) as usize));
        let split = rollout.filter(|_| !node.is_group).map(|rollout| Split::of(rollout, node));
        Node { split, x: node.x, y: node.y, w: node.w, h: node.h, label, is_group: node.is_group, word, beside, link }
    };
    let critical = |index: JobIndex| of(index).any(|job| job.is_critical);
    let redundant = redundant(plan);
    let lines = layout.edges.iter().filter(|edge| !redundant.contains(&(edge.from, edge.to))).map(|edge| {
        let ((x, y), (to_x, to_y)) = (edge.start, edge.end);
        // Round corners near the target, so that lines of one source lie on each other.
        let half = (to_x - x) / 2.0;
        let path = format!("M{x} {y}C{} {y} {} {to_y} {to_x} {to_y}", x + half, to_x - half);
        Line { path, is_critical: critical(edge.from) && critical(edge.to) }
    });
    Graph {
        width: layout.width,
        height: layout.height,
        nodes: layout.nodes.iter().map(node).collect(),
        lines: lines.collect(),
    }
}

/// Needs that another need needs already, by whatever way.
fn redundant(plan: &Plan) -> BTreeSet<(JobIndex, JobIndex)> {
    let mut before: Vec<BTreeSet<JobIndex>> = vec![BTreeSet::new(); plan.jobs.len()];
    let mut redundant = BTreeSet::new();
    // In this order what a job needs comes before it.
    for index in &plan.order {
        let needs = &plan.job(*index).needs;
        let through: BTreeSet<JobIndex> =
            needs.iter().flat_map(|need| before[need.0 as usize].iter().copied()).collect();
        redundant.extend(needs.iter().filter(|need| through.contains(need)).map(|need| (*need, *index)));
        before[index.0 as usize] = through.into_iter().chain(needs.iter().copied()).collect();
    }
    redundant
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_runs_belong_to_planned_jobs() {
        for (key, expected) in [("build", "build"), ("test(3)", "test"), ("a(0)/b(12)", "a/b"), ("a/b", "a/b")] {
            assert_eq!(planned_id(key), expected);
        }
    }
}
