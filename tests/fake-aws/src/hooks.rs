//! Functions that deployments call at their hooks. There is no Lambda here: a test says what each function answers, or gives
//! the answer itself while the hook waits.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::value::{MINUTE, Time};

/// A hook without an answer fails after this; CodeDeploy and ECS wait an hour.
pub(crate) const HOOK_TIME: Time = 60 * MINUTE;

/// What a function answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HookAnswer {
    Succeeds,
    Fails,
    /// Nothing: somebody else says how it went, or nobody.
    Waits,
}

/// What is known of functions.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    answers: BTreeMap<String, HookAnswer>,
    /// Every call of one: when, which, with what.
    pub(crate) calls: Vec<Value>,
}

impl Functions {
    /// Says what one answers from now on, by its name.
    pub(crate) fn set(&mut self, name: &str, answer: HookAnswer) {
        self.answers.insert(bare(name).to_owned(), answer);
    }

    /// Calls one, by its name or ARN. `None` if nobody has said what it answers: on AWS there is no such function.
    pub(crate) fn call(&mut self, name: &str, event: Value, now: Time) -> Option<HookAnswer> {
        self.calls.push(json!({ "function": bare(name), "event": event, "at": now }));
        self.answers.get(bare(name)).copied()
    }
}

fn bare(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}
