//! One step of a job.

use super::StepId;
use crate::expression::Expression;
use crate::source::{Span, Spanned};
use crate::template::Token;

/// A step below `steps:`.
#[derive(Debug, Clone)]
pub struct Step {
    /// `id:`, or a generated one. Unique, case ignored, in the list of steps that it stands in; the steps of a
    /// `parallel:` block are a list of their own.
    pub id: StepId,
    /// Whether the id was written by the author (only then it is in the `steps` context).
    pub id_written: bool,
    /// The whole step in the file.
    pub span: Span,
    /// `name:`, a string that may hold expressions.
    pub name: Option<Token>,
    /// `if:`, always present: `success()` where absent.
    pub condition: Expression,
    /// Where `if:` stands, if it was written.
    pub condition_span: Option<Span>,
    /// `continue-on-error:`.
    pub continue_on_error: Option<Token>,
    /// `timeout-minutes:`.
    pub timeout_minutes: Option<Token>,
    /// `env:`.
    pub env: Option<Token>,
    /// `background:`; with true the next step begins at once, see `wait`. `None`: not written, which means false.
    pub background: Option<bool>,
    /// What it does.
    pub kind: StepKind,
}

/// The kinds of step. The last four came in 2026.
#[derive(Debug, Clone)]
pub enum StepKind {
    /// `run:`.
    Run {
        /// The script.
        script: Token,
        /// `shell:`.
        shell: Option<Token>,
        /// `working-directory:`.
        working_directory: Option<Token>,
    },
    /// `uses:`.
    Uses {
        /// The action.
        uses: Spanned<Uses>,
        /// `with:`.
        with: Option<Token>,
    },
    /// `wait:` for background steps, by id.
    Wait(Vec<Spanned<StepId>>),
    /// `wait-all:` for every background step.
    WaitAll,
    /// `cancel:` a background step, by id.
    Cancel(Spanned<StepId>),
    /// `parallel:`: these at once, then wait for all of them.
    Parallel(Vec<Step>),
}

impl Step {
    /// Whether the next step begins without waiting for this one.
    #[must_use]
    pub fn runs_in_background(&self) -> bool {
        self.background == Some(true)
    }
}

impl StepKind {
    /// The name that GitHub gives to a step of the newer kinds when it has none.
    #[must_use]
    pub const fn default_name(&self) -> Option<&'static str> {
        match self {
            Self::Run { .. } | Self::Uses { .. } => None,
            Self::Wait(_) => Some("Wait"),
            Self::WaitAll => Some("Wait for all"),
            Self::Cancel(_) => Some("Cancel"),
            Self::Parallel(_) => Some("Parallel group"),
        }
    }
}

/// `uses:` of a step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Uses {
    /// `docker://image`.
    Docker {
        /// The image, as written after `docker://`.
        image: String,
    },
    /// `./path` (or `$/path`, from the root of the workflow's repository).
    Local {
        /// The path as written.
        path: String,
    },
    /// `owner/repo[/path]@ref`.
    Repository {
        /// `owner/repo`.
        repository: String,
        /// The folder below it, `""` at its root.
        path: String,
        /// Branch, tag or commit.
        reference: String,
    },
    /// `pipe/name@ref` or `pipe/name`: one of our own, see `pipelines/actions`. Whatever the version, it is the one that this
    /// program has.
    BuiltIn {
        /// The name after `pipe/`.
        name: String,
        /// What stands after `@`; empty where nothing does.
        reference: String,
    },
}

impl Uses {
    /// As the author wrote it.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Docker { image } => format!("docker://{image}"),
            Self::Local { path } => path.clone(),
            Self::Repository { repository, path, reference } if path.is_empty() => format!("{repository}@{reference}"),
            Self::Repository { repository, path, reference } => format!("{repository}/{path}@{reference}"),
            Self::BuiltIn { name, reference } if reference.is_empty() => format!("pipe/{name}"),
            Self::BuiltIn { name, reference } => format!("pipe/{name}@{reference}"),
        }
    }
}
