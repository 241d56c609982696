//! Whether a job will run, as far as that is known before the run.
//!
//! Conditions are judged with three values: true, false, not known. A job that needs a skipped one is skipped too,
//! unless its condition says otherwise.

use super::known::Statuses;
use super::{JobIndex, Known};
use crate::expression::{Allowed, Expression, Node, NodeKind};
use crate::model::{Job, JobId};

/// What is known of a job's fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prediction {
    /// It runs, if nothing that it needs fails.
    Runs,
    /// It depends on what happens in the run.
    Depends,
    /// `if` is false.
    Skipped {
        /// The part of the condition that is false, as written.
        part: String,
        /// The values in it, as `github.ref = 'refs/heads/x'`.
        values: Vec<String>,
    },
    /// Something that it needs, or its caller, is skipped.
    SkippedWith {
        /// The id in the whole plan.
        job: JobId,
    },
}

impl Prediction {
    /// Whether it is known not to run.
    #[must_use]
    pub const fn is_skipped(&self) -> bool {
        matches!(self, Self::Skipped { .. } | Self::SkippedWith { .. })
    }

    /// Why it is skipped, one sentence; none where it is not, or may not be.
    #[must_use]
    pub fn why_skipped(&self) -> Option<String> {
        match self {
            Self::Runs | Self::Depends => None,
            Self::Skipped { part, values } if values.is_empty() => Some(format!("`if` is false: `{part}`")),
            Self::Skipped { part, values } => Some(format!("`if` is false: `{part}` with {}", values.join(", "))),
            Self::SkippedWith { job } => Some(format!("`{job}` is skipped")),
        }
    }
}

/// What is known of a job's needs.
#[derive(Debug, Clone)]
pub(super) struct Before {
    /// Whether it has any.
    pub(super) any: bool,
    /// One, direct or through others, that is skipped.
    pub(super) skipped: Option<(JobIndex, JobId)>,
    /// Whether one, direct or through others, may be skipped though nothing fails, such as a job with `if: failure()`.
    pub(super) unsure: bool,
}

/// The fate of a job whose caller, if it has one, runs.
pub(super) fn predict(job: &Job, known: &Known, before: &Before) -> Prediction {
    // `success()` holds while nothing failed or was skipped: with needs that is not known before the run.
    let statuses = match (&before.skipped, before.any) {
        (Some(_), _) => Statuses { success: Some(false), ..Statuses::default() },
        (None, true) => Statuses::default(),
        (None, false) => Statuses { success: Some(true), failure: Some(false), cancelled: None },
    };
    let condition = &job.condition;
    match known.truth(condition, condition.root(), statuses) {
        Some(true) => Prediction::Runs,
        Some(false) => false_part(condition, known, before, statuses),
        None => {
            // That nothing fails is what "runs" promises only under.
            let success = statuses.success.or((!before.unsure).then_some(true));
            let hopeful = Statuses { success, failure: Some(false), cancelled: Some(false) };
            let truth = known.truth(condition, condition.root(), hopeful);
            if truth == Some(true) { Prediction::Runs } else { Prediction::Depends }
        }
    }
}

fn false_part(condition: &Expression, known: &Known, before: &Before, statuses: Statuses) -> Prediction {
    let mut node = condition.root();
    // Into the operand that is false, preferring one that is false whatever needs do.
    while let NodeKind::And(operands) = &node.kind {
        let is_false = |operand: &&Node, statuses| known.truth(condition, operand, statuses) == Some(false);
        let own = operands.iter().find(|operand| is_false(operand, Statuses::default()));
        match own.or_else(|| operands.iter().find(|operand| is_false(operand, statuses))) {
            Some(operand) => node = operand,
            None => break,
        }
    }
    let text = condition.text().get(node.span.clone()).unwrap_or("").trim();
    match (&before.skipped, known.truth(condition, node, Statuses::default())) {
        (Some((_, job)), None) => Prediction::SkippedWith { job: job.clone() },
        (_, _) => {
            let part = Expression::parse(text, &Allowed::ANYTHING);
            let values = part.map(|part| known.values(&part)).unwrap_or_default();
            Prediction::Skipped { part: text.to_owned(), values }
        }
    }
}
