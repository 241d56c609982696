//! What a step's task gives and gets: its end with the command behind it, its beginning on the way to the store, and what
//! another process had done of it.

use tokio::sync::oneshot;

use super::journal::Half;
use crate::placement::Exec;
use crate::step::StepEnd;

/// What another process had done of a step.
pub(super) type Again = Half;

/// What is known of a step once its task is over.
pub(super) struct Performed {
    pub(super) end: StepEnd,
    /// Its command, whose end the agent remembers until it is recorded.
    pub(super) exec: Option<Exec>,
}

impl Performed {
    pub(super) const fn without_command(end: StepEnd) -> Self {
        Self { end, exec: None }
    }
}

/// The beginning of a step on its way to the store, and the commands whose ends go with it.
pub(super) struct Recording {
    pub(super) recorded: oneshot::Receiver<()>,
    pub(super) ended: Vec<Exec>,
}

impl Recording {
    /// Waits until it is recorded; false where it never will be, since the dispatcher is gone or cannot write.
    pub(super) async fn wait(self) -> bool {
        let recorded = self.recorded.await.is_ok();
        if recorded {
            self.ended.iter().for_each(Exec::acknowledge_end);
        }
        recorded
    }
}
