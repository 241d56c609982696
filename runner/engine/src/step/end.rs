//! What came of a step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use workflow::action::NodeVersion;
use workflow::run::Conclusion;

use crate::placement::{ExecOutcome, Usage};

/// What a step leaves behind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepOutputs {
    /// `GITHUB_OUTPUT` and `::set-output::`.
    pub outputs: BTreeMap<String, String>,
    /// `GITHUB_ENV`, in order.
    pub env: Vec<(String, String)>,
    /// `GITHUB_PATH`, in order.
    pub path: Vec<String>,
    /// `GITHUB_STEP_SUMMARY`.
    pub summary: Option<String>,
    /// `GITHUB_STATE` and `::save-state::`: what an action keeps for its post part.
    #[serde(default)]
    pub state: BTreeMap<String, String>,
    /// The same of `pre` parts, by whose they are: the action's own (empty), or that of a step of its actions (`a/b`).
    #[serde(default)]
    pub saved: BTreeMap<String, BTreeMap<String, String>>,
    /// What its actions do at the end of the job, in the order in which they ran.
    #[serde(default)]
    pub posts: Vec<PostAction>,
}

/// What an action does at the end of the job.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PostAction {
    /// Name of the action.
    pub action: String,
    /// Its inputs, complete.
    pub inputs: BTreeMap<String, String>,
    /// What it keeps from its main part.
    pub state: BTreeMap<String, String>,
    /// Whether it does it whatever became of the job; otherwise only if the job has succeeded.
    pub always: bool,
    /// Where it is a script and not built in: what it is, and when it is wanted.
    #[serde(default)]
    pub script: Option<Box<PostScript>>,
}

/// What runs as the post part of an action.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PostPart {
    /// A script.
    Script {
        /// Its file, as the job sees it.
        file: String,
        /// What runs it.
        node: NodeVersion,
    },
    /// A container.
    Container {
        /// Name or id of its image.
        image: String,
        /// What runs in it.
        entrypoint: String,
        /// With which arguments.
        args: Option<Vec<String>>,
    },
}

impl std::fmt::Debug for PostPart {
    /// Without arguments: they may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Script { file, node: _ } => f.debug_struct("Script").field("file", file).finish_non_exhaustive(),
            Self::Container { image, .. } => f.debug_struct("Container").field("image", image).finish_non_exhaustive(),
        }
    }
}

/// The post part of an action of others.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct PostScript {
    /// What runs.
    pub what: PostPart,
    /// `post-if:`.
    pub condition: String,
    /// Id of the step that used the action.
    pub id: String,
    /// Which of the actions of the job's step it is: ids from the outside in, empty for that of the step itself.
    #[serde(default)]
    pub path: String,
    /// Inputs that are evaluated once more when it runs, with their expressions.
    #[serde(default)]
    pub renewed: BTreeMap<String, String>,
    /// `env:` of that step and of those whose actions it is a step of, over the job's.
    pub env: BTreeMap<String, String>,
    /// Variables that name the action: `GITHUB_ACTION_REPOSITORY` and its like.
    pub named: BTreeMap<String, String>,
}

impl std::fmt::Debug for PostAction {
    /// Without values: they may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostAction").field("action", &self.action).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for PostScript {
    /// Without values: they may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostScript").field("id", &self.id).finish_non_exhaustive()
    }
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepEnd {
    /// Success, failure or cancelled.
    pub outcome: Conclusion,
    /// Exit code, where a process ran.
    pub exit_code: Option<i32>,
    /// A sentence for a person, where the outcome alone says too little.
    pub message: Option<String>,
    /// What it left behind.
    pub left: StepOutputs,
    /// What its process used.
    pub usage: Option<Usage>,
    /// The job's runner is gone; nothing else can run there.
    pub runner_lost: bool,
}

impl StepEnd {
    /// A step without a process.
    #[must_use]
    pub fn plain(outcome: Conclusion, message: Option<String>) -> Self {
        Self { outcome, exit_code: None, message, left: StepOutputs::default(), usage: None, runner_lost: false }
    }

    /// What a process' end means for its step. Success is exit code 0 and nothing else: a step whose shell hid that a
    /// child was killed for lack of memory has failed.
    #[must_use]
    pub fn of(outcome: &ExecOutcome, timeout: Option<std::time::Duration>) -> Self {
        match outcome {
            ExecOutcome::Exited { code, timed_out, cancelled, out_of_memory, usage, .. } => {
                let (conclusion, message) = if *timed_out {
                    let limit = minutes(timeout.unwrap_or_default());
                    (Conclusion::Failure, Some(format!("The step has timed out after {limit} minutes.")))
                } else if *cancelled {
                    (Conclusion::Cancelled, Some("The operation was canceled.".to_owned()))
                } else if *out_of_memory {
                    (Conclusion::Failure, Some(OUT_OF_MEMORY.to_owned()))
                } else if *code == 0 {
                    (Conclusion::Success, None)
                } else {
                    (Conclusion::Failure, Some(format!("Process completed with exit code {code}.")))
                };
                Self { exit_code: Some(*code), usage: Some(*usage), ..Self::plain(conclusion, message) }
            }
            ExecOutcome::NotStarted { reason } => Self::plain(Conclusion::Failure, Some(reason.clone())),
            ExecOutcome::Lost { reason } => Self {
                runner_lost: true,
                ..Self::plain(Conclusion::Failure, Some(format!("The runner was lost: {reason}")))
            },
        }
    }
}

/// A time limit in minutes as it was written, without the noise of its way through seconds.
#[must_use]
pub fn minutes(limit: std::time::Duration) -> f64 {
    const PRECISION: f64 = 1e6;
    (limit.as_secs_f64() / 60.0 * PRECISION).round() / PRECISION
}

const OUT_OF_MEMORY: &str = "A process of this step was killed for lack of memory. Raise the limit (`memory` in the configuration) or use less.";
