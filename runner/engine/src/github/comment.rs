//! The comment on a pull request: how a run stands, one table.

use workflow::run::{Conclusion, JobPath, JobRunStatus, JobState, JobStatus, Run, SkipReason};

use super::course::About;
use super::report::{Comment, CommentReport};
use super::text::{MARKDOWN_BYTES_MAX, cell, code, cut_bytes};

/// Most rows; the page of the run has the others.
const ROWS_MAX: usize = 100;

/// The comment as it should read now. `end`: how the run ended and how long it took.
pub(super) fn comment(
    number: u64,
    about: &About,
    run: Option<&Run>,
    end: Option<(Conclusion, String)>,
) -> CommentReport {
    let marker = format!("<!-- pipe: run {} attempt {} of {} -->", about.run, about.attempt, about.repository);
    let head = match &end {
        None => "is in progress".to_owned(),
        Some((Conclusion::Success, took)) => format!("succeeded in {took}"),
        Some((Conclusion::Failure, took)) => format!("failed after {took}"),
        Some((Conclusion::Cancelled, took)) => format!("was cancelled after {took}"),
        Some((Conclusion::Skipped, _)) => "was skipped".to_owned(),
    };
    let title = match &about.url {
        Some(url) => format!("[Run {}]({url})", about.run),
        None => format!("Run {}", about.run),
    };
    let commit = about.commit.get(..7).unwrap_or(&about.commit);
    let mut body = format!("{marker}\n**{title}** of {} for {} {head}.\n", code(&about.workflow), code(commit));
    let rows: Vec<String> =
        run.iter().flat_map(|run| run.jobs.iter().flat_map(|(path, job)| rows(run, path, job))).collect();
    if !rows.is_empty() {
        body.push_str("\n| job | |\n|---|---|\n");
        rows.iter().take(ROWS_MAX).for_each(|row| body.push_str(row));
        if rows.len() > ROWS_MAX {
            body.push_str(&format!("\n… and {} more\n", rows.len() - ROWS_MAX));
        }
    }
    for problem in &about.problems {
        body.push_str(&format!("- {}\n", code(problem.message.lines().next().unwrap_or_default())));
    }
    let body = cut_bytes(&body, MARKDOWN_BYTES_MAX, "\n…");
    CommentReport { number, comment: Comment { marker, body } }
}

fn rows(run: &Run, path: &JobPath, job: &JobState) -> Vec<String> {
    let row = |name: &str, words: &str| format!("| {} | {words} |\n", cell(name));
    match &job.status {
        JobStatus::Pending => vec![row(path.as_str(), "waiting")],
        JobStatus::Skipped(SkipReason::NotSelected) => Vec::new(),
        JobStatus::Skipped(_) => vec![row(path.as_str(), "skipped")],
        JobStatus::Refused(_) => vec![row(path.as_str(), "❌ not started")],
        // A call is shown by the jobs that it calls.
        JobStatus::Expanded if run.steps_job(path).is_none() => Vec::new(),
        JobStatus::Expanded => {
            let words = |status: &JobRunStatus| match status {
                JobRunStatus::Queued => "queued",
                JobRunStatus::InProgress { .. } => "in progress",
                JobRunStatus::Completed { conclusion: Conclusion::Success } => "✅ success",
                JobRunStatus::Completed { conclusion: Conclusion::Failure } => "❌ failure",
                JobRunStatus::Completed { conclusion: Conclusion::Cancelled } => "cancelled",
                JobRunStatus::Completed { conclusion: Conclusion::Skipped } => "skipped",
            };
            job.runs.iter().map(|run| row(&run.leg.name, words(&run.status))).collect()
        }
    }
}
