//! A run read from its log again, although the log holds secrets in their hidden form only.
//!
//! What a run goes by (matrix values, inputs and outputs of called workflows, names of concurrency groups) is a function
//! of what it was started with and of what has happened before. Where the log shows `***` in such a text, the text is
//! therefore made again from the run's facts. Whoever only looks at an old run has no secrets in its facts and sees
//! `***`; the run's course is the same.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::contexts::JobScope;
use super::expand::{self, Planned};
use super::{Illegal, Recorded, Run, RunEvent};
use crate::mask::MASK;

impl Run {
    /// Adds one fact as it was stored: as [`Run::apply`], with what is hidden in it made again where that is possible.
    ///
    /// # Errors
    /// [`Illegal`] when it cannot follow; the run is unchanged then.
    pub fn apply_stored(&mut self, recorded: &Recorded) -> Result<(), Illegal> {
        match self.shown_again(&recorded.event) {
            Some(event) => self.apply(&Recorded { event, ..recorded.clone() }),
            None => self.apply(recorded),
        }
    }

    /// The event with its hidden texts in clear; `None` if nothing is hidden, or what is made again does not look like
    /// what was stored.
    fn shown_again(&self, event: &RunEvent) -> Option<RunEvent> {
        let mut event = event.clone();
        match &mut event {
            RunEvent::JobExpanded { job, legs, .. } => {
                if !legs.iter().any(|leg| holds_mask(&leg.matrix)) {
                    return None;
                }
                let Planned::Expand { legs: again, .. } = expand::plan_job(self, job, self.job(job)?) else {
                    return None;
                };
                if legs.len() != again.len() {
                    return None;
                }
                for (leg, again) in legs.iter_mut().zip(again).filter(|(leg, again)| fits(&leg.matrix, &again.matrix)) {
                    leg.matrix = again.matrix;
                }
            }
            RunEvent::CallStarted { key, inputs } if holds_mask(inputs) => {
                *inputs = expand::call_inputs(self, key).ok().filter(|again| fits(inputs, again))?;
            }
            RunEvent::GroupRequested { holder, group, .. } if group.contains(MASK) => {
                let again = match holder {
                    Some(key) => expand::job_group(self, key)?,
                    None => expand::concurrency(self.facts.workflow.concurrency.as_ref()?, &JobScope::of_run(self)),
                };
                *group = again.ok().map(|again| again.name).filter(|again| fits_text(group, again))?;
            }
            RunEvent::JobRunFinished { key, outputs, .. } if outputs.values().any(|value| value.contains(MASK)) => {
                let Some(RunEvent::JobRunFinished { outputs: again, .. }) = self.finish_call(key) else { return None };
                *outputs = Some(again).filter(|again| all_fit(outputs, again))?;
            }
            RunEvent::CallStarted { .. }
            | RunEvent::GroupRequested { .. }
            | RunEvent::JobRunFinished { .. }
            | RunEvent::GroupAcquired { .. }
            | RunEvent::RunHeld { .. }
            | RunEvent::RunReleased { .. }
            | RunEvent::RunStarted
            | RunEvent::JobSkipped { .. }
            | RunEvent::JobRefused { .. }
            | RunEvent::JobRunStarted { .. }
            | RunEvent::JobRunPlaced { .. }
            | RunEvent::StepStarted { .. }
            | RunEvent::StepFinished { .. }
            | RunEvent::JobRunReset { .. }
            | RunEvent::JobRunCancelRequested { .. }
            | RunEvent::ReviewRequested { .. }
            | RunEvent::Reviewed { .. }
            | RunEvent::RunRefused { .. }
            | RunEvent::RunCancelRequested { .. }
            | RunEvent::RunFinished { .. } => return None,
        }
        Some(event)
    }
}

fn holds_mask(value: &Json) -> bool {
    match value {
        Json::String(text) => text.contains(MASK),
        Json::Array(items) => items.iter().any(holds_mask),
        Json::Object(pairs) => pairs.iter().any(|(name, value)| name.contains(MASK) || holds_mask(value)),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

/// Whether hiding something in `clear` can have made `hidden` of it.
fn fits(hidden: &Json, clear: &Json) -> bool {
    match (hidden, clear) {
        (Json::String(hidden), Json::String(clear)) => fits_text(hidden, clear),
        (Json::String(hidden), Json::Number(clear)) => fits_text(hidden, &clear.to_string()),
        (Json::Array(hidden), Json::Array(clear)) => {
            hidden.len() == clear.len() && hidden.iter().zip(clear).all(|(hidden, clear)| fits(hidden, clear))
        }
        (Json::Object(hidden), Json::Object(clear)) => {
            let known = |name: &str, value| clear.get(name).is_some_and(|clear| fits(value, clear));
            hidden.len() <= clear.len() && hidden.iter().all(|(name, value)| name.contains(MASK) || known(name, value))
        }
        (hidden, clear) => hidden == clear,
    }
}

fn all_fit(hidden: &BTreeMap<String, String>, clear: &BTreeMap<String, String>) -> bool {
    let one = |(name, value): (&String, &String)| clear.get(name).is_some_and(|clear| fits_text(value, clear));
    hidden.len() == clear.len() && hidden.iter().all(one)
}

/// Each mask stands for a text that is longer than itself, as every secret is.
fn fits_text(hidden: &str, clear: &str) -> bool {
    let parts: Vec<&str> = hidden.split(MASK).collect();
    if clear.len() + 1 < hidden.len() + parts.len() {
        return false;
    }
    let [first, between @ .., last] = parts.as_slice() else { return hidden == clear };
    let Some(mut rest) = clear.strip_prefix(first) else { return false };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::fits_text;

    #[test]
    fn a_mask_stands_for_anything() {
        for (hidden, clear, fits) in [
            ("***", "secret", true),
            ("***", "", false),
            ("a-***", "a-secret", true),
            ("a-***-b", "a-secret-b", true),
            ("a***b***c", "a1111b2222c", true),
            ("a***b***c", "a1111c2222b", false),
            ("a-***", "b-secret", false),
            ("same", "same", true),
            ("same", "same but longer", false),
        ] {
            assert_eq!(fits_text(hidden, clear), fits, "{hidden} {clear}");
        }
    }
}
