//! The steps of a job as they stand in a run's log, for a process that goes on where another one was stopped.

use std::collections::BTreeMap;

use super::{FlatStep, JobSteps, Progress, Role, StepFact, StepIndex, StepResult};
use crate::run::Conclusion;

impl JobSteps {
    /// Steps of which these have begun, and ended where a result is there, and as many post steps as had been added. That a step was asked to stop is not in the
    /// log: whoever asked for it asks again.
    #[must_use]
    pub fn recall(steps: Vec<FlatStep>, posts: usize, begun: &BTreeMap<StepIndex, Option<StepResult>>) -> Self {
        let mut this = Self::new(steps);
        (0..posts).for_each(|_| this.apply(&StepFact::PostAdded));
        for (step, result) in begun {
            let Some(role) = this.steps.get(step.0 as usize).map(|step| step.role.clone()) else { continue };
            match (role, result) {
                (Role::Pre | Role::Foreground | Role::Background | Role::Post, None) => {
                    this.apply(&StepFact::Started(*step))
                }
                // They do nothing but wait or ask, which is begun anew.
                (Role::Wait(_) | Role::WaitAll | Role::Cancel(_), None) => {}
                (role, Some(result)) => this.recall_end(*step, &role, result),
            }
        }
        this.recall_expected();
        this
    }

    /// Outside of a job that is cancelled as a whole, only a `cancel:` step cancels another.
    fn recall_expected(&mut self) {
        for index in 0..self.steps.len() {
            let Some(Role::Cancel(Some(other))) = self.steps.get(index).map(|step| step.role.clone()) else { continue };
            if let Some(state) = self.states.get_mut(other.0 as usize)
                && let Progress::Finished(StepResult { conclusion: Conclusion::Cancelled, .. }) = state.progress
            {
                state.cancel_expected = true;
            }
        }
    }

    fn recall_end(&mut self, step: StepIndex, role: &Role, result: &StepResult) {
        self.apply(&StepFact::Finished(step, result.clone()));
        // One that never had its turn waited for nothing.
        if result.outcome == Conclusion::Skipped {
            return;
        }
        match role {
            Role::Wait(others) => self.recall_flushed(others),
            Role::WaitAll => {
                let before: Vec<_> = self.background.iter().copied().filter(|other| other.0 < step.0).collect();
                self.recall_flushed(&before);
            }
            Role::Cancel(Some(other)) => self.recall_flushed(&[*other]),
            Role::Cancel(None) | Role::Pre | Role::Foreground | Role::Background | Role::Post => {}
        }
    }

    fn recall_flushed(&mut self, steps: &[StepIndex]) {
        for step in steps {
            self.apply(&StepFact::Flushed(*step));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::StepDecision;
    use super::*;

    fn flat(roles: &[Role]) -> Vec<FlatStep> {
        roles.iter().map(|role| FlatStep { place: None, role: role.clone() }).collect()
    }

    fn result(conclusion: Conclusion) -> StepResult {
        StepResult { outcome: conclusion, conclusion, outputs: BTreeMap::new(), exit_code: None, message: None }
    }

    /// Goes on from `begun`, with every condition true unless the job has failed, and every step started ending well.
    fn check(roles: &[Role], begun: &[(u32, Option<Conclusion>)], expect: &str) {
        let begun = begun.iter().map(|(step, end)| (StepIndex(*step), end.map(result))).collect();
        let mut steps = JobSteps::recall(flat(roles), 0, &begun);
        let mut holds = |steps: &JobSteps, _: StepIndex| Ok(steps.status() == crate::expression::Status::Success);
        let mut seen = Vec::new();
        for _ in 0..20 {
            let decisions = steps.decide(&mut holds);
            if decisions.is_empty() {
                // Whatever runs ends now.
                let running: Vec<_> = steps.running.iter().copied().collect();
                for step in running {
                    seen.push(format!("end {}", step.0));
                    steps.apply(&StepFact::Finished(step, result(Conclusion::Success)));
                }
            }
            for decision in decisions {
                match decision {
                    StepDecision::Start(step) => {
                        seen.push(format!("start {}", step.0));
                        steps.apply(&StepFact::Started(step));
                    }
                    StepDecision::Skip(step) => {
                        seen.push(format!("skip {}", step.0));
                        steps.apply(&StepFact::Finished(step, result(Conclusion::Skipped)));
                    }
                    StepDecision::Complete(step, end) => {
                        seen.push(format!("complete {} {}", step.0, end.word()));
                        steps.apply(&StepFact::Finished(step, result(end)));
                    }
                    StepDecision::Cancel(step) => {
                        seen.push(format!("cancel {}", step.0));
                        steps.apply(&StepFact::CancelAsked(step));
                        steps.apply(&StepFact::Finished(step, result(Conclusion::Cancelled)));
                    }
                    StepDecision::Refuse(..) => unreachable!("conditions hold or do not"),
                    StepDecision::Done(end) => {
                        seen.push(format!("done {}", end.word()));
                        return assert_eq!(seen.join(", "), expect);
                    }
                }
            }
        }
        panic!("never done: {seen:?}");
    }

    #[test]
    fn steps_go_on_where_they_were() {
        use Conclusion::{Cancelled, Failure, Success};
        use Role::{Background as B, Foreground as F};
        let (wait, all, cancel) = (Role::Wait(vec![StepIndex(0)]), Role::WaitAll, Role::Cancel(Some(StepIndex(0))));
        check(&[F, F], &[], "start 0, end 0, start 1, end 1, done success");
        check(&[F, F], &[(0, None)], "end 0, start 1, end 1, done success");
        check(&[F, F], &[(0, Some(Success))], "start 1, end 1, done success");
        check(&[F, F], &[(0, Some(Failure))], "skip 1, done failure");
        check(&[F, F], &[(0, Some(Success)), (1, Some(Success))], "done success");
        // Background steps: running, waited for, failed and waited for.
        check(&[B, wait.clone(), F], &[(0, None)], "end 0, complete 1 success, start 2, end 2, done success");
        check(
            &[B, wait.clone(), F],
            &[(0, None), (1, None)],
            "end 0, complete 1 success, start 2, end 2, done success",
        );
        check(&[B, wait.clone(), F], &[(0, Some(Failure)), (1, Some(Failure))], "skip 2, done failure");
        check(&[B, all, F], &[(0, Some(Success))], "complete 1 success, start 2, end 2, done success");
        // A cancelled background step does not count against the job, before and after the cancel step ended.
        check(&[B, cancel.clone(), F], &[(0, None)], "cancel 0, complete 1 success, start 2, end 2, done success");
        let cancelled = (0, Some(Cancelled));
        check(&[B, cancel.clone(), F], &[cancelled], "complete 1 success, start 2, end 2, done success");
        check(&[B, cancel, F], &[cancelled, (1, Some(Success))], "start 2, end 2, done success");
        // A `pre` step is one like others, before those of the file.
        check(&[Role::Pre, F], &[(0, None)], "end 0, start 1, end 1, done success");
        check(&[Role::Pre, F], &[(0, Some(Success))], "start 1, end 1, done success");
        check(&[Role::Pre, F], &[(0, Some(Failure))], "skip 1, done failure");
    }
}
