//! A job that is about to begin, told to its placement as far as it can be evaluated before.

use std::sync::Arc;

use workflow::expression::Value;
use workflow::run::{JobPath, JobScope, Run};

use super::place::Place;
use super::run::JobSettings;
use crate::placement::{JobSpec, Placement};

/// What cannot be told before the job begins is not made ahead.
pub(super) fn expect(settings: &JobSettings, run: &Run, job: &JobPath) {
    if let Some((placement, spec)) = foretold(settings, run, job) {
        tokio::spawn(async move { placement.expect(spec).await });
    }
}

/// Neither outputs of jobs that have not ended nor the values of a matrix are known; a text that names them is empty, and
/// no label or image.
fn foretold(settings: &JobSettings, run: &Run, job: &JobPath) -> Option<(Arc<dyn Placement>, JobSpec)> {
    let scope = JobScope::with_leg(run, job, Value::Null, Value::Null);
    Place::evaluated(settings, run.steps_job(job)?, &scope).ok()?.foretold(settings)
}

#[cfg(test)]
mod tests {
    use workflow::model::JobId;

    use super::*;
    use crate::job::SharedMasker;
    use crate::notice::Notices;
    use crate::placement::simulated::Simulated;
    use crate::simulation::{Simulation, facts};

    /// The image that is made ahead for a job with these lines.
    #[track_caller]
    fn check(lines: &str, expect: Option<&str>) {
        let root = tempfile::tempdir().unwrap();
        let (notices, _watcher) = Notices::channel();
        let mut settings = Simulation::default().settings(root.path(), &Arc::new(SharedMasker::default()), &notices);
        settings.docker = Some(Arc::new(Simulated::default()));
        settings.trust = Some("fork");
        settings.labels = crate::runner_label::RunnerLabels::default();
        settings.labels.map("box", "busybox:1");
        settings.labels.map("here", "host");
        let jobs = format!("a:\n  $\n    - run: x\nb:\n  needs: a\n{lines}  steps:\n    - run: x");
        let run = Run::new(Arc::new(facts(&jobs)));
        let spec = foretold(&settings, &run, &JobPath::root(&JobId::new("b"))).map(|(_, spec)| spec);
        assert_eq!(spec.as_ref().map(|spec| spec.image.reference.as_str()), expect, "{lines}");
        assert!(spec.is_none_or(|spec| spec.trust == Some("fork")), "the trust of its run");
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0, "nothing is made");
    }

    #[test]
    fn which_image_a_job_will_want() {
        check("  runs-on: box\n", Some("busybox:1"));
        check("  runs-on: ${{ 'box' }}\n", Some("busybox:1"));
        check("  runs-on: box\n  container: alpine:3\n", Some("alpine:3"));
        check("  runs-on: box\n  container: { image: 'alpine:${{ github.event_name || 3 }}' }\n", Some("alpine:3"));
        check("  runs-on: here\n", None);
        check("  runs-on: unheard-of\n", None);
        // Known when the job before has ended, or for each leg.
        check("  runs-on: ${{ needs.a.outputs.where }}\n", None);
        check("  runs-on: box\n  container: ${{ needs.a.outputs.image }}\n", Some("busybox:1"));
        check("  strategy: { matrix: { on: [box] } }\n  runs-on: ${{ matrix.on }}\n", None);
    }
}
