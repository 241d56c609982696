//! What the steps of runs left to be shown: annotations and summaries, read from the files beside their logs.
//!
//! They are written while a step runs and stay as long as its log. All is masked; Markdown is as the step wrote it, and
//! whoever shows it must not trust it. Limits follow
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary>.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::Serialize;
use workflow::command::{Annotation, AnnotationLevel};
use workflow::run::{JobRunKey, StepIndex};

use super::RunId;
use crate::folders::Folders;
use crate::github::JobFindings;
use crate::job::{FindingsLine, findings_path, log_path, read_findings};

/// Most annotations of a job that are shown: errors first, then warnings.
pub const ANNOTATIONS_OF_JOB_MAX: usize = 50;
/// The same of a run.
pub const ANNOTATIONS_OF_RUN_MAX: usize = 1_000;
/// Most summaries of a job that are shown.
pub const SUMMARIES_OF_JOB_MAX: usize = 20;
/// Most Markdown of a run that is given at once.
pub const SUMMARIES_BYTES_MAX: usize = 8 << 20;
/// Longest file: 1 MiB of summary with each byte written as six, and 30 annotations.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// An annotation and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The job run.
    pub job: JobRunKey,
    /// The step; absent for the set-up and clean-up of the job.
    pub step: Option<StepIndex>,
    /// What was found, masked.
    pub annotation: Annotation,
}

/// What a step wrote to its summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The job run.
    pub job: JobRunKey,
    /// The step.
    pub step: StepIndex,
    /// Markdown, masked.
    pub markdown: String,
}

/// Annotations of a run, or of a job of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Annotations {
    /// By job and step.
    pub annotations: Vec<Found>,
    /// How many more there were; they are in the logs.
    pub more: u64,
}

/// What one log has beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfLog {
    /// In the order in which they came.
    pub annotations: Vec<Annotation>,
    /// Markdown.
    pub summary: Option<String>,
    /// Annotations that were not kept.
    pub more: u64,
}

/// What the runs of a folder left. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Findings {
    folders: Folders,
}

impl Findings {
    /// Those of these folders.
    #[must_use]
    pub const fn of(folders: Folders) -> Self {
        Self { folders }
    }

    /// Annotations of a run, also while it goes on. A run without any, and one whose logs are gone, has none.
    pub async fn annotations(&self, run: RunId) -> Annotations {
        let folder = self.folders.logs(run);
        blocking(move || {
            let mut all = Annotations::default();
            for job in jobs(&folder) {
                let of_job = chosen(&folder, &job);
                all.more += of_job.more;
                all.annotations.extend(of_job.annotations);
            }
            let over = all.annotations.len().saturating_sub(ANNOTATIONS_OF_RUN_MAX);
            all.annotations.truncate(ANNOTATIONS_OF_RUN_MAX);
            all.more += over as u64;
            all
        })
        .await
    }

    /// Annotations of one job run.
    pub async fn annotations_of(&self, run: RunId, key: &JobRunKey) -> Annotations {
        let (folder, key) = (self.folders.logs(run), key.clone());
        blocking(move || chosen(&folder, &key)).await
    }

    /// Summaries of a run.
    pub async fn summaries(&self, run: RunId) -> Vec<Summary> {
        let folder = self.folders.logs(run);
        blocking(move || {
            let mut room = SUMMARIES_BYTES_MAX;
            let all = jobs(&folder).into_iter().flat_map(|job| summaries(&folder, &job));
            all.take_while(|summary| {
                let fits = summary.markdown.len() <= room;
                room = room.saturating_sub(summary.markdown.len());
                fits
            })
            .collect()
        })
        .await
    }

    /// What one step, or the set-up of a job, has left.
    pub async fn of_log(&self, run: RunId, key: &JobRunKey, step: Option<StepIndex>) -> OfLog {
        let path = log_path(&self.folders.logs(run), key, step);
        blocking(move || read(&path)).await
    }
}

