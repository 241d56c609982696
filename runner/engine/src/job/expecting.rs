//! A job that is about to begin, told to its placement as far as it can be evaluated before.

use std::sync::Arc;

use workflow::expression::Value;
use workflow::run::{JobPath, JobScope, Run};

use super::place::Place;
use super::run::JobSettings;

/// What cannot be told before the job begins is not made ahead.
pub(super) fn expect(settings: &Arc<JobSettings>, run: &Run, job: &JobPath) {
    let scope = JobScope::with_leg(run, job, Value::Null, Value::Null);
    let Some(Ok(place)) = run.steps_job(job).map(|steps| Place::evaluated(settings, steps, &scope)) else { return };
    let settings = Arc::clone(settings);
    tokio::spawn(async move { place.expect(&settings).await });
}
