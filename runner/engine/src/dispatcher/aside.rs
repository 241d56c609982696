//! What comes to a run from outside, and when it may be put aside: while it only waits for a group, a place, a person or
//! a time, nothing of it need be in memory.

use tokio::sync::mpsc;
use workflow::run::{Gate, JobRunKey, RunEvent};

use super::{Carried, Control, Loop};
use crate::groups::GroupNews;
use crate::job::runs_on;
use crate::store::StoreError;

impl Loop<'_> {
    /// Somebody steers the run.
    pub(super) async fn control(&mut self, control: Control) -> Result<(), StoreError> {
        let facts = match control {
            Control::Cancel { by } => vec![RunEvent::RunCancelRequested { by, force: false }],
            Control::Kill { by } => vec![RunEvent::RunCancelRequested { by, force: true }],
            Control::Release { by } => self.run.release(&by),
            Control::Refuse { message } => vec![RunEvent::RunRefused { message }],
            Control::Review { environment, approved, by, comment, subjects } => {
                // A run that was put aside may wait for something else by now: that is asked for first.
                self.settle().await?;
                let meant = self.run.waiting_for_review().filter(|(_, gate)| {
                    let seen = subjects.is_empty() || subjects.contains(&gate.terms.subject);
                    seen && gate.environment.eq_ignore_ascii_case(&environment) && !gate.has_review_of(&by)
                });
                let review = |(key, gate): (JobRunKey, &Gate)| {
                    let (by, comment, passed) = (by.clone(), comment.clone(), gate.would_pass(approved));
                    RunEvent::Reviewed { key, approved, by, comment, passed }
                };
                meant.map(review).collect()
            }
        };
        self.record(facts).await?;
        self.settle().await
    }

    /// Whether nothing of the run goes on, and nothing has come for it. It is not carried any more then.
    pub(super) fn put_aside(&mut self, news: &mut mpsc::UnboundedReceiver<GroupNews>) -> bool {
        if !self.tasks.is_empty() || !self.parts.groups.put_aside(self.id, news) {
            return false;
        }
        if self.parts.slots.put_aside(self.id) {
            return true;
        }
        *news = self.parts.groups.join(self.id);
        false
    }

    pub(super) fn aside(&self) -> Carried {
        let until = self.run.next_deadline(self.decided);
        Carried::Aside { until, waits_for_review: self.run.is_held() || self.run.waiting_for_review().next().is_some() }
    }

    /// The labels that count where labels have limits.
    pub(super) fn labels(&self, key: &JobRunKey) -> Vec<String> {
        if self.parts.slots.looks_at_labels() { runs_on(&self.run, key) } else { Vec::new() }
    }
}
