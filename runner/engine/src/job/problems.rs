//! Problems that are found in a step's output without a matcher: when they are told, and at which place.
//!
//! The log stays as the step wrote it. What is found is told once the step has ended, since only then it is known whether
//! what looks like an error was one: a step that succeeded had none. A problem whose file is not part of the workspace is
//! not told. What is looked for is `workflow::command::problem`'s.

use workflow::command::{Annotation, AnnotationLevel, Problem};

use super::log::StepLog;
use super::matchers::JobMatchers;

impl StepLog {
    /// Looks at whole lines that are no commands.
    pub(super) fn look_at(&mut self, lines: &[u8]) {
        if self.matching.job.is_some() && self.matching.set.is_empty() {
            self.matching.problems.look(lines);
        }
    }

    /// The same for a line without its ending.
    pub(super) fn look_at_line(&mut self, line: &[u8]) {
        if self.matching.job.is_some() && self.matching.set.is_empty() {
            self.matching.problems.look(&[line, b"\n"].concat());
        }
    }

    /// The step has ended: tells what was found in its output.
    pub(super) async fn tell_problems(&mut self, has_failed: bool) {
        self.matching.problems.reset();
        let found = self.matching.problems.take();
        let Some(job) = &self.matching.job else { return };
        let (set, _) = job.current();
        let counts = |problem: &Problem| {
            set.leaves(problem.owner) && (has_failed || problem.annotation.level != AnnotationLevel::Error)
        };
        let told: Vec<_> = found
            .into_iter()
            .filter(counts)
            .filter_map(|problem| placed(job, self.matching.cwd.as_deref(), problem))
            .collect();
        self.tell(told).await;
    }
}

/// The problem at the first of its places that lies in the workspace. Tools name files from where they run, or from the
/// root of the repository.
fn placed(job: &JobMatchers, cwd: Option<&str>, problem: Problem) -> Option<Annotation> {
    let Problem { mut annotation, others, owner: _ } = problem;
    let first = annotation.file.take().zip(annotation.line);
    for (index, (file, line)) in first.into_iter().chain(others).enumerate() {
        annotation.line = Some(line);
        annotation.file = cwd.map(|cwd| format!("{cwd}/{file}")).filter(|_| !file.starts_with('/'));
        job.locate(&mut annotation);
        if annotation.file.is_none() {
            annotation.file = Some(file);
            job.locate(&mut annotation);
        }
        if annotation.file.is_some() {
            annotation.column = annotation.column.filter(|_| index == 0);
            return Some(annotation);
        }
    }
    None
}