#[async_trait]
impl crate::reporting::Findings for Findings {
    async fn of_job(&self, run: RunId, key: &JobRunKey) -> JobFindings {
        let (folder, key) = (self.folders.logs(run), key.clone());
        blocking(move || {
            let annotations = chosen(&folder, &key).annotations.into_iter().map(|found| found.annotation).collect();
            let texts: Vec<_> = summaries(&folder, &key).into_iter().map(|summary| summary.markdown).collect();
            JobFindings { annotations, summary: texts.join("\n\n") }
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// Jobs with logs, in the order of their keys.
fn jobs(folder: &Path) -> Vec<JobRunKey> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    // No key has a dot of its own.
    let mut keys: Vec<_> = names.map(|name| JobRunKey::parse(&name.replace('.', "/"))).collect();
    keys.sort();
    keys
}

/// The logs of a job that have something beside them: its set-up, then its steps.
fn logs(folder: &Path, key: &JobRunKey) -> Vec<(Option<StepIndex>, PathBuf)> {
    let setup = log_path(folder, key, None);
    let entries = setup.parent().and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let mut logs: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != "findings") {
                return None;
            }
            let step = path.file_stem()?.to_str()?.parse().ok().map(StepIndex);
            (step.is_some() || path == findings_path(&setup)).then_some((step, path))
        })
        .collect();
    logs.sort();
    logs
}

/// What counts of a job's annotations.
fn chosen(folder: &Path, key: &JobRunKey) -> Annotations {
    let mut all = Annotations::default();
    for (step, path) in logs(folder, key) {
        let OfLog { annotations, summary: _, more } = read(&path);
        all.more += more;
        all.annotations.extend(annotations.into_iter().map(|annotation| Found { job: key.clone(), step, annotation }));
    }
    let mut left = ANNOTATIONS_OF_JOB_MAX;
    let count = |level| all.annotations.iter().filter(|found| found.annotation.level == level).count();
    let mut rooms = [AnnotationLevel::Error, AnnotationLevel::Warning, AnnotationLevel::Notice].map(|level| {
        let room = count(level).min(left);
        left -= room;
        (level, room)
    });
    let before = all.annotations.len();
    all.annotations.retain(|found| {
        let room = rooms.iter_mut().find(|(level, room)| *level == found.annotation.level && *room > 0);
        room.map(|(_, room)| *room -= 1).is_some()
    });
    all.more += (before - all.annotations.len()) as u64;
    all
}

fn summaries(folder: &Path, key: &JobRunKey) -> Vec<Summary> {
    let of_log = |(step, path): (Option<StepIndex>, PathBuf)| {
        let (step, markdown) = (step?, read(&path).summary?);
        Some(Summary { job: key.clone(), step, markdown })
    };
    logs(folder, key).into_iter().filter_map(of_log).take(SUMMARIES_OF_JOB_MAX).collect()
}

