//! `on:` of a workflow: which events start it, and under which conditions.
//! See <https://docs.github.com/en/actions/writing-workflows/choosing-when-your-workflow-runs/events-that-trigger-workflows>.

use indexmap::IndexMap;

use crate::source::{Span, Spanned};
use crate::template::Token;

/// The entries of `on:`, by event name, in file order.
#[derive(Debug, Clone, Default)]
pub struct Triggers {
    /// Event name to its entry.
    pub entries: IndexMap<String, Trigger>,
    /// Where `on:` stands.
    pub span: Span,
}

/// One entry of `on:`.
#[derive(Debug, Clone, Default)]
pub struct Trigger {
    /// Where the event's name stands.
    pub span: Span,
    /// Its settings as written; `None` where only its name is.
    pub written: Option<Token>,
    /// Its filters.
    pub filters: Filters,
    /// `schedule:` entries.
    pub schedule: Vec<Schedule>,
    /// `workflow_dispatch.inputs`.
    pub dispatch_inputs: IndexMap<String, DispatchInput>,
    /// `workflow_call.inputs`.
    pub call_inputs: IndexMap<String, CallInput>,
    /// `workflow_call.secrets`.
    pub call_secrets: IndexMap<String, CallSecret>,
    /// `workflow_call.outputs`.
    pub call_outputs: IndexMap<String, CallOutput>,
}

/// Filters of an entry. `None`: not written; an empty list was written as such.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    /// `branches:`.
    pub branches: Option<Vec<Spanned<String>>>,
    /// `branches-ignore:`.
    pub branches_ignore: Option<Vec<Spanned<String>>>,
    /// `tags:`.
    pub tags: Option<Vec<Spanned<String>>>,
    /// `tags-ignore:`.
    pub tags_ignore: Option<Vec<Spanned<String>>>,
    /// `paths:`.
    pub paths: Option<Vec<Spanned<String>>>,
    /// `paths-ignore:`.
    pub paths_ignore: Option<Vec<Spanned<String>>>,
    /// `types:`.
    pub types: Option<Vec<Spanned<String>>>,
    /// `workflows:` of `workflow_run`.
    pub workflows: Option<Vec<Spanned<String>>>,
    /// `names:` of `image_version`.
    pub names: Option<Vec<Spanned<String>>>,
    /// `versions:` of `image_version`.
    pub versions: Option<Vec<Spanned<String>>>,
}

/// One cron line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Five fields.
    pub cron: Spanned<String>,
    /// IANA name, UTC where absent.
    pub timezone: Option<Spanned<String>>,
}

/// The type of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputType {
    /// Text.
    String,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// One of `options:`.
    Choice,
    /// The name of an environment.
    Environment,
}

/// An input of `workflow_dispatch`.
#[derive(Debug, Clone)]
pub struct DispatchInput {
    /// Its name in the file.
    pub span: Span,
    /// `description:`.
    pub description: Option<String>,
    /// `required:`.
    pub required: bool,
    /// `type:`, string where absent.
    pub kind: InputType,
    /// `default:`.
    pub default: Option<Token>,
    /// `options:`.
    pub options: Vec<Spanned<String>>,
}

/// An input of `workflow_call`.
#[derive(Debug, Clone)]
pub struct CallInput {
    /// Its name in the file.
    pub span: Span,
    /// `description:`.
    pub description: Option<String>,
    /// `required:`.
    pub required: bool,
    /// `type:`: string, boolean or number.
    pub kind: InputType,
    /// `default:`, which may be an expression over github, inputs, vars.
    pub default: Option<Token>,
}

/// A secret of `workflow_call`.
#[derive(Debug, Clone, Default)]
pub struct CallSecret {
    /// Its name in the file.
    pub span: Span,
    /// `description:`.
    pub description: Option<String>,
    /// `required:`.
    pub required: bool,
}

/// An output of `workflow_call`.
#[derive(Debug, Clone)]
pub struct CallOutput {
    /// Its name in the file.
    pub span: Span,
    /// `description:`.
    pub description: Option<String>,
    /// `value:`, an expression over jobs, github, inputs, vars.
    pub value: Token,
}
