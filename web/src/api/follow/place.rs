//! Where a client is in a run: the last fact it has, and how far it is in the logs of what was running then.
//!
//! As text: `17` or `17|build:2=4096|build:-=120`, the number of the fact, then job, step (`-`: set-up) and bytes.

use std::collections::BTreeMap;

use workflow::run::{JobRunKey, RunEvent, StepIndex};

use crate::api::logs::key_of;

/// Logs that are open at once.
const OPEN_MAX: usize = 4_096;

/// One log.
pub(crate) type LogKey = (JobRunKey, Option<StepIndex>);

/// What a fact changes in which logs grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// One may grow from now on.
    Opens(LogKey),
    /// One grows no more.
    Closes(LogKey),
    /// All of a job run grow no more.
    ClosesJob(JobRunKey),
    /// The run is over.
    ClosesAll,
    /// Nothing.
    Nothing,
}

impl Change {
    pub(super) fn of(event: &RunEvent) -> Self {
        match event {
            RunEvent::JobRunStarted { key } => Self::Opens((key.clone(), None)),
            RunEvent::StepStarted { key, step, .. } => Self::Opens((key.clone(), Some(*step))),
            RunEvent::StepFinished { key, step, .. } => Self::Closes((key.clone(), Some(*step))),
            RunEvent::JobRunFinished { key, .. } | RunEvent::JobRunReset { key } => Self::ClosesJob(key.clone()),
            RunEvent::RunFinished { .. } => Self::ClosesAll,
            RunEvent::GroupRequested { .. }
            | RunEvent::GroupAcquired { .. }
            | RunEvent::RunHeld { .. }
            | RunEvent::RunReleased { .. }
            | RunEvent::RunStarted
            | RunEvent::RunRefused { .. }
            | RunEvent::ReviewRequested { .. }
            | RunEvent::Reviewed { .. }
            | RunEvent::JobSkipped { .. }
            | RunEvent::JobExpanded { .. }
            | RunEvent::JobRefused { .. }
            | RunEvent::CallStarted { .. }
            | RunEvent::JobRunPlaced { .. }
            | RunEvent::JobRunCancelRequested { .. }
            | RunEvent::RunCancelRequested { .. } => Self::Nothing,
        }
    }

    /// Whether what this log has so far belongs before the fact: set-up comes before steps.
    pub(super) fn follows(&self, log: &LogKey) -> bool {
        match self {
            Self::Opens((job, Some(_))) => *log == (job.clone(), None),
            Self::Opens((_, None)) | Self::Closes(_) | Self::ClosesJob(_) | Self::ClosesAll | Self::Nothing => false,
        }
    }

    /// Whether this log grows no more.
    pub(super) fn closes(&self, log: &LogKey) -> bool {
        match self {
            Self::Closes(other) => other == log,
            Self::ClosesJob(job) => *job == log.0,
            Self::ClosesAll => true,
            Self::Opens(_) | Self::Nothing => false,
        }
    }
}

/// A place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    pub(crate) open: BTreeMap<LogKey, u64>,
}

impl Place {
    /// Reads what [`std::fmt::Display`] writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('|');
        let seq = parts.next()?.parse().ok()?;
        let open = parts.take(OPEN_MAX + 1).map(|part| {
            let (log, bytes) = part.rsplit_once('=')?;
            let (key, step) = log.rsplit_once(':')?;
            let step = if step == "-" { None } else { Some(StepIndex(step.parse().ok()?)) };
            Some(((key_of(key)?, step), bytes.parse().ok()?))
        });
        let open: BTreeMap<_, _> = open.collect::<Option<_>>()?;
        (open.len() <= OPEN_MAX).then_some(Self { seq, open })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.seq)?;
        for ((key, step), bytes) in &self.open {
            match step {
                Some(step) => write!(f, "|{key}:{}={bytes}", step.0)?,
                None => write!(f, "|{key}:-={bytes}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_survive_their_text() {
        for text in ["0", "17", "17|build:-=120|build:2=4096|deploy(1)/push(0):11=0"] {
            assert_eq!(Place::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "x", "-1", "1|", "1|build", "1|build=2", "1|build:x=2", "1|build:1=", "1|../x:1=2", "1|a:1=2|"]
        {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }
}
