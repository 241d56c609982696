//! Where an event holds text that somebody else wrote, so that secrets in it can be hidden.
//!
//! Knows nothing of secrets: it is given what hides them.

use serde_json::Value as Json;

use super::{CancelReason, RunEvent, SkipReason};

impl RunEvent {
    /// Changes every text that is only shown: names, sentences, what runs a job. A run goes the same way whatever they
    /// say.
    pub fn each_shown_text(&mut self, change: &mut dyn FnMut(&mut String)) {
        match self {
            Self::JobExpanded { legs, .. } => legs.iter_mut().for_each(|leg| change(&mut leg.name)),
            Self::JobRefused { message, .. } => change(message),
            Self::JobRunPlaced { runner, .. } => change(runner),
            Self::StepStarted { name, .. } => change(name),
            Self::StepFinished { result, .. } => result.message.iter_mut().for_each(change),
            Self::JobRunFinished { message, .. } => message.iter_mut().for_each(change),
            Self::JobRunCancelRequested { reason, .. } => match reason {
                CancelReason::FailFast { leg } => change(leg),
                CancelReason::Run { by } => change(by),
                CancelReason::Group { .. } | CancelReason::Timeout { .. } => {}
            },
            Self::RunCancelRequested { by, .. } => change(by),
            Self::RunRefused { message } | Self::RunHeld { reason: message } => change(message),
            Self::ReviewRequested { environment, .. } => change(environment),
            Self::Reviewed { comment, .. } => change(comment),
            Self::JobSkipped { reason: SkipReason::Condition { expression }, .. } => change(expression),
            Self::JobSkipped { .. }
            | Self::GroupRequested { .. }
            | Self::GroupAcquired { .. }
            | Self::RunReleased { .. }
            | Self::RunStarted
            | Self::CallStarted { .. }
            | Self::JobRunStarted { .. }
            | Self::JobRunReset { .. }
            | Self::RunFinished { .. } => {}
        }
    }

    /// Changes every text, those that a run goes by too: matrix values, inputs, outputs, groups. For the form that is
    /// stored and shown; never for what is applied. [`super::Run::apply_stored`] is its counterpart.
    pub fn each_text(&mut self, change: &mut dyn FnMut(&mut String)) {
        self.each_shown_text(change);
        match self {
            Self::GroupRequested { group, .. }
            | Self::JobRunCancelRequested { reason: CancelReason::Group { group, .. }, .. } => change(group),
            Self::JobExpanded { legs, .. } => legs.iter_mut().for_each(|leg| each_in(&mut leg.matrix, change)),
            Self::CallStarted { inputs, .. } => each_in(inputs, change),
            Self::StepFinished { result, .. } => {
                // Names too: a script that writes `$SECRET=1` to its outputs makes a name of it.
                let pairs = std::mem::take(&mut result.outputs).into_iter();
                result.outputs = pairs.map(|(name, value)| (changed(name, change), changed(value, change))).collect();
            }
            // These names stand in the workflow.
            Self::JobRunFinished { outputs, .. } => outputs.values_mut().for_each(change),
            Self::JobRunCancelRequested { .. }
            | Self::JobSkipped { .. }
            | Self::JobRefused { .. }
            | Self::GroupAcquired { .. }
            | Self::RunHeld { .. }
            | Self::RunReleased { .. }
            | Self::RunStarted
            | Self::JobRunStarted { .. }
            | Self::JobRunReset { .. }
            | Self::JobRunPlaced { .. }
            | Self::StepStarted { .. }
            | Self::ReviewRequested { .. }
            | Self::Reviewed { .. }
            | Self::RunRefused { .. }
            | Self::RunCancelRequested { .. }
            | Self::RunFinished { .. } => {}
        }
    }
}

fn each_in(value: &mut Json, change: &mut dyn FnMut(&mut String)) {
    match value {
        Json::String(text) => change(text),
        Json::Array(items) => items.iter_mut().for_each(|item| each_in(item, change)),
        Json::Object(pairs) => {
            let old = std::mem::take(pairs).into_iter();
            *pairs = old
                .map(|(name, mut item)| {
                    each_in(&mut item, change);
                    (changed(name, change), item)
                })
                .collect();
        }
        Json::Number(number) => {
            // A matrix leg or an input may be a secret that consists of digits.
            let text = number.to_string();
            let hidden = changed(text.clone(), change);
            if hidden != text {
                *value = Json::String(hidden);
            }
        }
        Json::Null | Json::Bool(_) => {}
    }
}

fn changed(mut text: String, change: &mut dyn FnMut(&mut String)) -> String {
    change(&mut text);
    text
}
