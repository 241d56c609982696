//! One job: its own steps, or a call of a reusable workflow.

use indexmap::IndexMap;

use super::{CacheMode, CallInput, CallOutput, CallSecret, JobId, Permissions, Step};
use crate::expression::Expression;
use crate::source::{FileId, Span, Spanned};
use crate::template::Token;

/// A job below `jobs:`.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its key.
    pub id: Spanned<JobId>,
    /// The whole job in the file.
    pub span: Span,
    /// `name:`, a string that may hold expressions; the id where absent.
    pub name: Option<Token>,
    /// `needs:`, each once and spelled as the job's own key is: GitHub ignores case here. The span is the entry's.
    pub needs: Vec<Spanned<JobId>>,
    /// `needs:` as written.
    pub needs_written: Option<Token>,
    /// `if:`, always present: `success()` where absent, `success() && (…)` where it names no status function.
    pub condition: Expression,
    /// Where `if:` stands, if it was written.
    pub condition_span: Option<Span>,
    /// `permissions:`, or where absent those of its workflow, or else those that its caller was given. `None` means the
    /// repository's default.
    pub permissions: Option<Permissions>,
    /// `cache-mode:`, or that of its workflow, within what its caller may do. `None` means GitHub's default.
    pub cache_mode: Option<CacheMode>,
    /// `strategy:`.
    pub strategy: Option<Strategy>,
    /// `concurrency:`.
    pub concurrency: Option<Token>,
    /// `continue-on-error:`, a boolean or an expression. On a call of a reusable workflow: never.
    pub continue_on_error: Option<Token>,
    /// What it does.
    pub kind: JobKind,
}

/// The two kinds of job.
#[derive(Debug, Clone)]
pub enum JobKind {
    /// `steps:` on a runner.
    Steps(Box<StepsJob>),
    /// `uses:` of another workflow.
    Call(Box<ReusableCall>),
}

/// `strategy:`. Kept whole too, since GitHub evaluates it as one value.
#[derive(Debug, Clone)]
pub struct Strategy {
    /// The whole value.
    pub token: Token,
    /// `matrix:`.
    pub matrix: Option<Token>,
    /// `fail-fast:`, true where absent.
    pub fail_fast: Option<Token>,
    /// `max-parallel:`.
    pub max_parallel: Option<Token>,
}

/// A job with steps.
#[derive(Debug, Clone)]
pub struct StepsJob {
    /// `runs-on:`: a label, a list of labels, or `{group, labels}`.
    pub runs_on: Token,
    /// `environment:`: a name or `{name, url, deployment}`.
    pub environment: Option<Token>,
    /// `env:`.
    pub env: Option<Token>,
    /// `defaults:`.
    pub defaults: Option<Token>,
    /// `outputs:`, a mapping of strings.
    pub outputs: Option<Token>,
    /// `timeout-minutes:`, 360 where absent.
    pub timeout_minutes: Option<Token>,
    /// `cancel-timeout-minutes:`, 5 where absent.
    pub cancel_timeout_minutes: Option<Token>,
    /// `container:`: an image or a mapping.
    pub container: Option<Token>,
    /// `services:`: id to an image or a mapping.
    pub services: Option<Token>,
    /// `snapshot:`.
    pub snapshot: Option<Token>,
    /// `steps:`.
    pub steps: Vec<Step>,
}

/// A job that calls a reusable workflow.
/// See <https://docs.github.com/en/actions/sharing-automations/reusing-workflows>.
#[derive(Debug, Clone)]
pub struct ReusableCall {
    /// `uses:`, such as `./.github/workflows/a.yml` or `owner/repo/.github/workflows/a.yml@v1`.
    pub reference: Spanned<String>,
    /// `with:`.
    pub inputs: Option<Token>,
    /// `secrets:`.
    pub secrets: Secrets,
    /// The called workflow, when it could be read.
    pub called: Option<Box<CalledWorkflow>>,
}

/// What a caller needs of the workflow that it calls.
#[derive(Debug, Clone)]
pub struct CalledWorkflow {
    /// The file.
    pub file: FileId,
    /// `name:` there.
    pub name: Option<Spanned<String>>,
    /// `on.workflow_call.inputs`.
    pub inputs: IndexMap<String, CallInput>,
    /// `on.workflow_call.secrets`.
    pub secrets: IndexMap<String, CallSecret>,
    /// `on.workflow_call.outputs`.
    pub outputs: IndexMap<String, CallOutput>,
    /// The three of them as written.
    pub definitions: CallDefinitions,
    /// `permissions:` there. `None` leaves the caller's in force.
    pub permissions: Option<Permissions>,
    /// `env:` there.
    pub env: Option<Token>,
    /// `defaults:` there.
    pub defaults: Option<Token>,
    /// `concurrency:` there.
    pub concurrency: Option<Token>,
    /// Its jobs, with the ids that they have there.
    pub jobs: IndexMap<JobId, Job>,
}

/// What stands below `on.workflow_call`, as written.
#[derive(Debug, Clone, Default)]
pub struct CallDefinitions {
    /// `inputs:`.
    pub inputs: Option<Token>,
    /// `secrets:`.
    pub secrets: Option<Token>,
    /// `outputs:`.
    pub outputs: Option<Token>,
}

/// `secrets:` of a call.
#[derive(Debug, Clone)]
pub enum Secrets {
    /// Not written: none are passed.
    None,
    /// `inherit`.
    Inherit,
    /// A mapping of names to values.
    Mapping(Token),
}
