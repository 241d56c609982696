//! Keys that go together: what two of them say that no reader refuses and that cannot be meant.

use super::lines;
use super::visit::{Visit, flatten, steps_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Step, StepKind, Uses};

const NO_STEPS: Code = Code("P0417");
const CANCEL: Code = Code("P0122");
const WORKFLOW_AS_STEP: Code = Code("P0416");

pub(super) fn check(visit: &mut Visit<'_>) {
    let workflow = visit.workflow;
    for job in workflow.jobs.values() {
        let Some(steps) = steps_of(job) else { continue };
        if steps.steps.is_empty() && !visit.damage.is_in(job.span) {
            let message = format!("job `{}` has no steps", job.id.value);
            visit.diagnostics.push(
                Diagnostic::error(NO_STEPS, job.id.span, message)
                    .help("add `steps:`; GitHub does not run a workflow that has a job without"),
            );
        }
        let flat = flatten(&steps.steps);
        for (step, _) in &flat {
            match &step.kind {
                StepKind::Uses { uses, .. } => workflow_as_step(visit, step, &uses.value),
                StepKind::Cancel(target) => {
                    waits_for_foreground(visit, &flat, target.value.as_str(), target.span, "cancelled")
                }
                StepKind::Wait(targets) => {
                    for target in targets {
                        waits_for_foreground(visit, &flat, target.value.as_str(), target.span, "waited for");
                    }
                }
                StepKind::Run { .. } | StepKind::WaitAll | StepKind::Parallel(_) => {}
            }
        }
    }
}

fn workflow_as_step(visit: &mut Visit<'_>, step: &Step, uses: &Uses) {
    let path = match uses {
        Uses::Local { path } | Uses::Repository { path, .. } => path,
        Uses::Docker { .. } | Uses::BuiltIn { .. } => return,
    };
    let is_file = [".yml", ".yaml"].iter().any(|end| path.ends_with(end));
    if !is_file || !path.contains(".github/workflows/") {
        return;
    }
    let StepKind::Uses { uses, .. } = &step.kind else { return };
    let message = "a step cannot call a workflow, only a job can";
    visit.diagnostics.push(
        Diagnostic::error(WORKFLOW_AS_STEP, uses.span, message)
            .help("move `uses:` up into a job of its own, without `runs-on` and `steps`"),
    );
}

fn waits_for_foreground(
    visit: &mut Visit<'_>,
    steps: &[(&Step, usize)],
    id: &str,
    span: crate::source::Span,
    what: &str,
) {
    let target = steps.iter().map(|(step, _)| *step).find(|step| step.id_written && step.id.as_str() == id);
    let Some(target) = target.filter(|step| !step.runs_in_background()) else { return };
    let at = lines::find_in(visit.source, target.span, "id:").unwrap_or(target.span);
    let message = format!("the step `{id}` does not run in the background, so it is done before it can be {what}");
    visit.diagnostics.push(
        Diagnostic::warning(CANCEL, span, message)
            .help(format!("add `background: true` to the step `{id}`"))
            .related(at, "this step"),
    );
}
