//! What a run was asked for: enough for any later process to begin it or to take it up.
//!
//! It holds no secrets and no values that change. Written once, with the run's row; read for ever: a new field gets a
//! default, a new meaning a new version.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use workflow::event::{Event, Forge};
use workflow::run::RunEvent;

use crate::store::{NewRun, RunId};

/// The version that this program writes, and the newest that it reads.
pub const SPEC_VERSION: u16 = 1;

/// Whose code a run executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Of somebody who may write to the repository.
    #[default]
    Trusted,
    /// Of anybody: no secrets, a read-only token, no host placement, caches that nobody else reads.
    Fork,
}

impl Trust {
    /// As it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Fork => "fork",
        }
    }
}

/// A run that somebody asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    /// Version of the form, see [`SPEC_VERSION`].
    pub v: u16,
    /// What the repository lies on.
    pub forge: Forge,
    /// `owner/name`, as registered.
    pub repository: String,
    /// What happened. Its `sha` is set.
    pub event: Event,
    /// Path of the workflow in the repository.
    pub workflow: String,
    /// The workflow file and the reusable workflows that it calls, as of the commit: by path in the repository, those of others
    /// by their reference (`owner/repo/path@ref`).
    #[serde(default)]
    pub sources: IndexMap<String, String>,
    /// The `inputs` context, an object.
    #[serde(default)]
    pub inputs: Json,
    /// Variables that are fixed when the run is made; those of the server are asked for through [`super::RunSecrets`].
    #[serde(default)]
    pub vars: IndexMap<String, String>,
    /// Only these jobs; `None`: all.
    #[serde(default)]
    pub selected: Option<Vec<String>>,
    /// Only legs with these matrix values.
    #[serde(default)]
    pub legs: Vec<(String, String)>,
    /// Whose code it executes.
    #[serde(default)]
    pub trust: Trust,
    /// Why somebody has to let it begin, see `TrustPolicy::holds`.
    #[serde(default)]
    pub held: Option<String>,
    /// Higher ones begin first.
    #[serde(default)]
    pub priority: i32,
    /// From 1. Whoever makes a new run writes 1; a later attempt is made by `RunService::rerun`.
    #[serde(default = "one")]
    pub attempt: u32,
    /// The attempt before.
    #[serde(default)]
    pub rerun_of: Option<RunId>,
    /// Facts of the attempt before whose jobs are not run again; hidden texts stay hidden.
    #[serde(default)]
    pub kept: Vec<RunEvent>,
    /// Runs of newer pushes to the ref, or of newer events of the pull request, that were made before this one: its
    /// delivery came late. In concurrency groups it gives way to them.
    #[serde(default)]
    pub newer: Vec<RunId>,
    /// Who asked: the actor of the event, who started this attempt, `schedule`.
    #[serde(default)]
    pub requested_by: String,
    /// Why it cannot begin, as rendered diagnostics: such a run fails at once and shows them.
    #[serde(default)]
    pub problem: Option<Vec<String>>,
}

const fn one() -> u32 {
    1
}

impl RunSpec {
    /// A first attempt of a trusted run of all jobs, asked for by the event's actor; what differs is set after.
    #[must_use]
    pub fn new(forge: Forge, event: Event, workflow: &str, sources: IndexMap<String, String>) -> Self {
        Self {
            v: SPEC_VERSION,
            forge,
            repository: event.repository.full_name.clone(),
            requested_by: event.actor.login.clone(),
            event,
            workflow: workflow.to_owned(),
            sources,
            inputs: Json::Object(serde_json::Map::new()),
            vars: IndexMap::new(),
            selected: None,
            legs: Vec::new(),
            trust: Trust::Trusted,
            held: None,
            priority: 0,
            attempt: 1,
            rerun_of: None,
            kept: Vec::new(),
            newer: Vec::new(),
            problem: None,
        }
    }

    /// Reads what was stored.
    ///
    /// # Errors
    /// It was written by a newer program, or is damaged.
    pub(crate) fn read(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            v: u16,
        }
        let Version { v } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if v > SPEC_VERSION {
            return Err(format!("it was made by a newer version of pipe (form {v}, this one knows {SPEC_VERSION})"));
        }
        serde_json::from_slice(text).map_err(|error| error.to_string())
    }

    /// Its row; `at` is now, RFC 3339.
    #[must_use]
    pub fn row(&self, at: String) -> NewRun {
        let first_line = |message: &String| message.lines().next().unwrap_or_default().to_owned();
        NewRun {
            repository: self.repository.clone(),
            workflow: self.workflow.clone(),
            event: self.event.name.as_str().to_owned(),
            git_ref: self.event.git_ref.as_str().to_owned(),
            sha: self.event.sha.clone().unwrap_or_default(),
            started_at: at,
            forge: self.forge.as_str().to_owned(),
            actor: self.event.actor.login.clone(),
            title: self.event.head_message.as_ref().map(first_line).unwrap_or_default(),
            priority: self.priority,
            trust: self.trust.as_str().to_owned(),
            rerun_of: self.rerun_of,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_spec_survives_being_stored_and_a_newer_one_is_refused() {
        let payload = json!({
            "ref": "refs/heads/main", "after": "1".repeat(40), "head_commit": { "message": "one\ntwo" },
            "repository": { "full_name": "o/r", "default_branch": "main", "owner": { "login": "o" } },
            "sender": { "login": "ada" },
        });
        let event = Event::parse("push", payload).unwrap();
        let spec = RunSpec::new(Forge::Github, event, "ci.yml", IndexMap::from([("ci.yml".into(), "on: push".into())]));
        let text = serde_json::to_vec(&spec).unwrap();
        assert_eq!(RunSpec::read(&text), Ok(spec.clone()));
        assert_eq!(spec.row(String::new()).title, "one");
        let newer = serde_json::to_vec(&RunSpec { v: 2, ..spec }).unwrap();
        assert!(RunSpec::read(&newer).unwrap_err().contains("newer version of pipe"));
    }
}
