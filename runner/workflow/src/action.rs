//! An `action.yml`, read: what the action takes, what it gives, and how it runs.
//!
//! Says nothing of where the file came from, and runs nothing. Follows
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax>.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::expression::Expression;
use crate::model::Step;
use crate::template::Token;

/// How deep composite actions may use each other.
pub const COMPOSITE_DEPTH_MAX: usize = 9;

/// An action as its author wrote it.
#[derive(Debug, Clone)]
pub struct Action {
    /// `name:`.
    pub name: Option<String>,
    /// `inputs:` by name as written, in their order.
    pub inputs: IndexMap<String, ActionInput>,
    /// `outputs:` of a composite action: the whole mapping, whose values are evaluated when its steps have ended.
    pub outputs: IndexMap<String, Token>,
    /// `runs:`.
    pub runs: ActionRuns,
    /// Whether there is an `action.yml`; otherwise nobody knows its inputs.
    pub is_described: bool,
}

impl Action {
    /// One of which there is nothing but an image.
    #[must_use]
    pub fn of_image(image: ActionImage) -> Self {
        let runs = ActionRuns::Container(Box::new(ContainerRuns::of(image)));
        Self { name: None, inputs: IndexMap::new(), outputs: IndexMap::new(), runs, is_described: false }
    }
}

/// One input.
#[derive(Debug, Clone, Default)]
pub struct ActionInput {
    /// `required:`. GitHub does not insist on it: an input that is missing is empty.
    pub required: bool,
    /// `default:`.
    pub default: Option<Token>,
    /// `deprecationMessage:`, shown where the input is given.
    pub deprecation: Option<String>,
}

/// How an action runs.
#[derive(Debug, Clone)]
pub enum ActionRuns {
    /// `using: composite`: these steps.
    Composite(Vec<Step>),
    /// `using: node20` and the like.
    Script(Box<ScriptRuns>),
    /// `using: docker`.
    Container(Box<ContainerRuns>),
}

/// `runs:` of an action in a container of its own.
#[derive(Debug, Clone)]
pub struct ContainerRuns {
    /// `image:`.
    pub image: ActionImage,
    /// `entrypoint:`, in the place of the image's own.
    pub entrypoint: Option<String>,
    /// `args:`; absent: those that the step gives as the input `args`, else those of the image.
    pub args: Option<Vec<Token>>,
    /// `env:`, evaluated with the action's inputs; what the job has under the same name stays.
    pub env: Vec<(String, Token)>,
    /// `pre-entrypoint:` and `pre-if:`.
    pub pre: Option<(String, Expression)>,
    /// `post-entrypoint:` and `post-if:`.
    pub post: Option<(String, Expression)>,
}

impl ContainerRuns {
    /// That of an image of which nothing else is said.
    #[must_use]
    pub const fn of(image: ActionImage) -> Self {
        Self { image, entrypoint: None, args: None, env: Vec::new(), pre: None, post: None }
    }
}

/// What an action's container is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionImage {
    /// What this file builds, relative to the action's folder.
    Dockerfile(String),
    /// An image as it is pulled; without `docker://`.
    Reference(String),
}

impl ActionImage {
    /// Out of `image:`; nothing where it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        const DOCKER: &str = "docker://";
        if text.get(..DOCKER.len()).is_some_and(|start| start.eq_ignore_ascii_case(DOCKER)) {
            let reference = text.get(DOCKER.len()..).filter(|reference| !reference.is_empty())?;
            return Some(Self::Reference(reference.to_owned()));
        }
        let name = text.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        (name.starts_with("dockerfile.") || name.ends_with("dockerfile")).then(|| Self::Dockerfile(text.to_owned()))
    }
}

/// `runs:` of an action in JavaScript.
#[derive(Debug, Clone)]
pub struct ScriptRuns {
    /// `using:`.
    pub node: NodeVersion,
    /// `main:`, relative to the action's folder.
    pub main: String,
    /// `pre:` and `pre-if:`.
    pub pre: Option<(String, Expression)>,
    /// `post:` and `post-if:`.
    pub post: Option<(String, Expression)>,
}

/// A version of Node.js as `using:` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeVersion {
    /// Out of support; runs as [`Self::Node20`].
    Node12,
    /// Out of support; runs as [`Self::Node20`].
    Node16,
    /// 20.
    Node20,
    /// 24.
    Node24,
}

impl NodeVersion {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Node12, Self::Node16, Self::Node20, Self::Node24];

    /// As `using:` has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Node12 => "node12",
            Self::Node16 => "node16",
            Self::Node20 => "node20",
            Self::Node24 => "node24",
        }
    }

    /// The version that really runs it: those out of support are run by a later one, as GitHub's runners do.
    #[must_use]
    pub const fn runs_as(self) -> Self {
        match self {
            Self::Node12 | Self::Node16 | Self::Node20 => Self::Node20,
            Self::Node24 => Self::Node24,
        }
    }
}

/// The condition of a `pre:` or `post:` out of its text; unlike that of a step, no `success()` is added to it.
///
/// # Errors
/// It is no expression, in GitHub's words.
pub fn part_condition(text: &str) -> Result<Expression, String> {
    crate::read::part_condition(text).map_err(|error| error.to_string())
}

/// Whether a path of an `action.yml` stays in the repository of the action, in which the action's folder is `folder` (empty: at its
/// root). `actions/cache/restore` has `main: ../dist/restore-only/index.js`, as many actions of one repository do.
#[must_use]
pub fn is_inside(folder: &str, path: &str) -> bool {
    let mut depth = 0_i32;
    for part in folder.split(['/', '\\']).chain(path.split(['/', '\\'])) {
        match part {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        if depth < 0 {
            return false;
        }
    }
    depth > 0 && !path.starts_with(['/', '\\'])
}