fn read(log: &Path) -> OfLog {
    let mut bytes = Vec::new();
    let read = File::open(findings_path(log)).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    let mut all = OfLog::default();
    if let Err(error) = read {
        if error.kind() != std::io::ErrorKind::NotFound {
            tracing::warn!(path = %log.display(), %error, "what a step has found cannot be read");
        }
        return all;
    }
    for (_, line) in read_findings(&bytes) {
        match line {
            FindingsLine::Annotation(annotation) => all.annotations.push(*annotation),
            FindingsLine::Summary(markdown) => all.summary = Some(markdown),
            FindingsLine::More(more) => all.more = more,
            FindingsLine::Mark(_) => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use workflow::command::CommandSettings;

    use super::*;
    use crate::job::{LogPlace, SharedMasker, StepLog};
    use crate::notice::Notices;
    use crate::reporting::Findings as _;

    async fn write(folders: &Folders, job: &str, step: Option<u32>, output: &str, summary: &str) {
        let step = step.map(StepIndex);
        let place = LogPlace { key: JobRunKey::parse(job), step, folder: folders.logs(RunId(1)), bytes_max: 1 << 20 };
        let masker = Arc::new(SharedMasker::default());
        masker.add("hunter22").unwrap();
        let mut log = StepLog::open(place, Notices::default(), masker, CommandSettings::default());
        log.output(output.as_bytes()).await;
        log.finish().await;
        if !summary.is_empty() {
            log.summary(summary).await;
        }
    }

    #[tokio::test]
    async fn what_steps_write_is_read_by_job_and_step() {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders { state: root.path().to_owned(), runtime: root.path().to_owned() };
        let findings = Findings::of(folders.clone());
        let (run, key) = (RunId(1), JobRunKey::parse("deploy(1)/push"));
        assert_eq!(findings.annotations(run).await, Annotations::default());
        write(&folders, "deploy(1)/push", None, "::warning::set-up\n", "").await;
        write(&folders, "deploy(1)/push", Some(10), "::error file=a.rs,line=3::ten hunter22\n", "# hunter22").await;
        write(&folders, "deploy(1)/push", Some(2), "::notice::two\n", "# two").await;
        write(&folders, "build", Some(0), "quiet\n", "").await;
        let all = findings.annotations(run).await;
        let shown: Vec<_> = all
            .annotations
            .iter()
            .map(|found| format!("{} {:?} {}", found.job, found.step.map(|step| step.0), found.annotation.message))
            .collect();
        let expect = ["deploy(1)/push None set-up", "deploy(1)/push Some(2) two", "deploy(1)/push Some(10) ten ***"];
        assert_eq!(shown, expect);
        assert_eq!(all.annotations[2].annotation.file.as_deref(), Some("a.rs"));
        let of_job = findings.of_job(run, &key).await;
        assert_eq!((of_job.annotations.len(), of_job.summary.as_str()), (3, "# two\n\n# ***"));
        let steps: Vec<_> = findings.summaries(run).await.iter().map(|summary| summary.step.0).collect();
        assert_eq!(steps, [2, 10]);
        assert_eq!(findings.of_log(run, &key, Some(StepIndex(2))).await.summary.as_deref(), Some("# two"));
    }

    #[tokio::test]
    async fn errors_come_before_all_else() {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders { state: root.path().to_owned(), runtime: root.path().to_owned() };
        for step in 0..3 {
            let many: String = (0..11).map(|n| format!("::notice::n{n}\n::error::e{n}\n::warning::w{n}\n")).collect();
            write(&folders, "build", Some(step), &many, "").await;
        }
        let all = Findings::of(folders).annotations(RunId(1)).await;
        let count = |letter| all.annotations.iter().filter(|one| one.annotation.message.starts_with(letter)).count();
        assert_eq!((count('e'), count('w'), count('n'), all.more), (30, 20, 0, 49));
    }

    #[tokio::test]
    async fn u13_a_million_annotations_are_ten_of_a_level_and_a_number() {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders { state: root.path().to_owned(), runtime: root.path().to_owned() };
        let long = format!("::error::{}\n", "é".repeat(100_000));
        let many: String = (0..333_333).map(|n| format!("::notice::n{n}\n::error::e{n}\n::warning::w{n}\n")).collect();
        write(&folders, "build", Some(0), &(long + &many), "").await;
        let all = Findings::of(folders.clone()).annotations(RunId(1)).await;
        assert_eq!((all.annotations.len(), all.more), (30, 1_000_000 - 30));
        let longest = all.annotations.iter().map(|one| one.annotation.message.chars().count()).max();
        assert_eq!(longest, Some(4_096));
        let log = log_path(&folders.logs(RunId(1)), &JobRunKey::parse("build"), Some(StepIndex(0)));
        let kept = std::fs::metadata(findings_path(&log)).unwrap().len();
        assert!(kept < 20_000, "{kept} bytes");
    }
}
