//! The checks of a run: one a job run, one for each job without any, one for a workflow that cannot be run.

use jiff::Timestamp;
use workflow::command::{Annotation, AnnotationLevel};
use workflow::run::{CancelReason, Conclusion, JobPath, JobRun, JobRunKey, SkipReason, StepResult};

use super::{Course, JobFindings, Problem};
use crate::github::annotation::{ANNOTATIONS_MAX, check_annotation};
use crate::github::report::{CheckAnnotation, CheckConclusion, CheckReport, CheckStatus, Report};
use crate::github::text::{MARKDOWN_BYTES_MAX, NAME_CHARS_MAX, code, cut_bytes, cut_chars};

impl Course {
    /// How a job run is found again.
    pub(super) fn external_id(&self, job: &dyn std::fmt::Display) -> String {
        format!("{}/{}/{job}", self.about.run, self.about.attempt)
    }

    /// The job's page.
    pub(crate) fn job_url(&self, job: &dyn std::fmt::Display) -> Option<String> {
        let anchor: String = job.to_string().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        self.about.url.as_ref().map(|url| format!("{url}#{anchor}"))
    }

    fn check_name(&self, job: &str) -> String {
        let event = &self.about.event;
        cut_chars(&format!("{} / {job} ({event})", self.about.workflow), NAME_CHARS_MAX)
    }

    /// The check of one job run; calls of workflows have none, their jobs have.
    pub(super) fn check(
        &self,
        key: &JobRunKey,
        status: CheckStatus,
        at: Timestamp,
        findings: &JobFindings,
    ) -> Option<Report> {
        let run = self.run.as_ref()?;
        run.steps_job(&key.job)?;
        let job = run.job_run(key)?;
        let started = match status {
            CheckStatus::InProgress => Some(at),
            CheckStatus::Queued | CheckStatus::Completed => None,
        };
        let mut check = CheckReport {
            name: self.check_name(&job.leg.name),
            external_id: self.external_id(key),
            status,
            conclusion: None,
            started_at: started.map(|at| at.to_string()),
            completed_at: None,
            details_url: self.job_url(key),
            title: if status == CheckStatus::Queued { "Queued".to_owned() } else { "In progress".to_owned() },
            summary: String::new(),
            annotations: Vec::new(),
        };
        if let (CheckStatus::Completed, Some(conclusion)) = (status, job.conclusion()) {
            check.conclusion = Some(check_conclusion(conclusion, job));
            check.completed_at = Some(at.to_string());
            check.title = cut_chars(&job_title(conclusion, job), NAME_CHARS_MAX);
            check.summary = self.summary(job, findings);
            check.annotations = self.annotations(findings);
        }
        Some(Report::Check(Box::new(check)))
    }

    fn annotations(&self, findings: &JobFindings) -> Vec<CheckAnnotation> {
        let annotations = findings.annotations.iter().take(ANNOTATIONS_MAX);
        annotations.map(|annotation| check_annotation(annotation, &self.about.repository)).collect()
    }

    /// What failed, and what the steps wrote.
    fn summary(&self, job: &JobRun, findings: &JobFindings) -> String {
        let mut text = String::new();
        if let Some(message) = &job.message {
            text.push_str(&format!("{}\n\n", code(message)));
        }
        for step in job.steps.values() {
            let Some((_, result)) = &step.finished else { continue };
            if result.outcome != Conclusion::Failure {
                continue;
            }
            let why = match (&result.message, result.exit_code) {
                (Some(message), _) => format!(": {}", code(message)),
                (None, Some(exit_code)) => format!(" with exit code {exit_code}"),
                (None, None) => String::new(),
            };
            text.push_str(&format!("- step {} failed{why}\n", code(&step.name)));
        }
        if !self.about.from_fork && !findings.summary.trim().is_empty() {
            text.push_str(&format!("\n{}\n", findings.summary.trim()));
        }
        let note = "\n\n(cut; the whole summary is on the page of the run)";
        cut_bytes(text.trim(), MARKDOWN_BYTES_MAX, note)
    }

    pub(super) fn skipped(&self, job: &JobPath, reason: &SkipReason, at: Timestamp) -> Option<Report> {
        let (conclusion, title) = match reason {
            SkipReason::NotSelected => return None,
            SkipReason::Cancelled => (CheckConclusion::Cancelled, "Cancelled before it began".to_owned()),
            SkipReason::Condition { .. } => (CheckConclusion::Skipped, "Skipped: its condition was false".to_owned()),
            SkipReason::Needs { job, result } => {
                (CheckConclusion::Skipped, format!("Skipped: {job} ended as {}", result.word()))
            }
            SkipReason::EmptyMatrix => (CheckConclusion::Skipped, "Skipped: its matrix is empty".to_owned()),
        };
        Some(self.job_without_legs(job, conclusion, &title, at))
    }

