//! A job's steps taken up where another process was stopped: what had ended is brought back, what runs goes on.
//!
//! The run's log says which steps had begun and ended, the job's journal what they left behind. What only the journal
//! knows to have ended is recorded now; what neither knows to have ended is looked for at the agent, who starts it where
//! it never arrived.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::oneshot;
use workflow::run::steps::{JobSteps, Role};
use workflow::run::{StepIndex, StepResult};

use super::Begun;
use super::journal::Remembered;
use super::recording::{Again, Recording};
use super::steps::Stepper;
use crate::step::StepOutputs;

impl Stepper {
    /// Goes on from there.
    pub(super) async fn recall(&mut self, begun: &Begun, remembered: Remembered) {
        let results: BTreeMap<StepIndex, Option<StepResult>> = begun
            .steps
            .iter()
            .map(|(step, run)| (*step, run.finished.as_ref().map(|(_, result)| result.clone())))
            .collect();
        let is_recorded = |step: &StepIndex| matches!(results.get(step), Some(Some(_)));
        let with_posts = remembered.ends.iter().filter(|(step, end)| is_recorded(step) && !end.left.posts.is_empty());
        let posts = with_posts.map(|(step, _)| self.owner(*step)).collect::<BTreeSet<_>>().len();
        let first_post = self.machine.next_post();
        self.machine = JobSteps::recall(self.machine.steps().to_vec(), posts, &results);
        let mut next_posts = (first_post.0..).map(StepIndex);
        for (step, run) in begun.steps.iter().filter(|(_, run)| run.started.is_some()) {
            self.begun.insert(*step);
            self.names.insert(*step, run.name.clone());
        }
        let mut unrecorded = Vec::new();
        for (step, end) in remembered.ends {
            match results.get(&step) {
                Some(Some(result)) => {
                    let mut left = end.left;
                    self.bring_back_posts(step, &mut left, &mut next_posts);
                    self.keep_saved(step, &mut left);
                    self.bring_back(step, result, left);
                }
                Some(None) | None => unrecorded.push((step, end)),
            }
        }
        for (step, end) in unrecorded {
            self.finish(step, end);
        }
        let runs = |step: &StepIndex| {
            let role = self.flat(*step).map(|flat| &flat.role);
            let has_command = matches!(role, Some(Role::Pre | Role::Foreground | Role::Background | Role::Post));
            has_command && self.machine.finished(*step).is_none()
        };
        let running: Vec<_> = self.begun.iter().copied().filter(runs).collect();
        for step in running {
            let again: Again = remembered.halves.get(&step).cloned().unwrap_or_default();
            self.spawn(step, Recording { recorded: recorded_before(), ended: Vec::new() }, Some(again)).await;
        }
    }

    /// What a step left is there again for those that may see it.
    fn bring_back(&mut self, step: StepIndex, result: &StepResult, left: StepOutputs) {
        if self.machine.is_visible(step) {
            self.show(step, result, left);
        } else {
            self.hidden.insert(step, (result.clone(), left));
        }
    }
}

fn recorded_before() -> oneshot::Receiver<()> {
    let (recorded, wait) = oneshot::channel();
    let _waits = recorded.send(());
    wait
}
