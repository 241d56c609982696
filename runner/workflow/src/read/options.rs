//! What a reading may cost and what it takes for granted. The defaults are GitHub's.

use crate::template::{BackgroundSteps, Limits};

/// GitHub's bound on files: a workflow and fifty that it calls.
pub const FILES_MAX: usize = 51;

/// How deep workflows may call each other: nine below the first, ten in all. See
/// <https://docs.github.com/en/actions/sharing-automations/reusing-workflows#nesting-reusable-workflows>.
pub const NESTED_WORKFLOWS_MAX: usize = 9;

/// What a token may do where no `permissions:` say so: a setting of the repository or its organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PermissionsPolicy {
    /// Read contents and packages.
    LimitedRead,
    /// Write everything.
    #[default]
    Write,
}

/// How to read.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// What all files of the reading together may cost.
    pub limits: Limits,
    /// Most different files, see [`FILES_MAX`]; `None` is without bound.
    pub files_max: Option<usize>,
    /// Most jobs, those of called workflows included; `None` is without bound.
    pub jobs_max: Option<usize>,
    /// How deep workflows may call each other, see [`NESTED_WORKFLOWS_MAX`]; with 0 none may be called.
    pub nested_workflows_max: usize,
    /// Whether called workflows are read at all.
    pub read_called_workflows: bool,
    /// Whether called workflows belong to the same enterprise or organisation, so that the default permissions
    /// include `id-token`.
    pub called_workflows_trusted: bool,
    /// Whether every event and its settings must be ones that GitHub has. Its servers leave that to the trigger.
    pub known_events_only: bool,
    /// Whether steps may run in the background, which GitHub still calls an experiment and we do not.
    pub background_steps: BackgroundSteps,
    /// What applies where no permissions are written.
    pub permissions_policy: PermissionsPolicy,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            files_max: Some(FILES_MAX),
            jobs_max: None,
            nested_workflows_max: NESTED_WORKFLOWS_MAX,
            read_called_workflows: true,
            called_workflows_trusted: true,
            known_events_only: true,
            background_steps: BackgroundSteps::Proposed,
            permissions_policy: PermissionsPolicy::default(),
        }
    }
}