    pub(super) fn job_without_legs(
        &self,
        job: &JobPath,
        conclusion: CheckConclusion,
        title: &str,
        at: Timestamp,
    ) -> Report {
        let written = self.run.as_ref().and_then(|run| run.job(job)?.name.as_ref()?.literal_text());
        let own = written.map_or_else(|| job.id().to_owned(), |name| name.to_string());
        let caller = job.parent().and_then(|key| Some(self.run.as_ref()?.job_run(&key)?.leg.name.clone()));
        let name = caller.map_or_else(|| own.clone(), |caller| format!("{caller} / {own}"));
        Report::Check(Box::new(CheckReport {
            name: self.check_name(&name),
            external_id: self.external_id(job),
            status: CheckStatus::Completed,
            conclusion: Some(conclusion),
            started_at: None,
            completed_at: Some(at.to_string()),
            details_url: self.job_url(job),
            title: cut_chars(title, NAME_CHARS_MAX),
            summary: String::new(),
            annotations: Vec::new(),
        }))
    }

    /// The check of a run that could not begin.
    pub(super) fn problem_check(&self, at: Timestamp) -> Report {
        let annotation = |problem: &Problem| {
            let mut annotation = Annotation::new(AnnotationLevel::Error, problem.message.clone());
            if let Some((path, line)) = &problem.place {
                (annotation.file, annotation.line) = (Some(path.clone()), Some(*line));
            }
            check_annotation(&annotation, &self.about.repository)
        };
        let texts = self.about.problems.iter().map(|problem| problem.message.replace("```", "'''"));
        let summary = format!("```text\n{}\n```", texts.collect::<Vec<_>>().join("\n\n"));
        Report::Check(Box::new(CheckReport {
            name: self.context(),
            external_id: self.external_id(&"workflow"),
            status: CheckStatus::Completed,
            conclusion: Some(CheckConclusion::Failure),
            started_at: None,
            completed_at: Some(at.to_string()),
            details_url: self.about.url.clone(),
            title: "The workflow cannot be run".to_owned(),
            summary: cut_bytes(&summary, MARKDOWN_BYTES_MAX, "\n```"),
            annotations: self.about.problems.iter().take(ANNOTATIONS_MAX).map(annotation).collect(),
        }))
    }
}

fn check_conclusion(conclusion: Conclusion, job: &JobRun) -> CheckConclusion {
    match (conclusion, &job.cancel) {
        (Conclusion::Success, _) => CheckConclusion::Success,
        (Conclusion::Skipped, _) => CheckConclusion::Skipped,
        (Conclusion::Failure | Conclusion::Cancelled, Some((CancelReason::Timeout { .. }, _))) => {
            CheckConclusion::TimedOut
        }
        (Conclusion::Failure, _) => CheckConclusion::Failure,
        (Conclusion::Cancelled, _) => CheckConclusion::Cancelled,
    }
}

fn job_title(conclusion: Conclusion, job: &JobRun) -> String {
    let failed_step = || {
        let failed = |result: &StepResult| result.conclusion == Conclusion::Failure;
        job.steps.values().find(|step| step.finished.as_ref().is_some_and(|(_, result)| failed(result)))
    };
    match conclusion {
        Conclusion::Success => "Successful".to_owned(),
        Conclusion::Skipped => "Skipped".to_owned(),
        Conclusion::Cancelled => match job.cancel.as_ref().map(|(reason, _)| reason) {
            Some(CancelReason::FailFast { leg }) => format!("Cancelled since {leg} failed"),
            Some(CancelReason::Run { by }) => format!("Cancelled by {by}"),
            Some(CancelReason::Group { group, superseded_by: None }) => {
                format!("Cancelled by something newer in the group {group}")
            }
            Some(CancelReason::Group { group, superseded_by: Some(run) }) => {
                format!("Superseded by run {run} in the group {group}")
            }
            Some(CancelReason::Timeout { limit_ms }) => format!("Took longer than {} minutes", limit_ms / 60_000),
            None => "Cancelled".to_owned(),
        },
        Conclusion::Failure => match (failed_step(), &job.message) {
            (Some(step), _) => format!("Failed in the step {}", step.name),
            (None, Some(message)) => format!("Failed: {}", message.lines().next().unwrap_or_default()),
            (None, None) => "Failed".to_owned(),
        },
    }
}
