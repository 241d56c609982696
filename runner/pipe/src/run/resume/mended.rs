//! Whether a run that failed may go on with texts that were mended: that of its workflow, and those of the workflows that it calls.
//!
//! A job that calls is kept, or begins again, as a whole. So of a workflow that it calls all counts where it is kept, and nothing
//! otherwise.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use engine::local::Continues;
use indexmap::IndexMap;
use workflow::model::{Job, JobKind, StepKind, Workflow};
use workflow::read::{ReadOptions, WorkflowFiles, read_workflow};
use workflow::run::JobRunKey;
use workflow::run::steps::flatten;
use workflow::source::{SourceFile, SourceMap};

use super::super::changed::{self, GoesOn, Ran};
use super::Resumed;
use crate::exit::Failure;
use crate::reading::Reading;

/// Called workflows as a run had them, by their names.
#[derive(Debug)]
struct AsTheyWere<'a>(&'a IndexMap<String, String>);

impl WorkflowFiles for AsTheyWere<'_> {
    fn read(&self, reference: &str) -> Option<Result<SourceFile, String>> {
        let name = reference.strip_prefix("./").unwrap_or(reference);
        Some(Ok(SourceFile::new(name, self.0.get(name)?.as_str())))
    }
}

impl Resumed {
    /// The first file that keeps it from going on, and why: something of it has run.
    pub(super) fn not_mended(
        &self,
        readings: &[Reading],
        from: Option<&str>,
    ) -> Result<Option<(String, String)>, Failure> {
        let sources = &self.asked.sources;
        let now = |name: &str| {
            let mut files = readings.iter().flat_map(|reading| reading.sources.iter());
            files.find(|file| file.name() == name).map(SourceFile::text)
        };
        let changed: Vec<_> = sources.iter().filter(|(name, text)| now(name) != Some(text.as_str())).collect();
        let (Some((main, old)), Some((first, _))) = (sources.first(), changed.first()) else { return Ok(None) };
        let as_a_whole = |name: &str| match now(name) {
            Some(_) => "has changed since",
            None if Path::new(name).exists() => "cannot be read as it was",
            None => "is gone",
        };
        let refused = |name: &str| Ok(Some((name.to_owned(), as_a_whole(name).to_owned())));
        let reading = readings.iter().find(|reading| reading.name == *main);
        let (Continues::Failed(_), Some(new), Some(reading)) = (self.continues, now(main), reading) else {
            return refused(first);
        };
        // What is wrong with it is told with all that is wrong.
        let Some(workflow) = &reading.workflow else { return Ok(None) };
        let file = SourceFile::new(main.as_str(), old.as_str());
        let was = read_workflow(file, &AsTheyWere(sources), &ReadOptions::default());
        let Some(before) = was.workflow else { return refused(first) };
        let ran = self.ran(&before, workflow, from)?;
        let not_as = |what: String| format!("has changed since: {what} is not as it was");
        if let Some(what) = changed::differs(old, new, &ran) {
            return Ok(Some((main.clone(), not_as(what))));
        }
        for (name, old) in changed.into_iter().filter(|(name, _)| *name != main) {
            let is_caller = |id: &&String| job(&before, id).is_some_and(|job| calls(job, &was.sources, name));
            let Some(caller) = ran.kept.iter().find(is_caller) else { continue };
            let Some(new) = now(name) else { return refused(name) };
            if let Some(what) = changed::differs_at_all(old, new) {
                let what = format!("{what}, of which job `{caller}` has results that are kept,");
                return Ok(Some((name.clone(), not_as(what))));
            }
        }
        let _only_once = self.mended.set(Arc::new(before));
        Ok(None)
    }

    /// What of the workflow has run, and does not run again.
    fn ran(&self, before: &Workflow, now: &Workflow, from: Option<&str>) -> Result<Ran, Failure> {
        let from = from.map(|from| self.from(from, now)).transpose()?;
        let goes_on = self.stands.iter().filter_map(|stand| {
            let key = JobRunKey::parse(&stand.job);
            let asked = from.as_ref().filter(|(job, _)| *job == key).map(|(_, step)| step.0);
            let step = asked.or_else(|| stand.step.as_ref().map(|(step, _)| *step))?;
            let id = key.job.ids().next()?.to_owned();
            let pre = self.names.pres.get(&key).copied().unwrap_or(0);
            let JobKind::Steps(steps) = &job(before, &id)?.kind else { return None };
            let flat = flatten(&steps.steps);
            let place = flat.get(step.saturating_sub(pre) as usize).and_then(|flat| flat.place);
            // Steps of a block run at the same time: some of them may have ended.
            let is_block = |outer: usize| matches!(steps.steps[outer].kind, StepKind::Parallel(_));
            let from = place.map_or(steps.steps.len(), |(outer, _)| outer + usize::from(is_block(outer)));
            Some(GoesOn { job: id, from, has_pre: pre > 0 })
        });
        let goes_on = goes_on.collect();
        // Of a call that has not succeeded nothing is kept, whatever of it has.
        let is_again = |id: &String| {
            self.names.failed.contains(id) && job(before, id).is_some_and(|job| matches!(job.kind, JobKind::Call(_)))
        };
        let kept: BTreeSet<_> = self.names.kept.iter().filter(|id| !is_again(id)).cloned().collect();
        Ok(Ran { kept, goes_on })
    }
}

fn job<'a>(workflow: &'a Workflow, id: &str) -> Option<&'a Job> {
    workflow.jobs.iter().find(|(other, _)| other.as_str() == id).map(|(_, job)| job)
}

/// Whether a job calls the workflow of this name, or one that does.
fn calls(job: &Job, sources: &SourceMap, name: &str) -> bool {
    let JobKind::Call(call) = &job.kind else { return false };
    call.called.as_ref().is_some_and(|called| {
        let is_it = sources.get(called.file).is_some_and(|file| file.name() == name);
        is_it || called.jobs.values().any(|job| calls(job, sources, name))
    })
}
