//! Where to draw each job: an own layered layout, left to right, for SVG.
//!
//! A job's column is how many needs deep it lies. Within a column jobs are ordered by where their needs are
//! (barycentre, as Sugiyama's method does), and each is drawn as near to the middle of its needs as its neighbours
//! allow. A called workflow is laid out inside the box of the job that calls it. Linear but for the sorting.

use super::graph::{label, levels};
use super::{FrameIndex, JobIndex, Plan};

/// Sizes in pixels.
const CHARACTER_WIDTH: f64 = 7.5;
const LABEL_CHARACTERS_MAX: usize = 40;
const NODE_WIDTH_MIN: f64 = 80.0;
const NODE_HEIGHT: f64 = 36.0;
const PADDING: f64 = 16.0;
const COLUMN_GAP: f64 = 48.0;
const ROW_GAP: f64 = 14.0;
/// How often the order within columns is improved.
const SWEEPS: usize = 4;

/// A drawing.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Layout {
    /// Width of the whole in pixels.
    pub width: f64,
    /// Height of the whole in pixels.
    pub height: f64,
    /// The boxes; one that holds others comes before them.
    pub nodes: Vec<Node>,
    /// The needs.
    pub edges: Vec<Edge>,
}

/// A box. Pixels from the top left.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Node {
    /// The job.
    pub job: JobIndex,
    /// Left.
    pub x: f64,
    /// Top.
    pub y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
    /// Its text, at most 40 characters.
    pub label: String,
    /// Whether it is the box around a called workflow.
    pub is_group: bool,
    /// Whether the job is known not to run.
    pub is_skipped: bool,
}

/// A line from the right of one box to the left of another.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Edge {
    /// The job that is needed.
    pub from: JobIndex,
    /// The job that needs it.
    pub to: JobIndex,
    /// Start.
    pub start: (f64, f64),
    /// End.
    pub end: (f64, f64),
}

/// Lays out a plan.
#[must_use]
pub fn layout(plan: &Plan) -> Layout {
    let Block { width, height, nodes } = frame(plan, FrameIndex(0));
    let mut boxes: Vec<Option<usize>> = vec![None; plan.jobs.len()];
    nodes.iter().enumerate().for_each(|(place, node)| boxes[node.job.0 as usize] = Some(place));
    let mut edges = Vec::new();
    for (to, job) in plan.indexed() {
        for from in &job.needs {
            if let (Some(left), Some(right)) = (boxes[from.0 as usize], boxes[to.0 as usize]) {
                let (left, right) = (&nodes[left], &nodes[right]);
                let start = (left.x + left.w, left.y + left.h / 2.0);
                edges.push(Edge { from: *from, to, start, end: (right.x, right.y + right.h / 2.0) });
            }
        }
    }
    Layout { width, height, nodes, edges }
}

/// Boxes that are placed among themselves.
struct Block {
    width: f64,
    height: f64,
    nodes: Vec<Node>,
}

fn frame(plan: &Plan, frame_index: FrameIndex) -> Block {
    let columns = ordered(plan, levels(plan, frame_index));
    let mut middles: Vec<f64> = vec![0.0; plan.jobs.len()];
    let (mut nodes, mut x, mut height) = (Vec::new(), PADDING, 0.0_f64);
    for column in columns {
        let blocks: Vec<Block> = column.iter().map(|index| block(plan, *index)).collect();
        let width = blocks.iter().map(|block| block.width).fold(0.0, f64::max);
        let mut y = PADDING;
        for (index, mut inner) in column.into_iter().zip(blocks) {
            let needs = &plan.job(index).needs;
            if !needs.is_empty() {
                let wanted = needs.iter().map(|need| middles[need.0 as usize]).sum::<f64>() / count(needs.len());
                y = y.max(wanted - inner.height / 2.0);
            }
            if let Some(outer) = inner.nodes.first_mut() {
                outer.w = width;
            }
            middles[index.0 as usize] = y + inner.height / 2.0;
            nodes.extend(inner.nodes.into_iter().map(|node| Node { x: node.x + x, y: node.y + y, ..node }));
            y += inner.height + ROW_GAP;
        }
        height = height.max(y - ROW_GAP);
        x += width + COLUMN_GAP;
    }
    Block { width: (x - COLUMN_GAP + PADDING).max(2.0 * PADDING), height: height + PADDING, nodes }
}

/// One job: a box, or a box around the workflow that it calls.
fn block(plan: &Plan, index: JobIndex) -> Block {
    let job = plan.job(index);
    let full = label(plan, index);
    let text = if full.chars().count() > LABEL_CHARACTERS_MAX {
        full.chars().take(LABEL_CHARACTERS_MAX - 1).chain(['…']).collect()
    } else {
        full
    };
    let own_width = (count(text.chars().count()) * CHARACTER_WIDTH + 2.0 * PADDING).max(NODE_WIDTH_MIN);
    let inner = job.calls.map(|called| frame(plan, called));
    let (width, height) = match &inner {
        None => (own_width, NODE_HEIGHT),
        Some(inner) => (inner.width.max(own_width), inner.height + NODE_HEIGHT - PADDING / 2.0),
    };
    let outer = Node {
        job: index,
        x: 0.0,
        y: 0.0,
        w: width,
        h: height,
        label: text,
        is_group: inner.is_some(),
        is_skipped: job.prediction.is_skipped(),
    };
    let below = NODE_HEIGHT - PADDING / 2.0;
    let inner_nodes = inner.into_iter().flat_map(|inner| inner.nodes).map(|node| Node { y: node.y + below, ..node });
    Block { width, height, nodes: std::iter::once(outer).chain(inner_nodes).collect() }
}

/// Columns with few crossings: forwards by the places of needs, backwards by those of dependents.
fn ordered(plan: &Plan, mut columns: Vec<Vec<JobIndex>>) -> Vec<Vec<JobIndex>> {
    let mut places: Vec<f64> = vec![0.0; plan.jobs.len()];
    let remember = |column: &[JobIndex], places: &mut Vec<f64>| {
        // The place in its column, between 0 and 1, so that columns of different lengths compare.
        let length = count(column.len());
        column.iter().enumerate().for_each(|(row, index)| places[index.0 as usize] = (count(row) + 0.5) / length);
    };
    columns.iter().for_each(|column| remember(column, &mut places));
    for sweep in 0..SWEEPS {
        let forwards = sweep % 2 == 0;
        for step in 0..columns.len() {
            let column = if forwards { step } else { columns.len() - 1 - step };
            let wanted = |index: &JobIndex| {
                let job = plan.job(*index);
                let others = if forwards { &job.needs } else { &job.dependents };
                let sum: f64 = others.iter().map(|other| places[other.0 as usize]).sum();
                if others.is_empty() { places[index.0 as usize] } else { sum / count(others.len()) }
            };
            let mut sorted: Vec<(f64, JobIndex)> =
                columns[column].iter().map(|index| (wanted(index), *index)).collect();
            sorted.sort_by(|left, right| left.0.total_cmp(&right.0));
            columns[column] = sorted.into_iter().map(|(_, index)| index).collect();
            remember(&columns[column], &mut places);
        }
    }
    columns
}

/// As a number to calculate with.
fn count(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
