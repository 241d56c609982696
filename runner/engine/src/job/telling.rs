//! What a job's steps are called, whether their turn means that they run, and what those say that wait for others.

use workflow::run::Conclusion;
use workflow::run::StepIndex;
use workflow::run::steps::{JobSteps, Role, StepDecision};

use super::call::wanted;
use super::pre::is_wanted;
use super::prepare::name_of;
use super::steps::Stepper;

impl Stepper {
    /// What happens next. Each condition is judged with what is known now.
    pub(super) fn decide(&mut self) -> Vec<StepDecision> {
        let Self { machine, job, order, tools, posts, pres, .. } = self;
        machine.decide(&mut |machine: &JobSteps, index| {
            let Some(step) = machine.steps().get(index.0 as usize).and_then(|flat| flat.find(&order.steps_job().steps))
            else {
                let Some((_, posts)) = posts.get(&index) else { return Ok(true) };
                return Ok(!wanted(posts, (order, job, &*tools.hash_files), machine.status())?.is_empty());
            };
            let env = job.env_of(order, step, machine.status(), &*tools.hash_files);
            let scope = job.scope(order, &env, machine.status(), Some(step), Some(&*tools.hash_files));
            if let Some(pre) = pres.get(index.0 as usize) {
                return is_wanted(pre, &scope);
            }
            step.condition.evaluate(&scope).map(|value| value.is_truthy()).map_err(|error| error.message)
        })
    }

    /// What became of the background steps that a step waited for or cancelled, in the runner's words. `revealed` are
    /// those that nobody had waited for before.
    pub(super) async fn tell_of_others(&self, index: StepIndex, revealed: &[StepIndex]) {
        let (summary, others) = match self.flat(index).map(|flat| &flat.role) {
            Some(Role::Wait(steps)) => ("Finished waiting for background step(s).", &steps[..]),
            Some(Role::WaitAll) if revealed.is_empty() => ("No background steps remaining to wait for.", revealed),
            Some(Role::WaitAll) => ("Finished waiting for all background step(s).", revealed),
            Some(Role::Cancel(Some(step))) => ("Finished cancelling background step(s).", std::slice::from_ref(step)),
            Some(Role::Cancel(None) | Role::Pre | Role::Foreground | Role::Background | Role::Post) | None => return,
        };
        let mut log = self.tools.open_log(index);
        log.line(summary).await;
        for other in others {
            let result = match self.machine.finished(*other).map(|result| result.conclusion) {
                Some(Conclusion::Success) => "Succeeded",
                Some(Conclusion::Failure) => "Failed",
                Some(Conclusion::Cancelled) => "Canceled",
                Some(Conclusion::Skipped) | None => "Skipped",
            };
            log.line(&format!("  {}: {result}", self.name(*other))).await;
        }
        log.finish().await;
    }

    pub(super) fn name(&self, index: StepIndex) -> String {
        let Some((flat, step)) =
            self.flat(index).and_then(|flat| Some((flat, flat.find(&self.order.steps_job().steps)?)))
        else {
            return self.post_name(index);
        };
        let env = self.step_env(step);
        let scope = self.scope(step, &env);
        let name = name_of(step, &scope);
        if flat.role == Role::Pre { format!("Pre {name}") } else { name }
    }
}
