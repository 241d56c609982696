//! `cache-mode:` of workflows and jobs: which of them holds for a job.
//!
//! That of the job wins over that of its workflow, and no called workflow may do more than its caller. Follows
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#cache-mode>.

use crate::model::{CacheMode, Job};
use crate::template::Token;

/// Reads `cache-mode:` of a workflow or a job; the schema has checked the word.
pub(super) fn read(written: &Token) -> Option<CacheMode> {
    written.get("cache-mode").and_then(Token::as_str).and_then(CacheMode::from_name)
}

/// Jobs without one have that of their workflow.
pub(super) fn pass_down<'a>(workflow: &Token, jobs: impl Iterator<Item = &'a mut Job>) {
    let own = read(workflow);
    for job in jobs {
        job.cache_mode = job.cache_mode.or(own);
    }
}

/// Jobs of a called workflow may do what its caller may.
pub(super) fn limit<'a>(caller: Option<CacheMode>, jobs: impl Iterator<Item = &'a mut Job>) {
    let Some(caller) = caller else { return };
    for job in jobs {
        job.cache_mode = Some(job.cache_mode.map_or(caller, |own| own.within(caller)));
    }
}
