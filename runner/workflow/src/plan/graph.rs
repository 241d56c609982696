//! The graph of a plan as text: by levels, for mermaid, for Graphviz.
//!
//! Legs of a static matrix are one node with their number. Follows <https://mermaid.js.org/syntax/flowchart.html> and
//! <https://graphviz.org/doc/info/lang.html>.

use std::fmt::Write as _;

use super::{FrameIndex, JobIndex, Plan, PlannedLegs};

/// The jobs of the workflow itself by how many needs deep they lie; jobs of one level may run at once. File order
/// within a level. Jobs of called workflows are below their callers ([`Plan::frame`]).
#[must_use]
pub fn levels(plan: &Plan, frame: FrameIndex) -> Vec<Vec<JobIndex>> {
    let depths = plan.depths();
    let mut levels: Vec<Vec<JobIndex>> = Vec::new();
    for index in &plan.frame(frame).jobs {
        let depth = depths[index.0 as usize];
        if levels.len() <= depth {
            levels.resize_with(depth + 1, Vec::new);
        }
        levels[depth].push(*index);
    }
    levels
}

/// The text of a node: the job's own name, with the number of its legs.
pub(super) fn label(plan: &Plan, index: JobIndex) -> String {
    let job = plan.job(index);
    let name = job.name.as_deref().unwrap_or_else(|| job.job.id.value.as_str());
    match &job.legs {
        PlannedLegs::Single => name.to_owned(),
        PlannedLegs::Static(legs) => format!("{name} × {}", legs.legs.len()),
        PlannedLegs::Dynamic => format!("{name} × ?"),
    }
}

/// A mermaid flowchart. Called workflows are subgraphs; skipped jobs have the class `skipped`.
#[must_use]
pub fn mermaid(plan: &Plan) -> String {
    let mut text = String::from("flowchart LR\n");
    mermaid_frame(plan, FrameIndex(0), 1, &mut text);
    edges(plan, |from, to| writeln!(text, "  j{from} --> j{to}"));
    if plan.jobs.iter().any(|job| job.prediction.is_skipped()) {
        text.push_str("  classDef skipped stroke-dasharray: 4 4,opacity: 0.6\n");
    }
    text
}

fn mermaid_frame(plan: &Plan, frame: FrameIndex, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    for index in &plan.frame(frame).jobs {
        let job = plan.job(*index);
        let label = label(plan, *index).replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
        let class = if job.prediction.is_skipped() { ":::skipped" } else { "" };
        let written = match job.calls {
            None => writeln!(text, "{indent}j{}[\"{label}\"]{class}", index.0),
            Some(_) => writeln!(text, "{indent}subgraph j{}[\"{label}\"]", index.0),
        };
        written.expect("writing to a String cannot fail");
        if let Some(called) = job.calls {
            mermaid_frame(plan, called, depth + 1, text);
            writeln!(text, "{indent}end").expect("writing to a String cannot fail");
        }
    }
}

/// A Graphviz digraph. Called workflows are clusters.
#[must_use]
pub fn dot(plan: &Plan) -> String {
    let mut text =
        String::from("digraph workflow {\n  rankdir=LR;\n  compound=true;\n  node [shape=box, style=rounded];\n");
    dot_frame(plan, FrameIndex(0), 1, &mut text);
    edges(plan, |from, to| writeln!(text, "  j{from} -> j{to};"));
    text.push_str("}\n");
    text
}

fn dot_frame(plan: &Plan, frame: FrameIndex, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    for index in &plan.frame(frame).jobs {
        let job = plan.job(*index);
        let label = label(plan, *index).replace('\\', "\\\\").replace('"', "\\\"");
        let style = if job.prediction.is_skipped() { ", style=\"rounded,dashed\"" } else { "" };
        let node = format!("j{} [label=\"{label}\"{style}];", index.0);
        match job.calls {
            None => writeln!(text, "{indent}{node}"),
            Some(_) => writeln!(text, "{indent}subgraph cluster_{} {{\n{indent}  {node}", index.0),
        }
        .expect("writing to a String cannot fail");
        if let Some(called) = job.calls {
            dot_frame(plan, called, depth + 1, text);
            writeln!(text, "{indent}}}").expect("writing to a String cannot fail");
        }
    }
}

fn edges(plan: &Plan, mut edge: impl FnMut(u32, u32) -> std::fmt::Result) {
    for (index, job) in plan.indexed() {
        for need in &job.needs {
            edge(need.0, index.0).expect("writing to a String cannot fail");
        }
    }
}
