//! Some jobs of a plan: `-j`.

use std::collections::BTreeSet;

use super::{JobIndex, Plan};
use crate::diagnostic::{Code, Diagnostic, suggest};

/// A job that the plan does not have.
pub const UNKNOWN_JOB: Code = Code("P0513");

impl Plan {
    /// The jobs that are to run when some are asked for by id (case ignored), in the plan's order. A calling job brings
    /// the jobs that it calls, a called one its callers. `with_needs` adds all that they need.
    ///
    /// # Errors
    /// One for each id that no job has, with the id that may have been meant.
    pub fn select(&self, ids: &[impl AsRef<str>], with_needs: bool) -> Result<Vec<JobIndex>, Vec<Diagnostic>> {
        let mut unknown = Vec::new();
        let mut pending = Vec::new();
        for id in ids.iter().map(AsRef::as_ref) {
            let found = self.indexed().find(|(_, job)| job.id.as_str().eq_ignore_ascii_case(id));
            match found {
                Some((index, _)) => pending.push(index),
                None => unknown.push(self.unknown_job(id)),
            }
        }
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let asked: Vec<JobIndex> = pending.clone();
        let mut chosen: BTreeSet<JobIndex> = BTreeSet::new();
        for index in asked {
            self.add_called(index, &mut pending);
        }
        while let Some(index) = pending.pop() {
            if !chosen.insert(index) {
                continue;
            }
            let job = self.job(index);
            pending.extend(self.frame(job.frame).caller);
            if with_needs {
                for need in &job.needs {
                    pending.push(*need);
                    self.add_called(*need, &mut pending);
                }
            }
        }
        Ok(self.order.iter().copied().filter(|index| chosen.contains(index)).collect())
    }

    /// The jobs that a calling job calls, all levels down.
    fn add_called(&self, index: JobIndex, pending: &mut Vec<JobIndex>) {
        let Some(frame) = self.job(index).calls else { return };
        for inner in &self.frame(frame).jobs {
            pending.push(*inner);
            self.add_called(*inner, pending);
        }
    }

    fn unknown_job(&self, id: &str) -> Diagnostic {
        let ids = || self.jobs.iter().map(|job| job.id.as_str());
        let found = Diagnostic::error(UNKNOWN_JOB, None, format!("`{}` has no job `{id}`", self.path));
        match suggest(id, ids()) {
            Some(near) => found.help(format!("did you mean `{near}`?")),
            None => found.help(format!("it has {}", ids().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", "))),
        }
    }
}
